package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/report"
)

// An account is what can be said of a rollout in few words, by every command that answers about one.
type account struct {
	ID           string            `json:"id"`
	Service      string            `json:"service"`
	Environment  string            `json:"environment"`
	From         string            `json:"from,omitempty"`
	To           string            `json:"to"`
	Purpose      guard.Purpose     `json:"purpose"`
	Mode         guard.Mode        `json:"mode"`
	Phase        guard.Phase       `json:"phase"`
	Outcome      guard.Outcome     `json:"outcome,omitempty"`
	Cause        guard.Cause       `json:"cause,omitempty"`
	Why          string            `json:"why"`
	Percent      int               `json:"percent"` // last seen
	Step         int               `json:"step"`    // counts from 1
	Steps        int               `json:"steps"`
	Held         string            `json:"held,omitempty"`
	Alarm        string            `json:"alarm,omitempty"`        // alerts that fire, and hold it
	Alerts       []guard.Alert     `json:"alerts,omitempty"`       // that fire and began after it
	Acknowledged string            `json:"acknowledged,omitempty"` // who looks after it
	Trouble      string            `json:"trouble,omitempty"`
	Remarks      []string          `json:"remarks,omitempty"`  // of the source
	Incident     *incident         `json:"incident,omitempty"` // that it has become
	BreakGlass   *guard.BreakGlass `json:"break_glass,omitempty"`
	Findings     []guard.Finding   `json:"findings,omitempty"`
	Proof        []guard.Finding   `json:"proof,omitempty"` // of the way back
	Began        time.Time         `json:"began,omitzero"`
	Since        time.Time         `json:"since"` // in this phase
	Ended        time.Time         `json:"ended,omitzero"`
	Journal      string            `json:"journal"`
	Holder       *journal.Holder   `json:"holder,omitempty"` // the process that goes on with it
	Guard        string            `json:"guard,omitempty"`  // the server that does
	Page         string            `json:"page,omitempty"`   // of the server, for people
}

func (h *history) account() account {
	s, r := h.State, h.State.Release
	a := account{
		ID: h.ID(), Service: r.Service, Environment: r.Environment, From: r.From, To: r.To,
		Purpose: s.Purpose, Mode: s.Mode, Phase: s.Phase, Outcome: s.Outcome, Cause: s.Cause, Why: s.Why,
		Percent: s.Seen, Step: s.Step + 1, Steps: len(h.Plan.Rollout.Steps), Held: s.Held, Alarm: s.Alarm, Alerts: s.Alerts, Acknowledged: s.Acknowledged, Trouble: s.Trouble, Remarks: s.Remarks,
		BreakGlass: s.BreakGlass, Findings: s.Findings, Proof: s.Proof, Since: s.Since, Journal: h.Path, Page: h.Page,
	}
	if len(h.Events) > 0 {
		a.Began = h.Events[0].At
	}
	a.Incident = incidentOf(h.Plan, s, time.Now())
	if h.over() {
		a.Ended = s.Since
	}
	if h.Holder != (journal.Holder{}) {
		a.Holder = &h.Holder
	}
	return a
}

// verdict is how a rollout ended, in one line.
func verdict(s guard.State) string {
	warning, text := report.Verdict(s)
	if text == "" {
		return fmt.Sprintf("the %s of %s is not over: %s", s.Purpose, s.Release.To, s.Phase)
	}
	if warning != "" {
		text = strings.ToUpper(warning) + ": " + text
		if s.Outcome != guard.RollbackFailed {
			text += fmt.Sprintf(" (%s)", s.Outcome)
		}
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

// toneOfOutcome is how an outcome sounds.
func toneOfOutcome(o guard.Outcome) tone {
	switch o {
	case guard.Live:
		return good
	case guard.RolledBack, guard.Stopped, guard.Unfinished, guard.Overdue:
		return doubt
	}
	return bad
}

// call is a command line of golive that works from here, with the plan and the journals of this call.
func (p *program) call(args ...string) string {
	var flags []string
	if p.settings.Plan != "golive.yaml" {
		flags = append(flags, "--plan", p.settings.Plan)
	}
	if atHome, _ := p.env.Lookup("GOLIVE_SERVER"); p.settings.Server != atHome {
		flags = append(flags, "--server", p.settings.Server)
	}
	if p.settings.Journal != ".golive" {
		flags = append(flags, "--journal", p.settings.Journal)
	}
	text := "golive"
	for _, word := range append(args, flags...) {
		text += " " + quote(word)
	}
	return text
}

// quote makes a word safe for a shell.
func quote(word string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./:=@%+,", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
