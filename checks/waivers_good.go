package checks

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var waiversGood = guard.Check{
	Code:  "GL012",
	ID:    "waivers.good",
	Title: "every waiver is valid and used",
	Path:  "checks.waivers",
	Last:  true,
	S:     []int{162},
	Doc: `
It asks whether every waiver of the plan holds today, and whether there is still something that it waives. It is asked
when all others have answered, and fails for a waiver that does not hold while its check does not pass.

A waiver is a decision of two people for some days. One that has expired decides nothing any more, and the launch
that relied on it stops without anybody having touched the plan: so golive says which one it was. One that waives
nothing is a door that somebody forgot to shut; the next trouble of that check would walk through it.

To mend it, remove the waiver, or let two people decide again for another 30 days at most. Days begin and end in UTC,
and the last one still counts. A waiver is of one check, and of one subject where its findings name one:

    checks:
      waivers:
        - check: vendor.contact
          subject: PayCo
          reason: PayCo moves its office, and answers by chat until Friday
          by: Ada Obi              # who asks for it
          approved_by: Wang Fang   # commander, deputy or executive, and somebody else
          expires: 2026-11-27

It answers S162.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		var findings []guard.Finding
		for i, w := range s.Plan.Checks.Waivers {
			findings = append(findings, ofWaiver(s, i, w))
		}
		if len(findings) == 0 {
			findings = append(findings, guard.Finding{Verdict: guard.Pass, Expected: "waivers that hold", Observed: "there is none"})
		}
		return findings, nil
	},
}

// ofWaiver says whether a waiver holds, and what it is good for.
func ofWaiver(s guard.Scene, i int, w guard.Waiver) guard.Finding {
	path := fmt.Sprintf("checks.waivers[%d]", i)
	subject := strings.TrimSpace(brief(w.Check) + " " + brief(w.Subject))
	f := guard.Finding{
		Subject:  subject,
		Title:    "the waiver of " + subject + " is valid and used",
		Path:     path,
		Expected: "a waiver that holds, and a finding that needs it",
	}
	var others []string // subjects of the same check that need a waiver
	asked, used, open := false, false, false
	for _, found := range s.Found {
		if found.ID != w.Check && !strings.EqualFold(found.Code, w.Check) {
			continue
		}
		asked = true
		needs := found.Verdict != guard.Pass && found.Verdict != guard.Warn
		switch {
		case needs && found.Subject == w.Subject:
			used = found.Waived != nil && found.Waived.Expires.Equal(w.Expires.Time)
			open = open || !used
		case needs && found.Waived == nil:
			others = append(others, cmp.Or(brief(found.Subject), "no subject"))
		}
	}
	err := w.Holds(s.Plan.Roster, s.Now)
	switch {
	case err != nil && open:
		f.Verdict, f.Observed = guard.Fail, "its check does not pass"
		f.Reason = "it does not count: " + err.Error()
		f.Remedy = "mend what " + brief(w.Check) + " found, or decide again in " + place(s.Plan, path)
	case err != nil:
		f.Verdict, f.Observed = guard.Warn, "nothing that needs it"
		f.Reason = "it does not count: " + err.Error()
		f.Remedy = "remove it: " + place(s.Plan, path)
	case used:
		f.Verdict, f.Observed = guard.Pass, "a finding that needs it, until the end of "+w.Expires.String()
	case !asked:
		f.Verdict, f.Observed = guard.Pass, "its check was not asked"
	case len(others) > 0:
		slices.Sort(others)
		f.Verdict, f.Observed = guard.Warn, "findings about "+strings.Join(slices.Compact(others), ", ")
		f.Reason = "it waives nothing: it is about another subject than what its check found"
		f.Remedy = "write the subject that is meant in " + place(s.Plan, path)
	default:
		f.Verdict, f.Observed = guard.Warn, "no finding that needs it"
		f.Reason = "it waives nothing any more"
		f.Remedy = "remove it: " + place(s.Plan, path)
	}
	return f
}
