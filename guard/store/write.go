package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/golive-dev/golive/guard/journal"
)

const (
	// Patience is how long Append waits for the store to answer.
	Patience = 2 * time.Second

	maxBatch      = 256     // records that are written by one statement
	maxBatchBytes = 4 << 20 // of their data, beside the first one
	retryAfter    = 20 * time.Millisecond
)

// An appending is a record on its way.
type appending struct {
	rollout string
	fence   int64
	prev    string
	record  journal.Record

	until  time.Time
	answer chan error // has room for the one answer, so that nobody waits for who has given up
	cause  atomic.Pointer[error]
}

// append writes a record and waits for the answer. An error that is neither ErrFenced nor ErrAway means that the record
// was not kept.
func (s *Store) append(l *Lease, r journal.Record) error {
	p := &appending{
		rollout: l.Rollout, fence: l.Fence, prev: l.head.Hash, record: r,
		until: time.Now().Add(Patience), answer: make(chan error, 1),
	}
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case s.queue <- p:
	case <-timer.C:
		return fmt.Errorf("%w for %s: its queue is full", ErrAway, Patience)
	case <-s.closing.Done():
		return fmt.Errorf("%w: it is closed: %w", ErrAway, os.ErrClosed)
	}
	select {
	case err := <-p.answer:
		if errors.Is(err, ErrFenced) {
			l.letGo()
		}
		return err
	case <-timer.C:
	case <-s.closing.Done():
		return fmt.Errorf("%w: it is closed: %w", ErrAway, os.ErrClosed)
	}
	if cause := p.cause.Load(); cause != nil {
		return fmt.Errorf("%w for %s: %w", ErrAway, Patience, *cause)
	}
	return fmt.Errorf("%w for %s", ErrAway, Patience)
}

// write takes what waits, and writes it with one statement. What comes in meanwhile is the next batch.
func (s *Store) write() {
	for {
		var first *appending
		select {
		case first = <-s.queue:
		case <-s.closing.Done():
			return
		}
		batch, size := []*appending{first}, 0
	fill:
		for len(batch) < maxBatch && size < maxBatchBytes {
			select {
			case p := <-s.queue:
				batch = append(batch, p)
				size += len(p.record.Data)
			default:
				break fill
			}
		}
		s.flush(batch)
	}
}

// flush writes a batch, again and again until each record has its answer or nobody waits for one any more.
func (s *Store) flush(batch []*appending) {
	for {
		batch = waiting(batch)
		if len(batch) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(s.closing, Patience)
		left, err := s.insert(ctx, batch)
		cancel()
		switch {
		case err == nil && len(left) == 0:
			return
		case err != nil && s.engine.refused(err) && len(left) == 1:
			left[0].answer <- err
			return
		case err != nil && s.engine.refused(err):
			// One that is refused does not take the others with it.
			for _, p := range left {
				s.flush([]*appending{p})
			}
			return
		}
		if err != nil {
			for _, p := range left {
				p.cause.Store(&err)
			}
		}
		batch = left
		select {
		case <-time.After(retryAfter):
		case <-s.closing.Done():
			return
		}
	}
}

// waiting are those that somebody still waits for. Whoever has given up repeats the record or stops.
func waiting(batch []*appending) []*appending {
	now := time.Now()
	var left []*appending
	for _, p := range batch {
		if now.Before(p.until) {
			left = append(left, p)
		}
	}
	return left
}

// identity is what a record is known by in the store. The hash alone would do for its content, but another owner may have
// had the same to say.
type identity struct {
	rollout string
	seq     int64
	fence   int64
	hash    string
}

func (p *appending) identity() identity {
	return identity{p.rollout, p.record.Seq, p.fence, p.record.Hash}
}

// insertion is the statement that inserts of a batch what may be inserted, and returns that.
//
// The subqueries go by primary key, and are no joins: a planner that has no statistics yet chose scans for those. Where
// the engine has several writers, {share} holds the row of the rollout, as it is now and not as it was when the statement
// began, until the record is committed: a claim waits for that, and so does not miss a record of the owner before.
func (s *Store) insertion(batch []*appending) (query string, args []any) {
	values, args := s.engine.batch(batch)
	return s.engine.dialect(`
		WITH v (rollout, seq, fence, at_ns, kind, data, hash, prev) AS (` + values + `)
		INSERT INTO golive_journal (rollout, seq, fence, at_ns, kind, data, hash)
		SELECT v.rollout, v.seq, v.fence, v.at_ns, v.kind, v.data, v.hash FROM v
		WHERE v.fence = (SELECT r.fence FROM golive_rollouts r WHERE r.id = v.rollout AND r.done = 0 {share})
		AND v.prev = (SELECT p.hash FROM golive_journal p WHERE p.rollout = v.rollout AND p.seq = v.seq - 1)
		ON CONFLICT DO NOTHING
		RETURNING rollout, seq, fence, hash`), args
}

// insert writes a batch, and answers those of whom it learns what came of them. It returns the others.
func (s *Store) insert(ctx context.Context, batch []*appending) (left []*appending, err error) {
	query, args := s.insertion(batch)
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return batch, err
	}
	defer func() { _ = rows.Close() }()
	kept := make(map[identity]bool, len(batch))
	for rows.Next() {
		var i identity
		if err := rows.Scan(&i.rollout, &i.seq, &i.fence, &i.hash); err != nil {
			return batch, err
		}
		kept[i] = true
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return batch, err
	}
	for _, p := range batch {
		if kept[p.identity()] {
			p.answer <- nil
			continue
		}
		decided, why, judgeErr := s.judge(ctx, p)
		if judgeErr != nil {
			err = judgeErr
		}
		if decided {
			p.answer <- why
		} else {
			left = append(left, p)
		}
	}
	return left, err
}

// judge finds out why a record was not inserted. Nil as the reason says that it is kept, by a statement whose answer was
// lost.
func (s *Store) judge(ctx context.Context, p *appending) (decided bool, why error, err error) {
	var fence, done int64
	var fenceHere sql.NullInt64
	var here, before sql.NullString
	err = s.db.QueryRowContext(ctx, `
		SELECT r.fence, r.done, j.fence, j.hash, b.hash FROM golive_rollouts r
		LEFT JOIN golive_journal j ON j.rollout = r.id AND j.seq = $2
		LEFT JOIN golive_journal b ON b.rollout = r.id AND b.seq = $2 - 1
		WHERE r.id = $1`, p.rollout, p.record.Seq).Scan(&fence, &done, &fenceHere, &here, &before)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return true, fmt.Errorf("%w: the store does not have it any more", ErrFenced), nil
	case err != nil:
		return false, nil, err
	case here.String == p.record.Hash && fenceHere.Int64 == p.fence:
		return true, nil, nil
	case fence != p.fence:
		return true, fmt.Errorf("%w: it has the fence %d, and this owner's was %d", ErrFenced, fence, p.fence), nil
	case done != 0:
		return true, fmt.Errorf("%w: it is over", ErrFenced), nil
	case here.Valid:
		return true, fmt.Errorf("%w: there is another record %d", ErrFenced, p.record.Seq), nil
	case before.String != p.prev:
		return true, fmt.Errorf("%w: the store has lost record %d, which was kept before", ErrFenced, p.record.Seq-1), nil
	}
	// What kept it out is gone since.
	return false, nil, nil
}
