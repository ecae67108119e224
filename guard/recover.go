package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// This file is the order of recovery: contain, preserve, revert, verify, and then see whether it lasts. Each part has its
// time, and what does not come about in it never holds up the next.

// parallel is how long evidence is gathered beside the way back, where the plan collects nothing that it could wait for.
const parallel = 10 * time.Second

// containAtMost is how long the way back waits for the harm to be contained: what takes longer is no faster than going back.
const containAtMost = 30 * time.Second

// containAgain is the pause between two tries to contain what there is no way back from, once people were called: each try
// is a record, and it may go on for days.
const containAgain = time.Minute

// regainedAtMost is how often the traffic is taken back from a version that something gives it again: after that people have
// to stop whatever does so.
const regainedAtMost = 5

// irreversible is the store over whose migration there is no way back; empty: there is none.
func (m *machine) irreversible() string {
	for _, s := range m.plan.Data {
		if s.Migrations == "irreversible" {
			return s.Name
		}
	}
	return ""
}

// forwardOnly says that the traffic is not taken back, because nobody has said that it can be over the migration.
func (m *machine) forwardOnly() bool { return m.irreversible() != "" && !m.Forced }

func (m *machine) noWayBack(why string) string {
	return fmt.Sprintf("%s; there is no way back over the migration of %s", why, m.irreversible())
}

// contain stops the harm from spreading, where the plan knows a way that is faster than going back. Where there is no way
// back it is all that can be done, and has its whole time.
func (m *machine) contain(why string) {
	if m.plan.Recovery.Contain == nil {
		m.preserve(why)
		return
	}
	limit := m.plan.Recovery.Deadline.Contain.Std()
	if !m.forwardOnly() {
		limit = min(containAtMost, limit)
	}
	if m.Phase == Containing { // resumed: the harm has gone on in the meantime
		limit = m.Until.Sub(m.now)
	}
	if limit <= 0 {
		m.uncontained(m.Why + "; it could not be contained in time")
		return
	}
	m.enter(Containing, limit, why)
	if !m.contains() {
		m.do(Intervene{Move: MoveContain})
	}
}

// contains says whether the harm is still to be contained.
func (m *machine) contains() bool {
	return slices.ContainsFunc(m.Todo, func(t Task) bool { d, is := t.Deed.(Intervene); return is && d.Move == MoveContain })
}

// uncontained goes straight back: whoever could not contain it has no time to wait for evidence.
func (m *machine) uncontained(why string) {
	m.Why = why
	m.gatherBeside()
	m.goBack()
}

// preserve keeps the evidence. What the plan collects is waited for, within its budget, since going back may destroy it; what
// golive has itself is kept beside the way back, and so is all of it where golive was asked to end.
func (m *machine) preserve(why string) {
	switch began := m.Phase != Preserving; {
	case len(m.plan.Evidence.Collect) == 0 || m.Cause == CauseInterrupted:
		m.gatherBeside()
		m.goBack()
		return
	case began:
		m.enter(Preserving, m.plan.Evidence.Budget.Std(), why)
	case !m.now.Before(m.Until): // resumed, and the budget is used up
		m.goBack()
		return
	default:
		m.enter(Preserving, m.Until.Sub(m.now), why)
	}
	if !m.gathers() {
		// A tenth of the budget is for writing down what has come until then.
		m.do(Gather{By: m.now.Add(m.Until.Sub(m.now) * 9 / 10)})
	}
}

// gatherBeside keeps the evidence beside the way back, which does not wait for it.
func (m *machine) gatherBeside() {
	collects := len(m.plan.Evidence.Collect) > 0
	if !m.plan.Responds() && !collects || m.gathers() || !m.Incident.Preserved.IsZero() {
		return
	}
	within := parallel
	if collects {
		within = max(within, m.plan.Evidence.Budget.Std())
	}
	m.do(Gather{By: m.now.Add(within)})
}

func (m *machine) gathers() bool {
	return slices.ContainsFunc(m.Todo, func(t Task) bool { _, is := t.Deed.(Gather); return is })
}

func (m *machine) gathered(f Gathered) {
	m.Incident.Exhibits = append(slices.Clip(m.Incident.Exhibits), f.Exhibits...)
	m.Incident.Preserved = m.now
	if m.Phase == Preserving {
		m.goBack()
	}
}

// goBack takes the traffic back, unless there is no way back over a migration: then people have to find a way forward.
func (m *machine) goBack() {
	if !m.forwardOnly() {
		m.restore(m.Why)
		return
	}
	why := m.noWayBack(m.Why)
	m.befall(why)
	m.over(ForwardOnly, why)
}

// contained notes that the new version does no more harm.
func (m *machine) contained() {
	if m.Incident.Contained.IsZero() {
		m.Incident.Contained = m.now
		m.meet(DueContain, "golive")
	}
}

// reverted goes on once the traffic is back, and that is verified.
func (m *machine) reverted() {
	m.contained()
	m.Incident.Reverted, m.Incident.Restored = m.now, m.now
	m.soakOrRamp(m.Why)
}

// regained takes back the traffic that something has given the new version again, as long as there is hope that it stays.
func (m *machine) regained() {
	m.Incident.Regained++
	m.Incident.Reverted, m.Incident.Restored = time.Time{}, time.Time{}
	if what := fmt.Sprintf("; somebody gave %s traffic again", m.Release.To); !strings.Contains(m.Why, what) {
		m.Why += what
	}
	if m.Incident.Regained < regainedAtMost {
		m.restore(m.Why)
		return
	}
	m.befall(m.Why)
	m.over(RollbackFailed, fmt.Sprintf("%s, %d times: stop whatever does so, and order rollback", m.Why, m.Incident.Regained))
}

// Resorts.

// lastResort tries what the plan has for the case that going back has not helped; without any, the rollback has failed.
func (m *machine) lastResort(late string) {
	why := m.Why + "; but " + late
	m.Incident.Restored = time.Time{} // if it was thought to be
	if m.Incident.Resort >= len(m.plan.Recovery.Resorts) {
		m.befall(why)
		m.over(RollbackFailed, why)
		return
	}
	m.befall(why)
	m.worse("going back has not helped")
	m.Incident.Resort++
	m.tryResort(why)
}

// tryResort tries the resort that is at hand, or asks whoever has to agree to it first.
func (m *machine) tryResort(why string) {
	if m.begunResort(why) {
		return
	}
	r := m.plan.Recovery.Resorts[m.Incident.Resort-1]
	about := fmt.Sprintf("%s has to agree to %s by %s", r.Approval, r.Name, m.Until.UTC().Format(time.RFC3339))
	m.address([]string{r.Approval}, NewsForward, about)
	if asked := []string{m.lead(), "executive"}; !slices.Contains(asked, r.Approval) { // somebody has to go and ask
		m.inform("team", asked, NewsForward, about)
	}
}

// begunResort begins the resort that is at hand, unless somebody has to agree to it first.
func (m *machine) begunResort(why string) bool {
	n := m.Incident.Resort - 1
	r := m.plan.Recovery.Resorts[n]
	m.enter(Resorting, r.Within.Std(), why)
	if r.Approval != "" && m.Incident.Agreed < m.Incident.Resort {
		return false
	}
	m.do(Intervene{Move: MoveResort, N: n})
	return true
}

func (m *machine) intervened(t Task, f Intervened) {
	d, _ := t.Deed.(Intervene)
	verdict := Worst(f.Findings)
	done := len(f.Findings) > 0 && (verdict == Pass || verdict == Warn)
	m.Trouble = ""
	if !done {
		m.Trouble = first(f.Findings, verdict)
	}
	switch {
	case d.Move == MoveContain && m.Phase == Over && done:
		m.contained()
		m.inform("team", m.called(m.level()), NewsUpdate, "it is contained")
	case d.Move == MoveContain && m.Phase == Over:
		m.add(Task{NotBefore: m.now.Add(containAgain), Tries: t.Tries + 1, Deed: d})
	case d.Move == MoveContain && done:
		m.contained()
		m.preserve(m.Why)
	case d.Move == MoveContain && m.forwardOnly():
		m.retry(t, d)
	case d.Move == MoveContain:
		m.uncontained(m.Why + "; it could not be contained: " + m.Trouble)
	case d.Move == MoveResort && done:
		m.contained()
		m.Incident.Restored = m.now
		m.soakOrRamp(m.plan.Recovery.Resorts[d.N].Name + " has helped: " + m.Why)
	case d.Move == MoveResort:
		m.lastResort(m.plan.Recovery.Resorts[d.N].Name + " has not helped: " + m.Trouble)
	case done:
		m.Incident.Ramped++
		m.soakOrRamp(m.Why)
	default:
		m.retry(t, d)
	}
}

// Whether it lasts.

// soakOrRamp sees whether it stays well, and lets in the traffic that was kept out, one part after the other.
func (m *machine) soakOrRamp(why string) {
	if m.plan.Recovery.Soak > 0 {
		m.soak(why)
		return
	}
	m.steady(why)
}

func (m *machine) soak(why string) {
	m.enter(Soaking, holdAtMost*m.plan.Recovery.Soak.Std(), why)
	m.Began = m.now
	m.do(Soak{Began: m.Began})
}

func (m *machine) soakAgain(trouble string) {
	if trouble != "" {
		m.Trouble, m.Began = trouble, m.now // it has to stay well from now on
	}
	m.add(Task{NotBefore: m.now.Add(m.plan.Watch.Every.Std()), Deed: Soak{Began: m.Began}})
}

func (m *machine) soaked(f Soaked) {
	if f.Ruling.Call == judge.Regressed || Worst(f.Findings) == Fail {
		m.Incident.Ill = m.now
	}
	switch trouble := m.unwell(f); {
	case f.Standing != nil && f.Standing.Percent > 0 && !m.resorted():
		m.Seen = f.Standing.Percent
		m.regained()
	case trouble != "":
		m.soakAgain(trouble)
	case m.now.Sub(m.Began) < m.plan.Recovery.Soak.Std():
		m.Trouble = ""
		m.soakAgain("")
	default:
		m.Trouble = ""
		m.steady(m.Why)
	}
}

// resorted says that a resort, and not the way back, has helped. Where the traffic is does not matter then, and who could
// say so may be what has failed.
func (m *machine) resorted() bool {
	return !m.Incident.Restored.IsZero() && !m.Incident.Restored.Equal(m.Incident.Reverted)
}

// unwell says what speaks against the old version doing well; empty: nothing. What nobody knows speaks against it.
func (m *machine) unwell(f Soaked) string {
	verdict := Worst(f.Findings)
	switch {
	case f.Standing == nil && !m.resorted():
		return "nobody knows where the traffic is: " + f.Unseen
	case f.Problem != "":
		return f.Problem
	case f.Ruling.Call == judge.Regressed, f.Ruling.Call == judge.Blind, f.Ruling.Call == judge.Hold:
		return f.Ruling.Why
	case len(f.Findings) > 0 && verdict != Pass && verdict != Warn:
		return first(f.Findings, verdict)
	}
	return m.Alarm
}

// steady goes on with the next part of the ramp, or ends.
func (m *machine) steady(why string) {
	if m.Incident.Ramped < len(m.plan.Recovery.Ramp) && m.plan.Recovery.Contain != nil {
		m.ramp(why)
		return
	}
	m.Incident.Steady = m.now
	m.meet(DueRecover, "golive")
	m.end(why)
}

// end ends a way back that was verified.
func (m *machine) end(why string) {
	if m.resorted() {
		m.over(Recovered, why)
		return
	}
	m.over(RolledBack, why)
}

// unsettled ends a soak whose time is over. A resort may cost data, so that it takes harm that was shown since everything had
// to stay well: that nobody knows is none.
func (m *machine) unsettled(late string) {
	if ill := m.Incident.Ill; !ill.IsZero() && m.now.Sub(ill) < m.plan.Recovery.Soak.Std() {
		m.lastResort(late)
		return
	}
	m.end(m.Why + "; it was not shown to stay well: " + late)
}

// unsteady says that the way back was verified, and that it was not shown to last.
func (m *machine) unsteady() bool {
	return !m.Incident.Restored.IsZero() && m.Incident.Steady.IsZero()
}

func (m *machine) ramp(why string) {
	m.enter(Ramping, m.plan.Rollout.Deadline.Shift.Std(), why)
	m.do(Intervene{Move: MoveRamp, N: m.Incident.Ramped})
}
