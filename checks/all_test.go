package checks

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

// now is the time of every scene: three in the morning.
var now = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// whole is a plan that makes every check ask for everything that it can ask for.
const whole = `
plugins: [{name: flags}]
rollout:
  backend: {use: command, with: {inspect: "haproxyctl show", shift: ./shift.sh}}
  needs: [haproxy, deploy-account]
  steps:
    - {percent: 1, name: our own people, goal: orders work, risk: old clients, at_least: 1h}
    - {percent: 5, name: one region, goal: the load is as computed, risk: the database, at_least: 1h}
    - 100
  bake: {for: 1h}
watch:
  source: {use: scrape}
  every: 5s
  signals:
    - {name: errors, total: requests, bad: failures, never: 5%}
    - {name: latency, histogram: seconds, never: {p99: 1s}}
    - {name: queue, value: depth, never: {above: 100}}
data:
  - name: orders
    critical: true
    owner: Ada Obi
    schedule: 1h
    retention: 30d
    migrations: irreversible
    forward_only: the new version gets a correction
    backups: [{use: file, medium: disk}, {use: restic, medium: object-store, offsite: true}]
    restore: {use: command, with: {run: ./restore.sh, verify: ./compare.sh}, expected: 20m}
scenarios:
  - {name: bad_release, trigger: golive goes back, owner: technical_lead, action: find out why, within: 1h}
  - {name: crash, trigger: an alert, owner: on_duty, action: restart it, within: 10m}
  - {name: network, trigger: an alert, owner: on_duty, action: call the provider, within: 15m}
  - {name: hardware, accept: the provider replaces machines by itself}
  - {name: data_loss, trigger: a customer, owner: technical_lead, action: restore it, within: 30m}
  - {name: data_leak, trigger: a report, owner: commander, action: stop the service, within: 10m}
  - {name: vulnerability, trigger: an advisory, owner: technical_lead, action: decide on a fix, within: 1d}
  - {name: attack, trigger: an alert, owner: commander, action: block it, within: 10m}
  - {name: operator_error, trigger: whoever did it, owner: on_duty, action: say so, within: 5m}
  - {name: vendor_outage, trigger: an alert, owner: deputy, action: call the vendor, within: 15m}
clauses: [cross_border, third_party]
owner: release-engineering
reviewed: 2026-10-12
objectives: {rto: 30m, rpo: 1d}
calendar:
  allowed: ["Mon-Fri 09:00-16:00 Asia/Shanghai"]
  freezes: [{from: 2026-12-20, to: 2027-01-03, reason: year-end closing}]
roster:
  verified: 2026-11-01
  owners: {domain: Ada Obi, datacentre: Luis Vega, customers: Tom Reed, public_relations: PayCo}
  skills: [postgres]
  people:
    - {name: Wang Fang, role: commander, tz: Asia/Shanghai, reach: [{phone: "+44 20 7946 0005"}, {email: wf@shop.test}]}
    - {name: Ada Obi, role: deputy, tz: Europe/London, on_call: true, reach: [{phone: "+44 20 7946 0001"}, {email: ada@shop.test}]}
    - {name: Luis Vega, role: technical_lead, tz: Europe/London, skills: [postgres], reach: [{email: luis@shop.test}, {slack: "@luis"}]}
    - {name: Mei Lin, role: on_duty, tz: Asia/Shanghai, reach: [{phone: "+44 20 7946 0004"}, {email: mei@shop.test}]}
    - {name: Tom Reed, role: comms, tz: Europe/London, reach: [{phone: "+44 20 7946 0003"}, {url: "https://shop.test/tom"}]}
  shifts: {file: oncall.ics}
  vendors:
    - {name: PayCo, reach: [{phone: "+44 808 157 0123"}], contract: {id: C-118, until: 2027-12-31}, sla: {respond: 15m, hours: 24x7}}
depends_on: [payments]
risks: [{risk: caches are cold, likelihood: high, impact: low, response: the first step is small}]
severity:
  - {level: 1, when: errors > 20%, lead: commander, page: everyone}
  - {level: 2, when: errors > 5%, lead: technical_lead, page: [commander, on_duty]}
  - {level: 3, when: "true", lead: on_duty, page: on_duty}
escalate: [{after: 15m, to: commander}, {after: 60m, to: [PayCo, customer, management]}]
messages:
  - {scenario: any, audience: customer, text: "{{.Nature}} {{.Scope}} {{.Progress}} {{.ETA}} {{.NextUpdate}}"}
  - {scenario: any, audience: management, text: "{{.Nature}} {{.Scope}} {{.Progress}} {{.ETA}} {{.NextUpdate}}"}
inventory: [{name: disks, kind: spare, quantity: 4, minimum: 2, owner: Ada Obi, contact: room 4, priority: 1, expires: 2028-01-31}]
drills: [{name: restore, every: 7d, data: orders}, {name: live, every: 92d}]
evidence: {collect: [{use: command, with: {run: journalctl -u shop}}]}
notify: [{use: http, with: {url: "https://chat.test/${CHAT}"}}, {use: http, with: {url: "https://pager.test/v1"}}]
`

// parse reads a plan of the service shop, from no file, so that remedies name places without line and column.
// A chapter rollout or watch that it lacks is filled in.
func parse(t *testing.T, chapters string) *guard.Plan {
	t.Helper()
	source := "service: shop" + chapters
	if !strings.Contains(source, "\nrollout:") {
		source += "\nrollout: {backend: {use: http}, steps: [10, 100]}"
	}
	if !strings.Contains(source, "\nwatch:") {
		source += "\nwatch: {source: {use: scrape}, signals: [{name: errors, total: requests, bad: failures}]}"
	}
	plan, err := guard.ParsePlan("", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// scene is a release of v2 over v1 with this plan, in a world that gives this answer to every question.
func scene(t *testing.T, chapters string, answer guard.Answer) guard.Scene {
	t.Helper()
	return guard.Scene{
		Plan:    parse(t, chapters),
		Release: guard.Release{ID: "r1", Service: "shop", Environment: "production", From: "v1", To: "v2"},
		Now:     now,
		Ask:     func(context.Context, guard.Question) (guard.Answer, error) { return answer, nil },
	}
}

// good is a world without trouble for the whole plan.
func good() guard.Answer {
	return guard.Answer{
		Standing: guard.Standing{Undo: guard.Undo{Open: true}},
		Readings: []guard.Reading{traffic(now, 100_000), traffic(now.Add(10*time.Second), 150_000)},
		Clock:    guard.Skew{Ahead: 300 * time.Millisecond, Within: 520 * time.Millisecond},
		Backups: []guard.Backup{
			{ID: "nightly", Ended: now.Add(-time.Hour), Bytes: 3 << 20},
			{ID: "the one before", Ended: now.Add(-25 * time.Hour), Bytes: 2 << 20},
		},
		Path:    "/usr/bin/tool",
		Finding: guard.Finding{Verdict: guard.Pass, Title: "the probe is content", Expected: "a yes", Observed: "yes"},
		Ledger:  &guard.Ledger{},
		Plans:   []string{},
		Text:    calendar("SUMMARY:On duty: Mei Lin", "DTSTART;TZID=Asia/Shanghai:20261102T080000", "DURATION:PT12H", "RRULE:FREQ=DAILY"),
	}
}

// calendar is an iCalendar file of one event.
func calendar(lines ...string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261101T000000Z\r\n" +
		strings.Join(lines, "\r\n") + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
}

// traffic is a healthy reading of the whole plan after that many requests.
func traffic(at time.Time, requests float64) guard.Reading {
	depth := 3.
	return guard.Reading{At: at, Series: []guard.Series{
		{Signal: "errors", Arm: guard.Baseline, At: at, Total: requests, Bad: requests / 100},
		{Signal: "latency", Arm: guard.Baseline, At: at, Total: requests, Bounds: []float64{0.1, 1}, Buckets: []float64{requests * 0.9, requests}},
		{Signal: "queue", Arm: guard.Baseline, At: at, Value: &depth},
	}}
}

// goodScene is a release by the whole plan in a world without trouble. Whatever the checks miss in the ledger, and
// whomever they miss to ask, was added as they say: a remedy has to be one that works when it is typed.
func goodScene(t *testing.T) guard.Scene {
	t.Helper()
	remedied := followed()
	s := scene(t, whole+remedied.settings, guard.Answer{})
	var l guard.Ledger
	for _, e := range remedied.entries {
		e.Plan, e.Method = s.Plan.Digest(), s.Plan.Method(e.Kind, e.Subject)
		l.Entries = append(l.Entries, e)
	}
	l.Others = map[string]guard.Ledger{"payments": {}} // which the plan depends on
	s.Ask = answering(&l)
	return s
}

// answering gives each question exactly what it asks for.
func answering(l *guard.Ledger) func(context.Context, guard.Question) (guard.Answer, error) {
	return func(_ context.Context, q guard.Question) (guard.Answer, error) {
		switch a := good(); {
		case q.Standing:
			return guard.Answer{Standing: a.Standing}, nil
		case q.Readings > 0:
			return guard.Answer{Readings: a.Readings[:q.Readings]}, nil
		case q.Clock:
			return guard.Answer{Clock: a.Clock}, nil
		case q.Backups != nil:
			return guard.Answer{Backups: a.Backups}, nil
		case q.Tool != "":
			return guard.Answer{Path: a.Path}, nil
		case q.File != "":
			return guard.Answer{Text: a.Text}, nil
		case q.Probe != nil, q.Restore != nil:
			return guard.Answer{Finding: a.Finding}, nil
		case q.Plans:
			return guard.Answer{Plans: a.Plans}, nil
		case q.Ledger:
			return guard.Answer{Ledger: l}, nil
		}
		return guard.Answer{}, fmt.Errorf("nobody can answer %+v", q)
	}
}

// A remedy is what was done about the findings of the first look.
type remedy struct {
	settings string
	entries  []guard.Entry
}

var (
	toAsk     = regexp.MustCompile(`^write (\S+): (\{ask: .*\}) in checks\.settings$`)
	toRecord  = regexp.MustCompile(`golive record (\S+)(?: --subject ("[^"]*"|\S+))?`)
	toAttest  = regexp.MustCompile(`golive attest (\S+) --by ("[^"]*"|\S+) --says WHAT(?: --subject ("[^"]*"|\S+))?`)
	toRestore = regexp.MustCompile(`golive drill restore --data (\S+)`)
	toDrill   = regexp.MustCompile(`golive drill (tabletop|rollback|notify)(?: --scenario (\S+))?`)
)

// followed does what the remedies say, once.
var followed = sync.OnceValue(func() (r remedy) {
	plan, err := guard.ParsePlan("", []byte("service: shop"+whole))
	if err != nil {
		panic(err)
	}
	s := guard.Scene{
		Plan:    plan,
		Release: guard.Release{ID: "r1", Service: "shop", Environment: "production", From: "v1", To: "v2"},
		Now:     now,
		Ask:     answering(&guard.Ledger{}),
	}
	word := func(text string) string { return strings.Trim(text, `"`) }
	add := func(e guard.Entry) {
		e.At, e.Service, e.Took = now.Add(-time.Hour), "shop", guard.Duration(time.Minute)
		r.entries = append(r.entries, e)
	}
	for _, c := range All() {
		findings, err := c.Run(context.Background(), s)
		if err != nil {
			panic(err)
		}
		for _, f := range findings {
			if m := toAsk.FindStringSubmatch(f.Remedy); m != nil {
				r.settings += fmt.Sprintf("    %s: %s\n", m[1], m[2])
			}
			if m := toRecord.FindStringSubmatch(f.Remedy); m != nil {
				add(guard.Entry{Act: guard.Result, Kind: m[1], Subject: word(m[2]), Outcome: guard.Pass, By: "Ada Obi"})
			}
			if m := toAttest.FindStringSubmatch(f.Remedy); m != nil {
				by := word(m[2])
				if by == "NAME" {
					by = "Wang Fang" // who is the commander
				}
				subject := word(m[3])
				if subject == "" && m[2] != "NAME" {
					subject = by // their own
				}
				add(guard.Entry{Act: guard.Attested, Kind: m[1], Subject: subject, By: by, Says: "it is so", Until: now.AddDate(0, 1, 0)})
			}
			if m := toDrill.FindStringSubmatch(f.Remedy); m != nil {
				add(guard.Entry{Act: guard.Result, Kind: "drill." + m[1], Subject: m[2], Outcome: guard.Pass, By: "Ada Obi"})
			}
			if m := toRestore.FindStringSubmatch(f.Remedy); m != nil {
				restored := guard.Backup{ID: "nightly", Ended: now.Add(-2 * time.Hour)}
				add(guard.Entry{
					Act: guard.Result, Kind: "drill.restore", Subject: word(m[1]), Outcome: guard.Pass, By: "Ada Obi",
					Proof: &guard.Proof{Backup: restored, Rung: guard.RungVerified},
					Vault: vaultsOf(plan, word(m[1]))[0],
				})
			}
		}
	}
	if r.settings != "" {
		r.settings = "checks:\n  settings:\n" + r.settings
	}
	return r
})

func TestAllGood(t *testing.T) {
	for _, c := range All() {
		findings, err := c.Run(t.Context(), goodScene(t))
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		for _, f := range findings {
			if f.Verdict != guard.Pass {
				t.Errorf("%s: %q is %s: %s", c.ID, f.Title, f.Verdict, f.Reason)
			}
		}
	}
}

// A finding has the place in the plan that its remedy sends people to, so that editors and reviews show it there.
// A check says which keys of its setting it reads: those that change what it finds, and no others.
func TestReads(t *testing.T) {
	two := []guard.Part{{Use: "command"}, {Use: "http"}}
	s := goodScene(t)
	s.Plan.Attestations = []guard.Attestation{{Kind: "power", Within: days(31)}}
	ask := s.Ask
	s.Ask = func(ctx context.Context, q guard.Question) (guard.Answer, error) {
		answer, err := ask(ctx, q)
		if q.Ledger {
			for i := range answer.Ledger.Entries { // what was said about the plan was said about this one
				answer.Ledger.Entries[i].Plan = s.Plan.Digest()
			}
		}
		return answer, err
	}
	for _, c := range All() {
		for key, values := range map[string][]guard.Setting{
			"within": {{Within: guard.Duration(time.Second)}, {Within: days(3650)}},
			"least":  {{Least: 1000}},
			"ask":    {{Ask: two}},
		} {
			reads := false
			for _, value := range values {
				found := func(set bool) (all []string) {
					delete(s.Plan.Checks.Settings, c.ID)
					if set {
						s.Plan.Checks.Settings[c.ID] = value
					}
					findings, err := c.Run(t.Context(), s)
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range findings {
						all = append(all, strings.ReplaceAll(fmt.Sprint(f.Subject, f.Verdict, f.Reason, f.Expected), s.Plan.Digest(), "DIGEST"))
					}
					return all
				}
				reads = reads || !cmp.Equal(found(true), found(false))
			}
			if said := slices.Contains(c.Reads, key); said != reads {
				t.Errorf("%s reads %q of its setting: it says %t, and it is %t", c.ID, key, said, reads)
			}
		}
	}
	if err := goodScene(t).Plan.Fits(All()); err != nil {
		t.Errorf("what the remedies say cannot be set: %v", err)
	}
}

func TestPaths(t *testing.T) {
	source := "service: shop" + whole + followed().settings
	plan, err := guard.ParsePlan("golive.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(context.Context, guard.Question) (guard.Answer, error) {
		return guard.Answer{}, fmt.Errorf("permission denied")
	}
	empty := func(context.Context, guard.Question) (guard.Answer, error) { return guard.Answer{}, nil }
	written := regexp.MustCompile(`(\S+) \(golive\.yaml:(\d+:\d+)\)`)
	sent := 0
	for _, c := range All() {
		for _, ask := range []func(context.Context, guard.Question) (guard.Answer, error){goodScene(t).Ask, refused, empty} {
			s := goodScene(t)
			s.Plan, s.Ask = plan, ask
			findings, err := c.Run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range findings {
				if f.Path == "" {
					f.Path = c.Path // as the engine has it
				}
				at := plan.Position(f.Path)
				for _, place := range written.FindAllStringSubmatch(f.Reason+" "+f.Remedy, -1) {
					sent++
					if f.Path == "" {
						t.Errorf("%s: %q sends people to %s, and has no place itself", c.ID, f.Title, place[0])
					}
					if got, want := fmt.Sprintf("%d:%d", at.Line, at.Column), place[2]; f.Path != place[1] && got != want {
						t.Errorf("%s: %q is about %q, and sends people to %s", c.ID, f.Title, f.Path, place[0])
					}
				}
			}
		}
	}
	if sent < 10 {
		t.Errorf("only %d places are named", sent)
	}
}

// Whatever fails underneath, unknown is not a pass.
func TestUnknownIsNotAPass(t *testing.T) {
	for _, c := range All() {
		t.Run(c.ID, func(t *testing.T) {
			first := goodScene(t)
			first.Release.From = ""
			for _, s := range []guard.Scene{goodScene(t), first} {
				for _, problem := range checktest.Problems(t.Context(), c, s) {
					t.Error(problem)
				}
			}
		})
	}
}

// A title is a sentence that is true when all is well.
func TestTitles(t *testing.T) {
	sentence := regexp.MustCompile(`^\S+( \S+)* (is|are|can|stays) \S+( \S+)*[^.!?]$`)
	for _, c := range All() {
		if !sentence.MatchString(c.Title) {
			t.Errorf("%s: %q does not read as a sentence", c.ID, c.Title)
		}
		findings, err := c.Run(t.Context(), goodScene(t))
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		for _, f := range findings {
			if f.Title != "" && !sentence.MatchString(f.Title) {
				t.Errorf("%s: %q does not read as a sentence", c.ID, f.Title)
			}
		}
	}
}

func TestCodes(t *testing.T) {
	code, id := regexp.MustCompile(`^GL\d{3}$`), regexp.MustCompile(`^[a-z]+\.[a-z0-9_]+$`)
	ids := map[string]bool{}
	previous := ""
	for _, c := range All() {
		if !code.MatchString(c.Code) || c.Code <= previous {
			t.Errorf("%s does not follow %s", c.Code, previous)
		}
		if !id.MatchString(c.ID) || ids[c.ID] {
			t.Errorf("%s: %q is no ID of its own", c.Code, c.ID)
		}
		previous, ids[c.ID] = c.Code, true
	}
}

func TestNeeds(t *testing.T) {
	if err := guard.CheckNeeds(All()); err != nil {
		t.Error(err)
	}
}

func TestDocs(t *testing.T) {
	demand := regexp.MustCompile(`S(\d+)`)
	for _, c := range All() {
		if n := strings.Count(c.Doc, "\n\n") + 1; n < 4 {
			t.Errorf("%s: the doc has %d paragraphs, and needs what, why, how to mend it, and what it answers", c.Code, n)
		}
		if !strings.Contains(c.Doc, "To mend it, ") {
			t.Errorf("%s: the doc does not say how to mend it", c.Code)
		}
		var named []int
		_, answers, _ := strings.Cut(c.Doc, "\nIt answers ")
		for _, number := range demand.FindAllStringSubmatch(answers, -1) {
			n, _ := strconv.Atoi(number[1])
			named = append(named, n)
		}
		if len(named) == 0 || !slices.Equal(named, c.S) {
			t.Errorf("%s: the doc says that it answers S%v, and S is %v", c.Code, named, c.S)
		}
		if strings.Contains(c.Doc, "\t") {
			t.Errorf("%s: the doc is indented with tabs", c.Code)
		}
	}
}

// What a doc shows as a piece of a plan can be typed into one.
func TestDocsCanBeTyped(t *testing.T) {
	chapter := regexp.MustCompile(`(?m)^    (data|roster|watch|calendar):\n(?:^     .*\n)+`)
	shown := 0
	for _, c := range All() {
		for _, piece := range chapter.FindAllString(c.Doc, -1) {
			shown++
			piece = strings.ReplaceAll(piece, "\n    ", "\n")[4:]
			if strings.HasPrefix(piece, "watch:") {
				piece += "  source: {use: scrape}\n"
			}
			parse(t, "\n"+piece)
		}
	}
	if shown < 5 {
		t.Errorf("found %d pieces of a plan in the docs", shown)
	}
}

// A check is a variable of the package, and the table holds each of them.
func TestEveryCheckIsInTheTable(t *testing.T) {
	declared, table := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Name.Name == "All" // what others hold is theirs
			case *ast.ValueSpec:
				if len(n.Values) == 1 && makesCheck(n.Values[0]) {
					declared[n.Names[0].Name] = true
				}
			case *ast.CompositeLit:
				for _, e := range n.Elts {
					if name, ok := e.(*ast.Ident); ok && file == "all.go" {
						table[name.Name] = true
					}
				}
			}
			return true
		})
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(declared)), slices.Sorted(maps.Keys(table))); diff != "" || len(table) != len(All()) {
		t.Errorf("checks in the directory and in the table (-directory +table), which has %d:\n%s", len(All()), diff)
	}
}

// makesCheck says whether an expression is guard.Check{...} or row(...).
func makesCheck(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		typ, ok := e.Type.(*ast.SelectorExpr)
		return ok && typ.Sel.Name == "Check"
	case *ast.CallExpr:
		name, ok := e.Fun.(*ast.Ident)
		return ok && name.Name == "row"
	}
	return false
}

// In the bubble time passes only while everybody sleeps, so a check that sleeps is seen, however short.
func TestNoSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := goodScene(t)
		start := time.Now()
		for _, c := range All() {
			if _, err := c.Run(t.Context(), s); err != nil {
				t.Errorf("%s: %v", c.ID, err)
			}
		}
		if slept := time.Since(start); slept != 0 {
			t.Errorf("all checks with instant answers slept for %s", slept)
		}
	})
}

// Slow vaults and tools are asked at once.
func TestAskedAtOnce(t *testing.T) {
	for _, c := range []guard.Check{backupAge, toolsPresent} {
		synctest.Test(t, func(t *testing.T) {
			s := goodScene(t)
			ask := s.Ask
			s.Ask = func(ctx context.Context, q guard.Question) (guard.Answer, error) {
				time.Sleep(time.Second)
				return ask(ctx, q)
			}
			start := time.Now()
			findings, err := c.Run(t.Context(), s)
			if err != nil || len(findings) != 2 {
				t.Fatalf("%s: %d findings, %v", c.ID, len(findings), err)
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("%s: two questions of a second each took %s", c.ID, took)
			}
		})
	}
}

// A panic in a part comes out where the engine catches it, and not in a goroutine where it would end golive.
func TestPanicsComeOut(t *testing.T) {
	s := goodScene(t)
	s.Ask = func(context.Context, guard.Question) (guard.Answer, error) { panic("the vault is on fire") }
	defer func() {
		if got := recover(); got != "the vault is on fire" {
			t.Errorf("recovered %v", got)
		}
	}()
	backupAge.Run(t.Context(), s)
}

func TestPlace(t *testing.T) {
	const source = "service: shop\nrollout: {backend: {use: http}, steps: [100]}\nwatch: {source: {use: scrape}, signals: [{name: errors, preset: promhttp}]}"
	plan, err := guard.ParsePlan("golive.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	at := plan.Position("rollout.backend")
	want := fmt.Sprintf("rollout.backend (golive.yaml:2:%d)", at.Column)
	if got := place(plan, "rollout.backend"); got != want {
		t.Errorf("place = %q, want %q", got, want)
	}
	if got, want := place(plan, "roster.people"), "roster.people (new, at golive.yaml:1:1)"; got != want {
		t.Errorf("place of what is not written = %q, want %q", got, want)
	}
}
