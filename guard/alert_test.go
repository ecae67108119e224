package guard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// TestAlerts holds the list of what fires to what is told, vote by vote.
func TestAlerts(t *testing.T) {
	plan := shopPlan(t, "")
	start := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	fires := func(key string, since time.Time) guard.Alert { return guard.Alert{Key: key, Name: key, Since: since} }
	ends := func(key string) guard.Alert { return guard.Alert{Key: key, Name: key, Since: start, Ended: true} }
	s := guard.Next(plan, guard.State{}, guard.Event{At: start, Fact: guard.Opened{Release: guard.Release{ID: "1", From: "v1", To: "v2"}, Purpose: guard.ToRollout}})
	for n, tt := range []struct {
		name string
		vote []guard.Alert
		want []guard.Alert
	}{
		{"burning before", []guard.Alert{fires("a", at(-1))}, nil},
		{"at the same moment", []guard.Alert{fires("b", start)}, []guard.Alert{fires("b", start)}},
		{"nobody knows since when", []guard.Alert{fires("c", time.Time{})}, []guard.Alert{fires("b", start), fires("c", at(3))}},
		{"nothing new", nil, []guard.Alert{fires("b", start), fires("c", at(3))}},
		{"told again", []guard.Alert{fires("b", start)}, []guard.Alert{fires("c", at(3)), fires("b", start)}},
		{"one that never fired ends", []guard.Alert{ends("x")}, []guard.Alert{fires("c", at(3)), fires("b", start)}},
		{"it began before, after all", []guard.Alert{fires("c", at(-5))}, []guard.Alert{fires("b", start)}},
		{"ended, and fires again", []guard.Alert{ends("b"), fires("b", at(7))}, []guard.Alert{fires("b", at(7))}},
		{"ended", []guard.Alert{ends("b")}, []guard.Alert{}},
	} {
		s = guard.Next(plan, s, guard.Event{At: at(n + 1), Fact: guard.Voted{Alerts: tt.vote}})
		if diff := cmp.Diff(len(tt.want), len(s.Alerts)); diff != "" || len(tt.want) > 0 && !cmp.Equal(tt.want, s.Alerts) {
			t.Errorf("%s (-want +got):\n%s", tt.name, cmp.Diff(tt.want, s.Alerts))
		}
		if (s.Alarm != "") != (len(tt.want) > 0) {
			t.Errorf("%s: alarm %q", tt.name, s.Alarm)
		}
	}
}

// TestUnnamedAlerts sees that alerts which a group did not name end with a vote of the same group of the same system alone.
func TestUnnamedAlerts(t *testing.T) {
	plan := shopPlan(t, "")
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	s := guard.Next(plan, guard.State{}, guard.Event{At: now, Fact: guard.Opened{Release: guard.Release{ID: "1", From: "v1", To: "v2"}, Purpose: guard.ToRollout}})
	for n, tt := range []struct {
		vote  guard.Voted
		alarm string
	}{
		{guard.Voted{By: "a", Group: "disk", Unseen: 2}, "alerts fire that were not named: 2"},
		{guard.Voted{By: "a", Group: "errors"}, "alerts fire that were not named: 2"},
		{guard.Voted{By: "b", Group: "disk"}, "alerts fire that were not named: 2"},
		{guard.Voted{By: "a", Group: "cpu", Unseen: 3}, "alerts fire that were not named: 5"},
		{guard.Voted{By: "b", Group: "disk", Unseen: -7}, "alerts fire that were not named: 5"},
		{guard.Voted{By: "a", Group: "disk", Unseen: 1}, "alerts fire that were not named: 4"},
		{guard.Voted{By: "a", Group: "disk"}, "alerts fire that were not named: 3"},
		{guard.Voted{By: "a", Group: "disk"}, "alerts fire that were not named: 3"},
		{guard.Voted{By: "a", Group: "cpu"}, ""},
	} {
		before := fmt.Sprintf("%+v", s)
		next := guard.Next(plan, s, guard.Event{At: now, Fact: tt.vote})
		if after := fmt.Sprintf("%+v", s); before != after {
			t.Errorf("vote %d changed what came before it:\n%s\n%s", n, before, after)
		}
		if s = next; s.Alarm != tt.alarm {
			t.Errorf("after vote %d: %q, want %q", n, s.Alarm, tt.alarm)
		}
	}
	if len(s.Unnamed) > 0 {
		t.Errorf("nothing fires, and this is remembered: %v", s.Unnamed)
	}
}

// TestManyAlerts sees that a rollout remembers a bounded number of alerts, those that it was told of first, and that the
// others count until their own group says that they have ended.
func TestManyAlerts(t *testing.T) {
	const most = 200
	plan := shopPlan(t, "")
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	s := guard.Next(plan, guard.State{}, guard.Event{At: now, Fact: guard.Opened{Release: guard.Release{ID: "1", From: "v1", To: "v2"}, Purpose: guard.ToRollout}})
	vote := func(f guard.Voted) { s = guard.Next(plan, s, guard.Event{At: now, Fact: f}) }
	alerts := func(from, to int, ended bool) (all []guard.Alert) {
		for n := from; n < to; n++ {
			all = append(all, guard.Alert{Key: fmt.Sprint(n), Name: fmt.Sprint(n), Since: now, Ended: ended})
		}
		return all
	}
	want := func(what string, first string, named, unnamed int) {
		t.Helper()
		n := 0
		for _, u := range s.Unnamed {
			n += u.N
		}
		if len(s.Alerts) != named || n != unnamed || named > 0 && s.Alerts[0].Key != first || (s.Alarm == "") != (named+unnamed == 0) {
			t.Errorf("%s: %d alerts are remembered and %d counted, want %d and %d; alarm %q", what, len(s.Alerts), n, named, unnamed, s.Alarm)
		}
	}
	vote(guard.Voted{Group: "many", Alerts: alerts(0, most+50, false)})
	want("too many", "0", most, 50)
	vote(guard.Voted{Group: "old", Alerts: []guard.Alert{{Key: "x", Since: now.Add(-time.Hour)}}})
	want("one from before", "0", most, 50)
	vote(guard.Voted{Group: "other", Alerts: alerts(1000, 1001, false)})
	want("one more", "0", most, 51)
	vote(guard.Voted{Group: "many", Alerts: alerts(0, most+50, false)})
	want("told again", "0", most, 51)
	vote(guard.Voted{Group: "many", Alerts: alerts(0, most+50, true)})
	want("ended", "", 0, 1)
	vote(guard.Voted{Group: "other", Alerts: alerts(1000, 1001, false)})
	want("there is room", "1000", 1, 0)
	vote(guard.Voted{Group: "other", Alerts: alerts(1000, 1001, true)})
	want("all ended", "", 0, 0)

	for n := range 2 * most {
		vote(guard.Voted{Group: fmt.Sprint(n), Unseen: 1})
	}
	if len(s.Unnamed) != most {
		t.Errorf("%d groups are remembered", len(s.Unnamed))
	}
	for n := range 2 * most {
		vote(guard.Voted{Group: fmt.Sprint(n)})
	}
	if len(s.Unnamed) != 0 || s.Alarm == "" {
		t.Errorf("%d groups are remembered, alarm %q: those that were too many were taken for ended", len(s.Unnamed), s.Alarm)
	}
}

// TestAlarmIsNoHealth sees that deploy tools which ask are not told to go on while alerts hold a rollout.
func TestAlarmIsNoHealth(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	s := guard.State{Phase: guard.Watching, Seen: 10, At: now, Ruling: judge.Ruling{At: now, Call: judge.Healthy}}
	if o := s.Opinion(now, time.Minute); o != guard.Healthy {
		t.Errorf("without an alarm: %s", o)
	}
	s.Alarm = "alerts fire that were not named: 1"
	if o := s.Opinion(now, time.Minute); o != guard.Insufficient {
		t.Errorf("with an alarm: %s", o)
	}
}

// TestFence sees that fences only grow, by the store where there is one, and else by the clock.
func TestFence(t *testing.T) {
	plan := shopPlan(t, "")
	now := time.UnixMilli(1000)
	open := func(given int64) guard.State {
		return guard.Next(plan, guard.State{}, guard.Event{At: now, Fact: guard.Opened{Release: guard.Release{ID: "1", To: "v2"}, Purpose: guard.ToRollout, Fence: given}})
	}
	resume := func(s guard.State, given int64) guard.State {
		return guard.Next(plan, s, guard.Event{At: now, Fact: guard.Resumed{Fence: given}})
	}
	for _, tt := range []struct {
		name      string
		got, want int64
	}{
		{"by the clock", open(0).Fence, 1000},
		{"by the clock, twice in one moment", resume(open(0), 0).Fence, 1001},
		{"by a store", open(7).Fence, 7},
		{"by a store, again", resume(open(7), 9).Fence, 9},
		{"the same owner goes on", resume(open(7), 7).Fence, 7},
		{"by a store that forgot", resume(open(7), 3).Fence, 7},
		{"from a store to the clock", resume(open(2000), 0).Fence, 2001},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}

// TestNothingIsHeldForEver lets an alert begin after each event of a rollout that goes well, and never end, with more
// time given once. The clock ends it, and it is live only if the plan says so, or the alert came too late.
func TestNothingIsHeldForEver(t *testing.T) {
	start := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for _, then := range []guard.Policy{guard.ThenNote, guard.ThenHold, guard.ThenRollback} {
		for _, vote := range []guard.Voted{
			{Alerts: []guard.Alert{{Key: "a", Name: "errors", Since: start.Add(24 * time.Hour)}}},
			{Unseen: 1},
		} {
			plan := shopPlan(t, "alert: {then: "+string(then)+"} | notify: [{use: stdout}]")
			outcomes := map[guard.Outcome]int{}
			for n := 1; ; n++ {
				s := guard.Next(plan, guard.State{}, guard.Event{At: start, Fact: guard.Opened{Release: guard.Release{ID: "1", From: "v1", To: "v2"}, Purpose: guard.ToRollout, Mode: guard.Enforce}})
				events, came := 1, guard.Phase("")
				for now := start; s.Phase != guard.Over || len(s.Todo) > 0; events++ {
					if events == n {
						came = s.Phase
						s = guard.Next(plan, s, guard.Event{At: now, Fact: vote})
						s = guard.Next(plan, s, guard.Event{At: now, Fact: guard.Ordered{Verb: guard.OrderExtend, For: guard.Duration(time.Hour)}})
						continue
					}
					if events > 5000 {
						t.Fatalf("%s, an alert after %d events: it is still %s: %s", then, n, s.Phase, s.Why)
					}
					task := s.Todo[0]
					for _, other := range s.Todo {
						if other.NotBefore.Before(task.NotBefore) {
							task = other
						}
					}
					if task.NotBefore.After(now) {
						now = task.NotBefore
					}
					s = guard.Next(plan, s, guard.Event{At: now, Task: task.ID, Fact: well(s, task)})
				}
				if came == "" || came == guard.Over { // it goes well to its end
					break
				}
				outcomes[s.Outcome]++
				if live := s.Outcome == guard.Live; live != (then == guard.ThenNote || came == guard.Finishing && (len(vote.Alerts) == 0 || s.Cause == "")) {
					t.Errorf("%s, an alert while %s, after %d events: %s: %s", then, came, n, s.Outcome, s.Why)
				}
			}
			want := map[guard.Policy][]guard.Outcome{
				guard.ThenNote:     {guard.Live},
				guard.ThenHold:     {guard.Live, guard.Overdue, guard.RolledBack},
				guard.ThenRollback: {guard.Live, guard.Overdue, guard.RolledBack},
			}[then]
			for _, o := range want {
				if outcomes[o] == 0 {
					t.Errorf("%s, %+v: nothing ended as %q: %v", then, vote, o, outcomes)
				}
			}
		}
	}
}

// well is what a good world says to a task.
func well(s guard.State, task guard.Task) guard.Fact {
	standing := guard.Standing{Percent: s.Aim, Undo: guard.Undo{Open: true}}
	switch d := task.Deed.(type) {
	case guard.RunChecks:
		return guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass}}}
	case guard.Inspect:
		return guard.Inspected{Standing: standing}
	case guard.Shift:
		return guard.Shifted(d)
	case guard.Measure:
		return guard.Measured{Ruling: judge.Ruling{Call: judge.Healthy}, Standing: &standing}
	case guard.Verify:
		return guard.Verified{Standing: standing}
	case guard.Finish:
		return guard.Finished{}
	case guard.Tell:
		return guard.Told{}
	}
	return guard.Elapsed{}
}

// TestMoreTimeIsNotTheJudges sees that a bake with more time is judged by the time of the plan, after a crash too.
func TestMoreTimeIsNotTheJudges(t *testing.T) {
	plan := shopPlan(t, "steps: [100]; bake: {for: 10m}")
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	s := guard.Next(plan, guard.State{}, guard.Event{At: now, Fact: guard.Opened{Release: guard.Release{ID: "1", From: "v1", To: "v2"}, Purpose: guard.ToRollout, Mode: guard.Enforce}})
	for s.Phase != guard.Baking {
		for _, task := range s.Todo {
			if _, wait := task.Deed.(guard.Wait); !wait {
				s = guard.Next(plan, s, guard.Event{At: now, Task: task.ID, Fact: well(s, task)})
			}
		}
	}
	for _, f := range []guard.Fact{guard.Ordered{Verb: guard.OrderExtend, For: guard.Duration(time.Hour)}, guard.Resumed{}} {
		s = guard.Next(plan, s, guard.Event{At: now, Fact: f})
		if got := s.Until.Sub(now); got != 90*time.Minute {
			t.Errorf("after %T the bake lasts %s", f, got)
		}
		for _, task := range measures(s) {
			if got := task.Deed.(guard.Measure).Step.AtMost; got != 30*time.Minute {
				t.Errorf("after %T the judge has %s", f, got)
			}
		}
	}
}
