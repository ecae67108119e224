package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Waits are what deploy tools wait for an answer to. Each is kept under a key from when it was heard until long after it
// was answered, and one process at a time goes on with it: whoever has claimed it, until that process stands still for a
// ttl. Every change of one gives it another version, and is refused to whoever knows only an older one; so a process that
// was replaced writes nothing more. Methods may be called from several goroutines, and repeated after any error.
type Waits struct {
	store *Store
	node  string
	ttl   time.Duration

	mu      sync.Mutex
	session *Session // nil: not joined yet
}

// Waits are those of the store, claimed for a process named node. The process has a session of its own for them, which
// Claim keeps: call that about every quarter of the ttl.
func (s *Store) Waits(node string, ttl time.Duration) *Waits {
	return &Waits{store: s, node: node, ttl: ttl}
}

// Read returns what is kept under a key, and its version; 0: nothing is.
func (w *Waits) Read(ctx context.Context, key string) (version int64, body []byte, err error) {
	err = w.store.db.QueryRowContext(ctx, `SELECT version, body FROM golive_waits WHERE id = $1`, key).Scan(&version, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the wait %s: %w", key, w.store.explain(err))
	}
	return version, body, nil
}

// Offer keeps a wait that nobody goes on with yet, in place of the version that is there; 0: there is none. False says
// that another version is there by now, and nothing was changed. Once it is true whoever waits may be told so.
func (w *Waits) Offer(ctx context.Context, key string, version int64, body []byte) (kept bool, err error) {
	if err := errors.Join(text("key of the wait", key), bounded(body)); err != nil {
		return false, err
	}
	query := `UPDATE golive_waits SET version = version + 1, body = $3, at_ns = $4, session = NULL, done = 0 WHERE id = $1 AND version = $2`
	if version == 0 {
		query = `INSERT INTO golive_waits (id, version, body, at_ns, done) VALUES ($1, CAST($2 AS BIGINT) + 1, $3, $4, 0) ON CONFLICT (id) DO NOTHING`
	}
	n, err := w.store.affected(ctx, query, key, version, body, time.Now().UnixNano())
	if err != nil {
		return false, fmt.Errorf("keep the wait %s: %w", key, err)
	}
	return n == 1, nil
}

// Claim takes all waits that are not answered and that no living process goes on with, and hands each to take. Those that
// this process goes on with already, which held says, are left to it; one that it has claimed and does not hold, since an
// answer of the store was lost, is handed to it again. What another process takes at the same instant is left to that.
func (w *Waits) Claim(ctx context.Context, held func(key string) bool, take func(key string, version int64, body []byte)) error {
	x, err := w.join(ctx)
	if err != nil {
		return err
	}
	x.claiming.Lock()
	err = x.reap(ctx)
	x.claiming.Unlock()
	if err != nil {
		return fmt.Errorf("look for waits: %w", w.store.explain(err))
	}
	free, err := w.free(ctx, x)
	if err != nil {
		return fmt.Errorf("look for waits: %w", w.store.explain(err))
	}
	for _, f := range free {
		if held(f.key) {
			continue
		}
		var body []byte
		err := w.store.db.QueryRowContext(ctx, `UPDATE golive_waits SET session = $1, version = version + 1
			WHERE id = $2 AND version = $3 AND done = 0 AND EXISTS (SELECT 1 FROM golive_sessions s WHERE s.id = $1)
			RETURNING body`, x.id, f.key, f.version).Scan(&body)
		switch {
		case errors.Is(err, sql.ErrNoRows): // another process was first
		case err != nil:
			return fmt.Errorf("claim the wait %s: %w", f.key, w.store.explain(err))
		default:
			take(f.key, f.version+1, body)
		}
	}
	return nil
}

// join keeps the session alive, or begins one.
func (w *Waits) join(ctx context.Context) (*Session, error) {
	w.mu.Lock()
	x := w.session
	w.mu.Unlock()
	if x != nil {
		if err := x.Beat(ctx); !errors.Is(err, ErrLapsed) {
			return x, err
		}
	}
	x, err := w.store.Join(ctx, w.node, w.ttl)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.session = x
	return x, nil
}

type freeWait struct {
	key     string
	version int64
}

// free are the waits that the session may claim, or has, the oldest first.
func (w *Waits) free(ctx context.Context, x *Session) (all []freeWait, err error) {
	rows, err := w.store.db.QueryContext(ctx, `SELECT w.id, w.version FROM golive_waits w WHERE w.done = 0
		AND (w.session IS NULL OR w.session = $1 OR NOT EXISTS (SELECT 1 FROM golive_sessions s WHERE s.id = w.session))
		ORDER BY w.at_ns, w.id`, x.id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it all
	for rows.Next() {
		var f freeWait
		if err := rows.Scan(&f.key, &f.version); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

// Keep writes down how far the owner of a wait is with it, in place of the version that it knows; the new one is greater
// by one. Done says that it was answered, and nobody claims it again. False says that somebody else goes on with it, or
// that something else is waited for under its key: let go of it.
func (w *Waits) Keep(ctx context.Context, key string, version int64, body []byte, done bool) (kept bool, err error) {
	if err := bounded(body); err != nil {
		return false, err
	}
	over := 0
	if done {
		over = 1
	}
	// A process whose session lapsed, and that nobody has replaced, goes on under the next one.
	var session sql.NullString
	w.mu.Lock()
	if w.session != nil {
		session = sql.NullString{String: w.session.id, Valid: true}
	}
	w.mu.Unlock()
	n, err := w.store.affected(ctx, `UPDATE golive_waits SET version = version + 1, body = $3, at_ns = $4, done = $5, session = $6 WHERE id = $1 AND version = $2`,
		key, version, body, time.Now().UnixNano(), over, session)
	if err != nil {
		return false, fmt.Errorf("keep the wait %s: %w", key, err)
	}
	return n == 1, nil
}

// Forget removes what was answered before a time.
func (w *Waits) Forget(ctx context.Context, before time.Time) error {
	until, err := nanos(before)
	if err == nil {
		_, err = w.store.affected(ctx, `DELETE FROM golive_waits WHERE done = 1 AND at_ns < $1`, until)
	}
	if err != nil {
		return fmt.Errorf("forget old waits: %w", err)
	}
	return nil
}

// Leave lets other processes claim at once what this one goes on with. Stop going on with it before.
func (w *Waits) Leave(ctx context.Context) error {
	w.mu.Lock()
	x := w.session
	w.session = nil
	w.mu.Unlock()
	if x == nil {
		return nil
	}
	return x.Leave(ctx)
}

// bounded says what keeps a body from being kept.
func bounded(body []byte) error {
	if len(body) > MaxBody {
		return fmt.Errorf("the wait has %d bytes, and %d are allowed", len(body), MaxBody)
	}
	return nil
}
