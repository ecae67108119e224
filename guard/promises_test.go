package guard_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// TestPromises plays thousands of random histories – wrong answers, late answers, answers twice, orders,
// signals and crashes at any time – and holds every state to what must never be broken.
func TestPromises(t *testing.T) {
	const histories = 3000
	plans := []*guard.Plan{
		shopPlan(t, ""),
		shopPlan(t, "scarce: {then: proceed}; blind: {after: 1m, then: rollback}"),
		shopPlan(t, `advance: time; scarce: {then: ask}; verify: [{use: http, with: {url: "http://x"}}] | notify: [{use: stdout}, {use: stdout}]`),
		shopPlan(t, "bake: {for: 0s}; scarce: {then: rollback}"),
		shopPlan(t, "steps: [100]"),
	}
	outcomes := map[guard.Outcome]int{}
	for seed := range uint64(histories) {
		play := &history{
			rand:     rand.New(rand.NewPCG(seed, 1)),
			plan:     plans[seed%uint64(len(plans))],
			now:      time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC),
			stubborn: seed%7 == 0,
		}
		if err := play.run(); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, play.tail())
		}
		outcomes[play.state.Outcome]++
	}
	t.Log(outcomes)
	// A test that never gets anywhere keeps every promise.
	for _, o := range []guard.Outcome{
		guard.Live, guard.Unfinished, guard.NoGo, guard.Unknowable, guard.Overdue, guard.Stopped,
		guard.RolledBack, guard.RollbackFailed, guard.WouldRollBack,
	} {
		if outcomes[o] == 0 {
			t.Errorf("no history ended as %q: %v", o, outcomes)
		}
	}
}

// history is one random history.
type history struct {
	rand     *rand.Rand
	plan     *guard.Plan
	now      time.Time
	stubborn bool // nothing is ever finished
	state    guard.State
	past     []guard.Event
	issued   []guard.Task // every task that was ever asked for
}

func (h *history) run() error {
	for len(h.past) < 300 {
		h.now = h.now.Add(time.Duration(h.rand.ExpFloat64() * float64(4*time.Second)))
		e := h.event()
		before, printed := h.state, ""
		looks := len(h.past)%8 == int(h.rand.Uint64()%8) // printing takes most of the time
		if looks {
			printed = fmt.Sprintf("%+v", before)
		}
		after := guard.Next(h.plan, before, e)
		h.past = append(h.past, e)
		h.state = after
		if looks {
			if now := fmt.Sprintf("%+v", before); now != printed {
				return fmt.Errorf("Next changed its input from\n%s\nto\n%s", printed, now)
			}
		}
		if err := kept(h.plan, before, after, e); err != nil {
			return err
		}
		for _, t := range after.Todo {
			if t.ID > before.Tasks {
				h.issued = append(h.issued, t)
			}
		}
		if after.Phase == guard.Over && len(after.Todo) == 0 && h.rand.IntN(5) == 0 {
			break
		}
	}
	return h.written()
}

// written checks that a journal of this history leads to the same state.
func (h *history) written() error {
	var s guard.State
	for _, e := range h.past {
		kind, data, err := e.Encode()
		if err != nil {
			return err
		}
		read, err := guard.Decode(e.At, kind, data)
		if err != nil {
			return err
		}
		s = guard.Next(h.plan, s, read)
	}
	if diff := cmp.Diff(fmt.Sprintf("%+v", h.state), fmt.Sprintf("%+v", s)); diff != "" {
		return fmt.Errorf("the journal leads elsewhere (-memory +journal):\n%s", diff)
	}
	return nil
}

func (h *history) event() guard.Event {
	e := guard.Event{At: h.now}
	switch n := h.rand.IntN(100); {
	case len(h.past) == 0:
		e.Fact = guard.Opened{
			Release: guard.Release{ID: "1", Service: "shop", From: pick(h.rand, "v1", "v1", "v1", ""), To: "v2"},
			Purpose: pick(h.rand, guard.ToRollout, guard.ToRollout, guard.ToRollout, guard.ToWatch, guard.ToRollback),
			Mode:    pick(h.rand, guard.Enforce, guard.Enforce, guard.Enforce, guard.Observe),
		}
	case n < 3:
		e.Fact = guard.Resumed{}
		h.now = h.now.Add(time.Duration(h.rand.IntN(7)) * time.Minute)
		e.At = h.now
	case n < 6:
		e.Fact = guard.Ordered{Verb: pick(h.rand, guard.Verbs...)}
	case n < 7:
		e.Fact = guard.Interrupted{Signal: "interrupt"}
	case n < 9:
		e.Fact = h.answer(guard.Task{Deed: pick[guard.Deed](h.rand, guard.Inspect{}, guard.Shift{Percent: 50}, guard.Measure{}, guard.Finish{})})
	case n < 14 && len(h.issued) > 0: // late, or twice
		t := pick(h.rand, h.issued...)
		e.Task, e.Fact = t.ID, h.answer(t)
	default:
		t, found := h.due()
		if !found {
			e.Fact = guard.Interrupted{Signal: "terminated"}
			break
		}
		if t.NotBefore.After(h.now) {
			h.now = t.NotBefore
			e.At = h.now
		}
		e.Task, e.Fact = t.ID, h.answer(t)
	}
	return e
}

// due picks a task: mostly the one that is due first, sometimes any.
func (h *history) due() (first guard.Task, found bool) {
	if len(h.state.Todo) > 0 && h.rand.IntN(20) == 0 {
		if t := pick(h.rand, h.state.Todo...); t.Deed != guard.Deed(guard.Wait{}) {
			return t, true
		}
	}
	for _, t := range h.state.Todo {
		if !found || t.NotBefore.Before(first.NotBefore) {
			first, found = t, true
		}
	}
	return first, found
}

// answer is what a bad world may say to a task.
func (h *history) answer(t guard.Task) guard.Fact {
	if _, wait := t.Deed.(guard.Wait); !wait && h.rand.IntN(16) == 0 {
		return guard.Failed{Error: "connection refused"}
	}
	standing := guard.Standing{Percent: h.state.Aim, Undo: guard.Undo{Open: h.rand.IntN(30) > 0}}
	if h.rand.IntN(30) == 0 {
		standing.Percent = pick(h.rand, 0, 4, 10, 50, 95, 100, -1, 400)
	}
	verdict := pick(h.rand, guard.Pass, guard.Pass, guard.Pass, guard.Pass, guard.Warn, guard.Fail, guard.Unknown)
	switch d := t.Deed.(type) {
	case guard.RunChecks:
		return guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass}, {Verdict: verdict}}}
	case guard.Inspect:
		return guard.Inspected{Standing: standing}
	case guard.Shift:
		if h.rand.IntN(20) == 0 {
			return guard.Shifted{Percent: 100}
		}
		return guard.Shifted(d)
	case guard.Measure:
		m := guard.Measured{Ruling: judge.Ruling{Call: pick(h.rand, judge.Healthy, judge.Healthy, judge.Healthy, judge.Continue,
			judge.Continue, judge.Continue, judge.Hold, judge.Inconclusive, judge.Blind, judge.Regressed)}}
		if h.rand.IntN(8) > 0 {
			m.Ruling.Call = pick(h.rand, judge.Healthy, judge.Continue)
			m.Standing = &standing
		}
		return m
	case guard.Verify:
		return guard.Verified{Standing: standing, Findings: []guard.Finding{{Verdict: verdict}}}
	case guard.Finish:
		if h.stubborn {
			return guard.Failed{Error: "no permission"}
		}
		return guard.Finished{}
	case guard.Tell:
		return guard.Told{}
	}
	return guard.Elapsed{}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func (h *history) tail() (text string) {
	for _, e := range h.past[max(0, len(h.past)-12):] {
		text += fmt.Sprintf("%s %d %T %.200s\n", e.At.Format(time.TimeOnly), e.Task, e.Fact, fmt.Sprintf("%+v", e.Fact))
	}
	return text + describe(h.state, h.past[0].At)
}

// kept says which promise a step of the machine has broken, if one.
func kept(p *guard.Plan, before, after guard.State, e guard.Event) error {
	acts := after.Mode != guard.Observe || after.Purpose == guard.ToRollback
	goesBack := acts && (before.Cause != "" || after.Phase == guard.Restoring || after.Phase == guard.Verifying)
	var moves, waits, others int
	for _, t := range after.Todo {
		switch d := t.Deed.(type) {
		case guard.Shift:
			moves++
			switch {
			case d.Percent > after.Aim:
				return fmt.Errorf("a shift to %d %% is above the aim of %d %%", d.Percent, after.Aim)
			case goesBack && d.Percent > 0:
				return fmt.Errorf("the share rises to %d %% after the decision to go back", d.Percent)
			case !acts || after.Purpose == guard.ToWatch && d.Percent > 0:
				return fmt.Errorf("golive moves traffic that is not its own")
			}
		case guard.Finish:
			moves++
			if goesBack || !acts || after.Purpose == guard.ToWatch {
				return fmt.Errorf("the old version may be retired")
			}
		case guard.Wait:
			waits++
			if t.NotBefore != after.Until {
				return fmt.Errorf("the deadline is at %s, and the phase says %s", t.NotBefore, after.Until)
			}
		case guard.Tell:
			continue
		}
		others++
	}
	late := e.Task != 0 && !asked(before, e.Task)
	switch {
	case moves > 1:
		return fmt.Errorf("%d moves of traffic at once", moves)
	case after.Phase == guard.Over && others > 0:
		return fmt.Errorf("over, and not over: %v", after.Todo)
	case after.Phase != guard.Over && waits != 1:
		return fmt.Errorf("%d deadlines in %s: it can be stuck", waits, after.Phase)
	case after.Phase != guard.Over && others < 2:
		return fmt.Errorf("nothing to do in %s but to wait", after.Phase)
	case (late || before.Phase == guard.Over && e.Task == 0) && !same(before, after):
		return fmt.Errorf("a late answer changed something")
	case before.Phase == guard.Over && (after.Phase != guard.Over || after.Outcome != before.Outcome):
		return fmt.Errorf("over does not mean over")
	case goesBack && after.Aim > 0:
		return fmt.Errorf("going back, the aim is %d %%", after.Aim)
	case goesBack && after.Phase == guard.Over && acts && after.Outcome != guard.RolledBack && after.Outcome != guard.RollbackFailed:
		return fmt.Errorf("gone back, and the outcome is %s", after.Outcome)
	case after.Outcome == guard.Live && !after.Earned:
		return fmt.Errorf("live, and never found healthy")
	case after.Outcome == guard.RolledBack && before.Outcome == "" && acts && after.Seen != 0:
		return fmt.Errorf("rolled back with %d %% on the new version", after.Seen)
	}
	if m, ok := e.Fact.(guard.Measured); ok && !late && e.Task != 0 {
		switch call := m.Ruling.Call; {
		case call == judge.Regressed && acts && (after.Phase == guard.Watching || after.Phase == guard.Baking):
			return fmt.Errorf("regressed, and still %s", after.Phase)
		case (call == judge.Regressed || call == judge.Blind || call == judge.Hold) && after.Aim > before.Aim && after.Purpose == guard.ToRollout && after.Mode != guard.Observe && p.Rollout.Scarce.Then != guard.ThenProceed:
			return fmt.Errorf("%s took a step from %d %% to %d %%", call, before.Aim, after.Aim)
		case (call == judge.Regressed || call == judge.Blind) && (after.Phase == guard.Finishing || after.Outcome == guard.Live):
			return fmt.Errorf("%s finished the rollout", call)
		}
	}
	return nil
}

func asked(s guard.State, id int) bool {
	for _, t := range s.Todo {
		if t.ID == id {
			return true
		}
	}
	return false
}

func same(a, b guard.State) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }

// TestNothingIsStuck lets a world answer nothing at all, or only a few things: the clock alone ends every
// rollout.
func TestNothingIsStuck(t *testing.T) {
	plan := shopPlan(t, "scarce: {then: ask}; blind: {after: 1m, then: ask} | notify: [{use: stdout}]")
	for answers := range 12 {
		answered := 0
		world := func(s guard.State, task guard.Task) (guard.Fact, time.Duration) {
			if _, wait := task.Deed.(guard.Wait); wait {
				return guard.Elapsed{}, 0
			}
			if answered++; answered > answers {
				return nil, 0
			}
			h := history{rand: rand.New(rand.NewPCG(1, uint64(answered))), state: s}
			return h.answer(task), time.Second
		}
		open := guard.Opened{Release: guard.Release{ID: "1", From: "v1", To: "v2"}, Purpose: guard.ToRollout, Mode: guard.Enforce}
		events := guard.Rehearse(plan, open, time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), world)
		if end := guard.Fold(plan, events); end.Phase != guard.Over {
			t.Errorf("after %d answers it is stuck in %s, with %v to do", answers, end.Phase, end.Todo)
		}
	}
}
