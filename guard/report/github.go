package report

import (
	"fmt"
	"io"
	"strings"
)

const (
	// GitHub shows ten annotations of a kind for each step and drops the others, so the tenth says how many
	// there are.
	mostAnnotations = 9
	mostAnnotation  = 4000 // characters
)

var (
	escapeMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace
)

// writeGitHub writes workflow commands, which GitHub Actions makes annotations of, and then as a plain line what
// all findings come to.
func writeGitHub(w io.Writer, s sheet) error {
	kinds := map[string][]entry{}
	for _, e := range s.gravestFirst() {
		if e.Waived == nil && e.open() {
			continue
		}
		kinds[e.level()] = append(kinds[e.level()], e)
	}
	p := &printer{w: w}
	for _, kind := range []struct{ level, command string }{{"error", "error"}, {"warning", "warning"}, {"note", "notice"}} {
		entries, most := kinds[kind.level], mostAnnotations
		if kind.level == "warning" && s.BreakGlass != nil {
			most--
			p.printf("::warning title=golive::%s\n", escapeMessage(shorten(s.BreakGlass.String(), mostAnnotation)))
		}
		for _, e := range entries[:min(most, len(entries))] {
			text := strings.Join(append([]string{e.Title}, e.details()...), "\n")
			p.printf("::%s %stitle=%s::%s\n", kind.command, s.where(e), escapeProperty(e.title()), escapeMessage(shorten(text, mostAnnotation)))
		}
		if more := len(entries) - most; more > 0 {
			p.printf("::%s title=golive::and %d more: golive check -o short lists them all\n", kind.command, more)
		}
	}
	p.printf("%s\n", oneLine(s.summary()))
	return p.err
}

// where are the properties that say which line of the plan an annotation belongs to.
func (s sheet) where(e entry) string {
	if s.file == "" {
		return ""
	}
	return fmt.Sprintf("file=%s,line=%d,col=%d,", escapeProperty(s.file), max(1, e.at.Line), max(1, e.at.Column))
}

// title is the verdict and the name of the check, in a line.
func (e entry) title() string {
	verdict := e.Verdict.String()
	if e.Waived != nil {
		verdict += ", waived"
	}
	return oneLine(shorten(strings.TrimSpace(e.name()+" "+e.Subject), 200) + ": " + verdict)
}
