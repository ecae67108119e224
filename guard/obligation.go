package guard

import (
	"maps"
	"slices"
	"time"
)

// This file is what people owe in an incident, and what follows if they have not done it in time.

// owe begins an obligation.
func (m *machine) owe(kind Due, role string, since time.Time, within Duration) {
	if within <= 0 {
		return
	}
	o := Obligation{Kind: kind, Role: role, Since: since, Until: since.Add(within.Std())}
	m.Incident.Owed = append(slices.Clip(m.Incident.Owed), o)
	m.remind(o)
	if kind == DueUpdate {
		m.add(Task{NotBefore: o.Until.Add(-ahead(within)), Deed: Remind{Kind: kind}})
	}
}

// hasten has something done sooner than it was owed until now, or at all. What is late already stays so.
func (m *machine) hasten(kind Due, role string, since time.Time, within Duration) {
	if within <= 0 {
		return
	}
	until := since.Add(within.Std())
	for n, o := range m.Incident.Owed {
		if o.Kind != kind || !o.Open() {
			continue
		}
		if !o.Passed && until.Before(o.Until) {
			m.Incident.Owed = slices.Clone(m.Incident.Owed)
			m.Incident.Owed[n].Until, m.Incident.Owed[n].Role = until, role
			m.remind(m.Incident.Owed[n])
			if kind == DueUpdate {
				m.Todo = slices.DeleteFunc(m.Todo, func(t Task) bool { return t.Deed == Deed(Remind{Kind: kind}) })
				m.add(Task{NotBefore: until.Add(-ahead(within)), Deed: Remind{Kind: kind}})
			}
		}
		return
	}
	m.owe(kind, role, since, within)
}

// remind comes back to an obligation once its moment has passed: what happens at that very moment is in time.
func (m *machine) remind(o Obligation) {
	m.add(Task{NotBefore: o.Until.Add(time.Millisecond), Deed: Remind{Kind: o.Kind, Until: o.Until}})
}

// ahead is how long before it is due an update is sent, so that it can be delivered.
func ahead(every Duration) time.Duration { return min(time.Minute, every.Std()/5) }

// meet meets what is owed, if it is.
func (m *machine) meet(kind Due, by string) {
	for n, o := range m.Incident.Owed {
		if o.Kind == kind && o.Open() {
			m.Incident.Owed = slices.Clone(m.Incident.Owed)
			m.Incident.Owed[n].Met, m.Incident.Owed[n].By = m.now, by
		}
	}
}

// waive takes back what is owed, because it has lost its sense. What was late until then stays a breach, though nobody was
// awake to see it pass.
func (m *machine) waive(why string, kinds ...Due) {
	for n, o := range m.Incident.Owed {
		if slices.Contains(kinds, o.Kind) && o.Open() {
			m.Incident.Owed = slices.Clone(m.Incident.Owed)
			m.Incident.Owed[n].Waived = why
			m.Incident.Owed[n].Passed = o.Passed || m.now.After(o.Until)
		}
	}
}

// breaches says what follows when something was not done in time: who is told, and whether it is worse for it.
var breaches = map[Due]struct {
	roles []string
	worse bool
}{
	DueActivate: {roles: []string{"deputy", "executive"}},
	DueContain:  {roles: []string{"commander"}},
	DueReport:   {roles: []string{"commander"}},
	DueUpdate:   {roles: []string{"scribe"}},
	DueVendor:   {roles: []string{"executive"}},
	DueRecover:  {roles: []string{"commander", "executive"}, worse: true},
	DueNotice:   {roles: []string{"commander"}},
}

// reminded deals with an obligation whose time has passed, or with an update that is to be sent before its has.
func (m *machine) reminded(d Remind) {
	for n, o := range m.Incident.Owed {
		if o.Kind != d.Kind || !o.Open() {
			continue
		}
		if d.Until.IsZero() {
			m.update()
			return
		}
		if !o.Until.Equal(d.Until) || o.Passed {
			continue
		}
		m.Incident.Owed = slices.Clone(m.Incident.Owed)
		m.Incident.Owed[n].Passed = true
		follows := breaches[o.Kind]
		roles := append([]string{o.Role}, follows.roles...)
		m.inform("team", slices.Compact(roles), NewsBreached, string(o.Kind))
		if follows.worse {
			m.worse("it was not " + string(o.Kind) + " in time")
		}
		if o.Kind == DueUpdate {
			m.owe(DueUpdate, o.Role, m.now, m.level().Update)
		}
		return
	}
}

// update tells everybody who has heard of it how it goes.
func (m *machine) update() {
	if len(m.Incident.Heard) == 0 { // nobody could be told until now
		m.inform("team", m.called(m.level()), NewsUpdate, m.Why)
	}
	m.informAll(NewsUpdate, m.Why)
}

// informAll sends news to everybody who has heard of the incident.
func (m *machine) informAll(news News, about string) {
	for _, audience := range slices.Sorted(maps.Keys(m.Incident.Heard)) {
		m.inform(audience, m.Incident.Heard[audience], news, about)
	}
}
