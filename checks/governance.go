package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var planScope = row(guard.Check{
	Code: "GL002", ID: "plan.scope", Title: "the release is of the service that the plan is for", Path: "service", S: []int{87, 165},
},
	`A plan for staging that is used for production names the wrong database, the wrong dashboards and the wrong people,
	and all of it looks familiar. Nobody reads the name of the environment at three in the morning.`,
	lint{
		whether: "whether the service and the environment of the release are those of the plan",
		write:   "use the plan of the service that is released:\n\n    golive check --plan FILE",
		want:    "a release of the plan's service and environment",
		look: func(s guard.Scene) (string, []gap) {
			seen := fmt.Sprintf("%s in %s", s.Release.Service, s.Release.Environment)
			var gaps []gap
			if s.Release.Service != s.Plan.Service {
				gaps = append(gaps, gap{
					path: "service", about: "service", why: "the plan is for " + brief(s.Plan.Service),
					remedy: "use the plan of the service that is released, or name it in",
				})
			}
			if s.Release.Environment != s.Plan.Environment {
				gaps = append(gaps, gap{
					path: "environment", about: "environment", why: "the plan is for " + brief(s.Plan.Environment),
					remedy: "use the plan of that environment, or name it in",
				})
			}
			return seen, gaps
		},
	})

var planApproved = row(guard.Check{
	Code: "GL003", ID: "plan.approved", Title: "the plan is approved as it stands", Standard: guard.Advisory, S: []int{162},
},
	`A plan says who may stop a launch and what is done to the data of customers. Whoever leads has to have read that
	before, and has to have read this version: the line that was changed last week is the one that nobody expects.`,
	attest{
		that:  "that the plan is approved",
		about: func(guard.Scene) []topic { return topics("plan.approved", days(366), "") },
		roles: []string{"commander", "deputy", "executive"},
		bound: true,
	})

var planDrift = row(guard.Check{
	Code: "GL005", ID: "plan.drift", Title: "nothing that the plan rests on is changed since the review", Standard: guard.Advisory, S: []int{161},
},
	`A service gets a second database, a new way to move traffic, another dependency, and the plan is changed in that one
	place only. Everything around it was thought through for the service as it was before.`,
	record{
		done: "a review of the plan",
		more: "It has to be a review of the way traffic moves, the signals, the dependencies and the data stores that the plan has today",
		do:   "go through the whole plan together",
		about: func(guard.Scene) []topic {
			return topics("plan.reviewed", days(183), "")
		},
	})

var planUnique = row(guard.Check{
	Code: "GL006", ID: "plan.unique", Title: "the plan is the only one for the service", Path: "service", Standard: guard.Advisory, S: []int{164},
},
	`Of two plans for one service, one is older, and people find the one that they used last time. What was mended in
	the other is then broken again, in the middle of the night.`,
	lint{
		whether: "whether another plan lies beside this one that is for the same service and environment",
		write:   "keep one of them. What is for another environment says so:\n\n    environment: staging",
		want:    "no other plan",
		again:   "make the directory of the plan one that can be read",
		ask: func(ctx context.Context, s guard.Scene) (string, []gap, error) {
			answer, err := s.Ask(ctx, guard.Question{Plans: true})
			switch {
			case err != nil:
				return "", nil, err
			case answer.Plans == nil:
				return "", nil, errors.New("nobody has looked for other plans")
			case len(answer.Plans) == 0:
				return "none", nil, nil
			}
			return strings.Join(answer.Plans, ", "), []gap{{
				path: "service", why: "there is another plan for it: " + brief(strings.Join(answer.Plans, ", ")),
				remedy: "remove the one that is out of date, or write the environment of the other in it; this one is",
			}}, nil
		},
	})

var planAcknowledged = row(guard.Check{
	Code: "GL007", ID: "plan.acknowledged", Title: "the plan is known to whoever is on duty", Path: "roster.people", Standard: guard.Advisory,
	S: []int{168},
},
	`Whoever is called first has to know where the plan lies, what it allows, and what it expects of them. Reading it for
	the first time during an outage takes longer than the outage may.`,
	attest{
		that:  "that they have read the plan, each in person",
		about: func(s guard.Scene) []topic { return topics("plan.acknowledged", days(366), firstCalled(s)...) },
		lacks: nobodyOnDuty,
		own:   true,
		bound: true,
	})

var riskRegister = row(guard.Check{
	Code: "GL008", ID: "risk.register", Title: "what may go wrong is thought of beforehand", Path: "risks", Standard: guard.Advisory,
	S: []int{166},
},
	`Every launch has something about it that somebody was uneasy about. Written down beforehand, with an answer, it is a
	step of the plan; kept to oneself, it is what everybody says the day after.`,
	lint{
		whether: "whether the plan names at least one risk, and for each how likely it is, how bad, and what is done about it",
		write:   "ask those who built it what they are afraid of, and write it down:\n\n    risks:\n      - {risk: caches are cold, likelihood: high, impact: low, response: the first step is small}",
		want:    "risks with likelihood, impact and response",
		look: func(s guard.Scene) (string, []gap) {
			if len(s.Plan.Risks) == 0 {
				return unset("risks", "what may go wrong", "[{risk: WHAT, likelihood: low, impact: high, response: WHAT}]")
			}
			var gaps []gap
			for i, r := range s.Plan.Risks {
				var open []string
				for _, field := range []struct{ name, text string }{
					{"risk", r.Risk}, {"likelihood", r.Likelihood}, {"impact", r.Impact}, {"response", r.Response},
				} {
					if placeholder(field.text) {
						open = append(open, field.name)
					}
				}
				if path := fmt.Sprintf("risks[%d]", i); len(open) > 0 {
					gaps = append(gaps, gap{path: path, about: path, why: "it has no " + list(open, "and"), remedy: "write " + list(open, "and") + " in"})
				}
			}
			return count(len(s.Plan.Risks), "risk"), gaps
		},
	})

var planReferences = row(guard.Check{
	Code: "GL011", ID: "plan.references", Title: "what the plan has to follow is known", Standard: guard.Advisory, Critical: guard.Advisory,
	S: []int{167},
},
	`Laws, standards and contracts say how soon a leak has to be reported and for how long data has to be kept. Whoever
	looks that up after the leak has lost the time that it allows.`,
	attest{
		that:  "which laws, standards and contracts the plan was written by, and that it follows them",
		about: func(guard.Scene) []topic { return topics("plan.references", days(366), "") },
	})

var planCompared = row(guard.Check{
	Code: "GL013", ID: "plan.compared", Title: "the plan is held against what happened elsewhere", Standard: guard.Advisory, Critical: guard.Advisory,
	S: []int{163},
},
	`The outages of others are the cheapest lessons there are. A plan that knows only what has happened here is surprised
	by what happens everywhere.`,
	record{
		done: "a look at the outages of others (case-review) and at the whole of the system (architecture-review)",
		more: "The first is due each quarter, the second each year",
		do:   "read how others failed, change the plan where that could happen here",
		about: func(guard.Scene) []topic {
			return append(topics("case-review", days(92), ""), topics("architecture-review", days(366), "")...)
		},
	})
