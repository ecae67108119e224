package checks

import (
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var rtoEvidence = row(guard.Check{
	Code: "GL020", ID: "rto.evidence", Title: "the service is back within the time that was promised", Path: "objectives",
	Standard: guard.Off, S: []int{96, 149, 150},
},
	`How long a service may be away is written down in a contract by people who have never restored it. Only what was
	measured shows whether that can be kept; it should not be the customers who find out.`,
	record{
		done: "a drill that brought the service back within the RTO",
		more: `The last drill of the way back, and the last restore of each critical store with a vault, have to have taken no
			longer than the service may be away (objectives.rto), and may be 92 days old`,
		do:    "rehearse it, and measure how long it takes",
		lacks: noRTO,
		about: func(s guard.Scene) []topic {
			return append(topics("drill.rollback", days(92), ""), topics("drill.restore", days(92), criticalStores(s.Plan)...)...)
		},
		doubt: func(s guard.Scene, t topic, e guard.Entry) string {
			if t.kind == "drill.restore" {
				if why := notCompared(e); why != "" {
					return why
				}
			}
			return tooLong(s.Plan, e, 1)
		},
	})

// notCompared says why a restore shows nothing: it has no proof that the data is what it was.
func notCompared(e guard.Entry) string {
	if e.Proof == nil || !e.Proof.Reaches(guard.RungVerified) {
		return "it does not show that the data was compared with the original"
	}
	return ""
}

// criticalStores are those that are backed up and without which the service cannot be.
func criticalStores(p *guard.Plan) (names []string) {
	for _, store := range p.Data {
		if store.Critical && len(store.Backups) > 0 {
			names = append(names, store.Name)
		}
	}
	return names
}

var rpoEvidence = row(guard.Check{
	Code: "GL021", ID: "rpo.evidence", Title: "no more work is lost than was promised", Path: "objectives",
	Standard: guard.Off, S: []int{149, 150},
},
	`How much of the latest work may be lost is a promise, too. A nightly backup cannot keep that of an hour, whatever the
	contract says; and what a restore really brings back shows only when somebody looks for the last order in it.`,
	record{
		done: "a restore of a critical store that lost no more than the RPO",
		more: `It may be 92 days old, and may have lost no more of the latest work than objectives.rpo allows. The plan, too, has to
			say that the store is backed up as often as that (schedule), and to have a vault that accepts no older backup
			(max_age)`,
		do: "restore it into a scratch place, and compare",
		lacks: func(s guard.Scene) (gaps []gap) {
			rpo := s.Plan.Objectives.RPO
			if rpo <= 0 {
				_, gaps := unset("objectives", "how much of the latest work may be lost", "rpo: 1h")
				return gaps
			}
			for i, store := range s.Plan.Data {
				if !store.Critical || len(store.Backups) == 0 {
					continue
				}
				g := gap{path: fmt.Sprintf("data[%d]", i), about: store.Name}
				tightest := store.Backups[0].MaxAge
				for _, source := range store.Backups {
					tightest = min(tightest, source.MaxAge)
				}
				switch {
				case store.Schedule <= 0:
					g.why = notConfigured + "the plan does not say how often it is backed up"
					g.remedy = fmt.Sprintf("write schedule: %s in", rpo)
				case store.Schedule > rpo:
					g.why = fmt.Sprintf("it is backed up every %s, and no more than %s may be lost", store.Schedule, rpo)
					g.remedy = "back it up more often, or agree on a longer RPO, and write it in"
				case tightest > rpo:
					g.why = fmt.Sprintf("its vaults may have a newest backup that is %s old, and no more than %s may be lost", tightest, rpo)
					g.remedy = fmt.Sprintf("write max_age: %s at a vault in", rpo)
				default:
					continue
				}
				gaps = append(gaps, g)
			}
			return gaps
		},
		about: func(s guard.Scene) []topic { return topics("drill.restore", days(92), criticalStores(s.Plan)...) },
		doubt: func(s guard.Scene, _ topic, e guard.Entry) string {
			if why := notCompared(e); why != "" {
				return why
			}
			if e.Lost > s.Plan.Objectives.RPO {
				return fmt.Sprintf("it lost the work of the last %s, and no more than %s may be lost", e.Lost, s.Plan.Objectives.RPO)
			}
			return ""
		},
		none: "the plan has no critical store with a vault",
	})

var wavesDefined = row(guard.Check{
	Code: "GL022", ID: "waves.defined", Title: "every wave of the upgrade is thought through", Path: "rollout.steps",
	Standard: guard.Off, Critical: guard.Off, Clauses: []guard.Clause{guard.LargeUpgrade}, S: []int{147},
},
	`A large upgrade fails somewhere, and waves decide how many are there when it does. A wave that nobody has a reason for
	is only a delay: it has to be known whom it reaches, what it is to show and what may go wrong on it.`,
	lint{
		whether: `whether there are at least two waves before everybody gets the new version, the first of them with at most 10
			percent, and each with a name, a goal, a risk and a time of its own, longer than the shortest of any step
			(watch.promote.min_step). It is asked of plans with the clause large_upgrade`,
		write: `describe each of the steps before the last:

    rollout:
      steps:
        - {percent: 5, name: our own people, goal: logins work, risk: old clients, at_least: 4h}
        - {percent: 25, name: one region, goal: the load is as computed, risk: the database, at_least: 1d}
        - 100`,
		want: "2 waves or more before the last step, the first of at most 10%",
		look: func(s guard.Scene) (seen string, gaps []gap) {
			var shares []string
			waves := 0
			for i, step := range s.Plan.Rollout.Steps {
				shares = append(shares, fmt.Sprintf("%d%%", step.Percent))
				if step.Percent == 100 {
					continue
				}
				waves++
				path := fmt.Sprintf("rollout.steps[%d]", i)
				if i == 0 && step.Percent > 10 {
					gaps = append(gaps, gap{
						path: path, about: "first wave", why: fmt.Sprintf("the first wave reaches %d%% of the traffic", step.Percent),
						remedy: "begin with 10% or less in",
					})
				}
				missing := lacking(
					key{!placeholder(step.Name), "name: WHO"},
					key{!placeholder(step.Goal), "goal: WHAT"},
					key{!placeholder(step.Risk), "risk: WHAT"},
					key{step.AtLeast > s.Plan.Watch.Promote.MinStep, "at_least: 4h"},
				)
				if missing != "" {
					gaps = append(gaps, gap{
						path: path, about: fmt.Sprintf("wave %d", i+1), why: notConfigured + "the plan does not say all that has to be known of it",
						remedy: "write " + missing + " in",
					})
				}
			}
			if waves < 2 {
				gaps = append(gaps, gap{
					path: "rollout.steps", about: "waves", why: fmt.Sprintf("there is %s before everybody gets the new version", count(waves, "wave")),
					remedy: "add a smaller step to",
				})
			}
			return strings.Join(shares, ", "), gaps
		},
	})

var newtechValidation = row(guard.Check{
	Code: "GL023", ID: "newtech.validation", Title: "the new technology is tried out", Path: "clauses",
	Standard: guard.Off, Critical: guard.Off, Clauses: []guard.Clause{guard.NewTech}, S: []int{155},
},
	`What nobody has run in production fails in ways that nobody has seen. A load test or a trial for a few days finds the
	ones that are cheap to find, while there is nobody to be hurt.`,
	record{
		done:  "a validation of the new technology, such as a load test or a trial",
		do:    "try it out under the load that it will have",
		about: func(guard.Scene) []topic { return topics("validation", days(92), "") },
	})

var watchHeightened = row(guard.Check{
	Code: "GL024", ID: "watch.heightened", Title: "the launch is watched more closely than usual", Path: "watch",
	Standard: guard.Off, Critical: guard.Off, Clauses: []guard.Clause{guard.NewTech}, S: []int{157},
},
	`New technology fails late: a leak takes an hour to show, a pool takes a weekend. Half of what may go wrong is unknown,
	and so fewer customers should be there at first, and somebody should look for longer.`,
	lint{
		whether: `whether a plan with the clause new_tech looks at least twice as often as others do by default, bakes for at least
			twice as long, and begins with at most 5 percent of the traffic`,
		write: `look more often, begin smaller, and stay for longer:

    rollout:
      steps: [1, 5, 25, 100]
      bake: {for: 1h}
    watch: {every: 5s}`,
		want: "every at most 5s, a bake of at least 1h, a first step of at most 5%",
		look: func(s guard.Scene) (seen string, gaps []gap) {
			usual, plan := guard.Defaults(), s.Plan
			every, bake, first := usual.Watch.Every/2, 2*usual.Rollout.Bake.For, 5
			if plan.Watch.Every > every {
				gaps = append(gaps, gap{
					path: "watch.every", about: "every", why: fmt.Sprintf("it looks every %s, and new technology asks for every %s", plan.Watch.Every, every),
					remedy: fmt.Sprintf("write every: %s in", every),
				})
			}
			if plan.Rollout.Bake.For < bake {
				gaps = append(gaps, gap{
					path: "rollout.bake", about: "bake", why: fmt.Sprintf("it bakes for %s, and new technology asks for %s", plan.Rollout.Bake.For, bake),
					remedy: fmt.Sprintf("write for: %s in", bake),
				})
			}
			if step := plan.Rollout.Steps[0].Percent; step > first {
				gaps = append(gaps, gap{
					path: "rollout.steps[0]", about: "first step", why: fmt.Sprintf("it begins with %d%% of the traffic, and new technology asks for %d%% at most", step, first),
					remedy: "begin with a smaller step in",
				})
			}
			return fmt.Sprintf("every %s, a bake of %s, a first step of %d%%", plan.Watch.Every, plan.Rollout.Bake.For, plan.Rollout.Steps[0].Percent), gaps
		},
	})
