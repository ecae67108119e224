package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// night is what a plan says of a night on which it goes wrong.
const night = shop + `
severity: [{level: 2, when: "true", activate: 15m, lead: commander, update: 30m}]
escalate: [{after: 5m, to: [deputy], unless: acknowledged}]
recovery:
  contain: {use: command, with: {run: contain}}
  ramp: [{use: command, with: {run: half}}, {use: command, with: {run: all}}]
  resorts: [{name: fail-over, do: {use: command, with: {run: fail-over}}, within: 2m}, {name: restore, do: {use: command, with: {run: restore}}}]
  soak: 1m
evidence: {budget: 20s, collect: [{use: command, with: {run: log}}, {use: command, with: {run: dump}}]}
roster:
  people:
    - {name: Mei, role: on_duty, reach: [{email: mei@shop.test}]}
    - {name: Wang, role: commander, reach: [{email: wang@shop.test}]}
    - {name: Ada, role: deputy, reach: [{email: ada@shop.test}]}
`

// calls are what a world was asked to do, in order.
type calls struct {
	mu  sync.Mutex
	all []string
	at  map[string]time.Time // when each began, at the latest
}

func (c *calls) add(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, call)
	if c.at == nil {
		c.at = map[string]time.Time{}
	}
	c.at[call] = time.Now()
}

// order is what was done, each once for as long as nothing else was.
func (c *calls) order() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(slices.Compact(slices.Clone(c.all)), ", ")
}

// probe is a probe that says that it was asked.
func (c *calls) probe(name string, says guard.Verdict) guard.Probe {
	return asked(func(context.Context) (guard.Finding, error) {
		c.add(name)
		return guard.Finding{Verdict: says, ID: name, Reason: name}, nil
	})
}

type asked func(ctx context.Context) (guard.Finding, error)

func (a asked) Probe(ctx context.Context, _ guard.Release) (guard.Finding, error) { return a(ctx) }

// told is a backend that says what it was told.
type told struct {
	*world
	calls *calls
}

func (b told) Shift(ctx context.Context, o guard.Order, percent int) error {
	b.calls.add(fmt.Sprintf("shift %d", percent))
	return b.world.Shift(ctx, o, percent)
}

// recovering is a rollout of a plan that has everything for when it goes wrong.
func recovering(t *testing.T, w *world, m *memory, c *calls) *Rollout {
	t.Helper()
	r := rollout(t, w, m)
	var err error
	if r.Plan, err = guard.ParsePlan("shop.yaml", []byte(night)); err != nil {
		t.Fatal(err)
	}
	r.Parts.Backend = told{w, c}
	r.Parts.Verify = []guard.Probe{c.probe("verify", guard.Pass)}
	r.Parts.Contain = c.probe("contain", guard.Pass)
	r.Parts.Ramp = []guard.Probe{c.probe("half", guard.Pass), c.probe("all", guard.Pass)}
	r.Parts.Resort = func(_ context.Context, n int, _ guard.Release) (Resort, error) {
		return Resort{Do: c.probe(r.Plan.Recovery.Resorts[n].Name, guard.Pass)}, nil
	}
	for _, name := range []string{"log", "dump"} {
		r.Parts.Collect = append(r.Parts.Collect, Collector{name, collect(func(context.Context) ([]byte, error) {
			c.add("gather")
			return []byte("what " + name + " saw"), nil
		})})
	}
	r.Parts.Keep = func(_ context.Context, name string, content []byte) (guard.Exhibit, error) {
		return guard.Exhibit{SHA256: fmt.Sprintf("%x", content), Bytes: int64(len(content))}, nil
	}
	r.Parts.OnDuty = func(context.Context, time.Time) ([]string, error) { return []string{"Mei"}, nil }
	return r
}

func openedAt(plan string) guard.Opened {
	o := opened()
	o.Plan = plan
	return o
}

// find returns the latest fact of a kind.
func find[F guard.Fact](events []guard.Event) (found F, ok bool) {
	for _, e := range slices.Backward(events) {
		if f, is := e.Fact.(F); is {
			return f, true
		}
	}
	return found, false
}

// backupsOf are the backups that interventions took.
func backupsOf(events []guard.Event) (ids []string) {
	for _, e := range events {
		if f, is := e.Fact.(guard.Intervened); is && f.Backup != nil {
			ids = append(ids, f.Backup.ID)
		}
	}
	return ids
}

// TestOrderOfRecovery has a bad version do harm, and looks at what is done about it, in which order.
func TestOrderOfRecovery(t *testing.T) {
	for _, tt := range []struct {
		name    string
		parts   func(r *Rollout, c *calls)
		order   string
		outcome guard.Outcome
	}{
		{"contain, gather, shift, verify, soak and ramp", func(*Rollout, *calls) {},
			"shift 10, contain, gather, shift 0, verify, half, verify, all, verify", guard.RolledBack},
		{"what cannot be contained goes straight back", func(r *Rollout, c *calls) {
			r.Parts.Contain = c.probe("contain", guard.Fail)
			for i := range r.Parts.Collect { // the evidence comes later, and nothing waits for it
				r.Parts.Collect[i].Collector = collect(func(context.Context) ([]byte, error) {
					time.Sleep(time.Second)
					c.add("gather")
					return []byte("late"), nil
				})
			}
		}, "shift 10, contain, shift 0, verify", ""},
		{"what is not there does no harm", func(r *Rollout, _ *calls) {
			r.Parts.Contain, r.Parts.Ramp, r.Parts.Resort, r.Parts.Collect, r.Parts.Keep, r.Parts.OnDuty = nil, nil, nil, nil, nil, nil
		}, "shift 10, shift 0, verify", ""},
		{"a resort where going back has not helped", func(r *Rollout, c *calls) {
			r.Parts.Verify = []guard.Probe{c.probe("verify", guard.Fail)}
			r.Parts.Resort = func(_ context.Context, n int, _ guard.Release) (Resort, error) {
				switch n {
				case 0:
					return Resort{Do: c.probe("fail-over", guard.Pass), Verify: []guard.Probe{c.probe("standby", guard.Fail)}}, nil
				default:
					r.Parts.Verify[0] = c.probe("verify", guard.Pass)
					return Resort{Do: c.probe("restore", guard.Pass), Backup: &guard.Backup{ID: "night.dump"}}, nil
				}
			}
		}, "fail-over, standby, restore, verify", guard.Recovered},
		{"a resort that cannot be made is passed over", func(r *Rollout, c *calls) {
			r.Parts.Verify = []guard.Probe{c.probe("verify", guard.Fail)}
			r.Parts.Resort = func(context.Context, int, guard.Release) (Resort, error) {
				return Resort{}, errors.New("no backup is known")
			}
		}, "shift 0, verify", guard.RollbackFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m, c := &world{errors: .5}, &memory{}, &calls{}
				r := recovering(t, w, m, c)
				tt.parts(r, c)
				s, err := r.Run(t.Context(), nil, openedAt(night))
				if err != nil {
					t.Fatal(err)
				}
				if got := c.order(); !strings.Contains(got, tt.order) {
					t.Errorf("it did %s\nwant %s\n%s: %s", got, tt.order, s.Outcome, s.Why)
				}
				if len(r.Parts.Collect) > 0 && !strings.Contains(c.order(), "gather") {
					t.Errorf("no evidence was kept: %s", c.order())
				}
				if tt.outcome != "" && s.Outcome != tt.outcome || w.overlap {
					t.Errorf("outcome %q, overlap %v; want %q: %s", s.Outcome, w.overlap, tt.outcome, s.Why)
				}
				if backups := backupsOf(m.events); s.Outcome == guard.Recovered && !slices.Equal(backups, []string{"night.dump"}) {
					t.Errorf("the journal says that %q were restored, want night.dump", backups)
				}
				if diff := cmp.Diff(fmt.Sprint(s), fmt.Sprint(guard.Fold(r.Plan, m.events))); diff != "" {
					t.Errorf("the journal leads elsewhere (-run +journal):\n%s", diff)
				}
			})
		})
	}
}

// TestGatherHoldsNobodyUp has collectors that hang, panic and fail. Those that do not listen are left behind.
func TestGatherHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m, c := &world{errors: .5}, &memory{}, &calls{}
		r := recovering(t, w, m, c)
		r.Parts.Collect = []Collector{
			{"deaf", collect(func(context.Context) ([]byte, error) { time.Sleep(time.Hour); return []byte("too late"), nil })},
			{"slow", collect(func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return []byte("half"), ctx.Err() })},
			{"broken", collect(func(context.Context) ([]byte, error) { panic("oops") })},
			{"refused", collect(func(context.Context) ([]byte, error) { return nil, errors.New("permission denied") })},
			{"good", collect(func(context.Context) ([]byte, error) { return []byte("good"), nil })},
		}
		kept := map[string]string{}
		var keeping sync.Mutex
		r.Parts.Keep = func(_ context.Context, name string, content []byte) (guard.Exhibit, error) {
			keeping.Lock()
			defer keeping.Unlock()
			kept[name] = string(content)
			return guard.Exhibit{SHA256: "x", Bytes: int64(len(content))}, nil
		}
		s, err := r.Run(t.Context(), nil, openedAt(night))
		if err != nil {
			t.Fatal(err)
		}
		if took := c.at["shift 0"].Sub(c.at["contain"]); took > 20*time.Second {
			t.Errorf("the way back has waited for %s, and the budget is 20s", took)
		}
		var got []string
		for _, e := range s.Incident.Exhibits {
			got = append(got, fmt.Sprintf("%s: kept %v, cut %v, %s", e.Name, e.SHA256 != "", e.Cut, e.Problem))
		}
		want := []string{
			"deaf: kept false, cut true, it was not there in time",
			"slow: kept true, cut true, gave no answer in time: context deadline exceeded",
			"broken: kept false, cut false, panic: oops",
			"refused: kept false, cut false, permission denied",
			"good: kept true, cut false, ",
			"counts.json: kept true, cut false, ",
			"deploy.json: kept true, cut false, ",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("exhibits (-want +got):\n%s", diff)
		}
		time.Sleep(2 * time.Hour) // until the deaf one has come to an end
		synctest.Wait()
		keeping.Lock()
		defer keeping.Unlock()
		for name, piece := range map[string]string{"slow": "half", "counts.json": `"call": "regressed"`, "deploy.json": `"percent": 10`} {
			if !strings.Contains(kept[name], piece) {
				t.Errorf("%s holds no %s:\n%.2000s", name, piece, kept[name])
			}
		}
		if _, late := kept["deaf"]; late {
			t.Error("what came too late was kept all the same")
		}
	})
}

// TestContainWaitsForNobody has a shift hang that does not listen while a person orders the way back.
func TestContainWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m, c := &world{hang: func(percent int) bool { return percent == 50 }}, &memory{}, &calls{}
		r := recovering(t, w, m, c)
		outside := make(chan guard.Fact)
		r.Outside = outside
		var ordered time.Time
		m.after = func() {
			if s := guard.Fold(r.Plan, m.events); s.Phase == guard.Shifting && s.Aim == 50 && ordered.IsZero() {
				ordered = time.Now()
				go func() { outside <- guard.Ordered{Verb: guard.OrderRollback, By: "Mei"} }()
			}
		}
		if _, err := r.Run(t.Context(), nil, openedAt(night)); err != nil {
			t.Fatal(err)
		}
		if waited := c.at["contain"].Sub(ordered); ordered.IsZero() || waited > 500*time.Millisecond {
			t.Errorf("containing waited for %s: %s", waited, c.order())
		}
		if w.overlap {
			t.Errorf("two moves at once: %v", w.moves)
		}
	})
}

// TestSoak judges the old version after the way back, and begins anew when it was unwell.
func TestSoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m, c := &world{errors: .5}, &memory{}, &calls{}
		r := recovering(t, w, m, c)
		unwell := 3
		r.Parts.Verify = []guard.Probe{asked(func(context.Context) (guard.Finding, error) {
			if s := guard.Fold(r.Plan, m.events); s.Phase == guard.Soaking && unwell > 0 {
				unwell--
				return guard.Finding{Verdict: guard.Fail, ID: "shop", Reason: "half of the pages are empty"}, nil
			}
			return guard.Finding{Verdict: guard.Pass}, nil
		})}
		s, err := r.Run(t.Context(), nil, openedAt(night))
		if err != nil {
			t.Fatal(err)
		}
		soaked, found := find[guard.Soaked](m.events)
		if !found || soaked.Standing == nil || soaked.Ruling.Why == "" || soaked.Ruling.Call == judge.Blind || soaked.Ruling.Call == judge.Regressed {
			t.Errorf("the last look is %+v", soaked)
		}
		for _, series := range soaked.Reading.Series {
			if series.Arm != guard.Baseline {
				t.Errorf("it holds a series of %s", series.Arm)
			}
		}
		if s.Outcome != guard.RolledBack || unwell > 0 || s.Incident.Steady.Sub(s.Incident.Restored) < time.Minute {
			t.Errorf("outcome %q, %d times unwell to go, steady after %s: %s", s.Outcome, unwell, s.Incident.Steady.Sub(s.Incident.Restored), s.Why)
		}
	})
}

// TestSoakOfABrokenService looks at an old version that breaks the limits of the plan.
func TestSoakOfABrokenService(t *testing.T) {
	p, err := guard.ParsePlan("shop.yaml", []byte(strings.Replace(night, "bad: 'requests{code=\"500\"}'", "bad: 'requests{code=\"500\"}', never: 5%", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var k soaker
	began := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	look := func(began time.Time, from int, bad float64) (last judge.Ruling) {
		for n := from; n < from+60; n++ {
			at, total := began.Add(time.Duration(n)*10*time.Second), float64(n)*10_000
			last = k.look(p, opened().Release, began, guard.Reading{At: at, Series: []guard.Series{{
				Signal: "errors", Arm: guard.Baseline, Instance: "a", At: at, Total: total, Bad: float64(int(total * bad)),
			}}})
		}
		return last
	}
	if r := look(began, 0, .5); r.Call != judge.Regressed {
		t.Errorf("half of the requests fail, and the ruling is %s: %s", r.Call, r.Why)
	}
	if r := look(began.Add(time.Hour), 0, .001); r.Call == judge.Regressed || r.Call == judge.Blind {
		t.Errorf("all is well from now on, and the ruling is still %s: %s", r.Call, r.Why)
	}
	first := opened().Release
	first.From = ""
	if r := new(soaker).look(p, first, began, guard.Reading{At: began}); r.Call != judge.Continue {
		t.Errorf("of a first release the ruling is %s", r.Call)
	}
}

// TestTellFindsPeople looks at whom a channel is handed, and at what the journal remembers of it.
func TestTellFindsPeople(t *testing.T) {
	for _, tt := range []struct {
		name   string
		duty   func(context.Context, time.Time) ([]string, error)
		remark string
	}{
		{"whoever is on duty", func(context.Context, time.Time) ([]string, error) { return []string{"Wang"}, nil }, ""},
		{"nobody is", func(context.Context, time.Time) ([]string, error) { return nil, nil }, "nobody is on duty, so that the role on_duty hears it; sent to [email]"},
		{"nobody knows", func(context.Context, time.Time) ([]string, error) { return nil, errors.New("no rota") }, "nobody is on duty, so that the role on_duty hears it (who is on duty is not known: no rota); sent to [email]"},
		{"the rota panics", func(context.Context, time.Time) ([]string, error) { panic("oops") }, "(who is on duty is not known: panic: oops)"},
		{"nobody can be asked", nil, "nobody is on duty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memory{}
			r := recovering(t, &world{}, m, &calls{})
			r.Parts.OnDuty = tt.duty
			var heard guard.Notice
			r.Parts.Notifiers = []guard.Notifier{notifier(func(n guard.Notice) (guard.Receipt, error) {
				heard = n
				receipt := guard.Receipt{Detail: "sent to " + n.To[0].Reach[0]["email"]}
				for _, to := range n.To {
					receipt.Handed = append(receipt.Handed, guard.Handed{Name: to.Name, Way: "email", Problem: "550 " + to.Reach[0]["email"] + " is full"})
				}
				return receipt, nil
			})}
			run := &run{Rollout: r}
			run.pace.begin(time.Time{})
			deed := guard.Tell{Notice: guard.Notice{Key: "1/1", Audience: "team", Roles: []string{"on_duty"}}}
			fact := run.perform(t.Context(), guard.State{}, decisive{}, guard.Task{Deed: deed})
			done, ok := fact.(guard.Told)
			if !ok || len(heard.To) == 0 {
				t.Fatalf("%+v, told %+v", fact, heard)
			}
			if !strings.Contains(done.Receipt.Detail, tt.remark) || tt.remark == "" && done.Receipt.Detail != "sent to [email]" {
				t.Errorf("the receipt says %q, want %q", done.Receipt.Detail, tt.remark)
			}
			if text := fmt.Sprintf("%+v %+v", fact, deed); strings.Contains(text, "@shop.test") || !strings.Contains(text, "550 [email] is full") {
				t.Errorf("an address is told: %s", text)
			}
			r.Parts.Notifiers[0] = notifier(func(n guard.Notice) (guard.Receipt, error) {
				return guard.Receipt{}, fmt.Errorf("550 %s is full", n.To[0].Reach[0]["email"])
			})
			fact = run.perform(t.Context(), guard.State{}, decisive{}, guard.Task{Deed: deed})
			if failed, ok := fact.(guard.Failed); !ok || failed.Error != "550 [email] is full" {
				t.Errorf("%+v", fact)
			}
		})
	}
}

type notifier func(guard.Notice) (guard.Receipt, error)

func (f notifier) Notify(_ context.Context, n guard.Notice) (guard.Receipt, error) { return f(n) }

// TestMissed has one of several never be reached for a while: everybody else has each notice once, and the one has it as soon
// as that works, in the words and under the key of the first.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m, c := &world{errors: .5}, &memory{}, &calls{}
		r := recovering(t, w, m, c)
		everybody := strings.Replace(night, "lead: commander,", "lead: commander, page: everyone,", 1)
		var err error
		if r.Plan, err = guard.ParsePlan("shop.yaml", []byte(everybody)); err != nil {
			t.Fatal(err)
		}
		r.Stay = true
		outside := make(chan guard.Fact)
		r.Outside = outside
		var mu sync.Mutex
		has, tries := map[string][]string{}, map[string]int{}
		for i := range r.Parts.Notifiers {
			r.Parts.Notifiers[i] = notifier(func(n guard.Notice) (guard.Receipt, error) {
				mu.Lock()
				defer mu.Unlock()
				var receipt guard.Receipt
				for _, to := range n.To {
					one := guard.Handed{Name: to.Name, Way: "email"}
					if tries[n.Key+to.Name]++; to.Name == "Wang" && tries[n.Key+to.Name] < 4 {
						one.Problem = "451 later"
					} else {
						has[n.Key] = append(has[n.Key], to.Name+": "+n.Title)
					}
					receipt.Handed = append(receipt.Handed, one)
				}
				return receipt, nil
			})
		}
		go func() {
			time.Sleep(10 * time.Minute)
			outside <- guard.Stated{What: guard.StateStandDown, Text: "all is well", By: "Wang"}
		}()
		s, err := r.Run(t.Context(), nil, openedAt(everybody))
		if err != nil {
			t.Fatal(err)
		}
		late := 0
		for key, names := range has {
			for i, name := range names {
				if slices.Contains(names[:i], name) {
					t.Errorf("%s was told %s twice: %q", name, key, names)
				}
			}
			if tries[key+"Wang"] > 1 {
				late++
			}
			if tries[key+"Wang"] > 0 && tries[key+"Wang"] != 4 {
				t.Errorf("of %s Wang was told %d times", key, tries[key+"Wang"])
			}
		}
		if late == 0 || len(s.Incident.Unreached) > 0 {
			t.Errorf("%d notices came late, of %v; unreached: %q", late, has, s.Incident.Unreached)
		}
	})
}

// TestStay goes on after the rollout is over: the timers of the incident come, until a person stands it down.
func TestStay(t *testing.T) {
	for _, stay := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, m, c := &world{errors: .5}, &memory{}, &calls{}
			r := recovering(t, w, m, c)
			r.Stay = stay
			outside := make(chan guard.Fact)
			r.Outside = outside
			var over time.Time
			r.Saw = func(e guard.Event, s guard.State) {
				if s.Phase == guard.Over && over.IsZero() {
					over = time.Now()
					go func() {
						select {
						case <-time.After(40 * time.Minute):
							select {
							case outside <- guard.Stated{What: guard.StateStandDown, Text: "all is well", By: "Wang"}:
							case <-t.Context().Done():
							}
						case <-t.Context().Done():
						}
					}()
				}
			}
			s, err := r.Run(t.Context(), nil, openedAt(night))
			if err != nil {
				t.Fatal(err)
			}
			switch after := time.Since(over); {
			case !stay && (after > tellAfter || !s.Incident.Open()):
				t.Errorf("without staying it ended %s after it was over, open: %v", after, s.Incident.Open())
			case stay && (after < 40*time.Minute || after > 41*time.Minute || s.Incident.Open()):
				t.Errorf("staying it ended %s after it was over, open: %v", after, s.Incident.Open())
			}
			if stay {
				return
			}
			// Another process takes up what the incident still owes, and what came due in between.
			time.Sleep(35 * time.Minute)
			before := len(m.events)
			r = recovering(t, w, m, c)
			if s, err = r.Run(t.Context(), slices.Clone(m.events), guard.Resumed{}); err != nil || s.Phase != guard.Over {
				t.Fatalf("%s, error %v", s.Phase, err)
			}
			if _, came := find[guard.Elapsed](m.events[before:]); !came {
				t.Errorf("no timer has come: %+v", m.events[before:])
			}
		})
	}
}

// TestNightKilledEverywhere stops a way back after each fact that it keeps, lets another process go on, and wants the
// same end as if nothing had happened.
func TestNightKilledEverywhere(t *testing.T) {
	facts := 1
	for kill := 1; kill <= facts; kill++ {
		synctest.Test(t, func(t *testing.T) {
			w, m, c := &world{errors: .5}, &memory{}, &calls{}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m.after = func() {
				if len(m.events) == kill {
					cancel()
				}
			}
			s, err := recovering(t, w, m, c).Run(ctx, nil, openedAt(night))
			if s.Phase != guard.Over {
				time.Sleep(5 * time.Second)
				m.after = nil
				if s, err = recovering(t, w, m, c).Run(t.Context(), slices.Clone(m.events), guard.Resumed{}); err != nil {
					t.Fatal(err)
				}
			}
			if kill == facts {
				facts = max(facts, len(m.events)-1)
			}
			if s.Outcome != guard.RolledBack || w.percent != 0 || w.overlap {
				t.Errorf("killed after fact %d of %d: %q with %d %%, overlap %v, error %v: %s\n%s", kill, len(m.events), s.Outcome, w.percent, w.overlap, err, s.Why, c.order())
			}
		})
		if facts > 60 { // what follows is more looks at the old version
			facts = 60
		}
	}
	if facts < 20 {
		t.Errorf("only %d facts were tried", facts)
	}
}

// TestStandDownIsTold: mail is away just when an incident is stood down. Whoever stays tells it all the same; whoever does not
// leaves it in the history, for the next to tell; and what nobody ever takes is given up.
func TestStandDownIsTold(t *testing.T) {
	for _, tt := range []struct {
		name string
		stay bool
		away time.Duration // from the moment at which it is stood down
		told int           // in the end
		owed string
	}{
		{"the mail server starts again", true, time.Minute, 1, "met"},
		{"nobody stays", false, time.Minute, 1, "met"},
		{"there is no mail any more", true, 1000 * time.Hour, 0, "open"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				var down time.Time
				delivered := 0
				mail := notifier(func(n guard.Notice) (guard.Receipt, error) {
					if n.News != guard.NewsStoodDown {
						return guard.Receipt{}, nil
					}
					if time.Since(down) < tt.away {
						return guard.Receipt{}, errors.New("connection refused")
					}
					delivered++
					return guard.Receipt{}, nil
				})
				run := func(stay bool, past []guard.Event, begin guard.Fact) guard.State {
					r := recovering(t, &world{errors: .5}, m, &calls{})
					r.Stay = stay
					for i := range r.Parts.Notifiers {
						r.Parts.Notifiers[i] = mail
					}
					s, err := r.Run(t.Context(), past, begin)
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				if s := run(false, nil, openedAt(night)); !s.Incident.Open() {
					t.Fatalf("no incident is open: %s", s.Phase)
				}
				down = time.Now()
				s := run(tt.stay, slices.Clone(m.events), guard.Stated{What: guard.StateStandDown, Text: "all is well", By: "Wang"})
				if !tt.stay {
					if s.Untold() != 1 || delivered != 0 {
						t.Fatalf("%d notices are left, and %d were delivered", s.Untold(), delivered)
					}
					time.Sleep(time.Minute)
					s = run(false, slices.Clone(m.events), guard.Resumed{})
				}
				notice, owed := s.Incident.Owes(guard.DueNotice)
				if delivered != tt.told || !owed || notice.Standing(s.At) != tt.owed || !s.Ended() || s.Untold() != 0 {
					t.Errorf("told %d times, owed as %+v (%s), %d notices left", delivered, notice, notice.Standing(s.At), s.Untold())
				}
				reminds := slices.ContainsFunc(s.Todo, func(t guard.Task) bool { _, is := t.Deed.(guard.Remind); return is })
				if reminds != (tt.owed == "open") {
					t.Errorf("what is still to be done is %+v", s.Todo)
				}
				if tt.owed == "open" { // its time passes, and somebody hears of that
					time.Sleep(time.Hour)
					before := len(m.events)
					s = run(false, slices.Clone(m.events), guard.Resumed{})
					if notice, _ := s.Incident.Owes(guard.DueNotice); !notice.Passed || notice.Standing(s.At) != "breached" {
						t.Errorf("owed as %+v", notice)
					}
					if _, told := find[guard.Told](m.events[before:]); !told {
						t.Errorf("nobody was told that it is late: %+v", m.events[before:])
					}
				}
			})
		})
	}
}
