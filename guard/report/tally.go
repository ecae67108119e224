package report

import (
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// A Tally counts findings by verdict.
type Tally map[guard.Verdict]int

// TallyOf counts findings.
func TallyOf(findings []guard.Finding) Tally {
	t := Tally{}
	for _, f := range findings {
		t[f.Verdict]++
	}
	return t
}

// Verdict is that of all findings together.
func (t Tally) Verdict() guard.Verdict {
	var found []guard.Finding
	for v, n := range t {
		if n > 0 {
			found = append(found, guard.Finding{Verdict: v})
		}
	}
	return guard.Worst(found)
}

// words are how many there are of a verdict.
var words = map[guard.Verdict]struct{ one, many string }{
	guard.Fail:    {"failed", "failed"},
	guard.Unknown: {"could not be found out", "could not be found out"},
	guard.Waiting: {"without enough evidence", "without enough evidence"},
	guard.Warn:    {"warning", "warnings"},
	guard.Pass:    {"passed", "passed"},
}

// String says what the findings come to: "no-go: 1 failed, 8 passed".
func (t Tally) String() string {
	answer := "no-go"
	if v := t.Verdict(); v == guard.Pass || v == guard.Warn {
		answer = "go"
	}
	var parts []string
	for _, v := range gravest {
		switch n := t[v]; {
		case n == 1:
			parts = append(parts, "1 "+words[v].one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, words[v].many))
		}
	}
	if len(parts) == 0 {
		return answer + ": nothing was checked"
	}
	return answer + ": " + strings.Join(parts, ", ")
}

// tally counts the findings that count, and those that are waived.
func (s sheet) tally() (t Tally, waived int) {
	t = Tally{}
	for _, e := range s.entries {
		if e.waiver != nil {
			waived++
			continue
		}
		t[e.Verdict]++
	}
	return t, waived
}

func (s sheet) summary() string {
	t, waived := s.tally()
	switch {
	case waived == 0:
		return t.String()
	case len(t) > 0:
		return fmt.Sprintf("%s, %d waived", t, waived)
	case s.Verdict == guard.Pass, s.Verdict == guard.Warn:
		return fmt.Sprintf("go: %d waived", waived)
	}
	return fmt.Sprintf("no-go: %d waived", waived)
}
