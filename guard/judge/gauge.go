package judge

import (
	"math"
	"slices"
	"time"
)

// coins are the chances of 2.6 that a harmful canary shows the greater value; a harmless one tosses a fair
// coin at best.
var coins = [...]float64{.6, .75, .9, .99}

// A meter judges a gauge: one value per arm and tick, of which only the order is used (2.6). Values are kept
// in the direction in which they get worse.
type meter struct {
	Harm      [len(coins)]float64 `json:"harm"` // N_q
	Safe      [len(coins)]float64 `json:"safe"` // the same on the opposite, from the start of each step
	Prior     float64             `json:"prior"`
	SafePrior float64             `json:"safe_prior"`
	Fresh     bool                `json:"fresh"` // the next observation is the first of its step
	Started   bool                `json:"started"`
	Counted   time.Time           `json:"counted"` // the last observation
	All       counts              `json:"all"`     // observations of the canary, and those above the bound
	Step      counts              `json:"step"`
	Learned   *float64            `json:"learned,omitempty"` // a bound from the history
	Canary    float64             `json:"canary"`            // last values
	Other     float64             `json:"baseline"`
	At        [2]time.Time        `json:"at"`   // of the last samples
	Over      time.Time           `json:"over"` // since when the canary exceeds its ceiling; zero if it does not
	Both      bool                `json:"both"` // and the baseline too
	Missed    int                 `json:"missed"`
}

// values are the samples of one gauge in one tick; several instances of an arm are averaged.
type values struct {
	sum, n [2]float64
	at     [2]time.Time
}

func (v *values) add(s *Series) {
	if !meaningful(s.Value) {
		return
	}
	a := 0
	if s.Arm != Canary {
		a = 1
	}
	v.sum[a] += *s.Value
	v.n[a]++
	if s.At.After(v.at[a]) {
		v.at[a] = s.At
	}
}

// meaningful says whether a gauge has a value, and one that can be reckoned with.
func meaningful(v *float64) bool { return v != nil && math.Abs(*v) <= 1e100 }

func newMeter(c *Config, s *Signal) *meter {
	m := &meter{Prior: 1}
	for i := range coins {
		m.Harm[i] = impossible
	}
	m.begin()
	var past []float64
	for _, h := range c.History {
		if h.Signal == s.Name && meaningful(h.Value) {
			past = append(past, s.worse()**h.Value)
		}
	}
	if len(past) > 0 {
		// Half of the past was below its median, so any bound above it is a fair coin or better.
		slices.Sort(past)
		bound := max(tolerated(past[len(past)/2], s.MaxIncrease), past[len(past)*9/10])
		m.Learned = &bound
	}
	return m
}

// tolerated is the greatest harmless value beside v.
func tolerated(v, increase float64) float64 { return v + increase*math.Abs(v) }

// begin starts the evidence against harm again, as each step does.
func (m *meter) begin() {
	m.Fresh, m.Step, m.SafePrior = true, counts{}, 1
	for i := range coins {
		m.Safe[i] = impossible
	}
}

// update takes the values of a tick. They count as an observation when both are new, and old enough not to
// share data with the one before.
func (m *meter) update(w *watch, now time.Time, alone bool) {
	c, s, v := w.plan, w.signal, &w.values
	m.Missed++
	fresh := [2]bool{}
	for a := range fresh {
		if v.n[a] > 0 && v.at[a].After(m.At[a]) {
			fresh[a], m.At[a] = true, v.at[a]
		}
	}
	if fresh[0] {
		m.Canary = s.worse() * v.sum[0] / v.n[0]
	}
	if fresh[1] {
		m.Other = s.worse() * v.sum[1] / v.n[1]
	}
	bound := tolerated(m.Other, s.MaxIncrease)
	if alone && m.Learned != nil {
		bound = *m.Learned
	}
	if !fresh[0] || !alone && !fresh[1] {
		return
	}
	m.Missed = 0
	m.watchCeiling(s, now, alone)
	if alone && m.Learned == nil || now.Sub(m.Counted) < max(c.Every, s.Window)*9/10 {
		return
	}
	m.Counted = now
	m.observe(m.Canary > bound, c.Every.Seconds())
}

// observe adds one observation: whether the canary's value is above the bound.
func (m *meter) observe(above bool, tick float64) {
	release, safely := tick*releasePerSecond, tick*releasePerSecond
	if m.Fresh {
		release, safely = releaseAtStep, releaseAtFirst
	}
	if !m.Started {
		release = releaseAtFirst
	}
	m.Started, m.Fresh = true, false
	toss(&m.Harm, &m.Prior, release, above)
	toss(&m.Safe, &m.SafePrior, safely, !above)
	m.All.NC++
	m.Step.NC++
	if above {
		m.All.EC++
		m.Step.EC++
	}
}

// toss is the recursion of 2.6 with the change point of 2.4.
func toss(n *[len(coins)]float64, prior *float64, release float64, hit bool) {
	mass := *prior * release
	*prior -= mass
	for i, q := range coins {
		if !hit {
			q = 1 - q
		}
		n[i] = logAdd(n[i], math.Log(mass)) + math.Log(2*q)
	}
}

func evidence(n *[len(coins)]float64) float64 {
	sum := impossible
	for _, v := range n {
		sum = logAdd(sum, v)
	}
	return sum - math.Log(float64(len(n)))
}

// logE is the evidence of harm.
func (m *meter) logE() float64 {
	if !m.Started {
		return 0
	}
	return evidence(&m.Harm)
}

// safe is the evidence against harm in this step.
func (m *meter) safe() float64 {
	if m.Step.NC == 0 {
		return 0
	}
	return evidence(&m.Safe)
}

func (m *meter) watchCeiling(s *Signal, now time.Time, alone bool) {
	switch {
	case s.Never == nil || m.Canary <= s.Never.limit():
		m.Over = time.Time{}
	case m.Over.IsZero():
		m.Over = now
	}
	m.Both = !alone && s.Never != nil && m.Other > s.Never.limit()
}

// broken says that the canary has exceeded its ceiling for as long as the plan allows.
func (m *meter) broken(s *Signal, now time.Time) bool {
	return s.Never != nil && !m.Over.IsZero() && now.Sub(m.Over) >= s.Never.For
}

// ours says that only the canary exceeds the ceiling.
func (m *meter) ours() bool { return !m.Both }
