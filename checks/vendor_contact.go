package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var vendorContact = guard.Check{
	Code:  "GL308",
	ID:    "vendor.contact",
	Title: "every vendor can be reached by phone",
	Path:  "roster.vendors",
	S:     []int{44, 46},
	Doc: `
It asks for each vendor of the roster whether there is a telephone number to call, with its country code, and
whether it can be a real one: placeholders (TODO, TBD, xxx, changeme, American numbers with 555-01) are refused. A
mailbox, a chat or a web form alone is not enough; if there is one besides, it has to be right too.

When the payment provider is down, the fault is not ours but the outage is. What helps then is a person who
answers, and a ticket system does not. The number stands in a contract that is locked up in an office, unless
somebody wrote it into the plan while it was quiet.

To mend it, write down the number that the vendor answers at night, and call it once:

    roster:
      vendors:
        - {name: PayCo, reach: [{phone: "+44 808 157 0123"}, {email: noc@payco.test}]}

A service that depends on nobody else says so with "vendors: []".

It answers S44 and S46.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		if len(s.Plan.Roster.Vendors) == 0 {
			return []guard.Finding{noVendors(s.Plan)}, nil
		}
		var findings []guard.Finding
		for i, v := range s.Plan.Roster.Vendors {
			kinds, wrong := ways(v.Reach)
			name := brief(v.Name)
			f := guard.Finding{
				Subject:  name,
				Verdict:  guard.Pass,
				Title:    name + " can be reached by phone",
				Expected: "a phone number",
				Observed: strings.Join(kinds, ", "),
				Path:     fmt.Sprintf("roster.vendors[%d]", i),
			}
			if len(kinds) == 0 {
				f.Observed = "no way to reach anybody"
			}
			if called := slices.Contains(kinds, "phone"); !called || len(wrong) > 0 {
				f.Verdict = guard.Fail
				f.Reason = "the roster has no phone number of " + name
				if len(wrong) > 0 {
					f.Reason = brief(strings.Join(wrong, ", "))
				}
				f.Remedy = "write {phone: NUMBER} into reach of " + place(s.Plan, f.Path)
				if called {
					f.Remedy = "write the right address into reach of " + place(s.Plan, f.Path)
				}
			}
			if placeholder(v.Name) {
				f.Verdict = guard.Fail
				f.Reason = strings.TrimSuffix("the vendor has no name, "+brief(strings.Join(wrong, ", ")), ", ")
				f.Remedy = "write its name and {phone: NUMBER} in " + place(s.Plan, f.Path) + ", or write vendors: [] if there are none"
			}
			findings = append(findings, f)
		}
		return findings, nil
	},
}

// noVendors tells a plan that says that there are no vendors from one that says nothing. A plan with the clause
// third_party has said that there are some.
func noVendors(p *guard.Plan) guard.Finding {
	f := guard.Finding{
		Verdict:  guard.Pass,
		Expected: "everybody else on whom the service depends, under roster.vendors",
		Observed: "the plan says that there is nobody",
		Path:     "roster.vendors",
	}
	switch {
	case slices.Contains(p.Clauses, guard.ThirdParty):
		f.Verdict, f.Observed = guard.Fail, "nobody under roster.vendors"
		f.Reason = "not configured: the plan has the clause third_party, and names no vendor"
		f.Remedy = "list the vendors in " + place(p, "roster.vendors") + ", or take third_party out of clauses"
	case p.Roster.Vendors == nil:
		f.Verdict, f.Observed = guard.Warn, "nothing under roster.vendors"
		f.Reason = "the plan does not say on whom else the service depends"
		f.Remedy = "list the vendors in " + place(p, "roster.vendors") + ", or write vendors: [] if there are none"
	}
	return f
}
