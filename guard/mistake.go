package guard

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A PlanError is everything that is wrong with a plan, in the order of the file.
type PlanError struct {
	File     string    `json:"file"`
	Mistakes []Mistake `json:"mistakes"`
}

// A Mistake is one thing that is wrong with a plan.
type Mistake struct {
	Position
	Path string `json:"path,omitempty"` // of the key: "rollout.steps[1].percent"; empty: the whole file
	Text string `json:"text"`           // what is wrong and, in brackets, how to mend it
}

// Error has one line for each mistake: file:line:column: path: text.
func (e *PlanError) Error() string {
	var lines []string
	for _, m := range e.Mistakes {
		line := fmt.Sprintf("%s:%d:%d: ", e.File, m.Line, m.Column)
		if m.Path != "" {
			line += m.Path + ": "
		}
		lines = append(lines, line+m.Text)
	}
	return strings.Join(lines, "\n")
}

// A Position is a place in a plan file; lines and columns count from 1.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func (p Position) compare(q Position) int {
	if p.Line != q.Line {
		return p.Line - q.Line
	}
	return p.Column - q.Column
}

// A draft is a plan that is being read. Reading goes on after a mistake, so that all are found at once.
type draft struct {
	plan     *Plan
	mistakes []Mistake
	wrong    map[string]bool // paths that have a mistake of their own
	marred   map[string]bool // paths that hold a mistake further in
}

// report notes a mistake at the place of a path.
func (d *draft) report(path, format string, args ...any) {
	d.reportAt(d.plan.Position(path), path, format, args...)
}

func (d *draft) reportAt(p Position, path, format string, args ...any) {
	d.wrong[path] = true
	d.mistakes = append(d.mistakes, Mistake{p, path, strings.Map(visible, fmt.Sprintf(format, args...))})
}

// visible keeps the text of a mistake on its line, and a terminal as it is, whatever the plan holds.
func visible(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// reject reports that a value could not be taken over, so that no rule is applied to it or to what holds it.
func (d *draft) reject(path, format string, args ...any) {
	d.rejectAt(d.plan.Position(path), path, format, args...)
}

func (d *draft) rejectAt(p Position, path, format string, args ...any) {
	d.reportAt(p, path, format, args...)
	for path != "" {
		path = parent(path)
		d.marred[path] = true
	}
}

// intact says that the value of a path is as written, so that a rule about it can be trusted.
func (d *draft) intact(path string) bool {
	bad := d.marred[path] || d.wrong[path]
	for path != "" {
		path = parent(path)
		bad = bad || d.wrong[path]
	}
	return !bad
}

// parent is the path of what holds a path.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// child is the path of a key.
func child(path, key string) string {
	if !plainKey.MatchString(key) {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	return strings.TrimPrefix(path+"."+key, ".")
}

var plainKey = regexp.MustCompile(`^[\w-]+$`)
