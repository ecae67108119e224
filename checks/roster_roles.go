package checks

import (
	"context"
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// roles are those that every launch needs somebody for.
var roles = []string{"commander", "deputy", "technical_lead", "on_duty", "comms"}

var rosterRoles = guard.Check{
	Code: "GL301",
	ID:   "roster.roles",
	Doc: `
It asks whether the roster names somebody for each of the five roles that a launch needs, and a way to reach
everybody in it. The commander decides, the deputy decides when the commander cannot be reached, the
technical_lead knows how the service works, whoever is on_duty sees the alarm first, and comms tells
customers and management. A name or an address that is a placeholder (TODO, TBD, xxx, changeme) counts as
missing. One person may hold several roles and is then listed with each.

Nobody finds a telephone number at three in the morning, and nobody agrees then on who decides. Ten minutes
of asking around are ten minutes of outage, and a page that reaches nobody is worse than none, for everybody
else believes that somebody is at it.

To mend it, add whoever is missing, and ask them first:

    roster:
      people:
        - {name: Ada Obi, role: deputy, tz: Europe/London, reach: [{phone: "+44 20 7946 0001"}]}

It answers S38, S39, S40, S41 and S43.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		holders := map[string][]string{}
		var unreachable []guard.Finding
		for i, p := range s.Plan.Roster.People {
			if placeholder(p.Name) {
				continue
			}
			holders[p.Role] = append(holders[p.Role], p.Name)
			if len(ways(p.Reach)) == 0 {
				path := fmt.Sprintf("roster.people[%d]", i)
				unreachable = append(unreachable, guard.Finding{
					Subject:  p.Name + " as " + p.Role,
					Verdict:  guard.Fail,
					Title:    fmt.Sprintf("%s can be reached as %s", p.Name, p.Role),
					Reason:   "the roster has no way to reach this person, or only placeholders",
					Remedy:   "write reach: [{phone: NUMBER}] with the real number in " + place(s.Plan, path),
					Expected: "at least one way",
					Observed: "none",
					Path:     path,
				})
			}
		}
		return append([]guard.Finding{filled(s.Plan, holders)}, unreachable...), nil
	},
}

// filled says which of the roles are held by whom.
func filled(p *guard.Plan, holders map[string][]string) guard.Finding {
	var missing, held []string
	for _, role := range roles {
		if names := holders[role]; len(names) > 0 {
			held = append(held, role+" "+strings.Join(names, " and "))
		} else {
			missing = append(missing, role)
		}
	}
	f := guard.Finding{
		Verdict:  guard.Pass,
		Title:    "every role of the launch is filled",
		Expected: strings.Join(roles, ", "),
		Observed: strings.Join(held, ", "),
		Path:     "roster.people",
	}
	if len(held) == 0 {
		f.Observed = "nobody"
	}
	if len(missing) > 0 {
		f.Verdict = guard.Fail
		f.Reason = "the roster names nobody as " + strings.Join(missing, ", ")
		f.Remedy = fmt.Sprintf("add {name: NAME, role: %s, reach: [{phone: NUMBER}]} to %s", missing[0], place(p, "roster.people"))
		if len(missing) > 1 {
			f.Remedy += ", and the same for the other roles"
		}
	}
	return f
}
