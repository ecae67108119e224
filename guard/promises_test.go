package guard_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// TestPromises plays thousands of random histories – wrong answers, late answers, answers twice, orders,
// signals and crashes at any time – and holds every state to what must never be broken.
func TestPromises(t *testing.T) {
	histories := 3000
	if testing.Short() {
		histories = 1000
	}
	plans := []*guard.Plan{
		shopPlan(t, ""),
		shopPlan(t, "scarce: {then: proceed}; blind: {after: 1m, then: rollback}"),
		shopPlan(t, `advance: time; scarce: {then: ask}; verify: [{use: http, with: {url: "http://x"}}] | notify: [{use: stdout}, {use: stdout}]`),
		shopPlan(t, "bake: {for: 0s}; scarce: {then: rollback}"),
		shopPlan(t, "steps: [100]"),
		shopPlan(t, "alert: {then: rollback}; bake: {for: 0s}"),
		shopPlan(t, "alert: {then: note} | notify: [{use: stdout, progress: true}]"),
		shopPlan(t, "deadline: {rollback: 30s} | "+responding),
		shopPlan(t, "deadline: {rollback: 10s} | "+responding+recovering),
		shopPlan(t, " | "+responding+"data: [{name: orders, migrations: irreversible}]\n"),
		shopPlan(t, " | "+responding+recovering+"data: [{name: orders, migrations: irreversible}]\n"),
	}
	outcomes, paths := map[guard.Outcome]int{}, map[string]int{}
	for seed := range uint64(histories) {
		play := &history{
			rand:     rand.New(rand.NewPCG(seed, 1)),
			plan:     plans[seed%uint64(len(plans))],
			now:      time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC),
			stubborn: seed%5 == 0,
			paths:    paths,
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
		guard.RolledBack, guard.RollbackFailed, guard.WouldRollBack, guard.Recovered, guard.ForwardOnly,
	} {
		if outcomes[o] == 0 {
			t.Errorf("no history ended as %q: %v", o, outcomes)
		}
	}
	for _, path := range []string{"resort after restoring", "resort after soaking", "back again", "contained when over", "ordered while containing", "unsettled"} {
		if paths[path] == 0 {
			t.Errorf("no history went this way: %s (%v)", path, paths)
		}
	}
}

// history is one random history.
type history struct {
	rand     *rand.Rand
	plan     *guard.Plan
	now      time.Time
	stubborn bool           // nothing is ever finished
	harmed   time.Time      // when it was last shown, in a soak, that the old version does harm
	paths    map[string]int // that histories have taken
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
		if err := h.keptOfWaysBack(before, after, e); err != nil {
			return err
		}
		for _, t := range after.Todo {
			if !asked(before, t.ID) {
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
		e.Fact = guard.Resumed{Unmoved: h.state.Aim == 0}
		h.now = h.now.Add(time.Duration(h.rand.IntN(7)) * time.Minute)
		e.At = h.now
	case n < 6:
		e.Fact = guard.Ordered{Verb: pick(h.rand, guard.Verbs...), For: guard.Duration(h.rand.IntN(1600)) * guard.Duration(time.Minute), Force: h.rand.IntN(4) == 0, NoIncident: len(h.past)%2 == 0}
	case n < 7 && h.rand.IntN(2) == 0:
		e.Fact = h.statement()
	case n < 7:
		e.Fact = guard.Interrupted{Signal: "interrupt"}
	case n < 10:
		e.Fact = h.vote()
	case n < 12:
		e.Fact = h.answer(guard.Task{Deed: pick[guard.Deed](h.rand, guard.Inspect{}, guard.Shift{Percent: 50}, guard.Measure{}, guard.Finish{})})
	case n < 17 && len(h.issued) > 0: // late, or twice
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

// vote is what an alerting system may say; it says twice as often that an alert ended as that one fires.
func (h *history) vote() guard.Fact {
	a := guard.Alert{Key: pick(h.rand, "a", "b"), Name: "errors", Since: h.now.Add(-time.Duration(h.rand.IntN(1200)) * time.Second)}
	switch h.rand.IntN(12) {
	case 0:
		return guard.Noted{Text: "lunch"}
	case 1:
		return guard.Acknowledged{By: "ada"}
	case 2:
		return guard.Voted{Unseen: 1, Group: pick(h.rand, "", "", "g")}
	case 3, 4:
		return guard.Voted{Alerts: []guard.Alert{a}}
	}
	other := a
	other.Key, other.Ended = pick(h.rand, "a", "b"), true
	a.Ended = true
	return guard.Voted{Alerts: []guard.Alert{a, other}}
}

// statement is what people may say of an incident.
func (h *history) statement() guard.Fact {
	what := pick(h.rand, append([]guard.Statement{guard.StateStandDown, guard.StateSignOff}, guard.Statements...)...)
	return guard.Stated{
		What: what, By: "ada", Text: "so it is", Subject: pick(h.rand, "business", "customer", "PayCo", "surprise"), Level: h.rand.IntN(4),
	}
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
	switch t.Deed.(type) {
	case guard.Wait, guard.Remind, guard.Escalate, guard.Regrade:
		return guard.Elapsed{}
	}
	if h.rand.IntN(16) == 0 {
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
	case guard.Intervene:
		return guard.Intervened{Findings: []guard.Finding{{Verdict: verdict}}}
	case guard.Gather:
		return guard.Gathered{Exhibits: []guard.Exhibit{{Name: "counts"}}}
	case guard.Soak:
		s := guard.Soaked{
			Standing: &standing, Findings: []guard.Finding{{Verdict: verdict}},
			Ruling: judge.Ruling{Call: pick(h.rand, judge.Healthy, judge.Healthy, judge.Healthy, judge.Continue, judge.Blind, judge.Regressed)},
		}
		if h.rand.IntN(8) == 0 {
			s.Standing, s.Unseen = nil, "connection refused"
		}
		return s
	case guard.Tell:
		told := guard.Told{}
		if h.rand.IntN(3) == 0 {
			told.Receipt.Handed = []guard.Handed{{Name: "Ada Obi", Way: "email", Problem: pick(h.rand, "", "no such mailbox")}}
		}
		return told
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
			if n := d.Notice; n.Audience != "" && n.Audience != "team" && !slices.Contains(p.Routes(n.Audience, n.Roles), d.Channel) {
				return fmt.Errorf("what %s is told goes through channel %d, which is for %v", n.Audience, d.Channel, p.Notify[d.Channel].For)
			}
			if len(d.Notice.Only) > 0 && t.Tries >= 5 {
				return fmt.Errorf("%v is tried for ever", d.Notice.Only)
			}
			continue
		case guard.Remind, guard.Escalate, guard.Regrade, guard.Gather:
			continue
		case guard.Intervene:
			if d.Move == guard.MoveContain && after.Outcome == guard.ForwardOnly && after.Incident.Open() {
				continue // it is tried until somebody says that it is over
			}
		}
		others++
	}
	if after.Phase == guard.Resorting && others == 1 {
		others++ // a person has to agree
	}
	if after.Phase == guard.Preserving {
		others++ // evidence is kept
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
	case (late || before.Phase == guard.Over && e.Task == 0 && !hears(before, e.Fact)) && !same(before, after):
		return fmt.Errorf("a late answer changed something")
	case before.Phase == guard.Over && (after.Phase != guard.Over || after.Outcome != before.Outcome) && (!hears(before, e.Fact) || after.Phase != guard.Restoring):
		return fmt.Errorf("over does not mean over")
	case goesBack && after.Aim > 0 && after.Phase != guard.Containing && after.Phase != guard.Preserving && after.Outcome != guard.ForwardOnly:
		return fmt.Errorf("going back, the aim is %d %%", after.Aim)
	case goesBack && after.Phase == guard.Over && acts && after.Outcome != guard.RolledBack && after.Outcome != guard.RollbackFailed &&
		after.Outcome != guard.Recovered && after.Outcome != guard.ForwardOnly:
		return fmt.Errorf("gone back, and the outcome is %s", after.Outcome)
	case after.Outcome == guard.Live && !after.Earned:
		return fmt.Errorf("live, and never found healthy")
	case after.Outcome == guard.RolledBack && before.Outcome == "" && acts && after.Seen != 0:
		return fmt.Errorf("rolled back with %d %% on the new version", after.Seen)
	}
	if err := keptOfAlerts(p, before, after, e); err != nil {
		return err
	}
	if err := keptOfIncidents(p, before, after, e); err != nil {
		return err
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

// keptOfAlerts says which promise about alerts, notes and orders for more time was broken, if one.
func keptOfAlerts(p *guard.Plan, before, after guard.State, e guard.Event) error {
	for _, a := range after.Alerts {
		if a.Ended || a.Since.Before(after.Opened) {
			return fmt.Errorf("%v is no vote against this rollout", a)
		}
	}
	if alarmed := p.Rollout.Alert.Then != guard.ThenNote && len(after.Alerts) > 0; alarmed && after.Alarm == "" {
		return fmt.Errorf("alerts fire, and nobody heeds them")
	}
	extends := false
	switch f := e.Fact.(type) {
	case guard.Voted, guard.Noted, guard.Acknowledged:
		turned := before.Phase != after.Phase || !before.Until.Equal(after.Until)
		if after.Aim > before.Aim || turned && after.Cause != guard.CauseAlert {
			return fmt.Errorf("%T led from %s, aim %d %%, to %s, aim %d %%", f, before.Phase, before.Aim, after.Phase, after.Aim)
		}
	case guard.Ordered:
		extends = f.Verb == guard.OrderExtend
	}
	if extends {
		if after.Phase != before.Phase || after.Aim != before.Aim || after.Until.Sub(before.Until) > 24*time.Hour || after.Until.Before(before.Until) {
			return fmt.Errorf("more time led from %s until %s to %s until %s", before.Phase, before.Until, after.Phase, after.Until)
		}
		if diff := cmp.Diff(measures(before), measures(after)); diff != "" {
			return fmt.Errorf("more time changed what is measured:\n%s", diff)
		}
	}
	// What an alert forbids, only a person allows.
	person := false
	if f, ok := e.Fact.(guard.Ordered); ok {
		person = f.Verb == guard.OrderProceed
	}
	acts := after.Mode != guard.Observe && after.Purpose == guard.ToRollout
	switch steps := after.Aim > before.Aim || after.Phase == guard.Finishing && before.Phase != guard.Finishing; {
	case before.Alarm != "" && acts && steps && !person:
		return fmt.Errorf("%T took a step while an alert fires", e.Fact)
	case before.Alarm != "" && after.Alarm != "" && after.Outcome == guard.Live && before.Phase == guard.Baking && !person:
		return fmt.Errorf("%T ended the bake while an alert fires", e.Fact)
	}
	return nil
}

// hears says whether a fact may change something after the end.
func hears(s guard.State, f guard.Fact) bool {
	switch f := f.(type) {
	case guard.Noted, guard.Acknowledged, guard.Stated:
		return true
	case guard.Resumed:
		return s.Incident.Open()
	case guard.Ordered:
		return f.Verb == guard.OrderRollback && s.ReturnsAgain(f.Force)
	}
	return false
}

// longestWhy bounds how much is said of why a phase has begun, which goes into every notice, in a world of short answers.
const longestWhy = 500

// keptOfWaysBack says which promise about the order of recovery was broken, if one.
func (h *history) keptOfWaysBack(before, after guard.State, e guard.Event) error {
	answered := e.Task == 0 || asked(before, e.Task)
	if f, ok := e.Fact.(guard.Soaked); ok && answered && (f.Ruling.Call == judge.Regressed || guard.Worst(f.Findings) == guard.Fail) {
		h.harmed = e.At
	}
	irreversible := len(h.plan.Data) > 0
	if resorts := after.Incident.Resort - before.Incident.Resort; resorts > 0 {
		_, late := e.Fact.(guard.Elapsed)
		switch before.Phase {
		case guard.Restoring, guard.Verifying:
			if !late {
				return fmt.Errorf("a resort after %T, and the way back has its time yet", e.Fact)
			}
			h.paths["resort after restoring"]++
		case guard.Resorting:
		case guard.Soaking:
			if ago := e.At.Sub(h.harmed); !late || ago >= h.plan.Recovery.Soak.Std() {
				return fmt.Errorf("a resort after %T, and the way back was last shown to do harm %s ago", e.Fact, ago)
			}
			h.paths["resort after soaking"]++
		default:
			return fmt.Errorf("a resort after %s", before.Phase)
		}
	}
	if before.Phase == guard.Soaking && after.Phase == guard.Over && after.Incident.Steady.IsZero() {
		h.paths["unsettled"]++
		if o, owed := after.Incident.Owes(guard.DueRecover); owed && !o.Met.IsZero() && o.Met.Equal(e.At) {
			return fmt.Errorf("recovered, and not shown to stay well")
		}
	}
	order, ordered := e.Fact.(guard.Ordered)
	back := ordered && order.Verb == guard.OrderRollback
	switch open := !irreversible || after.Forced; {
	case len(after.Why) > longestWhy:
		return fmt.Errorf("why grows: %s", after.Why)
	case back && open && (before.Phase == guard.Containing || before.Phase == guard.Preserving):
		h.paths["ordered while containing"]++
		if after.Phase != guard.Restoring {
			return fmt.Errorf("somebody wants it back now, and it is %s", after.Phase)
		}
	case back && before.Phase == guard.Over && before.Incident.Open() && before.Outcome == guard.RollbackFailed:
		h.paths["back again"]++
		if after.Phase != guard.Restoring || after.Outcome != "" {
			return fmt.Errorf("the way back has failed, and nobody can have it tried again: %s", after.Phase)
		}
	case after.Phase == guard.Restoring && before.Phase != guard.Restoring && !open:
		return fmt.Errorf("it goes back over a migration that cannot be undone")
	}
	if _, resumed := e.Fact.(guard.Resumed); resumed && before.Phase == guard.Containing && after.Phase == guard.Containing && !after.Until.Equal(before.Until) {
		return fmt.Errorf("started again, containing lasts until %s and not %s", after.Until, before.Until)
	}
	if h.plan.Recovery.Contain != nil && after.Outcome == guard.ForwardOnly && after.Incident.Open() && after.Incident.Contained.IsZero() &&
		after.Cause != guard.CauseInterrupted && !contains(after) { // who is asked to end has found no harm
		return fmt.Errorf("there is no way back, and nobody contains it")
	}
	if before.Phase == guard.Over && after.Phase == guard.Over && before.Incident.Contained.IsZero() && !after.Incident.Contained.IsZero() {
		h.paths["contained when over"]++
	}
	return nil
}

// contains says whether the harm is still to be contained.
func contains(s guard.State) bool {
	for _, t := range s.Todo {
		if d, ok := t.Deed.(guard.Intervene); ok && d.Move == guard.MoveContain {
			return true
		}
	}
	return false
}

// keptOfIncidents says which promise about an incident was broken, if one: what is owed is neither lost nor reset, by nothing
// that happens, and it only gets better if a person says so.
func keptOfIncidents(p *guard.Plan, before, after guard.State, e guard.Event) error {
	was, is := before.Incident, after.Incident
	stated, said := e.Fact.(guard.Stated)
	switch {
	case !was.Began.IsZero() && !is.Began.Equal(was.Began):
		return fmt.Errorf("the incident began at %s, and now at %s", was.Began, is.Began)
	case len(is.Owed) < len(was.Owed):
		return fmt.Errorf("of %d obligations %d are left", len(was.Owed), len(is.Owed))
	case was.Level > 0 && is.Level > was.Level && (!said || stated.What != guard.StateSeverity):
		return fmt.Errorf("%T made level %d of level %d", e.Fact, is.Level, was.Level)
	case was.Level != is.Level && len(is.Grades) <= len(was.Grades):
		return fmt.Errorf("nothing tells why level %d is %d", was.Level, is.Level)
	case !is.StoodDown.IsZero() && was.StoodDown.IsZero() && (!said || stated.What != guard.StateStandDown || after.Phase != guard.Over):
		return fmt.Errorf("stood down by %T in %s", e.Fact, after.Phase)
	case after.Cause == guard.CauseWithdrawn && before.Cause == "" && after.Outcome != guard.ForwardOnly && (!is.Began.IsZero() || len(before.Alerts) > 0 || !before.Suspect.IsZero()):
		return fmt.Errorf("withdrawn as harmless, and it is not")
	case is.Open() && is.Ruled != 1 && after.At.Sub(is.Began) <= 30*time.Minute && !regrades(after, is.Began.Add(30*time.Minute)):
		return fmt.Errorf("nobody will see that it has gone on for more than 30 minutes")
	case is.Open() && !p.Responds():
		return fmt.Errorf("an incident that nobody answers for")
	case (after.Outcome == guard.RollbackFailed || after.Outcome == guard.ForwardOnly) && p.Responds() && is.Began.IsZero():
		return fmt.Errorf("%s, and it is no incident", after.Outcome)
	}
	for i, o := range was.Owed {
		now := is.Owed[i]
		switch {
		case now.Kind != o.Kind || !now.Since.Equal(o.Since) || now.Until.After(o.Until) || now.Until.Before(o.Until) && o.Kind != guard.DueActivate && o.Kind != guard.DueUpdate:
			return fmt.Errorf("%+v has become %+v", o, now)
		case !o.Met.IsZero() && !now.Met.Equal(o.Met), o.Waived != "" && now.Waived == "", o.Passed && !now.Passed:
			return fmt.Errorf("%+v is open again as %+v", o, now)
		case o.Open() && o.Until.Before(after.At) && !now.Breached(after.At):
			return fmt.Errorf("%+v was late, and counts as %s", o, now.Standing(after.At))
		}
	}
	for _, o := range is.Owed {
		reminds := false
		for _, t := range after.Todo {
			d, ok := t.Deed.(guard.Remind)
			reminds = reminds || ok && d.Kind == o.Kind && d.Until.Equal(o.Until)
		}
		if is.Open() && o.Open() && !o.Passed && !reminds {
			return fmt.Errorf("nobody will see whether %+v is met", o)
		}
		if late := !o.Met.IsZero() && o.Met.After(o.Until); !o.Met.IsZero() && o.Breached(after.At) != late {
			return fmt.Errorf("%+v is breached: %t", o, !late)
		}
	}
	return nil
}

// regrades says that the rules of severity are asked right after a moment.
func regrades(s guard.State, moment time.Time) bool {
	return slices.ContainsFunc(s.Todo, func(t guard.Task) bool {
		_, ok := t.Deed.(guard.Regrade)
		return ok && t.NotBefore.After(moment) && t.NotBefore.Before(moment.Add(time.Minute))
	})
}

// measures are the tasks of the judge.
func measures(s guard.State) (all []guard.Task) {
	for _, t := range s.Todo {
		if _, ok := t.Deed.(guard.Measure); ok {
			all = append(all, t)
		}
	}
	return all
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
			switch task.Deed.(type) {
			case guard.Wait, guard.Remind, guard.Escalate, guard.Regrade:
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

// responding and recovering are chapters of a plan that has people answer when it goes wrong, and of one that has more than
// one way back.
const responding = `objectives: {rto: 10m}
roster:
  people:
    - {name: Wang Fang, role: commander}
    - {name: Ada Obi, role: on_duty}
    - {name: Mei Lin, role: deputy}
  vendors: [{name: PayCo}]
severity:
  - {level: 1, when: rollback_failed or down, lead: commander, page: everyone}
  - {level: 2, when: errors > 20% or minutes > 30, lead: commander, page: [commander, on_duty]}
  - {level: 3, when: "true", lead: on_duty, page: on_duty}
escalate:
  - {after: 0m, to: on_duty}
  - {after: 15m, to: commander, unless: acknowledged}
  - {after: 60m, to: [PayCo, customer, management], unless: cause_known}
notify: [{use: stdout}, {use: http, with: {url: "http://x"}, for: [customer, management]}]
`

const recovering = `evidence: {budget: 20s, collect: [{use: command, with: {run: "true"}}]}
recovery:
  contain: {use: command, with: {run: "true"}}
  resorts:
    - {name: fail-over, do: {use: command, with: {run: "true"}}, within: 30s}
    - {name: restore, do: {use: command, with: {run: "true"}}, within: 1m, approval: customer}
  soak: 10s
  ramp: [{use: command, with: {run: "true"}}]
  sign_off: business
`
