package guard

import (
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// State is where a rollout stands: everything that Next needs to know of the past. It is plain data, made
// only by folding Next over a history; the zero value is a rollout that has not begun.
type State struct {
	Release   Release
	Purpose   Purpose
	Mode      Mode
	Forced    bool // a rollback by hand that does not ask whether the way back is open
	Withdrawn bool // a rollback by hand of which whoever began it says that it is no incident

	BreakGlass *BreakGlass // opens the gate for this launch; nil: it does not

	Opened time.Time // when it was
	Phase  Phase
	Why    string    // why it is in this phase
	Since  time.Time // the phase began
	Until  time.Time // the phase is over at the latest

	Step   int       // place in Plan.Rollout.Steps
	Began  time.Time // the share of this step has been in force since then
	Peak   int       // the greatest share that it was seen to have
	Aim    int       // share of the traffic, in percent, that the new version should have
	Seen   int       // share that it was last seen to have
	Shares []int     // the only shares the backend can give; empty: any

	Ruling  judge.Ruling  // the latest
	Suspect time.Time     // the first of the latest readings that speak for harm; zero: the latest does not
	Remarks []string      // of the source, each once
	Earned  bool          // the new version was found healthy, or somebody has taken it upon himself
	Looked  time.Time     // when it was last known where the traffic is
	Held    string        // who or what forbids further steps; empty: nobody
	Extra   time.Duration // time on this step beyond its at_most before evidence is called scarce: somebody gave it more
	Alerts  []Alert       // that fire now and began after the rollout, the latest last
	Unnamed []Unnamed     // by system and group: alerts that fire now and were not named
	// Uncounted is how many alerts fired, unnamed, in the largest of the groups that are too many to remember.
	Uncounted int
	Alarm     string // why alerts forbid further steps; empty: they do not
	Alarmed   bool   // people know that alerts hold this step
	Asked     bool   // people know that this step needs them
	// Acknowledged is who has taken notice last, and looks after it; empty: nobody.
	Acknowledged string
	Cause        Cause // why it goes back, or would in observe mode; empty: it does not

	Incident Incident // what it became when it went back; the zero value: none

	Findings []Finding // of the checks
	Proof    []Finding // of the probes that verified the way back
	Trouble  string    // the latest thing that could not be done, if it has not been done since
	Outcome  Outcome   // once the phase is Over

	Fence  int64     // grows with each process that takes the rollout on
	At     time.Time // of the latest event
	Todo   []Task    // asked for and not yet answered
	Tasks  int       // given out so far
	Asides int       // of those besides: see machine.aside
}

// Phase is the part of a rollout that is going on. The zero value means that it has not begun.
type Phase string

const (
	Checking  Phase = "checking"  // asking the checks, and where the traffic is
	Shifting  Phase = "shifting"  // moving the traffic up to a step
	Watching  Phase = "watching"  // gathering evidence on a step
	Baking    Phase = "baking"    // all steps done; the old version is still ready
	Finishing Phase = "finishing" // the last traffic moves, and the old version may be retired
	Restoring Phase = "restoring" // taking the traffic back
	Verifying Phase = "verifying" // making sure that it is back

	Containing Phase = "containing" // stopping the harm from spreading, before the traffic is taken back
	Preserving Phase = "preserving" // keeping the evidence, before the traffic is taken back
	Resorting  Phase = "resorting"  // trying what the plan has for the case that going back did not help
	Soaking    Phase = "soaking"    // back, and seeing whether it stays well
	Ramping    Phase = "ramping"    // letting the traffic in again that was kept out
	Over       Phase = "over"
)

// Cause says what made a rollout go back.
type Cause string

const (
	CauseRegressed   Cause = "regressed"   // the new version does harm
	CauseBlind       Cause = "blind"       // the metrics are gone
	CauseScarce      Cause = "scarce"      // not enough evidence in the time of the step
	CauseStuck       Cause = "stuck"       // the traffic could not be moved
	CauseOrdered     Cause = "ordered"     // a person said so
	CauseInterrupted Cause = "interrupted" // golive was asked to end
	CauseDrift       Cause = "drift"       // somebody else took the traffic away
	CauseAlert       Cause = "alert"       // an alert fires that did not when the rollout began
	CauseWithdrawn   Cause = "withdrawn"   // as ordered, but nothing spoke against it, and whoever ordered it says that it is no incident
)

// Outcome is how a rollout ended.
type Outcome string

const (
	Live           Outcome = "live"            // the new version has the traffic, and earned it
	Unfinished     Outcome = "unfinished"      // the new version has the traffic; the backend could not finish
	NoGo           Outcome = "no-go"           // it must not begin
	Unknowable     Outcome = "unknown"         // whether it may begin could not be found out
	Overdue        Outcome = "overdue"         // time ran out before anything was decided; golive has moved no traffic
	Stopped        Outcome = "stopped"         // interrupted before any traffic was moved
	RolledBack     Outcome = "rolled back"     // the old version has the traffic, verified
	RollbackFailed Outcome = "rollback failed" // it is not certain that the old version has the traffic
	WouldRollBack  Outcome = "would roll back" // observe mode: golive would have gone back
	Recovered      Outcome = "recovered"       // going back did not help, and a resort of the plan did, verified
	ForwardOnly    Outcome = "forward only"    // there is no way back over a migration: it was contained, and people were called
)

// Outcomes are all of them.
var Outcomes = []Outcome{
	Live, Unfinished, NoGo, Unknowable, Overdue, Stopped, RolledBack, RollbackFailed, WouldRollBack, Recovered, ForwardOnly,
}

const (
	checksTakeAtMost = 2 * time.Minute
	holdAtMost       = 3 // times at_most that a step may be held: JUDGE.md 6
	tellAtMost       = 5 // tries to deliver a notice
)

// ExtendAtMost is the time that one order may give a step.
const ExtendAtMost = 24 * time.Hour

// BlindAtMost is how long the new version may have traffic that nobody watches. A rollout that was left alone for longer
// goes back when it is resumed: STORE.md 5.6. Between two machines that time is the difference of their clocks, and a
// successor cannot tell one that is ahead from an absence: clocks that differ by more than this take every rollout back
// that is taken over. Keep them in step; a server says at its start how far it is from its store.
const BlindAtMost = 5 * time.Minute

// Validate refuses releases that make no sense.
func (r Release) Validate() error {
	switch {
	case r.To == "":
		return fmt.Errorf("a release needs the version that it brings")
	case r.To == r.From:
		return fmt.Errorf("%s would take the place of itself: there is no way back from a version to the same version", r.To)
	}
	return nil
}

// Next returns the state after an event. It is pure: it asks nobody, and never changes its input. An answer
// to a task that is not in s.Todo comes too late, and changes nothing.
func Next(p *Plan, s State, e Event) State {
	s.Todo = slices.Clone(s.Todo)
	m := &machine{plan: p, State: &s, now: e.At}
	task, known := m.take(e.Task)
	fact := e.Fact
	switch _, opens := fact.(Opened); {
	case !known, opens != (s.Phase == ""), s.Phase == Over && e.Task == 0 && !s.hears(fact):
		return s
	case answers(task.Deed, fact):
	case task.Deed == nil:
		return s // an answer that nobody asked for
	default:
		fact = Failed{fmt.Sprintf("%T is no answer to %T", fact, task.Deed)}
	}
	switch f := fact.(type) {
	case Opened:
		m.open(f)
	case Resumed:
		m.resume(f)
	case Ordered:
		m.order(f)
	case Voted:
		m.voted(f)
	case Noted:
	case Acknowledged:
		m.acknowledged(f.By)
	case Stated:
		m.stated(f)
	case Interrupted:
		m.interrupt(f)
	case Checked:
		m.checked(f)
	case Inspected:
		m.inspected(task, f.Standing)
	case Shifted:
		m.shifted()
	case Measured:
		m.measured(task, f)
	case Verified:
		m.verified(task, f)
	case Finished:
		m.over(Live, m.Why)
	case Intervened:
		m.intervened(task, f)
	case Gathered:
		m.gathered(f)
	case Soaked:
		m.soaked(f)
	case Told:
		m.told(task, f)
	case Elapsed:
		m.elapsedOf(task.Deed)
	case Failed:
		m.failed(task, f.Error)
	default:
		panic(fmt.Sprintf("no rule for %T", fact))
	}
	s.Peak = max(s.Peak, s.Seen)
	m.grade()
	s.At = e.At
	return s
}

// answers says whether a fact can answer a deed. The deed of what comes from outside is nil.
func answers(d Deed, f Fact) (ok bool) {
	switch f := f.(type) {
	case Opened, Resumed, Ordered, Voted, Noted, Acknowledged, Stated, Interrupted:
		return d == nil
	case Failed:
		return d != nil
	case Checked:
		_, ok = d.(RunChecks)
	case Inspected:
		_, ok = d.(Inspect)
		ok = ok && f.Standing.Check() == nil
	case Shifted:
		shift, is := d.(Shift)
		ok = is && shift.Percent == f.Percent
	case Measured:
		_, ok = d.(Measure)
		ok = ok && (f.Standing == nil || f.Standing.Check() == nil)
	case Verified:
		_, ok = d.(Verify)
		ok = ok && f.Standing.Check() == nil
	case Finished:
		_, ok = d.(Finish)
	case Told:
		_, ok = d.(Tell)
	case Intervened:
		_, ok = d.(Intervene)
	case Gathered:
		_, ok = d.(Gather)
	case Soaked:
		_, ok = d.(Soak)
		ok = ok && (f.Standing == nil || f.Standing.Check() == nil)
	case Elapsed:
		switch d.(type) {
		case Wait, Remind, Escalate, Regrade:
			ok = true
		}
	}
	return ok
}

// machine is Next at work on its own copy of the state.
type machine struct {
	plan *Plan
	*State
	now time.Time
	// aside numbers tasks from -1 down. A journal names a task by its number: what an older golive gave out keeps the
	// numbers that it had there, and what it did not know of gets others, so that its journals still lead where they led.
	aside bool
}

// acts says whether golive may touch anything. Who goes back by hand has said so.
func (m *machine) acts() bool { return m.Mode != Observe || m.Purpose == ToRollback }

// follows says whether somebody else moves the traffic.
func (m *machine) follows() bool { return m.Purpose == ToWatch || !m.acts() }

// take removes a task from the list. Task 0 is always known: it stands for the outside.
func (m *machine) take(id int) (Task, bool) {
	if id == 0 {
		return Task{}, true
	}
	i := slices.IndexFunc(m.Todo, func(t Task) bool { return t.ID == id })
	if i < 0 {
		return Task{}, false
	}
	t := m.Todo[i]
	m.Todo = slices.Delete(m.Todo, i, i+1)
	return t, true
}

func (m *machine) do(d Deed) { m.add(Task{Deed: d}) }

func (m *machine) add(t Task) {
	t.ID = m.number()
	if m.aside {
		m.Asides++
	} else {
		m.Tasks++
	}
	m.Todo = append(m.Todo, t)
}

// number is that of the next task.
func (m *machine) number() int {
	if m.aside {
		return -m.Asides - 1
	}
	return m.Tasks + 1
}

// apart gives out tasks aside.
func (m *machine) apart(give func()) {
	was := m.aside
	m.aside = true
	give()
	m.aside = was
}

// retry asks for a deed again because t did not do, after a pause that doubles from one second to ten.
func (m *machine) retry(t Task, d Deed) {
	pause := min(time.Second<<min(t.Tries, 4), 10*time.Second)
	m.add(Task{NotBefore: m.now.Add(pause), Tries: t.Tries + 1, Deed: d})
}

// enter begins a phase that lasts no longer than limit. Whatever the last phase still had to do is dropped,
// except for notices, for what an incident owes, for evidence that is being kept, and for harm that only can be contained.
func (m *machine) enter(phase Phase, limit time.Duration, why string) {
	m.leave()
	m.Phase, m.Why, m.Since, m.Until = phase, why, m.now, m.now.Add(limit)
	m.Trouble = ""
	m.add(Task{NotBefore: m.Until, Deed: Wait{}})
	m.progress()
}

func (m *machine) leave() {
	m.Todo = slices.DeleteFunc(m.Todo, func(t Task) bool {
		switch d := t.Deed.(type) {
		case Tell, Gather, Remind, Escalate, Regrade:
			return false
		case Intervene: // where there is no way back, the harm is to be contained until somebody says that it is over
			return d.Move != MoveContain || !m.forwardOnly() || !m.Incident.Open()
		}
		return true
	})
}

func (m *machine) over(o Outcome, why string) {
	m.leave()
	m.Phase, m.Outcome, m.Why, m.Since, m.Until = Over, o, why, m.now, m.now
	m.concluded()
}

// tell lets the team know, through every channel of theirs.
func (m *machine) tell(urgent bool, title, text string) {
	key := fmt.Sprintf("%s/%d", m.Release.ID, m.number())
	for i, c := range m.plan.Notify {
		if m.plan.ofTeam(c) {
			m.do(Tell{Channel: i, Notice: Notice{
				Key: key, Release: m.Release, Urgent: urgent, Title: title, Text: text, At: m.now, Progress: m.stands(), Blockers: m.blockers(),
			}})
		}
	}
}

// progress says to the channels that want it how far the rollout is. What they have not heard yet of an earlier phase is
// dropped, so that a channel that is away for an hour does not hear the hour.
func (m *machine) progress() {
	for i, c := range m.plan.Notify {
		if !c.Progress {
			continue
		}
		m.Todo = slices.DeleteFunc(m.Todo, func(t Task) bool {
			d, tells := t.Deed.(Tell)
			return tells && d.Channel == i && d.Notice.Passing
		})
		m.do(Tell{Channel: i, Notice: Notice{
			Key: fmt.Sprintf("%s/%d", m.Release.ID, m.Tasks+1), Release: m.Release, At: m.now, Passing: true, Progress: m.stands(),
			Title: string(m.Phase), Text: m.Why,
		}})
	}
}

// stands is where the rollout stands, for a notice.
func (m *machine) stands() Progress {
	return Progress{Phase: m.Phase, Outcome: m.Outcome, Percent: m.Seen, Incident: m.Incident.Open()}
}

// blockers are the findings that have kept the gate shut, once they have.
func (m *machine) blockers() (all []Blocker) {
	if m.Outcome != NoGo && m.Outcome != Unknowable {
		return nil
	}
	for _, f := range m.Findings {
		if verdict := f.Counts(); verdict == Pass || verdict == Warn {
			continue
		}
		f.Evidence = nil
		all = append(all, Blocker{Finding: f, Line: m.plan.Position(f.Path).Line})
	}
	return all
}

// Beginning.

func (m *machine) open(f Opened) {
	m.Release, m.Purpose, m.Mode, m.Forced, m.BreakGlass, m.Withdrawn = f.Release, f.Purpose, f.Mode, f.Force, f.BreakGlass, f.NoIncident
	m.Opened = m.now
	m.fence(f.Fence)
	if f.BreakGlass != nil {
		m.tell(true, "break-glass", f.BreakGlass.String())
	}
	m.check()
}

// fence makes this process the latest owner. A store gives fences that grow from one rollout of a target to the next;
// without one, 0, it grows by the clock, which does the same on one machine.
func (m *machine) fence(given int64) {
	if given > 0 {
		m.Fence = max(m.Fence, given)
		return
	}
	m.Fence = max(m.Fence+1, m.now.UnixMilli())
}

// check begins with the questions. Who only watches, or goes back, has nothing to forbid, and asks where the
// traffic is.
func (m *machine) check() {
	m.enter(Checking, checksTakeAtMost, "")
	if m.Purpose == ToRollout {
		m.do(RunChecks{})
		return
	}
	m.do(Inspect{})
}

func (m *machine) checked(f Checked) {
	m.Findings = f.Findings
	verdict := Worst(f.Findings)
	switch {
	case verdict == Pass, verdict == Warn, !m.acts():
		m.do(Inspect{})
	case verdict == Fail:
		m.over(NoGo, first(f.Findings, Fail))
	default:
		m.over(Unknowable, first(f.Findings, Unknown, Waiting))
	}
}

// first says what the first finding with one of these verdicts is about.
func first(findings []Finding, verdicts ...Verdict) string {
	for _, f := range findings {
		if slices.Contains(verdicts, f.Counts()) {
			return fmt.Sprintf("%s: %s", f.ID, f.Reason)
		}
	}
	return "there was nothing to check"
}

// begin takes the first step, unless something is not as it has to be.
func (m *machine) begin(st Standing) {
	m.Shares = st.Shares
	switch {
	case m.Purpose == ToRollback && !st.Undo.Open && st.Percent > 0 && !m.Forced:
		m.over(NoGo, fmt.Sprintf("the way back to %s is closed: %s", m.Release.From, st.Undo.Detail))
		return
	case m.Purpose == ToRollback && m.irreversible() != "" && st.Percent > 0 && !m.Forced:
		m.over(NoGo, fmt.Sprintf("there is no way back to %s over the migration of %s", m.Release.From, m.irreversible()))
		return
	case m.Purpose == ToRollback:
		why := "rolled back by hand"
		if m.Withdrawn {
			why += ", as no incident"
		}
		m.takenBack(why, m.Withdrawn)
		return
	case m.follows():
		m.follow(st)
		return
	}
	steps := m.plan.Rollout.Steps
	for _, step := range steps {
		if !m.gives(step.Percent) {
			m.over(NoGo, fmt.Sprintf("the backend cannot give %d %% of the traffic, only %v: change rollout.steps", step.Percent, m.Shares))
			return
		}
	}
	switch {
	case !st.Undo.Open && !m.Release.First():
		m.over(NoGo, fmt.Sprintf("the way back to %s is closed: %s", m.Release.From, st.Undo.Detail))
	case st.Percent > steps[0].Percent:
		m.over(NoGo, fmt.Sprintf("%s has %d %% of the traffic already, more than the first step (%d %%): take it back first", m.Release.To, st.Percent, steps[0].Percent))
	default:
		m.step(0, "")
	}
}

func (m *machine) gives(percent int) bool {
	return len(m.Shares) == 0 || slices.Contains(m.Shares, percent)
}

// Moving up.

func (m *machine) step(i int, why string) {
	m.Step, m.Aim, m.Asked, m.Alarmed, m.Extra = i, m.share(i), false, false, 0
	m.enter(Shifting, m.plan.Rollout.Deadline.Shift.Std(), why)
	m.do(Shift{m.Aim})
}

// share is what step i gives the new version. Of the last step a share is held back on the old version, so
// that there is still something to compare with.
func (m *machine) share(i int) int {
	steps := m.plan.Rollout.Steps
	percent := steps[i].Percent
	back := int(float64(m.plan.Rollout.Bake.HoldBack)*100 + .5)
	if percent < 100 || back == 0 || m.plan.Rollout.Bake.For == 0 || m.Release.First() || !m.gives(100-back) {
		return percent
	}
	if i > 0 {
		return max(100-back, steps[i-1].Percent)
	}
	return 100 - back
}

func (m *machine) shifted() {
	m.Trouble = ""
	if m.Phase == Restoring {
		m.Phase = Verifying
		m.do(Verify{})
		return
	}
	m.do(Inspect{})
}

func (m *machine) inspected(t Task, st Standing) {
	m.Seen, m.Looked = st.Percent, m.now
	switch {
	case m.Phase == Checking && m.Purpose == ToRollout && (m.Held != "" || !m.follows() && m.heed()):
		m.add(Task{NotBefore: m.now.Add(time.Second), Deed: Inspect{}}) // until somebody says so, or time is over
	case m.Phase == Checking:
		m.begin(st)
	case m.Phase == Watching: // nobody has given the new version any traffic yet
		m.follow(st)
	case m.Seen != m.Aim:
		m.Trouble = fmt.Sprintf("%s was to have %d %% of the traffic and has %d %%", m.Release.To, m.Aim, m.Seen)
		m.retry(t, Shift{m.Aim})
	case m.Phase == Finishing:
		m.do(Finish{})
	case m.Step < len(m.plan.Rollout.Steps)-1:
		m.watch(Watching, m.Why)
	case m.plan.Rollout.Bake.For > 0, m.Alarm != "": // a plan without a bake bakes for as long as alerts fire
		m.watch(Baking, m.Why)
	default:
		m.finish("all steps are done")
	}
}

func (m *machine) finish(why string) {
	m.enter(Finishing, m.plan.Rollout.Deadline.Shift.Std(), why)
	m.Aim = 100
	if m.Seen == 100 {
		m.do(Finish{})
		return
	}
	m.do(Shift{100})
}

// Watching.

// watch begins to gather evidence, from nothing.
func (m *machine) watch(phase Phase, why string) {
	m.Began, m.Looked = m.now, m.now
	m.enter(phase, m.patience(phase), why)
	m.do(Measure{m.judged(phase)})
}

// patience is how long a phase of watching may last before it must have come to something.
func (m *machine) patience(phase Phase) time.Duration { return m.planned(phase) + m.Extra }

// planned is the patience of the plan itself.
func (m *machine) planned(phase Phase) time.Duration {
	switch {
	case phase == Baking && m.plan.Rollout.Bake.For > 0:
		return holdAtMost * m.plan.Rollout.Bake.For.Std()
	case m.follows():
		var all time.Duration
		for _, step := range m.plan.Rollout.Steps {
			all += step.AtMost.Std()
		}
		return holdAtMost * all
	}
	return holdAtMost * m.plan.Rollout.Steps[m.Step].AtMost.Std()
}

// judged is the step as the judge sees it.
func (m *machine) judged(phase Phase) judge.Step {
	steps := m.plan.Rollout.Steps
	step := judge.Step{
		At: m.Began, Weight: float64(m.Seen) / 100, Next: 1,
		AtLeast: steps[m.Step].AtLeast.Std(), AtMost: steps[m.Step].AtMost.Std(),
		Absolute: m.Release.First() || m.Seen == 100,
		Last:     phase == Baking || m.follows(),
	}
	if phase == Baking {
		step.AtLeast, step.AtMost = m.plan.Rollout.Bake.For.Std(), m.planned(Baking)
	} else if next := m.Step + 1; !m.follows() && next < len(steps) {
		step.Next = float64(steps[next].Percent) / 100
		step.Last = steps[next].Percent == 100
	}
	return step
}

func (m *machine) measured(t Task, f Measured) {
	m.Ruling = f.Ruling
	m.Remarks = append(slices.Clip(m.Remarks), m.Unheard(f.Reading.Remarks)...)
	m.Trouble = f.Problem
	m.Earned = m.Earned || f.Ruling.Call == judge.Healthy
	m.suspect(f.Ruling)
	if f.Ruling.Call == judge.Regressed {
		m.retreat(CauseRegressed, f.Ruling.Why)
		return
	}
	if f.Standing != nil {
		m.Looked = m.now
		if f.Standing.Percent != m.Seen {
			m.moved(*f.Standing)
			return
		}
	}
	m.measureAgain(t)
	switch unseen := m.now.Sub(m.Looked); {
	case unseen == 0:
		m.weigh()
	case unseen >= m.plan.Rollout.Blind.After.Std():
		// Where the traffic is, is not known: as bad as not knowing how it fares.
		m.resort(m.plan.Rollout.Blind.Then, CauseBlind, fmt.Sprintf("the backend could not say where the traffic is for %s: %s", Duration(unseen.Round(time.Second)), f.Unseen))
	}
}

// measureAgain keeps the rhythm; ticks that were missed are not made up for.
func (m *machine) measureAgain(t Task) {
	due := t.NotBefore.Add(m.plan.Watch.Every.Std())
	if due.Before(m.now) {
		due = m.now.Add(m.plan.Watch.Every.Std())
	}
	m.add(Task{NotBefore: due, Deed: t.Deed})
}

// weigh decides what the latest ruling means for the step.
func (m *machine) weigh() {
	inForce := m.now.Sub(m.Began)
	call := m.Ruling.Call
	if call == judge.Blind {
		m.resort(m.plan.Rollout.Blind.Then, CauseBlind, m.Ruling.Why)
		return
	}
	if m.heed() {
		return
	}
	if m.Phase == Baking {
		switch {
		case m.Held != "" || call == judge.Hold || inForce < m.plan.Rollout.Bake.For.Std():
		case !m.Earned && inForce < m.atMost():
		case !m.Earned:
			m.resort(m.plan.Rollout.Scarce.Then, CauseScarce, "not found healthy yet: "+m.Ruling.Why)
		default:
			m.bakedThrough()
		}
		return
	}
	if m.follows() || m.Held != "" {
		return
	}
	step := m.plan.Rollout.Steps[m.Step]
	switch {
	case inForce < step.AtLeast.Std():
	case call == judge.Healthy:
		m.step(m.Step+1, m.Ruling.Why)
	case m.plan.Rollout.Advance == OnTime && (call == judge.Continue || call == judge.Inconclusive):
		m.Earned = true // by the plan's own word
		m.step(m.Step+1, fmt.Sprintf("%s are over, and nothing speaks against it", step.AtLeast))
	case call == judge.Inconclusive && m.Extra == 0, inForce >= m.atMost():
		m.resort(m.plan.Rollout.Scarce.Then, CauseScarce, m.Ruling.Why)
	}
}

// atMost is the time on the step after which evidence is scarce.
func (m *machine) atMost() time.Duration { return m.plan.Rollout.Steps[m.Step].AtMost.Std() + m.Extra }

// bakedThrough ends a bake in which nothing spoke against the new version.
func (m *machine) bakedThrough() {
	why := fmt.Sprintf("baked for %s without harm", Duration(m.now.Sub(m.Began).Round(time.Second)))
	if m.follows() {
		m.over(Live, why)
		return
	}
	m.finish(why)
}

// resort does what the plan says for evidence that does not decide.
func (m *machine) resort(then Policy, cause Cause, why string) {
	switch {
	case then == ThenRollback:
		m.retreat(cause, why)
	case then == ThenProceed && cause == CauseScarce:
		m.proceed("not enough evidence, and the plan says to proceed: " + why)
	case !m.Asked:
		m.Asked = true
		title := "holding"
		if then == ThenAsk {
			title = "a person has to decide"
		}
		m.tell(then == ThenAsk, title, why)
	}
}

// proceed goes on without enough evidence, because a person or the plan says so.
func (m *machine) proceed(why string) {
	m.Earned = true
	switch {
	case m.Phase == Watching && !m.follows():
		m.step(m.Step+1, why)
	case m.Phase == Baking && m.now.Sub(m.Began) >= m.plan.Rollout.Bake.For.Std():
		m.bakedThrough()
	}
}

// moved deals with a share that golive did not ask for.
func (m *machine) moved(st Standing) {
	was := m.Seen
	m.Seen = st.Percent
	what := fmt.Sprintf("somebody moved %s from %d %% to %d %% of the traffic", m.Release.To, was, m.Seen)
	switch {
	case m.follows():
		m.follow(st)
	case m.Seen == 0:
		m.retreat(CauseDrift, what)
	case m.Seen < m.Aim:
		// Towards safety: never pushed forward again, unless a person says so.
		m.Aim, m.Held = m.Seen, what
		m.tell(true, "holding", what)
		m.watch(m.Phase, what)
	default:
		m.tell(true, "putting the share back", what)
		m.enter(Shifting, m.plan.Rollout.Deadline.Shift.Std(), what)
		m.do(Shift{m.Aim})
	}
}

// follow looks at a share that somebody else has set.
func (m *machine) follow(st Standing) {
	was := m.Aim
	m.Seen, m.Aim = st.Percent, st.Percent
	if m.Aim != was {
		m.Extra, m.Alarmed = 0, false // a share that somebody else has set is a step of his
	}
	switch {
	case m.Seen == 0 && was > 0 && m.acts():
		m.retreat(CauseDrift, fmt.Sprintf("somebody took the traffic away from %s", m.Release.To))
	case m.Seen == 0 && was > 0:
		m.over(RolledBack, fmt.Sprintf("somebody took the traffic away from %s", m.Release.To))
	case m.Seen == 0:
		if m.Phase != Watching {
			m.enter(Watching, m.patience(Watching), fmt.Sprintf("waiting for %s to get traffic", m.Release.To))
		}
		m.add(Task{NotBefore: m.now.Add(m.plan.Watch.Every.Std()), Deed: Inspect{}})
	case m.Seen == 100:
		m.watch(Baking, fmt.Sprintf("%s has all of the traffic", m.Release.To))
	default:
		m.watch(Watching, fmt.Sprintf("%s has %d %% of the traffic", m.Release.To, m.Seen))
	}
}
