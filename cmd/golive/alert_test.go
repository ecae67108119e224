package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// TestStoryOfAlerts tells what came from outside while a step was watched, and lists it.
func TestStoryOfAlerts(t *testing.T) {
	plan := testPlan(t)
	start := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	errors := guard.Alert{Key: "1", Name: "Errors", Since: start.Add(time.Second), Summary: "customers\nnotice\x1b[2J"}
	disk := guard.Alert{Key: "2", Name: "Disk", Since: start.Add(-time.Hour)}
	ended := errors
	ended.Ended = true
	standing := func(percent int) guard.Fact {
		return guard.Inspected{Standing: guard.Standing{Percent: percent, Undo: guard.Undo{Open: true}}}
	}
	teller, s := story{plan: plan, call: new(program).call}, guard.State{}
	var told []string
	for n, f := range []guard.Fact{
		guard.Opened{Release: testRelease, Purpose: guard.ToRollout, Mode: guard.Enforce, Fence: 7},
		guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass}}},
		standing(0), guard.Shifted{Percent: 20}, standing(20),
		guard.Voted{Alerts: []guard.Alert{errors, disk}},
		guard.Voted{Alerts: []guard.Alert{ended}, Unseen: 2},
		guard.Voted{},
		guard.Ordered{Verb: guard.OrderExtend, By: "ada", For: guard.Duration(10 * time.Minute), Why: "little traffic"},
		guard.Ordered{Verb: guard.OrderExtend, By: "ada", For: guard.Duration(25 * time.Hour)},
		guard.Noted{By: "ada", Text: "the batch job runs"},
		guard.Acknowledged{By: "grace"},
		guard.Resumed{Fence: 7},
	} {
		e := guard.Event{At: start.Add(time.Duration(n) * time.Second), Fact: f}
		for _, todo := range s.Todo {
			if _, wait := todo.Deed.(guard.Wait); !wait && f != nil && answersTask(f) {
				e.Task = todo.ID
				if _, tell := todo.Deed.(guard.Tell); !tell {
					break
				}
			}
		}
		s = guard.Next(plan, s, e)
		for _, l := range teller.tell(e, s) {
			if n > 4 {
				told = append(told, l.text)
			}
		}
		if n > 4 {
			told = append(told, "= "+factText(f))
		}
	}
	want := []string{
		"alert Errors fires since 2026-11-24T03:00:01Z: customers notice?[2J",
		"alert Disk fires since 2026-11-24T02:00:00Z (since before this began, so that it is no reason)",
		"no further step while alert Errors fires since 2026-11-24T03:00:01Z: customers notice?[2J",
		"= alert Errors fires since 2026-11-24T03:00:01Z: customers notice?[2J; alert Disk fires since 2026-11-24T02:00:00Z",
		"alert Errors fires no more",
		"2 alerts that nobody named",
		"= alert Errors fires no more; 2 alerts that nobody named",
		"every alert was named",
		"no alert holds it any more",
		"= every alert was named",
		"ada ordered extend by 10m: little traffic; it ends at 03:10:19Z at the latest",
		"= ada ordered extend by 10m: little traffic",
		"ada ordered extend by 1d1h; it changes nothing",
		"= ada ordered extend by 1d1h",
		"ada notes: the batch job runs",
		"= ada notes: the batch job runs",
		"grace has taken notice, and looks after it",
		"= grace has taken notice, and looks after it",
		"everything is written down again; what waited for that begins its time anew",
		"step 1 of 2: v2 has 20 % of the traffic; watching for 2s to 5s",
		"= golive  goes on",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told and listed (-want +got):\n%s", diff)
	}
	if s.Fence != 7 || s.Acknowledged != "grace" {
		t.Errorf("fence %d, acknowledged by %q", s.Fence, s.Acknowledged)
	}
}

// answersTask says whether a fact answers a task, and does not come from outside.
func answersTask(f guard.Fact) bool {
	switch f.(type) {
	case guard.Checked, guard.Inspected, guard.Shifted:
		return true
	}
	return false
}

// TestStatusOfAlerts shows what fires, or that more does than was named.
func TestStatusOfAlerts(t *testing.T) {
	since := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	a := account{Alerts: []guard.Alert{{Name: "A", Since: since}, {Name: "B", Since: since}}, Alarm: "alert A (and 1 more)"}
	if want := "alert A fires since 2026-11-24T03:00:00Z\nalert B fires since 2026-11-24T03:00:00Z"; firing(a) != want {
		t.Errorf("%q, want %q", firing(a), want)
	}
	if a.Alerts = nil; firing(a) != a.Alarm {
		t.Errorf("%q, want %q", firing(a), a.Alarm)
	}
	// Whatever a plan may say to do while alerts fire has words.
	for _, then := range []guard.Policy{guard.ThenNote, guard.ThenHold, guard.ThenRollback} {
		plan := testPlan(t)
		plan.Rollout.Alert.Then = then
		if !slices.Contains(policies(plan), "while an alert fires that began after the rollout: "+alertWords[then]+" (rollout.alert.then)") || alertWords[then] == "" {
			t.Errorf("%s is not explained: %q", then, policies(plan))
		}
	}
}
