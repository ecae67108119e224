package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// A Desk is a guard.Desk in memory, for tests of hooks. Its rollouts are folds of guard.Next over real facts; Happen
// moves them on. It keeps time by time.Now, and so goes along with testing/synctest.
type Desk struct {
	mu         sync.Mutex
	plans      []source
	rollouts   []*rollout
	deliveries map[string]string // the rollout that each told of
	bodies     []guard.Delivery
	findings   []guard.Finding
	away       error
	asked      int
}

var _ guard.Desk = (*Desk)(nil)

type source struct {
	text string
	plan *guard.Plan
}

type rollout struct {
	plan   *guard.Plan
	state  guard.State
	events []guard.Event
}

// NewDesk makes a desk with plans, each the text of a golive.yaml. Its checks pass until Say says something else.
func NewDesk(t testing.TB, plans ...string) *Desk {
	t.Helper()
	d := &Desk{deliveries: make(map[string]string), findings: []guard.Finding{{ID: "plan.valid", Verdict: guard.Pass}}}
	for i, text := range plans {
		plan, err := guard.ParsePlan(fmt.Sprintf("plan%d.yaml", i), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		d.plans = append(d.plans, source{text: text, plan: plan})
	}
	return d
}

// Away makes every call from now on end in an error, without any effect; nil ends that.
func (d *Desk) Away(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = err
}

// Say sets what the checks say.
func (d *Desk) Say(findings ...guard.Finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.findings = findings
}

// Asked is how often the desk has been called, also while it was away.
func (d *Desk) Asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// Deliveries are those that had an effect, in order.
func (d *Desk) Deliveries() []guard.Delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.bodies)
}

// Rollouts are the releases that were opened, in order.
func (d *Desk) Rollouts() (all []guard.Release) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.rollouts {
		all = append(all, r.state.Release)
	}
	return all
}

// Told are the facts from outside that a rollout was told, in order.
func (d *Desk) Told(id string) (facts []guard.Fact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.find(id); r != nil {
		for _, e := range r.events[1:] {
			if e.Task == 0 {
				facts = append(facts, e.Fact)
			}
		}
	}
	return facts
}

// Happen moves a rollout on: the fact answers the first task that it can answer, or comes from outside.
func (d *Desk) Happen(t testing.TB, id string, f guard.Fact) guard.State {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.find(id)
	if r == nil {
		t.Fatalf("no rollout is called %s", id)
	}
	if outside(f) {
		return r.next(0, f)
	}
	for _, task := range r.state.Todo {
		if answers(task.Deed, f) {
			return r.next(task.ID, f)
		}
	}
	t.Fatalf("%s, which is %s, has not asked for %T", id, r.state.Phase, f)
	return guard.State{}
}

// Watch moves a rollout that watches on: the new version has percent of the traffic, and if it has any, the judge
// calls it so.
func (d *Desk) Watch(t testing.TB, id string, percent int, call judge.Call) guard.State {
	t.Helper()
	_, s, err := d.get(id)
	if err != nil {
		t.Fatal(err)
	}
	standing := guard.Standing{Percent: percent, Undo: guard.Undo{Open: true}}
	if s.Phase == guard.Checking || s.Seen == 0 {
		s = d.Happen(t, id, guard.Inspected{Standing: standing})
	}
	if s.Seen != percent {
		s = d.Happen(t, id, guard.Measured{Standing: &standing, Ruling: judge.Ruling{At: time.Now(), Call: judge.Continue}})
	}
	if percent == 0 || s.Phase != guard.Watching && s.Phase != guard.Baking {
		return s
	}
	return d.Happen(t, id, guard.Measured{Standing: &standing, Ruling: judge.Ruling{
		At: time.Now(), Call: call, Why: "the counts are " + call.String(),
	}})
}

func (r *rollout) next(task int, f guard.Fact) guard.State {
	e := guard.Event{At: time.Now(), Task: task, Fact: f}
	r.events = append(r.events, e)
	r.state = guard.Next(r.plan, r.state, e)
	return r.state
}

func outside(f guard.Fact) bool {
	switch f.(type) {
	case guard.Ordered, guard.Voted, guard.Noted, guard.Acknowledged, guard.Stated, guard.Interrupted, guard.Resumed:
		return true
	}
	return false
}

func answers(deed guard.Deed, f guard.Fact) (ok bool) {
	switch f := f.(type) {
	case guard.Checked:
		_, ok = deed.(guard.RunChecks)
	case guard.Inspected:
		_, ok = deed.(guard.Inspect)
	case guard.Shifted:
		var shift guard.Shift
		shift, ok = deed.(guard.Shift)
		ok = ok && shift.Percent == f.Percent
	case guard.Measured:
		_, ok = deed.(guard.Measure)
	case guard.Verified:
		_, ok = deed.(guard.Verify)
	case guard.Finished:
		_, ok = deed.(guard.Finish)
	case guard.Told:
		_, ok = deed.(guard.Tell)
	case guard.Elapsed:
		_, ok = deed.(guard.Wait)
	}
	return ok
}

func (d *Desk) find(id string) *rollout {
	i := slices.IndexFunc(d.rollouts, func(r *rollout) bool { return r.state.Release.ID == id })
	if i < 0 {
		return nil
	}
	return d.rollouts[i]
}

func (d *Desk) planFor(r guard.Release) (source, error) {
	var fit []source
	for _, s := range d.plans {
		if s.plan.Service == r.Service && (r.Environment == "" || r.Environment == s.plan.Environment) {
			fit = append(fit, s)
		}
	}
	if len(fit) != 1 {
		return source{}, fmt.Errorf("%w: %d plans fit %s", guard.ErrNoPlan, len(fit), r.Service)
	}
	return fit[0], nil
}

// open counts a call, and is an error while the desk is away or nobody waits for the answer any more.
func (d *Desk) open(ctx context.Context) error {
	d.asked++
	if d.away != nil {
		return d.away
	}
	return ctx.Err()
}

// Open is a call of guard.Desk. As in a server, a watch is concluded when the watch of another version comes. One that
// does not watch yet is in the way; a server waits until it does.
func (d *Desk) Open(ctx context.Context, by guard.Delivery, r guard.Release, purpose guard.Purpose) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(d.open(ctx), proper(by), r.Validate()); err != nil {
		return "", err
	}
	if id, again := d.deliveries[by.ID]; again {
		return id, nil
	}
	s, err := d.planFor(r)
	if err != nil {
		return "", err
	}
	r.Environment = s.plan.Environment
	for _, other := range d.rollouts {
		if o := other.state.Release; o.Service == r.Service && o.Environment == r.Environment && other.state.Phase != guard.Over {
			follows := purpose == guard.ToWatch && other.state.Purpose == guard.ToWatch
			if phase := other.state.Phase; follows && o.To != r.To && (phase == guard.Watching || phase == guard.Baking) {
				other.next(0, guard.Ordered{Verb: guard.OrderConclude, By: "golive", Why: r.To + " was deployed"})
			}
			if other.state.Phase == guard.Over {
				continue
			}
			return "", &guard.UnderWayError{ID: o.ID}
		}
	}
	r.ID = fmt.Sprintf("%s-%d", r.Service, len(d.rollouts)+1)
	opened := &rollout{plan: s.plan}
	opened.next(0, guard.Opened{Release: r, Purpose: purpose, Mode: s.plan.Mode, Plan: s.text, File: s.plan.File()})
	d.rollouts = append(d.rollouts, opened)
	d.took(by, r.ID)
	return r.ID, nil
}

func (d *Desk) took(by guard.Delivery, id string) {
	d.deliveries[by.ID] = id
	d.bodies = append(d.bodies, by)
}

// proper finds what no hook may leave out.
func proper(by guard.Delivery) error {
	if by.ID == "" || by.Source == "" || by.At.IsZero() {
		return fmt.Errorf("the delivery %+v has no ID, no source or no time", by)
	}
	return nil
}

// Tell is a call of guard.Desk.
func (d *Desk) Tell(ctx context.Context, by guard.Delivery, id string, f guard.Fact) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(d.open(ctx), proper(by)); err != nil {
		return err
	}
	switch f.(type) {
	case guard.Ordered, guard.Voted, guard.Noted, guard.Acknowledged, guard.Stated:
	default:
		return fmt.Errorf("a %T cannot come from outside", f)
	}
	r := d.find(id)
	if r == nil {
		return fmt.Errorf("%w: %s", guard.ErrNoRollout, id)
	}
	if _, again := d.deliveries[by.ID]; again {
		return nil
	}
	traffic := false
	switch f.(type) {
	case guard.Ordered, guard.Voted:
		traffic = true
	}
	if r.state.Phase == guard.Over && (traffic || !r.state.Incident.Open()) {
		return fmt.Errorf("tell %s: %w", id, guard.ErrOver)
	}
	r.next(0, f)
	d.took(by, id)
	return nil
}

// Find is a call of guard.Desk.
func (d *Desk) Find(ctx context.Context, want guard.Release) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.open(ctx); err != nil {
		return "", err
	}
	fits := func(want, is string) bool { return want == "" || want == is }
	for _, r := range slices.Backward(d.rollouts) {
		is := r.state.Release
		if is.Service == want.Service && fits(want.Environment, is.Environment) && fits(want.From, is.From) && fits(want.To, is.To) {
			return is.ID, nil
		}
	}
	return "", fmt.Errorf("%w of %s", guard.ErrNoRollout, want.Service)
}

// Get is a call of guard.Desk.
func (d *Desk) Get(ctx context.Context, id string) (*guard.Plan, guard.State, error) {
	d.mu.Lock()
	err := d.open(ctx)
	d.mu.Unlock()
	if err != nil {
		return nil, guard.State{}, err
	}
	return d.get(id)
}

func (d *Desk) get(id string) (*guard.Plan, guard.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.find(id)
	if r == nil {
		return nil, guard.State{}, fmt.Errorf("%w: %s", guard.ErrNoRollout, id)
	}
	return r.plan, r.state, nil
}

// Plan is a call of guard.Desk, which needs nothing that could be away.
func (d *Desk) Plan(r guard.Release) (*guard.Plan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.planFor(r)
	return s.plan, err
}

// Check is a call of guard.Desk.
func (d *Desk) Check(ctx context.Context, r guard.Release) ([]guard.Finding, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	if _, err := d.planFor(r); err != nil {
		return nil, err
	}
	return slices.Clone(d.findings), nil
}
