package report

import (
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// A Tally counts findings by verdict, and apart from those the ones that are waived.
type Tally struct {
	By     map[guard.Verdict]int
	Waived int
}

// TallyOf counts findings.
func TallyOf(findings []guard.Finding) Tally {
	t := Tally{By: map[guard.Verdict]int{}}
	for _, f := range findings {
		if f.Counts() != f.Verdict {
			t.Waived++
			continue
		}
		t.By[f.Verdict]++
	}
	return t
}

// Verdict is that of all findings together.
func (t Tally) Verdict() guard.Verdict {
	var found []guard.Finding
	for v, n := range t.By {
		if n > 0 {
			found = append(found, guard.Finding{Verdict: v})
		}
	}
	if t.Waived > 0 {
		found = append(found, guard.Finding{Verdict: guard.Warn})
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

// String says what the findings come to: "no-go: 1 failed, 8 passed, 1 waived".
func (t Tally) String() string { return t.answer() + ": " + t.counts() }

// answer is the first word of all.
func (t Tally) answer() string {
	if v := t.Verdict(); v == guard.Pass || v == guard.Warn {
		return "go"
	}
	return "no-go"
}

func (t Tally) counts() string {
	var parts []string
	for _, v := range gravest {
		switch n := t.By[v]; {
		case n == 1:
			parts = append(parts, "1 "+words[v].one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, words[v].many))
		}
	}
	if t.Waived > 0 {
		parts = append(parts, fmt.Sprintf("%d waived", t.Waived))
	}
	if len(parts) == 0 {
		return "nothing was checked"
	}
	return strings.Join(parts, ", ")
}

// tally counts the findings of a sheet.
func (s sheet) tally() Tally {
	var found []guard.Finding
	for _, e := range s.entries {
		found = append(found, e.Finding)
	}
	return TallyOf(found)
}

// summary is the answer, and what it rests on. Who breaks the glass cannot overlook it.
func (s sheet) summary() string {
	t := s.tally()
	if s.BreakGlass != nil {
		return t.answer() + ", BREAK-GLASS: " + t.counts()
	}
	return t.String()
}
