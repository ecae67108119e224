package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/store"
)

// guarding is one rollout under guard: what was told to it on its way to the engine, and how to end it.
type guarding struct {
	server *Server
	lease  *store.Lease
	log    *slog.Logger

	ctx   context.Context
	stop  context.CancelCauseFunc
	ended chan struct{} // closed when it is not guarded any more

	latest atomic.Pointer[guard.State] // as the engine has it; nil: it has not begun

	mu     sync.Mutex
	told   []store.Told   // not handed on yet, in order
	urgent []guard.Fact   // that the store could not take, and that cannot wait for it
	known  map[int64]bool // places in the inbox that were handed on, or stand in the journal
	wake   chan struct{}  // has room for one: something was told
	back   chan struct{}  // closed while the journal is whole; nil: it is
}

func newGuarding(s *Server, lease *store.Lease) *guarding {
	ctx, stop := context.WithCancelCause(context.Background())
	return &guarding{
		server: s, lease: lease, log: s.Log.With("rollout", lease.Rollout, "fence", lease.Fence),
		ctx: ctx, stop: stop, ended: make(chan struct{}), known: map[int64]bool{}, wake: make(chan struct{}, 1),
	}
}

// run guards the rollout until it is over, and the incident that it became is stood down, until somebody else owns it, or
// until this server gives it up as it is.
func (g *guarding) run(ctx context.Context) {
	defer close(g.ended)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(g.ctx, func() { end(context.Cause(g.ctx)) })()
	state, err := g.guardSafely(ctx)
	over := state.Ended()
	switch {
	case errors.Is(err, engine.ErrFenced) || errors.Is(err, store.ErrFenced):
		g.log.Warn("another server guards it by now")
		return
	case over && err == nil:
		err = g.finish()
	case err == nil:
		err = errors.New("it ended without being over, which is a mistake in golive")
	}
	if err == nil {
		if notice, owed := state.Incident.Owes(guard.DueNotice); owed && notice.Open() {
			g.log.Error("it was stood down, and not everybody who has heard of it could be told: tell them", "heard", state.Incident.Heard)
		}
		g.log.Info("put away", "outcome", state.Outcome, "stood_down", !state.Incident.StoodDown.IsZero())
		return
	}
	if !errors.Is(err, errStoodDown) {
		g.log.Error("not guarded any more", "error", g.server.Clean(err.Error()))
		pause(g.ctx, unreadableFor) // another server, perhaps a newer one, may have more luck; and nobody runs in circles
	}
	g.release(ctx)
}

// unreadableFor is how long a rollout is left alone that could not be guarded.
const unreadableFor = 10 * time.Second

// release gives the rollout back, however often that has to be tried: as long as the session lives and owns what it does
// not guard, nobody else does.
func (g *guarding) release(ctx context.Context) {
	for {
		goodbye, done := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
		err := g.lease.Release(goodbye)
		done()
		switch {
		case err == nil, errors.Is(err, store.ErrFenced):
			return
		case g.ctx.Err() != nil: // the session ends with it
			g.log.Warn("not released: others wait until the session has lapsed", "error", err)
			return
		}
		g.log.Warn("not released yet", "error", err)
		pause(g.ctx, claimEvery)
	}
}

// guardSafely is guard, for which a panic is an error of this rollout alone.
func (g *guarding) guardSafely(ctx context.Context) (state guard.State, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.log.Error("guarding it made golive panic", "panic", p, "stack", string(debug.Stack()))
			state, err = guard.State{}, fmt.Errorf("panic: %v", p)
		}
	}()
	return g.guard(ctx)
}

// asking repeats a question to the store until it is answered: while it is away nobody else can do better.
func (g *guarding) asking(ctx context.Context, ask func(context.Context) error) error {
	for {
		limited, done := context.WithTimeout(ctx, storeAnswers)
		err := ask(limited)
		done()
		var unreadable *unreadableError
		if err == nil || ctx.Err() != nil || errors.As(err, &unreadable) || errors.Is(err, guard.ErrNoRollout) {
			return err
		}
		g.log.Warn("the store does not say what happened so far", "error", err)
		pause(ctx, claimEvery)
	}
}

// storeAnswers is how long one question to the store may take: a connection may be dead and not know it.
const storeAnswers = 10 * time.Second

// finish says that nobody needs to go on with it. What was told to it too late to matter is in its journal all the same:
// the sender was told that it is kept. The store may be away for a while.
func (g *guarding) finish() error {
	for g.ctx.Err() == nil {
		ctx, done := context.WithTimeout(g.ctx, 3*storeAnswers)
		last, err := g.keepRest(ctx)
		if err == nil {
			err = g.lease.Finish(ctx, last)
		}
		done()
		switch {
		case err == nil, errors.Is(err, store.ErrFenced):
			return err
		case errors.Is(err, store.ErrUntaken):
			continue // something was told just now
		}
		g.log.Warn("over, and the store does not take it yet", "error", err)
		pause(g.ctx, time.Second)
	}
	return context.Cause(g.ctx)
}

// keepRest appends what was told and is in no record, and returns the place of the last of all that was told. It may be
// repeated.
func (g *guarding) keepRest(ctx context.Context) (last int64, err error) {
	h, err := g.server.histories.read(ctx, g.lease.Rollout)
	if err != nil {
		return 0, err
	}
	pending, err := g.server.Store.Pending(ctx, g.lease.Rollout)
	if err != nil {
		return 0, err
	}
	kept := h.taken()
	for _, t := range pending {
		last = t.N
		if kept[t.N] {
			continue
		}
		e, err := guard.Decode(t.At, t.Kind, t.Data)
		if err != nil {
			g.log.Error("something was told that cannot be read", "delivery", t.Delivery, "error", err)
			continue
		}
		e.Fact = guard.Taken(e.Fact, t.N)
		kind, data, err := e.Encode()
		if err != nil {
			return 0, err
		}
		for err = g.lease.Append(h.state.At, kind, data); errors.Is(err, store.ErrAway) && pause(ctx, time.Second); {
			err = g.lease.Append(h.state.At, kind, data)
		}
		if err != nil {
			return 0, err
		}
	}
	if len(pending) > 0 { // what it has led to the ledger may not know yet
		if h, err = g.server.histories.read(ctx, g.lease.Rollout); err != nil {
			return 0, err
		}
		g.server.rememberAll(h)
	}
	return last, nil
}

// guard reads the history and goes on with it.
func (g *guarding) guard(ctx context.Context) (guard.State, error) {
	var h history
	var pending []store.Told
	err := g.asking(ctx, func(ctx context.Context) (err error) {
		g.server.histories.forget(g.lease.Rollout) // what the store holds counts, and it may have lost something
		if h, err = g.server.histories.read(ctx, g.lease.Rollout); err != nil {
			return err
		}
		pending, err = g.server.Store.Pending(ctx, g.lease.Rollout)
		return err
	})
	if err != nil {
		return guard.State{}, err
	}
	if h.state.Ended() && h.state.Untold() == 0 {
		g.seen(guard.State{}, h.state) // who guarded it last could not say so
		ledger := g.server.mirror(h.plan)
		defer ledger.close()
		ledger.saw(guard.State{}, h.state)
		return h.state, nil
	}
	g.remember(h.taken())
	for _, t := range pending {
		g.hear(t)
	}
	parts, letGo := g.parts(ctx, h)
	defer letGo()
	facts := make(chan guard.Fact)
	var handing sync.WaitGroup
	defer handing.Wait()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	handing.Go(func() { g.handOn(ctx, facts) })
	g.log.Info("guarding", "service", h.state.Release.Service, "environment", h.state.Release.Environment, "to", h.state.Release.To, "phase", h.state.Phase)
	ledger := g.server.mirror(h.plan)
	defer ledger.close()
	ledger.saw(guard.State{}, h.state)
	was := h.state
	rollout := &engine.Rollout{
		Plan: h.plan, Parts: parts, Journal: keeper{g.lease}, Outside: facts,
		Saw: func(e guard.Event, s guard.State) {
			g.server.metrics.saw(g.lease.Rollout, h.plan, e, was, s)
			g.server.traced(g.lease.Rollout, e, was, s)
			g.seen(was, s)
			ledger.saw(was, s)
			was = s
			g.latest.Store(&s)
		},
		Away: g.away, MayAdvance: g.lease.Deadline, Stay: true, Reply: g.server.reply,
	}
	g.server.metrics.begin(g.lease.Rollout, h.state)
	defer g.server.metrics.end(g.lease.Rollout)
	state, err := rollout.Run(ctx, h.events, guard.Resumed{Version: g.server.Version, Fence: g.lease.Fence})
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errStoodDown) {
		err = errStoodDown
	}
	return state, err
}

// seen says that the traffic's part of a rollout has ended.
func (g *guarding) seen(was, now guard.State) {
	if was.Phase != guard.Over && now.Phase == guard.Over {
		g.log.Info("over", "outcome", now.Outcome, "why", now.Why, "incident_open", now.Incident.Open())
		g.server.metrics.over(now)
	}
}

// A mirror has the ledger remember what is to be known of a rollout beyond it, beside the guard: a ledger that cannot be
// written just now is not to hold up the way back.
type mirror struct {
	server  *Server
	plan    *guard.Plan
	entries chan []guard.Entry
	done    sync.WaitGroup
}

// mirrorAtMost is how much waits for the ledger. A rollout leads to a few entries in all.
const mirrorAtMost = 1000

func (s *Server) mirror(plan *guard.Plan) *mirror {
	m := &mirror{server: s, plan: plan, entries: make(chan []guard.Entry, mirrorAtMost)}
	m.done.Go(func() {
		for entries := range m.entries {
			s.Remember(plan, entries)
		}
	})
	return m
}

// saw takes what has become of a rollout. From the zero state that is all that a crash may have kept from the ledger.
func (m *mirror) saw(was, now guard.State) {
	if entries := guard.LedgerOf(m.plan, was, now); len(entries) > 0 && m.server.Remember != nil {
		m.entries <- entries
	}
}

// rememberAll has the ledger remember what is to be known of a rollout that is put away, or is being. What it knows already it
// leaves out, so that this may be repeated.
func (s *Server) rememberAll(h history) {
	if entries := guard.LedgerOf(h.plan, guard.State{}, h.state); len(entries) > 0 && s.Remember != nil {
		s.Remember(h.plan, entries)
	}
}

// close waits until the ledger has everything.
func (m *mirror) close() {
	close(m.entries)
	m.done.Wait()
}

// partsAgain is how long to wait before parts are made once more that could not be made. The last counts for all that follow.
var partsAgain = []time.Duration{time.Second, 4 * time.Second, 10 * time.Second}

// parts makes what the plan names. A rollout that has moved no traffic yet does not wait for them for ever: it gets parts
// that answer why they are missing, and ends as one whose backend is down; so does one that is over, of which people are still
// to be told. Of any other nobody can take the traffic back without them, so that they are tried until they are there.
func (g *guarding) parts(ctx context.Context, h history) (engine.Parts, func()) {
	begun := (h.state.Phase != guard.Checking && h.state.Phase != "" || h.state.Seen > 0) && !h.state.Ended()
	for try := 0; ; try++ {
		parts, letGo, err := g.server.Parts(ctx, h.plan)
		if err == nil {
			return parts, letGo
		}
		err = errors.New(g.server.Clean(err.Error()))
		g.log.Error("the parts of its plan cannot be made, and nobody guards it without them", "error", err, "has traffic", begun)
		last := !begun && try == len(partsAgain)-1
		if last || !pause(ctx, partsAgain[min(try, len(partsAgain)-1)]) {
			return missing(h.plan, err), func() {}
		}
	}
}

// missing are parts that can do nothing, and say why.
func missing(plan *guard.Plan, why error) engine.Parts {
	why = fmt.Errorf("the parts of the plan cannot be made: %w", why)
	parts := engine.Parts{Backend: absent{why}, Source: absent{why}, Checks: []guard.Check{{
		Code: "GL000", ID: "parts", Title: "The parts of the plan can be made",
		Run: func(context.Context, guard.Scene) ([]guard.Finding, error) { return nil, why },
	}}}
	for range plan.Notify {
		parts.Notifiers = append(parts.Notifiers, absent{why})
	}
	return parts
}

// absent is a part that could not be made.
type absent struct{ why error }

func (a absent) Inspect(context.Context, guard.Release) (guard.Standing, error) {
	return guard.Standing{}, a.why
}
func (a absent) Shift(context.Context, guard.Order, int) error { return a.why }
func (a absent) Finish(context.Context, guard.Order) error     { return a.why }
func (a absent) Read(context.Context, guard.Query) (guard.Reading, error) {
	return guard.Reading{}, a.why
}

func (a absent) Notify(context.Context, guard.Notice) (guard.Receipt, error) {
	return guard.Receipt{}, a.why
}

// hear takes what was told, once. It never waits.
func (g *guarding) hear(t store.Told) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known[t.N] {
		return
	}
	g.known[t.N] = true
	g.told = append(g.told, t)
	slices.SortStableFunc(g.told, func(a, b store.Told) int { return cmp.Compare(a.N, b.N) })
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// remember learns what stands in the records already. Some of it may have been heard before they were read.
func (g *guarding) remember(taken map[int64]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.Copy(g.known, taken)
	g.told = slices.DeleteFunc(g.told, func(t store.Told) bool { return taken[t.N] })
}

// urge hands on a fact that is in no inbox, before anything else.
func (g *guarding) urge(f guard.Fact) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.urgent = append(g.urgent, f)
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// next is what is to be handed on; nil: nothing is.
func (g *guarding) next() (guard.Fact, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.urgent) > 0 {
		f := g.urgent[0]
		g.urgent = g.urgent[1:]
		return f, true
	}
	if len(g.told) == 0 {
		return nil, false
	}
	t := g.told[0]
	g.told = g.told[1:]
	e, err := guard.Decode(t.At, t.Kind, t.Data)
	if err != nil {
		g.log.Error("something was told that cannot be read", "delivery", t.Delivery, "error", err)
		return nil, true
	}
	return guard.Taken(e.Fact, t.N), true
}

// handOn gives the engine what was told, in order. What this version cannot read is left out, and said.
func (g *guarding) handOn(ctx context.Context, facts chan<- guard.Fact) {
	for {
		select {
		case <-g.wake:
		case <-ctx.Done():
			return
		}
		for {
			fact, more := g.next()
			if !more {
				break
			}
			if fact == nil {
				continue
			}
			select {
			case facts <- fact:
			case <-ctx.Done():
				return
			}
		}
	}
}

// away is told when the store takes no more, and when it does again.
func (g *guarding) away(why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case why != nil && g.back == nil:
		g.back = make(chan struct{})
		g.log.Warn("the store is away: no traffic moves forward, and a breach is taken back all the same", "error", why)
	case why == nil && g.back != nil:
		close(g.back)
		g.back = nil
		g.log.Info("the store has everything again")
	}
	g.server.metrics.away(g.lease.Rollout, why != nil)
}

// kept is closed once the store has all that happened here, or the guard has ended.
func (g *guarding) kept() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.back != nil {
		return g.back
	}
	kept := make(chan struct{})
	close(kept)
	return kept
}

// keeper lets the engine write into the store.
type keeper struct{ lease *store.Lease }

func (k keeper) Append(at time.Time, kind string, data json.RawMessage) error {
	err := k.lease.Append(at, kind, data)
	switch {
	case errors.Is(err, store.ErrAway):
		return fmt.Errorf("%w: %w", engine.ErrAway, err)
	case errors.Is(err, store.ErrFenced):
		return fmt.Errorf("%w: %w", engine.ErrFenced, err)
	}
	return err
}

// A history is what a rollout's records say, folded.
type history struct {
	plan   *guard.Plan
	events []guard.Event
	state  guard.State
	last   journal.Record
}

// taken are the places in the inbox of what stands in the records.
func (h *history) taken() map[int64]bool {
	taken := map[int64]bool{}
	for _, e := range h.events {
		if offset := e.Offset(); offset != 0 {
			taken[offset] = true
		}
	}
	return taken
}

// grow adds records that follow those that are known.
func (h *history) grow(id string, records []journal.Record) error {
	if err := h.add(id, records); err != nil {
		return &unreadableError{err}
	}
	return nil
}

// An unreadableError says that records are there, and that this version of golive cannot read them.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

func (h *history) add(id string, records []journal.Record) error {
	for _, r := range records {
		e, err := guard.Decode(r.At, r.Kind, r.Data)
		if err != nil {
			return fmt.Errorf("record %d of %s: %w", r.Seq, id, err)
		}
		if opened, ok := e.Fact.(guard.Opened); ok && h.plan == nil {
			if h.plan, err = guard.ParsePlan(opened.File, []byte(opened.Plan)); err != nil {
				return fmt.Errorf("the plan that %s began with: %w", id, err)
			}
		}
		if h.plan == nil {
			return fmt.Errorf("%s does not begin with the opening of a rollout", id)
		}
		h.events = append(h.events, e)
		h.state = guard.Next(h.plan, h.state, e)
		h.last = r
	}
	return nil
}

// histories are the rollouts that were looked at lately, so that each look reads only what is new.
type histories struct {
	server *Server
	mu     sync.Mutex
	recent map[string]*history
	order  []string // the least recently read first
}

// remembered is how many histories are kept: those of a page, and what people look at beside it.
const remembered = 300

// read returns what the store holds of a rollout by now. Nobody may change it.
func (c *histories) read(ctx context.Context, id string) (history, error) {
	c.mu.Lock()
	known, found := c.recent[id]
	var h history
	if found {
		h = *known
	}
	c.mu.Unlock()
	// The last record that is known is asked for again: a store that has lost its end, and went on, holds another.
	records, err := c.server.Store.Load(ctx, id, max(0, h.last.Seq-1))
	if errors.Is(err, store.ErrNoRollout) {
		return history{}, guard.ErrNoRollout
	}
	if err != nil {
		return history{}, err
	}
	if h.last.Seq > 0 {
		if len(records) == 0 || records[0].Hash != h.last.Hash {
			c.forget(id)
			return c.read(ctx, id)
		}
		records = records[1:]
	}
	h.events = h.events[:len(h.events):len(h.events)] // another reader may add to the same ones
	if err := h.grow(id, records); err != nil {
		return history{}, err
	}
	if h.plan == nil {
		return history{}, guard.ErrNoRollout
	}
	c.keep(id, h)
	return h, nil
}

// forget drops what is known of a rollout, so that the next look reads it from the beginning.
func (c *histories) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.recent, id)
	c.order = slices.DeleteFunc(c.order, func(other string) bool { return other == id })
}

func (c *histories) keep(id string, h history) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recent == nil {
		c.recent = map[string]*history{}
	}
	if old, found := c.recent[id]; found {
		if old.last.Seq <= h.last.Seq {
			*old = h
		}
		return
	}
	c.recent[id] = &h
	c.order = append(c.order, id)
	if len(c.order) > remembered {
		delete(c.recent, c.order[0])
		c.order = c.order[1:]
	}
}
