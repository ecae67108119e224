package guard

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// This file is how a rollout that goes back becomes an incident, how bad it is, and what people say of it. What they owe is in
// obligation.go, and who is told in telling.go. Deadlines begin with facts and are tasks, so that a restart neither loses nor
// resets one.

// harms says whether a cause is one that people have to answer for. That evidence was scarce, or that somebody ended
// golive, is none by itself, and neither is that a version was withdrawn of which nothing bad is known.
func harms(c Cause) bool { return c != CauseScarce && c != CauseInterrupted && c != CauseWithdrawn }

// suspect remembers since when the readings speak for harm: that is when it was detected, even if it took more to be sure.
func (m *machine) suspect(r judge.Ruling) {
	switch {
	case r.Call != judge.Regressed && r.Call != judge.Blind && r.Rule != judge.Leaning && r.Rule != judge.BothFailing && r.Rule != judge.BothDegraded:
		m.Suspect = time.Time{}
	case m.Suspect.IsZero():
		m.Suspect = m.now
	}
}

// befall makes an incident of the rollout, if its plan has somebody answer for one and it is none yet.
func (m *machine) befall(why string) {
	if !m.Incident.Began.IsZero() || !m.plan.Responds() {
		return
	}
	i := &m.Incident
	i.Began = m.now
	if !m.Suspect.IsZero() {
		i.Began = m.Suspect
	}
	i.Scenario = scenarios[m.Cause]
	if i.Scenario == "" {
		i.Scenario = "bad_release"
	}
	if level, held, found := m.plan.Grade(m.situation()); found {
		i.Level, i.Ruled = level.Level, level.Level
		i.Grades = append(slices.Clip(i.Grades), Grade{At: m.now, Level: level.Level, Why: held})
	}
	level := m.level()
	if level.Activate > 0 {
		m.owe(DueActivate, orElse(level.Lead, "on_duty"), i.Began, level.Activate)
	}
	terms := m.plan.Recovery.Deadline
	m.owe(DueContain, m.lead(), m.now, terms.Contain)
	m.owe(DueReport, m.lead(), m.now, terms.Report)
	if level.Update > 0 {
		m.owe(DueUpdate, m.scribe(), m.now, level.Update)
	}
	if len(m.strangers()) > 0 {
		m.owe(DueVendor, m.lead(), m.now, terms.Vendor)
	}
	if rto := m.plan.Objectives.RTO; rto > 0 {
		m.owe(DueRecover, m.lead(), i.Began, rto)
	}
	m.inform("team", m.called(level), NewsOpened, why)
	for n, e := range m.plan.Escalate {
		m.add(Task{NotBefore: i.Began.Add(e.After.Std()), Deed: Escalate{N: n}})
	}
	m.wake()
}

// scenarios says what kind of trouble a cause stands for.
var scenarios = map[Cause]string{
	CauseRegressed: "bad_release", CauseAlert: "bad_release", CauseBlind: "network", CauseStuck: "network",
	CauseDrift: "operator_error",
}

func orElse(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

// level is the level that the plan has for how bad it is now; without levels the zero one.
func (m *machine) level() Level {
	for _, l := range m.plan.Severity {
		if l.Level == m.Incident.Level {
			return l
		}
	}
	return Level{}
}

// lead is the role that leads: a person who leads has it from the level.
func (m *machine) lead() string { return orElse(m.level().Lead, "commander") }

// scribe is the role that keeps the others informed.
func (m *machine) scribe() string {
	for _, role := range []string{"scribe", "comms"} {
		if m.plan.Roster.has(role) {
			return role
		}
	}
	return m.lead()
}

func (r Roster) has(role string) bool {
	return slices.ContainsFunc(r.People, func(p Person) bool { return p.Role == role })
}

// vendor says whether somebody is a vendor of the roster.
func (r Roster) vendor(name string) bool {
	return slices.ContainsFunc(r.Vendors, func(v Vendor) bool { return v.Name == name })
}

// called are the roles that are called at a level: those that the plan calls, who leads, and whoever commands.
func (m *machine) called(l Level) []string {
	roles := slices.Clone([]string(l.Page))
	for _, role := range []string{l.Lead, "commander"} {
		if role != "" && !slices.Contains(roles, role) && (role == l.Lead || m.plan.Roster.has(role)) {
			roles = append(roles, role)
		}
	}
	return roles
}

// strangers are the vendors and the customer, as far as the plan has them told.
func (m *machine) strangers() (names []string) {
	for _, e := range m.plan.Escalate {
		for _, to := range e.To {
			if (to == "customer" || m.plan.Roster.vendor(to)) && !slices.Contains(names, to) {
				names = append(names, to)
			}
		}
	}
	return names
}

// situation is what the conditions of severity are about.
func (m *machine) situation() Situation {
	s := Situation{
		Signals: map[string]float64{}, RolledBack: m.Outcome == RolledBack || !m.Incident.Restored.IsZero(),
		RollbackFailed: m.Outcome == RollbackFailed || m.Incident.Resort > 0, Blind: m.Ruling.Call == judge.Blind,
		Percent: m.Seen, Peak: max(m.Peak, m.Seen), Alerts: len(m.Alerts), Cause: string(m.Cause), Scenario: m.Incident.Scenario,
		Tier: string(m.plan.Tier), Acknowledged: !m.Incident.Activated.IsZero(),
		Down: m.Ruling.Rule == judge.StoppedAnswer || m.Ruling.Rule == judge.BothFailing,
	}
	if !m.Incident.Began.IsZero() {
		s.Minutes = m.now.Sub(m.Incident.Began).Minutes()
	}
	for _, sight := range m.Ruling.Signals {
		s.Signals[sight.Signal] = max(s.Signals[sight.Signal], sight.Step.Canary.Rate)
		s.Down = s.Down || sight.Slower == 0 && sight.Step.Canary.Requests >= 10 && sight.Step.Canary.Rate >= nearlyAll
	}
	return s
}

// nearlyAll is the share of failing requests from which a version counts as down.
const nearlyAll = 0.95

// grade asks the rules of the plan again how bad it is. They can only make it worse: that it seems to be better is for
// people to say.
func (m *machine) grade() {
	if !m.Incident.Open() || len(m.plan.Severity) == 0 {
		return
	}
	level, held, found := m.plan.Grade(m.situation())
	if !found || m.Incident.Ruled != 0 && level.Level >= m.Incident.Ruled {
		return // a person may have said that it is less bad than the same rule does
	}
	m.Incident.Ruled = level.Level
	if m.Incident.Level == 0 || level.Level < m.Incident.Level {
		m.regrade(level.Level, held, "")
	}
}

// wake comes back at the next moment from which a rule of the plan may hold that speaks of time: in a quiet night nothing
// else happens that would have the rules asked again.
func (m *machine) wake() {
	i := m.Incident
	better := func(l Level) bool { return i.Ruled == 0 || l.Level < i.Ruled }
	if !i.Open() || !slices.ContainsFunc(m.plan.Severity, better) {
		return // no rule could make it worse any more
	}
	if next, ever := m.plan.turns(m.now.Sub(i.Began)); ever {
		m.apart(func() { m.add(Task{NotBefore: i.Began.Add(next), Deed: Regrade{}}) })
	}
}

// worse makes it one level worse, because of something that no rule knows of.
func (m *machine) worse(why string) {
	if !m.Incident.Open() {
		return
	}
	next := 0
	for _, l := range m.plan.Severity {
		if l.Level < m.Incident.Level && l.Level > next {
			next = l.Level
		}
	}
	if next > 0 {
		m.regrade(next, why, "")
	}
}

// regrade changes how bad it is, and what follows from that: who is called, and by when somebody has to lead.
func (m *machine) regrade(level int, why, by string) {
	i := &m.Incident
	was := i.Level
	i.Level = level
	i.Grades = append(slices.Clip(i.Grades), Grade{At: m.now, Level: level, Why: why, By: by})
	if was != 0 && level >= was {
		return
	}
	l := m.level()
	if i.Activated.IsZero() {
		m.hasten(DueActivate, m.lead(), i.Began, l.Activate)
	}
	if i.Restored.IsZero() {
		m.hasten(DueUpdate, m.scribe(), m.now, l.Update)
	}
	m.inform("team", m.called(l), NewsLevel, why)
}

// elapsedOf is what a moment brings that was waited for.
func (m *machine) elapsedOf(d Deed) {
	switch d := d.(type) {
	case Remind:
		m.reminded(d)
	case Escalate:
		m.escalated(d.N)
	case Regrade:
		m.grade()
		m.wake()
	default:
		m.elapsed()
	}
}

// escalated tells those who have to know of it when it goes on.
func (m *machine) escalated(n int) {
	e := m.plan.Escalate[n]
	switch {
	case !m.Incident.Open(), e.Unless == "acknowledged" && !m.Incident.Activated.IsZero(), e.Unless == "cause_known" && m.Incident.Cause != "":
		return
	}
	m.address(e.To, NewsEscalated, fmt.Sprintf("it has gone on for %s", e.After))
}

// address sends news to roles, vendors and others, to each in the words of their audience.
func (m *machine) address(names []string, news News, about string) {
	var team, vendors, customers, managers []string
	for _, to := range names {
		switch {
		case m.plan.Roster.vendor(to):
			vendors = append(vendors, to)
		case to == "customer":
			customers = append(customers, to)
		case to == "management", to == "executive":
			managers = append(managers, to)
		default:
			team = append(team, to)
		}
	}
	for _, group := range []struct {
		audience string
		roles    []string
	}{{"team", team}, {"vendor", vendors}, {"customer", customers}, {"management", managers}} {
		if len(group.roles) > 0 {
			m.inform(group.audience, group.roles, news, about)
		}
	}
}

// What people say.

// hears says whether somebody can still say something when it is over.
func (s State) hears(f Fact) bool {
	switch f := f.(type) {
	case Noted, Acknowledged, Stated:
		return true
	case Resumed:
		return s.Incident.Open()
	case Ordered:
		return f.Verb == OrderRollback && s.ReturnsAgain(f.Force)
	}
	return false
}

func (m *machine) acknowledged(by string) {
	m.Acknowledged = by
	i := &m.Incident
	if i.Open() && i.Activated.IsZero() {
		i.Activated, i.Lead = m.now, by
		m.meet(DueActivate, by)
	}
}

// Ready says whether an incident can be stood down, and if not, what is missing.
func (p *Plan) Ready(s State) (missing string, ready bool) {
	switch role := p.Recovery.SignOff; {
	case !s.Incident.Open():
		return "there is no open incident", false
	case s.Phase != Over:
		return fmt.Sprintf("the way back is still going on (%s)", s.Phase), false
	case role != "" && s.Incident.Signed[role] == "":
		return role + " has not signed off yet", false
	}
	return "", true
}

// Asks says whether there is something that a role can agree to now: the resort that waits for it, or, once the way back is
// over, that all is well.
func (p *Plan) Asks(s State, role string) bool {
	if s.Phase == Resorting {
		return s.Incident.Agreed < s.Incident.Resort && p.Recovery.Resorts[s.Incident.Resort-1].Approval == role
	}
	return s.Phase == Over && s.Incident.Open()
}

func (m *machine) stated(f Stated) {
	i := &m.Incident
	by := orElse(f.By, "somebody")
	switch f.What {
	case StateCause:
		i.Cause = f.Text
		if f.Class != "" { // until somebody says so, it is what the machine takes it for
			i.Scenario = f.Class
		}
		m.waive("the cause is known", DueVendor)
	case StateSeverity:
		if slices.ContainsFunc(m.plan.Severity, func(l Level) bool { return l.Level == f.Level }) && i.Open() && f.Level != i.Level {
			m.regrade(f.Level, f.Text, by)
		}
	case StateSignOff:
		switch {
		case !m.plan.Asks(*m.State, f.Subject):
		case m.Phase == Resorting: // to this one, and to nothing else
			i.Agreed = i.Resort
			m.do(Intervene{Move: MoveResort, N: i.Resort - 1})
		default:
			i.Signed = put(i.Signed, f.Subject, by)
		}
	case StateContacted:
		i.Contacts = put(i.Contacts, f.Subject, f.Text)
		if all := m.strangers(); len(all) > 0 && !slices.ContainsFunc(all, func(who string) bool { _, knows := i.Contacts[who]; return !knows }) {
			m.meet(DueVendor, by)
		}
	case StateAction:
		i.Actions = append(slices.Clip(i.Actions), Action{
			ID: fmt.Sprint(len(i.Actions) + 1), Text: f.Text, Class: f.Class, Owner: f.Subject, Due: f.Due, By: f.By,
		})
	case StateAnswer:
		i.Answers = put(i.Answers, f.Subject, f.Text)
	case StateStandDown:
		if _, ready := m.plan.Ready(*m.State); ready {
			m.standDown(f, by)
		}
	case StateFiled:
		if m.Ended() && i.Filed.IsZero() { // of what goes on there is no report yet
			i.Filed, i.FiledBy = m.now, by
			m.meet(DueFiled, by)
			if !i.Began.IsZero() {
				m.owe(DueLearned, m.lead(), m.now, m.plan.Recovery.Deadline.Learn)
				m.forget()
			}
		}
	case StateLearned:
		m.meet(DueLearned, by)
	}
}

func put(all map[string]string, name, text string) map[string]string {
	if all = maps.Clone(all); all == nil {
		all = map[string]string{}
	}
	all[name] = text
	return all
}

// standDown ends the incident: a person has said that it is over.
func (m *machine) standDown(f Stated, by string) {
	i := &m.Incident
	i.StoodDown, i.StoodBy = m.now, by
	if i.Restored.IsZero() || m.Outcome == RollbackFailed { // golive has not seen that the service is well again
		m.waive("stood down by "+by, DueRecover)
	}
	m.meet(DueRecover, by)
	m.waive("stood down by "+by, DueActivate, DueContain, DueReport, DueUpdate, DueVendor)
	terms := m.plan.Recovery.Deadline
	m.owe(DueNotice, m.lead(), m.now, terms.Notice)
	m.owe(DueFiled, m.lead(), m.now, terms.File)
	m.informAll(NewsStoodDown, orElse(f.Text, m.Why))
	if !m.pending(NewsStoodDown) {
		m.waive("nobody has heard of it", DueNotice)
	}
	m.forget()
}

// forget drops the timers of an incident that is over: nobody stays awake for its paperwork, which the ledger remembers. That
// everybody hears of its end is no paperwork.
func (m *machine) forget() {
	notice, _ := m.Incident.Owes(DueNotice)
	m.Todo = slices.DeleteFunc(m.Todo, func(t Task) bool {
		switch d := t.Deed.(type) {
		case Remind:
			return !m.Incident.Open() && (d.Kind != DueNotice || !notice.Open())
		case Escalate, Regrade, Intervene:
			return !m.Incident.Open()
		}
		return false
	})
}

// concluded tells how it ended. An incident goes on after that.
func (m *machine) concluded() {
	o := m.Outcome
	if !m.Incident.Open() {
		title := string(o)
		if m.unsteady() {
			title += ", not shown to stay well"
		}
		m.tell(o == RollbackFailed || o == ForwardOnly || m.unsteady(), title, m.Why)
		return
	}
	switch {
	case o == RollbackFailed:
		m.inform("team", m.called(m.level()), NewsFailed, m.Why)
	case m.unsteady():
		m.inform("team", m.called(m.level()), NewsEscalated, m.Why)
	case o == RolledBack, o == Recovered:
		m.waive("the service is well again", DueUpdate)
		m.inform("team", m.called(m.level()), NewsRecovered, m.Why)
		for _, audience := range slices.Sorted(maps.Keys(m.Incident.Heard)) {
			if audience != "team" {
				m.inform(audience, m.Incident.Heard[audience], NewsRecovered, m.Why)
			}
		}
	case o == ForwardOnly:
		about := m.Why
		for _, s := range m.plan.Data {
			if s.Name == m.irreversible() && s.ForwardOnly != "" {
				about += "; the plan says: " + s.ForwardOnly
			}
		}
		m.inform("team", m.called(m.level()), NewsForward, about)
	}
}
