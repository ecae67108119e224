package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// mostRounds is how often a new user has to ask, at most, from golive init until golive says go.
const mostRounds = 6

// A deed is what somebody does who reads one remedy, and knows the service but not golive.
type deed struct {
	code  string
	says  string   // what the finding says to do: a part of its remedy, or of its reason if it has none
	at    string   // a part of the line of the plan to which the remedy sends; empty: it says what to type instead
	write []string // texts of the plan, and what takes the place of each, in turn
	typed string   // what is typed into a shell, after the plan is written
	waits bool     // nothing: another finding is mended first
}

// deeds are what follows from remedies. In the texts, CANARY, STABLE and TODAY stand for what the test fills in.
var deeds = []deed{
	{code: "GL010", says: "change calendar.allowed", at: "Mon-Thu", write: []string{`["Mon-Thu 09:00-16:00 UTC"]`, `[24x7]`}},
	{code: "GL101", says: "or else a name in data[0].name", at: "name: TODO", write: []string{"- name: TODO", "- name: orders"}},
	{
		code: "GL102", says: "run the backup of TODO by file now, or mend where it is looked for", at: "path: TODO",
		write: []string{"{path: TODO}", `{path: "backups/*.dump"}`}, typed: "mkdir -p backups && cp orders backups/1.dump",
	},
	{code: "GL103", says: "mend GL101 first: write it in data[0].name", at: "name: TODO", waits: true},
	{code: "GL103", says: "then: golive drill restore --data orders", typed: "golive drill restore --data orders"},
	{
		code: "GL106", says: "add restore: {use: command, with: {run: ", at: "name: TODO",
		write: []string{"# restore: {use: command, with: {run: ./restore.sh, verify: ./compare.sh}}", "restore: {use: command, with: {run: ./restore.sh, verify: ./compare.sh}}"},
	},
	{code: "GL406", says: "or begin one: golive ledger init", waits: true},
	{code: "GL802", says: "or begin one: golive ledger init", typed: "golive ledger init"},
	{code: "GL803", says: "or begin one: golive ledger init", waits: true},
	{code: "GL201", says: "mend the backend that is set up in rollout.backend", at: "use: command", write: moveTraffic},
	{code: "GL202", says: "mend the backend that is set up in rollout.backend", at: "use: command", write: moveTraffic},
	{
		code: "GL301", says: "write who is commander in roster.people[0].name", at: "role: commander",
		write: []string{
			"name: TODO, role: commander", "name: Wang Fang, role: commander", "name: TODO, role: deputy", "name: Ada Obi, role: deputy",
			"name: TODO, role: technical_lead", "name: Luis Vega, role: technical_lead", "name: TODO, role: on_duty", "name: Mei Lin, role: on_duty",
			"name: TODO, role: comms", "name: Luis Vega, role: comms",
		},
	},
	{
		code: "GL302", says: "write somebody else than the commander in roster.people[1].name", at: "role: deputy",
		write: []string{"name: TODO, role: deputy", "name: Ada Obi, role: deputy"},
	},
	{
		code: "GL303", says: "write {phone: NUMBER} and a way of another kind, such as {email: ADDRESS}, in roster.people[0].reach", at: "role: commander",
		write: []string{"{phone: TODO}, {email: TODO}", `{phone: "+44 20 7946 0001"}, {email: team@shop.test}`},
	},
	{code: "GL304", says: "write TODAY in roster.verified", at: "people:", write: []string{"# verified: YYYY-MM-DD", "verified: TODAY"}},
	{
		code: "GL305", says: "write who of the roster is there as on_duty in roster.shifts", at: "name: TODO, when",
		write: []string{"name: TODO, when", "name: Mei Lin, when"},
	},
	{
		code: "GL308", says: "write its name and {phone: NUMBER}", at: "- {name: TODO, reach",
		write: []string{"- {name: TODO, reach: [{phone: TODO}]}", `- {name: PayCo, reach: [{phone: "+44 808 157 0123"}]}`},
	},
	{code: "GL401", says: "name another in watch.source", at: "use: prometheus", write: readBoth},
	{code: "GL411", says: "name another in watch.source", at: "use: prometheus", write: readBoth},
	{code: "GL403", says: "because metrics.live (GL401) did not pass", waits: true},
	{code: "GL404", says: "because metrics.live (GL401) did not pass", waits: true},
	{
		code: "GL501", says: "write who is commander in roster.people[0].name", at: "role: commander",
		write: []string{"name: TODO, role: commander", "name: Wang Fang, role: commander"},
	},
	{code: "GL502", says: "write the name of the vendor", at: "to: [TODO", write: []string{"to: [TODO", "to: [PayCo"}},
}

// moveTraffic keeps the share of the new version in a file.
var moveTraffic = []string{
	"echo \"TODO: print the share of the traffic that $GOLIVE_TO has\" >&2\n        exit 1", `printf '{"percent":%s,"undo":{"open":true}}' "$(cat percent)"`,
	"echo \"TODO: give $GOLIVE_TO $GOLIVE_PERCENT % of the traffic\" >&2\n        exit 1", `echo "$GOLIVE_PERCENT" >percent`,
}

// readBoth follows the comment beside the source.
var readBoth = []string{
	"use: prometheus ", "use: scrape ",
	`{address: "http://localhost:1"}`, `{canary: ["CANARY"], stable: ["STABLE"]}`,
	"every: 10s", "every: 1s", // so that the test is over soon
}

// TestFirstGo is a new user: golive init for a bare service, then nothing but the remedies that golive prints, until it
// says go. A check that shuts the gate for a first plan needs a deed here, and a remedy that leads to it.
func TestFirstGo(t *testing.T) {
	u := arrive(t)
	u.types("golive init")
	u.types("sed -i.bak s/localhost:9090/localhost:1/ golive.yaml") // no Prometheus is here, whatever else runs on this machine
	for round := 1; ; round++ {
		findings := u.asks()
		if len(findings) == 0 {
			t.Logf("go in round %d", round)
			return
		}
		if round == mostRounds {
			t.Fatalf("still no go in round %d: %v", round, findings)
		}
		u.follows(findings)
	}
}

// A newcomer sits in the directory of a service that has two small servers with metrics, and a file for its traffic.
type newcomer struct {
	t     *testing.T
	dir   string
	words *strings.Replacer
	done  []int // the deeds
}

func arrive(t *testing.T) *newcomer {
	u := &newcomer{t: t, dir: filepath.Join(t.TempDir(), "shop")}
	if err := os.Mkdir(u.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"percent": "0\n", "errors": "0\n", "orders": "an order\n",
		"restore.sh": "#!/bin/sh\ncp \"$GOLIVE_BACKUP\" \"$GOLIVE_INTO/orders\"\n",
		"compare.sh": "#!/bin/sh\necho orders $(wc -l <orders) $(wc -l <\"$GOLIVE_INTO/orders\")\n",
	} {
		if err := os.WriteFile(filepath.Join(u.dir, name), []byte(text), 0o700); err != nil { //nolint:gosec // two are programs
			t.Fatal(err)
		}
	}
	s := &shop{dir: u.dir, seen: time.Now(), visits: map[string]float64{}, errors: map[string]float64{}}
	serve := func(arm, version string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			said := httptest.NewRecorder()
			r.URL.Path = "/" + arm
			s.ServeHTTP(said, r)
			fmt.Fprint(w, strings.NewReplacer("{", `{version="`+version+`",`).Replace(said.Body.String()))
		}))
		t.Cleanup(server.Close)
		return server.URL + "/metrics"
	}
	u.words = strings.NewReplacer("CANARY", serve("canary", "v2"), "STABLE", serve("stable", "v1"), "TODAY", time.Now().UTC().Format(time.DateOnly))
	return u
}

// asks whether the release may go live, and returns what says no.
func (u *newcomer) asks() (blocking []guard.Finding) {
	u.t.Helper()
	cmd := u.shell("golive check --from v1 --to v2 -o json")
	said, _ := cmd.Output() // no-go has an exit code, which the findings explain
	var answer struct {
		Verdict  guard.Verdict   `json:"verdict"`
		Findings []guard.Finding `json:"findings"`
	}
	if err := json.Unmarshal(said, &answer); err != nil {
		u.t.Fatalf("golive check: %v: %s%s", err, said, cmd.Stderr)
	}
	for _, f := range answer.Findings {
		if f.Verdict != guard.Pass && f.Verdict != guard.Warn {
			blocking = append(blocking, f)
		}
	}
	if ok := answer.Verdict == guard.Pass || answer.Verdict == guard.Warn; ok != (len(blocking) == 0) || len(answer.Findings) == 0 {
		u.t.Fatalf("the verdict is %s with %d findings, %d of which block", answer.Verdict, len(answer.Findings), len(blocking))
	}
	return blocking
}

// follows the remedies of one round: all that is to be written is written first, and then typed what is to be typed.
func (u *newcomer) follows(findings []guard.Finding) {
	u.t.Helper()
	path := filepath.Join(u.dir, "golive.yaml")
	plan, err := os.ReadFile(path)
	if err != nil {
		u.t.Fatal(err)
	}
	before, after := strings.Split(string(plan), "\n"), string(plan)
	var now []int
	for _, f := range findings {
		i := slices.IndexFunc(deeds, func(d deed) bool {
			return d.code == f.Code && strings.Contains(f.Remedy+f.Reason, u.words.Replace(d.says))
		})
		switch {
		case i < 0:
			u.t.Fatalf("nobody has learned what to do about %s: %s\n  remedy: %s", f.Code, f.Reason, f.Remedy)
		case slices.Contains(u.done, i):
			u.t.Fatalf("%s still says no when its remedy was followed: %s\n  remedy: %s", f.Code, f.Reason, f.Remedy)
		}
		d := deeds[i]
		u.placed(f, d, before)
		for w := 0; w < len(d.write); w += 2 {
			after = strings.ReplaceAll(after, d.write[w], u.words.Replace(d.write[w+1]))
		}
		now = append(now, i)
	}
	if err := os.WriteFile(path, []byte(after), 0o600); err != nil {
		u.t.Fatal(err)
	}
	for _, i := range now {
		if deeds[i].typed != "" {
			u.types(deeds[i].typed)
		}
	}
	u.done = append(u.done, now...)
}

var placeOf = regexp.MustCompile(`golive\.yaml:(\d+):(\d+)\)`)

// placed holds a remedy to naming the line and column where its deed is done, or what to type.
func (u *newcomer) placed(f guard.Finding, d deed, plan []string) {
	u.t.Helper()
	if d.at == "" {
		if command, _, _ := strings.Cut(d.typed, " && "); !d.waits && !strings.Contains(f.Remedy, command) {
			u.t.Errorf("%s: the remedy %q does not say to type %s", f.Code, f.Remedy, command)
		}
		return
	}
	place := placeOf.FindStringSubmatch(f.Remedy)
	if place == nil {
		u.t.Fatalf("%s: the remedy %q names no place", f.Code, f.Remedy)
	}
	line, _ := strconv.Atoi(place[1])
	column, _ := strconv.Atoi(place[2])
	if line > len(plan) || column > len(plan[line-1]) || !strings.Contains(plan[line-1], d.at) {
		u.t.Errorf("%s: the remedy %q sends to another place than that of %q", f.Code, f.Remedy, d.at)
	}
}

func (u *newcomer) types(command string) {
	u.t.Helper()
	if said, err := u.shell(command).CombinedOutput(); err != nil {
		u.t.Fatalf("%s: %v: %s", command, err, said)
	}
}

func (u *newcomer) shell(command string) *exec.Cmd {
	cmd := exec.CommandContext(u.t.Context(), "sh", "-c", command)
	cmd.Dir = u.dir
	return cmd
}
