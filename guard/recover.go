package guard

import (
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// This file is the order of recovery: contain, preserve, revert, verify, and then see whether it lasts. Each part has its
// time, and what does not come about in it never holds up the next.

// parallel is how long evidence is gathered beside the way back, where the plan collects nothing that it could wait for.
const parallel = 10 * time.Second

// containAtMost is how long the way back waits for the harm to be contained: what takes longer is no faster than going back.
const containAtMost = 30 * time.Second

// irreversible is the store over whose migration there is no way back; empty: there is none.
func (m *machine) irreversible() string {
	for _, s := range m.plan.Data {
		if s.Migrations == "irreversible" {
			return s.Name
		}
	}
	return ""
}

// contain stops the harm from spreading, where the plan knows a way that is faster than going back.
func (m *machine) contain(why string) {
	if m.plan.Recovery.Contain == nil {
		m.preserve(why)
		return
	}
	m.enter(Containing, min(containAtMost, m.plan.Recovery.Deadline.Contain.Std()), why)
	m.do(Intervene{Move: MoveContain})
}

// preserve keeps the evidence. What the plan collects is waited for, within its budget, since going back may destroy it; what
// golive has itself is kept beside the way back, and so is all of it where golive was asked to end.
func (m *machine) preserve(why string) {
	switch began := m.Phase != Preserving; {
	case len(m.plan.Evidence.Collect) == 0 || m.Cause == CauseInterrupted:
		if m.plan.Responds() && !m.gathers() && m.Incident.Preserved.IsZero() {
			m.do(Gather{By: m.now.Add(parallel)})
		}
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
	store := m.irreversible()
	if store == "" || m.Forced {
		m.restore(m.Why)
		return
	}
	why := fmt.Sprintf("%s; there is no way back over the migration of %s", m.Why, store)
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

// Resorts.

// lastResort tries what the plan has for the case that going back has not helped; without any, the rollback has failed.
func (m *machine) lastResort(late string) {
	why := m.Why + "; but " + late
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

// tryResort tries the resort that is at hand, once whoever has to agree has done so.
func (m *machine) tryResort(why string) {
	n := m.Incident.Resort - 1
	r := m.plan.Recovery.Resorts[n]
	m.enter(Resorting, r.Within.Std(), why)
	if r.Approval == "" || m.Incident.approves(r.Approval) {
		m.do(Intervene{Move: MoveResort, N: n})
		return
	}
	m.address([]string{r.Approval}, NewsForward, fmt.Sprintf("%s has to agree to %s by %s", r.Approval, r.Name, m.Until.UTC().Format(time.RFC3339)))
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
	case d.Move == MoveContain && done:
		m.contained()
		m.preserve(m.Why)
	case d.Move == MoveContain:
		m.restoreAt(m.Why + "; it could not be contained: " + m.Trouble)
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

// restoreAt goes straight back: whoever could not contain it has no time for evidence.
func (m *machine) restoreAt(why string) {
	m.Why = why
	m.goBack()
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
	switch trouble := m.unwell(f); {
	case f.Standing != nil && f.Standing.Percent > 0 && m.Incident.Resort == 0:
		m.Seen = f.Standing.Percent
		m.restore(fmt.Sprintf("%s; somebody gave %s traffic again", m.Why, m.Release.To))
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

// unwell says what speaks against the old version doing well; empty: nothing. What nobody knows speaks against it.
func (m *machine) unwell(f Soaked) string {
	verdict := Worst(f.Findings)
	switch {
	case f.Standing == nil:
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
	if m.Incident.Resort > 0 {
		m.over(Recovered, why)
		return
	}
	m.over(RolledBack, why)
}

func (m *machine) ramp(why string) {
	m.enter(Ramping, m.plan.Rollout.Deadline.Shift.Std(), why)
	m.do(Intervene{Move: MoveRamp, N: m.Incident.Ramped})
}
