// Package report turns the answer of a check into paperwork: for a person, for a pipeline, for a dashboard. It
// is pure; cmd/golive says where the paperwork goes. What is said of a rollout in the same words by the command line and by
// the server's page is in words.go.
//
// Whatever is written here may leave the machine, and is read by programs that obey what they read. So no form
// holds a phone number or an e-mail address unless the plan says that it may, whatever a finding says cannot
// break the form that it is written in, and an answer in which nothing was found out looks like one.
package report

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/golive-dev/golive/guard"
)

// forms is the table of the forms.
var forms = []struct {
	name  string
	write func(io.Writer, sheet) error
}{
	{"json", writeJSON},
	{"ndjson", writeNDJSON},
	{"junit", writeJUnit},
	{"sarif", writeSARIF},
	{"markdown", writeMarkdown},
	{"github", writeGitHub},
	{"prometheus", writePrometheus},
	{"short", writeShort},
}

// Forms names the forms that Write knows.
func Forms() []string {
	var names []string
	for _, f := range forms {
		names = append(names, f.name)
	}
	return names
}

// Write writes the whole of an assessment in one of the Forms.
func Write(w io.Writer, form string, a Assessment) error {
	for _, f := range forms {
		if f.name == form {
			return f.write(w, a.sheet())
		}
	}
	return fmt.Errorf("%q is not a form; there are %s", form, strings.Join(Forms(), ", "))
}

// An Assessment is what golive check answers about a release.
type Assessment struct {
	Version    string      // of golive
	Plan       *guard.Plan // nil if it could not be read
	Release    guard.Release
	Mode       guard.Mode
	Verdict    guard.Verdict
	Findings   []guard.Finding
	Skipped    []string          // IDs of checks that were not asked
	Off        []string          // IDs of checks that mean nothing to the plan
	BreakGlass *guard.BreakGlass // opens the gate for this launch; nil: it does not
	Checks     []guard.Check     // those that were asked or skipped; their docs explain the findings
	Fence      guard.Fence       // of the backend; "": nobody was asked
	ExitCode   int
	Within     string // directory of the repository that holds the plan's file; "": files are named from where golive runs

	mistakes *guard.PlanError
}

// Mistaken is the assessment of a plan that could not be read: each mistake is a finding at its place.
func Mistaken(e *guard.PlanError) Assessment {
	a := Assessment{Verdict: guard.Fail, mistakes: e}
	for _, m := range e.Mistakes {
		reason := m.Text
		if m.Path != "" {
			reason = m.Path + ": " + m.Text
		}
		a.Findings = append(a.Findings, guard.Finding{
			Code:    "GL001",
			ID:      "plan.valid",
			Subject: m.Path,
			Verdict: guard.Fail,
			Title:   "the plan in " + e.File + " is valid",
			Reason:  reason,
			Path:    m.Path,
		})
	}
	return a
}

// Summary says what the findings come to: "no-go: 1 failed, 8 passed, 1 waived".
func (a Assessment) Summary() string { return a.sheet().summary() }

// within is the name of a file as seen from the top of the repository.
func within(dir, file string) string {
	if dir == "" || file == "" || path.IsAbs(file) {
		return file
	}
	return path.Join(dir, file)
}

// file is the name of the plan's file.
func (a Assessment) file() string {
	switch {
	case a.mistakes != nil:
		return a.mistakes.File
	case a.Plan != nil:
		return a.Plan.File()
	}
	return ""
}

// position is the place in the plan that the i-th finding is about.
func (a Assessment) position(i int) guard.Position {
	switch {
	case a.mistakes != nil && i < len(a.mistakes.Mistakes):
		return a.mistakes.Mistakes[i].Position
	case a.Plan != nil:
		return a.Plan.Position(a.Findings[i].Path)
	}
	return guard.Position{}
}

// A sheet is an assessment that can be written down.
type sheet struct {
	Assessment
	file    string
	entries []entry
}

// An entry is a finding that can be written down, with the place that it is about. It is waived only where that
// makes a difference.
type entry struct {
	guard.Finding
	at guard.Position // zero: nobody knows
}

// sheet makes an assessment fit to be written down. One without findings gets one that says so, for there are
// readers to whom an empty list is good news.
func (a Assessment) sheet() sheet {
	s := sheet{Assessment: a, file: within(a.Within, clean(a.file()))}
	discreet := a.discretion()
	for i, f := range a.Findings {
		e := entry{Finding: discreet.finding(f), at: a.position(i)}
		if e.Counts() == e.Verdict {
			e.Waived = nil
		}
		s.entries = append(s.entries, e)
	}
	if len(s.entries) == 0 {
		s.Verdict = guard.Unknown
		s.entries = []entry{{Finding: guard.Finding{
			Title:  "the release was checked",
			Reason: "nothing was checked",
			Remedy: "say which checks to ask: golive checks lists them",
		}}}
	}
	if b := a.BreakGlass; b != nil {
		s.BreakGlass = &guard.BreakGlass{Reason: discreet.text(b.Reason), By: discreet.text(b.By), ApprovedBy: discreet.text(b.ApprovedBy)}
	}
	s.Skipped = nil
	for _, id := range a.Skipped {
		s.Skipped = append(s.Skipped, discreet.text(id))
	}
	r := a.Release
	s.Release = guard.Release{ID: clean(r.ID), Service: clean(r.Service), Environment: clean(r.Environment), From: clean(r.From), To: clean(r.To)}
	s.Verdict = known(s.Verdict)
	return s
}

// known is a verdict, or Unknown for what is none.
func known(v guard.Verdict) guard.Verdict {
	if !slices.Contains(gravest, v) {
		return guard.Unknown
	}
	return v
}

// clean takes from a text what is no text, what would move a cursor, and what would turn the reading order.
func clean(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(text, "\ufffd"))
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			return '\ufffd'
		}
		return r
	}, text)
}

// gravest are the verdicts, the one that keeps the gate shut most firmly first.
var gravest = []guard.Verdict{guard.Fail, guard.Unknown, guard.Waiting, guard.Warn, guard.Pass}

// gravestFirst are the entries in the order in which somebody has to look at them; waived ones come last.
func (s sheet) gravestFirst() []entry {
	rank := func(e entry) int {
		if e.Waived != nil {
			return len(gravest)
		}
		return slices.Index(gravest, e.Verdict)
	}
	return slices.SortedStableFunc(slices.Values(s.entries), func(a, b entry) int { return rank(a) - rank(b) })
}

// open says that the finding keeps nothing shut and nobody busy.
func (e entry) open() bool { return e.Verdict == guard.Pass || e.Waived != nil }

// level is how loud a finding is, in the words that SARIF and GitHub share. What could not be found out is as
// loud as a failure, for it stops the release as well.
func (e entry) level() string {
	switch {
	case e.open():
		return "note"
	case e.Verdict == guard.Warn:
		return "warning"
	}
	return "error"
}

// name is the code and the ID of the check, as far as there are any.
func (e entry) name() string { return nameOf(e.Code, e.ID) }

func nameOf(code, id string) string { return cmp.Or(strings.TrimSpace(code+" "+id), "golive") }

// category is the first part of the ID.
func category(id string) string {
	first, _, _ := strings.Cut(id, ".")
	return first
}

// Expectation says what was expected and what was found, as far as that is known.
func Expectation(f guard.Finding) string {
	var parts []string
	if f.Expected != "" {
		parts = append(parts, "expected: "+f.Expected)
	}
	if f.Observed != "" {
		parts = append(parts, "observed: "+f.Observed)
	}
	return strings.Join(parts, "; ")
}

// details are the lines below the title.
func (e entry) details() []string {
	lines := []string{e.Reason, Expectation(e.Finding)}
	if e.Remedy != "" {
		lines = append(lines, "to mend it: "+e.Remedy)
	}
	if e.Waived != nil {
		lines = append(lines, e.Waived.String())
	}
	return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
}

// shorten bounds a text to so many characters.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// A printer remembers the first error, so that a form is not full of them.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
