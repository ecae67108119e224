package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

var people = guard.Roster{People: []guard.Person{
	{Name: "Wang Fang", Role: "commander"}, {Name: "Ada Obi", Role: "deputy"}, {Name: "Ada Obi", Role: "scribe"},
	{Name: "Eve Stone", Role: "executive"}, {Name: "Mei Lin", Role: "on_duty"}, {Name: "ada  obi", Role: "deputy"},
}}

const bearable = "new hosts arrive on Tuesday, and load is low"

func date(t testing.TB, text string) guard.Date {
	t.Helper()
	if text == "" {
		return guard.Date{}
	}
	d, err := guard.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The day in expires still counts, to its end in UTC, wherever the one who asks is.
func TestWaiverDays(t *testing.T) {
	for _, test := range []struct{ from, expires, now, wrong string }{
		{"", "2026-11-29", "2026-11-24T03:12:07Z", ""},
		{"", "2026-11-29", "2026-11-29T23:59:59.999999999Z", ""},
		{"", "2026-11-29", "2026-11-30T00:00:00Z", "it expired on 2026-11-29"},
		{"", "2026-11-29", "2026-11-30T07:59:59+08:00", ""},
		{"", "2026-11-29", "2026-11-30T08:00:00+08:00", "it expired on 2026-11-29"},
		{"", "2026-11-29", "2026-11-29T18:00:00-08:00", "it expired on 2026-11-29"},
		{"2026-11-24", "2026-11-29", "2026-11-23T23:59:59Z", "it holds only from 2026-11-24"},
		{"2026-11-24", "2026-11-29", "2026-11-24T00:00:00Z", ""},
		{"2026-11-24", "2026-11-29", "2026-11-24T07:00:00+08:00", "it holds only from 2026-11-24"},
		{"2026-11-24", "2026-12-24", "2026-12-24T12:00:00Z", ""},
		{"2026-11-24", "2026-12-25", "2026-12-24T12:00:00Z", "expires: a waiver holds for 30 days at most (choose a day up to 2026-12-24)"},
		{"", "2026-12-24", "2026-11-24T23:59:59Z", ""},
		{"", "2026-12-25", "2026-11-24T23:59:59Z", "it would hold until 2026-12-25, and a waiver may hold for 30 days"},
		{"", "", "2026-11-24T00:00:00Z", "expires: a waiver has a last day (add expires: and a day, such as 2026-11-24)"},
	} {
		now, err := time.Parse(time.RFC3339Nano, test.now)
		if err != nil {
			t.Fatal(err)
		}
		w := guard.Waiver{Check: "a.b", Reason: bearable, By: "Ada Obi", ApprovedBy: "Wang Fang", From: date(t, test.from), Expires: date(t, test.expires)}
		got := ""
		if err := w.Holds(people, now); err != nil {
			got = err.Error()
		}
		if got != test.wrong {
			t.Errorf("%q to %q at %s: %q, want %q", test.from, test.expires, test.now, got, test.wrong)
		}
	}
}

// TestNothingElseOpensTheGate draws waivers, broken glass and findings, and says of each by other means whether the
// gate may be open: never for what cannot be waived, another subject, another day, or one person alone.
func TestNothingElseOpensTheGate(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	names := []string{"Wang Fang", "Ada Obi", "ada  obi", "ADA OBI", "Eve Stone", "Mei Lin", "Nobody", ""}
	approve := []string{"Wang Fang", "Ada Obi", "ada  obi", "Eve Stone"} // by role
	agree := func(reason, by, approved string) bool {
		same := func(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }
		return reason == bearable && slices.Contains(append(approve, "Mei Lin"), by) && slices.Contains(approve, approved) && same(by) != same(approved)
	}
	today := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	opened, shut := 0, 0
	for range 100_000 {
		now := today.Add(time.Duration(random.Int64N(int64(24 * time.Hour)))).In(time.FixedZone("", random.IntN(25*3600)-12*3600))
		day := func() guard.Date { return guard.Date{Time: today.AddDate(0, 0, random.IntN(70)-35)} }
		w := guard.Waiver{
			Check: pick("a.b", "GL1", "gl1", "a", "GL2", ""), Subject: pick("", "x", "y"), Reason: pick(bearable, bearable, "todo: say why this is bearable", "no"),
			By: pick(names...), ApprovedBy: pick(names...), From: day(), Expires: day(),
		}
		if random.IntN(2) == 0 {
			w.From = guard.Date{}
		}
		s := guard.Scene{Now: now, Plan: &guard.Plan{Roster: people, Checks: guard.Checks{Waivers: []guard.Waiver{w}}}}
		if random.IntN(4) == 0 {
			s.BreakGlass = &guard.BreakGlass{Reason: pick(bearable, "", "no"), By: pick(names...), ApprovedBy: pick(names...)}
		}
		c := guard.Check{Code: "GL1", ID: "a.b", Unwaivable: random.IntN(4) == 0}
		f := guard.Finding{Code: "GL1", ID: "a.b", Subject: pick("", "x"), Verdict: guard.Verdict(random.IntN(5)), Waived: &guard.Waiver{Reason: "I waive myself"}}

		from := today.AddDate(0, 0, 0)
		if !w.From.IsZero() {
			from = w.From.Time
		}
		days := w.Expires.Sub(from).Hours() / 24
		holds := (w.Check == "a.b" || w.Check == "GL1" || w.Check == "gl1") && w.Subject == f.Subject && agree(w.Reason, w.By, w.ApprovedBy) &&
			!from.After(today) && !w.Expires.Before(today) && days >= 0 && days <= 30
		glass := s.BreakGlass != nil && agree(s.BreakGlass.Reason, s.BreakGlass.By, s.BreakGlass.ApprovedBy)
		want := f.Verdict
		if f.Verdict != guard.Pass && !c.Unwaivable && (holds || glass) {
			want = guard.Warn
		}
		found := []guard.Finding{f}
		got := s.Waive(c, found)
		if got[0].Counts() != want || got[0].Verdict != f.Verdict || guard.Worst(got) != want {
			t.Fatalf("%+v\nunder %+v, glass %+v at %s, unwaivable %t: %s, want %s", f, w, s.BreakGlass, now, c.Unwaivable, got[0].Counts(), want)
		}
		if diff := cmp.Diff(f, found[0]); diff != "" {
			t.Fatalf("the finding was changed (-before +after)\n%s", diff)
		}
		if want != f.Verdict && f.Verdict != guard.Warn {
			opened++
		} else {
			shut++
		}
	}
	if opened < 1000 || shut < 1000 {
		t.Errorf("%d opened and %d shut: this tries too little", opened, shut)
	}
}

func TestWorstCountsWhatIsWaived(t *testing.T) {
	waived := func(v guard.Verdict) guard.Finding { return guard.Finding{Verdict: v, Waived: &guard.Waiver{}} }
	for _, test := range []struct {
		findings []guard.Finding
		want     guard.Verdict
	}{
		{[]guard.Finding{waived(guard.Fail)}, guard.Warn},
		{[]guard.Finding{waived(guard.Unknown), {Verdict: guard.Pass}}, guard.Warn},
		{[]guard.Finding{waived(guard.Waiting)}, guard.Warn},
		{[]guard.Finding{waived(guard.Pass)}, guard.Pass},
		{[]guard.Finding{waived(guard.Fail), {Verdict: guard.Unknown}}, guard.Unknown},
		{[]guard.Finding{waived(guard.Unknown), {Verdict: guard.Fail}}, guard.Fail},
	} {
		if got := guard.Worst(test.findings); got != test.want {
			t.Errorf("%+v: %s, want %s", test.findings, got, test.want)
		}
	}
}

// A rollout honours what its checks waived, and says what still keeps it shut.
func TestRolloutHonoursWaivers(t *testing.T) {
	plan := parse(t, readPlan(t, "small")+"notify: [{use: stdout}]\n")
	at := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	glass := &guard.BreakGlass{Reason: bearable, By: "Mei Lin", ApprovedBy: "Wang Fang"}
	for _, test := range []struct {
		name     string
		glass    *guard.BreakGlass
		findings []guard.Finding
		outcome  guard.Outcome
		why      string
	}{
		{"waived", nil, []guard.Finding{{ID: "a", Verdict: guard.Fail, Waived: &guard.Waiver{}}}, "", ""},
		{"not all", nil, []guard.Finding{{ID: "a", Verdict: guard.Fail, Reason: "x", Waived: &guard.Waiver{}}, {ID: "b", Verdict: guard.Fail, Reason: "y"}}, guard.NoGo, "b: y"},
		{"not what is unknown", nil, []guard.Finding{{ID: "a", Verdict: guard.Fail, Reason: "x", Waived: &guard.Waiver{}}, {ID: "b", Reason: "y"}}, guard.Unknowable, "b: y"},
		{"glass alone", glass, []guard.Finding{{ID: "a", Verdict: guard.Fail, Reason: "x"}}, guard.NoGo, "a: x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			kind, data, err := guard.Event{Fact: guard.Opened{
				Release: guard.Release{Service: "shop", From: "v1", To: "v2"}, Purpose: guard.ToRollout, BreakGlass: test.glass,
			}}.Encode()
			if err != nil {
				t.Fatal(err)
			}
			opened, err := guard.Decode(at, kind, data) // as the journal keeps it
			if err != nil {
				t.Fatal(err)
			}
			s := guard.Next(plan, guard.State{}, opened)
			told := 0
			var checks int
			for _, task := range s.Todo {
				switch d := task.Deed.(type) {
				case guard.Tell:
					told++
					if want := "BREAK-GLASS by Mei Lin, approved by Wang Fang: " + bearable; !d.Notice.Urgent || d.Notice.Text != want {
						t.Errorf("told %+v, want %s", d.Notice, want)
					}
				case guard.RunChecks:
					checks = task.ID
				}
			}
			if test.glass != nil && told != 1 || test.glass == nil && told != 0 {
				t.Errorf("told %d", told)
			}
			if diff := cmp.Diff(test.glass, s.BreakGlass); diff != "" {
				t.Errorf("glass (-want +got)\n%s", diff)
			}
			s = guard.Next(plan, s, guard.Event{At: at, Task: checks, Fact: guard.Checked{Findings: test.findings}})
			if s.Outcome != test.outcome || s.Outcome != "" && s.Why != test.why {
				t.Errorf("outcome %q: %s; want %q: %s", s.Outcome, s.Why, test.outcome, test.why)
			}
		})
	}
}

func TestSettingsOnlyMakeStricter(t *testing.T) {
	for _, is := range []guard.Need{guard.Required, guard.Advisory, guard.Off} {
		for _, set := range []guard.Need{guard.Required, guard.Advisory, guard.Off} {
			c := guard.Check{ID: "a.b", Standard: is, Critical: is}
			p := &guard.Plan{Tier: guard.Standard, Checks: guard.Checks{Settings: map[string]guard.Setting{"a.b": {Need: &set}}}}
			if got := c.For(p); got != min(is, set) {
				t.Errorf("%s set to %s is %s", is, set, got)
			}
			c.ID = "a.c"
			if got := c.For(p); got != is {
				t.Errorf("the setting of another check makes %s %s", is, got)
			}
		}
	}
}

func TestFits(t *testing.T) {
	known := []guard.Check{
		{Code: "GL102", ID: "backup.age", Reads: []string{"within", "least", "ask"}}, {Code: "GL202", ID: "rollback.dry_run", Unwaivable: true}, {Code: "GL302", ID: "roster.depth"},
		{Code: "GL308", ID: "vendor.contact", Reads: []string{"within"}}, {Code: "GL009", ID: "plan.owner"},
		{Code: "GL406", ID: "incidents.none", Reads: []string{"ledgers"}},
	}
	full := readPlan(t, "full")
	for _, test := range []struct{ name, old, new, want string }{
		{"as it is", "", "", ""},
		{"setting of nothing", "    plan.owner: {", "    plan.ownr: {", `plan.yaml:144:16: checks.settings["plan.ownr"]: there is no check "plan.ownr" (did you mean plan.owner?)`},
		{"setting by code", "    plan.owner: {", "    GL009: {", `plan.yaml:144:12: checks.settings.GL009: there is no check "GL009" (there are: backup.age, incidents.none, plan.owner, rollback.dry_run, roster.depth, vendor.contact)`},
		{"setting of an extra check", "    plan.owner: {", "    smoke: {", `plan.yaml:144:12: checks.settings.smoke: "smoke" is a check of the plan's own (say there what it needs, in checks.extra)`},
		{"setting that nothing reads", "plan.owner: {need: required}", "plan.owner: {need: required, least: 2}", `plan.yaml:144:41: checks.settings["plan.owner"].least: plan.owner does not look at least, so this would change nothing (take it out; what can be set there: need)`},
		{"settings that nothing reads", "    backup.age: {", "    vendor.contact: {least: 5, within: 1d, ask: [{use: nonsense}]}\n    backup.age: {", "plan.yaml:145:29: checks.settings[\"vendor.contact\"].least: vendor.contact does not look at least, so this would change nothing (take it out; what can be set there: need, within)\nplan.yaml:145:49: checks.settings[\"vendor.contact\"].ask: vendor.contact does not look at ask, so this would change nothing (take it out; what can be set there: need, within)"},
		{"ledger of a dependency", "    backup.age: {", "    incidents.none: {ledgers: {payments: ../payments/golive.ledger}}\n    backup.age: {", ""},
		{"ledger that nothing reads", "plan.owner: {need: required}", "plan.owner: {ledgers: {payments: ../payments/golive.ledger}}", `plan.yaml:144:27: checks.settings["plan.owner"].ledgers: plan.owner does not look at ledgers, so this would change nothing (take it out; what can be set there: need)`},
		{"extra check that is there", "id: smoke", "id: backup.age", `plan.yaml:147:12: checks.extra[0].id: there is a check "backup.age" already (choose another id)`},
		{"waiver of nothing", "check: roster.depth", "check: roster.dept", `plan.yaml:151:14: checks.waivers[1].check: there is no check "roster.dept" (did you mean roster.depth?)`},
		{"waiver of a category", "check: roster.depth", "check: backup", `plan.yaml:151:14: checks.waivers[1].check: there is no check "backup" (there are: backup.age, incidents.none, partner.status, plan.owner, rollback.dry_run, roster.depth, smoke, vendor.contact)`},
		{"waiver of an extra check", "check: roster.depth", "check: smoke", ""},
		{"waiver of what cannot be waived", "check: roster.depth", "check: gl202", `plan.yaml:151:14: checks.waivers[1].check: gl202 cannot be waived (golive explain gl202 says why)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := parse(t, strings.Replace(full, test.old, test.new, 1)).Fits(known); err != nil {
				var wrong *guard.PlanError
				if got = err.Error(); !errors.As(err, &wrong) {
					t.Errorf("%T", err)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestExtras(t *testing.T) {
	plan := parse(t, readPlan(t, "full"))
	extras := plan.Extras()
	answer, wrong := guard.Answer{}, error(nil)
	var asked []guard.Part
	s := guard.Scene{Plan: plan, Ask: func(_ context.Context, q guard.Question) (guard.Answer, error) {
		asked = append(asked, *q.Probe)
		return answer, wrong
	}}
	type result struct {
		Need                          guard.Need
		Code, ID, Path, Title, Remedy string
		Verdict                       guard.Verdict
	}
	try := func(c guard.Check) result {
		found, err := c.Run(t.Context(), s)
		if err != nil || len(found) != 1 {
			t.Fatalf("%d findings, error %v", len(found), err)
		}
		return result{c.For(plan), c.Code, c.ID, c.Path, found[0].Title, found[0].Remedy, found[0].Verdict}
	}
	answer.Finding = guard.Finding{Verdict: guard.Pass, Title: "./smoke.sh says yes"}
	if diff := cmp.Diff(result{guard.Required, "smoke", "smoke", "checks.extra[0]", "the smoke test is passed", "", guard.Pass}, try(extras[0])); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	answer.Finding = guard.Finding{Verdict: guard.Fail, Title: "it answers", Remedy: "of the probe"}
	if diff := cmp.Diff(result{guard.Required, "smoke", "smoke", "checks.extra[0]", "the smoke test is passed", "see runbook 12", guard.Fail}, try(extras[0])); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(result{guard.Advisory, "partner.status", "partner.status", "checks.extra[1]", "it answers", "of the probe", guard.Fail}, try(extras[1])); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	answer, wrong = guard.Answer{}, errors.New("no route")
	if got := try(extras[0]); got.Verdict != guard.Unknown || got.Remedy != "see runbook 12" {
		t.Errorf("without an answer: %+v", got)
	}
	if diff := cmp.Diff([]string{"command", "command", "http", "command"}, uses(asked)); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
}

func uses(parts []guard.Part) (names []string) {
	for _, p := range parts {
		names = append(names, p.Use)
	}
	return names
}

func TestWaiverInWords(t *testing.T) {
	w := guard.Waiver{Check: "a.b", Reason: bearable, By: "Ada Obi", ApprovedBy: "Wang Fang", Expires: date(t, "2026-11-29")}
	if got, want := w.String(), "waived until the end of 2026-11-29 (UTC), for Ada Obi, approved by Wang Fang: "+bearable; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.Expires = guard.Date{}
	if got, want := w.String(), "waived for this launch alone, by break-glass, for Ada Obi, approved by Wang Fang: "+bearable; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	text, err := json.Marshal(guard.Finding{Waived: &w})
	if err != nil || strings.Contains(string(text), "expires") || !strings.Contains(string(text), fmt.Sprintf(`"waiver":{"check":"a.b","reason":%q`, bearable)) {
		t.Errorf("%s, error %v", text, err)
	}
}
