package checks

import "github.com/golive-dev/golive/guard"

var evidenceReady = row(guard.Check{
	Code: "GL801", ID: "evidence.ready", Title: "what shows the cause is kept in time", Path: "evidence", Standard: guard.Advisory, S: []int{119, 120},
},
	`Going back destroys what would have shown why it was necessary: the processes end, and their memory with them. What is
	to be kept has to be named before, and has to be quick, for nobody waits for it while customers cannot buy.
	What is collected lies beside the journal, without secrets, and its digest in it.`,
	probe{
		whether: "whether everything that is to be kept before going back (evidence.collect) can be had now, all of it within evidence.budget",
		want:    "an answer within the budget",
		example: `{use: command, with: {run: "journalctl --unit shop --since -10min"}}`,
		parts:   func(p *guard.Plan) ([]guard.Part, string) { return p.Evidence.Collect, "evidence.collect" },
		within:  func(p *guard.Plan) guard.Duration { return p.Evidence.Budget },
	})
