package checks

import (
	"context"

	"github.com/golive-dev/golive/guard"
)

var rosterFresh = guard.Check{
	Code:  "GL304",
	ID:    "roster.fresh",
	Title: "the roster is known to be right",
	Path:  "roster.verified",
	S:     []int{37, 53},
	Doc: `
It asks when somebody last went through the roster: more than 92 days ago is a warning, more than 183 days ago is
a failure, and so is a plan that does not say. The day itself still counts as good.

People change teams, numbers and hours, and nobody thinks of the emergency plan when they do. A roster that nobody
has looked at since spring is one in which somebody has left.

To mend it, call everybody in it, mend what is wrong, and write down the day:

    roster:
      verified: 2026-11-24

It answers S37 and S53.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		return []guard.Finding{fresh(s, "roster.verified", s.Plan.Roster.Verified, 92, 183)}, nil
	},
}
