package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var planValid = guard.Check{
	Code:       "GL001",
	ID:         "plan.valid",
	Title:      "the plan is valid",
	Unwaivable: true,
	S:          []int{165},
	Doc: `
It asks whether the plan could be read to the end, and says which plan it was: its digest, and what it holds.

A misspelt key that is passed over in silence is a guard that is not there, and nobody notices until the
night on which it is needed. So golive refuses every key that it does not know, every value that has no
meaning, and every name that is used twice, each with line, column and the likely correction. What this line
prints is for the reader: a digest that differs from yesterday's says that somebody changed the plan, and a
count that surprises says that this is not the file that you think it is. The digest does not depend on
comments, on the order of keys, or on defaults that are written out.

To mend it, go through the mistakes that golive prints, from the top. The command "golive schema" prints a
JSON Schema with which editors complete and check a plan while it is written.

It cannot be waived: who cannot read the plan cannot know what the waiver is about.

It answers S165; every other demand rests on it.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		p := s.Plan
		f := guard.Finding{Title: "the plan is valid", Expected: "a service, steps and signals, and no mistakes"}
		if p.File() != "" {
			f.Title = "the plan in " + p.File() + " is valid"
		}
		if p.Service == "" || len(p.Rollout.Steps) == 0 || len(p.Watch.Signals) == 0 {
			return []guard.Finding{unknown(f, errors.New("the plan lacks what every plan that was read has"),
				"write a first plan: golive init")}, nil
		}
		f.Verdict = guard.Pass
		f.Observed = fmt.Sprintf("%s in %s, mode %s: %s", p.Service, p.Environment, p.Mode, strings.Join([]string{
			count(len(p.Rollout.Steps), "step"),
			count(len(p.Watch.Signals), "signal"),
			count(len(p.Data), "data store"),
			count(len(p.Roster.People), "role"),
			count(len(p.Roster.Vendors), "vendor"),
			"digest " + p.Digest()[:12],
		}, ", "))
		f.Evidence = []guard.Evidence{{Asked: "the plan", Answer: f.Observed, Digest: p.Digest()}}
		return []guard.Finding{f}, nil
	},
}
