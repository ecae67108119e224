package checks

import (
	"context"

	"github.com/golive-dev/golive/guard"
)

var planReviewed = guard.Check{
	Code:     "GL004",
	ID:       "plan.reviewed",
	Title:    "the plan is known to be right",
	Path:     "reviewed",
	Standard: guard.Advisory,
	S:        []int{160},
	Doc: `
It asks when people last went through the whole plan, line by line: at most 183 days ago. A plan that does not say
fails too; in the standard tier both are a warning.

golive sees that a plan is whole, and not that it is true. Only people know that the service has a new database
since spring, that the limit on errors was a guess, and that the probe asks a page which no customer sees.

To mend it, go through it together, and write down the day, at the top of the plan:

    reviewed: 2026-11-24

It answers S160.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		return []guard.Finding{fresh(s, "reviewed", s.Plan.Reviewed, 183, 183)}, nil
	},
}
