package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report/page"
)

// launch is a launch of checkout that had traffic, days ago.
func launch(days int, outcome guard.Outcome, change ...func(*Case)) Case {
	at := now.AddDate(0, 0, -days)
	c := Case{ID: "r", Service: "checkout", Environment: "prod", From: "v1", To: "v2", Purpose: guard.ToRollout, Began: at, Introduced: at, Outcome: outcome}
	for _, f := range change {
		f(&c)
	}
	return c
}

func took(detect, restore time.Duration) func(*Case) {
	return func(c *Case) {
		d, r := guard.Duration(detect), guard.Duration(restore)
		c.Detect, c.Restore = &d, &r
	}
}

func TestStats(t *testing.T) {
	drill := func(days int, service string, outcome guard.Verdict) guard.Entry {
		return guard.Entry{At: now.AddDate(0, 0, -days), Act: guard.Result, Kind: "drill.rollback", Service: service, Outcome: outcome}
	}
	ledger := guard.Ledger{Entries: []guard.Entry{
		drill(10, "checkout", guard.Pass), drill(9, "", guard.Fail), drill(100, "checkout", guard.Pass), drill(5, "search", guard.Pass),
		{At: now, Act: guard.Obliged, Kind: "report", ID: "r1", Service: "checkout", Until: now},
		{At: now, Act: guard.Obliged, Kind: "report", ID: "r2", Service: "checkout", Until: now},
		{At: now, Act: guard.Settled, Kind: "report", Settles: "r1", Service: "checkout"},
	}}
	all := []Case{
		launch(1, guard.Live), launch(2, guard.Live), launch(3, guard.RolledBack, took(10*time.Second, time.Minute)),
		launch(4, guard.RollbackFailed, func(c *Case) {
			c.Incident, c.Breached, c.Owed = true, []guard.Due{guard.DueContain, guard.DueFiled}, []guard.Due{guard.DueFiled}
		}),
		launch(5, guard.Recovered, took(30*time.Second, 3*time.Minute)), launch(6, guard.RolledBack, took(20*time.Second, 10*time.Minute)),
		launch(7, guard.NoGo, func(c *Case) { c.Introduced = time.Time{} }), launch(0, ""),
		launch(8, guard.RolledBack, func(c *Case) { c.Purpose = guard.ToRollback }), launch(9, guard.WouldRollBack), launch(10, guard.Unfinished),
		launch(365, guard.RolledBack, func(c *Case) { c.Cause = "the pool was too small" }),
	}
	for _, tc := range []struct {
		name   string
		cases  []Case
		ledger guard.Ledger
		since  time.Time
		says   []string // of checkout
		not    string
	}{
		{"everything", all, ledger, time.Time{}, []string{
			"since: 2025-11-24, the first that is known", "go-lives: 9 over, 1 under way, 1 ended before any traffic",
			"success rate: 22 % (2 of 9)", "rollback rate: 56 % (5 of 9)", "rollbacks: 5, 1 of them not certain; 1 more by hand",
			"time to detect: median 20s, worst 30s (n=3, 2 not known)", "time to restore: median 3m, worst 10m (n=3, 2 not known)",
			"incidents: 1, with 2 breaches", "still owed: 1 in incidents; in the ledger: 1", "drills passed: 67 % (2 of 3)",
			"other ends: 1 would have gone back (mode observe), 1 unfinished, stopped, withdrawn or overdue",
			"2025-11-24 03:12:07Z  checkout/prod  v1 -> v2  rolled back  the pool was too small",
		}, ""},
		{"since a week, and a year ago all the same", all, ledger, now.AddDate(0, 0, -7), []string{
			"since: 2026-11-17", "success rate: 33 % (2 of 6)", "rollback rate: 67 % (4 of 6)", "drills passed: unknown (0 of 0)", "the pool was too small",
		}, "other ends"},
		{"nothing went back", []Case{launch(1, guard.Live)}, ledger, time.Time{}, []string{
			"success rate: 100 % (1 of 1)", "rollback rate: 0 % (0 of 1)", "time to detect: nothing to measure (n=0)", "a year ago today: nothing that is known",
		}, ""},
		{"nobody knows how long", []Case{launch(1, guard.RolledBack)}, ledger, time.Time{}, []string{"time to restore: unknown (n=0, 1 not known)"}, ""},
		{"what was withdrawn has not failed", []Case{launch(1, guard.RolledBack, func(c *Case) { c.Why = guard.CauseWithdrawn }), launch(1, guard.Live)}, ledger, time.Time{}, []string{
			"success rate: 50 % (1 of 2)", "rollback rate: 0 % (0 of 2)", "other ends: 0 would have gone back (mode observe), 1 unfinished, stopped, withdrawn or overdue",
		}, ""},
		{"an even number", []Case{launch(1, guard.RolledBack, took(2*time.Second, 0)), launch(1, guard.RolledBack, took(4*time.Second, 0))}, ledger, time.Time{},
			[]string{"time to detect: median 3s, worst 4s (n=2)"}, ""},
		{"only drills", nil, ledger, time.Time{}, []string{"since: unknown: no rollout is known", "success rate: unknown (0 of 0)", "drills passed: 67 % (2 of 3)"}, ""},
		{"no ledger", all, guard.Ledger{Missing: true}, time.Time{}, []string{
			"drills passed: unknown: there is no ledger", "still owed: 1 in incidents; in the ledger: unknown: there is no ledger",
		}, ""},
		{"a broken ledger", all, guard.Ledger{Broken: "line 7"}, time.Time{}, []string{"drills passed: unknown: the ledger cannot be trusted: line 7"}, "0 of 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stats := StatsOf(tc.cases, tc.ledger, tc.since, now)
			if len(stats) == 0 || stats[0].Service != "checkout" {
				t.Fatalf("the services are %v", stats)
			}
			var text string
			for _, f := range stats[0].Facts() {
				text += f.Name + ": " + f.Value + "\n"
			}
			for _, want := range tc.says {
				if !strings.Contains(text, want) {
					t.Errorf("nothing says %q:\n%s", want, text)
				}
			}
			if tc.not != "" && strings.Contains(text, tc.not) {
				t.Errorf("it says %q:\n%s", tc.not, text)
			}
			s := stats[0]
			if s.Live+s.Back+s.WouldBack+s.Other != s.GoLives {
				t.Errorf("the ends do not add up: %+v", s)
			}
		})
	}
}

func TestStatsDocument(t *testing.T) {
	var got bytes.Buffer
	doc := StatsDocument(StatsOf([]Case{launch(1, guard.Live)}, guard.Ledger{}, time.Time{}, now), []string{"a.jsonl is broken at line 3"}, now)
	if err := page.Write(&got, "markdown", doc); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 journal could not be read, and in no figure: a.jsonl is broken at line 3", "## 1. checkout", "- success rate: 100 % (1 of 1)"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, got.String())
		}
	}
}

// A case is what the machine makes of a history: here of a launch that somebody took back.
func TestCase(t *testing.T) {
	p := plan(t, planText)
	r := guard.Release{ID: "r1", Service: "checkout", Environment: "prod", From: "v1", To: "v2"}
	var history []guard.Event
	opened := guard.Opened{Release: r, Purpose: guard.ToRollout, Mode: guard.Enforce, Plan: planText}
	for _, e := range guard.Rehearse(p, opened, now, func(s guard.State, task guard.Task) (guard.Fact, time.Duration) {
		switch d := task.Deed.(type) {
		case guard.RunChecks:
			return guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass}}}, time.Second
		case guard.Inspect:
			return guard.Inspected{Standing: guard.Standing{Undo: guard.Undo{Open: true}}}, time.Second
		case guard.Shift:
			return guard.Shifted(d), time.Second
		case guard.Verify:
			return guard.Verified{}, time.Second
		case guard.Wait:
			return guard.Elapsed{}, time.Second
		}
		return guard.Failed{Error: "no such thing here"}, time.Second
	}) {
		history = append(history, e)
		if s, ok := e.Fact.(guard.Shifted); ok && s.Percent > 0 {
			break
		}
	}
	last := history[len(history)-1].At
	history = append(history,
		guard.Event{At: last.Add(10 * time.Second), Fact: guard.Noted{Text: "the Connection pool is empty", By: "ada"}},
		guard.Event{At: last.Add(20 * time.Second), Fact: guard.Ordered{Verb: guard.OrderRollback, By: "ada", Why: "nobody can pay"}})
	c := CaseOf("r1", p, history, now)
	want := Case{ID: "r1", Service: "checkout", Environment: "prod", From: "v1", To: "v2", Purpose: guard.ToRollout, Mode: guard.Enforce,
		Began: history[0].At, Introduced: last, Detected: last.Add(20 * time.Second), Why: guard.CauseOrdered}
	d := guard.Duration(20 * time.Second)
	want.Detect = &d
	got := c
	got.words = nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Case{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, tc := range []struct {
		words string
		found bool
	}{{"", true}, {"connection", true}, {"connection PAY", true}, {"v2 rollback", true}, {"connection disk", false}, {"ordered", true}} {
		if c.Matches(strings.Fields(tc.words)) != tc.found {
			t.Errorf("%q found: %v, want %v", tc.words, !tc.found, tc.found)
		}
	}
}
