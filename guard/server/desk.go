package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/store"
)

// desk is guard.Desk on the store. Who is heard stands in the context, put there by whoever let the request in. What goes
// wrong for a time is logged here, for a tool that is to try again is not told why.
type desk struct{ *Server }

// temporary logs an error that may be gone when the same is asked again.
func (d desk) temporary(ctx context.Context, doing string, err error) {
	var underWay *guard.UnderWayError
	var invalid *InvalidError
	switch {
	case err == nil, ctx.Err() != nil, errors.As(err, &underWay), errors.As(err, &invalid),
		errors.Is(err, guard.ErrNoPlan), errors.Is(err, guard.ErrNoRollout), errors.Is(err, guard.ErrOver),
		errors.Is(err, guard.ErrForbidden):
		return
	}
	d.Log.Warn("a caller has to try again", "caller", who(ctx), "doing", doing, "error", d.Clean(err.Error()))
}

// permit says why whoever sends a request may not do for a target what the request is for; nil: that is permitted. What a
// tool has signed, a link lets do, or golive does by itself takes no right.
func permit(ctx context.Context, target string) error {
	right := originOf(ctx).right
	if right == "" {
		return nil
	}
	return permitWith(ctx, right, target)
}

func permitWith(ctx context.Context, right Right, target string) error {
	if c := callerOf(ctx); !c.MayFor(right, target) {
		return forbidden(fmt.Sprintf("%s may not do this for %s: it takes the right %q there", cmp.Or(c.Name, "this caller"), guard.Line(target, 200), right))
	}
	return nil
}

// permitFact is permit for a fact that a rollout is to be told.
func (d desk) permitFact(ctx context.Context, id string, f guard.Fact) error {
	right := originOf(ctx).right
	if right == "" || len(callerOf(ctx).Services) == 0 { // which is known without the store
		return nil
	}
	if o, ordered := f.(guard.Ordered); ordered && o.Verb == guard.OrderProceed && right == Operate {
		right = Approve
	}
	if mine := d.guards(id); mine != nil { // also while the store is away
		return permitWith(ctx, right, mine.lease.Target)
	}
	one, err := d.Store.Find(ctx, id)
	if errors.Is(err, store.ErrNoRollout) {
		return guard.ErrNoRollout
	}
	if err != nil {
		return err
	}
	return permitWith(ctx, right, one.Target)
}

var _ guard.Desk = desk{}

// Desk is where hooks and the API speak to the server.
func (s *Server) Desk() guard.Desk { return desk{s} }

// Open implements guard.Desk. A release that is under way already is not opened again: its name is the answer. A watch
// that is in the way of the watch of another version is concluded first, whatever rollout.on_new_release says.
func (d desk) Open(ctx context.Context, delivery guard.Delivery, r guard.Release, purpose guard.Purpose) (id string, err error) {
	defer func() { d.temporary(ctx, "open a rollout", err) }()
	chosen, err := d.Plans.For(r.Service, r.Environment)
	if err != nil {
		return "", err
	}
	r.Service, r.Environment = chosen.Plan.Service, chosen.Plan.Environment
	if err := permit(ctx, target(r.Service, r.Environment)); err != nil {
		return "", err
	}
	if err := r.Validate(); err != nil {
		return "", &InvalidError{err}
	}
	r.ID = newName(time.Now(), r.To)
	opened := guard.Event{At: clock(), Fact: guard.Opened{
		Release: r, Purpose: cmp.Or(purpose, guard.ToRollout), Mode: chosen.Plan.Mode, Plan: chosen.Text, File: chosen.File, Version: d.Version,
		By: sender(ctx, delivery),
	}}
	kind, data, err := opened.Encode()
	if err != nil {
		return "", err
	}
	var repeated bool
	inTheWay, old, err := d.makeRoom(ctx, delivery, purpose, r.To, func() (err error) {
		id, repeated, err = d.Store.Accept(ctx, d.stamped(ctx, delivery), store.Opening{
			Rollout: r.ID, Target: target(r.Service, r.Environment),
			Records: []store.Entry{{At: opened.At, Kind: kind, Data: data}},
		})
		return err
	})
	if inTheWay != "" {
		return d.underWay(ctx, delivery, inTheWay, old, opened.Fact.(guard.Opened), chosen.Plan)
	}
	d.audit(ctx, delivery, id, kind, repeated, err)
	return id, err
}

// makeRoom opens a rollout once the watch of another version is concluded that is in its way, if one is, and says what else is.
func (d desk) makeRoom(ctx context.Context, delivery guard.Delivery, purpose guard.Purpose, to string, open func() error) (inTheWay string, old history, err error) {
	inTheWay, old, err = d.whenFree(ctx, open)
	if inTheWay == "" || !outdated(old.state, purpose, to) {
		return inTheWay, old, err
	}
	if err := d.conclude(ctx, delivery, inTheWay, to); err != nil {
		return "", history{}, err
	}
	return d.whenFree(ctx, open)
}

// whenFree opens a rollout, and says which other is in the way. One that has just ended is put away in a moment, once
// everybody was told: whoever has seen it end may open the next.
func (d desk) whenFree(ctx context.Context, open func() error) (inTheWay string, old history, err error) {
	for began := time.Now(); ; {
		err := open()
		var busy *store.BusyError
		if !errors.As(err, &busy) {
			return "", history{}, err
		}
		old, err := d.histories.read(ctx, busy.Rollout)
		if err != nil {
			return "", history{}, err
		}
		ending := old.state.Ended() || d.standsDown(ctx, old)
		if !ending || time.Since(began) > putAway || !pause(ctx, putAwayLook) {
			return busy.Rollout, old, nil
		}
	}
}

// standsDown says that somebody has stood an incident down, and that whoever guards it has not acted on that yet.
func (d desk) standsDown(ctx context.Context, h history) bool {
	if h.state.Phase != guard.Over || !h.state.Incident.Open() {
		return false
	}
	pending, err := d.Store.Pending(ctx, h.state.Release.ID)
	return err == nil && h.waits(pending, func(f guard.Fact) bool { // else it counts as open, and the answer is to stand it down
		stated, is := f.(guard.Stated)
		return is && stated.What == guard.StateStandDown
	})
}

// waits says that something of a kind was told that no record has yet.
func (h history) waits(pending []store.Told, is func(guard.Fact) bool) bool {
	taken := h.taken()
	return slices.ContainsFunc(pending, func(t store.Told) bool {
		e, err := guard.Decode(t.At, t.Kind, t.Data)
		return err == nil && !taken[t.N] && is(e.Fact)
	})
}

// returnsBy says that a fact is an order to take the traffic back once more.
func returnsBy(s guard.State, f guard.Fact) bool {
	o, ordered := f.(guard.Ordered)
	return ordered && o.Verb == guard.OrderRollback && s.ReturnsAgain(o.Force)
}

// How long a rollout that is over may take to be put away, and how often that is looked at.
const (
	putAway     = 10 * time.Second
	putAwayLook = 50 * time.Millisecond
)

// outdated says whether a rollout that is in the way of another is a watch of what was deployed before. A watch follows
// what another tool does, and that this tool has gone on to the next version is a fact: to go back to an older one, or to
// refuse, would be to act against it.
func outdated(old guard.State, purpose guard.Purpose, to string) bool {
	return purpose == guard.ToWatch && old.Purpose == guard.ToWatch && old.Release.To != to && old.Phase != guard.Over
}

// conclude ends a watch because another version was deployed, and waits until it is over or its time is up. It does not
// hear of that before it watches, and no more once it takes the traffic back, which is to be finished first.
func (d desk) conclude(ctx context.Context, delivery guard.Delivery, id, to string) error {
	delivery.ID = "conclude/" + id + "/" + delivery.ID
	order := guard.Ordered{Verb: guard.OrderConclude, By: "golive", Why: to + " was deployed"}
	told := false
	for began := time.Now(); ; {
		old, err := d.histories.read(ctx, id)
		if err != nil {
			return err
		}
		phase := old.state.Phase
		if !told && (phase == guard.Watching || phase == guard.Baking) {
			if err := d.Tell(ctx, delivery, id, order); err != nil && !errors.Is(err, guard.ErrOver) {
				return err
			}
			told = true
		}
		if phase == guard.Over || returning(phase) || time.Since(began) > putAway || !pause(ctx, putAwayLook) {
			return nil
		}
	}
}

// returning says that a phase is one of the way back, whichever way that is.
func returning(p guard.Phase) bool {
	switch p {
	case guard.Restoring, guard.Verifying, guard.Containing, guard.Preserving, guard.Resorting, guard.Soaking, guard.Ramping:
		return true
	}
	return false
}

// underWay deals with a rollout that is in the way of another: where both are the same release its name is the answer, a
// plan may want the old one taken back, and one that could not be is taken back once more where that is asked for.
func (d desk) underWay(ctx context.Context, delivery guard.Delivery, id string, old history, opened guard.Opened, plan *guard.Plan) (string, error) {
	was, r := old.state.Release, opened.Release
	if opened.Purpose == guard.ToRollback && was.To == r.To && was.From == r.From {
		again, once := guard.Ordered{Verb: guard.OrderRollback, Why: "a rollback of it was opened"}, delivery
		once.ID = "again/" + id + "/" + delivery.ID
		_, _, repeated, err := d.Store.Kept(ctx, once.ID)
		if returnsBy(old.state, again) || err == nil && repeated {
			return id, d.Tell(ctx, once, id, again)
		}
	}
	if old.state.Phase == guard.Over {
		return "", &guard.UnderWayError{ID: id, Incident: old.state.Incident.Open(), Telling: old.state.Ended()}
	}
	if was.To == r.To && was.From == r.From && old.state.Purpose == opened.Purpose {
		return id, nil
	}
	watches := old.state.Purpose == guard.ToWatch && opened.Purpose == guard.ToWatch
	if plan.Rollout.OnNewRelease == "supersede" && !watches {
		delivery.ID = "supersede/" + id + "/" + delivery.ID
		err := d.Tell(ctx, delivery, id, guard.Ordered{
			Verb: guard.OrderRollback, By: "golive", Why: fmt.Sprintf("%s supersedes it (rollout.on_new_release)", r.To), NoIncident: true,
		})
		if err != nil && !errors.Is(err, guard.ErrOver) {
			return "", err
		}
	}
	return "", &guard.UnderWayError{ID: id}
}

// An InvalidError says that a release makes no sense, whoever asks.
type InvalidError struct{ err error }

func (e *InvalidError) Error() string { return e.err.Error() }
func (e *InvalidError) Unwrap() error { return e.err }

// Tell implements guard.Desk.
func (d desk) Tell(ctx context.Context, delivery guard.Delivery, id string, f guard.Fact) (err error) {
	defer func() { d.temporary(ctx, "tell a rollout", err) }()
	if err := d.permitFact(ctx, id, f); err != nil {
		return err
	}
	name := sender(ctx, delivery)
	e := guard.Event{At: clock(), Fact: guard.Cleaned(by(f, name, d.person(ctx, id, f, name)), d.Clean)}
	kind, data, err := e.Encode()
	if err != nil {
		return err
	}
	limited := ctx
	ordered, _ := e.Fact.(guard.Ordered)
	mine := d.guards(id)
	if back := ordered.Verb == guard.OrderRollback && mine != nil; back {
		var done func()
		limited, done = context.WithTimeout(ctx, backWaits)
		defer done()
	} else {
		mine = nil
	}
	if err := d.tooLate(limited, delivery, id, e.Fact); err != nil {
		return err
	}
	repeated, err := d.Store.Tell(limited, d.stamped(ctx, delivery), id, store.Entry{At: e.At, Kind: kind, Data: data})
	if temporary := err != nil && !errors.Is(err, store.ErrNoRollout) && !errors.Is(err, store.ErrOver); temporary && mine != nil {
		d.Log.Warn("the store does not take an order to roll back, which is obeyed all the same", "rollout", id, "by", ordered.By, "error", err)
		mine.urge(e.Fact)
		return nil
	}
	d.audit(ctx, delivery, id, kind, repeated, err)
	switch {
	case errors.Is(err, store.ErrNoRollout):
		return guard.ErrNoRollout
	case errors.Is(err, store.ErrOver): // which keeps nothing
		if _, stated := e.Fact.(guard.Stated); stated {
			return d.amend(ctx, delivery, id, e)
		}
		return guard.ErrOver
	}
	return err
}

// tooLate is an error if a fact is about the traffic, and comes when that is back and the incident alone goes on: a tool that
// orders or votes then is answered as if there were none. What is not back yet may still be ordered back. A repeat of what
// came in time is answered as it was. While nobody can say where the rollout stands nothing is too late.
func (d desk) tooLate(ctx context.Context, delivery guard.Delivery, id string, f guard.Fact) error {
	switch f.(type) {
	case guard.Ordered, guard.Voted:
	default:
		return nil
	}
	var state *guard.State
	if mine := d.guards(id); mine != nil {
		state = mine.latest.Load()
	}
	if state == nil {
		h, err := d.histories.read(ctx, id)
		if err != nil {
			return nil
		}
		state = &h.state
	}
	if state.Phase != guard.Over || !state.Incident.Open() || returnsBy(*state, f) {
		return nil
	}
	if _, _, repeated, err := d.Store.Kept(ctx, delivery.ID); err != nil || repeated {
		return nil
	}
	if o, ordered := f.(guard.Ordered); ordered && o.Verb == guard.OrderRollback && state.ReturnsAgain(true) {
		return fmt.Errorf("%w: there is no way back over a migration; once that is undone, order rollback with force", guard.ErrOver)
	}
	return guard.ErrOver
}

// backWaits is how long an order to roll back waits for the store. Forward needs the store, back never does: after that the
// server that guards the rollout obeys, and its journal gets the order with all else that happens while the store is away.
const backWaits = 3 * time.Second

// sender is who has proved to send a delivery: the caller, or for a message that is signed whoever the hook knows by that.
func sender(ctx context.Context, d guard.Delivery) string { return cmp.Or(who(ctx), d.By) }

// audit logs who has changed a rollout. A repeat has changed nothing, and says so.
func (d desk) audit(ctx context.Context, delivery guard.Delivery, rollout, what string, repeated bool, err error) {
	if err != nil {
		return
	}
	changedBy(ctx, rollout)
	from := originOf(ctx)
	d.Log.Info("changed", "rollout", rollout, "what", what, "by", sender(ctx, delivery), "right", string(from.right), "remote", from.remote,
		"source", delivery.Source, "delivery", guard.Line(delivery.ID, longestPath), "repeated", repeated)
}

// person is the name in the roster of a sender who signed in by an e-mail address: that is how plans and reports know people. Of
// the traffic it is not asked, since nothing about that waits for the store.
func (d desk) person(ctx context.Context, id string, f guard.Fact, name string) string {
	switch f.(type) {
	case guard.Noted, guard.Acknowledged, guard.Stated:
		h, err := d.histories.read(ctx, id)
		if err != nil {
			break // the name that was proved is as good, and whatever is wrong here the store says too
		}
		if person, listed := inRoster(h.plan, name); listed {
			return person
		}
	}
	return name
}

// by says who has told a fact: the person that the sender is. What has proved who it is goes before what a message says of
// itself.
func by(f guard.Fact, sender, person string) guard.Fact {
	name2 := func(said string) string {
		switch {
		case person == "":
			return said
		case said == "" || said == sender:
			return person
		}
		return fmt.Sprintf("%s (%s)", person, guard.Line(said, 100))
	}
	switch f := f.(type) {
	case guard.Ordered:
		f.By = name2(f.By)
		return f
	case guard.Voted:
		f.By = name2(f.By)
		return f
	case guard.Noted:
		f.By = name2(f.By)
		return f
	case guard.Acknowledged:
		f.By = name2(f.By)
		return f
	case guard.Stated:
		f.By = name2(f.By)
		return f
	}
	return f
}

// stamped is a delivery as the store keeps it: without the secrets that somebody has written into it.
func (d desk) stamped(ctx context.Context, in guard.Delivery) store.Delivery {
	at := in.At
	if at.IsZero() {
		at = clock()
	}
	return store.Delivery{ID: in.ID, Source: in.Source, By: sender(ctx, in), At: at, Body: []byte(d.Clean(string(in.Body)))}
}

// Find implements guard.Desk.
func (d desk) Find(ctx context.Context, r guard.Release) (id string, err error) {
	defer func() { d.temporary(ctx, "find a rollout", err) }()
	environment := r.Environment
	if environment == "" {
		chosen, err := d.Plans.For(r.Service, "")
		if err != nil {
			return "", fmt.Errorf("%w: %w", guard.ErrNoRollout, err)
		}
		environment = chosen.Plan.Environment
	}
	// A deploy tool asks about what it has just begun, so the latest few are enough.
	const lately = 20
	all, err := d.Store.Rollouts(ctx, store.Filter{Target: target(r.Service, environment), Limit: lately})
	if err != nil {
		return "", err
	}
	for _, rollout := range all {
		if r.To == "" && r.From == "" {
			return rollout.ID, nil
		}
		h, err := d.histories.read(ctx, rollout.ID)
		if err != nil {
			return "", err
		}
		was := h.state.Release
		if (r.To == "" || r.To == was.To) && (r.From == "" || r.From == was.From) {
			return rollout.ID, nil
		}
	}
	return "", guard.ErrNoRollout
}

// Get implements guard.Desk.
func (d desk) Get(ctx context.Context, id string) (*guard.Plan, guard.State, error) {
	h, err := d.histories.read(ctx, id)
	d.temporary(ctx, "read a rollout", err)
	return h.plan, h.state, err
}

// Plan implements guard.Desk.
func (d desk) Plan(r guard.Release) (*guard.Plan, error) {
	chosen, err := d.Plans.For(r.Service, r.Environment)
	if err != nil {
		return nil, err
	}
	return chosen.Plan, nil
}

// checksHold is how long the answers of checks are given again to who asks for the same.
const checksHold = time.Minute

// Check implements guard.Desk. Tools ask every few seconds, and at most one asks the world.
func (d desk) Check(ctx context.Context, r guard.Release) (findings []guard.Finding, err error) {
	defer func() { d.temporary(ctx, "ask the checks", err) }()
	chosen, err := d.Plans.For(r.Service, r.Environment)
	if err != nil {
		return nil, err
	}
	r.Service, r.Environment = chosen.Plan.Service, chosen.Plan.Environment
	if err := permit(ctx, target(r.Service, r.Environment)); err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, &InvalidError{err}
	}
	key := strings.Join([]string{r.Service, r.Environment, r.From, r.To, chosen.Plan.Digest()}, "\x00")
	return d.checked.get(ctx, key, func(ctx context.Context) ([]guard.Finding, error) {
		parts, letGo, err := d.Parts(ctx, chosen.Plan)
		if err != nil {
			return nil, errors.New(d.Clean(err.Error()))
		}
		defer letGo()
		return engine.RunChecks(ctx, parts.Scene(ctx, chosen.Plan, r, clock()), parts.Checks, nil), nil
	})
}

// answers remembers what checks have answered, and lets one at a time ask the same. The asking does not depend on who
// has asked first: that one may leave, and the others still want to know.
type answers struct {
	mu    sync.Mutex
	known map[string]*answered
}

type answered struct {
	done     chan struct{} // closed once the rest is known
	findings []guard.Finding
	err      error
	until    time.Time // when it holds no more
}

const (
	errorsHold   = 5 * time.Second // how long it is remembered that the checks could not be asked
	checksAtMost = 2 * time.Minute // how long the checks may take
)

func (a *answers) get(ctx context.Context, key string, ask func(context.Context) ([]guard.Finding, error)) ([]guard.Finding, error) {
	one := a.asked(ctx, key, ask)
	select {
	case <-one.done:
		return one.findings, one.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// asked finds an answer that holds or is being waited for, or begins to ask.
func (a *answers) asked(ctx context.Context, key string, ask func(context.Context) ([]guard.Finding, error)) *answered {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(a.known, func(_ string, one *answered) bool {
		select {
		case <-one.done:
			return !now.Before(one.until)
		default:
			return false
		}
	})
	if one := a.known[key]; one != nil {
		return one
	}
	if a.known == nil {
		a.known = map[string]*answered{}
	}
	one := &answered{done: make(chan struct{})}
	a.known[key] = one
	go func() {
		defer close(one.done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checksAtMost)
		defer cancel()
		one.findings, one.err = whole(ctx, ask)
		one.until = time.Now().Add(checksHold)
		if one.err != nil {
			one.until = time.Now().Add(errorsHold)
		}
	}()
	return one
}

// whole asks the checks. What they say when their time is up is no answer, for it is of the time and not of the release.
// A panic outside of the goroutine of a request would end the server, so it becomes an error.
func whole(ctx context.Context, ask func(context.Context) ([]guard.Finding, error)) (findings []guard.Finding, err error) {
	defer func() {
		if p := recover(); p != nil {
			findings, err = nil, fmt.Errorf("ask the checks: %v", p)
		}
	}()
	if findings, err = ask(ctx); err == nil && ctx.Err() != nil {
		return nil, fmt.Errorf("ask the checks: they were cut off after %s", checksAtMost)
	}
	return findings, err
}

func clock() time.Time { return time.Now().UTC().Round(0) }

// newName names a rollout by when it began and what it brings. The end keeps those of several servers apart.
func newName(now time.Time, to string) string {
	safe := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, to)
	var random [3]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return now.UTC().Format("20060102-150405") + "-" + safe[:min(len(safe), 60)] + "-" + hex.EncodeToString(random[:])
}
