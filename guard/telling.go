package guard

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// This file is who hears of an incident, through which channel, and what is done when one delivers nothing.

// ofTeam says whether a channel is one of the team's.
func (p *Plan) ofTeam(c Channel) bool {
	return len(c.For) == 0 || slices.ContainsFunc(c.For, func(who string) bool {
		return who != "customer" && who != "vendor" && who != "management" && !p.Roster.vendor(who)
	})
}

// Routes are the channels, by their place in plan.Notify, that serve an audience and the roles in it. If none does, the
// team's are all there is for the team; to others nobody can speak.
func (p *Plan) Routes(audience string, roles []string) (channels []int) {
	serves := func(c Channel) bool {
		switch {
		case len(c.For) == 0:
			return audience == "team"
		case slices.Contains(c.For, audience), slices.Contains(roles, "everyone") && p.ofTeam(c):
			return true
		}
		return slices.ContainsFunc(c.For, func(who string) bool { return slices.Contains(roles, who) })
	}
	for i, c := range p.Notify {
		if serves(c) {
			channels = append(channels, i)
		}
	}
	if len(channels) > 0 || audience != "team" {
		return channels
	}
	for i, c := range p.Notify {
		if p.ofTeam(c) {
			channels = append(channels, i)
		}
	}
	if len(channels) == 0 { // somebody has to hear it
		for i := range p.Notify {
			channels = append(channels, i)
		}
	}
	return channels
}

// whom are those of an audience, so that somebody can tell them: vendors with how they are reached, and under which contract.
func (p *Plan) whom(audience string, roles []string) string {
	for _, v := range p.Roster.Vendors {
		if audience == "vendor" && len(roles) == 1 && v.Name == roles[0] {
			return writer{plan: p, tongue: p.tongue()}.callable(v, true)
		}
	}
	if len(roles) > 0 {
		return fmt.Sprint(roles)
	}
	return audience
}

// inform sends news of the incident to an audience, and in it to some roles. Whom no channel serves the team is asked to
// tell. Vendors have a notice each.
func (m *machine) inform(audience string, roles []string, news News, about string) {
	channels := m.plan.Routes(audience, roles)
	voice := audience
	switch {
	case audience == "vendor" && len(roles) > 1:
		// Each is called under a contract of its own. The first notice takes the numbers of the one for all of them that an
		// older golive gave out.
		after := m.Tasks + len(channels)
		m.inform(audience, roles[:1], news, about)
		m.Tasks = max(m.Tasks, after)
		m.apart(func() {
			for _, vendor := range roles[1:] {
				m.inform(audience, []string{vendor}, news, about)
			}
		})
		return
	case audience == "vendor" && len(roles) == 1:
		voice = roles[0]
	}
	if len(channels) == 0 && audience != "team" {
		m.inform("team", []string{m.lead()}, NewsEscalated, fmt.Sprintf("no channel reaches %s: somebody has to tell them: %s", m.plan.whom(audience, roles), about))
		return
	}
	title, text := m.plan.Message(*m.State, m.now, voice, news, about)
	notice := Notice{
		Key: fmt.Sprintf("%s/%d", m.Release.ID, m.number()), Release: m.Release, At: m.now, Title: title, Text: text,
		News: news, About: about, Audience: audience, Roles: roles, Level: m.Incident.Level, Outcome: m.Outcome, Ends: news == NewsStoodDown,
		Progress: m.stands(),
		Urgent:   audience == "team" && news != NewsUpdate && news != NewsRecovered && news != NewsStoodDown,
	}
	for _, i := range channels {
		m.do(Tell{Channel: i, Notice: notice})
	}
}

// told notes what a delivered notice meets, and goes on with those whom it has not reached.
func (m *machine) told(t Task, f Told) {
	d, _ := t.Deed.(Tell)
	if n := d.Notice; n.News != "" && !f.Receipt.Lost() {
		m.delivered(n)
	}
	m.missed(t, d, f.Receipt)
}

func (m *machine) delivered(n Notice) {
	m.heard(n)
	switch {
	case n.News == NewsStoodDown:
		if !m.pending(NewsStoodDown) {
			m.meet(DueNotice, "golive")
			m.forget()
		}
	case n.Audience == "team" || n.Audience == "management":
		m.meet(DueReport, "golive")
	}
	if o, owed := m.Incident.Owes(DueUpdate); n.News == NewsUpdate && owed && o.Open() && o.Since.Before(n.At) {
		m.meet(DueUpdate, "golive")
		m.owe(DueUpdate, o.Role, m.now, m.level().Update)
	}
}

// heard remembers who has had a notice.
func (m *machine) heard(n Notice) {
	roles := slices.Clone(m.Incident.Heard[n.Audience])
	for _, role := range n.Roles {
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	all := maps.Clone(m.Incident.Heard)
	if all == nil {
		all = map[string][]string{}
	}
	all[n.Audience] = roles
	m.Incident.Heard = all
}

// has says whether somebody has got the notice, by name.
func (r Receipt) has(name string) bool {
	return slices.ContainsFunc(r.Handed, func(h Handed) bool { return h.Name == name && h.Problem == "" })
}

// Missed are those whom the notice has reached in no way, each once. Whom the notifier does not name nobody can tell again.
func (r Receipt) Missed() (missed []Handed) {
	for _, h := range r.Handed {
		if h.Name != "" && !r.has(h.Name) && !slices.ContainsFunc(missed, func(m Handed) bool { return m.Name == h.Name }) {
			missed = append(missed, h)
		}
	}
	return missed
}

// Lost says that nobody has got the notice. A channel that knows no recipients, such as a chat, has none to name.
func (r Receipt) Lost() bool {
	return len(r.Handed) > 0 && !slices.ContainsFunc(r.Handed, func(h Handed) bool { return h.Problem == "" })
}

// missed tries a notice again for those whom it has not reached, and for nobody else: nobody gets it twice because the
// address of another is dead. Who could not be reached before has one try, not several.
func (m *machine) missed(t Task, d Tell, r Receipt) {
	m.Incident.Unreached = slices.DeleteFunc(slices.Clone(m.Incident.Unreached), r.has)
	var names []string
	for _, h := range r.Missed() {
		if !slices.Contains(m.Incident.Unreached, h.Name) {
			names = append(names, h.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	if len(d.Notice.Only) == 0 {
		t.Tries = 0 // until now it was the channel that did not work
	}
	d.Notice.Only = names
	m.apart(func() { m.untold(t, d) })
}

// unreached remembers who could not be reached, and has somebody tell them. That is asked for once, since it may reach
// nobody either.
func (m *machine) unreached(d Tell) {
	names := slices.DeleteFunc(slices.Clone(d.Notice.Only), func(name string) bool { return slices.Contains(m.Incident.Unreached, name) })
	if len(names) == 0 {
		return
	}
	m.Incident.Unreached = slices.Concat(m.Incident.Unreached, names)
	about := fmt.Sprintf("%s could not be reached through %s: somebody has to tell them", strings.Join(names, ", "), m.plan.Notify[d.Channel].Use)
	m.inform("team", slices.Compact([]string{m.lead(), onDuty}), NewsEscalated, about)
}

// pending says whether notices with this news are still to be delivered.
func (m *machine) pending(news News) bool {
	return slices.ContainsFunc(m.Todo, func(t Task) bool {
		d, tells := t.Deed.(Tell)
		return tells && d.Notice.News == news
	})
}

// insistAtMost is how often a notice of an incident is tried, which is for about six minutes: a mail server that starts
// again is worth waiting for.
const insistAtMost = 40

// untold tries a notice again that could not be delivered, and then another channel of the team, too, that has not had it.
// What is meant for others goes through no channel but theirs: the team is asked to tell them. What some have is tried less
// often for the others: it is their addresses that do not work.
func (m *machine) untold(t Task, d Tell) {
	if t.Tries+1 < tellAtMost || d.Notice.News != "" && len(d.Notice.Only) == 0 && t.Tries+1 < insistAtMost {
		m.retry(t, d)
	}
	if d.Notice.News == "" || t.Tries+1 != tellAtMost {
		return // every channel of the team has it already, or another is to try
	}
	had := append(slices.Clone(d.Tried), d.Channel)
	routes := m.plan.Routes(d.Notice.Audience, d.Notice.Roles)
	for i, c := range m.plan.Notify {
		if d.Notice.Audience == "team" && m.plan.ofTeam(c) && !slices.Contains(had, i) && !slices.Contains(routes, i) {
			m.do(Tell{Channel: i, Notice: d.Notice, Tried: had})
			return
		}
	}
	if len(d.Notice.Only) > 0 {
		m.unreached(d)
		return
	}
	if d.Notice.Audience != "team" {
		m.inform("team", []string{m.lead()}, NewsEscalated, fmt.Sprintf("%s could not be told through %s: somebody has to tell them", d.Notice.Audience, m.plan.Notify[d.Channel].Use))
	}
}
