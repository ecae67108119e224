package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard/journal"
)

// A Lease is the right to append to one rollout, until somebody else has claimed it. It is not the session that decides
// this but the fence: an owner whose session lapsed may still write down what it did, for as long as there is no other.
// Append is called from one goroutine.
type Lease struct {
	Rollout string
	Target  string
	Fence   int64 // greater than each that the target had before

	session *Session

	mu     sync.Mutex
	head   journal.Record // of the record that the next one follows, its Seq and Hash
	unsure string         // the hash of a record of which it is not known whether it was kept
	over   error          // why nothing can be appended any more
}

// Seq is the number of the last record that is known to be kept: of the last Append, or what the claim found.
func (l *Lease) Seq() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.Seq
}

// Deadline is until when no other process owns the rollout, as far as this one knows: that of the session. It does not
// wait for an Append that is under way.
func (l *Lease) Deadline() time.Time { return l.session.Deadline() }

// Append adds a record, and returns once it is durable. A record that a journal would refuse (broken JSON, or longer than
// journal.MaxRecord), and data that is not UTF-8, is an error that changes nothing.
//
// ErrFenced: the rollout has another owner, or the store lost records of it. Stop; nothing will be appended any more.
//
// ErrAway: the store gave no answer for Patience, and it is not known whether the record was kept. Repeat the same record,
// with the same time, kind and data, before any other: it is kept once. Another one before that is refused with ErrUnsure,
// and changes nothing.
func (l *Lease) Append(at time.Time, kind string, data json.RawMessage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		return l.over
	}
	r, err := seal(l.head, Entry{at, kind, data})
	if err != nil {
		return fmt.Errorf("append to rollout %s: %w", l.Rollout, err)
	}
	if l.unsure != "" && l.unsure != r.Hash {
		return fmt.Errorf("append %q to rollout %s: %w; repeat that one first", kind, l.Rollout, ErrUnsure)
	}
	err = l.session.store.append(l, r)
	switch {
	case err == nil:
		l.head, l.unsure = journal.Record{Seq: r.Seq, Hash: r.Hash}, ""
		l.session.store.hint(l.Rollout)
		return nil
	case errors.Is(err, ErrFenced):
		l.over = fmt.Errorf("append to rollout %s: %w", l.Rollout, err)
		return l.over
	case errors.Is(err, ErrAway):
		l.unsure = r.Hash
		err = fmt.Errorf("%w; repeat the same record", err)
	}
	return fmt.Errorf("append record %d to rollout %s: %w", r.Seq, l.Rollout, err)
}

// Finish says that the rollout is over: nobody claims it again, and its target is free. The last record must be known to
// be kept: ErrUnsure otherwise. ErrFenced as for Append. After another error, or without an answer, it may be repeated.
//
// ErrUntaken: something with an N above told was told to the rollout. It was told to whoever is to be told that it is kept:
// append it, and try again. After Finish nothing is told to the rollout any more.
func (l *Lease) Finish(ctx context.Context, told int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.finish(ctx, told)
	if err != nil {
		return fmt.Errorf("finish rollout %s: %w", l.Rollout, err)
	}
	return nil
}

var errFinished = fmt.Errorf("it was finished: %w", ErrFenced)

func (l *Lease) finish(ctx context.Context, told int64) error {
	if errors.Is(l.over, errFinished) {
		return nil
	}
	if l.over != nil {
		return l.over
	}
	if l.unsure != "" {
		return fmt.Errorf("%w; repeat that one first", ErrUnsure)
	}
	s := l.session.store
	var done int64
	err := s.transact(ctx, func(tx *sql.Tx) error {
		// Whoever has this row is alone: nothing can be told between the question and the end. See Tell.
		if _, err := tx.ExecContext(ctx, `UPDATE golive_counter SET n = n`); err != nil {
			return err
		}
		var untaken int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM golive_inbox WHERE rollout = $1 AND n > $2`, l.Rollout, told).Scan(&untaken); err != nil {
			return err
		}
		if untaken > 0 {
			return ErrUntaken
		}
		result, err := tx.ExecContext(ctx, `
			UPDATE golive_rollouts SET done = 1, session = NULL WHERE id = $1 AND fence = $2 AND done = 0
			AND (SELECT hash FROM golive_journal WHERE rollout = $1 AND seq = $3) = $4`, l.Rollout, l.Fence, l.head.Seq, l.head.Hash)
		if err != nil {
			return err
		}
		done, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return err
	}
	if done == 0 {
		// It may have been done by a call whose answer was lost.
		err := s.db.QueryRowContext(ctx, `SELECT 1 FROM golive_rollouts WHERE id = $1 AND fence = $2 AND done = 1`, l.Rollout, l.Fence).Scan(&done)
		if errors.Is(err, sql.ErrNoRows) {
			l.over = ErrFenced
			l.letGo()
			return l.over
		}
		if err != nil {
			return err
		}
	}
	l.over = errFinished
	l.session.forget(l, false)
	s.hint(l.Rollout)
	return nil
}

// Release gives the rollout back: somebody else, or the same session, may claim it. A record of which it is not known
// whether it was kept may still appear until somebody does. It may be repeated; it is no error if the rollout has
// another owner by now.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		return nil
	}
	if err := l.giveBack(ctx); err != nil {
		return fmt.Errorf("release rollout %s: %w", l.Rollout, err)
	}
	l.over = fmt.Errorf("append to rollout %s: it was released: %w", l.Rollout, ErrFenced)
	l.session.forget(l, false)
	l.session.store.hint(l.Rollout)
	return nil
}

// giveBack moves the fence, so that nothing is appended under this one any more.
func (l *Lease) giveBack(ctx context.Context) error {
	_, err := l.session.store.affected(ctx, `UPDATE golive_rollouts SET session = NULL, fence = fence + 1 WHERE id = $1 AND fence = $2 AND done = 0`, l.Rollout, l.Fence)
	return err
}

// letGo is for a lease that was fenced. The store may still name its session as the owner, where it lost records and no
// other owner came: the next claim finds out.
func (l *Lease) letGo() { l.session.forget(l, true) }
