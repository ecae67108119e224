package judge

import (
	"errors"
	"math"
	"slices"
	"time"
)

// A Backtest is what a plan would have done in the past, when nothing was released: it answers how often the
// plan cries wolf, and how soon it finds harm, before the first launch. Add gives it one stretch of the past after
// the other, of a service at rest; each is judged as a launch of two equal arms.
type Backtest struct {
	Plan     Config    `json:"-"`
	AtRandom bool      `json:"-"` // always split at random, also if instances are told apart
	Weight   float64   `json:"-"` // of a random split: the canary's share
	Sizes    []float64 `json:"-"` // additional shares of bad requests, to be put into the errors of the canary

	Watches     int            `json:"watches"`          // judged
	Unseen      int            `json:"unseen"`           // without any data of any signal, and so not judged
	ByInstance  int            `json:"by_instance"`      // of the watches: with a real instance as canary; the others split at random
	FalseAlarms int            `json:"false_alarms"`     // would have been taken back
	Undecided   int            `json:"undecided"`        // would have been held
	Alarms      []Alarm        `json:"alarms,omitempty"` // the false ones
	Caught      []Caught       `json:"caught,omitempty"` // one for each size
	Seen        map[string]int `json:"seen"`             // in how many watches a signal had data

	delays [][]float64 // by size, sorted
	before []Reading   // the stretch before, which is the history of the next
}

// An Alarm is a watch that would have been taken back.
type Alarm struct {
	Begun    time.Time `json:"begun"`
	At       time.Time `json:"at"`
	Instance string    `json:"instance,omitempty"` // that was the canary
	Why      string    `json:"why"`
}

// Caught says how harm of one size fares in the same watches.
type Caught struct {
	Errors float64 `json:"errors"` // additional share of bad requests, from a third of the watch on
	Found  int     `json:"found"`
	Delay  float64 `json:"delay,omitempty"` // median seconds, of those that were found
}

// Add judges one more stretch of the past as a launch. If three instances or more are told apart that were there
// from end to end, another one of them is the canary each time; otherwise the share of Weight is drawn from the
// requests at random, always the same way. A stretch that follows another without a gap has it for its history.
func (b *Backtest) Add(past []Reading) error {
	window := asBaseline(past)
	before := b.before
	b.before = window
	if len(window) < 2 {
		return errors.New("a launch needs two readings at least")
	}
	if !b.look(window) {
		b.Unseen++
		return nil
	}
	cut := cutting{plan: b.Plan, window: window, weight: b.Weight, random: uint64(b.Watches)}
	if n := len(before); n > 0 && before[n-1].At.Equal(window[0].At) {
		cut.plan.History = b.Plan.Recall(before)
	}
	if instances := instancesOf(window); len(instances) >= 3 && !b.AtRandom {
		cut.instance = instances[b.Watches%len(instances)]
		b.ByInstance++
	}
	b.Watches++
	d, err := cut.judge(0)
	if err != nil {
		return err
	}
	switch d.Decision {
	case "rollback":
		b.FalseAlarms++
		begun := window[0].At
		b.Alarms = append(b.Alarms, Alarm{begun, begun.Add(time.Duration(d.T * float64(time.Second))), cut.instance, d.Why})
	case "inconclusive":
		b.Undecided++
	}
	return b.harm(&cut)
}

// harm judges the same watch again, with harm of each size.
func (b *Backtest) harm(cut *cutting) error {
	if b.Caught == nil {
		b.Caught = make([]Caught, len(b.Sizes))
		b.delays = make([][]float64, len(b.Sizes))
	}
	for i, size := range b.Sizes {
		c := &b.Caught[i]
		c.Errors = size
		d, err := cut.judge(size)
		if err != nil {
			return err
		}
		if after := d.T - cut.onset().Seconds(); d.Decision == "rollback" && after > 0 {
			c.Found++
			at, _ := slices.BinarySearch(b.delays[i], after)
			b.delays[i] = slices.Insert(b.delays[i], at, after)
			c.Delay = b.delays[i][len(b.delays[i])/2]
		}
	}
	return nil
}

// look counts which signals have data in a stretch, and says whether any has.
func (b *Backtest) look(window []Reading) bool {
	if b.Seen == nil {
		b.Seen = map[string]int{}
		for _, s := range b.Plan.Signals {
			b.Seen[s.Name] = 0
		}
	}
	seen := map[string]bool{}
	for _, s := range b.Plan.Recall(window) {
		seen[s.Signal] = true
	}
	for name := range seen {
		b.Seen[name]++
	}
	return len(seen) > 0
}

// asBaseline takes all series for those of the version that serves, whichever arm they were read as.
func asBaseline(past []Reading) []Reading {
	window := make([]Reading, len(past))
	for i, r := range past {
		r.Series = slices.Clone(r.Series)
		for k := range r.Series {
			r.Series[k].Arm = Baseline
		}
		window[i] = r
	}
	return window
}

// instancesOf are those that were there at the beginning and at the end.
func instancesOf(window []Reading) (names []string) {
	at := func(r Reading) (all []string) {
		for _, s := range r.Series {
			all = append(all, s.Instance)
		}
		return all
	}
	last := at(window[len(window)-1])
	for _, name := range at(window[0]) {
		if name != "" && slices.Contains(last, name) && !slices.Contains(names, name) {
			names = append(names, name)
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
	if plan.History == nil {
		plan.History = snapshot(c.window[0])
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
		var rose increase
		b.counters.read(&s, &rose, !b.begun, false, time.Time{}) // as a baseline, so one that comes later only sets its reference
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
