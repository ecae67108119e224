package report

import (
	"fmt"
	"io"
	"strings"
)

// This file is what golive says to GitHub Actions: annotations, outputs, and the log, which the runner obeys where a line of it
// looks like a command.

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

// GitHubLog is w for a log of GitHub Actions: nothing that is written to it is a command to the runner. The two marks by which
// the runner knows one, :: where a line begins and ##[ anywhere, lose a character to its escape in JSON, so that JSON stays what it is.
func GitHubLog(w io.Writer) io.Writer { return &inert{to: w} }

// inert remembers what the line has had so far, since a mark may come in two pieces.
type inert struct {
	to     io.Writer
	begun  bool // something that can be seen, and is no colon
	colons int
	hashes int // in a row
}

// Write takes every character for invisible that is not ASCII, since the runner compares as a culture does, and passes over some.
func (n *inert) Write(text []byte) (int, error) {
	safe := make([]byte, 0, len(text))
	for _, c := range text {
		switch {
		case c == '\n' || c == '\r':
			*n = inert{to: n.to}
		case c == ':' && !n.begun:
			if n.colons++; n.colons == 2 {
				n.begun, n.hashes = true, 0
				safe = append(safe, `\u003a`...)
				continue
			}
		case c == '[' && n.hashes >= 2:
			n.begun, n.hashes = true, 0
			safe = append(safe, `\u005b`...)
			continue
		case '!' <= c && c <= '~':
			n.begun = true
		}
		switch {
		case c == '#':
			n.hashes++
		case ' ' <= c && c <= '~':
			n.hashes = 0
		}
		safe = append(safe, c)
	}
	if _, err := n.to.Write(safe); err != nil {
		return 0, err
	}
	return len(text), nil
}

// GitHubOutput is an output of a step as the file GITHUB_OUTPUT takes it, whatever the value holds. Random gives texts that
// nobody can foresee; the line that ends the value is one.
func GitHubOutput(name, value string, random func() string) string {
	end := random()
	for strings.Contains(value, end) {
		end = random()
	}
	return fmt.Sprintf("%s<<%s\n%s\n%s\n", name, end, value, end)
}
