package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var rollbackDrill = row(guard.Check{
	Code: "GL203", ID: "rollback.drill", Title: "the way back is rehearsed", Path: "rollout", Standard: guard.Advisory, S: []int{19, 89},
},
	`A way back that is open is not one that was ever gone. What a dry run cannot show is what comes after the traffic has
	moved: the cold cache, the old version that does not know a new message, the job that only the new one stops.`,
	record{
		done: "a drill of the way back",
		more: "It may be 92 days old, and counts only if the way is the one of today: the same backend, verify and needs",
		do:   "go back once at a quiet hour, and see the old version carry the traffic",
		about: func(guard.Scene) []topic {
			return topics("drill.rollback", days(92), "")
		},
	})

var rollbackCompat = row(guard.Check{
	Code: "GL204", ID: "rollback.compat", Title: "the old version is able to read what the new one writes", Path: "data", S: []int{148},
},
	`Traffic goes back within seconds; a column that was dropped does not come back. The old version then runs on data
	that it does not know, and going back makes it worse. Whoever changes data for good needs another way out, and a
	backup that is known to bring it back.`,
	record{
		done: "a restore of a store whose migration cannot be undone",
		more: `Those are the stores with migrations: irreversible. The plan has to say of each what is done in place of going back
			(forward_only), and a backup of it has to have been restored in the last week. A release without migrations, or
			with such as the old version can live with, passes`,
		do: "have the newest backup restored", kind: "drill.restore",
		lacks: func(s guard.Scene) (gaps []gap) {
			for i, store := range s.Plan.Data {
				if store.Migrations == "irreversible" && placeholder(store.ForwardOnly) {
					gaps = append(gaps, gap{
						path: fmt.Sprintf("data[%d]", i), about: store.Name,
						why:    notConfigured + "the migration cannot be undone, and the plan does not say what is done in place of going back",
						remedy: "split it so that the old version can live with it (migrations: expand_contract), or write forward_only: WHAT in",
					})
				}
			}
			return gaps
		},
		about: func(s guard.Scene) (wanted []topic) {
			for _, store := range s.Plan.Data {
				if store.Migrations == "irreversible" {
					wanted = append(wanted, topic{"drill.restore", store.Name, days(7)})
				}
			}
			return wanted
		},
		pick: best,
		doubt: func(_ guard.Scene, _ topic, e guard.Entry) string {
			if e.Proof == nil || !e.Proof.Reaches(guard.RungRestored) {
				return "it does not show that the data comes back from a backup"
			}
			return ""
		},
		none: "the plan has no migration that cannot be undone",
	})

var rollbackTime = row(guard.Check{
	Code: "GL205", ID: "rollback.time", Title: "the way back is short enough", Path: "objectives", Standard: guard.Advisory, S: []int{19, 96},
},
	`The time in which a service has to be back begins when it fails, and not when somebody starts to go back. What takes
	all of it in a drill, by day, with everybody there, takes more at night.`,
	record{
		done:  "a drill of the way back that was well within the RTO",
		more:  "What it took has to fit one and a half times into the time that the service may be away (objectives.rto)",
		do:    "find out what takes so long, make it shorter, and go back once more",
		lacks: noRTO,
		about: func(guard.Scene) []topic { return topics("drill.rollback", days(92), "") },
		doubt: func(s guard.Scene, _ topic, e guard.Entry) string {
			return tooLong(s.Plan, e, 1.5)
		},
	})

// noRTO is what a plan lacks that does not say how long the service may be away.
func noRTO(s guard.Scene) []gap {
	if s.Plan.Objectives.RTO > 0 {
		return nil
	}
	_, gaps := unset("objectives", "how long the service may be away", "rto: 30m")
	return gaps
}

// tooLong says why what was done took longer than the service may be away, with something to spare: 1.5 is half more.
func tooLong(p *guard.Plan, e guard.Entry, spare float64) string {
	took, rto := e.Took, p.Objectives.RTO
	switch {
	case took <= 0:
		return "nobody has measured how long it took"
	case float64(took)*spare > float64(rto) && took <= rto:
		return fmt.Sprintf("it took %s, and with half as much again that is more than the %s that the service may be away", took, rto)
	case took > rto:
		return fmt.Sprintf("it took %s, and the service may be away for %s", took, rto)
	}
	return ""
}

var rollbackIndependent = row(guard.Check{
	Code: "GL206", ID: "rollback.independent", Title: "the way back is independent of what goes live", Path: "rollout", Standard: guard.Advisory, S: []int{19},
},
	`A deployment that logs in through the service that it deploys cannot take it back when it is down. That is noticed on
	the day on which both are needed, and never before.`,
	lint{
		whether: `what going back depends on: services, programs, accounts. Neither the service itself may be among it, nor a service
			on which it depends`,
		write: `write down what has to work for the way back to work, and take out of it what may be down:

    rollout:
      needs: [haproxy, vault.shop.test, deploy-account]`,
		want: "what going back needs, without the service and what it depends on",
		look: func(s guard.Scene) (seen string, gaps []gap) {
			needs := s.Plan.Rollout.Needs
			if needs == nil {
				return unset("rollout", "what going back depends on", "needs: [PROGRAM, ACCOUNT]")
			}
			for i, need := range needs {
				why := ""
				switch {
				case need == s.Plan.Service:
					why = "going back needs " + brief(need) + ", which is what goes live"
				case slices.Contains(s.Plan.DependsOn, need):
					why = "going back needs " + brief(need) + ", on which the service depends: its trouble would shut the way back"
				default:
					continue
				}
				gaps = append(gaps, gap{
					path: fmt.Sprintf("rollout.needs[%d]", i), about: need, why: why,
					remedy: "find a way back that works without it, then take it out of",
				})
			}
			return orElse(strings.Join(needs, ", "), "nothing is needed"), gaps
		},
	})

var dnsFallback = row(guard.Check{
	Code: "GL209", ID: "dns.fallback", Title: "another name is there for the service", Standard: guard.Off, Critical: guard.Advisory, S: []int{23},
},
	`A domain that was seized, has expired or is under attack takes every version down at once. Customers can be sent to
	another one only if it exists already, with a certificate, and with a time to live of minutes.`,
	probe{
		whether: "whether the other name of the service answers, with a certificate that is good for two weeks more",
		want:    "a name that answers, with a valid certificate",
		example: `{use: tls, with: {address: "fallback.shop.test:443"}}`,
	})

var scenarioCoverage = row(guard.Check{
	Code: "GL210", ID: "scenario.coverage", Title: "every scenario is thought through", Path: "scenarios", Standard: guard.Advisory,
	S: []int{32, 83, 84},
},
	`In an emergency there is time to do what was thought of before, and none to think. Most outages belong to one of ten
	classes. Who leads, what is done first and how long that may take is agreed on in an hour, by day.`,
	lint{
		whether: "whether the plan has an answer to " + list(guard.Classes, "and") + `: how it is noticed (trigger), the role that
			leads and that somebody holds (owner), what is done first (action) and how long that may take (within); or why
			nothing is planned (accept). So it asks of the other scenarios of the plan`,
		write: `add what is missing:

    scenarios:
      - {name: bad_release, trigger: golive goes back, owner: technical_lead, action: find out why before the next, within: 1h}
      - {name: hardware, accept: the provider replaces machines by itself}`,
		want: "a trigger, an owner, an action and a time for each of " + count(len(guard.Classes), "class") + "es",
		look: func(s guard.Scene) (seen string, gaps []gap) {
			if len(s.Plan.Scenarios) == 0 {
				return unset("scenarios", "what is done when something goes wrong",
					"{name: bad_release, trigger: HOW, owner: ROLE, action: WHAT, within: 1h}, and the same for the other classes,")
			}
			described := map[string]bool{}
			for i, scenario := range s.Plan.Scenarios {
				described[scenario.Name] = true
				if scenario.Accept != "" && !placeholder(scenario.Accept) {
					continue
				}
				missing := lacking(
					key{!placeholder(scenario.Trigger), "trigger: HOW"},
					key{!placeholder(scenario.Owner), "owner: ROLE"},
					key{!placeholder(scenario.Action), "action: WHAT"},
					key{scenario.Within > 0, "within: 1h"},
				)
				g := gap{path: fmt.Sprintf("scenarios[%d]", i), about: scenario.Name}
				switch {
				case missing != "":
					g.why = notConfigured + "the plan does not say all that has to be known"
					g.remedy = "write " + missing + ", or accept: WHY, in"
				case len(holding(s.Plan, scenario.Owner)) == 0:
					g.why = "nobody in the roster is " + brief(scenario.Owner)
					g.remedy = "name a role that somebody holds in"
				default:
					continue
				}
				gaps = append(gaps, g)
			}
			for _, class := range guard.Classes {
				if !described[class] {
					gaps = append(gaps, gap{
						path: "scenarios", about: class, why: notConfigured + "the plan has no scenario " + class,
						remedy: "add {name: " + class + ", trigger: HOW, owner: ROLE, action: WHAT, within: 1h} or {name: " + class + ", accept: WHY} to",
					})
				}
			}
			return count(len(s.Plan.Scenarios), "scenario"), gaps
		},
	})
