package judgebench

import (
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// Golive is the judge behind the same window as the other rules.
type Golive struct {
	Config  judge.Config
	Past    *Seen        // of the baseline, before the watch
	Latency bool         // is watched too
	Steps   []judge.Step // at least one; At is filled in
	Last    judge.Ruling

	j  *judge.Judge
	at int // step
}

// start is when all watches begin; nothing depends on it.
var start = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func (g *Golive) Judge(h *Seen) bool {
	if g.j == nil {
		g.begin(h)
	}
	g.Last = g.j.Observe(g.reading(h, h.ticks()))
	return g.Last.Call == judge.Regressed
}

// begin makes the judge and shows it the counters at the start.
func (g *Golive) begin(h *Seen) {
	c := g.Config
	c.Every = time.Duration(h.Sec * float64(time.Second))
	c.Signals = []judge.Signal{{Name: "errors", Kind: judge.Errors}}
	if g.Latency {
		c.Signals = append(c.Signals, judge.Signal{Name: "latency", Kind: judge.Latency})
	}
	c.History = g.series(judge.Baseline, &g.Past.Baseline[len(g.Past.Baseline)-1], start)
	j, err := judge.New(c)
	if err != nil {
		panic(fmt.Sprint("the benchmark's own plan: ", err))
	}
	g.j = j
	g.Config = c
	g.j.Observe(g.reading(h, 0))
	g.step(start)
}

func (g *Golive) step(at time.Time) {
	s := g.Steps[g.at]
	s.At = at
	g.j.Begin(s)
}

// Advance goes to the next step, and says whether there is one.
func (g *Golive) Advance() bool {
	if g.at+1 == len(g.Steps) {
		return false
	}
	g.at++
	g.step(g.Last.At)
	return true
}

// Weight is the canary's share now.
func (g *Golive) Weight() float64 { return g.Steps[g.at].Weight }

func (g *Golive) reading(h *Seen, tick int) judge.Reading {
	at := start.Add(time.Duration(float64(tick) * h.Sec * float64(time.Second)))
	r := judge.Reading{At: at}
	if tick == 0 || !h.Missed {
		r.Series = g.series(judge.Canary, &h.Canary[tick], at)
	}
	r.Series = append(r.Series, g.series(judge.Baseline, &h.Baseline[tick], at)...)
	return r
}

func (g *Golive) series(arm judge.Arm, a *Arm, at time.Time) []judge.Series {
	s := []judge.Series{{Signal: "errors", Arm: arm, At: at, Total: a.N, Bad: a.E}}
	if g.Latency {
		cumulative, n := make([]float64, len(Bounds)), 0.
		for k := range cumulative {
			n += a.B[k]
			cumulative[k] = n
		}
		s = append(s, judge.Series{Signal: "latency", Arm: arm, At: at, Total: a.N, Bounds: Bounds, Buckets: cumulative})
	}
	return s
}

// Fixed is the judge at the fixed weight of a scenario, which only ever takes back.
func Fixed(name string, c judge.Config) Contender {
	c.MaxStep = 1000 * time.Hour
	return Contender{name, func(s *Scenario, past *Seen) Rule {
		return &Golive{Config: c, Past: past, Latency: s.Lat, Steps: []judge.Step{{Weight: s.W, Last: true}}}
	}}
}
