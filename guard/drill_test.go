package guard_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// drilled is an exercise that was passed, with something of everything in it.
func drilled() guard.Exercise {
	began := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	return guard.Exercise{
		ID: "d", Kind: "rollback", Began: began, Ended: began.Add(time.Hour),
		Before: []guard.Finding{{Verdict: guard.Pass}}, After: []guard.Finding{{Verdict: guard.Pass}, {Verdict: guard.Warn}},
		Injects: []guard.Inject{{What: "v2 fails", Expected: "it goes back", Observed: "it went back", Met: true}},
		Took:    guard.Spans{Detect: 1, Activate: 2, Contain: 3, Recover: guard.Duration(5 * time.Minute), Lost: guard.Duration(time.Hour)},
		Targets: guard.Spans{Detect: 1, Activate: 2, Contain: 3, Recover: guard.Duration(5 * time.Minute), Lost: guard.Duration(time.Hour)},
		Owed: []guard.Obligation{
			{Kind: guard.DueActivate, Role: "commander", Since: began, Until: began.Add(time.Minute), Met: began.Add(time.Minute)},
			{Kind: guard.DueVendor, Role: "comms", Since: began, Until: began.Add(time.Minute), Waived: "the cause is known"},
		},
		Undone: []guard.Finding{{Verdict: guard.Pass}},
	}
}

// worse are the things that may go wrong with an exercise, each with a part of what is said about it.
var worse = []struct {
	name, says string
	make       func(*guard.Exercise)
}{
	{"aborted", "it was not carried through: a rollout is under way", func(e *guard.Exercise) { e.Aborted = "a rollout is under way" }},
	{"not steady before", "before it was not steady: too many errors", func(e *guard.Exercise) {
		e.Before = append(e.Before, guard.Finding{Verdict: guard.Fail, Reason: "too many errors"})
	}},
	{"not known whether steady before", "before it was not steady: errors is unknown", func(e *guard.Exercise) {
		e.Before = append(e.Before, guard.Finding{Title: "errors"})
	}},
	{"not steady afterwards", "afterwards it was not steady: too slow", func(e *guard.Exercise) {
		e.After = append(e.After, guard.Finding{Verdict: guard.Waiting, Reason: "too slow"})
	}},
	{"too late noticed", "it took 2s until it was noticed", func(e *guard.Exercise) { e.Took.Detect = guard.Duration(2 * time.Second) }},
	{"too late led", "until somebody led", func(e *guard.Exercise) { e.Took.Activate += 1e6 }},
	{"too late contained", "until it did no more harm", func(e *guard.Exercise) { e.Took.Contain += 1e6 }},
	{"a bit too late", "until the service was well again, and may take 5m", func(e *guard.Exercise) { e.Took.Recover++ }},
	{"a bit too much lost", "and no more than that of 1h may be", func(e *guard.Exercise) { e.Took.Lost++ }},
	{"breached", "initial_report, owed by comms until 2026-11-24T03:01:00Z, was breached", func(e *guard.Exercise) {
		e.Owed = append(e.Owed, guard.Obligation{Kind: guard.DueReport, Role: "comms", Until: e.Began.Add(time.Minute)})
	}},
	{"met late", "recovered, owed by commander until 2026-11-24T03:01:00Z, was met late", func(e *guard.Exercise) {
		e.Owed = append(e.Owed, guard.Obligation{Kind: guard.DueRecover, Role: "commander", Until: e.Began.Add(time.Minute), Met: e.Began.Add(time.Minute + 1)})
	}},
	{"open", "report_filed, owed by scribe until 2026-11-25T03:00:00Z, was not met", func(e *guard.Exercise) {
		e.Owed = append(e.Owed, guard.Obligation{Kind: guard.DueFiled, Role: "scribe", Until: e.Began.Add(24 * time.Hour)})
	}},
	{"waived too late", "vendor, owed by comms until 2026-11-24T03:01:00Z, was breached", func(e *guard.Exercise) {
		e.Owed = append(e.Owed, guard.Obligation{Kind: guard.DueVendor, Role: "comms", Until: e.Began.Add(time.Minute), Waived: "known", Passed: true})
	}},
	{"other than expected", "the database hangs: expected was a page, seen was nothing", func(e *guard.Exercise) {
		e.Injects = append(e.Injects, guard.Inject{What: "the database hangs", Expected: "a page", Observed: "nothing"})
	}},
	{"left behind", "not everything was put back: v2 still has 1 % of the traffic", func(e *guard.Exercise) {
		e.Undone = append(e.Undone, guard.Finding{Verdict: guard.Fail, Reason: "v2 still has 1 % of the traffic"})
	}},
}

func TestExerciseResult(t *testing.T) {
	if verdict, against := drilled().Result(); verdict != guard.Pass || len(against) > 0 {
		t.Errorf("all is well: %s %q", verdict, against)
	}
	for _, w := range worse {
		t.Run(w.name, func(t *testing.T) {
			e := drilled()
			w.make(&e)
			verdict, against := e.Result()
			if verdict != guard.Fail || len(against) != 1 || !strings.Contains(against[0], w.says) {
				t.Errorf("%s %q, want fail and one reason with %q", verdict, against, w.says)
			}
		})
	}
	for name, change := range map[string]func(*guard.Exercise){
		"nobody looked afterwards": func(e *guard.Exercise) { e.After = nil },
		"nobody took the time":     func(e *guard.Exercise) { e.Took.Recover = 0 },
	} {
		e := drilled()
		if change(&e); true {
			if verdict, against := e.Result(); verdict != guard.Fail || len(against) != 1 || !strings.HasPrefix(against[0], "nobody has ") {
				t.Errorf("%s: %s %q", name, verdict, against)
			}
		}
	}
	aims := drilled()
	aims.Targets, aims.Took.Recover = guard.Spans{}, 0
	if verdict, against := aims.Result(); verdict != guard.Pass {
		t.Errorf("where the plan sets no aims: %s %q", verdict, against)
	}
}

// TestExerciseOnlyGetsWorse adds what goes wrong, in any order, to an exercise: none is passed again by it, and nothing
// that spoke against it is forgotten, but for times that a drill that was not carried through cannot have.
func TestExerciseOnlyGetsWorse(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same each time
		e, before, done := drilled(), 0, ""
		for range 1 + random.IntN(8) {
			w := worse[random.IntN(len(worse))]
			w.make(&e)
			done += ", " + w.name
			verdict, against := e.Result()
			if verdict != guard.Fail || len(against) < before {
				t.Fatalf("seed %d: after %s it is %s, with %d against it, and before with %d", seed, done[2:], verdict, len(against), before)
			}
			before = len(against)
		}
	}
}

// FuzzExercise holds any exercise that JSON can hold to the same.
func FuzzExercise(f *testing.F) {
	for i := range worse {
		e := drilled()
		worse[i].make(&e)
		text, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, i)
	}
	f.Fuzz(func(t *testing.T, text []byte, i int) {
		var e guard.Exercise
		if json.Unmarshal(text, &e) != nil {
			return
		}
		w := worse[max(0, i%len(worse))]
		w.make(&e)
		if strings.Contains(w.says, "it took") || strings.Contains(w.says, "until ") || strings.Contains(w.says, "no more than") {
			e.Took, e.Targets = guard.Spans{2, 2, 2, 2, 2}, guard.Spans{1, 1, 1, 1, 1} // what it bounds, it may not bound
		}
		if verdict, against := e.Result(); verdict != guard.Fail || len(against) == 0 {
			t.Errorf("%s: %s, want fail", w.name, verdict)
		}
	})
}

// TestDrillIsNotPassedByWord refuses an entry whose exercise says something else.
func TestDrillIsNotPassedByWord(t *testing.T) {
	e := drilled()
	entry := guard.Entry{At: e.Ended, Act: guard.Result, Kind: "drill.rollback", Outcome: guard.Pass, Exercise: &e}
	if err := entry.Check(); err != nil {
		t.Errorf("a drill that was passed: %v", err)
	}
	e.Aborted = "Ctrl-C"
	if err := entry.Check(); err == nil || !strings.Contains(err.Error(), "a drill is not passed because somebody says so: it was not carried through: Ctrl-C") {
		t.Errorf("a drill that was aborted: %v", err)
	}
	entry.Outcome = guard.Fail
	if err := entry.Check(); err != nil {
		t.Errorf("and says so: %v", err)
	}
}

// TestMethodOfDrills changes a plan where a drill is about, and where it is not.
func TestMethodOfDrills(t *testing.T) {
	const small = `service: shop
rollout: {backend: {use: http, with: {url: "http://a"}}, steps: [10, 100]}
watch: {source: {use: scrape}, signals: [{name: errors, total: requests, bad: failures}]}
`
	parse := func(text string) *guard.Plan {
		p, err := guard.ParsePlan("golive.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		kind, subject, chapter string
		changed                bool
	}{
		{"drill.tabletop", "crash", "severity: [{level: 1, when: down}]", true},
		{"drill.tabletop", "crash", "escalate: [{after: 5m, to: commander}]", true},
		{"drill.tabletop", "crash", "recovery: {soak: 5m}", true},
		{"drill.tabletop", "crash", "scenarios: [{name: crash, action: restart}]", true},
		{"drill.tabletop", "crash", "scenarios: [{name: attack, action: block}]", false},
		{"drill.tabletop", "", "scenarios: [{name: attack, action: block}]", true},
		{"drill.tabletop", "crash", "objectives: {rto: 5m}", true},
		{"drill.tabletop", "crash", "owner: ada", false},
		{"drill.scenario", "crash", "severity: [{level: 1, when: down}]", true},
		{"drill.notify", "", "notify: [{use: stdout}]", true},
		{"drill.notify", "", "roster: {people: [{name: Ada, role: commander}]}", true},
		{"drill.notify", "", "roster: {verified: 2026-11-01}", false},
		{"drill.notify", "", "escalate: [{after: 5m, to: commander}]", true},
		{"drill.notify", "", "severity: [{level: 1, when: 'true', activate: 5m}]", true},
		{"drill.notify", "", "recovery: {soak: 5m}", false},
		{"drill.rollback", "", "recovery: {soak: 5m}", true},
		{"drill.rollback", "", "recovery: {contain: {use: command, with: {run: ./stop}}}", true},
		{"drill.rollback", "", "recovery: {ramp: [{use: command, with: {run: ./open}}]}", true},
		{"drill.rollback", "", "recovery: {sign_off: business}", false},
		{"drill.rollback", "", "severity: [{level: 1, when: down}]", false},
		{"drill.failover", "", "recovery: {resorts: [{name: other, do: {use: command, with: {run: ./over}}}]}", true},
		{"drill.failover", "", "recovery: {soak: 5m}", false},
		{"drill.live", "", "severity: [{level: 1, when: down}]", false},
	} {
		t.Run(fmt.Sprint(c.kind, " ", c.subject, " ", c.chapter), func(t *testing.T) {
			before, after := parse(small).Method(c.kind, c.subject), parse(small+c.chapter).Method(c.kind, c.subject)
			if (before != after) != c.changed {
				t.Errorf("changed: %v, want %v", before != after, c.changed)
			}
		})
	}
}
