package guard_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// nights are moments around which clocks on walls jump: midnight, and the changes of daylight saving time.
var nights = []struct{ zone, at string }{
	{"UTC", "2026-11-24T23:50:00"},
	{"Europe/London", "2026-03-29T00:50:00"},
	{"Europe/London", "2026-10-25T00:50:00"},
	{"America/New_York", "2026-03-08T01:50:00"},
	{"America/New_York", "2026-11-01T01:50:00"},
	{"Australia/Lord_Howe", "2026-10-04T01:50:00"},
	{"Asia/Shanghai", "2026-12-31T23:59:00"},
}

// TestDeadlines holds every obligation to its definition, whenever it is detected and acknowledged, and whatever restarts
// come in between: it is breached if, and only if, more time has passed than it allows.
func TestDeadlines(t *testing.T) {
	plan := shopPlan(t, " | RESPONDING ")
	for _, night := range nights {
		zone, err := time.LoadLocation(night.zone)
		if err != nil {
			t.Fatal(err)
		}
		start, err := time.ParseInLocation("2006-01-02T15:04:05", night.at, zone)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(60) {
			t.Run(fmt.Sprintf("%s %s %d", night.zone, night.at, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 7))
				ack := time.Duration(r.IntN(3600)) * time.Second
				if seed < 3 { // just in time, exactly in time, just too late
					ack = 30*time.Minute + time.Duration(int(seed)-1)*2*time.Millisecond
				}
				n := keepVigil(t, plan, start.Add(time.Duration(r.IntN(1200))*time.Second))
				n.until(n.began.Add(ack), r)
				n.tell(guard.Acknowledged{By: "Ada Obi"})
				n.until(n.began.Add(3*time.Hour), r)
				got, found := n.state.Incident.Owes(guard.DueActivate)
				if !found || got.Met.Sub(n.began) != ack || got.Breached(n.now) != (ack > 30*time.Minute) {
					t.Errorf("acknowledged after %s: %+v is %s", ack, got, got.Standing(n.now))
				}
				if said := n.notices("breached", string(guard.DueActivate)); (said == 1) != (ack > 30*time.Minute) {
					t.Errorf("acknowledged after %s, and %d notices say that it was not in time", ack, said)
				}
				for _, due := range []struct {
					kind guard.Due
					at   time.Duration
				}{{guard.DueVendor, time.Hour}, {guard.DueRecover, 10 * time.Minute}, {guard.DueContain, 2 * time.Minute}} {
					o, found := n.state.Incident.Owes(due.kind)
					if !found || o.Until.Sub(n.began) != due.at {
						t.Errorf("%s is due after %s, want %s", due.kind, o.Until.Sub(n.began), due.at)
					}
				}
			})
		}
	}
}

// TestEscalation tells everybody at the minute of the plan, whatever restarts come in between, and each once.
func TestEscalation(t *testing.T) {
	plan := shopPlan(t, " | RESPONDING ")
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 8))
		n := keepVigil(t, plan, time.Date(2026, 11, 24, 23, 40, 0, 0, time.UTC))
		n.until(n.began.Add(2*time.Hour), r)
		var told []string
		for _, e := range n.told {
			if e.notice.News == guard.NewsEscalated {
				told = append(told, fmt.Sprintf("%s %s %v", e.at.Sub(n.began).Round(time.Second), e.notice.Audience, e.notice.Roles))
			}
		}
		slices.Sort(told)
		want := []string{
			"0s team [on_duty]", "15m0s team [commander]", "1h0m0s customer [customer]", "1h0m0s management [management]", "1h0m0s team [commander]",
		}
		// What the team is told after an hour is that no channel reaches the vendor.
		if !slices.Equal(told, want) {
			t.Fatalf("seed %d: told %q, want %q", seed, told, want)
		}
	}
}

// TestOutcomeIsTold says with each notice how the rollout has ended, once it has: programs that are told cannot ask.
func TestOutcomeIsTold(t *testing.T) {
	n := keepVigil(t, shopPlan(t, " | RESPONDING "), time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC))
	n.until(n.began.Add(2*time.Hour), rand.New(rand.NewPCG(1, 9)))
	outcomes := map[guard.News]guard.Outcome{}
	for _, e := range n.told {
		outcomes[e.notice.News] = e.notice.Outcome
	}
	if at, told := outcomes[guard.NewsOpened]; !told || at != "" {
		t.Errorf("when it begins the outcome is %q (told: %v), want none", at, told)
	}
	if at := outcomes[guard.NewsRecovered]; at != guard.RolledBack {
		t.Errorf("when it is well again the outcome is %q, want %q", at, guard.RolledBack)
	}
}

// vigil is an incident that somebody lives through by a made-up clock.
type vigil struct {
	t     *testing.T
	plan  *guard.Plan
	state guard.State
	now   time.Time
	began time.Time
	told  []delivery
}

type delivery struct {
	at     time.Time
	notice guard.Notice
}

func keepVigil(t *testing.T, plan *guard.Plan, at time.Time) *vigil {
	n := &vigil{t: t, plan: plan, now: at}
	n.tell(guard.Opened{Release: guard.Release{ID: "1", Service: "shop", From: "v1", To: "v2"}, Purpose: guard.ToRollout, Mode: guard.Enforce})
	for n.state.Phase != guard.Watching {
		n.step(nil)
	}
	n.step(guard.Measured{Standing: &guard.Standing{Percent: 10}, Ruling: judge.Ruling{Call: judge.Regressed, Why: "it does harm"}})
	if n.began = n.state.Incident.Began; !n.began.Equal(n.now) {
		t.Fatalf("the incident began at %s, now is %s", n.began, n.now)
	}
	return n
}

func (n *vigil) tell(f guard.Fact) {
	n.state = guard.Next(n.plan, n.state, guard.Event{At: n.now, Fact: f})
}

// step answers the task that is due first: with f, or as a world does in which all goes well.
func (n *vigil) step(f guard.Fact) {
	task, found := n.first()
	if !found {
		n.t.Fatalf("nothing to do in %s", n.state.Phase)
	}
	if task.NotBefore.After(n.now) {
		n.now = task.NotBefore
	}
	if f == nil {
		f = n.answer(task)
	}
	n.state = guard.Next(n.plan, n.state, guard.Event{At: n.now, Task: task.ID, Fact: f})
}

func (n *vigil) first() (first guard.Task, found bool) {
	for _, task := range n.state.Todo {
		if !found || task.NotBefore.Before(first.NotBefore) {
			first, found = task, true
		}
	}
	return first, found
}

func (n *vigil) answer(task guard.Task) guard.Fact {
	at := guard.Standing{Percent: n.state.Aim, Undo: guard.Undo{Open: true}}
	switch d := task.Deed.(type) {
	case guard.RunChecks:
		return guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass}}}
	case guard.Inspect:
		return guard.Inspected{Standing: at}
	case guard.Shift:
		return guard.Shifted(d)
	case guard.Verify:
		return guard.Verified{Standing: at}
	case guard.Gather:
		return guard.Gathered{}
	case guard.Tell:
		n.told = append(n.told, delivery{n.now, d.Notice})
		return guard.Told{}
	}
	return guard.Elapsed{}
}

// until lets the world go on until a moment, with restarts at any time.
func (n *vigil) until(end time.Time, r *rand.Rand) {
	for {
		if r.IntN(12) == 0 {
			n.tell(guard.Resumed{})
		}
		task, found := n.first()
		if !found || task.NotBefore.After(end) {
			n.now = end
			return
		}
		n.step(nil)
	}
}

// notices counts what was told of a kind of news that says this.
func (n *vigil) notices(news, about string) (count int) {
	for _, d := range n.told {
		if string(d.notice.News) == news && d.notice.About == about {
			count++
		}
	}
	return count
}
