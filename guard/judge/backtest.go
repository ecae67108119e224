package judge

import (
	"errors"
	"math"
	"slices"
	"time"
)

// A Backtest is what a plan would have done in the past, when nothing was released: it answers how often the
// plan cries wolf, and how soon it finds harm, before the first launch.
type Backtest struct {
	Watches     int      `json:"watches"`      // cut out of the past
	ByInstance  bool     `json:"by_instance"`  // each with a real instance as its canary; otherwise split at random
	FalseAlarms int      `json:"false_alarms"` // would have been taken back
	Undecided   int      `json:"undecided"`    // would have been held
	Caught      []Caught `json:"caught,omitempty"`
}

// Caught says how harm of one size fares in the same watches.
type Caught struct {
	Errors float64       `json:"errors"` // additional share of bad requests, from a third of the watch on
	Found  int           `json:"found"`
	Delay  time.Duration `json:"delay,omitempty"` // median, of those that were found
}

// NewBacktest cuts watches of a given length out of readings of a service at rest, and judges them by the
// signals of the plan. If three instances or more are told apart, each watch takes another one for its
// canary; otherwise the given share of the requests is drawn at random, always the same way. Each size is an
// additional share of bad requests that is put into the errors of the canary.
func NewBacktest(past []Reading, c Config, length time.Duration, weight float64, sizes []float64) (Backtest, error) {
	instances := instancesOf(past)
	b := Backtest{ByInstance: len(instances) >= 3, Caught: make([]Caught, len(sizes))}
	delays := make([][]time.Duration, len(sizes))
	for from := 0; ; b.Watches++ {
		to := from
		for to < len(past) && past[to].At.Sub(past[from].At) < length {
			to++
		}
		if to >= len(past) {
			break
		}
		cut := cutting{plan: c, window: past[from : to+1], weight: weight, random: uint64(b.Watches)}
		if b.ByInstance {
			cut.instance = instances[b.Watches%len(instances)]
		}
		d, err := cut.judge(0)
		if err != nil {
			return b, err
		}
		switch d.Decision {
		case "rollback":
			b.FalseAlarms++
		case "inconclusive":
			b.Undecided++
		}
		for i, size := range sizes {
			b.Caught[i].Errors = size
			if d, err = cut.judge(size); err != nil {
				return b, err
			}
			if after := d.T - cut.onset().Seconds(); d.Decision == "rollback" && after > 0 {
				b.Caught[i].Found++
				delays[i] = append(delays[i], time.Duration(after*float64(time.Second)))
			}
		}
		from = to
	}
	if b.Watches == 0 {
		return b, errors.New("the past is shorter than one watch")
	}
	for i, d := range delays {
		if slices.Sort(d); len(d) > 0 {
			b.Caught[i].Delay = d[len(d)/2]
		}
	}
	return b, nil
}

func instancesOf(past []Reading) (names []string) {
	for _, r := range past {
		for _, s := range r.Series {
			if s.Instance != "" && !slices.Contains(names, s.Instance) {
				names = append(names, s.Instance)
			}
		}
	}
	slices.Sort(names)
	return names
}

// A cutting is a piece of the past that is made into a watch of two arms.
type cutting struct {
	plan     Config
	window   []Reading
	instance string  // that becomes the canary; "" for a random split
	weight   float64 // of a random split
	random   uint64
}

// onset is when injected harm begins.
func (c *cutting) onset() time.Duration {
	return c.window[len(c.window)-1].At.Sub(c.window[0].At) / 3
}

// judge replays the watch, with an additional share of the canary's requests made bad.
func (c *cutting) judge(harm float64) (Decision, error) {
	start := c.window[0].At
	r := &Recording{Every: c.window[1].At.Sub(start), Signals: c.plan.Signals}
	both := make([]twoArms, len(r.Signals))
	for _, read := range c.window {
		arms := Reading{At: read.At}
		for k, signal := range r.Signals {
			if signal.Kind == Gauge {
				arms.Series = append(arms.Series, c.values(signal.Name, read)...)
				continue
			}
			b := &both[k]
			before := b.canary.Total
			c.count(b, signal.Name, read)
			if signal.Kind == Errors && read.At.Sub(start) > c.onset() {
				b.canary.Bad = min(b.canary.Total, b.canary.Bad+harm*(b.canary.Total-before))
			}
			arms.Series = append(arms.Series, b.series(signal.Name, read.At)...)
		}
		r.Readings = append(r.Readings, arms)
	}
	weight := c.weight
	if b := &both[0]; c.instance != "" && b.canary.Total > 0 {
		weight = b.canary.Total / (b.canary.Total + b.baseline.Total)
	}
	r.Steps = []Step{{At: start, Weight: weight, Last: true}}
	plan := c.plan
	if plan.History == nil { // what the counters hold at the start, whichever arm they are called
		for _, s := range c.window[0].Series {
			s.Arm = Baseline
			plan.History = append(plan.History, snapshot(Reading{Series: []Series{s}})...)
		}
	}
	return Replay(r, plan)
}

// twoArms are the counters of a signal since the start of a cutting, as two arms.
type twoArms struct {
	counters         counters
	begun            bool
	canary, baseline increase
}

// count adds what a signal's series rose by.
func (c *cutting) count(b *twoArms, signal string, read Reading) {
	if b.counters.place == nil {
		b.counters.index()
	}
	for _, s := range read.Series {
		if s.Signal != signal {
			continue
		}
		s.Arm = Baseline // one that comes later only sets its reference
		var rose increase
		b.counters.read(&s, &rose, !b.begun, time.Time{})
		switch {
		case c.instance == "":
			drawn := c.draw(&rose)
			b.canary.add(&drawn)
			b.baseline.add(&rose)
		case s.Instance == c.instance:
			b.canary.add(&rose)
		default:
			b.baseline.add(&rose)
		}
	}
	b.begun = true
}

// series are the counters as the judge reads them.
func (b *twoArms) series(signal string, at time.Time) (both []Series) {
	for _, arm := range []struct {
		arm  Arm
		rose *increase
	}{{Canary, &b.canary}, {Baseline, &b.baseline}} {
		if !arm.rose.Fresh {
			continue
		}
		s := Series{Signal: signal, Arm: arm.arm, At: at, Total: arm.rose.Total, Bad: math.Floor(arm.rose.Bad), Bounds: b.counters.Bounds}
		for _, above := range arm.rose.Above {
			s.Buckets = append(s.Buckets, s.Total-above)
		}
		both = append(both, s)
	}
	return both
}

// values gives a gauge to the arm of its instance, or to both.
func (c *cutting) values(signal string, read Reading) (arms []Series) {
	for _, s := range read.Series {
		if s.Signal != signal {
			continue
		}
		for _, arm := range []Arm{Canary, Baseline} {
			if c.instance == "" || (s.Instance == c.instance) == (arm == Canary) {
				s.Arm = arm
				arms = append(arms, s)
			}
		}
	}
	return arms
}

// draw takes the canary's part out of an increase: each request by the weight, with its fate.
func (c *cutting) draw(rose *increase) (canary increase) {
	canary = increase{Fresh: rose.Fresh, Above: make([]float64, len(rose.Above))}
	slower := 0. // requests that are drawn already
	for k := len(rose.Above) - 1; k >= 0; k-- {
		canary.Total += c.some(rose.Above[k] - slower)
		canary.Above[k], slower = canary.Total, rose.Above[k]
	}
	canary.Bad = c.some(rose.Bad)
	canary.Total += canary.Bad + c.some(rose.Total-slower-rose.Bad)
	rose.Total -= canary.Total
	rose.Bad -= canary.Bad
	for k := range rose.Above {
		rose.Above[k] -= canary.Above[k]
	}
	return canary
}

// some draws how many of n requests fall on the canary: one by one, or normally if they are many.
func (c *cutting) some(n float64) (drawn float64) {
	if n > 1000 {
		z := math.Sqrt(-2*math.Log(1-c.uniform())) * math.Cos(2*math.Pi*c.uniform())
		return min(n, max(0, math.Round(n*c.weight+z*math.Sqrt(n*c.weight*(1-c.weight)))))
	}
	for range int(n) {
		if c.uniform() < c.weight {
			drawn++
		}
	}
	return drawn
}

// uniform is a number of SplitMix64 in [0, 1): the same past is always split the same way.
func (c *cutting) uniform() float64 {
	c.random += 0x9e3779b97f4a7c15
	z := c.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}
