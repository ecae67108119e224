package guard_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// rehearsed plays a rollout in which all is well but what call says of the new version, and returns what each channel was
// told, and where it ended. A channel that is dead has every notice fail.
func rehearsed(t *testing.T, plan *guard.Plan, findings []guard.Finding, call judge.Call, dead int) (told map[int][]guard.Notice, end guard.State) {
	t.Helper()
	told = map[int][]guard.Notice{}
	world := func(s guard.State, task guard.Task) (guard.Fact, time.Duration) {
		standing := guard.Standing{Percent: s.Aim, Undo: guard.Undo{Open: true}}
		switch d := task.Deed.(type) {
		case guard.RunChecks:
			return guard.Checked{Findings: findings}, time.Second
		case guard.Inspect:
			return guard.Inspected{Standing: standing}, time.Second
		case guard.Shift:
			return guard.Shifted(d), time.Second
		case guard.Measure:
			return guard.Measured{Standing: &standing, Ruling: judge.Ruling{Call: call, Why: "4 of 182"}}, time.Second
		case guard.Verify:
			return guard.Verified{Standing: standing}, time.Second
		case guard.Finish:
			return guard.Finished{}, time.Second
		case guard.Tell:
			if d.Channel == dead {
				waiting := 0
				for _, other := range s.Todo {
					if tell, tells := other.Deed.(guard.Tell); tells && tell.Channel == dead && tell.Notice.Passing {
						waiting++
					}
				}
				if waiting > 1 {
					t.Errorf("%d notices of progress wait for a channel that is away", waiting)
				}
				return guard.Failed{Error: "it is away"}, 0
			}
			told[d.Channel] = append(told[d.Channel], d.Notice)
			return guard.Told{}, 0
		}
		return guard.Elapsed{}, 0
	}
	open := guard.Opened{Release: guard.Release{ID: "r1", Service: "shop", From: "v1", To: "v2"}, Purpose: guard.ToRollout, Mode: guard.Enforce}
	return told, guard.Fold(plan, guard.Rehearse(plan, open, time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), world))
}

var fine = []guard.Finding{{Verdict: guard.Pass}}

// TestProgress tells each phase to the channel that wants it, and the end alone to another.
func TestProgress(t *testing.T) {
	plan := shopPlan(t, "steps: [10, 100] | notify: [{use: stdout}, {use: stdout, progress: true}]")
	for call, want := range map[judge.Call][]string{
		judge.Healthy: {
			"checking 0 ", "shifting 0 ", "watching 10 ", "shifting 10 ", "baking 95 ", "finishing 95 ", "over 100 live",
		},
		judge.Regressed: {"checking 0 ", "shifting 0 ", "watching 10 ", "! watching 10 ", "restoring 10 ", "! over 0 rolled back"},
	} {
		told, _ := rehearsed(t, plan, fine, call, -1)
		var got, news []string
		keys := map[string]bool{}
		for _, n := range told[1] {
			text := fmt.Sprintf("%s %d %s", n.Progress.Phase, n.Progress.Percent, n.Progress.Outcome)
			if !n.Passing && n.Progress.Phase != guard.Over || n.Progress.Outcome == guard.RolledBack {
				text = "! " + text
			}
			got = append(got, text)
			if keys[n.Key] || n.Passing != (n.Title == string(n.Progress.Phase)) {
				t.Errorf("%s: the notice %+v has the key of another, or another title", call, n)
			}
			keys[n.Key] = true
			if !n.Passing {
				news = append(news, n.Title)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", call, diff)
		}
		var other []string
		for _, n := range told[0] {
			other = append(other, n.Title)
		}
		if diff := cmp.Diff(news, other); diff != "" {
			t.Errorf("%s: what a channel hears that does not want progress (-want +got)\n%s", call, diff)
		}
	}
}

// TestProgressDoesNotPileUp: what a channel has not heard is dropped once there is something newer, and a channel that is
// away keeps nothing from its end.
func TestProgressDoesNotPileUp(t *testing.T) {
	plan := shopPlan(t, "steps: [10, 100] | notify: [{use: stdout, progress: true}, {use: stdout}]")
	told, end := rehearsed(t, plan, fine, judge.Healthy, 0)
	if end.Outcome != guard.Live || len(end.Todo) != 0 {
		t.Errorf("it ends %s, with %v to do", end.Outcome, end.Todo)
	}
	if len(told[1]) != 1 {
		t.Errorf("the other channel heard %v", told[1])
	}
}

// TestBlockers names what kept the gate shut, on the line of the plan that it is about, and nothing else.
func TestBlockers(t *testing.T) {
	plan := shopPlan(t, " | notify: [{use: stdout}]")
	findings := []guard.Finding{
		{ID: "good", Verdict: guard.Pass},
		{ID: "so-so", Verdict: guard.Warn},
		{ID: "bad", Verdict: guard.Fail, Path: "rollout.steps", Evidence: []guard.Evidence{{Asked: "the database", Answer: "much"}}},
		{ID: "waived", Verdict: guard.Fail, Waived: &guard.Waiver{}},
		{ID: "dark", Verdict: guard.Unknown, Path: "roster.people[0]"},
	}
	told, _ := rehearsed(t, plan, findings, judge.Healthy, -1)
	if len(told[0]) != 1 {
		t.Fatalf("told %v", told[0])
	}
	n := told[0][0]
	want := []guard.Blocker{
		{Finding: guard.Finding{ID: "bad", Verdict: guard.Fail, Path: "rollout.steps"}, Line: plan.Position("rollout.steps").Line},
		{Finding: guard.Finding{ID: "dark", Verdict: guard.Unknown, Path: "roster.people[0]"}, Line: plan.Position("").Line},
	}
	if diff := cmp.Diff(want, n.Blockers); diff != "" || want[0].Line < 2 || n.Progress.Outcome != guard.NoGo {
		t.Errorf("%s, line %d (-want +got)\n%s", n.Progress.Outcome, want[0].Line, diff)
	}
	told, _ = rehearsed(t, plan, fine, judge.Healthy, -1)
	if slices.ContainsFunc(told[0], func(n guard.Notice) bool { return n.Blockers != nil }) {
		t.Error("what went live was blocked")
	}
}
