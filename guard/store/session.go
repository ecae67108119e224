package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard/journal"
)

// MinTTL is the shortest time to live of a session. STORE.md proposes 15 s.
const MinTTL = time.Second

// A Session is the life of one process, as other processes see it: they take over its rollouts once it stands still for
// a ttl. Its methods may be called from several goroutines.
type Session struct {
	store *Store
	id    string
	node  string
	ttl   time.Duration

	beating sync.Mutex // one beat at a time, for the answer of an older one may come later

	mu       sync.Mutex
	deadline time.Duration // on the clock of store.elapsed
	over     bool          // for ever

	claiming   sync.Mutex
	leases     map[string]*Lease // by rollout; guarded by mu
	doubt      bool              // a lease was fenced, and the store may still name the session as the owner; guarded by mu
	unanswered bool              // a claim was, and its rollouts have no lease; guarded by claiming, like what follows
	seen       map[string]observation
	looked     time.Duration // when the sessions were last seen
}

// gapAllowed is how long an observer may be busy with itself and go on observing, where half a ttl is less.
const gapAllowed = 2 * time.Second

// An observation is the beat at which another session was seen, and since when, by the observer's own clock.
type observation struct {
	beats int64
	since time.Duration
}

// Join begins the life of a process named node. Call Beat about every quarter of the ttl: the session is valid for 4/5 of
// it after the last beat that was answered. Others need up to a ttl, and the time between two of their claims, to see
// that it stands still. A Join whose answer was lost leaves a session behind that owns nothing, until others remove it.
func (s *Store) Join(ctx context.Context, node string, ttl time.Duration) (*Session, error) {
	if err := text("name of the node", node); err != nil {
		return nil, fmt.Errorf("join the store: %w", err)
	}
	if ttl < MinTTL {
		return nil, fmt.Errorf("join the store: a session that lives %s is too short; %s is the least", ttl, MinTTL)
	}
	x := &Session{
		store: s, id: rand.Text(), node: node, ttl: ttl,
		leases: map[string]*Lease{}, seen: map[string]observation{},
	}
	sent := s.elapsed()
	_, err := s.affected(ctx, `INSERT INTO golive_sessions (id, node, beats, ttl_ms) VALUES ($1, $2, 1, $3)`, x.id, node, ttl.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("join the store: %w", err)
	}
	x.deadline = sent + validity(ttl)
	return x, nil
}

// validity is how long a session is valid after a beat was sent. What is left of the ttl is for the clocks of two
// machines to run at a different pace, and for what the owner began at the last moment.
func validity(ttl time.Duration) time.Duration { return ttl * 4 / 5 }

// ID is unlike that of any other session.
func (x *Session) ID() string { return x.id }

// Valid says whether this process may still act for what it owns. Once it is false it is false for ever.
func (x *Session) Valid() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.valid()
}

func (x *Session) valid() bool {
	if x.store.elapsed() >= x.deadline {
		x.over = true
	}
	return !x.over
}

// Deadline is until when the session is valid if no further beat is answered; it has a monotonic reading. A time in the
// past if the session is over.
func (x *Session) Deadline() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	left := x.deadline - x.store.elapsed()
	if !x.valid() {
		left = min(left, 0)
	}
	return time.Now().Add(left)
}

// Beat says that the process lives. After an error the session is as valid as before, and Beat may be called again at
// once; but ErrLapsed is for ever: whatever the process drives it must stop driving, and join anew.
func (x *Session) Beat(ctx context.Context) error {
	x.beating.Lock()
	defer x.beating.Unlock()
	if !x.Valid() {
		return fmt.Errorf("keep the session of %s: %w; join anew", x.node, ErrLapsed)
	}
	sent := x.store.elapsed()
	kept, err := x.store.affected(ctx, `UPDATE golive_sessions SET beats = beats + 1 WHERE id = $1`, x.id)
	if err != nil {
		return fmt.Errorf("keep the session of %s: %w", x.node, err)
	}
	x.mu.Lock()
	valid := x.valid() && kept == 1
	if valid {
		x.deadline = sent + validity(x.ttl)
	}
	x.over = !valid
	x.mu.Unlock()
	if valid {
		return nil
	}
	err = fmt.Errorf("keep the session of %s: %w; join anew", x.node, ErrLapsed)
	if kept == 1 {
		// The beat came too late for this process and looks fresh to others, who would wait for another ttl.
		err = errors.Join(err, x.remove(ctx))
	}
	return err
}

// Leave ends the session: others may claim what it owns at once. Stop driving that before. It may be repeated.
func (x *Session) Leave(ctx context.Context) error {
	x.mu.Lock()
	x.over = true
	x.mu.Unlock()
	return x.remove(ctx)
}

func (x *Session) remove(ctx context.Context) error {
	if _, err := x.store.affected(ctx, `DELETE FROM golive_sessions WHERE id = $1`, x.id); err != nil {
		return fmt.Errorf("end the session of %s: %w", x.node, err)
	}
	return nil
}

// Claim makes a session the owner of rollouts that are open and have none, at most max of them, and returns a lease for
// each. What dead processes own has no owner: Claim looks at the sessions of others, and removes those whose beats stood
// still for their whole ttl. So call it regularly, more often than twice in a ttl, also when there is nothing to drive:
// after a longer gap it begins to observe anew. ErrLapsed if the session is over. After another error it is not known
// what was claimed; the next Claim finds that out.
func (s *Store) Claim(ctx context.Context, session *Session, max int) ([]*Lease, error) {
	x := session
	x.claiming.Lock()
	defer x.claiming.Unlock()
	if !x.Valid() {
		return nil, fmt.Errorf("claim rollouts for %s: %w; join anew", x.node, ErrLapsed)
	}
	leases, err := x.claim(ctx, max)
	if err != nil {
		return nil, fmt.Errorf("claim rollouts for %s: %w", x.node, s.explain(err))
	}
	return leases, nil
}

func (x *Session) claim(ctx context.Context, max int) ([]*Lease, error) {
	if err := x.reap(ctx); err != nil {
		return nil, err
	}
	if err := x.settle(ctx); err != nil {
		return nil, err
	}
	x.unanswered = true
	claimed, err := x.take(ctx, max)
	if err != nil {
		return nil, err
	}
	if err := x.heads(ctx, claimed); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unanswered = false
	for _, l := range claimed {
		x.leases[l.Rollout] = l
	}
	return claimed, nil
}

// reap removes the sessions of others that have stood still.
func (x *Session) reap(ctx context.Context) error {
	sent := x.store.elapsed()
	rows, err := x.store.db.QueryContext(ctx, `SELECT id, beats, ttl_ms FROM golive_sessions WHERE id <> $1`, x.id)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it all
	gap := sent - x.looked
	now := map[string]observation{}
	var still []string
	for rows.Next() {
		var id string
		var beats, ms int64
		if err := rows.Scan(&id, &beats, &ms); err != nil {
			return err
		}
		ttl := time.Duration(ms) * time.Millisecond
		o, known := x.seen[id]
		switch {
		case !known || o.beats != beats || gap > max(ttl/2, min(ttl, gapAllowed)):
			o = observation{beats, -1}
		case sent-o.since >= ttl:
			still = append(still, id)
		}
		now[id] = o
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	// What was seen now was so at some instant between asking and the answer: it counts from the later one.
	x.looked = x.store.elapsed()
	for id, o := range now {
		if o.since < 0 {
			now[id] = observation{o.beats, x.looked}
		}
	}
	x.seen = now
	for _, id := range still {
		if _, err := x.store.affected(ctx, `DELETE FROM golive_sessions WHERE id = $1 AND beats = $2`, id, now[id].beats); err != nil {
			return err
		}
	}
	return nil
}

// settle gives back the rollouts that the session owns without a lease, since the answer to a claim was lost or a lease
// was fenced by something else than a new owner. They are claimed anew, under a new fence, like all others.
func (x *Session) settle(ctx context.Context) error {
	x.mu.Lock()
	x.unanswered = x.unanswered || x.doubt
	x.doubt = false
	x.mu.Unlock()
	if !x.unanswered {
		return nil
	}
	rows, err := x.store.db.QueryContext(ctx, `SELECT id FROM golive_rollouts WHERE session = $1 AND done = 0`, x.id)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it all
	var lost []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		x.mu.Lock()
		if x.leases[id] == nil {
			lost = append(lost, id)
		}
		x.mu.Unlock()
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, id := range lost {
		if _, err := x.store.affected(ctx, `UPDATE golive_rollouts SET session = NULL, fence = fence + 1 WHERE id = $1 AND session = $2 AND done = 0`, id, x.id); err != nil {
			return err
		}
	}
	x.unanswered = false
	return nil
}

// take is one statement, so that a process which is paused around it holds nobody up. A row that is locked is left for
// the next claim: somebody else claims it, or its former owner appends to it at this instant.
func (x *Session) take(ctx context.Context, max int) ([]*Lease, error) {
	rows, err := x.store.db.QueryContext(ctx, x.store.engine.dialect(`
		WITH free AS MATERIALIZED (
			SELECT r.id FROM golive_rollouts r
			WHERE r.done = 0 AND (r.session IS NULL OR NOT EXISTS (SELECT 1 FROM golive_sessions s WHERE s.id = r.session))
			ORDER BY r.id LIMIT $3 {skip}
		)
		UPDATE golive_rollouts SET session = $1, fence = (
			SELECT MAX(f.fence) FROM (
				SELECT CAST($2 AS BIGINT) AS fence
				UNION ALL SELECT MAX(t.fence) + 1 FROM golive_rollouts t WHERE t.target = golive_rollouts.target
				UNION ALL SELECT a.fence + 1 FROM golive_fences a WHERE a.target = golive_rollouts.target
			) f
		)
		WHERE id IN (SELECT id FROM free) AND EXISTS (SELECT 1 FROM golive_sessions s WHERE s.id = $1)
		RETURNING id, target, fence`), x.id, time.Now().UnixMilli(), max)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it all
	var claimed []*Lease
	for rows.Next() {
		l := &Lease{session: x}
		if err := rows.Scan(&l.Rollout, &l.Target, &l.Fence); err != nil {
			return nil, err
		}
		claimed = append(claimed, l)
	}
	return claimed, errors.Join(rows.Err(), rows.Close())
}

// heads finds the last record of each rollout that was claimed. It is a statement of its own, after the claim: one that
// the former owner appended just before is not yet seen by the claim itself.
func (x *Session) heads(ctx context.Context, claimed []*Lease) error {
	if len(claimed) == 0 {
		return nil
	}
	byName := map[string]*Lease{}
	names := []string{}
	for _, l := range claimed {
		byName[l.Rollout] = l
		names = append(names, l.Rollout)
	}
	list, err := json.Marshal(names)
	if err != nil {
		return err
	}
	rows, err := x.store.db.QueryContext(ctx, x.store.engine.dialect(`
		SELECT j.rollout, j.seq, j.hash FROM {names} JOIN golive_journal j ON j.rollout = l.value
			AND j.seq = (SELECT MAX(m.seq) FROM golive_journal m WHERE m.rollout = l.value)`), string(list))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it all
	for rows.Next() {
		var rollout string
		var head journal.Record
		if err := rows.Scan(&rollout, &head.Seq, &head.Hash); err != nil {
			return err
		}
		byName[rollout].head = head
	}
	return errors.Join(rows.Err(), rows.Close())
}

// forget takes a lease out of what the session holds. Doubt says that the store may still name the session as its owner.
func (x *Session) forget(l *Lease, doubt bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.leases[l.Rollout] == l {
		delete(x.leases, l.Rollout)
	}
	x.doubt = x.doubt || doubt
}
