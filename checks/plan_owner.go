package checks

import (
	"context"

	"github.com/golive-dev/golive/guard"
)

var planOwner = guard.Check{
	Code:     "GL009",
	ID:       "plan.owner",
	Title:    "the plan is owned by somebody",
	Path:     "owner",
	Standard: guard.Advisory,
	S:        []int{171},
	Doc: `
It asks whether the plan says who answers for it: a person or a team, and no placeholder. In the standard tier it is
a warning if it does not.

Whoever finds a mistake in a plan needs somebody to tell. What belongs to everybody is mended by nobody.

To mend it, write down who that is, at the top of the plan:

    owner: release-engineering

It answers S171.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		f := guard.Finding{
			Verdict:  guard.Pass,
			Expected: "a person or a team",
			Observed: brief(s.Plan.Owner),
		}
		if placeholder(s.Plan.Owner) {
			f.Verdict, f.Observed = guard.Fail, "nobody"
			f.Reason = "not configured: the plan does not say who answers for it"
			f.Remedy = "write the name of a person or a team in " + place(s.Plan, "owner")
		}
		return []guard.Finding{f}, nil
	},
}
