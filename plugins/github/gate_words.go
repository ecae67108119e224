package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard"
)

// A judgement is what the checks have said of a deployment, or why they could not be asked.
type judgement struct {
	worst    guard.Verdict
	findings []guard.Finding
	wait     time.Duration // how long what is not ready may be waited for, all in all
	reason   string        // why nothing could be found out, for people at GitHub
	problem  error         // the same for the operator
}

// evaluate asks the checks. Whatever is not an answer is Unknown. What GitHub was asked for it writes down in a.
func (g *Gate) evaluate(ctx context.Context, r *repository, a *asked) judgement {
	select {
	case g.few <- struct{}{}:
		defer func() { <-g.few }()
	case <-ctx.Done():
		return judgement{}
	}
	wait := g.setup.MaxWait
	unknown := func(reason string, err error) judgement {
		return judgement{wait: wait, reason: reason, problem: fmt.Errorf("ask the checks for %s: %w", a, err)}
	}
	const away = "the checks cannot be asked at the moment; the log of golive serve says why"
	noPlan := func(err error) judgement {
		return unknown(fmt.Sprintf("golive has no plan for the service %s and the environment %s; write one, or name the service in the payload of the deployment",
			guard.Line(a.Release.Service, 80), guard.Line(a.Release.Environment, 80)), err)
	}
	plan, err := g.setup.Desk.Plan(a.Release)
	switch {
	case errors.Is(err, guard.ErrNoPlan):
		return noPlan(err)
	case err != nil:
		return unknown(away, err)
	}
	wait = g.wait(plan)
	if err := cmp.Or(plan.Gate.Hears(a.Repository), plan.Gate.Admits(a.Event, a.Ref)); err != nil { // which waiting does not change
		return judgement{worst: guard.Fail, reason: err.Error(), problem: fmt.Errorf("%s: %w", a, err)}
	}
	if a.Release.From == "" && !a.Looked { // once: each look may be many requests, of the quota that the way back needs
		bounded, cancel := r.bound(ctx)
		last, err := r.lastSuccess(bounded, a.Environment, a.Release.To)
		cancel()
		if err != nil {
			return unknown("GitHub does not say what was deployed before; the log of golive serve says why", err)
		}
		if a.Looked = true; last != nil {
			a.Release.From = last.sha
		}
	}
	findings, err := g.setup.Desk.Check(ctx, a.Release)
	switch {
	case errors.Is(err, guard.ErrNoPlan):
		return noPlan(err)
	case err != nil:
		return unknown(away, err)
	}
	shown := g.setup.Discreet(plan)
	findings = slices.Clone(findings)
	for i := range findings { // the comment is for all who may see the run
		findings[i] = shown(findings[i])
	}
	return judgement{worst: guard.Worst(findings), findings: findings, wait: wait}
}

// wait is how long a plan lets GitHub wait, which is no longer than the server does.
func (g *Gate) wait(plan *guard.Plan) time.Duration {
	if plan.Gate.MaxWait == 0 {
		return g.setup.MaxWait
	}
	return min(plan.Gate.MaxWait.Std(), g.setup.MaxWait)
}

// worstFirst is in which order verdicts are told: what has to be mended first.
var worstFirst = []guard.Verdict{guard.Fail, guard.Unknown, guard.Waiting, guard.Warn}

// comment says in Markdown what came of it, with the code and the remedy of whatever is in the way. What does not fit
// into the room that GitHub gives is told by its code, and then counted.
func (j judgement) comment(a asked) string {
	about := "golive"
	switch a.Stage {
	case approved:
		about += ": go"
	case waiting:
		about += fmt.Sprintf(": not ready, asked again until %s", clock(a.Received.Add(j.wait)))
	case expired:
		about += ": no-go, for in " + j.wait.String() + " it could not be found out that all is well"
	default:
		about += ": no-go"
	}
	text := fmt.Sprintf("**%s** (%s)", about, guard.EscapeMarkdown(guard.Line(a.Release.Service, 60)+" "+short(a.Release.To)))
	if j.reason != "" {
		return clip(text+"\n\n"+guard.EscapeMarkdown(j.reason), commentMost)
	}
	var told []guard.Finding
	for _, verdict := range worstFirst {
		for _, f := range j.findings {
			if f.Counts() == verdict {
				told = append(told, f)
			}
		}
	}
	if len(told) == 0 {
		return fmt.Sprintf("%s\n\n%d checks, and nothing is in the way.", text, len(j.findings))
	}
	const rest = "\n- and %d more"
	room := commentMost - len(text) - len(fmt.Sprintf(rest, len(told))) - 1
	var lines []string
	for i, f := range told {
		line, fits := fitting(f, room)
		if !fits {
			lines = append(lines, fmt.Sprintf(rest, len(told)-i))
			break
		}
		room -= len(line)
		lines = append(lines, line)
	}
	return clip(text+"\n"+strings.Join(lines, ""), commentMost)
}

// fitting is the longest line about a finding that there is room for.
func fitting(f guard.Finding, room int) (line string, fits bool) {
	for _, most := range []int{240, 120, 60, 0} {
		if line = lineOf(f, most); len(line) <= room {
			return line, true
		}
	}
	return "", false
}

// lineOf tells a finding with so many characters of each of its texts at most.
func lineOf(f guard.Finding, most int) string {
	name := strings.TrimSpace(f.Code + " " + f.ID)
	line := fmt.Sprintf("\n- **%s** %s", guard.EscapeMarkdown(guard.Line(name, 60)), f.Counts())
	if most == 0 {
		return line
	}
	if text := guard.Line(strings.TrimSpace(f.Subject+" "+f.Reason), most); text != "" {
		line += ": " + guard.EscapeMarkdown(text)
	}
	if text := guard.Line(f.Remedy, most); text != "" {
		line += ". **Remedy:** " + guard.EscapeMarkdown(text)
	}
	return line
}

// clip cuts a text to so many bytes, and never within a character.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const end = "…"
	most -= len(end)
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + end
}
