package checks

import (
	"context"
	"errors"
	"fmt"

	"github.com/golive-dev/golive/guard"
)

var ledgerIntact = row(guard.Check{
	Code: "GL802", ID: "ledger.intact", Title: "the ledger is whole and unchanged", Unwaivable: true, S: []int{125},
},
	`Drills, proofs and approvals count for something because nobody can add, change or drop one afterwards without
	being noticed. A ledger that does not fit together proves nothing, and everything that rests on it is unknown. One
	that is missing is no better: what was owed is owed still, on whatever machine it was written down.

	It cannot be waived: broken glass obliges to a report, and the ledger is where that is written.`,
	intact{})

// intact is the obligation of the ledger itself: nothing may be wrong with it.
type intact struct{}

func (intact) asks() string {
	return "whether each entry of the ledger is as it was written, and follows the one before"
}

func (intact) mend(guard.Check) string {
	return fold("find out who changed the ledger and why, and bring the last copy back that is whole; "+
		"what was written since then has to be done again:") + "\n\n    golive ledger verify"
}

func (intact) reads() []string { return nil }

func (intact) find(ctx context.Context, s guard.Scene, _ guard.Check) []guard.Finding {
	f := guard.Finding{Expected: "entries that follow each other"}
	answer, err := s.Ask(ctx, guard.Question{Ledger: true})
	switch {
	case err != nil:
		return []guard.Finding{unknown(f, err, ledgerRemedy)}
	case answer.Ledger == nil:
		return []guard.Finding{unknown(f, errors.New("there is no ledger"), ledgerRemedy)}
	case answer.Ledger.Missing:
		return []guard.Finding{unknown(f, errNoLedger, noLedgerRemedy)}
	case answer.Ledger.Broken != "":
		f.Verdict, f.Observed, f.Reason = guard.Fail, "one that was changed", brief(answer.Ledger.Broken)
		f.Remedy = "find out who changed it, and bring back the last copy that is whole: golive ledger verify"
		return []guard.Finding{f}
	}
	if _, err := ledger(ctx, s); err != nil {
		return []guard.Finding{unknown(f, err, ledgerRemedy)}
	}
	f.Verdict, f.Observed = guard.Pass, fmt.Sprintf("%d entries", len(answer.Ledger.Entries))
	f.Evidence = evidence("ledger", f.Observed, answer)
	return []guard.Finding{f}
}

var reportOverdue = row(guard.Check{
	Code: "GL803", ID: "report.overdue", Title: "no report is overdue", S: []int{122, 134},
},
	`Whoever launches before the last incident is written down launches without knowing what went wrong then. A day
	later it is still remembered, a week later it is told.`,
	obligation{owed: "reports on incidents", kinds: []string{"report"}, do: "write the report on the incident"})

var actionsOverdue = row(guard.Check{
	Code: "GL804", ID: "actions.overdue", Title: "no lesson of an incident is overdue", Standard: guard.Advisory, S: []int{95, 128, 133},
},
	`The second incident of a kind is the one that nobody forgives: what had to be done about it was known, and had a
	name and a day.`,
	obligation{owed: "what was decided after incidents and drills", kinds: []string{"action", "lesson"}, do: "do what was decided, or decide otherwise"})

var attestFresh = row(guard.Check{
	Code: "GL025", ID: "attest.fresh", Title: "what only people can see is stated", Standard: guard.Advisory,
	S: []int{9, 17, 139, 142, 152},
},
	`No program sees whether the emergency power runs, whether the room is locked, or whether the law of another country
	is kept. It can only see that somebody went there, looked, and put a name to it; and how long ago that was.`,
	attest{
		that: "that power, site, spares, backup media and the like are in order, as the plan lists them under attestations",
		about: func(s guard.Scene) (wanted []topic) {
			for _, a := range s.Plan.Attestations {
				wanted = append(wanted, topic{a.Kind, "", a.Within})
			}
			return wanted
		},
		none: "the plan lists no attestations",
	})
