package plandoc

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report/page"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, 11, 24, 3, 12, 7, 0, time.UTC)

func plan(t testing.TB, text string) *guard.Plan {
	t.Helper()
	p, err := guard.ParsePlan("golive.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// source is a plan that has everything, a ledger that knows some of it, and findings of each kind.
func source(t testing.TB) Source {
	text, err := os.ReadFile("testdata/plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := plan(t, string(text))
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	result := func(kind, subject string, days int, outcome guard.Verdict) guard.Entry {
		return guard.Entry{At: ago(days), Act: guard.Result, Kind: kind, Subject: subject, Outcome: outcome, Service: p.Service, Method: p.Method(kind, subject)}
	}
	restored := result("drill.restore", "orders", 3, guard.Pass)
	restored.Took, restored.Lost = guard.Duration(11*time.Minute), guard.Duration(40*time.Minute)
	stale := result("drill.rollback", "", 12, guard.Pass)
	stale.Method = "of another backend"
	return Source{
		Plan: p, Checks: checks.All(), Now: now, Version: "v1.2.3", Asked: "2026-11-24 02:00 UTC",
		Ledger: guard.Ledger{Entries: []guard.Entry{
			{At: ago(90), Act: guard.Begun, Kind: "ledger"},
			{At: ago(60), Act: guard.Attested, Kind: "plan.approved", By: "Wang Fang", Says: "read and approved", Plan: strings.Repeat("0c", 32), Until: ago(-60)},
			{At: ago(20), Act: guard.Attested, Kind: "plan.approved", By: "Wang Fang", Says: "read and approved", Plan: p.Digest(), Until: ago(-60)},
			{At: ago(40), Act: guard.Attested, Kind: "power", By: "Luis Vega", Says: "the generator ran", Until: ago(-60)},
			result("drill.tabletop", "", 40, guard.Fail), stale, restored, result("training", "Mei Lin", 100, guard.Pass),
			{At: ago(5), Act: guard.Obliged, Kind: "drill-finding", ID: "finding-1", Says: "the password was wrong", Until: ago(1), By: "Ada Obi"},
		}},
		Findings: []guard.Finding{
			{Code: "GL301", ID: "roster.roles", Verdict: guard.Fail, Reason: "the roster names nobody as comms", At: now},
			{Code: "GL102", ID: "backup.age", Subject: "orders", Verdict: guard.Fail, Reason: "the newest is 2d old", At: now, Waived: &p.Checks.Waivers[0]},
			{Code: "GL102", ID: "backup.age", Subject: "other", Verdict: guard.Pass, Observed: "1h old", At: now},
			{Code: "GL105", ID: "backup.restore_drill", Verdict: guard.Pass, Observed: "pass on 2026-11-21, 3d ago, took 11m", At: now},
			{Code: "GL401", ID: "metrics.live", Verdict: guard.Unknown, Reason: "no answer; call +44 20 7946 0001", At: now},
			{Code: "GL601", ID: "drill.fresh", Verdict: guard.Warn, Reason: "the latest is 9d older than it may be", At: now},
		},
	}
}

func TestGolden(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		for _, form := range page.Forms() {
			name := language + "." + form
			t.Run(name, func(t *testing.T) {
				s := source(t)
				s.Language = language
				var got, again bytes.Buffer
				for _, b := range []*bytes.Buffer{&got, &again} {
					if err := page.Write(b, form, Of(s)); err != nil {
						t.Fatal(err)
					}
				}
				if !bytes.Equal(got.Bytes(), again.Bytes()) {
					t.Error("the same source makes two documents")
				}
				golden := filepath.Join("testdata", name)
				if *update {
					if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got.String()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

// words is all that a document says.
func words(t *testing.T, s Source) string {
	t.Helper()
	var b bytes.Buffer
	if err := page.Write(&b, "json", Of(s)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Each check stands beside one clause, so that no clause of the plan is without the check that holds to it.
func TestEveryCheckHasItsClause(t *testing.T) {
	named := map[string]int{}
	for _, c := range chapters {
		for _, k := range c.clauses {
			for _, id := range strings.Fields(k.checks) {
				named[id]++
			}
		}
	}
	for _, c := range checks.All() {
		if named[c.ID] != 1 {
			t.Errorf("%s %s stands beside %d clauses, want 1", c.Code, c.ID, named[c.ID])
		}
		delete(named, c.ID)
		if zhTitles[c.ID] == "" {
			t.Errorf("%s has no words in Chinese", c.ID)
		}
	}
	for id := range named {
		t.Errorf("there is no check %s", id)
	}
	for _, class := range guard.Classes {
		if guard.Chinese("scenario", class) == "" {
			t.Errorf("the scenario %s has no words in Chinese", class)
		}
	}
}

func TestContacts(t *testing.T) {
	secret := []string{"7946", "0001", "wf@shop.test", "1234 5678", "157 0123", "123 45 67", "@luis", "ops@shop.test"}
	s := source(t)
	text := words(t, s)
	for _, contact := range secret {
		if strings.Contains(text, contact) {
			t.Errorf("the document holds %q without being asked to", contact)
		}
	}
	s.Contacts = true
	text = words(t, s)
	for _, contact := range []string{"+44 20 7946 0001", "wf@shop.test", "@luis", "this copy names phone numbers"} {
		if !strings.Contains(text, contact) {
			t.Errorf("the document does not hold %q", contact)
		}
	}
}

// Nothing of a part stands on paper but what says what it does, and not what looks like a secret in that.
func TestSecrets(t *testing.T) {
	s := source(t)
	s.Contacts = true
	text := words(t, s)
	for _, secret := range []string{"hunter2", "TRAFFIC_TOKEN", "SMTP_PASSWORD", "key=abc"} {
		if strings.Contains(text, secret) {
			t.Errorf("the document holds %q", secret)
		}
	}
	for _, told := range []string{"./smoke --password=[secret] --fast", "http: https://ops:[secret]@shop.test/ready"} {
		if !strings.Contains(text, told) {
			t.Errorf("the document does not hold %q", told)
		}
	}
}

// What a plan leaves out is said to be missing, with the check that asks for it; nothing is invented.
func TestMissing(t *testing.T) {
	s := source(t)
	s.Plan = plan(t, `service: shop
rollout:
  backend: {use: http}
  steps: [100]
watch:
  source: {use: scrape}
  signals: [{name: errors, preset: promhttp}]
`)
	s.Findings, s.Ledger, s.Asked = nil, guard.Ledger{Missing: true}, ""
	doc := Of(s)
	var missing []string
	for _, c := range doc.Chapters {
		if len(c.Blocks) == 0 {
			t.Errorf("the chapter %s says nothing, not even that", c.ID)
		}
		for _, b := range c.Blocks {
			if b.Missing != "" {
				missing = append(missing, b.Missing)
			}
		}
	}
	for _, want := range []string{
		"write roster.people in golive.yaml; asked for by GL301, GL302, GL304, GL303, GL007",
		"write severity in golive.yaml; asked for by GL501",
		"write data in golive.yaml; asked for by GL101, GL109",
		"write recovery.resorts in golive.yaml",
		"nobody has approved or reviewed the plan",
	} {
		if !slices.ContainsFunc(missing, func(m string) bool { return strings.Contains(m, want) }) {
			t.Errorf("nothing is missing like %q, but\n%s", want, strings.Join(missing, "\n"))
		}
	}
	text := words(t, s)
	for _, want := range []string{"there is no ledger", "(nobody in the plan may approve it)", "not asked"} {
		if !strings.Contains(text, want) {
			t.Errorf("the document does not say %q", want)
		}
	}
}

// What the ledger-bound checks say can be had without asking the world; a document of that names no check twice.
func TestLast(t *testing.T) {
	text := words(t, source(t))
	for _, want := range []string{
		"pass on 2026-11-12 03:12 UTC; no longer counts: the plan does it in another way today",
		"pass on 2026-11-21 03:12 UTC, took 11m, lost the work of 40m",
		"fail on 2026-10-15 03:12 UTC",
		"overdue since 2026-11-15",
		"2026-11-28",
		"an earlier plan: 0c0c0c0c0c0c",
		"does not count: it expired on 2026-10-20",
		"in force",
		"warn, waived",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document does not say %q", want)
		}
	}
}

// The findings are those of real checks, too: what they say of an empty world fits in.
func TestRealFindings(t *testing.T) {
	s := source(t)
	s.Findings = nil
	for _, c := range s.Checks {
		found, err := c.Run(context.Background(), guard.Scene{Plan: s.Plan, Now: now, Ask: func(context.Context, guard.Question) (guard.Answer, error) {
			return guard.Answer{}, errors.New("the world is closed")
		}})
		if err != nil {
			continue
		}
		for _, f := range found {
			f.Code, f.ID = c.Code, c.ID
			s.Findings = append(s.Findings, f)
		}
	}
	text := words(t, s)
	if !strings.Contains(text, "the world is closed") || len(s.Findings) < len(s.Checks)/2 {
		t.Errorf("%d findings of %d checks; the document has %d bytes", len(s.Findings), len(s.Checks), len(text))
	}
}
