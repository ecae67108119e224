package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var vendorContact = guard.Check{
	Code: "GL308",
	ID:   "vendor.contact",
	Doc: `
It asks for each vendor of the roster whether there is a telephone number to call, and whether it is a real
one: placeholders (TODO, TBD, xxx, changeme) are refused. A mailbox, a chat or a web form alone is not enough.

When the payment provider is down, the fault is not ours but the outage is. What helps then is a person who
answers, and a ticket system does not. The number stands in a contract that is locked up in an office, unless
somebody wrote it into the plan while it was quiet.

To mend it, write down the number that the vendor answers at night, and call it once:

    roster:
      vendors:
        - {name: PayCo, reach: [{phone: "+1 555 0100"}, {email: noc@payco.test}]}

A service that depends on nobody else says so with "vendors: []".

It answers S44 and S46.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		if len(s.Plan.Roster.Vendors) == 0 {
			return []guard.Finding{noVendors(s.Plan)}, nil
		}
		var findings []guard.Finding
		for i, v := range s.Plan.Roster.Vendors {
			reach := ways(v.Reach)
			f := guard.Finding{
				Subject:  v.Name,
				Verdict:  guard.Pass,
				Title:    v.Name + " can be reached by phone",
				Expected: "a phone number",
				Observed: strings.Join(reach, ", "),
				Path:     fmt.Sprintf("roster.vendors[%d]", i),
			}
			if len(reach) == 0 {
				f.Observed = "no way to reach anybody"
			}
			if !slices.Contains(reach, "phone") {
				f.Verdict = guard.Fail
				f.Reason = "the roster has no phone number of " + v.Name + ", or only a placeholder"
				f.Remedy = fmt.Sprintf("write {phone: NUMBER} into reach of %s", place(s.Plan, f.Path))
			}
			findings = append(findings, f)
		}
		return findings, nil
	},
}

// noVendors tells a plan that says that there are no vendors from one that says nothing.
func noVendors(p *guard.Plan) guard.Finding {
	f := guard.Finding{
		Verdict:  guard.Pass,
		Title:    "every vendor can be reached by phone",
		Expected: "everybody else on whom the service depends, under roster.vendors",
		Observed: "the plan says that there is nobody",
		Path:     "roster.vendors",
	}
	if p.Roster.Vendors == nil {
		f.Verdict, f.Observed = guard.Warn, "nothing under roster.vendors"
		f.Reason = "the plan does not say on whom else the service depends"
		f.Remedy = "list the vendors in " + place(p, "roster.vendors") + ", or write vendors: [] if there are none"
	}
	return f
}
