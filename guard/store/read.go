package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard/journal"
)

// A Rollout is what the store knows of one.
type Rollout struct {
	ID, Target string
	Open       bool
	Session    string // that owns it, while it is open; may have stood still for some time
	Node       string // of that session; empty once the session is gone
	Fence      int64  // of its latest owner; 0 before the first
	Records    int64
	Began      time.Time // of the first record
	Last       time.Time // of the last record
}

// Cursor is the place of a rollout in a list.
func (r Rollout) Cursor() Cursor { return Cursor{r.Began, r.ID} }

// A Cursor is a place in a list of rollouts. The zero Cursor is the beginning.
type Cursor struct {
	Began time.Time
	ID    string
}

// A Filter says which rollouts are asked for. The zero Filter asks for the newest of all.
type Filter struct {
	Target string // empty for any
	Open   *bool  // nil for both
	Limit  int    // 0 for 100; at most 1,000
	Before Cursor // to go on behind the last rollout of the page before
}

const rolloutColumns = `r.id, r.target, r.done, COALESCE(r.session, ''), COALESCE(s.node, ''), r.fence, r.began_ns,
	COALESCE((SELECT MAX(m.seq) FROM golive_journal m WHERE m.rollout = r.id), 0),
	COALESCE((SELECT l.at_ns FROM golive_journal l WHERE l.rollout = r.id ORDER BY l.seq DESC LIMIT 1), r.began_ns)
	FROM golive_rollouts r LEFT JOIN golive_sessions s ON s.id = r.session `

func scanRollout(scan func(...any) error) (Rollout, error) {
	var r Rollout
	var done, began, last int64
	err := scan(&r.ID, &r.Target, &done, &r.Session, &r.Node, &r.Fence, &began, &r.Records, &last)
	r.Open, r.Began, r.Last = done == 0, timeOf(began), timeOf(last)
	return r, err
}

// Rollouts lists rollouts, newest first.
func (s *Store) Rollouts(ctx context.Context, f Filter) ([]Rollout, error) {
	limit := min(f.Limit, 1000)
	if limit <= 0 {
		limit = 100
	}
	query, args := `SELECT `+rolloutColumns+`WHERE 1 = 1`, []any{}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		query += condition
	}
	if f.Target != "" {
		add(` AND r.target = ?`, f.Target)
	}
	if f.Open != nil && *f.Open {
		add(` AND r.done = 0`)
	} else if f.Open != nil {
		add(` AND r.done <> 0`)
	}
	if f.Before != (Cursor{}) {
		began, err := nanos(f.Before.Began)
		if err != nil {
			return nil, fmt.Errorf("list rollouts: %w", err)
		}
		add(` AND (r.began_ns, r.id) < (?, ?)`, began, f.Before.ID)
	}
	add(` ORDER BY r.began_ns DESC, r.id DESC LIMIT ?`, limit)
	rows, err := s.ro.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list rollouts: %w", s.explain(err))
	}
	defer func() { _ = rows.Close() }() // rows.Err says it all
	var all []Rollout
	for rows.Next() {
		r, err := scanRollout(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("list rollouts: %w", err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list rollouts: %w", s.explain(err))
	}
	return all, nil
}

// Find returns one rollout, or ErrNoRollout.
func (s *Store) Find(ctx context.Context, rollout string) (Rollout, error) {
	r, err := scanRollout(s.ro.QueryRowContext(ctx, `SELECT `+rolloutColumns+`WHERE r.id = $1`, rollout).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoRollout
	}
	if err != nil {
		return Rollout{}, fmt.Errorf("find rollout %s: %w", rollout, s.explain(err))
	}
	return r, nil
}

// Load returns the records of a rollout with a Seq greater than after, oldest first, each checked against its hash and the
// record before. ErrNoRollout if there is no such rollout; a *journal.BrokenError, whose Line is the Seq, if somebody has
// changed a record.
func (s *Store) Load(ctx context.Context, rollout string, after int64) ([]journal.Record, error) {
	var all []journal.Record
	err := s.walk(ctx, rollout, after, func(r journal.Record, _ []byte) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load rollout %s: %w", rollout, err)
	}
	return all, nil
}

// Export writes the records of a rollout as a journal in the form of guard/journal, which journal.Verify accepts.
func (s *Store) Export(ctx context.Context, rollout string, w io.Writer) error {
	out := bufio.NewWriter(w)
	err := s.walk(ctx, rollout, 0, func(_ journal.Record, line []byte) error {
		_, err := out.Write(line)
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("export rollout %s: %w", rollout, err)
	}
	return nil
}

// page is how many records are read by one statement, so that a slow writer does not hold a connection.
const page = 1000

func (s *Store) walk(ctx context.Context, rollout string, after int64, each func(r journal.Record, line []byte) error) error {
	if _, err := s.Find(ctx, rollout); err != nil {
		return err
	}
	prev := journal.Record{Seq: after}
	if after > 0 {
		err := s.ro.QueryRowContext(ctx, `SELECT hash FROM golive_journal WHERE rollout = $1 AND seq = $2`, rollout, after).Scan(&prev.Hash)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // there is nothing after it either
		}
		if err != nil {
			return s.explain(err)
		}
	}
	for {
		stored, err := s.page(ctx, rollout, prev.Seq)
		if err != nil {
			return s.explain(err)
		}
		for _, r := range stored {
			again, line, err := journal.Seal(prev, r.At, r.Kind, r.Data)
			switch {
			case r.Seq != prev.Seq+1:
				err = fmt.Errorf("record %d is missing", prev.Seq+1)
			case err == nil && again.Hash != r.Hash:
				err = fmt.Errorf("it was changed: its hash should be %s and is %q", again.Hash, r.Hash)
			}
			if err != nil {
				return &journal.BrokenError{Path: s.engine.name + ":" + rollout, Line: int(r.Seq), Reason: err.Error()}
			}
			if err := each(again, line); err != nil {
				return err
			}
			prev = again
		}
		if len(stored) < page {
			return nil
		}
	}
}

func (s *Store) page(ctx context.Context, rollout string, after int64) ([]journal.Record, error) {
	rows, err := s.ro.QueryContext(ctx, `SELECT seq, at_ns, kind, data, hash FROM golive_journal
		WHERE rollout = $1 AND seq > $2 ORDER BY seq LIMIT $3`, rollout, after, page)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it all
	var stored []journal.Record
	for rows.Next() {
		var r journal.Record
		var at int64
		var data string
		if err := rows.Scan(&r.Seq, &at, &r.Kind, &data, &r.Hash); err != nil {
			return nil, err
		}
		r.At, r.Data = timeOf(at), json.RawMessage(data)
		stored = append(stored, r)
	}
	return stored, rows.Err()
}
