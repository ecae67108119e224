package judge

import (
	"fmt"
	"math"
	"time"
)

// spared is what a mean of four e-values and the choice among three good rates cost, as a logarithm: with
// 95 % confidence it makes 4.4 of section 6.
const spared = 1.4

// divergence is the Kullback-Leibler divergence of Bernoulli(q) from Bernoulli(p): the evidence that one
// request of rate p holds against rate q.
func divergence(p, q float64) float64 {
	p, q = min(max(p, 1e-12), 1-1e-12), min(max(q, 1e-12), 1-1e-12)
	return p*math.Log(p/q) + (1-p)*math.Log((1-p)/(1-q))
}

// evidence is what one canary request says on average against a margin while nothing is wrong: by the rate
// itself or by its ratio to the baseline's, whichever says more. Above a quarter of the traffic the baseline
// gets too small to gain anything.
func (p *probe) evidence(m int, weight float64) float64 {
	base, out := p.base(), &p.Out[m]
	if base == 0 || weight <= 0 {
		return 0
	}
	said := 0.
	if bad := min(base+out.Delta, .9); base < bad {
		said = divergence(base, bad)
	}
	if p.Alone == nil {
		said = max(said, base/weight*shareDivergence(weight, 1, out.Ratio)/slowdown)
	}
	return said
}

// visible are the additional bad shares that an explanation names (section 6).
var visible = [...]float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2}

// smallestVisible is the smallest additional bad share that so many requests can show; 0 if none.
func smallestVisible(base, requests float64) float64 {
	for _, d := range visible {
		if 0 < base && base+d < 1 && requests*divergence(base, base+d) >= 4.4 {
			return d
		}
	}
	return 0
}

// An Outlook is what a plan can see of one signal at one step, and how soon, before anything is launched.
type Outlook struct {
	Signal   string        `json:"signal"`
	Slower   float64       `json:"slower_than,omitempty"` // of a latency signal: the bad requests are slower (seconds)
	Weight   float64       `json:"weight"`
	Rate     float64       `json:"rate"`               // share of bad requests now
	Floor    float64       `json:"floor,omitempty"`    // a smaller ratio of the bad shares is luck between instances
	Margin   float64       `json:"margin"`             // additional bad share that the step excludes
	Exclude  time.Duration `json:"exclude,omitempty"`  // how long that takes; 0 if it cannot be done
	Loose    float64       `json:"loose"`              // and what suffices after a while
	Patient  time.Duration `json:"patient,omitempty"`  // and how long that takes
	Smallest float64       `json:"smallest,omitempty"` // smallest additional bad share that the longest step shows
	Needs    float64       `json:"needs,omitempty"`    // requests per second, of both arms together, with which the step decides in time; 0 if none would do
	Find     []Find        `json:"find"`               // how soon harm is found
	Advice   string        `json:"advice,omitempty"`
}

// A Find says how soon a release is taken back whose bad share is Rate.
type Find struct {
	Rate  float64       `json:"rate"`
	After time.Duration `json:"after,omitempty"` // 0 if not within the longest step
}

// slowdown is the measured ratio of the time the judge needs to the bound of Wald, log(1/alpha) over the
// evidence of a request, which knows both rates and the onset (section 14); leastTicks is what it needs when
// requests are plenty, because one tick may always be one burst.
const (
	slowdown   = 2.4
	leastTicks = 3
)

// Outlook foresees, from the history in the configuration and from how many requests per second each signal
// counts on both arms together, what the signals can see at each step. Gauges are left out.
func (c Config) Outlook(steps []Step, rps map[string]float64) ([]Outlook, error) {
	j, err := New(c)
	if err != nil {
		return nil, err
	}
	var all []Outlook
	for _, step := range steps {
		j.Begin(step)
		for _, w := range j.Signals {
			if w.Kind == Gauge {
				continue
			}
			w.paired = true
			w.open(&j.Step)
			for _, p := range w.Probes {
				all = append(all, j.foresee(w, p, rps[w.Name]))
			}
			if len(w.Probes) == 0 {
				all = append(all, Outlook{Signal: w.Name, Weight: step.Weight, Advice: unknownPast})
			}
		}
	}
	return all, nil
}

const unknownPast = "nothing is known of the past: what can be seen is known once the watch has begun"

func (j *Judge) foresee(w *watch, p *probe, rps float64) Outlook {
	base, step := p.base(), &j.Step
	o := Outlook{
		Signal: w.Name, Slower: p.Bound, Weight: step.Weight, Rate: base,
		Margin: p.Out[tight].Delta, Loose: p.Out[loose].Delta,
		Exclude:  j.toExclude(p, tight, step.Weight, rps),
		Patient:  j.toExclude(p, loose, step.Weight, rps),
		Smallest: smallestVisible(base, rps*step.Weight*step.AtMost.Seconds()),
		Needs:    j.needs(p, step.Weight),
	}
	if w.Kind == Latency {
		o.Floor = luckFloor(p.Past.baselineRate(), spread(p.Tau, 0, 0))
	}
	for _, rate := range []float64{2 * base, 5 * base, base + .01, base + .05, .5} {
		if rate < .95 && rate > p.Harm.Model.Rho0*base {
			o.Find = append(o.Find, Find{rate, j.toFind(p, rate, rps)})
		}
	}
	inTime := func(d time.Duration) bool { return 0 < d && d <= step.AtMost }
	switch {
	case base == 0:
		o.Advice = unknownPast
	case !inTime(o.Exclude) && !inTime(o.Patient):
		o.Advice = "this step ends undecided: it needs more traffic, a longer max_step or a wider margin"
		for _, weight := range []float64{.05, .10, .25} {
			if weight > step.Weight && inTime(j.toExclude(p, loose, weight, rps)) {
				o.Advice = fmt.Sprintf("this step ends undecided: a weight of %s would do", percent(weight))
				break
			}
		}
	}
	return o
}

// toExclude is how long a margin takes to exclude; 0 if it cannot be done.
func (j *Judge) toExclude(p *probe, m int, weight, rps float64) time.Duration {
	gathered := within(j.confident()+spared, rps*weight*p.evidence(m, weight))
	if gathered == 0 {
		return 0
	}
	return gathered + time.Duration(j.settle()*float64(time.Second))
}

// needs is how many requests per second it takes to exclude one of the margins before the step is over.
func (j *Judge) needs(p *probe, weight float64) float64 {
	said := max(p.evidence(tight, weight), p.evidence(loose, weight))
	gathering := j.Step.AtMost.Seconds() - j.settle()
	if said <= 0 || weight <= 0 || gathering <= 0 {
		return 0
	}
	return (j.confident() + spared) / (said * weight * gathering)
}

// toFind is how long it takes to take back a canary with the given bad share; 0 if the step is too short.
func (j *Judge) toFind(p *probe, rate, rps float64) time.Duration {
	base, weight := p.base(), j.Step.Weight
	events := rps * (weight*rate + (1-weight)*base)
	found := within(slowdown*j.limit(), events*shareDivergence(weight, rate/base, p.Harm.Model.Rho0))
	if found == 0 || found > j.Step.AtMost {
		return 0
	}
	return max(found, leastTicks*j.cfg.Every)
}

// shareDivergence is the evidence of one event between two ratios, from the share that falls on the canary.
func shareDivergence(weight, truth, against float64) float64 {
	c := counts{NC: weight, NB: 1 - weight}
	p, _ := c.shares(truth)
	q, _ := c.shares(against)
	return divergence(p, q)
}

// within is how long it takes to gather evidence; 0 if it takes more than a year.
func within(evidence, perSecond float64) time.Duration {
	s := evidence / perSecond
	if !(s < 365*24*3600) {
		return 0
	}
	return time.Duration(math.Ceil(s)) * time.Second
}

// difference is the 95 % interval of the difference of the two rates (Newcombe's hybrid of Wilson intervals).
func difference(c counts) (low, high float64) {
	if c.NC == 0 || c.NB == 0 {
		return -1, 1
	}
	pc, pb := c.EC/c.NC, c.EB/c.NB
	lc, uc := wilson(c.EC, c.NC)
	lb, ub := wilson(c.EB, c.NB)
	d := pc - pb
	return d - math.Hypot(pc-lc, ub-pb), d + math.Hypot(uc-pc, pb-lb)
}

// wilson is the 95 % score interval of a rate.
func wilson(e, n float64) (low, high float64) {
	const z = 1.959963984540054
	p, f := e/n, z*z/n
	middle := (p + f/2) / (1 + f)
	half := z / (1 + f) * math.Sqrt(p*(1-p)/n+f/(4*n))
	return max(0, middle-half), min(1, middle+half)
}
