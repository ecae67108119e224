package checks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var rosterTimezones = guard.Check{
	Code:     "GL311",
	ID:       "roster.timezones",
	Title:    "somebody in each time zone is awake for the launch",
	Path:     "roster.people",
	Standard: guard.Off,
	Critical: guard.Off,
	Clauses:  []guard.Clause{guard.CrossBorder},
	S:        []int{151, 154},
	Doc: `
It asks for the time zone of everybody in the roster, and for each of these zones whether somebody there is awake from
now until the launch is over: because it is between seven in the morning and eleven at night there all the time,
because they have a shift, or because the plan says that they may be called at night (on_call: true). It is asked of
plans with the clause cross_border.

"Tomorrow at nine" is three different moments in a company with three offices, and the colleague who knows the
Asian payment methods is asleep at two of them.

To mend it, write down where everybody lives, and who may be called at night, or launch at another hour:

    roster:
      people:
        - {name: Wang Fang, role: commander, tz: Asia/Shanghai, on_call: true, reach: [{phone: "+44 20 7946 0005"}]}
        - {name: Ada Obi, role: deputy, tz: Europe/London, reach: [{phone: "+44 20 7946 0001"}]}

It answers S151 and S154.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		_, whole := launch(s)
		r, err := duty(ctx, s, whole)
		if err != nil && !errors.Is(err, noShifts) {
			f := guard.Finding{Path: "roster.shifts", Expected: "who is on duty when"}
			return []guard.Finding{unknown(f, err, "mend "+place(s.Plan, "roster.shifts"))}, nil
		}
		var findings []guard.Finding
		regions := map[string][]guard.Person{}
		var nowhere []string
		for _, p := range s.Plan.Roster.People {
			if p.TZ == "" {
				nowhere = append(nowhere, p.Name)
				continue
			}
			regions[p.TZ] = append(regions[p.TZ], p)
		}
		if len(nowhere) > 0 || len(regions) == 0 {
			findings = append(findings, guard.Finding{
				Verdict:  guard.Fail,
				Title:    "everybody in the roster is in a time zone",
				Reason:   "not configured: the plan does not say where they live",
				Remedy:   "write tz: ZONE, such as Asia/Shanghai, for each of " + place(s.Plan, "roster.people"),
				Expected: "the time zone of everybody",
				Observed: "none of " + brief(cmp.Or(strings.Join(nowhere, ", "), "anybody")),
			})
		}
		for _, p := range s.Plan.Roster.People {
			if people := regions[p.TZ]; people != nil {
				delete(regions, p.TZ)
				findings = append(findings, awake(s, p.TZ, people, r, whole))
			}
		}
		return findings, nil
	},
}

// awake says whether somebody in a time zone can be called for the whole launch.
func awake(s guard.Scene, tz string, people []guard.Person, r rota, whole guard.Period) guard.Finding {
	f := guard.Finding{
		Subject:  brief(tz),
		Title:    "somebody in " + brief(tz) + " is awake for the launch",
		Expected: "between 07:00 and 23:00 there, on duty, or on call",
		Evidence: r.evidence,
	}
	in, err := zone(tz)
	if err != nil {
		return unknown(f, err, zoneRemedy+place(s.Plan, "roster.people"))
	}
	day := guard.Window{Days: [7]bool{true, true, true, true, true, true, true}, From: 7 * 60, To: 23 * 60, Zone: tz}
	f.Verdict, f.Observed = guard.Pass, clocks(whole, zonesOf(people)[:1])
	onCall := slices.ContainsFunc(people, func(p guard.Person) bool { return p.OnCall })
	switch {
	case len(whole.Without(day.Periods(in, whole))) == 0:
	case onCall:
		f.Observed += "; somebody is on call"
	case len(whole.Without(r.of(names(people)...))) == 0:
		f.Observed += "; somebody is on duty"
	default:
		f.Verdict = guard.Fail
		f.Reason = fmt.Sprintf("it is night there, nobody of %s is on duty all the time, and nobody may be called", brief(strings.Join(names(people), ", ")))
		f.Remedy = "write on_call: true for somebody there in " + place(s.Plan, "roster.people") + ", or launch at another hour"
	}
	return f
}
