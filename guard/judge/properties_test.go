package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The promises of JUDGE.md 11 and 15.8 that need no statistics; those that do are in ville_test.go.

func TestNothingHappened(t *testing.T) {
	s := newStream(newModel(1.25, 3, 50, 10))
	s.update(counts{3, 50, 2, 950}, flat, false)
	before, _ := json.Marshal(s)
	for _, c := range []counts{{0, 50, 0, 950}, {1, 0, 1, 950}, {1, 50, 1, 0}} {
		s.update(c, flat, true)
	}
	if after, _ := json.Marshal(s); !bytes.Equal(before, after) {
		t.Errorf("ticks without information changed the stream:\n%s\n%s", before, after)
	}
}

func TestExposureIsRelative(t *testing.T) {
	a, b := newStream(newModel(1.25, 3, 50, 10)), newStream(newModel(1.25, 3, 50, 10))
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		c := counts{float64(r.IntN(9)), 50, float64(r.IntN(40)), 950}
		a.update(c, flat, false)
		c.NC, c.NB = 64*c.NC, 64*c.NB
		b.update(c, flat, false)
		near(t, "log E", b.logE(false), a.logE(false), 1e-9)
	}
}

// world makes random readings of several instances and all kinds of signals: scrapes go missing, processes
// restart, come and go.
type world struct {
	r      *rand.Rand
	at     time.Time
	totals map[string]*Series
}

func newWorld(seed uint64) *world {
	return &world{r: rand.New(rand.NewPCG(seed, 7)), at: t0, totals: map[string]*Series{}}
}

func everything() Config {
	return Config{
		Signals: []Signal{
			{Name: "errors", Kind: Errors, Never: &Ceiling{Rate: .2}},
			{Name: "latency", Kind: Latency, Never: &Ceiling{Above: 2, Quantile: .9}},
			{Name: "native", Kind: Latency},
			{Name: "queue", Kind: Gauge, Never: &Ceiling{Above: 90, For: 20 * time.Second}},
			{Name: "checkouts", Kind: Errors, Compare: WithBefore},
			{Name: "heat", Kind: Gauge, Compare: WithBefore, Window: time.Minute},
		},
		History: []Series{
			{Signal: "checkouts", Arm: Baseline, Total: 50000, Bad: 500},
			{Signal: "heat", Arm: Baseline, Value: pointer(40)}, {Signal: "heat", Arm: Baseline, Value: pointer(50)},
		},
	}
}

func pointer(v float64) *float64 { return &v }

func (w *world) next() Reading {
	w.at = w.at.Add(10 * time.Second)
	r := Reading{At: w.at}
	for _, arm := range []Arm{Canary, Baseline} {
		instances := 1
		if arm == Baseline {
			instances = 4
		}
		for i := range instances {
			if w.r.IntN(12) == 0 {
				continue // not scraped
			}
			name := fmt.Sprint(arm, i)
			if w.r.IntN(60) == 0 {
				for key := range w.totals { // restarted
					if w.totals[key].Instance == name {
						delete(w.totals, key)
					}
				}
			}
			for _, signal := range []string{"errors", "latency", "native", "queue", "checkouts", "heat"} {
				r.Series = append(r.Series, w.series(signal, arm, name))
			}
		}
	}
	return r
}

func (w *world) series(signal string, arm Arm, instance string) Series {
	key := signal + instance
	s := w.totals[key]
	if s == nil {
		s = &Series{Signal: signal, Arm: arm, Instance: instance}
		switch signal {
		case "latency":
			s.Bounds = classic
		case "native":
			s.Native = true
			for k := -30.; k < 10; k += 2 {
				s.Bounds = append(s.Bounds, math.Exp2(k/4))
			}
		}
		s.Buckets = make([]float64, len(s.Bounds))
		w.totals[key] = s
	}
	s.At = w.at
	n := float64(w.r.IntN(400))
	s.Total += n
	s.Bad += float64(w.r.IntN(1 + int(n/100)))
	for range int(n) {
		d := .04 * math.Exp(.5*w.r.NormFloat64())
		for k, b := range s.Bounds {
			if d <= b {
				s.Buckets[k]++
			}
		}
	}
	if signal == "queue" || signal == "heat" {
		s.Value = pointer(40 + 10*w.r.NormFloat64())
	}
	read := *s
	read.Buckets = slices.Clone(s.Buckets)
	return read
}

// steps begins a new step now and then.
func step(j *Judge, tick int, at time.Time) {
	switch tick {
	case 1:
		j.Begin(Step{At: at, Weight: .05, Next: .25})
	case 30:
		j.Begin(Step{At: at.Add(3 * time.Second), Weight: .25, Next: .5})
	case 60:
		j.Begin(Step{At: at, Weight: .5, Last: true, SameInstances: true})
	case 90:
		j.Begin(Step{At: at, Weight: 1, Last: true, Absolute: true})
	}
}

func TestResumeAtEveryTick(t *testing.T) {
	for seed := range uint64(3) {
		w := newWorld(seed)
		whole, err := New(everything())
		if err != nil {
			t.Fatal(err)
		}
		parts := resume(t, whole)
		for tick := range 120 {
			r := w.next()
			step(whole, tick, r.At)
			step(parts, tick, r.At)
			parts = resume(t, parts)
			want, _ := json.Marshal(whole.Observe(r))
			got, _ := json.Marshal(parts.Observe(r))
			if !bytes.Equal(want, got) {
				t.Fatalf("seed %d, tick %d: resumed\n%s\nin one go\n%s", seed, tick, got, want)
			}
		}
		want, _ := json.Marshal(whole)
		got, _ := json.Marshal(resume(t, parts))
		if !bytes.Equal(want, got) {
			t.Errorf("seed %d: the memories differ", seed)
		}
	}
}

func TestOrderOfSeries(t *testing.T) {
	w := newWorld(5)
	a, _ := New(everything())
	b, _ := New(everything())
	for tick := range 60 {
		r := w.next()
		step(a, tick, r.At)
		step(b, tick, r.At)
		want := a.Observe(r)
		slices.Reverse(r.Series)
		got := b.Observe(r)
		near(t, fmt.Sprint("tick ", tick), got.LogOdds, want.LogOdds, 1e-12)
	}
}

// The bound of JUDGE.md 11.4. It holds for bursts among thousands of requests; among a million per tick the
// errors of the baseline are so many that even a burst is told from them by more.
func TestOneBurst(t *testing.T) {
	for _, weight := range []float64{.01, .05, .25, .5} {
		for _, burst := range []float64{5, 60, 1000} {
			s := newStream(newModel(1.25, 3, 50, 10))
			quiet := counts{NC: 1000 * weight, NB: 1000 * (1 - weight)}
			quiet.EC, quiet.EB = math.Round(.002*quiet.NC), math.Round(.002*quiet.NB)
			for range 40 {
				s.update(quiet, flat, false)
			}
			before := s.logE(false)
			s.update(counts{quiet.EC + burst, quiet.NC + burst, quiet.EB, quiet.NB}, flat, false)
			if rise, most := s.logE(false)-before, math.Log(1/(.02*weight))+2; rise > most {
				t.Errorf("weight %g: a burst of %g errors raised log E by %.2f, more than %.2f", weight, burst, rise, most)
			}
		}
	}
}

// Without noise and episodes, an error that moves from the baseline to the canary never speaks for it.
func TestMonotone(t *testing.T) {
	saved := noiseModels
	defer func() { noiseModels = saved }()
	for g := range noiseModels {
		noiseModels[g] = noise{logEps: impossible}
	}
	logE := func(ticks []counts) float64 {
		s := newStream(newModel(1.25, 1, 50, 10))
		for _, c := range ticks {
			s.update(c, flat, false)
		}
		return s.logE(false)
	}
	r := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		ticks := make([]counts, 12)
		for i := range ticks {
			ticks[i] = counts{float64(r.IntN(4)), 60, float64(r.IntN(12)), 940}
		}
		before := logE(ticks)
		if i := r.IntN(len(ticks)); ticks[i].EB > 0 {
			ticks[i].EC++
			ticks[i].EB--
		}
		if after := logE(ticks); after < before-1e-9 {
			t.Fatalf("log E fell from %.6f to %.6f: %v", before, after, ticks)
		}
	}
}

func TestMissingScrapes(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 10 {
		var ticks [2][60]armTick
		for i := range ticks[0] {
			ticks[0][i] = armTick{N: 50, E: float64(r.IntN(3))} // 2 % instead of 0.1 %
			ticks[1][i] = armTick{N: 950, E: float64(r.IntN(3))}
		}
		decided := func(missing float64) int {
			c := Config{Signals: []Signal{{Name: "errors", Kind: Errors}}, Prewarmed: true}
			j, _ := New(c)
			f := newFeed(nil)
			j.Observe(f.first())
			j.Begin(Step{At: f.at, Weight: .05})
			kept := armTick{}
			for i := range ticks[0] {
				kept.N, kept.E = kept.N+ticks[0][i].N, kept.E+ticks[0][i].E
				canary := &armTick{N: kept.N, E: kept.E}
				if r.Float64() < missing {
					canary = nil
				} else {
					kept = armTick{}
				}
				if j.Observe(f.next(10*time.Second, canary, &ticks[1][i])).Call == Regressed {
					return i
				}
			}
			return len(ticks[0])
		}
		if whole, gaps := decided(0), decided(.2); gaps < whole-3 || gaps > whole+3 {
			t.Errorf("decided in tick %d, with a fifth of the scrapes missing in tick %d", whole, gaps)
		}
	}
}

// finite fails if a ruling or the memory holds what JSON cannot.
func finite(t *testing.T, j *Judge, r Ruling) {
	t.Helper()
	if _, err := json.Marshal(r); err != nil {
		t.Fatalf("ruling: %v", err)
	}
	if _, err := json.Marshal(j); err != nil {
		t.Fatalf("memory: %v", err)
	}
	if r.Why == "" {
		t.Fatal("a ruling without a reason")
	}
}

func TestExtremeCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for range 200 {
		weight := math.Pow(10, -6*r.Float64())
		if r.IntN(2) == 0 {
			weight = 1 - weight
		}
		s := newStream(newModel(1.25, 3, 50, 10))
		alone := newStream(newModel(2, 3, 50, 10))
		alone.Model.Absolute, alone.Model.Expected = true, math.Pow(10, -6*r.Float64())
		out := &margin{Ratio: 1.5, Delta: .001}
		for range 10 {
			n := math.Pow(10, 9*r.Float64())
			c := counts{NC: math.Ceil(n * weight), NB: math.Ceil(n * (1 - weight))}
			c.EC, c.EB = math.Round(c.NC*r.Float64()), math.Round(c.NB*r.Float64())
			s.update(c, flat, r.IntN(4) == 0)
			alone.update(c, flat, false)
			var good [3]perNoise
			for i, rho := range goodRatios {
				pairLikelihood(&good[i], rho, c)
			}
			out.update(c, &good, .01, 2)
			for _, e := range []float64{s.logE(false), alone.logE(false), out.logE()} {
				if math.IsNaN(e) || math.IsInf(e, 0) {
					t.Fatalf("log E is %v after %+v", e, c)
				}
			}
		}
	}
}

func FuzzCounts(f *testing.F) {
	f.Add(10., 1., 1000., 10., .05, uint8(3))
	f.Add(1e15, 1e15, 1e15, 0., .5, uint8(9))
	f.Add(1., 0., 1e15, 1e15, .999999, uint8(1))
	f.Add(math.NaN(), -1., math.Inf(1), 1e300, 0., uint8(0))
	f.Fuzz(func(t *testing.T, nc, ec, nb, eb, weight float64, ticks uint8) {
		if !(0 <= weight && weight <= 1) {
			weight = .1
		}
		c := standard()
		c.Signals[0].Never = &Ceiling{Rate: .05}
		j, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		feed := newFeed(classic)
		j.Observe(feed.first())
		j.Begin(Step{At: feed.at, Weight: weight})
		for i := range ticks % 20 {
			k := float64(i%7) + 1
			canary := &armTick{N: nc / k, E: ec / k, B: []float64{0, 0, ec / k, 0, nc / k, 0, 0, 0, 0, 0, 0, 0}}
			baseline := &armTick{N: nb / k, E: eb / k, B: []float64{0, 0, 0, nb / k, eb / k, 0, 0, 0, 0, 0, 0, 0}}
			finite(t, j, j.Observe(feed.next(10*time.Second, canary, baseline)))
		}
	})
}
