package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// roles are those that every launch needs somebody for, and criticalRoles those that a critical service needs too.
var (
	roles         = []string{"commander", "deputy", "technical_lead", "on_duty", "comms"}
	criticalRoles = []string{"data_recovery", "network", "test", "business", "executive", "scribe", "customer"}
)

// projectOffice keeps together a launch that comes in waves.
const projectOffice = "project_office"

// rolesOf are the roles that a plan has to fill.
func rolesOf(p *guard.Plan) []string {
	needed := slices.Clone(roles)
	if p.Tier != guard.Standard {
		needed = append(needed, criticalRoles...)
	}
	if slices.Contains(p.Clauses, guard.LargeUpgrade) {
		needed = append(needed, projectOffice)
	}
	return needed
}

var rosterRoles = guard.Check{
	Code:  "GL301",
	ID:    "roster.roles",
	Title: "every role of the launch is filled",
	Path:  "roster.people",
	S:     []int{18, 38, 40, 41, 54, 146},
	Doc: `
It asks whether the roster names somebody for each of the five roles that a launch needs. The commander decides,
the deputy decides when the commander cannot be reached, the technical_lead knows how the service works, whoever
is on_duty sees the alarm first, and comms tells customers and management. A critical service needs seven more:
data_recovery brings data back, network and test know theirs, business says whether what works again is what is
needed, executive answers for it, scribe writes down what is done, and customer speaks for those who use it. A plan
with the clause large_upgrade needs a project_office too. A name that is a placeholder (TODO, TBD, xxx, changeme)
counts as missing. One person may hold several roles and is then listed with each.

Nobody agrees at three in the morning on who decides. Ten minutes of asking around are ten minutes of outage, and
a page that reaches nobody is worse than none, for everybody else believes that somebody is at it.

To mend it, add whoever is missing, and ask them first:

    roster:
      people:
        - {name: Ada Obi, role: deputy, tz: Europe/London, reach: [{phone: "+44 20 7946 0001"}, {email: ada@shop.test}]}

It answers S18, S38, S40, S41, S54 and S146.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		var missing, held []string
		needed := rolesOf(s.Plan)
		for _, role := range needed {
			if holders := names(holding(s.Plan, role)); len(holders) > 0 {
				held = append(held, role+" "+strings.Join(holders, " and "))
			} else {
				missing = append(missing, role)
			}
		}
		f := guard.Finding{
			Verdict:  guard.Pass,
			Expected: strings.Join(needed, ", "),
			Observed: brief(strings.Join(held, ", ")),
		}
		if len(held) == 0 {
			f.Observed = "nobody"
		}
		if len(missing) > 0 {
			f.Verdict = guard.Fail
			f.Reason = "the roster names nobody as " + strings.Join(missing, ", ")
			f.Remedy = fmt.Sprintf("add {name: NAME, role: %s, reach: [{phone: NUMBER}, {email: ADDRESS}]} to %s", missing[0], place(s.Plan, "roster.people"))
			if path := unnamed(s.Plan, missing[0]); path != "" {
				f.Path = path
				f.Remedy = fmt.Sprintf("write who is %s in %s", missing[0], place(s.Plan, path))
			}
			if len(missing) > 1 {
				f.Remedy += ", and the same for the other roles"
			}
		}
		return []guard.Finding{f}, nil
	},
}
