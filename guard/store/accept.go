package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard/journal"
)

// A Delivery is something that was sent to the server: a webhook, or what a person asked for.
type Delivery struct {
	ID     string    // given by the sender, and the same each time it is sent
	Source string    // what kind of sender, such as "github"
	By     string    // who caused it; may be empty
	At     time.Time // when it came in
	Body   []byte    // as it came in, at most MaxBody
}

// An Opening is a rollout that a delivery begins.
type Opening struct {
	Rollout string // its name: at most 128 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with neither '.' nor '-'
	Target  string // what it changes, service/environment: a target has one open rollout at a time
	Records []Entry
}

// An Entry is what a record will say, before it has its place in the chain.
type Entry struct {
	At   time.Time
	Kind string
	Data json.RawMessage
}

// A Told is an entry that a delivery brought for the owner of a rollout to append.
type Told struct {
	N       int64 // grows in the order in which deliveries were kept, over all rollouts
	Rollout string

	Delivery, Source, By string

	Entry
}

// seal makes a record of an entry. Beside what a journal refuses, that is data which PostgreSQL cannot keep.
func seal(prev journal.Record, e Entry) (journal.Record, error) {
	if _, err := nanos(e.At); err != nil {
		return journal.Record{}, fmt.Errorf("record %q: %w", e.Kind, err)
	}
	r, _, err := journal.Seal(prev, e.At, e.Kind, e.Data)
	if err != nil {
		return journal.Record{}, err
	}
	if !utf8.Valid(r.Data) {
		return journal.Record{}, fmt.Errorf("data of a record %q is not UTF-8", e.Kind)
	}
	return r, nil
}

func (d Delivery) check() error {
	err := errors.Join(text("delivery ID", d.ID), text("source of the delivery", d.Source))
	if d.By != "" {
		err = errors.Join(err, text("sender of the delivery", d.By))
	}
	if len(d.Body) > MaxBody {
		err = errors.Join(err, fmt.Errorf("the body of the delivery has %d bytes, and %d are allowed", len(d.Body), MaxBody))
	}
	_, timeErr := nanos(d.At)
	return errors.Join(err, timeErr)
}

// Accept keeps a delivery. With an opening, the rollout and its first records appear in the same transaction; the zero
// Opening is none. Once it returns without an error the sender may be told that all is well.
//
// A repeat of the same delivery ID changes nothing, and returns the rollout that the first one brought about, with dup
// true, also when the target is busy now or the opening is another one. These keep nothing: a *BusyError with the
// rollout that is open, ErrExists if the name is taken, ErrFull with MaxOpen open rollouts. After any other error it is
// not known whether the delivery was kept, and the call may be repeated.
func (s *Store) Accept(ctx context.Context, d Delivery, o Opening) (rollout string, dup bool, err error) {
	opens := o.Rollout != "" || o.Target != "" || len(o.Records) > 0
	if err := d.check(); err != nil {
		return "", false, fmt.Errorf("accept a delivery: %w", err)
	}
	var records []journal.Record
	if opens {
		if records, err = o.seal(); err != nil {
			return "", false, fmt.Errorf("accept delivery %s: %w", d.ID, err)
		}
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		rollout, dup, err = keep(ctx, tx, d, o.Rollout, nil, nil)
		if err != nil || dup || !opens {
			return err
		}
		return s.open(ctx, tx, o, records)
	})
	if err != nil {
		return "", false, fmt.Errorf("accept delivery %s: %w", d.ID, err)
	}
	if opens && !dup {
		s.hint(rollout)
	}
	return rollout, dup, nil
}

func (o Opening) seal() ([]journal.Record, error) {
	if err := errors.Join(named(o.Rollout), text("target of the rollout", o.Target)); err != nil {
		return nil, err
	}
	if len(o.Records) == 0 {
		return nil, fmt.Errorf("rollout %s begins without a record; give it one that says what is opened", o.Rollout)
	}
	var records []journal.Record
	var last journal.Record
	for _, e := range o.Records {
		r, err := seal(last, e)
		if err != nil {
			return nil, err
		}
		records, last = append(records, r), r
	}
	return records, nil
}

// keep puts a delivery into the inbox, unless it is there already: then it says with which rollout.
func keep(ctx context.Context, tx *sql.Tx, d Delivery, rollout string, n *int64, e *journal.Record) (string, bool, error) {
	at, err := nanos(d.At)
	if err != nil {
		return "", false, err
	}
	body := d.Body
	if body == nil {
		body = []byte{}
	}
	var entryAt, kind, data any
	if e != nil {
		entryAt, kind, data = e.At.UnixNano(), e.Kind, string(e.Data)
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO golive_inbox (delivery, source, sender, at_ns, body, rollout, n, entry_ns, kind, data)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (delivery) DO NOTHING`,
		d.ID, d.Source, d.By, at, body, rollout, n, entryAt, kind, data)
	if err != nil {
		return "", false, err
	}
	if kept, err := result.RowsAffected(); err != nil || kept == 1 {
		return rollout, false, err
	}
	var first string
	err = tx.QueryRowContext(ctx, `SELECT rollout FROM golive_inbox WHERE delivery = $1`, d.ID).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, errAgain // it was archived in between
	}
	return first, err == nil, err
}

func (s *Store) open(ctx context.Context, tx *sql.Tx, o Opening, records []journal.Record) error {
	result, err := tx.ExecContext(ctx, `
		INSERT INTO golive_rollouts (id, target, session, fence, done, began_ns)
		VALUES ($1, $2, NULL, 0, 0, $3) ON CONFLICT DO NOTHING`, o.Rollout, o.Target, records[0].At.UnixNano())
	if err != nil {
		return err
	}
	if opened, err := result.RowsAffected(); err != nil {
		return err
	} else if opened == 0 {
		return whyNot(ctx, tx, o)
	}
	var open int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM golive_rollouts WHERE done = 0`).Scan(&open); err != nil {
		return err
	}
	if open > s.maxOpen {
		return fmt.Errorf("%w: %d are allowed; wait until some are over", ErrFull, s.maxOpen)
	}
	for _, r := range records {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO golive_journal (rollout, seq, fence, at_ns, kind, data, hash) VALUES ($1, $2, 0, $3, $4, $5, $6)`,
			o.Rollout, r.Seq, r.At.UnixNano(), r.Kind, string(r.Data), r.Hash); err != nil {
			return err
		}
	}
	return nil
}

// whyNot says what keeps a rollout from being opened.
func whyNot(ctx context.Context, tx *sql.Tx, o Opening) error {
	var other string
	err := tx.QueryRowContext(ctx, `SELECT id FROM golive_rollouts WHERE target = $1 AND done = 0`, o.Target).Scan(&other)
	if err == nil && other != o.Rollout {
		return &BusyError{o.Target, other}
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	err = tx.QueryRowContext(ctx, `SELECT id FROM golive_rollouts WHERE id = $1`, o.Rollout).Scan(&other)
	if errors.Is(err, sql.ErrNoRows) {
		return errAgain // what was in the way is over by now
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("rollout %s: %w; choose another name", o.Rollout, ErrExists)
}

// Tell keeps a delivery for an open rollout (ErrOver: it was finished): e is what its owner is to append, in order. A repeat of the same
// delivery ID changes nothing, and dup is true. The error is ErrNoRollout if there is no such rollout; after any other
// it is not known whether the delivery was kept, and the call may be repeated.
func (s *Store) Tell(ctx context.Context, d Delivery, rollout string, e Entry) (dup bool, err error) {
	if err := d.check(); err != nil {
		return false, fmt.Errorf("tell rollout %s: %w", rollout, err)
	}
	// It is made a record only to see that its owner will be able to append it, and to have its data without white space.
	r, err := seal(journal.Record{}, e)
	if err != nil {
		return false, fmt.Errorf("tell rollout %s: %w", rollout, err)
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		var known, n int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM golive_rollouts WHERE id = $1`, rollout).Scan(&known); err != nil {
			return err
		}
		if known == 0 {
			return ErrNoRollout
		}
		// Whoever has this row is alone until the commit. So numbers become visible in their order, and a reader that has
		// seen one will not miss a smaller one. A repeat leaves a gap, which harms nobody.
		if err := tx.QueryRowContext(ctx, `UPDATE golive_counter SET n = n + 1 RETURNING n`).Scan(&n); err != nil {
			return err
		}
		if _, dup, err = keep(ctx, tx, d, rollout, &n, &r); err != nil || dup {
			return err
		}
		var open int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM golive_rollouts WHERE id = $1 AND done = 0`, rollout).Scan(&open); err != nil {
			return err
		}
		if open == 0 {
			return ErrOver
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("tell rollout %s: %w", rollout, err)
	}
	if !dup {
		s.hint(rollout)
	}
	return dup, nil
}

// Amend keeps a delivery for a rollout that was finished, and appends its entry to the records at once, for nobody owns the
// rollout any more: what people say of it when it is over. The record is not from before the last one. A repeat of the same
// delivery ID changes nothing, and dup is true. These keep nothing: ErrOpen if it was not finished, ErrNoRollout. After any
// other error it is not known whether the delivery was kept, and the call may be repeated.
func (s *Store) Amend(ctx context.Context, d Delivery, rollout string, e Entry) (dup bool, err error) {
	if err := d.check(); err != nil {
		return false, fmt.Errorf("amend rollout %s: %w", rollout, err)
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		// Whoever has this row is alone until the commit: no other record takes the same place, and no archive goes on.
		result, err := tx.ExecContext(ctx, `UPDATE golive_rollouts SET done = 1 WHERE id = $1 AND done = 1`, rollout)
		if err != nil {
			return err
		}
		if finished, err := result.RowsAffected(); err != nil {
			return err
		} else if finished == 0 {
			return whyNoAmendment(ctx, tx, rollout)
		}
		if _, dup, err = keep(ctx, tx, d, rollout, nil, nil); err != nil || dup {
			return err
		}
		var last journal.Record
		var fence, at int64
		err = tx.QueryRowContext(ctx, `SELECT seq, fence, at_ns, hash FROM golive_journal WHERE rollout = $1 ORDER BY seq DESC LIMIT 1`, rollout).
			Scan(&last.Seq, &fence, &at, &last.Hash)
		if err != nil {
			return err
		}
		if before := timeOf(at); e.At.Before(before) {
			e.At = before
		}
		r, err := seal(last, e)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO golive_journal (rollout, seq, fence, at_ns, kind, data, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			rollout, r.Seq, fence, r.At.UnixNano(), r.Kind, string(r.Data), r.Hash)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("amend rollout %s: %w", rollout, err)
	}
	if !dup {
		s.hint(rollout)
	}
	return dup, nil
}

// whyNoAmendment says why a rollout cannot be amended.
func whyNoAmendment(ctx context.Context, tx *sql.Tx, rollout string) error {
	var done int64
	err := tx.QueryRowContext(ctx, `SELECT done FROM golive_rollouts WHERE id = $1`, rollout).Scan(&done)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && done > 1:
		return ErrNoRollout // or it is on its way into the archive
	case err != nil:
		return err
	case done == 1:
		return errAgain // it was finished in between
	}
	return ErrOpen
}

// MaxTold is how many Told one call of Delivered returns at most.
const MaxTold = 1000

const toldColumns = `i.n, i.rollout, i.delivery, i.source, i.sender, i.entry_ns, i.kind, i.data`

// Delivered returns what was told to the open rollouts that a session owns, in the order of N, with N greater than
// after: the oldest MaxTold of them. What was told to a rollout before it was claimed is in Pending, and may be in both:
// a caller knows it by N or by the ID of the delivery.
func (s *Store) Delivered(ctx context.Context, session *Session, after int64) ([]Told, error) {
	told, err := s.told(ctx, `SELECT `+toldColumns+` FROM golive_inbox i JOIN golive_rollouts r ON r.id = i.rollout
		WHERE i.n > $1 AND r.session = $2 AND r.done = 0 ORDER BY i.n LIMIT $3`, after, session.id, MaxTold)
	if err != nil {
		return nil, fmt.Errorf("look for what was told: %w", err)
	}
	return told, nil
}

// Pending returns all that was ever told to one rollout, in the order of N, for an owner that takes over: what of it has
// become a record already is for the owner to see from the records.
func (s *Store) Pending(ctx context.Context, rollout string) ([]Told, error) {
	told, err := s.told(ctx, `SELECT `+toldColumns+` FROM golive_inbox i
		WHERE i.rollout = $1 AND i.n IS NOT NULL ORDER BY i.n`, rollout)
	if err != nil {
		return nil, fmt.Errorf("look for what was told to rollout %s: %w", rollout, err)
	}
	return told, nil
}

func (s *Store) told(ctx context.Context, query string, args ...any) ([]Told, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says it all
	var all []Told
	for rows.Next() {
		var t Told
		var at int64
		var data string
		if err := rows.Scan(&t.N, &t.Rollout, &t.Delivery, &t.Source, &t.By, &at, &t.Kind, &data); err != nil {
			return nil, err
		}
		t.At, t.Data = timeOf(at), json.RawMessage(data)
		all = append(all, t)
	}
	return all, rows.Err()
}

// Kept returns a delivery as it came in, and the rollout that it opened or told, if any; false says that there is none of
// this ID.
func (s *Store) Kept(ctx context.Context, id string) (d Delivery, rollout string, found bool, err error) {
	var at int64
	err = s.ro.QueryRowContext(ctx, `SELECT delivery, source, sender, at_ns, body, rollout FROM golive_inbox WHERE delivery = $1`, id).
		Scan(&d.ID, &d.Source, &d.By, &at, &d.Body, &rollout)
	if errors.Is(err, sql.ErrNoRows) {
		return Delivery{}, "", false, nil
	}
	if err != nil {
		return Delivery{}, "", false, fmt.Errorf("look for delivery %s: %w", id, s.explain(err))
	}
	d.At = timeOf(at)
	return d, rollout, true, nil
}
