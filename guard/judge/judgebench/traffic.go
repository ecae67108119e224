// Package judgebench measures the judge against the rules of other release tools, on the same made-up
// traffic (JUDGE.md 12), and writes down what came out.
package judgebench

import (
	"cmp"
	"math"
	"time"
)

// Bounds of the histogram that made-up services have, in seconds.
var Bounds = []float64{.005, .010, .025, .050, .100, .250, .500, 1, 2.5, 5, 10}

const buckets = 12

// Latency is lognormal, with this median and, unless the scenario says otherwise, this sigma.
const (
	medianLatency = .040
	sigmaLatency  = .5
)

// An Arm is what one version did in one tick.
type Arm struct {
	N, E float64
	B    [buckets]float64 // requests per bucket of latency
}

func (a *Arm) add(o *Arm) {
	a.N += o.N
	a.E += o.E
	for k := range a.B {
		a.B[k] += o.B[k]
	}
}

// A Tick is what both versions did.
type Tick struct {
	Canary, Baseline Arm
	Missed           bool    // the canary could not be scraped; its counts come with the next tick
	Harm             float64 // requests that the regression of the canary harmed
}

// A Scenario is a watch at a fixed weight: the traffic, what is wrong with the canary, and what disturbs the
// view. All rates and factors are per tick unless said otherwise.
type Scenario struct {
	Name  string
	RPS   float64 // requests per second of both arms
	W     float64 // weight of the canary
	Sec   float64 // length of a tick
	T     int     // ticks
	P     float64 // error rate
	Lat   bool    // latencies are drawn too
	Onset int     // tick at which the regression begins

	// What is wrong with the canary.
	P1           float64 // error rate from the onset on
	LatScale     float64 // factor on latency
	TailF, TailX float64 // share of the requests that take so many times as long
	Hang         bool    // requests end after 30 s, with an error

	// What disturbs the view.
	ArmCV                           float64 // gamma noise of the error rate of each arm
	BurstFrac, BurstMean            float64 // share of the errors that come in bursts on one arm, and their mean size
	ComSD, ComRho                   float64 // autoregressive noise of both arms together
	IncidentP, IncidentX, IncidentL float64 // incidents of both arms: chance, error rate, length
	Diurnal, Drift                  float64 // of both arms
	Hetero                          float64 // sd of what the canary's instances are worse by, for good
	ColdX, ColdLat, ColdTau         float64 // cold start: factors on errors and latency, seconds to cool off
	ColdEach                        bool    // at every step of a rollout
	EpiP, EpiX, EpiL                float64 // episodes of one arm: chance, factor on errors, length
	NCV                             float64 // noise of the traffic of each arm
	LatArmSD, LatComSD, LatHet      float64 // lognormal noise of latency: of each arm, of both, of the canary for good
	LatSigma                        float64 // spread of the latency itself
	MissP                           float64 // chance that the canary cannot be scraped
}

// Harmless is the scenario without what is wrong with the canary, or only with it: the past of the baseline.
func (s Scenario) Harmless() Scenario {
	s.P1, s.LatScale, s.TailF, s.Hang = 0, 0, 0, false
	s.ColdX, s.ColdLat, s.Hetero, s.LatHet, s.MissP = 0, 0, 0, 0, 0
	return s
}

// Every is the length of a tick.
func (s *Scenario) Every() time.Duration { return time.Duration(s.Sec * float64(time.Second)) }

// Traffic makes the ticks of a scenario.
type Traffic struct {
	s              *Scenario
	r              source
	t              int
	weight         float64
	since          int     // tick of the last change of the weight
	cold           float64 // share of the canary's instances that were new then
	common, comLat float64
	incident       int
	episode        [2]int
	hetero, hetLat float64
	hanging        []float64
	unread         Arm
}

// NewTraffic starts a scenario; the same seed and number make the same traffic.
func NewTraffic(s *Scenario, seed, number uint64) *Traffic {
	g := &Traffic{s: s, r: newSource(seed, number), weight: s.W, cold: 1}
	g.hetero, g.hetLat = g.r.lognormal(s.Hetero), g.r.lognormal(s.LatHet)
	g.common = s.ComSD * g.r.NormFloat64()
	return g
}

// Weight changes the share of the canary; its additional instances are new.
func (g *Traffic) Weight(w float64) {
	if w == g.weight {
		return
	}
	if g.s.ColdEach {
		g.cold, g.since = 1-g.weight/w, g.t
	}
	g.weight = w
}

// Next makes one tick.
func (g *Traffic) Next() Tick {
	s := g.s
	t := float64(g.t) / float64(s.T)
	bad := g.t >= s.Onset
	both := g.both(t)
	errors := [2]float64{both, both}
	traffic := s.RPS * s.Sec * (1 + s.Diurnal*math.Sin(2*math.Pi*t+.7))
	requests := [2]float64{traffic * g.weight, traffic * (1 - g.weight)}
	g.comLat = .9*g.comLat + math.Sqrt(1-.81)*s.LatComSD*g.r.NormFloat64()
	slow := [2]float64{math.Exp(g.comLat), math.Exp(g.comLat)}
	for a := range errors {
		errors[a] *= g.r.noise(s.ArmCV)
		requests[a] *= g.r.noise(s.NCV)
		slow[a] *= g.r.lognormal(s.LatArmSD)
		if s.EpiP > 0 && g.episode[a] == 0 && g.r.Float64() < s.EpiP {
			g.episode[a] = g.r.geometric(s.EpiL)
		}
		if g.episode[a] > 0 {
			errors[a] *= s.EpiX
			g.episode[a]--
		}
	}
	cold := 0.
	if s.ColdTau > 0 {
		cold = g.cold * math.Exp(-float64(g.t-g.since)*s.Sec/s.ColdTau)
	}
	errors[0] *= g.hetero * (1 + max(0, s.ColdX-1)*cold)
	slow[0] *= g.hetLat * (1 + max(0, s.ColdLat-1)*cold)
	healthy := errors[0]
	if s.P1 > 0 && bad {
		errors[0] *= s.P1 / s.P
	}
	if s.LatScale > 0 && bad {
		slow[0] *= s.LatScale
	}
	tail := 0.
	if bad {
		tail = s.TailF
	}
	tick := Tick{Baseline: g.arm(requests[1], min(1, errors[1]), slow[1], 0)}
	if s.Hang && bad {
		tick.Canary, tick.Harm = g.hang(requests[0])
	} else {
		tick.Canary = g.arm(requests[0], min(1, errors[0]), slow[0], tail)
		tick.Harm = tick.Canary.N * max(0, min(1, errors[0])-healthy)
		if s.LatScale > 1 && bad {
			tick.Harm += tick.Canary.N
		}
		tick.Harm += tick.Canary.N * tail
	}
	if s.MissP > 0 {
		g.unread.add(&tick.Canary)
		tick.Canary, tick.Missed = Arm{}, true
		if g.r.Float64() >= s.MissP {
			tick.Canary, tick.Missed = g.unread, false
			g.unread = Arm{}
		}
	}
	g.t++
	return tick
}

// both is the error rate that both arms share.
func (g *Traffic) both(t float64) float64 {
	s := g.s
	p := s.P
	if s.ComSD > 0 {
		g.common = s.ComRho*g.common + math.Sqrt(1-s.ComRho*s.ComRho)*s.ComSD*g.r.NormFloat64()
		p *= math.Exp(g.common)
	}
	p *= (1 + s.Diurnal*math.Sin(2*math.Pi*t)) * (1 + s.Drift*t)
	if s.IncidentP > 0 && g.incident == 0 && g.r.Float64() < s.IncidentP {
		g.incident = g.r.geometric(s.IncidentL)
	}
	if g.incident > 0 {
		g.incident--
		p = max(p, s.IncidentX)
	}
	return p
}

// arm draws the requests of one arm. Errors and latencies are independent, so every kind of request is
// Poisson by itself; bursts are requests that all fail.
func (g *Traffic) arm(requests, errors, slow, tail float64) (a Arm) {
	s := g.s
	burst := 0
	if s.BurstFrac > 0 {
		for range int(g.r.poisson(requests * s.P * s.BurstFrac / s.BurstMean)) {
			burst += g.r.geometric(s.BurstMean)
		}
		errors = max(0, errors-s.P*s.BurstFrac)
	}
	share := [buckets]float64{1}
	if s.Lat {
		share = s.latencies(slow, tail)
	}
	for k, p := range share {
		bad, good := g.r.poisson(requests*errors*p), g.r.poisson(requests*(1-errors)*p)
		a.E += bad
		a.B[k] = bad + good
	}
	for range burst {
		u, k := g.r.Float64(), 0
		for ; k < buckets-1 && u >= share[k]; k++ {
			u -= share[k]
		}
		a.B[k]++
	}
	a.E += float64(burst)
	for _, n := range a.B {
		a.N += n
	}
	return a
}

// latencies is the share of the requests in each bucket.
func (s *Scenario) latencies(slow, tail float64) (share [buckets]float64) {
	sigma := cmp.Or(s.LatSigma, sigmaLatency)
	normal := func(x float64) float64 { return .5 * math.Erfc(-x/math.Sqrt2) }
	before := 0.
	for k := range share {
		until := 1.
		if k < len(Bounds) {
			x := math.Log(Bounds[k] / (medianLatency * slow))
			until = (1 - tail) * normal(x/sigma)
			if tail > 0 {
				until += tail * normal((x-math.Log(s.TailX))/sigma)
			}
		}
		share[k] = until - before
		before = until
	}
	return share
}

// hang keeps requests for 30 s and lets them fail.
func (g *Traffic) hang(requests float64) (a Arm, harm float64) {
	n := g.r.poisson(requests)
	g.hanging = append(g.hanging, n)
	if len(g.hanging) > int(30/g.s.Sec) {
		a.N, a.E, a.B[buckets-1] = g.hanging[0], g.hanging[0], g.hanging[0]
		g.hanging = g.hanging[1:]
	}
	return a, n
}
