package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// Text says a play for people: what happens when, counted from detection, what is owed and whether it would be met, what
// was expected, and where the plan has no answer.
func (p Play) Text() string {
	var b strings.Builder
	e, i := p.Exercise, p.State.Incident
	verdict, against := e.Result()
	outcome := map[guard.Verdict]string{guard.Pass: "passed", guard.Fail: "NOT PASSED"}[verdict]
	if e.Aborted != "" {
		outcome = "ABORTED"
	}
	fmt.Fprintf(&b, "%s: %s\n", e.Scenario, outcome)
	from := i.Began
	if from.IsZero() {
		from = e.Began
	}
	for _, m := range e.Timeline {
		who := m.Who
		if who != "" {
			who += ": "
		}
		fmt.Fprintf(&b, "  %9s  %s%s\n", offset(m.At.Sub(from)), who, m.What)
	}
	section := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "%s\n  %s\n", title, strings.Join(lines, "\n  "))
	}
	var owed, injects []string
	for _, o := range e.Owed {
		line := fmt.Sprintf("%-15s %-15s by %s: %s", o.Kind, o.Role, offset(o.Until.Sub(from)), o.Standing(e.Ended))
		if !o.Met.IsZero() {
			line += fmt.Sprintf(" at %s by %s", offset(o.Met.Sub(from)), o.By)
		} else if o.Waived != "" {
			line += ", for " + o.Waived
		}
		owed = append(owed, line)
	}
	for _, in := range e.Injects {
		mark := "met"
		if !in.Met {
			mark = "NOT MET"
		}
		injects = append(injects, fmt.Sprintf("%s: expected: %s; seen: %s: %s", in.What, in.Expected, in.Observed, mark))
	}
	section("owed", owed)
	section("expected", injects)
	section("to be mended", e.Findings)
	section("against it", against)
	return b.String()
}

// offset is a time before or after detection, to the second.
func offset(d time.Duration) string {
	d = d.Round(time.Second)
	if d < 0 {
		return "-" + guard.Duration(-d).String()
	}
	return "+" + guard.Duration(d).String()
}
