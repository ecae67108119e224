package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// This file is what the page of a workflow's run shows of golive: a summary with a picture. The pictures are made of numbers and of
// words of golive's own, so that nothing from outside can get into them; beside each stand the same numbers as text.

// WriteSummary writes an assessment as the summary of a workflow's step.
func WriteSummary(w io.Writer, a Assessment) error {
	var b bytes.Buffer
	if err := writeMarkdown(&b, a.sheet()); err != nil {
		return err
	}
	head, rest, _ := strings.Cut(b.String(), "\n\n")
	_, err := fmt.Fprintf(w, "%s\n\n%s\n%s", head, pie(a), rest)
	return err
}

// tints are the colours of the verdicts. What passed is pale: one finding that did not may be all that counts.
var tints = map[guard.Verdict]string{
	guard.Fail: "#cf222e", guard.Unknown: "#bc4c00", guard.Waiting: "#8250df", guard.Warn: "#d4a72c", guard.Pass: "#d8e8d8",
}

// pie is what the checks found, by their numbers. Shares of them mean nothing, so none are shown.
func pie(a Assessment) string {
	s := a.sheet()
	t := s.tally()
	var slices, colours strings.Builder
	count := 0
	slice := func(name, tint string, n int) {
		if n == 0 {
			return // a slice of nothing is a mistake to mermaid
		}
		count++
		fmt.Fprintf(&slices, "    %q : %d\n", name, n)
		fmt.Fprintf(&colours, ", \"pie%d\": %q", count, tint)
	}
	for _, v := range gravest {
		slice(v.String(), tints[v], t.By[v])
	}
	slice("waived", "#8c959f", t.Waived)
	return fmt.Sprintf("```mermaid\n%%%%{init: {\"theme\": \"base\", \"themeVariables\": {\"pieSectionTextSize\": \"0px\"%s}}}%%%%\npie showData\n    title %s\n%s```\n",
		&colours, t.answer(), &slices)
}

// An Ending is how a rollout has ended, or how far it has come.
type Ending struct {
	Plan    *guard.Plan
	State   guard.State
	Events  []guard.Event // all of them, the oldest first; none: there is no picture of the traffic
	Verdict string        // in a word or two, such as "rolled back"
	Within  string        // as that of an Assessment
	Page    string        // of a server, for people; "": there is none
}

// assessment is what the checks said, where they are why nothing began; false: they are not.
func (e Ending) assessment() (Assessment, bool) {
	s := e.State
	stopped := s.Outcome == guard.NoGo || s.Outcome == guard.Unknowable
	return Assessment{
		Plan: e.Plan, Release: s.Release, Mode: s.Mode, Verdict: guard.Worst(s.Findings), Findings: s.Findings, BreakGlass: s.BreakGlass, Within: e.Within,
	}, stopped && len(s.Findings) > 0
}

// line says how it ended, and why, as one line without contacts.
func (e Ending) line() string {
	warning, text := Verdict(e.State)
	if text == "" {
		text = fmt.Sprintf("the %s of %s is not over: %s", e.State.Purpose, e.State.Release.To, e.State.Phase)
	}
	if warning != "" {
		text = strings.ToUpper(warning) + ": " + text
	}
	if e.State.Why != "" {
		text += ": " + e.State.Why
	}
	return oneLine(clean(DiscreetText(e.Plan)(text)))
}

// WriteSummary writes an ending as the summary of a workflow's step.
func (e Ending) WriteSummary(w io.Writer) error {
	s := e.State
	var b strings.Builder
	fmt.Fprintf(&b, "## golive: %s\n\n**%s**\n\n", e.Verdict, cell(e.line()))
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, cell(clean(text)))
		}
	}
	b.WriteString("| | |\n|---|---|\n")
	row("rollout", s.Release.ID)
	row("service", strings.TrimSpace(s.Release.Service+" "+s.Release.Environment))
	row("from", s.Release.From)
	row("to", s.Release.To)
	row("outcome", string(s.Outcome))
	row("traffic", fmt.Sprintf("%d %% of it was last seen with the new version", s.Seen))
	row("trouble", DiscreetText(e.Plan)(s.Trouble))
	row("page", e.Page)
	b.WriteString(e.traffic())
	if a, stopped := e.assessment(); stopped {
		b.WriteString("\n")
		if err := WriteSummary(&b, a); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteGitHub writes an ending as annotations, in the form of writeGitHub: findings stand at their lines, and the rest where the plan
// speaks of the rollout.
func (e Ending) WriteGitHub(w io.Writer) error {
	kind := "error"
	if e.State.Outcome == guard.Live || e.State.Purpose == guard.ToRollback && e.State.Outcome == guard.RolledBack {
		kind = "notice"
	}
	a, stopped := e.assessment()
	if stopped {
		return writeGitHub(w, a.sheet())
	}
	s := a.sheet()
	var place entry
	if e.Plan != nil {
		place.at = e.Plan.Position("rollout")
	}
	_, err := fmt.Fprintf(w, "::%s %stitle=%s::%s\n", kind, s.where(place), escapeProperty("golive: "+e.Verdict), escapeMessage(shorten(e.line(), mostAnnotation)))
	return err
}

// A move is a share of the traffic that was seen, and when.
type move struct {
	at      time.Time
	percent int
}

const (
	mostMoves = 40 // rows
	moments   = 48 // of the picture
)

// traffic is which share the new version had, and since when.
func (e Ending) traffic() string {
	if e.Plan == nil || len(e.Events) < 2 {
		return ""
	}
	began, ended := e.Events[0].At, e.Events[len(e.Events)-1].At
	moves := []move{{began, 0}}
	var s guard.State
	for _, event := range e.Events {
		if s = guard.Next(e.Plan, s, event); s.Seen != moves[len(moves)-1].percent {
			moves = append(moves, move{event.At, s.Seen})
		}
	}
	took := ended.Sub(began)
	if len(moves) == 1 || took < time.Second {
		return "" // no traffic was moved
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n```mermaid\n%%%%{init: {\"theme\": \"base\", \"themeVariables\": {\"xyChart\": {\"plotColorPalette\": \"#0969da\"}}}}%%%%\nxychart-beta\n    title \"Traffic of the new version\"\n    x-axis \"seconds\" 0 --> %.0f\n    y-axis \"percent\" 0 --> 100\n    line [", took.Seconds())
	for n := range moments {
		if n > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d", shareAt(moves, began.Add(took*time.Duration(n)/(moments-1))))
	}
	b.WriteString("]\n```\n\n| after | the new version had |\n|---|---|\n")
	for n, m := range moves {
		if n == mostMoves {
			fmt.Fprintf(&b, "| | and %d more |\n", len(moves)-n)
			break
		}
		fmt.Fprintf(&b, "| %s | %d %% |\n", guard.Duration(m.at.Sub(began).Round(time.Second)), m.percent)
	}
	return b.String()
}

func shareAt(moves []move, at time.Time) (percent int) {
	for _, m := range moves {
		if !m.at.After(at) {
			percent = m.percent
		}
	}
	return percent
}
