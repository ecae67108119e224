package incident_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report/incident"
)

var update = flag.Bool("update", false, "write the golden files anew")

// responding is a plan that has people answer when it goes wrong.
const responding = `
service: shop
environment: production
owner: release-engineering
objectives: {rto: 10m}
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
  bake: {for: 5m}
  verify: [{use: http, with: {url: "http://shop.test/version"}}]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  warmup: 0s
  signals:
    - {name: errors, total: requests, bad: 'requests{code=~"5.."}', never: 60%}
    - {name: latency, histogram: seconds}
roster:
  people:
    - {name: Wang Fang, role: commander, tz: Asia/Shanghai, reach: [{phone: "+44 20 7946 0005"}, {email: wf@shop.test}]}
    - {name: Ada Obi, role: on_duty}
    - {name: Mei Lin, role: deputy}
  vendors: [{name: PayCo, reach: [{email: noc@payco.test}]}]
severity:
  - {level: 1, name: outage, when: rollback_failed or down, lead: commander, page: everyone}
  - {level: 2, name: degraded, when: errors > 20% or minutes > 30, lead: commander, page: [commander, on_duty]}
  - {level: 3, name: minor, when: "true", lead: on_duty, page: on_duty}
escalate:
  - {after: 15m, to: commander, unless: acknowledged}
  - {after: 60m, to: [PayCo, customer, management], unless: cause_known}
recovery: {soak: 30s}
notify: [{use: smtp, with: {server: "smtp://localhost:25", from: a@shop.test, to: [b@shop.test]}}, {use: http, with: {url: "http://x"}, for: [customer, management]}]
`

// restoring is such a plan that knows what to try when going back does not help.
var restoring = strings.NewReplacer("  verify:", "  deadline: {rollback: 10s}\n  verify:", "recovery: {soak: 30s}", `data: [{name: orders, backups: [{use: command, with: {list: "true"}}]}]
recovery:
  soak: 30s
  resorts:
    - {name: fail over, do: {use: command, with: {run: ./failover}}}
    - {name: restore orders, data: orders, do: {use: command, with: {run: "./restore {{.Backup}}"}}, verify: [{use: http, with: {url: "http://orders.test/ready"}}]}`).Replace(responding)

// calm is a plan without a chapter about incidents.
var calm = cut(responding, "roster:", "notify:")

func cut(text, from, to string) string {
	before, rest, _ := strings.Cut(text, from)
	_, after, _ := strings.Cut(rest, "\n"+to)
	return before + to + after
}

// A world is what a rollout meets: how many requests fail on each version, and which of golive's deeds do not come about.
type world struct {
	bad       float64       // share of failing requests on the new version, above the thousandth of both
	slow      float64       // share of slow ones
	fails     string        // the kind of deed that fails, such as "guard.Tell", the first time
	trouble   time.Duration // the harm begins so long after the beginning
	alone     bool          // nobody reads the old version
	said      []guard.Event // what people say, by when; Task is 0
	until     time.Duration // after that nothing happens any more; 0: ten hours
	nobody    bool          // no reading is ever there
	stays     bool          // the new version keeps its traffic, whatever is done
	judge     *judge.Judge
	step      judge.Step
	soak      *judge.Judge
	canary    [2]float64
	baseline  [2]float64
	slowness  [2]float64
	last      time.Time
	failed    map[string]bool
	soakBegan bool
}

const rate = 40. // requests per second on both versions

var start = time.Date(2026, 11, 24, 3, 12, 0, 0, time.UTC)

// play makes a history, with the real judge.
func play(t *testing.T, source string, o guard.Opened, w *world) (*guard.Plan, []incident.Record) {
	t.Helper()
	plan, err := guard.ParsePlan("golive.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if w.judge, err = judge.New(plan.Judge(o.Release)); err != nil {
		t.Fatal(err)
	}
	w.last, w.failed = start, map[string]bool{}
	end := start.Add(w.until)
	if w.until == 0 {
		end = start.Add(10 * time.Hour)
	}
	var records []incident.Record
	var seal journal.Record
	var state guard.State
	see := func(e guard.Event) {
		kind, data, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if seal, _, err = journal.Seal(seal, e.At, kind, data); err != nil {
			t.Fatal(err)
		}
		records = append(records, incident.Record{Seq: seal.Seq, Hash: seal.Hash, Event: e})
		state = guard.Next(plan, state, e)
	}
	o.Plan, o.File, o.Version = source, "golive.yaml", "1.0.0"
	see(guard.Event{At: start, Fact: o})
	said := w.said
	for now := start; len(records) < 5000; {
		task, found := first(state.Todo)
		due := now
		if found && task.NotBefore.After(now) {
			due = task.NotBefore
		}
		if len(said) > 0 && (!found || !said[0].At.After(due)) {
			now = said[0].At
			see(said[0])
			said = said[1:]
			continue
		}
		if !found || due.After(end) {
			break
		}
		fact, took := w.answer(t, plan, state, task, due)
		now = due.Add(took)
		see(guard.Event{At: now, Task: task.ID, Fact: fact})
	}
	return plan, records
}

func first(todo []guard.Task) (one guard.Task, found bool) {
	for _, task := range todo {
		if !found || task.NotBefore.Before(one.NotBefore) {
			one, found = task, true
		}
	}
	return one, found
}

// answer is what the world makes of a task.
func (w *world) answer(t *testing.T, plan *guard.Plan, s guard.State, task guard.Task, now time.Time) (guard.Fact, time.Duration) {
	kind := fmt.Sprintf("%T", task.Deed)
	if kind == w.fails && !w.failed[kind] {
		w.failed[kind] = true
		return guard.Failed{Error: "connection refused by +44 20 7946 0005"}, time.Second
	}
	standing := guard.Standing{Percent: s.Seen, Undo: guard.Undo{Open: true}}
	switch d := task.Deed.(type) {
	case guard.RunChecks:
		return guard.Checked{Findings: []guard.Finding{
			{Code: "GL102", ID: "backup.age", Verdict: guard.Pass, Title: "the backup is fresh"},
			{Code: "GL412", ID: "alerts.none", Verdict: guard.Warn, Title: "no alert is open", Reason: "not configured", Unset: true},
			{Code: "GL301", ID: "roster.fresh", Verdict: guard.Warn, Title: "the roster is fresh", Reason: "it was checked 80 days ago"},
			{Code: "GL501", ID: "calendar.allowed", Verdict: guard.Fail, Title: "the launch is in a window", Reason: "it is night | <b>no</b> window", Waived: &guard.Waiver{Check: "calendar.allowed", Reason: "the fix cannot wait until noon", By: "Ada Obi", ApprovedBy: "Wang Fang"}},
		}}, 2 * time.Second
	case guard.Inspect:
		if s.Purpose == guard.ToRollback {
			standing.Percent = 50
		} else if s.Purpose == guard.ToWatch || s.Mode == guard.Observe {
			standing.Percent = 20
		} else {
			standing.Percent = s.Aim
		}
		return guard.Inspected{Standing: standing}, 100 * time.Millisecond
	case guard.Shift:
		return guard.Shifted(d), 300 * time.Millisecond
	case guard.Measure:
		if d.Step != w.step {
			w.judge.Begin(d.Step)
			w.step = d.Step
		}
		reading := w.reading(now, float64(s.Seen)/100, s.Release.First())
		return guard.Measured{Reading: reading, Standing: &standing, Ruling: w.judge.Observe(reading)}, 200 * time.Millisecond
	case guard.Verify:
		if w.stays {
			return guard.Verified{Standing: standing, Findings: []guard.Finding{{ID: "http", Verdict: guard.Fail, Title: "the version is v1", Reason: "shop.test answers with v2"}}}, 800 * time.Millisecond
		}
		return guard.Verified{Standing: guard.Standing{Undo: guard.Undo{Open: true}}, Findings: []guard.Finding{{ID: "http", Verdict: guard.Pass, Title: "shop.test answers with " + s.Release.From}}}, 800 * time.Millisecond
	case guard.Soak:
		if !w.soakBegan {
			var err error
			if w.soak, err = judge.New(plan.Judge(guard.Release{To: s.Release.From})); err != nil {
				t.Fatal(err)
			}
			w.soak.Begin(judge.Step{At: d.Began, Weight: 1, Absolute: true, AtLeast: time.Second, AtMost: time.Hour})
			w.soakBegan, w.canary, w.slowness, w.bad, w.slow = true, [2]float64{}, [2]float64{}, 0, 0
		}
		reading := w.reading(now, 1, true)
		if !w.stays {
			standing.Percent = 0
		}
		return guard.Soaked{Reading: reading, Standing: &standing, Ruling: w.soak.Observe(reading), Findings: []guard.Finding{{ID: "http", Verdict: guard.Pass}}}, 100 * time.Millisecond
	case guard.Gather:
		return guard.Gathered{Exhibits: []guard.Exhibit{
			{Name: "counts.json", At: now, SHA256: strings.Repeat("ab", 32), Bytes: 18234, Redacted: 2},
			{Name: "pods", At: now, Cut: true, Problem: "8 MiB are kept, and there was more"},
			{Name: "logs", At: now, Problem: "exit code 1: no such file"},
		}}, 2 * time.Second
	case guard.Tell:
		receipt := guard.Receipt{Detail: "ok"}
		if d.Channel == 0 && d.Notice.News != "" {
			receipt.Handed = []guard.Handed{{Name: "Ada Obi", Role: "on_duty", Way: "email"}, {Name: "Wang Fang", Role: "commander", Problem: "mailbox wf@shop.test is full"}}
		}
		if len(d.Notice.Only) > 0 {
			receipt.Handed = slices.DeleteFunc(receipt.Handed, func(h guard.Handed) bool { return !slices.Contains(d.Notice.Only, h.Name) })
		}
		return guard.Told{Receipt: receipt}, 400 * time.Millisecond
	case guard.Finish:
		return guard.Finished{}, time.Second
	case guard.Intervene:
		if d.Move == guard.MoveResort && d.N == 0 {
			return guard.Intervened{Findings: []guard.Finding{{ID: "command", Verdict: guard.Fail, Reason: "the standby is down", Observed: "password=hunter2secret"}}}, time.Second
		}
		if d.Move == guard.MoveResort {
			return guard.Intervened{
				Findings: []guard.Finding{{ID: "command", Verdict: guard.Pass, Observed: "done, password=hunter2secret"}, {ID: "http", Verdict: guard.Pass, Title: "orders.test is ready"}},
				Backup:   &guard.Backup{ID: "orders-0200.dump", Ended: start.Add(-72 * time.Minute)},
			}, time.Minute
		}
		return guard.Intervened{Findings: []guard.Finding{{ID: "http", Verdict: guard.Pass, Title: "it is off"}}}, time.Second
	}
	return guard.Elapsed{}, 0
}

// reading counts on: a thousandth of all requests fail and a hundredth are slow, and on the new version more.
func (w *world) reading(now time.Time, share float64, alone bool) guard.Reading {
	took := now.Sub(w.last).Seconds()
	w.last = now
	if w.nobody {
		return guard.Reading{At: now}
	}
	harm, slow := 0., 0.
	if !now.Before(start.Add(w.trouble)) {
		harm, slow = w.bad, w.slow
	}
	count := func(c *[2]float64, s *float64, share, bad, slow float64) {
		n := rate * took * share
		c[0], c[1], *s = c[0]+n, c[1]+n*(.001+bad), *s+n*(.01+slow)
	}
	count(&w.canary, &w.slowness[0], share, harm, slow)
	count(&w.baseline, &w.slowness[1], 1-share, 0, 0)
	r := guard.Reading{At: now}
	for i, arm := range []struct {
		arm   guard.Arm
		count [2]float64
	}{{guard.Canary, w.canary}, {guard.Baseline, w.baseline}} {
		if arm.arm == guard.Baseline && (alone || w.alone) {
			continue
		}
		n := float64(int(arm.count[0]))
		r.Series = append(r.Series,
			guard.Series{Signal: "errors", Arm: arm.arm, Instance: "a", At: now, Total: n, Bad: float64(int(arm.count[1]))},
			guard.Series{Signal: "latency", Arm: arm.arm, Instance: "a", At: now, Total: n, Bounds: []float64{.1, .5, 1}, Buckets: []float64{n - float64(int(w.slowness[i])), n, n}},
		)
	}
	return r
}

var v2 = guard.Release{ID: "20261124-031200-v2", Service: "shop", Environment: "production", From: "v1", To: "v2"}

func opened(change func(*guard.Opened)) guard.Opened {
	o := guard.Opened{Release: v2, Purpose: guard.ToRollout, Mode: guard.Enforce, By: "Ada Obi"}
	if change != nil {
		change(&o)
	}
	return o
}

func after(d time.Duration, f guard.Fact) guard.Event { return guard.Event{At: start.Add(d), Fact: f} }

// nasty is a text with everything that some form takes for its own.
const nasty = "50% of </title><script>alert(1)</script> | [x](http://evil.test) \"q\" 'q' {{.}} call +44 20 7946 0005 or wf@shop.test"

// histories are the reports that have golden files, and what is special about them.
var histories = []struct {
	name   string
	plan   string
	open   guard.Opened
	world  world
	broken string
	ledger guard.Ledger
	kind   incident.Kind
}{
	{name: "incident", plan: responding, open: opened(nil), kind: incident.OfIncident, world: world{bad: .05, slow: .3, trouble: 40 * time.Second, fails: "guard.Tell", said: []guard.Event{
		after(4*time.Minute, guard.Acknowledged{By: "Ada Obi"}),
		after(9*time.Minute, guard.Noted{By: "Mei Lin", Text: nasty}),
		after(22*time.Minute, guard.Stated{What: guard.StateCause, By: "Ada Obi", Text: "the connection pool of v2 holds 10 connections"}),
		after(25*time.Minute, guard.Stated{What: guard.StateContacted, Subject: "PayCo", Text: "ticket 4711", By: "Mei Lin"}),
		after(30*time.Minute, guard.Stated{What: guard.StateAnswer, Subject: "trigger", Text: nasty, By: "Ada Obi"}),
		after(31*time.Minute, guard.Stated{What: guard.StateAnswer, Subject: "well", Text: "nobody had to be woken to go back", By: "Ada Obi"}),
		after(33*time.Minute, guard.Stated{What: guard.StateAction, Text: "test the pool under load", Class: "prevent", Subject: "technical_lead", Due: start.AddDate(0, 0, 28), By: "Ada Obi"}),
		after(40*time.Minute, guard.Stated{What: guard.StateStandDown, Text: "all signals have been green for half an hour", By: "Wang Fang"}),
	}}, ledger: guard.Ledger{Entries: []guard.Entry{
		{At: start, Act: guard.Obliged, Kind: "incident", ID: "incident-" + v2.ID, Subject: v2.ID, Until: start.Add(time.Hour), Says: "answer for it"},
		{At: start, Act: guard.Obliged, Kind: "report", ID: "report-else", Subject: "else", Until: start.Add(time.Hour)},
	}}},
	{name: "rollback", plan: calm, open: opened(nil), kind: incident.OfRollback, world: world{bad: .05}, ledger: guard.Ledger{Missing: true}},
	{name: "live", plan: responding, open: opened(nil), kind: incident.OfWatch, world: world{until: 5 * time.Hour}},
	{name: "observe", plan: responding, open: opened(func(o *guard.Opened) { o.Mode = guard.Observe }), kind: incident.OfRollback, world: world{bad: .05}},
	{name: "first", plan: responding, open: opened(func(o *guard.Opened) { o.Release.From = "" }), kind: incident.OfIncident, world: world{bad: .7, until: 30 * time.Minute}},
	{name: "torn", plan: responding, open: opened(nil), kind: incident.OfWatch, world: world{until: 90 * time.Second}, broken: "line 17: it was changed"},
	{name: "by_hand", plan: calm, open: opened(func(o *guard.Opened) { o.Purpose = guard.ToRollback }), kind: incident.OfRollback, world: world{}},
	{name: "restored", plan: restoring, open: opened(nil), kind: incident.OfIncident, world: world{bad: .05, stays: true, until: time.Hour}},
	{name: "blind", plan: strings.Replace(responding, "  verify:", "  blind: {then: rollback}\n  verify:", 1), open: opened(nil), kind: incident.OfIncident, world: world{nobody: true, until: 30 * time.Minute}},
}

func written(t *testing.T, i int) (*incident.Report, map[string]string) {
	t.Helper()
	h := histories[i]
	w := h.world
	plan, records := play(t, h.plan, h.open, &w)
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	r, err := incident.New(incident.Account{Plan: plan, Records: records, Journal: ".golive/" + v2.ID + ".jsonl", Verify: "golive journal verify .golive/" + v2.ID + ".jsonl", Broken: h.broken, Ledger: &h.ledger, Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{}
	for _, in := range incident.Languages {
		for _, form := range []string{"markdown", "html", "json"} {
			var b bytes.Buffer
			if err := r.Write(&b, form, in); err != nil {
				t.Fatal(err)
			}
			forms[in+"."+form] = b.String()
		}
	}
	return r, forms
}

// The reports of made-up nights are as they were looked at, in both languages.
func TestReports(t *testing.T) {
	for i, h := range histories {
		t.Run(h.name, func(t *testing.T) {
			r, forms := written(t, i)
			if r.Kind != h.kind {
				t.Errorf("a report of kind %q, want %q", r.Kind, h.kind)
			}
			golden := []string{"en.markdown", "zh.markdown"}
			if h.name == "incident" {
				golden = append(golden, "en.html", "zh.html", "en.json")
			}
			for _, form := range golden {
				file := filepath.Join("testdata", h.name+"."+form)
				if *update {
					if err := os.WriteFile(file, []byte(forms[form]), 0o644); err != nil {
						t.Fatal(err)
					}
					continue
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), forms[form]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", file, diff)
				}
			}
		})
	}
}

// What is the same every time: byte for byte the same, no contact, no person, nothing that a form obeys, no other machine asked.
func TestEveryReport(t *testing.T) {
	person := regexp.MustCompile(`Ada Obi|Wang Fang|Mei Lin|hunter2`)
	contact := regexp.MustCompile(`7946|@shop\.test`)
	outside := regexp.MustCompile(`(?i)<script|src=|<link|@import|url\(|<iframe|javascript:`)
	for i, h := range histories {
		t.Run(h.name, func(t *testing.T) {
			_, forms := written(t, i)
			_, again := written(t, i)
			if diff := cmp.Diff(forms, again); diff != "" {
				t.Errorf("twice the same journal, and two reports (-first +second):\n%s", diff)
			}
			for form, text := range forms {
				for _, bad := range []*regexp.Regexp{person, contact} {
					if bad == person && h.plan == calm {
						continue // a name that stands in no roster is that of an account
					}
					if found := bad.FindString(text); found != "" {
						t.Errorf("%s names %q", form, found)
					}
				}
				if strings.HasSuffix(form, "html") {
					if found := outside.FindString(text); found != "" {
						t.Errorf("%s holds %q", form, found)
					}
					if n := strings.Count(text, "<svg"); n != strings.Count(text, `role="img"`) || n != strings.Count(text, "</desc>") {
						t.Errorf("%s has pictures without a description", form)
					}
				}
				if strings.Contains(text, "%!") || strings.Contains(text, "EXTRA") || strings.Contains(text, "MISSING") {
					t.Errorf("%s was not given the values that its words want", form)
				}
			}
			if !json.Valid([]byte(forms["en.json"])) {
				t.Error("the JSON is none")
			}
			if h.world.bad > 0 && h.open.Mode == guard.Enforce && !strings.Contains(forms["en.html"], "<svg") {
				t.Error("there is no picture")
			}
		})
	}
}

// A plan that names no time zone is told in UTC once, and a sign-off that it asks for and nobody has given is said to be missing.
func TestPlanInUTC(t *testing.T) {
	w := world{bad: .3}
	plan, records := play(t, strings.Replace(responding, "soak: 30s", "soak: 30s, sign_off: on_duty", 1), opened(nil), &w)
	r, err := incident.New(incident.Account{Plan: plan, Records: records, Ledger: &guard.Ledger{Missing: true}})
	if err != nil {
		t.Fatal(err)
	}
	for in, wants := range map[string][]string{
		"en": {"| moment | time (UTC) | record |", "- Signed off: not so far by on duty, whom the plan asks"},
		"zh": {"| 时刻 | 时间（UTC） | 记录 |", "- 业务确认: 值班人员尚未确认（预案要求）"},
	} {
		var b bytes.Buffer
		if err := r.Write(&b, "markdown", in); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", in, want, b.String())
			}
		}
	}
}

// What cannot be reported is said.
func TestNothingToReport(t *testing.T) {
	_, err := incident.New(incident.Account{Journal: "x.jsonl"})
	if err == nil || !strings.Contains(err.Error(), "x.jsonl holds no record") {
		t.Errorf("got %v", err)
	}
}

// The counts, and what follows from them, by hand.
func TestImpact(t *testing.T) {
	r, _ := written(t, 0)
	for _, h := range r.Impact.Signals {
		if want := h.Bad - h.BaselineBad/h.Baseline*h.Requests; !h.Compared || h.Excess != want || want <= 0 {
			t.Errorf("%s: excess %g, want %g > 0", h.Signal, h.Excess, want)
		}
	}
	if len(r.Impact.Signals) != 2 {
		t.Errorf("%d signals, want 2: %+v", len(r.Impact.Signals), r.Impact.Signals)
	}
	e := r.Impact.Estimate
	if e == nil || e.Excess != e.Worse*e.Rate*e.Seconds || e.Seconds != .5*30+300 {
		t.Errorf("estimate %+v, want half of 30 s and 5 minutes of the whole traffic", e)
	}
	if s := r.Spans; len(s) != 4 || !s[0].Known || !s[1].Known || !s[2].Known || !s[3].Known || s[2].Took <= s[0].Took || s[3].Took < s[1].Took {
		t.Errorf("spans %+v", s)
	}
}

// about is the report on the first of histories, by another plan and of another account.
func about(t *testing.T, plan string, said []guard.Event, change func(*incident.Account)) (*incident.Report, string) {
	t.Helper()
	w := world{bad: .05, said: said}
	parsed, records := play(t, plan, opened(nil), &w)
	a := incident.Account{Plan: parsed, Records: records, Journal: "/srv/Li/shop.jsonl", Verify: "golive journal verify /srv/Li/shop.jsonl"}
	if change != nil {
		change(&a)
	}
	r, err := incident.New(a)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Write(&b, "json", ""); err != nil {
		t.Fatal(err)
	}
	return r, b.String()
}

// A person is named by the role, and nothing else is: no word that a name stands in, no path, no command.
func TestNames(t *testing.T) {
	plan := strings.NewReplacer("Wang Fang", "Li", "Ada Obi", "王芳", "Mei Lin", "Müller").Replace(responding)
	for text, want := range map[string]string{
		"Li flew to Lisbon with Lina, says Li.": "commander flew to Lisbon with Lina, says commander.",
		"Li's phone, (Li), Li-2, Li":            "commander's phone, (commander), commander-2, commander",
		"由Li批准，王芳同意":                            "由commander批准，on_duty同意",
		"Müller, not Müllers or Obermüller":     "deputy, not Müllers or Obermüller",
		"Li\u0301 and Li2 are others":           "Li\u0301 and Li2 are others",
	} {
		r, _ := about(t, plan, []guard.Event{after(time.Minute, guard.Noted{By: "Li", Text: text})}, nil)
		if len(r.Notes) != 1 || r.Notes[0].With[0] != want || r.Notes[0].Who != "commander" {
			t.Errorf("%q: %+v, want %q", text, r.Notes, want)
		}
		if r.Journal.Name != "/srv/Li/shop.jsonl" || r.Journal.Verify != "golive journal verify /srv/Li/shop.jsonl" {
			t.Errorf("the journal is %+v", r.Journal)
		}
	}
}

// A report that is being filed says so of itself, and holds no other record for it.
func TestFiling(t *testing.T) {
	over := []guard.Event{after(40*time.Minute, guard.Stated{What: guard.StateStandDown, Text: "quiet", By: "Wang Fang"})}
	before, _ := about(t, responding, over, nil)
	at := start.Add(50 * time.Minute)
	filed, _ := about(t, responding, over, func(a *incident.Account) {
		a.Filing = guard.Event{At: at, Fact: guard.Stated{What: guard.StateFiled, By: "Ada Obi"}}
	})
	standing := func(r *incident.Report) string {
		for _, o := range r.Owed {
			if o.Kind == guard.DueFiled {
				return o.Standing
			}
		}
		return ""
	}
	if before.Status != incident.Draft || !before.Filed.IsZero() || standing(before) != "open" {
		t.Errorf("before: %s, filed %s, the obligation %s", before.Status, before.Filed, standing(before))
	}
	if filed.Status != incident.InReview || !filed.Filed.Equal(at) || standing(filed) != "met" {
		t.Errorf("filed: %s, filed %s, the obligation %s", filed.Status, filed.Filed, standing(filed))
	}
	if diff := cmp.Diff(before.Journal, filed.Journal); diff != "" || len(before.Timeline) != len(filed.Timeline) || len(before.Told) != len(filed.Told) {
		t.Errorf("the journal is another (-before +filed):\n%s", diff)
	}
}

// A report is closed when nothing is missing and something was learned, and no ledger can say that it was filed.
func TestClosed(t *testing.T) {
	said := []guard.Event{
		after(40*time.Minute, guard.Stated{What: guard.StateStandDown, Text: "quiet", By: "Wang Fang"}),
		after(50*time.Minute, guard.Stated{What: guard.StateFiled, Subject: "ab", By: "Ada Obi"}),
	}
	learned := after(55*time.Minute, guard.Stated{What: guard.StateLearned, Text: "nothing", By: "Ada Obi"})
	r, _ := about(t, responding, append(slices.Clone(said), learned), nil)
	if len(r.Missing) == 0 || r.Status != incident.InReview {
		t.Errorf("with %d fields missing it is %s", len(r.Missing), r.Status)
	}
	said = append(said, after(51*time.Minute, guard.Stated{What: guard.StateCause, Text: "a pool", By: "Ada Obi"}),
		after(51*time.Minute, guard.Stated{What: guard.StateAction, Text: "a test", Class: "prevent", Subject: "technical_lead", Due: start.AddDate(0, 0, 28), By: "Ada Obi"}))
	for _, field := range guard.Fields {
		said = append(said, after(52*time.Minute, guard.Stated{What: guard.StateAnswer, Subject: field, Text: "this", By: "Ada Obi"}))
	}
	for want, all := range map[incident.Status][]guard.Event{incident.Reviewed: said, incident.Closed: append(slices.Clone(said), learned)} {
		if r, _ := about(t, responding, all, nil); r.Status != want {
			t.Errorf("it is %s, want %s; missing is %v", r.Status, want, r.Missing)
		}
	}
	r, _ = about(t, responding, nil, func(a *incident.Account) {
		a.Ledger = &guard.Ledger{Entries: []guard.Entry{{At: start, Act: guard.Settled, Kind: guard.KindReport, Settles: "report-" + v2.ID, By: "Ada Obi"}}}
	})
	if !r.Filed.IsZero() || r.Status != incident.Draft {
		t.Errorf("by a ledger alone it was filed at %s, and is %s", r.Filed, r.Status)
	}
}

// What is not seen is not said to be missing.
func TestLedgerOfAnother(t *testing.T) {
	for want, ledger := range map[string]*guard.Ledger{"unseen": nil, "missing": {Missing: true}, "": {}} {
		r, _ := about(t, responding, nil, func(a *incident.Account) { a.Ledger = ledger })
		if r.LedgerFault != want {
			t.Errorf("%+v: the fault is %q, want %q", ledger, r.LedgerFault, want)
		}
		var b strings.Builder
		if err := r.Write(&b, "markdown", "en"); err != nil {
			t.Fatal(err)
		}
		if says := strings.Contains(b.String(), "There is no ledger"); says != (want == "missing") {
			t.Errorf("%q: it says that there is no ledger: %v", want, says)
		}
	}
}

// A state that a channel shows is nobody's notice, whether it arrived or not.
func TestShownIsNotTold(t *testing.T) {
	source := strings.Replace(responding, "notify: [", "notify: [{use: board, progress: true}, ", 1)
	for _, w := range []world{{bad: .05, until: 30 * time.Minute}, {bad: .05, until: 30 * time.Minute, fails: "guard.Tell", trouble: 40 * time.Second}} {
		plan, records := play(t, source, opened(nil), &w)
		r, err := incident.New(incident.Account{Plan: plan, Records: records, Journal: "x.jsonl", Zone: time.UTC})
		if err != nil {
			t.Fatal(err)
		}
		news := 0
		for _, told := range r.Told {
			if !strings.HasPrefix(told.Channel, "board") {
				continue
			}
			if news++; told.Audience == "" {
				t.Errorf("the report has the notice %+v", told)
			}
		}
		if news == 0 {
			t.Error("the board was told nothing of the incident")
		}
	}
}
