package judge

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// t0 is when all tests begin.
var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// A feed turns increases into readings of raw counters.
type feed struct {
	at     time.Time
	bounds []float64
	totals map[Arm]*armTick
}

// An armTick is what one arm did in one tick: requests, errors, and requests per bucket.
type armTick struct {
	N, E float64
	B    []float64
}

func newFeed(bounds []float64) *feed {
	f := &feed{at: t0, bounds: bounds, totals: map[Arm]*armTick{}}
	for _, a := range []Arm{Canary, Baseline} {
		f.totals[a] = &armTick{B: make([]float64, len(bounds)+1)}
	}
	return f
}

// next counts a tick of both arms; an arm that is nil could not be read.
func (f *feed) next(every time.Duration, canary, baseline *armTick) Reading {
	f.at = f.at.Add(every)
	r := Reading{At: f.at}
	for _, a := range []struct {
		arm  Arm
		tick *armTick
	}{{Canary, canary}, {Baseline, baseline}} {
		if a.tick == nil {
			continue
		}
		total := f.totals[a.arm]
		total.N += a.tick.N
		total.E += a.tick.E
		cumulative, running := make([]float64, len(f.bounds)), 0.
		for k := range f.bounds {
			if a.tick.B != nil {
				total.B[k] += a.tick.B[k]
			}
			running += total.B[k]
			cumulative[k] = running
		}
		r.Series = append(r.Series,
			Series{Signal: "errors", Arm: a.arm, At: f.at, Total: total.N, Bad: total.E},
			Series{Signal: "latency", Arm: a.arm, At: f.at, Total: total.N, Bounds: f.bounds, Buckets: cumulative})
	}
	return r
}

// first is the reading at the beginning, from which increases are counted.
func (f *feed) first() Reading {
	f.at = f.at.Add(-time.Second)
	return f.next(time.Second, &armTick{}, &armTick{})
}

// histogram is history for both signals.
func history(n, e float64, bounds, perBucket []float64) []Series {
	all := sum(perBucket)
	h := []Series{{Signal: "errors", Arm: Baseline, Total: n, Bad: e}}
	cumulative := make([]float64, len(bounds))
	for k, a := range above(perBucket) {
		cumulative[k] = all - a
	}
	return append(h, Series{Signal: "latency", Arm: Baseline, Total: all, Bounds: bounds, Buckets: cumulative})
}

var classic = []float64{.005, .010, .025, .050, .100, .250, .500, 1, 2.5, 5, 10}

func standard() Config {
	return Config{Signals: []Signal{{Name: "errors", Kind: Errors}, {Name: "latency", Kind: Latency}}}
}

// The whole rollouts of the reference engine: those it judged before section 15, with the probes and ratios
// of that time, and those it judged with it.
func TestGolden(t *testing.T) {
	for _, file := range []string{"golden_traces.json", "golden_amended.json"} {
		var traces []struct {
			Name    string
			Config  struct{ Steps []float64 }
			History armTick
			Buckets []float64 `json:"history_buckets"`
			Ticks   []struct {
				W                float64
				Canary, Baseline armTick
				Miss             bool
				LogE             float64
				Errors           float64 `json:"logE_err"`
				Verdict          int
			}
		}
		load(t, file, &traces)
		for _, trace := range traces {
			c := standard()
			c.MaxStep = 5 * time.Minute
			c.History = history(trace.History.N, trace.History.E, classic, trace.Buckets)
			j, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			f := newFeed(classic)
			j.Observe(f.first())
			at := 0
			begin := func() {
				s := Step{At: f.at, Weight: trace.Config.Steps[at], Next: 1, Last: at == len(trace.Config.Steps)-1}
				if !s.Last {
					s.Next = trace.Config.Steps[at+1]
				}
				j.Begin(s)
			}
			begin()
			if file == "golden_traces.json" {
				withoutLuck(j, f.bounds, trace.Buckets)
			}
			for i, tick := range trace.Ticks {
				canary := &tick.Canary
				if tick.Miss {
					canary = nil
				}
				r := j.Observe(f.next(10*time.Second, canary, &tick.Baseline))
				name := fmt.Sprintf("%s, %s, tick %d", file, trace.Name, i)
				near(t, name, r.LogOdds, tick.LogE, 1e-6)
				near(t, name+", errors", j.Signals[0].Probes[0].Harm.logE(false), tick.Errors, 1e-6)
				want := [...]Call{Continue, Regressed, Healthy, Inconclusive}[tick.Verdict]
				if r.Call != want && !(want == Continue && r.Call == Hold) {
					t.Errorf("%s: got %v (%s), want %v", name, r.Call, r.Why, want)
				}
				if t.Failed() {
					break
				}
				if (want == Healthy || want == Inconclusive) && i < len(trace.Ticks)-1 {
					at++
					begin()
				}
				j = resume(t, j)
			}
		}
	}
}

// withoutLuck opens the signals as the engine did before section 15.
func withoutLuck(j *Judge, bounds, perBucket []float64) {
	e, l := j.Signals[0], j.Signals[1]
	e.Probes = []*probe{newErrorProbe(&j.cfg, &j.cfg.Signals[0], counts{EB: e.Past.Bad, NB: e.Past.Total}, 0, 0)}
	l.Survival = newSurvival(bounds, above(perBucket), sum(perBucket))
	for k, share := range l.Survival.share {
		if share <= .6 && len(l.Probes) < 5 {
			l.Probes = append(l.Probes, newLatencyProbe(&j.cfg, &j.cfg.Signals[1], l.Survival, k, 0, 0, 0))
		}
	}
	for _, w := range j.Signals {
		for _, p := range w.Probes {
			w.enter(p, &j.Step)
		}
	}
}

// resume saves a judge and loads it again.
func resume(t testing.TB, j *Judge) *Judge {
	t.Helper()
	saved, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := New(j.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(saved, loaded); err != nil {
		t.Fatal(err)
	}
	return loaded
}
