package report

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, 11, 24, 3, 12, 7, 0, time.UTC)

const planText = `service: checkout
environment: prod
rollout:
  backend: {use: http}
  steps: [1, 10, 100]
watch:
  source: {use: scrape}
  signals:
    - {name: errors, preset: promhttp, never: 5%}
data:
  - name: orders
    backups: [{use: file}]
roster:
  people:
    - {name: Ada Obi, role: deputy, reach: [{phone: "+44 20 7946 0001"}, {email: ada@shop.test}]}
  vendors:
    - {name: PayCo, reach: [{phone: "5551234567"}]}
`

func plan(t testing.TB, text string) *guard.Plan {
	t.Helper()
	p, err := guard.ParsePlan("golive.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nasty is a text with everything that some form takes for its own.
const nasty = "50% of \"orders\" & <b>'x'</b> | `y`\r\n::error file=a::b,c ]]> ](http://evil.test) \\ {0} @ops #12 *z* _w_ ~v~ $u$ \x1b[31m\u202eé 日本 🚀 \xff end"

// rich is an assessment that has everything.
func rich(t testing.TB) Assessment {
	return Assessment{
		Version: "v1.2.3",
		Plan:    plan(t, planText),
		Release: guard.Release{ID: "r1", Service: "checkout", Environment: "prod", From: "v1", To: "v2"},
		Mode:    guard.Enforce,
		Verdict: guard.Fail,
		Findings: []guard.Finding{
			{Code: "GL001", ID: "plan.valid", Verdict: guard.Pass, Title: "the plan in golive.yaml is valid",
				Expected: "no mistakes", Observed: "none, digest 0123456789ab", At: now},
			{Code: "GL102", ID: "backup.age", Subject: "orders by file", Verdict: guard.Warn, Path: "data[0].backups[0]",
				Title: "orders is backed up often enough", Reason: "the newest backup will be too old in 2h",
				Remedy: "run the backup of orders now", Expected: "at most 1d old", Observed: "22h", At: now,
				Evidence: []guard.Evidence{{Asked: "file", Answer: "1 backup", Digest: strings.Repeat("0123456789abcdef", 4)}}},
			{Code: "GL202", ID: "rollback.dry_run", Verdict: guard.Fail, Path: "rollout.backend",
				Title: "the way back is open", Reason: "403\nForbidden", Remedy: "give it the right: ask ada@shop.test or +44 (0)20 7946-0001", At: now},
			{Code: "GL308", ID: "vendor.contact", Subject: "PayCo", Verdict: guard.Fail, Path: "roster.vendors[0]",
				Title: "PayCo can be reached by phone", Reason: "555-123-4567 was not answered", Remedy: "call 555 1234567 again", At: now},
			{Code: "GL401", ID: "metrics.live", Subject: nasty, Verdict: guard.Unknown, Path: "watch.signals[0]",
				Title: "errors can be read: " + nasty, Reason: nasty, Remedy: nasty, Expected: nasty, Observed: nasty, At: now},
			{Code: "GL404", ID: "metrics.baseline_green", Verdict: guard.Waiting, Title: "the old version does well",
				Reason: strings.Repeat("very long – ", 250), Remedy: "wait", At: now},
			{Code: "ACME7", ID: "acme.mood", Verdict: guard.Fail, Title: "the plugin is in a good mood", Reason: "it is not", Remedy: "cheer it up", At: now,
				Waived: &guard.Waiver{Check: "ACME7", Reason: "the mood is tracked in OPS-7", By: "Ada Obi", ApprovedBy: "grace@shop.test", Expires: guard.Date{Time: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}}},
			{Verdict: 99, Title: "a finding without a name"},
		},
		Skipped:    []string{"tools.present"},
		BreakGlass: &guard.BreakGlass{Reason: "nobody can pay: call +44 20 7946 0001", By: "Ada Obi", ApprovedBy: "Wang Fang"},
		Checks: []guard.Check{
			{Code: "GL001", ID: "plan.valid", Doc: "It asks whether the plan is valid. Always.\n\nWhy.\n\n    data: []\n"},
			{Code: "GL102", ID: "backup.age", Doc: "It asks how old backups are."},
			{Code: "GL202", ID: "rollback.dry_run", Doc: "It asks whether the way back is open."},
			{Code: "GL308", ID: "vendor.contact", Doc: "It asks for a phone."},
			{Code: "GL401", ID: "metrics.live", Doc: "It reads."},
			{Code: "GL404", ID: "metrics.baseline_green", Doc: "It reads twice."},
			{Code: "GL902", ID: "tools.present", Doc: "It looks for tools."},
		},
		ExitCode: 3,
	}
}

func write(t testing.TB, form string, a Assessment) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, form, a); err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	return b.String()
}

// readers are the other side of the forms: each reads a text as its readers do, and fails where they would.
var readers = map[string]func(t testing.TB, text string, a Assessment){
	"json": readJSON, "ndjson": readNDJSON, "junit": readJUnit, "sarif": readSARIF,
	"markdown": readMarkdown, "github": readGitHub, "prometheus": readPrometheus, "short": readShort,
}

func TestGolden(t *testing.T) {
	for _, form := range Forms() {
		t.Run(form, func(t *testing.T) {
			got := write(t, form, rich(t))
			file := filepath.Join("testdata", "rich."+form)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			readers[form](t, got, rich(t))
			for _, contact := range []string{"shop.test", "7946", "5551234", "555 123", "555-123"} {
				if strings.Contains(got, contact) {
					t.Errorf("%s holds the contact %s", form, contact)
				}
			}
		})
	}
}

// The plan may say that contacts leave the machine.
func TestPublish(t *testing.T) {
	a := rich(t)
	a.Plan = plan(t, planText+"  publish: true\n")
	for _, form := range []string{"json", "ndjson", "junit", "sarif", "github", "short"} {
		got := write(t, form, a)
		for _, contact := range []string{"ada@shop.test", "+44 (0)20 7946-0001", "555-123-4567"} {
			if !strings.Contains(got, contact) {
				t.Errorf("%s does not hold %s", form, contact)
			}
		}
	}
}

// An assessment of nothing is no good news in any form.
func TestNothing(t *testing.T) {
	for _, a := range []Assessment{{}, {Verdict: guard.Pass}} {
		for _, form := range Forms() {
			t.Run(form, func(t *testing.T) {
				got := write(t, form, a)
				readers[form](t, got, a)
				if form == "sarif" || form == "junit" {
					if !strings.Contains(got, "nothing was checked") {
						t.Errorf("it does not say that nothing was checked:\n%s", got)
					}
					return
				}
				if !strings.Contains(got, "no-go") && form != "prometheus" {
					t.Errorf("it does not say no-go:\n%s", got)
				}
				if !strings.Contains(got, "unknown") {
					t.Errorf("it does not say unknown:\n%s", got)
				}
			})
		}
	}
}

// A plan that could not be read is an assessment with a finding at the place of each mistake.
func TestMistaken(t *testing.T) {
	_, err := guard.ParsePlan("golive.yaml", []byte("environment: test\nservise: shop\n"))
	var wrong *guard.PlanError
	if !errors.As(err, &wrong) {
		t.Fatal(err)
	}
	a := Mistaken(wrong)
	for _, form := range Forms() {
		readers[form](t, write(t, form, a), a)
	}
	want := "golive.yaml:2:1: fail GL001 plan.valid: "
	if got := write(t, "short", a); !strings.Contains(got, want) {
		t.Errorf("short does not hold %q:\n%s", want, got)
	}
}

func TestUnknownForm(t *testing.T) {
	err := Write(&bytes.Buffer{}, "yaml", Assessment{})
	if err == nil || !strings.Contains(err.Error(), "there are json, ndjson, junit") {
		t.Errorf("error %v", err)
	}
}

// An error of whatever it is written to is not lost.
func TestFull(t *testing.T) {
	for _, form := range Forms() {
		if err := Write(full{}, form, rich(t)); err == nil {
			t.Errorf("%s: nobody says that the disk is full", form)
		}
	}
	stream := NewStream(full{}, rich(t))
	stream.Found(guard.Finding{})
	stream.encoder = nil // a stream that failed writes no more
	if err := stream.End(rich(t)); err == nil {
		t.Error("the stream forgot its error")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A stream says the same as what is written at the end.
func TestStream(t *testing.T) {
	a := rich(t)
	var b bytes.Buffer
	about := a
	about.Findings, about.Verdict = nil, guard.Unknown
	stream := NewStream(&b, about)
	for i, f := range a.Findings {
		stream.Found(f)
		if lines := strings.Count(b.String(), "\n"); lines != i+1 {
			t.Fatalf("%d lines after %d findings", lines, i+1)
		}
	}
	if err := stream.End(a); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(write(t, "ndjson", a), b.String()); diff != "" {
		t.Errorf("stream (-written +streamed):\n%s", diff)
	}
}

func TestSummary(t *testing.T) {
	waived, glass := &guard.Waiver{}, &guard.BreakGlass{}
	for _, c := range []struct {
		name string
		a    Assessment
		want string
	}{
		{"mixed", rich(t), "no-go, BREAK-GLASS: 2 failed, 2 could not be found out, 1 without enough evidence, 1 warning, 1 passed, 1 waived"},
		{"waived in part", Assessment{Findings: []guard.Finding{{Verdict: guard.Fail, Waived: waived}, {Verdict: guard.Fail}}}, "no-go: 1 failed, 1 waived"},
		{"a pass needs no waiver", Assessment{Findings: []guard.Finding{{Verdict: guard.Pass, Waived: waived}}}, "go: 1 passed"},
		{"nothing but waived", Assessment{Findings: []guard.Finding{{Verdict: guard.Fail, Waived: waived}, {Waived: waived}}}, "go: 2 waived"},
		{"broken glass", Assessment{BreakGlass: glass, Findings: []guard.Finding{{Waived: waived}}}, "go, BREAK-GLASS: 1 waived"},
		{"nothing", Assessment{BreakGlass: glass}, "no-go, BREAK-GLASS: 1 could not be found out"},
	} {
		if got := c.a.Summary(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// FuzzForms puts a text in every place of findings: its readers read every form, and no contact is in it.
func FuzzForms(f *testing.F) {
	f.Add(nasty, "GL1", byte(0), byte(3))
	f.Add("\u2028\u0085\x00\ufffe\U000fffff", "", byte(2), byte(1))
	f.Add("+44 20 7946 0001\n::warning::x%0A", "a.b", byte(4), byte(21))
	f.Add("| a |\n|---|\n<!--", "--> `", byte(3), byte(0))
	f.Add("0", "+", byte(3), byte(0)) // a list, at the beginning of a line
	f.Fuzz(func(t *testing.T, text, name string, verdict, copies byte) {
		a := Assessment{
			Version: "v1", Plan: plan(t, planText), Verdict: guard.Verdict(verdict) - 1,
			Release: guard.Release{Service: name, Environment: text, From: name, To: text},
			Skipped: []string{name}, ExitCode: int(verdict),
		}
		if copies%2 == 0 {
			a.BreakGlass = &guard.BreakGlass{Reason: text, By: name, ApprovedBy: text}
		}
		for i := range int(copies % 32) {
			var waived *guard.Waiver
			if i%5 == 4 {
				waived = &guard.Waiver{Check: name, Subject: text, Reason: text, By: text, ApprovedBy: name}
			}
			a.Findings = append(a.Findings, guard.Finding{
				Code: name, ID: text, Subject: text, Waived: waived, Verdict: guard.Verdict((int(verdict) + i) % 6), Title: text, Reason: text,
				Remedy: name + text, Expected: text + name, Observed: text, Path: name, At: now,
				Evidence: []guard.Evidence{{Asked: text, Answer: text, Digest: text}},
			})
		}
		for _, form := range Forms() {
			readers[form](t, write(t, form, a), a)
		}
		for _, e := range a.sheet().entries {
			for _, text := range []string{e.Title, e.Remedy, e.Observed} {
				if again := a.discretion().text(text); again != text {
					t.Errorf("%q still holds contacts: %q", text, again)
				}
			}
		}
	})
}

func BenchmarkForms(b *testing.B) {
	a := rich(b)
	for i := range 90 {
		a.Findings = append(a.Findings, guard.Finding{Code: fmt.Sprintf("GL%d", i), ID: "x.y", Title: "all is well with it", Reason: "it is not, since 03:12:07", Verdict: guard.Fail})
	}
	for _, form := range Forms() {
		b.Run(form, func(b *testing.B) {
			for b.Loop() {
				write(b, form, a)
			}
		})
	}
}
