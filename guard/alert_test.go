package guard_test

import (
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
