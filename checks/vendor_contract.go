package checks

import (
	"context"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

var vendorContract = guard.Check{
	Code:     "GL309",
	ID:       "vendor.contract",
	Title:    "every contract with a vendor is good until after the launch",
	Path:     "roster.vendors",
	Standard: guard.Off,
	Critical: guard.Off,
	Clauses:  []guard.Clause{guard.ThirdParty},
	S:        []int{159},
	Doc: `
It asks for each vendor of the roster for the number of the contract, and whether the contract is still good when the
launch is over, with all its steps as long as they may be and the bake after them. The last day of a contract is
still good until its end, in UTC. It is asked of plans with the clause third_party.

The first question of a vendor's night shift is the number of the contract, and the second thing they find is the
day on which it ended.

To mend it, renew the contract, and write it down:

    roster:
      vendors:
        - {name: PayCo, reach: [{phone: "+44 808 157 0123"}], contract: {id: C-118, until: 2027-12-31}}

It answers S159.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		if len(s.Plan.Roster.Vendors) == 0 {
			return []guard.Finding{noVendors(s.Plan)}, nil
		}
		_, whole := launch(s)
		var findings []guard.Finding
		for i, v := range s.Plan.Roster.Vendors {
			name, path := brief(v.Name), fmt.Sprintf("roster.vendors[%d]", i)
			end := v.Contract.Until.AddDate(0, 0, 1)
			f := guard.Finding{
				Subject:  name,
				Verdict:  guard.Pass,
				Title:    "the contract with " + name + " is good until after the launch",
				Expected: "a contract until " + whole.To.UTC().Format(time.DateOnly) + " at least",
				Observed: brief(v.Contract.ID) + " until " + v.Contract.Until.String(),
				Remedy:   "renew the contract, and write contract: {id: NUMBER, until: DAY} in " + place(s.Plan, path),
				Path:     path,
			}
			switch {
			case placeholder(v.Contract.ID) || v.Contract.Until.IsZero():
				f.Verdict, f.Observed = guard.Fail, "no number, or no end"
				f.Reason = "not configured: the plan does not say which contract gives the right to call " + name + ", and until when"
			case end.Before(whole.To):
				f.Verdict = guard.Fail
				f.Reason = "it ends before the launch does, which may last until " + whole.To.UTC().Format(moment)
			default:
				f.Remedy = ""
			}
			findings = append(findings, f)
		}
		return findings, nil
	},
}
