package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// exercise is what was played, as the ledger keeps it.
func (s *stage) exercise(play Play) guard.Exercise {
	st, i := play.State, play.State.Incident
	e := guard.Exercise{
		ID: st.Release.ID, Kind: "tabletop", Scenario: s.Name, Scripted: true, Scope: "nothing: it is played, and touches nothing",
		Objectives: []string{s.Expect}, Began: s.start, Ended: st.At, Owed: i.Owed,
		Targets: guard.Spans{Recover: s.plan.Objectives.RTO},
	}
	since := func(t time.Time) guard.Duration {
		if t.IsZero() || i.Began.IsZero() {
			return 0
		}
		return guard.Duration(max(time.Millisecond, t.Sub(i.Began)))
	}
	e.Took = guard.Spans{Activate: since(i.Activated), Contain: since(i.Contained), Recover: since(i.Steady)}
	if !i.Began.IsZero() {
		e.Took.Detect = guard.Duration(max(0, i.Began.Sub(s.onset)))
	}
	if store, resorts := s.restored(i); resorts {
		e.Took.Lost, e.Targets.Lost = store.Schedule, s.plan.Objectives.RPO
	}
	e.Timeline = s.timeline(play)
	e.Injects = s.injects(play)
	e.Findings = s.holes(play)
	e.Participants = s.participants(i)
	if s.onset.IsZero() {
		e.Aborted = fmt.Sprintf("the rollout never gave the new version any traffic: %s", st.Why)
	}
	return e
}

// restored is the store that a resort brought back; of its latest work as much is lost as comes between two backups.
func (s *stage) restored(i guard.Incident) (guard.Store, bool) {
	for n := range i.Resort {
		for _, store := range s.plan.Data {
			if store.Name == s.plan.Recovery.Resorts[n].Data {
				return store, true
			}
		}
	}
	return guard.Store{}, false
}

// participants are the people of the roster, in the words of their roles, and when the one who leads took it on.
func (s *stage) participants(i guard.Incident) (all []guard.Participant) {
	for _, p := range s.plan.Roster.People {
		one := guard.Participant{Role: p.Role, Name: p.Name}
		if p.Name == i.Lead && !slices.ContainsFunc(all, func(o guard.Participant) bool { return o.Name == p.Name }) {
			one.Acked = i.Activated
		}
		all = append(all, one)
	}
	return all
}

// injects are what is put before the plan, and what it came to.
func (s *stage) injects(play Play) []guard.Inject {
	st, i := play.State, play.State.Incident
	after := func(t time.Time) guard.Duration { return guard.Duration(max(0, t.Sub(s.start))) }
	came := fmt.Sprintf("it ended as %s", st.Outcome)
	if st.Phase != guard.Over {
		came = fmt.Sprintf("it is still %s", st.Phase)
	}
	all := []guard.Inject{{
		After: after(s.onset), What: s.What, Expected: s.Expect, Observed: came, Met: s.Holds(s.plan, st),
	}}
	answer := guard.Inject{After: after(s.onset), What: "the plan is asked for " + s.Name, Expected: "an owner and what to do first, or why nothing is planned", Observed: "nothing"}
	for _, planned := range s.plan.Scenarios {
		switch {
		case planned.Name != s.Name:
		case planned.Accept != "":
			answer.Observed, answer.Met = "it is accepted: "+planned.Accept, true
		case planned.Owner == "" || planned.Action == "":
			answer.Observed = "only a part of it"
		default:
			answer.Observed, answer.Met = planned.Owner+": "+planned.Action, true
		}
	}
	all = append(all, answer)
	if i.Began.IsZero() {
		return all
	}
	lead := guard.Inject{After: after(i.Began), What: "people are called", Expected: "somebody leads", Observed: "nobody does"}
	if !i.Activated.IsZero() {
		lead.Observed, lead.Met = fmt.Sprintf("%s leads, %s after detection", i.Lead, guard.Duration(i.Activated.Sub(i.Began))), true
	}
	if len(s.options.Absent) > 0 {
		lead.What += ", and nobody with the role " + strings.Join(s.options.Absent, " or ") + " answers"
	}
	all = append(all, lead)
	for _, channel := range s.options.Dead {
		one := guard.Inject{
			After: after(i.Began), What: fmt.Sprintf("the channel %s delivers nothing", s.channel(channel)),
			Expected: "whoever it serves hears of it through another", Observed: "they do", Met: true,
		}
		for _, d := range s.told {
			if one.Met && d.channel == channel && d.problem != "" && !s.arrived(d.notice.Key) {
				one.Observed, one.Met = fmt.Sprintf("%s did not hear: %s", whom(d.notice), d.notice.News), false
			}
		}
		all = append(all, one)
	}
	return all
}

// arrived says whether a notice came through some channel.
func (s *stage) arrived(key string) bool {
	return slices.ContainsFunc(s.told, func(d delivery) bool { return d.notice.Key == key && d.problem == "" })
}

// channel is what a channel of the plan is called.
func (s *stage) channel(n int) string {
	c := s.plan.Notify[n]
	if len(c.For) == 0 {
		return fmt.Sprintf("%d (%s)", n, c.Use)
	}
	return fmt.Sprintf("%d (%s, for %s)", n, c.Use, strings.Join(c.For, ", "))
}

// whom says for whom a notice is.
func whom(n guard.Notice) string {
	if len(n.Roles) == 0 {
		return n.Audience
	}
	return strings.Join(n.Roles, ", ")
}

// holes are where the plan has no answer.
func (s *stage) holes(play Play) (all []string) {
	add := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	i := play.State.Incident
	if !slices.ContainsFunc(s.plan.Scenarios, func(known guard.Scenario) bool { return known.Name == s.Name }) {
		add("the plan says nothing of %s: describe it in scenarios", s.Name)
	}
	if !s.onset.IsZero() && i.Began.IsZero() {
		add("nobody has to answer for it: it became no incident")
	}
	if len(s.plan.Notify) == 0 {
		add("nobody can be told: the plan has no channels (notify)")
	}
	if !i.Began.IsZero() && i.Level == 0 && len(s.plan.Severity) > 0 {
		add("no level of severity holds for it: end the list with one that does (when: \"true\")")
	}
	for _, d := range s.told {
		for _, role := range d.notice.Roles {
			if _, there := s.holder(role); !there && !slices.Contains(s.options.Absent, role) {
				add("%s is told, and nobody in the roster holds that role", role)
			}
		}
		if d.notice.News == guard.NewsEscalated && strings.HasPrefix(d.notice.About, "no channel reaches ") {
			add("%s", d.notice.About)
		}
	}
	if play.State.Outcome == guard.RollbackFailed && len(s.plan.Recovery.Resorts) == 0 {
		add("going back does not help, and the plan has nothing else to try (recovery.resorts)")
	}
	if store, resorts := s.restored(i); resorts && store.Schedule == 0 {
		add("nobody can say how much of the latest work of %s is lost: the plan does not say how often it is backed up (schedule)", store.Name)
	}
	if i.Open() {
		add("nobody stands it down: the plan has %s do so", s.plan.Recovery.StandDown)
	}
	return all
}

// timeline is what happens, in order, as people would live through it.
func (s *stage) timeline(play Play) []guard.Moment {
	var all []guard.Moment
	add := func(at time.Time, who, format string, args ...any) {
		all = append(all, guard.Moment{At: at, Who: who, What: fmt.Sprintf(format, args...)})
	}
	if !s.onset.IsZero() && !s.onset.After(play.State.At) {
		add(s.onset, "", "%s", s.What)
	}
	var was guard.State
	for _, e := range play.Events {
		is := guard.Next(s.plan, was, e)
		s.moments(was, is, e, add)
		was = is
	}
	for _, d := range s.deliveries() {
		add(d.at, whom(d.notice), "%s", d.what)
	}
	for _, o := range play.State.Incident.Owed {
		if o.Breached(play.State.At) && !o.Until.After(play.State.At) {
			add(o.Until, o.Role, "%s was owed by now, and is not met", o.Kind)
		}
	}
	slices.SortStableFunc(all, func(a, b guard.Moment) int { return a.At.Compare(b.At) })
	return all
}

// moments adds what one event brought about.
func (s *stage) moments(was, is guard.State, e guard.Event, add func(time.Time, string, string, ...any)) {
	before, after := was.Incident, is.Incident
	if was.Phase != is.Phase && is.Phase != guard.Verifying && (is.Phase != guard.Restoring || was.Phase != guard.Verifying) {
		switch {
		case is.Phase == guard.Over:
			add(e.At, "golive", "%s: %s", is.Outcome, is.Why)
		case is.Why != "":
			add(e.At, "golive", "%s: %s", is.Phase, is.Why)
		default:
			add(e.At, "golive", "%s", is.Phase)
		}
	}
	if is.Seen != was.Seen {
		add(e.At, "golive", "the new version has %d %% of the traffic", is.Seen)
	}
	if before.Began.IsZero() && !after.Began.IsZero() {
		add(after.Began, "golive", "it is detected, and becomes an incident of the kind %s", after.Scenario)
	}
	for _, g := range after.Grades[len(before.Grades):] {
		add(e.At, g.By, "level %d: %s", g.Level, g.Why)
	}
	for _, reached := range []struct {
		was, is time.Time
		what    string
	}{
		{before.Contained, after.Contained, "contained: the new version does no more harm"},
		{before.Preserved, after.Preserved, "the evidence is kept"},
		{before.Restored, after.Restored, "the service is back, verified"},
		{before.Steady, after.Steady, "it has stayed well"},
	} {
		if reached.was.IsZero() && !reached.is.IsZero() {
			add(reached.is, "golive", "%s", reached.what)
		}
	}
	switch f := e.Fact.(type) {
	case guard.Ordered:
		add(e.At, f.By, "orders %s: %s", f.Verb, f.Why)
	case guard.Voted:
		fires := "fires"
		if f.Alerts[0].Ended {
			fires = "fires no more"
		}
		add(e.At, f.By, "%s %s: %s", f.Alerts[0].Name, fires, f.Alerts[0].Summary)
	case guard.Acknowledged:
		add(e.At, f.By, "takes it on, and leads")
	case guard.Stated:
		if f.What != guard.StateSeverity { // the level says it
			add(e.At, f.By, "%s", statedWords(f))
		}
	}
}

func statedWords(f guard.Stated) string {
	switch f.What {
	case guard.StateCause:
		return "knows the cause: " + f.Text
	case guard.StateSignOff:
		return "agrees, as " + f.Subject
	case guard.StateStandDown:
		return "says that it is over"
	case guard.StateContacted:
		return f.Subject + " knows"
	case guard.StateFiled:
		return "has written the report"
	case guard.StateLearned:
		return "has changed the plan, or signed that it need not be"
	}
	return string(f.What)
}

// A line is one notice as it arrived, or did not.
type line struct {
	delivery
	what string
}

// deliveries are the notices, each once for the way it went: what is tried again and again is said once.
func (s *stage) deliveries() (lines []line) {
	seen := map[string]int{}
	for _, d := range s.told {
		news := string(d.notice.News)
		if news == "" {
			news = d.notice.Title
		}
		news = strings.ReplaceAll(news, "_", " ")
		if about := d.notice.About; d.notice.News == guard.NewsBreached {
			news += " " + about
		}
		text := fmt.Sprintf("told through channel %s: %s", s.channel(d.channel), news)
		if d.problem != "" {
			text = fmt.Sprintf("not told through channel %s, since %s: %s", s.channel(d.channel), d.problem, news)
		}
		key := d.notice.Key + text
		if d.notice.News == guard.NewsUpdate {
			key = whom(d.notice) + text
		}
		seen[key]++
		switch {
		case d.notice.News == guard.NewsUpdate && d.problem == "" && seen[key] == 4:
			text += ", and so on"
		case d.notice.News == guard.NewsUpdate && d.problem == "" && seen[key] < 4:
		case seen[key] > 1:
			continue
		}
		lines = append(lines, line{d, text})
	}
	return lines
}
