package checks

import (
	"context"
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// A lint asks whether the plan is complete.
type lint struct {
	whether string // what has to be in the plan: "whether every role has a deputy"
	write   string // what is to be written: goes on after "To mend it,"
	want    string // the same in a few words, for findings
	// look says what is in the plan, in a few words, and what is missing.
	look func(s guard.Scene) (seen string, gaps []gap)
	// ask is look for what stands around the plan. An error means that it could not find out; again mends that.
	ask   func(ctx context.Context, s guard.Scene) (seen string, gaps []gap, err error)
	again string
}

// A gap is one thing that a plan lacks.
type gap struct {
	path   string // where it belongs
	about  string // what it is about, where there may be several gaps
	why    string // why the plan cannot do without
	remedy string // goes on with the place: "add an owner to"
	soft   bool   // it can do without
	unset  bool   // the plan says nothing about it at all
}

// unset is what a plan lacks that says nothing about it at all.
func unset(path, what, example string) (string, []gap) {
	return "nothing", []gap{{
		path: path, why: notConfigured + "the plan does not say " + what, remedy: "write " + example + " in", unset: true,
	}}
}

// notConfigured begins the reason of whatever a plan leaves open.
const notConfigured = "not configured: "

func (l lint) asks() string            { return l.whether }
func (l lint) mend(guard.Check) string { return l.write }
func (l lint) reads() []string         { return nil }

func (l lint) find(ctx context.Context, s guard.Scene, c guard.Check) (findings []guard.Finding) {
	if l.ask == nil {
		l.ask = func(_ context.Context, s guard.Scene) (string, []gap, error) {
			seen, gaps := l.look(s)
			return seen, gaps, nil
		}
	}
	seen, gaps, err := l.ask(ctx, s)
	if err != nil {
		return []guard.Finding{unknown(guard.Finding{Expected: l.want}, err, l.again)}
	}
	for _, g := range gaps {
		findings = append(findings, g.finding(s, c, l.want, seen))
	}
	if len(findings) == 0 {
		findings = append(findings, guard.Finding{Verdict: guard.Pass, Expected: l.want, Observed: brief(seen)})
	}
	return findings
}

// finding is what a check says about a gap, where something was wanted and this was seen.
func (g gap) finding(s guard.Scene, c guard.Check, want, seen string) guard.Finding {
	f := guard.Finding{
		Subject: brief(g.about), Verdict: guard.Fail, Path: g.path,
		Reason: g.why, Remedy: fmt.Sprintf("%s %s", g.remedy, place(s.Plan, g.path)),
		Expected: want, Observed: brief(seen), Unset: g.unset,
	}
	if g.about != "" {
		f.Title = fmt.Sprintf("%s (%s)", c.Title, brief(g.about))
	}
	if g.soft {
		f.Verdict = guard.Warn
	}
	return f
}

// A key is something that a part of the plan has to say, and how that may be written.
type key struct {
	set     bool
	example string
}

// lacking is how to write the keys that are not set: "name: WHO, goal: WHAT".
func lacking(keys ...key) string {
	var examples []string
	for _, k := range keys {
		if !k.set {
			examples = append(examples, k.example)
		}
	}
	return strings.Join(examples, ", ")
}
