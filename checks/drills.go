package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var drillFresh = row(guard.Check{
	Code: "GL601", ID: "drill.fresh", Title: "an emergency is rehearsed", Path: "drills", Standard: guard.Advisory, S: []int{88, 90, 91, 92, 101},
},
	`A plan that nobody has tried is a wish. The first rehearsal finds the password that is wrong and the person who has
	left; it should not be the emergency that finds them.`,
	record{
		done: "each drill that is due",
		more: "Due are those that the plan lists under drills, and whatever it says: one around a table each month (drill.tabletop), one without a script each half " +
			"year (drill.live), one of the whole system each year (drill.full_system), one against an attacker (drill.security) and one of any kind each quarter. " +
			"How often these are due the plan can say, too. What was rehearsed in another way than that of today's plan does not count",
		do:    "rehearse it as if it were real, take the times",
		about: func(s guard.Scene) (wanted []topic) { wanted, _ = rehearsals(s.Plan); return wanted },
		lacks: func(s guard.Scene) (gaps []gap) { _, gaps = rehearsals(s.Plan); return gaps },
		pick:  latestDrill,
	})

// anyDrill is a drill of any kind.
const anyDrill = "drill.any"

// latestDrill is the result that counts for a drill: the latest that was made in the way of today, if there is one. Of a
// drill around a table the latest of each scenario counts, and one of them that went wrong before all others.
func latestDrill(s guard.Scene, l guard.Ledger, t topic) (newest guard.Entry, found bool) {
	latest := map[string]guard.Entry{} // by scenario
	for _, e := range l.Entries {
		if e.Act != guard.Result || !t.rehearsedBy(e) || !e.For(s.Plan.Service, s.Plan.Environment) {
			continue
		}
		if better(s.Plan, e, newest) {
			newest, found = e, true
		}
		if better(s.Plan, e, latest[e.Subject]) {
			latest[e.Subject] = e
		}
	}
	if t.kind != tabletop {
		return newest, found
	}
	for _, e := range l.Entries { // in their order, so that the answer is the same each time
		wrong := e.Act == guard.Result && e.Kind == tabletop && e.Outcome != guard.Pass && e.OfToday(s.Plan)
		if last := latest[e.Subject]; wrong && last.At.Equal(e.At) && last.Outcome != guard.Pass {
			newest = e
		}
	}
	return newest, found
}

// better says that a result counts more than another: it is of today's way, or at least as new.
func better(p *guard.Plan, e, than guard.Entry) bool {
	if now, before := e.OfToday(p), than.OfToday(p); now != before && !than.At.IsZero() {
		return now
	}
	return !e.At.Before(than.At)
}

// tabletop is a drill around a table; its subject is the scenario.
const tabletop = "drill.tabletop"

// rehearsedBy says whether a result is one of the drill that is meant.
func (t topic) rehearsedBy(e guard.Entry) bool {
	switch {
	case t.kind == anyDrill:
		return strings.HasPrefix(e.Kind, "drill.")
	case t.kind == tabletop && t.subject == "":
		return e.Kind == t.kind
	case t.kind == "drill.scenario":
		return (e.Kind == t.kind || e.Kind == tabletop) && e.Subject == t.subject
	}
	return e.Kind == t.kind && e.Subject == t.subject
}

// rehearsals are the drills that have to be fresh: those that everybody needs, as often as the plan says or else
// as is usual, and those that the plan adds. What the ledger could not hold is a gap.
func rehearsals(p *guard.Plan) (wanted []topic, gaps []gap) {
	wanted = []topic{
		{anyDrill, "", days(92)},
		{tabletop, "", days(31)},
		{"drill.live", "", days(183)},
		{"drill.full_system", "", days(366)},
		{"drill.security", "", days(92)},
	}
	for i, d := range p.Drills {
		t := topic{"drill." + d.Name, d.Data, d.Every}
		add := func(key, why, remedy string) {
			path := fmt.Sprintf("drills[%d].%s", i, key)
			gaps = append(gaps, gap{path: path, about: path, why: why, remedy: remedy})
		}
		switch {
		case !recordable(t.kind):
			add("name", fmt.Sprintf("%q cannot be the name of a drill in the ledger", brief(d.Name)), "write small letters, digits and underscores in")
		case d.Name == "restore" && d.Data == "":
			add("data", "it does not say which store is restored", "write the name of a store in")
		}
		same := func(other topic) bool { return other.kind == t.kind && other.subject == t.subject }
		if at := slices.IndexFunc(wanted, same); at >= 0 {
			wanted[at] = t
		} else {
			wanted = append(wanted, t)
		}
	}
	return wanted, gaps
}

// recordable says whether the ledger takes results of a kind.
func recordable(kind string) bool {
	e := guard.Entry{At: guard.Date{}.AddDate(1, 0, 0), Act: guard.Result, Kind: kind, Outcome: guard.Pass}
	return e.Check() == nil
}

// acted are the scenarios about which something is done.
func acted(p *guard.Plan) (names []string) {
	for _, scenario := range p.Scenarios {
		if scenario.Accept == "" {
			names = append(names, scenario.Name)
		}
	}
	return names
}

var drillRotation = row(guard.Check{
	Code: "GL602", ID: "drill.rotation", Title: "every scenario is rehearsed in turn", Path: "scenarios", Standard: guard.Off, Critical: guard.Advisory,
	S: []int{94},
},
	`People like to rehearse what they are good at. The scenario that nobody has ever played is the one for which the list
	of steps was never finished.`,
	record{
		done:  "a drill of each scenario that the plan does not accept",
		more:  "One around a table counts, and none of another plan for the scenario than today's",
		do:    "rehearse it",
		about: func(s guard.Scene) []topic { return topics("drill.scenario", days(366), acted(s.Plan)...) },
		pick:  latestDrill,
		lacks: func(s guard.Scene) []gap {
			if len(s.Plan.Scenarios) > 0 {
				return nil
			}
			_, gaps := unset("scenarios", "what can go wrong", "[{name: bad_release, trigger: WHAT, owner: ROLE, action: WHAT, within: TIME}]")
			return gaps
		},
		none: "the plan accepts every scenario",
	})

var drillFindingsClosed = row(guard.Check{
	Code: "GL603", ID: "drill.findings_closed", Title: "whatever the drills found is mended", Path: "drills", Standard: guard.Advisory, S: []int{95},
},
	`A drill that found a hole, which is still there, was worse than none: now everybody believes that it was mended.`,
	obligation{owed: "what drills have found", kinds: []string{"drill-finding"}, do: "mend what the drill has found"})
