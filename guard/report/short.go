package report

import (
	"fmt"
	"io"
	"strings"
)

// writeShort writes one line for each finding that is not a pass, beginning with its place as compilers do, and
// what all come to.
func writeShort(w io.Writer, s sheet) error {
	p := &printer{w: w}
	if s.BreakGlass != nil {
		p.printf("%s\n", oneLine(s.BreakGlass.String()))
	}
	for _, e := range s.gravestFirst() {
		if e.open() {
			continue
		}
		parts := append([]string{e.Title}, e.details()...)
		text := fmt.Sprintf("%s %s: %s", e.Verdict, e.name(), strings.Join(parts, "; "))
		p.printf("%s%s\n", s.prefix(e), oneLine(text))
	}
	p.printf("%s\n", s.summary())
	return p.err
}

// prefix is the place of an entry as the beginning of a line.
func (s sheet) prefix(e entry) string {
	if s.file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d: ", oneLine(s.file), max(1, e.at.Line), max(1, e.at.Column))
}

// oneLine is a text without breaks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
