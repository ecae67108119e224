package checks

import (
	"context"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

var vendorSLA = guard.Check{
	Code:     "GL310",
	ID:       "vendor.sla",
	Title:    "every vendor is there in time",
	Path:     "roster.vendors",
	Standard: guard.Off,
	Critical: guard.Off,
	Clauses:  []guard.Clause{guard.ThirdParty},
	S:        []int{158, 159},
	Doc: `
It asks for each vendor of the roster whether it has promised to respond within the time in which the service has to
be back (objectives.rto), and within an hour in any case, and whether its hours cover the launch, with all its steps
as long as they may be and the bake after them. It is asked of plans with the clause third_party.

A vendor who promises to respond within four hours has promised that an outage of theirs is one of four hours of
yours. And a promise for office hours is none at three in the morning.

To mend it, get the promise, write it down, or launch when the vendor is there:

    roster:
      vendors:
        - name: PayCo
          reach: [{phone: "+44 808 157 0123"}]
          sla: {respond: 15m, hours: "Mon-Fri 08:00-20:00 Europe/London"}

It answers S158 and S159.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		if len(s.Plan.Roster.Vendors) == 0 {
			return []guard.Finding{noVendors(s.Plan)}, nil
		}
		var findings []guard.Finding
		for i, v := range s.Plan.Roster.Vendors {
			findings = append(findings, promised(s, v, fmt.Sprintf("roster.vendors[%d]", i)))
		}
		return findings, nil
	},
}

// promised says whether a vendor has promised enough.
func promised(s guard.Scene, v guard.Vendor, path string) guard.Finding {
	limit := time.Hour
	if rto := s.Plan.Objectives.RTO.Std(); rto > 0 {
		limit = min(limit, rto)
	}
	_, whole := launch(s)
	name := brief(v.Name)
	where := place(s.Plan, path)
	f := guard.Finding{
		Subject:  name,
		Path:     path,
		Title:    name + " is there in time",
		Expected: "a response within " + span(limit) + ", from " + clocks(whole, zonesOf(nil)),
		Observed: fmt.Sprintf("within %s, %s", v.SLA.Respond, v.SLA.Hours),
		Remedy:   "agree with " + name + " on more, and write it in " + where,
	}
	if v.SLA.Respond == 0 || v.SLA.Hours == (guard.Window{}) {
		f.Verdict, f.Observed = guard.Fail, "no time, or no hours"
		f.Reason = "not configured: the plan does not say how soon " + name + " responds, and at which hours"
		f.Remedy = "write sla: {respond: TIME, hours: 24x7} in " + where
		return f
	}
	in, err := zone(v.SLA.Hours.Zone)
	if err != nil {
		return unknown(f, err, zoneRemedy+where)
	}
	gaps := whole.Without(v.SLA.Hours.Periods(in, whole))
	switch {
	case v.SLA.Respond.Std() > limit:
		f.Verdict = guard.Fail
		f.Reason = fmt.Sprintf("it may take %s longer to respond than the service may be away", span(v.SLA.Respond.Std()-limit))
	case len(gaps) > 0:
		f.Verdict = guard.Fail
		f.Reason = "nobody answers there from " + clocks(gaps[0], []*time.Location{in, time.UTC})
		f.Remedy = "launch when " + name + " is there, or agree on longer hours and write them in " + where
	default:
		f.Verdict, f.Remedy = guard.Pass, ""
	}
	return f
}
