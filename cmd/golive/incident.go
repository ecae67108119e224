package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/server"
)

// An incident is one as a server answers it, which is how golive answers it, too.
type incident struct{ server.Incident }

// incidentOf is the incident that a rollout has become; nil: none.
func incidentOf(plan *guard.Plan, s guard.State, now time.Time) *incident {
	if i := server.IncidentOf(plan, s, now); i != nil {
		return &incident{*i}
	}
	return nil
}

// facts is an incident as lines of a list: how bad it is, who leads, what is owed, and what is to be done now.
func (i *incident) facts(p *program, id string, held bool) (facts [][2]string) {
	if i == nil {
		return nil
	}
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, [2]string{name, text})
		}
	}
	add("incident", i.standing())
	lead := i.Lead
	if lead == "" && i.Open {
		lead = "NOBODY YET"
	}
	add("led by", lead)
	add("cause", i.Cause)
	add("kind", i.Scenario)
	add("unreached", strings.Join(i.Unreached, ", "))
	var lines []string
	for _, o := range i.Owed {
		lines = append(lines, owedLine(o))
	}
	add("owed", strings.Join(lines, "\n"))
	lines = nil
	for _, a := range i.Actions {
		lines = append(lines, fmt.Sprintf("%s (%s, %s by %s)", oneLine(a.Text), a.Class, a.Owner, moment(a.Due)))
	}
	add("actions", strings.Join(lines, "\n"))
	add("to do", strings.Join(i.todo(p, id, held), "\n"))
	return facts
}

// standing says how bad it is, and whether it is over.
func (i *incident) standing() string {
	text := "open since " + moment(i.Began)
	if !i.Open {
		text = fmt.Sprintf("stood down by %s at %s", somebody(i.StoodBy), moment(i.StoodDown))
	}
	if i.Level > 0 {
		text = fmt.Sprintf("level %d, %s", i.Level, text)
		if i.LevelName != "" {
			text = fmt.Sprintf("level %d (%s)%s", i.Level, i.LevelName, strings.TrimPrefix(text, fmt.Sprintf("level %d", i.Level)))
		}
	}
	if i.Why != "" {
		text += ": " + oneLine(i.Why)
	}
	return text
}

// owedLine says what is owed, by whom, and how that stands.
func owedLine(o server.Obligation) string {
	text := fmt.Sprintf("%s: %s", o.Kind, o.Standing)
	switch {
	case !o.Met.IsZero():
		text += " at " + moment(o.Met)
		if o.By != "" {
			text += ", by " + oneLine(o.By)
		}
	case o.Waived != "":
		text += ": " + oneLine(o.Waived)
	default:
		text += ", by " + o.Role
	}
	return text + " (due " + moment(o.Until) + ")"
}

// todo is what people are to do next. Held says that a process, or a server, goes on with it.
func (i *incident) todo(p *program, id string, held bool) (lines []string) {
	if !i.Open && i.Untold > 0 && !held {
		lines = append(lines, "tell the rest:   "+p.call("respond", id)+fmt.Sprintf(" (notices that were not delivered: %d)", i.Untold))
	}
	switch {
	case i.Open:
		if i.Lead == "" {
			lines = append(lines, "take it on:     "+p.call("ack", id))
		}
		if !held {
			lines = append(lines, "go on with it:  "+p.call("respond", id))
		}
		if i.Missing != "" {
			lines = append(lines, "end it later:   "+p.call("stand-down", id, "--why", "WHY")+" ("+i.Missing+")")
		} else {
			lines = append(lines, "end it:         "+p.call("stand-down", id, "--why", "WHY"))
		}
	case i.Filed.IsZero():
		lines = append(lines, "file the report: "+p.call("report", id, "--file"))
	case slices.ContainsFunc(i.Owed, func(o server.Obligation) bool { return o.Kind == guard.DueLearned && o.Open() }):
		lines = append(lines, "say what was learned: "+p.call("learned", "TEXT", id))
	}
	return lines
}

// incidentLines tells what has changed of the incident that a rollout has become.
func (t *story) incidentLines(s guard.State) (lines []line) {
	was, i := t.was.Incident, s.Incident
	if i.Began.IsZero() {
		return nil
	}
	add := func(tone tone, format string, args ...any) {
		lines = append(lines, line{tone, fmt.Sprintf(format, args...)})
	}
	if was.Began.IsZero() {
		add(bad, "INCIDENT, begun at %s: %s", clock(i.Began), t.call("ack", s.Release.ID)+" takes it on")
	}
	for n, g := range i.Grades[min(len(was.Grades), len(i.Grades)):] {
		text := fmt.Sprintf("it is of level %d", g.Level)
		if n+len(was.Grades) > 0 {
			text = fmt.Sprintf("it is of level %d now", g.Level)
		}
		if g.By != "" {
			text += ", as " + somebody(g.By) + " says"
		}
		add(bad, "%s: %s", text, oneLine(g.Why))
	}
	for n, o := range i.Owed {
		if o.Passed && (n >= len(was.Owed) || !was.Owed[n].Passed) {
			add(bad, "not done in time: %s, owed by %s until %s", o.Kind, o.Role, clock(o.Until))
		}
	}
	if was.Activated.IsZero() && !i.Activated.IsZero() {
		add(calm, "%s leads", somebody(i.Lead))
	}
	if was.StoodDown.IsZero() && !i.StoodDown.IsZero() {
		add(good, "stood down by %s", somebody(i.StoodBy))
	}
	if was.Filed.IsZero() && !i.Filed.IsZero() {
		add(good, "the report is filed")
	}
	return lines
}

// A mirror writes into the ledger what it has to remember of a rollout. It begins with all of it, and leaves out what is
// there, so that a process which was killed between a journal and the ledger has lost nothing.
type mirror struct {
	program *program
	plan    *guard.Plan
	was     guard.State
}

func (p *program) mirror(plan *guard.Plan) *mirror { return &mirror{program: p, plan: plan} }

// saw writes what an event has led to, and tells what is owed because of it.
func (m *mirror) saw(ctx context.Context, s guard.State) {
	p, entries := m.program, guard.LedgerOf(m.plan, m.was, s)
	m.was = s
	p.rememberAll(ctx, m.plan, entries, func(e guard.Entry) {
		if e.Act == guard.Obliged && e.Kind != guard.KindIncident {
			fmt.Fprintf(p.err, "OWED by %s until %s: %s\n", e.By, moment(e.Until), p.secrets.name(e.Says))
		}
	}, func(e guard.Entry, err error) {
		fmt.Fprintf(p.err, "golive: this is not in the ledger, so remember it yourself: %s: %v\n", p.secrets.name(entryText(e)), err)
	})
}

// due says that a history that is over has something to be done now: a notice that was not delivered, or the moment at which
// something is owed.
func due(s guard.State, now time.Time) bool {
	return slices.ContainsFunc(s.Todo, func(t guard.Task) bool {
		switch t.Deed.(type) {
		case guard.Remind, guard.Escalate, guard.Regrade:
			return !t.NotBefore.After(now)
		}
		return true
	})
}

// held says whether somebody goes on with a rollout.
func (a account) held() bool { return a.Holder != nil || a.Guard != "" }

// findingWords are findings in a line, the worst first said.
func findingWords(findings []guard.Finding) string {
	_, tally, _ := strings.Cut(report.TallyOf(findings).String(), ": ")
	return tally
}
