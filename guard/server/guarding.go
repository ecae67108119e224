package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
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

	mu    sync.Mutex
	told  []store.Told   // not handed on yet, in order
	known map[int64]bool // places in the inbox that were handed on, or stand in the journal
	wake  chan struct{}  // has room for one: something was told
	back  chan struct{}  // closed while the journal is whole; nil: it is
}

func newGuarding(s *Server, lease *store.Lease) *guarding {
	ctx, stop := context.WithCancelCause(context.Background())
	return &guarding{
		server: s, lease: lease, log: s.Log.With("rollout", lease.Rollout, "fence", lease.Fence),
		ctx: ctx, stop: stop, ended: make(chan struct{}), known: map[int64]bool{}, wake: make(chan struct{}, 1),
	}
}

// run guards the rollout until it is over, until somebody else owns it, or until it is to be stood down.
func (g *guarding) run(ctx context.Context) {
	defer close(g.ended)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(g.ctx, func() { end(context.Cause(g.ctx)) })()
	state, err := g.guard(ctx)
	over := state.Phase == guard.Over
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
		g.log.Info("over", "outcome", state.Outcome, "why", state.Why)
		g.server.metrics.over(state)
		return
	}
	if !errors.Is(err, errStoodDown) {
		g.log.Warn("not guarded any more", "error", g.server.Clean(err.Error()))
	}
	goodbye, done := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer done()
	if err := g.lease.Release(goodbye); err != nil && !errors.Is(err, store.ErrFenced) {
		g.log.Warn("not released: others wait until the session has lapsed", "error", err)
	}
}

// finish says that nobody needs to go on with it. What was told to it too late to matter is in its journal all the same:
// the sender was told that it is kept. The store may be away for a while.
func (g *guarding) finish() error {
	for g.ctx.Err() == nil {
		last, err := g.keepRest()
		if err == nil {
			err = g.lease.Finish(g.ctx, last)
		}
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

// keepRest appends what was told and is in no record, and returns the place of the last of all that was told.
func (g *guarding) keepRest() (last int64, err error) {
	h, err := g.server.histories.read(g.ctx, g.lease.Rollout)
	if err != nil {
		return 0, err
	}
	pending, err := g.server.Store.Pending(g.ctx, g.lease.Rollout)
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
		for err = g.lease.Append(h.state.At, kind, data); errors.Is(err, store.ErrAway) && pause(g.ctx, time.Second); {
			err = g.lease.Append(h.state.At, kind, data)
		}
		if err != nil {
			return 0, err
		}
	}
	return last, nil
}

// guard reads the history and goes on with it.
func (g *guarding) guard(ctx context.Context) (guard.State, error) {
	h, err := g.server.histories.read(ctx, g.lease.Rollout)
	if err != nil {
		return guard.State{}, err
	}
	if h.state.Phase == guard.Over {
		return h.state, nil // who guarded it last could not say so
	}
	pending, err := g.server.Store.Pending(ctx, g.lease.Rollout)
	if err != nil {
		return h.state, err
	}
	g.remember(h.taken())
	for _, t := range pending {
		g.hear(t)
	}
	parts, letGo := g.parts(ctx, h.plan)
	defer letGo()
	facts := make(chan guard.Fact)
	var handing sync.WaitGroup
	defer handing.Wait()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	handing.Go(func() { g.handOn(ctx, facts) })
	g.log.Info("guarding", "service", h.state.Release.Service, "environment", h.state.Release.Environment, "to", h.state.Release.To, "phase", h.state.Phase)
	rollout := &engine.Rollout{
		Plan: h.plan, Parts: parts, Journal: keeper{g.lease}, Outside: facts,
		Saw: func(e guard.Event, s guard.State) {
			g.server.metrics.saw(g.lease.Rollout, h.plan, e, s)
			g.server.traced(g.lease.Rollout, e, s)
		},
		Away: g.away, MayAdvance: g.lease.Deadline,
	}
	g.server.metrics.begin(g.lease.Rollout)
	defer g.server.metrics.end(g.lease.Rollout)
	state, err := rollout.Run(ctx, h.events, guard.Resumed{Version: g.server.Version, Fence: g.lease.Fence})
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errStoodDown) {
		err = errStoodDown
	}
	return state, err
}

// partsAgain is how long to wait before parts are made once more that could not be made.
var partsAgain = []time.Duration{time.Second, 4 * time.Second}

// parts makes what the plan names. Where that cannot be done, a few times over, the rollout goes on all the same, with
// parts that answer why they are missing: it ends as one whose backend is down, and people are told as well as can be.
func (g *guarding) parts(ctx context.Context, plan *guard.Plan) (engine.Parts, func()) {
	for try := 0; ; try++ {
		parts, letGo, err := g.server.Parts(ctx, plan)
		if err == nil {
			return parts, letGo
		}
		err = errors.New(g.server.Clean(err.Error()))
		g.log.Error("the parts of its plan cannot be made", "error", err)
		if try == len(partsAgain) || !pause(ctx, partsAgain[try]) {
			return missing(plan, err), func() {}
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

// handOn gives the engine what was told, in order. What this version cannot read is left out, and said.
func (g *guarding) handOn(ctx context.Context, facts chan<- guard.Fact) {
	for {
		select {
		case <-g.wake:
		case <-ctx.Done():
			return
		}
		for {
			g.mu.Lock()
			if len(g.told) == 0 {
				g.mu.Unlock()
				break
			}
			t := g.told[0]
			g.told = g.told[1:]
			g.mu.Unlock()
			e, err := guard.Decode(t.At, t.Kind, t.Data)
			if err != nil {
				g.log.Error("something was told that cannot be read", "delivery", t.Delivery, "error", err)
				continue
			}
			select {
			case facts <- guard.Taken(e.Fact, t.N):
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
	records, err := c.server.Store.Load(ctx, id, h.last.Seq)
	if errors.Is(err, store.ErrNoRollout) {
		return history{}, guard.ErrNoRollout
	}
	if err != nil {
		return history{}, err
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
