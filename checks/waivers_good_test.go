package checks

import (
	"slices"
	"strings"
	"testing"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestWaiversGood(t *testing.T) {
	const chapters = `
roster:
  people: [{name: Ada Obi, role: deputy}, {name: Wang Fang, role: commander}]
checks:
  waivers:
    - {check: gl308, subject: PayCo, reason: PayCo answers by chat until Friday, by: Ada Obi, approved_by: Wang Fang, expires: 2026-11-27}`
	waived := func(verdict guard.Verdict, subject, expires string) guard.Finding {
		f := guard.Finding{Code: "GL308", ID: "vendor.contact", Subject: subject, Verdict: verdict}
		if expires != "" {
			d, err := guard.ParseDate(expires)
			if err != nil {
				t.Fatal(err)
			}
			f.Waived = &guard.Waiver{Check: "gl308", Subject: subject, Expires: d}
		}
		return f
	}
	one := func(plan string, found ...guard.Finding) guard.Scene {
		s := scene(t, plan, guard.Answer{})
		s.Found = append([]guard.Finding{{Code: "GL102", ID: "backup.age", Subject: "PayCo", Verdict: guard.Fail}}, found...)
		return s
	}
	want := func(f guard.Finding) []guard.Finding {
		f.Subject = "gl308 PayCo"
		return []guard.Finding{f}
	}
	expired := strings.ReplaceAll(chapters, "2026-11-27", "2026-11-23")
	tooLong := strings.ReplaceAll(chapters, "2026-11-27", "2026-12-25")
	later := strings.ReplaceAll(chapters, "expires: 2026-11-27", "from: 2026-11-25, expires: 2026-11-27")
	checktest.Run(t, waiversGood, []checktest.Case{
		{Name: "none", Scene: one(""), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "there is none"}}},
		{Name: "used", Scene: one(chapters, waived(guard.Fail, "PayCo", "2026-11-27")), Want: want(guard.Finding{
			Verdict: guard.Pass, Observed: "a finding that needs it, until the end of 2026-11-27"})},
		{Name: "used for what is unknown", Scene: one(chapters, waived(guard.Unknown, "PayCo", "2026-11-27")), Want: want(guard.Finding{Verdict: guard.Pass})},
		{Name: "not asked", Scene: one(chapters), Want: want(guard.Finding{Verdict: guard.Pass, Observed: "its check was not asked"})},
		{Name: "not needed", Scene: one(chapters, waived(guard.Pass, "PayCo", "")), Want: want(guard.Finding{
			Verdict: guard.Warn, Reason: "it waives nothing any more", Remedy: "remove it: checks.waivers[0]"})},
		{Name: "of a warning", Scene: one(chapters, waived(guard.Warn, "PayCo", "")), Want: want(guard.Finding{
			Verdict: guard.Warn, Reason: "it waives nothing any more"})},
		{Name: "of another subject", Scene: one(chapters, waived(guard.Fail, "ShipCo", ""), waived(guard.Fail, "", "")), Want: want(guard.Finding{
			Verdict: guard.Warn, Reason: "it waives nothing: it is about another subject than what its check found",
			Observed: "findings about ShipCo, no subject", Remedy: "write the subject that is meant in checks.waivers[0]"})},
		{Name: "expired, and missed", Scene: one(expired, waived(guard.Fail, "PayCo", "")), Want: want(guard.Finding{
			Verdict: guard.Fail, Reason: "it does not count: it expired on 2026-11-23", Observed: "its check does not pass",
			Remedy: "mend what gl308 found, or decide again in checks.waivers[0]"})},
		{Name: "expired, and missed but for broken glass", Scene: one(expired, guard.Finding{
			Code: "GL308", ID: "vendor.contact", Subject: "PayCo", Verdict: guard.Fail, Waived: &guard.Waiver{Check: "vendor.contact", Subject: "PayCo"}}),
			Want: want(guard.Finding{Verdict: guard.Fail})},
		{Name: "expired, and not missed", Scene: one(expired, waived(guard.Pass, "PayCo", "")), Want: want(guard.Finding{
			Verdict: guard.Warn, Reason: "it does not count: it expired on 2026-11-23", Remedy: "remove it: checks.waivers[0]"})},
		{Name: "for too long", Scene: one(tooLong, waived(guard.Unknown, "PayCo", "")), Want: want(guard.Finding{
			Verdict: guard.Fail, Reason: "it does not count: it would hold until 2026-12-25, and a waiver may hold for 30 days"})},
		{Name: "later", Scene: one(later, waived(guard.Fail, "PayCo", "")), Want: want(guard.Finding{
			Verdict: guard.Fail, Reason: "it does not count: it holds only from 2026-11-25"})},
	})
}

// Without these a launch cannot be watched or taken back, whoever approves of it.
func TestUnwaivable(t *testing.T) {
	var unwaivable []string
	for _, c := range All() {
		if c.Unwaivable != strings.Contains(c.Doc, "\n\nIt cannot be waived: ") {
			t.Errorf("%s: unwaivable is %t, and its doc says otherwise, or not why", c.ID, c.Unwaivable)
		}
		if c.Unwaivable {
			unwaivable = append(unwaivable, c.ID)
		}
	}
	for _, id := range []string{"plan.valid", "rollback.target", "rollback.dry_run", "metrics.live", "ledger.intact", "tools.present"} {
		if !slices.Contains(unwaivable, id) {
			t.Errorf("%s can be waived", id)
		}
	}
}
