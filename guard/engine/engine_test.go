package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

const shop = `
service: shop
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
  bake: {for: 5m, hold_back: 10%}
  deadline: {shift: 1m, rollback: 3m}
  verify: [{use: http, with: {url: "http://shop/version"}}]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
notify: [{use: stdout}]
`

// world is a small true thing: traffic that is where it was shifted to, counters that grow with it, and a
// new version that fails as often as the test says.
type world struct {
	mu       sync.Mutex
	percent  int
	finished bool
	moving   int           // moves of traffic going on at this moment
	overlap  bool          // there were two at once
	moves    []string      // in order
	errors   float64       // share of the new version's requests that fail
	counts   [2][2]float64 // canary, baseline: total, bad
	last     time.Time
	heard    []guard.Notice

	hang    func(percent int) bool // shifts that never end by themselves
	broken  func(call string) error
	verdict guard.Verdict // of the probe

	nonsense bool // the counters show NaN
}

func (w *world) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	if err := w.breaks("inspect"); err != nil {
		return guard.Standing{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return guard.Standing{Percent: w.percent, Undo: guard.Undo{Open: true}}, nil
}

func (w *world) Shift(ctx context.Context, o guard.Order, percent int) error {
	if err := w.breaks("shift"); err != nil {
		return err
	}
	return w.move(ctx, fmt.Sprintf("shift %d", percent), w.hang != nil && w.hang(percent), func() { w.percent = percent })
}

func (w *world) Finish(ctx context.Context, o guard.Order) error {
	return w.move(ctx, "finish", false, func() { w.finished = true })
}

func (w *world) move(ctx context.Context, name string, hangs bool, do func()) error {
	w.mu.Lock()
	w.moving++
	w.overlap = w.overlap || w.moving > 1
	w.moves = append(w.moves, name)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.moving--
		w.mu.Unlock()
	}()
	if hangs {
		<-ctx.Done()
		time.Sleep(time.Second) // and then it takes its time to die
		return ctx.Err()
	}
	time.Sleep(200 * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count()
	do()
	return nil
}

// count lets a thousand requests a second pass since it was last called.
func (w *world) count() {
	now := time.Now()
	if w.last.IsZero() {
		w.last, w.counts[1][0] = now, 500_000
	}
	requests := 1000 * now.Sub(w.last).Seconds()
	w.last = now
	canary := requests * float64(w.percent) / 100
	w.counts[0][0] += canary
	w.counts[0][1] += canary * w.errors
	w.counts[1][0] += requests - canary
}

func (w *world) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	if err := w.breaks("read"); err != nil {
		return guard.Reading{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count()
	now := time.Now().UTC()
	reading := guard.Reading{At: now}
	if w.nonsense {
		w.counts[0][0] = math.NaN()
	}
	for i, arm := range []guard.Arm{guard.Canary, guard.Baseline} {
		reading.Series = append(reading.Series, guard.Series{
			Signal: "errors", Arm: arm, Instance: string(arm), At: now,
			Total: math.Floor(w.counts[i][0]), Bad: math.Floor(w.counts[i][1]),
		})
	}
	return reading, nil
}

func (w *world) Probe(ctx context.Context, r guard.Release) (guard.Finding, error) {
	if err := w.breaks("probe"); err != nil {
		return guard.Finding{}, err
	}
	return guard.Finding{Verdict: w.verdict}, nil
}

func (w *world) Notify(ctx context.Context, n guard.Notice) (guard.Receipt, error) {
	if err := w.breaks("notify"); err != nil {
		return guard.Receipt{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, n)
	return guard.Receipt{}, nil
}

func (w *world) breaks(call string) error {
	if w.broken == nil {
		return nil
	}
	return w.broken(call)
}

// memory is a journal that keeps what it can.
type memory struct {
	events []guard.Event
	limit  int    // after so many it fails; 0: never
	after  func() // called after each fact is kept
}

func (m *memory) Append(at time.Time, kind string, data json.RawMessage) error {
	if m.limit > 0 && len(m.events) >= m.limit {
		return errors.New("no space left on device")
	}
	e, err := guard.Decode(at, kind, data)
	if err != nil {
		return err
	}
	m.events = append(m.events, e)
	if m.after != nil {
		m.after()
	}
	return nil
}

func plan(t *testing.T) *guard.Plan {
	t.Helper()
	p, err := guard.ParsePlan("shop.yaml", []byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pass(context.Context, guard.Scene) ([]guard.Finding, error) {
	return []guard.Finding{{Verdict: guard.Pass}}, nil
}

func rollout(t *testing.T, w *world, m *memory) *Rollout {
	if w.verdict == guard.Unknown {
		w.verdict = guard.Pass
	}
	return &Rollout{Plan: plan(t), Journal: m, Parts: Parts{
		Backend: w, Source: w, Verify: []guard.Probe{w}, Notifiers: []guard.Notifier{w},
		Checks: []guard.Check{{ID: "some.check", Run: pass}},
	}}
}

func opened() guard.Opened {
	return guard.Opened{
		Release: guard.Release{ID: "1", Service: "shop", From: "v1", To: "v2"},
		Purpose: guard.ToRollout, Mode: guard.Enforce, Plan: shop,
	}
}

func TestRollout(t *testing.T) {
	refused := errors.New("connection refused")
	tests := []struct {
		name     string
		world    func(w *world)
		outcome  guard.Outcome
		cause    guard.Cause
		percent  int
		finished bool
	}{
		{"a good version goes live", func(w *world) {}, guard.Live, "", 100, true},
		{"a bad version is taken back", func(w *world) { w.errors = .05 }, guard.RolledBack, guard.CauseRegressed, 0, false},
		{"a way back that is not confirmed has failed", func(w *world) { w.errors, w.verdict = .05, guard.Fail }, guard.RollbackFailed, guard.CauseRegressed, 0, false},
		{"a probe that cannot ask has not confirmed", func(w *world) {
			w.errors = .05
			w.broken = on("probe", refused)
		}, guard.RollbackFailed, guard.CauseRegressed, 0, false},
		{"a shift that hangs is tried again and given up", func(w *world) { w.hang = func(p int) bool { return p == 50 } }, guard.RolledBack, guard.CauseStuck, 0, false},
		{"a backend that panics has failed", func(w *world) {
			w.broken = func(call string) error {
				if call == "shift" && w.percent == 0 && len(w.moves) < 3 {
					w.moves = append(w.moves, "panic")
					panic("oops")
				}
				return nil
			}
		}, guard.Live, "", 100, true},
		{"metrics that are gone hold the release, and end it", func(w *world) { w.broken = on("read", refused) }, guard.RolledBack, guard.CauseBlind, 0, false},
		{"numbers that are none are no numbers", func(w *world) { w.nonsense = true }, guard.RolledBack, guard.CauseBlind, 0, false},
		{"channels that are dead keep nobody waiting", func(w *world) { w.broken = on("notify", refused) }, guard.Live, "", 100, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m := &world{}, &memory{}
				tt.world(w)
				s, err := rollout(t, w, m).Run(t.Context(), nil, opened())
				if err != nil {
					t.Fatal(err)
				}
				if s.Outcome != tt.outcome || s.Cause != tt.cause || w.percent != tt.percent || w.finished != tt.finished {
					t.Errorf("outcome %q, cause %q, %d %%, finished %v; want %q, %q, %d %%, %v\nwhy: %s\nmoves: %v",
						s.Outcome, s.Cause, w.percent, w.finished, tt.outcome, tt.cause, tt.percent, tt.finished, s.Why, w.moves)
				}
				if w.overlap {
					t.Errorf("two moves at once: %v", w.moves)
				}
				if diff := cmp.Diff(fmt.Sprint(s), fmt.Sprint(guard.Fold(plan(t), m.events))); diff != "" {
					t.Errorf("the journal leads elsewhere (-run +journal):\n%s", diff)
				}
			})
		})
	}
}

func on(call string, err error) func(string) error {
	return func(c string) error {
		if c == call {
			return err
		}
		return nil
	}
}

// TestKilledEverywhere stops a rollout after each fact that it keeps, lets another go on, and wants the same
// end as if nothing had happened.
func TestKilledEverywhere(t *testing.T) {
	for _, bad := range []float64{0, .05} {
		want, facts := guard.Live, 1
		if bad > 0 {
			want = guard.RolledBack
		}
		for kill := 1; kill <= facts; kill++ {
			synctest.Test(t, func(t *testing.T) {
				w, m := &world{errors: bad}, &memory{}
				r := rollout(t, w, m)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				m.after = func() {
					if len(m.events) == kill {
						cancel()
					}
				}
				s, err := r.Run(ctx, nil, opened())
				if kill == facts && err == nil {
					facts = len(m.events) // the first time round: as long as it takes undisturbed
				}
				if s.Phase != guard.Over {
					time.Sleep(30 * time.Second)
					m.after = nil
					if s, err = rollout(t, w, m).Run(t.Context(), slices.Clone(m.events), guard.Resumed{}); err != nil {
						t.Fatal(err)
					}
				}
				if kill == facts {
					facts = max(facts, len(m.events)-1)
				}
				if s.Outcome != want || (want == guard.Live) != (w.percent == 100 && w.finished) || w.overlap {
					t.Errorf("killed after fact %d (%d in all): %s with %d %%, finished %v, overlap %v: %s\n%v", kill, len(m.events), s.Outcome, w.percent, w.finished, w.overlap, s.Why, w.moves)
				}
			})
		}
		if facts < 10 {
			t.Errorf("only %d facts were tried", facts)
		}
	}
}

// TestJournalBreaks lets the disk fill up at every fact: forward needs the journal, back never does. Only
// when the old version may be going already, nothing can be taken back any more.
func TestJournalBreaks(t *testing.T) {
	var facts int
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		if _, err := rollout(t, &world{}, m).Run(t.Context(), nil, opened()); err != nil {
			t.Fatal(err)
		}
		facts = slices.IndexFunc(m.events, func(e guard.Event) bool {
			_, finished := e.Fact.(guard.Finished)
			return finished
		})
	})
	for limit := 1; limit < facts; limit++ {
		synctest.Test(t, func(t *testing.T) {
			w, m := &world{}, &memory{limit: limit}
			s, err := rollout(t, w, m).Run(t.Context(), nil, opened())
			if !errors.Is(err, ErrJournal) {
				t.Fatalf("limit %d: error %v", limit, err)
			}
			if w.percent != 0 || w.finished || s.Phase != guard.Over {
				t.Errorf("limit %d of %d: %s with %d %% on the new version, finished %v", limit, facts, s.Phase, w.percent, w.finished)
			}
			if len(m.events) != limit {
				t.Errorf("limit %d: %d facts were kept", limit, len(m.events))
			}
		})
	}
}

// TestPanics lets every part panic at every call in turn: golive goes on, and an unknown share is no reason
// to go up.
func TestPanics(t *testing.T) {
	for _, call := range []string{"inspect", "read", "probe", "notify"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				w.broken = func(c string) error {
					if c == call && w.percent > 0 {
						panic("oops")
					}
					return nil
				}
				s, err := rollout(t, w, &memory{}).Run(t.Context(), nil, opened())
				if err != nil || s.Phase != guard.Over {
					t.Fatalf("%s: %v", s.Phase, err)
				}
				if known := call == "probe" || call == "notify"; known != (s.Outcome == guard.Live) {
					t.Errorf("outcome %s: %s", s.Outcome, s.Why)
				}
			})
		})
	}
}

// A spare source sees what the world does, with counters of its own.
type spare struct {
	*world
	asked *int
}

func (s spare) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	*s.asked++
	if err := ctx.Err(); err != nil {
		return guard.Reading{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count()
	now := time.Now().UTC()
	reading := guard.Reading{At: now, Source: "whatever it says"}
	for i, arm := range []guard.Arm{guard.Canary, guard.Baseline} {
		reading.Series = append(reading.Series, guard.Series{
			Signal: "errors", Arm: arm, Instance: string(arm), At: now,
			Total: 1e9 + math.Floor(s.counts[i][0]), Bad: 5e8 + math.Floor(s.counts[i][1]),
		})
	}
	return reading, nil
}

// A hanging source does not answer before it is given up.
type hanging struct{ guard.Source }

func (hanging) Read(ctx context.Context, _ guard.Query) (guard.Reading, error) {
	<-ctx.Done()
	return guard.Reading{}, ctx.Err()
}

// An empty source answers that it has no data.
type empty struct{ guard.Source }

func (empty) Read(context.Context, guard.Query) (guard.Reading, error) {
	return guard.Reading{At: time.Now()}, nil
}

func TestFallback(t *testing.T) {
	refused := errors.New("connection refused")
	for _, tt := range []struct {
		name    string
		world   func(w *world, p *Parts)
		outcome guard.Outcome
		cause   guard.Cause
		problem string // of every measurement with a canary; "": not asked
	}{
		{"a good version", func(w *world, p *Parts) {
			w.broken = func(call string) error {
				if call == "read" && w.percent > 0 {
					return refused
				}
				return nil
			}
		}, guard.Live, "", "connection refused (the fallback was asked)"},
		{"a bad version", func(w *world, p *Parts) { w.errors, w.broken = .05, on("read", refused) }, guard.RolledBack, guard.CauseRegressed,
			"connection refused (the fallback was asked)"},
		{"the source hangs", func(w *world, p *Parts) { p.Source = hanging{} }, guard.Live, "",
			"gave no answer in time: context deadline exceeded (the fallback was asked)"},
		{"the source panics", func(w *world, p *Parts) { p.Source = empty{}.Source }, guard.Live, "",
			"panic: runtime error: invalid memory address or nil pointer dereference (the fallback was asked)"},
		{"both are away", func(w *world, p *Parts) { w.broken = on("read", refused); p.Fallback = hanging{} }, guard.RolledBack, guard.CauseBlind,
			"connection refused; the fallback: gave no answer in time: context deadline exceeded"},
		{"no data is no reason", func(w *world, p *Parts) { p.Source = empty{} }, guard.RolledBack, guard.CauseBlind, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m, asked := &world{}, &memory{}, 0
				r := rollout(t, w, m)
				r.Parts.Fallback = spare{w, &asked}
				tt.world(w, &r.Parts)
				s, err := r.Run(t.Context(), nil, opened())
				if err != nil {
					t.Fatal(err)
				}
				if s.Outcome != tt.outcome || s.Cause != tt.cause {
					t.Errorf("outcome %q, cause %q, want %q, %q: %s", s.Outcome, s.Cause, tt.outcome, tt.cause, s.Why)
				}
				measured := 0
				for _, e := range m.events {
					f, ok := e.Fact.(guard.Measured)
					if !ok || f.Standing == nil || f.Standing.Percent == 0 {
						continue
					}
					measured++
					if f.Problem != tt.problem {
						t.Fatalf("problem %q, want %q", f.Problem, tt.problem)
					}
					want := ""
					if strings.HasSuffix(tt.problem, "asked)") {
						want = "fallback"
					}
					if f.Reading.Source != want || (want != "") != (len(f.Reading.Series) > 0) {
						t.Fatalf("a reading of %q with %d series, want one of %q", f.Reading.Source, len(f.Reading.Series), want)
					}
				}
				if measured == 0 || tt.problem == "" && asked > 0 {
					t.Errorf("%d measurements, the fallback was asked %d times", measured, asked)
				}
				if diff := cmp.Diff(fmt.Sprint(s), fmt.Sprint(guard.Fold(plan(t), m.events))); diff != "" {
					t.Errorf("the journal leads elsewhere (-run +journal):\n%s", diff)
				}
			})
		})
	}
}

// TestFallbackIsTriedBefore sees that a check does not pass with a fallback that will not be there.
func TestFallbackIsTriedBefore(t *testing.T) {
	w := &world{}
	asked := 0
	for _, fallback := range []guard.Source{spare{w, &asked}, &world{broken: on("read", errors.New("connection refused"))}} {
		scene := Parts{Backend: w, Source: w, Fallback: fallback}.Scene(t.Context(), plan(t), guard.Release{}, time.Time{})
		answer, err := scene.Ask(t.Context(), guard.Question{Readings: 1})
		if good := asked == 1; good != (err == nil) || !good && err.Error() != "the fallback: connection refused" || good && answer.Readings[0].Source != "" {
			t.Errorf("%+v, error %v", answer, err)
		}
		asked = 0
	}
}

// TestOrderDoesNotWait sees that a shift under way does not delay the way back.
func TestOrderDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outside := make(chan guard.Fact)
		w := &world{hang: func(percent int) bool { return percent == 10 }}
		r := rollout(t, w, &memory{})
		r.Outside = outside
		go func() {
			time.Sleep(5 * time.Second)
			outside <- guard.Ordered{Verb: guard.OrderRollback, By: "ada"}
		}()
		began := time.Now()
		s, err := r.Run(t.Context(), nil, opened())
		if err != nil || s.Outcome != guard.RolledBack || w.overlap {
			t.Errorf("%s (%v), overlap %v", s.Outcome, err, w.overlap)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("going back took until %s", took)
		}
		if diff := cmp.Diff([]string{"shift 10", "shift 0"}, w.moves); diff != "" {
			t.Errorf("moves (-want +got):\n%s", diff)
		}
	})
}

func TestNoticesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{errors: .05}
		failures := 2
		w.broken = func(call string) error {
			if call == "notify" && failures > 0 {
				failures--
				return errors.New("500")
			}
			return nil
		}
		if _, err := rollout(t, w, &memory{}).Run(t.Context(), nil, opened()); err != nil {
			t.Fatal(err)
		}
		var titles []string
		for _, n := range w.heard {
			titles = append(titles, n.Title)
		}
		slices.Sort(titles)
		if diff := cmp.Diff([]string{"going back", "rolled back"}, titles); diff != "" {
			t.Errorf("notices (-want +got):\n%s", diff)
		}
	})
}

func TestRunChecks(t *testing.T) {
	finds := func(f ...guard.Finding) func(context.Context, guard.Scene) ([]guard.Finding, error) {
		return func(context.Context, guard.Scene) ([]guard.Finding, error) { return f, nil }
	}
	checks := []guard.Check{
		{Code: "X1", ID: "x.slow", Run: func(ctx context.Context, _ guard.Scene) ([]guard.Finding, error) {
			time.Sleep(3 * time.Second)
			return []guard.Finding{{Verdict: guard.Pass}}, nil
		}},
		{Code: "X2", ID: "x.pass", Run: pass},
		{Code: "X3", ID: "x.error", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) { return nil, errors.New("no route") }},
		{Code: "X4", ID: "x.panic", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) { panic("oops") }},
		{Code: "X5", ID: "x.deaf", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
			time.Sleep(time.Hour)
			return []guard.Finding{{Verdict: guard.Pass}}, nil
		}},
		{Code: "X6", ID: "x.mute", Run: finds()},
		{Code: "X7", ID: "x.nonsense", Run: finds(guard.Finding{Verdict: 99})},
		{Code: "X8", ID: "x.two", Run: finds(guard.Finding{Verdict: guard.Warn}, guard.Finding{Verdict: guard.Fail})},
	}
	synctest.Test(t, func(t *testing.T) {
		var streamed []string
		began := time.Now()
		findings := RunChecks(t.Context(), guard.Scene{Plan: plan(t)}, checks, func(f guard.Finding) { streamed = append(streamed, f.Code) })
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("it took %s", took)
		}
		var got []string
		for _, f := range findings {
			got = append(got, f.Code+" "+f.Verdict.String()+" "+f.Reason)
		}
		want := []string{
			"X1 pass ", "X2 pass ", "X3 unknown no route", "X4 unknown the check panicked: oops",
			"X5 unknown the check gave no answer in time", "X6 unknown the check found nothing to say",
			"X7 unknown the check answered verdict(99)", "X8 warn ", "X8 fail ",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		if !slices.IsSorted(streamed) || len(streamed) != len(want) {
			t.Errorf("streamed %s", strings.Join(streamed, " "))
		}
		time.Sleep(2 * time.Hour) // until the deaf one is done
	})
}

// TestAskedOnce sees that the same question of several checks is put once, and different ones apart.
func TestAskedOnce(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	w := &world{broken: func(call string) error {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return nil
	}}
	scene := Parts{Backend: w, Source: w}.Scene(t.Context(), plan(t), guard.Release{}, time.Time{})
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() { scene.Ask(t.Context(), guard.Question{Standing: true}) })
		asking.Go(func() { scene.Ask(t.Context(), guard.Question{Readings: 1}) })
	}
	asking.Wait()
	if asked != 2 {
		t.Errorf("the world was asked %d times", asked)
	}
	if _, err := scene.Ask(t.Context(), guard.Question{}); err == nil {
		t.Error("an empty question has an answer")
	}
}
