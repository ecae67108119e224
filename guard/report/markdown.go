package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

const (
	mostMarkdown = 900 << 10 // GitHub drops a summary of more than 1 MiB as a whole
	mostCell     = 2000      // characters of one text
	mostTail     = 4 << 10   // bytes of what comes after the last row
)

// signs are the verdicts for people who scan.
var signs = map[guard.Verdict]string{
	guard.Fail: "❌ fail", guard.Unknown: "❓ unknown", guard.Waiting: "⏳ waiting", guard.Warn: "⚠️ warn", guard.Pass: "✅ pass",
}

// writeMarkdown writes a job summary or the comment on a pull request: what needs somebody first, and what passed
// behind a fold. What would not fit is left out by whole rows, and counted.
func writeMarkdown(w io.Writer, s sheet) error {
	answer, counts, _ := strings.Cut(s.summary(), ": ")
	var b strings.Builder
	fmt.Fprintf(&b, "## golive: %s\n\n", answer)
	// A text that came from elsewhere begins no line: there a plus sign would make a list of it.
	fmt.Fprintf(&b, "%s: %s. %s.\n", signs[s.Verdict], s.subject(), guard.EscapeMarkdown(counts))
	if s.BreakGlass != nil {
		fmt.Fprintf(&b, "\n%s\n", cell(s.BreakGlass.String()))
	}
	if s.Mode == guard.Observe {
		b.WriteString("\nMode observe: golive says what it finds, and forbids nothing.\n")
	}
	left := 0
	table := func(entries []entry) {
		b.WriteString("\n| verdict | check | finding | to mend it |\n|---|---|---|---|\n")
		for i, e := range entries {
			row := s.row(e)
			if b.Len()+len(row) > mostMarkdown-mostTail {
				left += len(entries) - i
				return
			}
			b.WriteString(row)
		}
	}
	entries := s.gravestFirst()
	fold := slices.IndexFunc(entries, entry.open)
	if fold < 0 {
		fold = len(entries)
	}
	if fold > 0 {
		table(entries[:fold])
	}
	if rest := entries[fold:]; len(rest) > 0 && b.Len() < mostMarkdown-2*mostTail {
		fmt.Fprintf(&b, "\n<details><summary>%d that need nothing</summary>\n", len(rest))
		table(rest)
		b.WriteString("\n</details>\n")
	} else {
		left += len(rest)
	}
	if len(s.Skipped) > 0 {
		fmt.Fprintf(&b, "\nNot asked: %s\n", guard.EscapeMarkdown(shorten(strings.Join(s.Skipped, ", "), mostTail/16)))
	}
	if left > 0 {
		fmt.Fprintf(&b, "\n%d more do not fit here: `golive check -o json` has them all.\n", left)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// subject is which release this is about.
func (s sheet) subject() string {
	r := s.Release
	text := cell(r.Service)
	if r.Environment != "" {
		text += " in " + cell(r.Environment)
	}
	switch {
	case r.To == "":
		return strings.TrimSpace(text + " plan " + cell(s.file))
	case r.First():
		return fmt.Sprintf("%s, %s (the first release)", text, cell(r.To))
	}
	return fmt.Sprintf("%s, %s → %s", text, cell(r.From), cell(r.To))
}

func (s sheet) row(e entry) string {
	sign := signs[e.Verdict]
	if e.Waived != nil {
		sign += ", waived"
	}
	name := []string{e.name()}
	if s.file != "" && e.at.Line > 0 {
		name = append(name, fmt.Sprintf("%s:%d", s.file, e.at.Line))
	}
	finding := []string{e.Title, e.Reason, Expectation(e.Finding)}
	if e.Waived != nil {
		finding = append(finding, e.Waived.String())
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", sign, cell(name...), cell(finding...), cell(e.Remedy))
}

// cell is some texts as one cell of a table, below each other.
func cell(texts ...string) string {
	var lines []string
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			lines = append(lines, guard.EscapeMarkdown(shorten(text, mostCell)))
		}
	}
	return strings.Join(lines, "<br>")
}
