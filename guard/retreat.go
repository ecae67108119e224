package guard

import (
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// This file is the machine of rollout.go on its way back, and whoever and whatever comes in between.

// retreat takes all traffic from the new version. From here on its share never rises again. In observe mode
// it is enough to have said so. A process that was asked to end may be killed a few seconds later, and nothing was found to be
// wrong: there is no harm to contain then, and the traffic waits for no evidence.
func (m *machine) retreat(c Cause, why string) {
	m.Cause = c
	if !m.acts() {
		m.over(WouldRollBack, why)
		return
	}
	m.Why = why
	if harms(c) {
		m.befall(why)
	}
	switch {
	case m.Incident.Open():
	case !m.forwardOnly():
		m.tell(true, "going back", why)
	case m.plan.Recovery.Contain != nil, len(m.plan.Evidence.Collect) > 0: // else the end tells it in the same moment
		m.tell(true, string(ForwardOnly), m.noWayBack(why))
	}
	if c == CauseInterrupted {
		m.preserve(why)
		return
	}
	m.contain(why)
}

// takenBack goes back because a person says so. That is an incident, unless it was said to be none and nothing known speaks
// against that: what did harm is not made harmless by whoever takes it back.
func (m *machine) takenBack(why string, noIncident bool) {
	switch harm := m.harm(); {
	case !noIncident:
		m.retreat(CauseOrdered, why)
	case harm != "":
		m.retreat(CauseOrdered, why+"; it is an incident all the same: "+harm)
	default:
		m.retreat(CauseWithdrawn, why)
	}
}

// harm is what speaks against the new version as of now, or keeps people from knowing how it does; empty: nothing.
func (m *machine) harm() string {
	switch {
	case !m.Suspect.IsZero():
		return orElse(m.Ruling.Why, "the latest readings speak against "+m.Release.To)
	case m.fires() != "": // even where the plan only notes alerts
		return m.fires()
	}
	return ""
}

func (m *machine) restore(why string) {
	m.Aim = 0
	m.enter(Restoring, m.plan.Rollout.Deadline.Rollback.Std(), why)
	m.do(Shift{0})
}

func (m *machine) verified(t Task, f Verified) {
	m.Seen, m.Proof = f.Standing.Percent, f.Findings
	if m.Seen == 0 {
		m.contained() // the backend has seen it; that it took the order shows nothing
	}
	switch verdict := Worst(f.Findings); {
	case m.Seen != 0:
		m.Trouble = fmt.Sprintf("%s still has %d %% of the traffic", m.Release.To, m.Seen)
	case len(f.Findings) > 0 && verdict != Pass && verdict != Warn:
		m.Trouble = first(f.Findings, verdict)
	default:
		m.Trouble = ""
		m.reverted()
		return
	}
	m.Phase = Restoring
	m.retry(t, Shift{0})
}

// Whatever goes wrong, and whoever comes in between.

func (m *machine) failed(t Task, err string) {
	switch d := t.Deed.(type) {
	case Tell:
		m.untold(t, d)
		return
	case Gather:
		m.gathered(Gathered{Exhibits: []Exhibit{{Name: "evidence", At: m.now, Problem: err}}})
		return
	case Remind, Escalate, Regrade:
		m.elapsedOf(t.Deed) // a timer that could not run has run
		return
	}
	m.Trouble = err
	switch d := t.Deed.(type) {
	case Intervene:
		m.intervened(t, Intervened{Findings: []Finding{{ID: string(d.Move), Reason: err}}})
	case Soak:
		m.soakAgain(err)
	case RunChecks:
		m.over(Unknowable, err)
	case Measure:
		m.measureAgain(t)
	case Verify:
		m.Phase = Restoring
		m.retry(t, Shift{0})
	case Shift:
		if m.Phase == Restoring {
			// It may have worked all the same, and only where the traffic is counts.
			m.Phase = Verifying
			m.add(Task{Tries: t.Tries, Deed: Verify{}})
			return
		}
		m.retry(t, t.Deed)
	case Inspect:
		if m.Purpose == ToRollback && m.Phase == Checking {
			m.takenBack("rolled back by hand, without knowing where the traffic is: "+err, m.Withdrawn)
			return
		}
		m.retry(t, t.Deed)
	case Wait:
		m.elapsed()
	default:
		m.retry(t, t.Deed)
	}
}

func (m *machine) elapsed() {
	late := fmt.Sprintf("%s was not over after %s", m.Phase, Duration(m.Until.Sub(m.Since)))
	if m.Trouble != "" {
		late += ": " + m.Trouble
	}
	switch m.Phase {
	case Checking:
		if m.Alarm != "" && !m.follows() {
			late += "; " + m.Alarm
		}
		m.over(Overdue, late)
	case Shifting:
		m.retreat(CauseStuck, late)
	case Watching, Baking:
		m.outOfTime(late)
	case Finishing:
		m.over(Unfinished, late)
	case Containing:
		m.uncontained(m.Why + "; it could not be contained: " + late)
	case Preserving:
		m.goBack()
	case Restoring, Verifying, Resorting:
		m.lastResort(late)
	case Soaking:
		m.unsettled(late)
	case Ramping:
		m.end(m.Why + "; what was kept out was not let in again: " + late)
	}
}

// outOfTime ends a watch that came to nothing: healthy has to be earned.
func (m *machine) outOfTime(late string) {
	if m.Ruling.Why != "" {
		late += "; " + m.Ruling.Why
	}
	cause := CauseScarce
	switch {
	case m.Alarm != "":
		cause = CauseAlert
		late += "; " + m.Alarm
	case m.Ruling.Call == judge.Blind:
		cause = CauseBlind
	}
	if !m.acts() || m.Seen == 0 {
		m.over(Overdue, late)
		return
	}
	m.retreat(cause, late)
}

// resume goes on after a time in which nobody did anything. Every phase gets its whole time again, and a
// step is watched from the beginning: what happened in between, nobody saw.
func (m *machine) resume(f Resumed) {
	away := m.now.Sub(m.At)
	m.fence(f.Fence)
	if m.Phase == Over {
		return // what an incident owes has its own times
	}
	moved := m.Phase == Shifting && (m.Seen > 0 || !f.Unmoved) || m.Phase == Finishing && !m.finishes() ||
		(m.Phase == Watching || m.Phase == Baking) && m.Seen > 0
	if away > BlindAtMost && m.acts() && moved {
		m.retreat(CauseBlind, fmt.Sprintf("nobody watched %s for %s", m.Release.To, Duration(away.Round(time.Second))))
		return
	}
	switch m.Phase {
	case Checking:
		m.check()
	case Shifting:
		m.enter(Shifting, m.plan.Rollout.Deadline.Shift.Std(), m.Why)
		m.do(Shift{m.Aim})
	case Watching, Baking:
		if m.follows() {
			m.enter(Watching, m.patience(Watching), m.Why)
			m.do(Inspect{})
			return
		}
		m.watch(m.Phase, m.Why)
	case Finishing:
		m.finish(m.Why)
	case Containing:
		m.contain(m.Why)
	case Preserving:
		m.preserve(m.Why)
	case Restoring, Verifying:
		m.restore(m.Why)
	case Resorting:
		m.begunResort(m.Why) // whoever has to agree was asked
	case Soaking:
		m.soak(m.Why)
	case Ramping:
		m.ramp(m.Why)
	}
}

func (m *machine) order(f Ordered) {
	who := f.By
	if who == "" {
		who = "somebody"
	}
	what := fmt.Sprintf("%s ordered %s", who, f.Verb)
	if f.NoIncident {
		what += ", as no incident"
	}
	if f.Why != "" {
		what += ": " + f.Why
	}
	m.Forced = m.Forced || f.Force && f.Verb == OrderRollback
	moving := m.Phase == Shifting || m.Phase == Watching || m.Phase == Baking
	switch {
	case f.Verb == OrderRollback && m.Phase == Checking && m.Purpose != ToRollback:
		m.over(Stopped, what)
	case f.Verb == OrderRollback && (moving || m.Phase == Finishing && !m.finishes()):
		m.takenBack(what, f.NoIncident)
	case f.Verb == OrderRollback && m.Phase == Containing && m.forwardOnly(): // what can be done is being done
	case f.Verb == OrderRollback && (m.Phase == Containing || m.Phase == Preserving):
		m.uncontained(m.Why)
	case f.Verb == OrderRollback && m.Phase == Over:
		m.backAgain(what)
	case f.Verb == OrderHold && (moving || m.Phase == Checking):
		m.Held = what
	case f.Verb == OrderResume:
		m.Held = ""
	case f.Verb == OrderProceed && (m.Phase == Watching || m.Phase == Baking):
		m.Held = ""
		m.proceed(what)
	case f.Verb == OrderExtend && (m.Phase == Watching || m.Phase == Baking):
		m.extend(f.For.Std())
	case f.Verb == OrderConclude && m.Purpose == ToWatch && (m.Phase == Watching || m.Phase == Baking):
		m.conclude(what)
	}
}

// ReturnsAgain says that an order to roll back is obeyed although the rollout is over: its incident is open, and it is not
// certain that the old version has the traffic. Over a migration that cannot be undone that takes force.
func (s State) ReturnsAgain(force bool) bool {
	switch {
	case s.Phase != Over || !s.Incident.Open():
		return false
	case s.Outcome == ForwardOnly:
		return force || s.Forced
	}
	return s.Outcome == RollbackFailed || s.Seen > 0
}

// backAgain takes the traffic back once more, because a person says so.
func (m *machine) backAgain(what string) {
	m.Outcome = ""
	m.Incident.Again++
	m.Incident.Regained, m.Incident.Reverted, m.Incident.Restored, m.Incident.Steady = 0, time.Time{}, time.Time{}, time.Time{}
	m.inform("team", m.called(m.level()), NewsUpdate, what)
	m.restore(what)
}

// conclude ends a watch because the tool that moves the traffic is done with it. Live is what was found healthy; whoever
// ends a watch before has decided for himself.
func (m *machine) conclude(what string) {
	switch {
	case m.Alarm != "":
		m.over(Overdue, what+"; but "+m.Alarm)
	case m.Earned:
		m.over(Live, what)
	default:
		m.over(Overdue, what+", before the evidence sufficed")
	}
}

// extend gives this step more time to come to something. The judge goes on with the evidence that it has.
func (m *machine) extend(more time.Duration) {
	if more <= 0 || more > ExtendAtMost {
		return
	}
	if m.Seen > 0 {
		// What is scarce already has its more time from now on.
		m.Extra += max(0, m.now.Sub(m.Began)-m.atMost())
	}
	m.Extra += more
	m.Until, m.Asked = m.Until.Add(more), false
	for i, t := range m.Todo {
		if t.Deed == Deed(Wait{}) {
			m.Todo[i].NotBefore = m.Until
		}
	}
}

// finishes says whether the backend may be retiring the old version at this moment.
func (m *machine) finishes() bool {
	return slices.ContainsFunc(m.Todo, func(t Task) bool { return t.Deed == Deed(Finish{}) })
}

// interrupt contains first: whoever ends golive in the middle of a rollout leaves nobody to guard it.
func (m *machine) interrupt(f Interrupted) {
	why := fmt.Sprintf("golive was asked to end (%s)", f.Signal)
	switch {
	case m.Phase == Checking, m.Phase == Watching && m.Seen == 0:
		m.over(Stopped, why)
	case m.Phase == Shifting, m.Phase == Watching, m.Phase == Baking:
		if !m.acts() {
			m.over(Stopped, why)
			return
		}
		m.retreat(CauseInterrupted, why)
	case m.Phase == Containing, m.Phase == Preserving:
		m.goBack() // while there is time for it
	}
}
