package guard_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// TestQuietNight has the severity rise because time has passed, at its moment and once, although nothing else happens and
// whatever restarts come in between.
func TestQuietNight(t *testing.T) {
	plan := shopPlan(t, " | RESPONDING ")
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 9))
		n := keepVigil(t, plan, time.Date(2026, 11, 24, 23, 40, 0, 0, time.UTC))
		n.until(n.began.Add(30*time.Minute), r)
		if got := n.state.Incident.Level; got != 3 {
			t.Fatalf("seed %d: level %d after exactly 30 minutes, want 3", seed, got)
		}
		n.until(n.began.Add(50*time.Minute), r)
		var got []string
		for _, g := range n.state.Incident.Grades {
			got = append(got, fmt.Sprintf("%d after %s", g.Level, g.At.Sub(n.began)))
		}
		if want := []string{"3 after 0s", "2 after 30m0.001s"}; !slices.Equal(got, want) {
			t.Fatalf("seed %d: %q, want %q", seed, got, want)
		}
		if said := n.notices("level", "errors > 20% or minutes > 30"); said != 1 {
			t.Fatalf("seed %d: %d notices say that it is worse, want 1", seed, said)
		}
	}
}

// TestWorseByTime sees a rule that speaks of time hold within a minute, in whatever words it does, and asks no more than it
// has to.
func TestWorseByTime(t *testing.T) {
	for _, tt := range []struct {
		when  string
		holds time.Duration // from then on; 0: never
		asks  int           // at most
	}{
		{"minutes > 30", 30 * time.Minute, 1},
		{"minutes >= 1.5 and percent >= 0", 90 * time.Second, 1},
		{"45 < minutes", 45 * time.Minute, 1},
		{"errors > 20% or (down or minutes > 2 * 60)", 2 * time.Hour, 121},
		{"minutes / 60 > 2", 2 * time.Hour, 121},
		{"$env.minutes > 3", 3 * time.Minute, 4},
		{"minutes > 5 and minutes > 7", 7 * time.Minute, 2},
		{"minutes > 1e300", 0, 300},
		{"errors > 20%", 0, 0},
	} {
		t.Run(tt.when, func(t *testing.T) {
			severity := fmt.Sprintf("severity: [{level: 1, when: %q}, {level: 2, when: \"true\"}]\nnotify: [{use: stdout}]\n", tt.when)
			n := keepVigil(t, shopPlan(t, " | "+severity), time.Date(2026, 11, 24, 23, 40, 0, 0, time.UTC))
			n.until(n.began.Add(3*time.Hour), rand.New(rand.NewPCG(1, 1)))
			switch grades := n.state.Incident.Grades; {
			case tt.holds == 0 && len(grades) != 1, tt.holds > 0 && len(grades) != 2:
				t.Errorf("the level was %+v", grades)
			case tt.holds > 0:
				if late := grades[1].At.Sub(n.began) - tt.holds; late <= 0 || late > time.Minute {
					t.Errorf("seen %s after it held", late)
				}
			}
			if n.regraded > tt.asks {
				t.Errorf("asked %d times, want %d at most", n.regraded, tt.asks)
			}
		})
	}
}

// TestDeadAddress: of a notice that reached some, the others alone have it again, a few times and not for ever, and then the
// team hears who was not reached: once, although that does not reach him either.
func TestDeadAddress(t *testing.T) {
	plan := shopPlan(t, " | RESPONDING ")
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 10))
		n := keepVigil(t, plan, time.Date(2026, 11, 24, 23, 40, 0, 0, time.UTC))
		n.dead = "Ada Obi"
		n.until(n.began.Add(2*time.Hour), r)
		tries, asked := map[string]int{}, 0
		for _, d := range n.told {
			if d.notice.Audience != "team" {
				continue
			}
			key := d.notice.Key + fmt.Sprint(d.notice.Only)
			if tries[key]++; len(d.notice.Only) == 0 && tries[key] > 1 {
				t.Fatalf("seed %d: everybody was told %q again", seed, d.notice.Title)
			}
			if len(d.notice.Only) > 0 && (!slices.Equal(d.notice.Only, []string{"Ada Obi"}) || tries[key] > 4) {
				t.Fatalf("seed %d: %v was told %q %d times more", seed, d.notice.Only, d.notice.Title, tries[key])
			}
			if strings.HasPrefix(d.notice.About, "Ada Obi could not be reached through stdout") && len(d.notice.Only) == 0 {
				asked++
			}
		}
		if asked != 1 || !slices.Equal(n.state.Incident.Unreached, []string{"Ada Obi"}) {
			t.Fatalf("seed %d: the team was asked %d times; unreached: %q", seed, asked, n.state.Incident.Unreached)
		}
		n.dead = ""
		n.tell(guard.Stated{What: guard.StateSeverity, Level: 1, Text: "nobody can pay", By: "Mei Lin"})
		n.until(n.now.Add(time.Minute), r)
		if left := n.state.Incident.Unreached; len(left) > 0 {
			t.Fatalf("seed %d: reached again, and still unreached: %q", seed, left)
		}
	}
}

// TestOlderJournals leads the journal of an incident of commit 6183693 to where that commit has led it: what a golive of then
// did not give out, such as repeats for those whom a notice has missed, takes no number that an answer in the journal has.
func TestOlderJournals(t *testing.T) {
	chapters := strings.NewReplacer(
		"vendors: [{name: PayCo}]", "vendors: [{name: PayCo}, {name: CloudCo}]",
		"to: [PayCo, customer, management]", "to: [PayCo, CloudCo, customer, management]",
		"for: [customer, management]", "for: [customer, management, vendor]",
	).Replace(responding)
	plan := shopPlan(t, " | "+chapters)
	journal, err := os.ReadFile("testdata/older/journal.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/older/state.txt")
	if err != nil {
		t.Fatal(err)
	}
	var s guard.State
	for line := range strings.Lines(string(journal)) {
		var record struct {
			At   time.Time
			Kind string
			Data json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		e, err := guard.Decode(record.At, record.Kind, record.Data)
		if err != nil {
			t.Fatal(err)
		}
		if e.Task != 0 && !asked(s, e.Task) {
			t.Errorf("nobody has asked for task %d: %s", e.Task, line)
		}
		s = guard.Next(plan, s, e)
	}
	asides := len(s.Todo)
	s.Todo = slices.DeleteFunc(s.Todo, func(task guard.Task) bool { return task.ID < 0 })
	if asides -= len(s.Todo); asides == 0 {
		t.Error("nothing is given out beside what there was")
	}
	if diff := cmp.Diff(string(want), describe(s, s.Opened)+"\n"); diff != "" {
		t.Errorf("it leads elsewhere (-then +now):\n%s", diff)
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
	dead  string // whom no notice for all reaches, nor one for him alone; empty: nobody

	regraded int // how often the rules were asked for no other reason than the time
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
		switch {
		case d.Notice.Audience != "team":
			return guard.Told{}
		case n.dead == "":
			return guard.Told{Receipt: guard.Receipt{Handed: []guard.Handed{{Name: "Ada Obi", Way: "email"}}}}
		}
		told := guard.Told{Receipt: guard.Receipt{Handed: []guard.Handed{{Name: n.dead, Way: "email", Problem: "no such mailbox"}}}}
		if len(d.Notice.Only) == 0 {
			told.Receipt.Handed = append(told.Receipt.Handed, guard.Handed{Name: "Wang Fang", Way: "email"})
		}
		return told
	case guard.Regrade:
		n.regraded++
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
