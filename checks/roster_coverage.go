package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var rosterCoverage = guard.Check{
	Code:  "GL305",
	ID:    "roster.coverage",
	Title: "somebody is on duty at every moment of the launch",
	Path:  "roster.shifts",
	S:     []int{42},
	Doc: `
It asks whether somebody whose role is on_duty has a shift at every moment from now until the launch is over, with
all its steps as long as they may be and the bake after them; in a critical service a commander needs to have one
too. A gap is printed as the clocks of everybody who is concerned show it. Shifts are a list in the plan, weekly
(when) or once (from, to), or an iCalendar file, as every rota tool exports one, whose events name people of the
roster or invite them by e-mail. Without shifts the check fails.

Rotas are made by the week and have holes by the hour: at a holiday, between two countries, and twice a year in the
night in which clocks change, when one shift ends at two and the next begins an hour later. The alarm of that hour
rings on no telephone.

To mend it, find somebody for the gap, or wait until it is over:

    roster:
      people:
        - {name: Mei Lin, role: on_duty, reach: [{phone: "+44 20 7946 0004"}, {email: mei@shop.test}]}
      shifts:
        - {name: Mei Lin, when: "Mon-Fri 08:00-20:00 Asia/Shanghai"}
        - {name: Mei Lin, from: 2026-11-28T09:00:00+08:00, to: 2026-11-28T17:00:00+08:00}

It answers S42.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		_, whole := launch(s)
		r, err := duty(ctx, s, whole)
		findings := []guard.Finding{covered(s, r, err, "on_duty")}
		if s.Plan.Tier != guard.Standard {
			findings = append(findings, covered(s, r, err, "commander"))
		}
		return findings, nil
	},
}

// covered says whether somebody with a role has a shift at every moment of the launch.
func covered(s guard.Scene, r rota, err error, role string) guard.Finding {
	const shown = 3 // gaps are printed
	_, whole := launch(s)
	holders := holding(s.Plan, role)
	zones := zonesOf(holders)
	f := guard.Finding{
		Subject:  role,
		Title:    "somebody is there as " + role + " at every moment of the launch",
		Expected: "shifts from " + clocks(whole, zones[len(zones)-1:]),
		Evidence: r.evidence,
	}
	switch {
	case errors.Is(err, noShifts):
		f.Verdict, f.Observed = guard.Fail, "no shifts"
		f.Reason, f.Remedy = err.Error(), shiftsRemedy(s.Plan)
		return f
	case err != nil:
		return unknown(f, err, "mend "+place(s.Plan, "roster.shifts"))
	}
	gaps := whole.Without(r.of(names(holders)...))
	if len(gaps) == 0 {
		f.Verdict, f.Observed = guard.Pass, "no gap, by "+r.said
		return f
	}
	var printed []string
	for _, gap := range gaps[:min(len(gaps), shown)] {
		printed = append(printed, clocks(gap, zones))
	}
	f.Verdict = guard.Fail
	f.Observed = fmt.Sprintf("%s, by %s: %s", count(len(gaps), "gap"), r.said, strings.Join(printed, "; "))
	f.Reason = fmt.Sprintf("nobody is there as %s for %s, from %s", role, span(gaps[0].To.Sub(gaps[0].From)), printed[0])
	f.Remedy = "find somebody for the gap in " + place(s.Plan, "roster.shifts") + ", or wait until it is over"
	if len(holders) == 0 {
		f.Reason = "the roster names nobody as " + role
	}
	for i, d := range s.Plan.Roster.Shifts.List {
		if placeholder(d.Name) {
			f.Path = fmt.Sprintf("roster.shifts.list[%d].name", i)
			f.Remedy = fmt.Sprintf("write who of the roster is there as %s in %s", role, place(s.Plan, f.Path))
			break
		}
	}
	return f
}
