package guard

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// A Prospect is what one signal can show on one step of a plan, and how soon, foreseen before the launch.
type Prospect struct {
	Signal  string
	Step    int           // place in Plan.Rollout.Steps
	Rate    float64       // requests per second that the signal counts now, on both versions together; 0: none, or not known
	Needs   float64       // with so many the step can decide in its time; 0 if none would do
	Decides time.Duration // until harm is excluded while nothing is wrong; 0 if the time of the step does not suffice
	Larger  int           // percent with which it would suffice; 0 if no share up to half would do
	Slower  float64       // of latency: the bad requests are slower (seconds)
	Normal  float64       // share of bad requests now
	Harm    float64       // the least that is found on the step; 0 if nothing is
	Found   time.Duration // and how soon
}

// largerShares are tried for a step that is too small to decide, in percent.
var largerShares = []int{2, 5, 10, 25, 50}

// Prospects foresees each step below 100 % for each signal that compares requests of both versions and that the
// readings know something of. Two readings or more of the old version tell the rate; one alone tells what is needed.
func (p *Plan) Prospects(r Release, past []Reading) ([]Prospect, error) {
	f := p.foresight(r, past)
	var all []Prospect
	for i, step := range p.Rollout.Steps {
		if step.Percent == 100 {
			continue
		}
		found, err := f.at(i, step.Percent)
		if err != nil {
			return nil, err
		}
		for k := range found {
			if found[k].Larger, err = f.larger(i, k, found[k]); err != nil {
				return nil, err
			}
		}
		all = append(all, found...)
	}
	return all, nil
}

// foresight is what the judge would know if the rollout began now.
type foresight struct {
	plan   *Plan
	config judge.Config
	rates  map[string]float64 // requests per second, by signal
}

// young is the least span of readings from which the judge would learn what is normal. Of a shorter one it takes
// the counters as they stand.
const young = 10 * time.Minute

func (p *Plan) foresight(r Release, past []Reading) foresight {
	f := foresight{plan: p, config: p.Judge(r), rates: map[string]float64{}}
	if len(past) == 0 {
		return f
	}
	history, latest := f.config.Recall(past), past[len(past)-1].Series
	f.config.Signals = slices.DeleteFunc(f.config.Signals, func(s judge.Signal) bool {
		return s.Kind == judge.Gauge || s.Compare == judge.WithBefore
	})
	for _, s := range f.config.Signals {
		var first, last time.Time
		for _, reading := range past {
			for _, series := range ofBaseline(reading.Series, s.Name) {
				if first.IsZero() {
					first = series.At
				}
				if series.At.After(last) {
					last = series.At
				}
			}
		}
		rose, span := ofBaseline(history, s.Name), last.Sub(first)
		if span > 0 {
			for _, series := range rose {
				f.rates[s.Name] += series.Total / span.Seconds()
			}
		}
		if span < young {
			rose = ofBaseline(latest, s.Name)
		}
		f.config.History = append(f.config.History, rose...)
	}
	return f
}

func ofBaseline(all []Series, signal string) (some []Series) {
	for _, series := range all {
		if series.Signal == signal && series.Arm == Baseline {
			some = append(some, series)
		}
	}
	return some
}

// at foresees one step as if it had this share of the traffic: one prospect for each signal that something is
// known of, in the order of the plan.
func (f foresight) at(place, percent int) (all []Prospect, err error) {
	steps, next := f.plan.Rollout.Steps, 100
	if place+1 < len(steps) {
		next = max(percent, steps[place+1].Percent)
	}
	step := judge.Step{
		Weight: float64(percent) / 100, Next: float64(next) / 100, Last: next == 100,
		AtLeast: steps[place].AtLeast.Std(), AtMost: steps[place].AtMost.Std(),
	}
	outlooks, err := f.config.Outlook([]judge.Step{step}, f.rates)
	if err != nil {
		return nil, err
	}
	for _, s := range f.config.Signals {
		var probes []judge.Outlook
		for _, o := range outlooks {
			if o.Signal == s.Name && o.Rate > 0 {
				probes = append(probes, o)
			}
		}
		if len(probes) > 0 {
			all = append(all, f.sum(place, step.AtMost, probes))
		}
	}
	return all, nil
}

// sum makes one prospect of the probes of a signal: all of them have to exclude harm, and one finds it.
func (f foresight) sum(place int, atMost time.Duration, probes []judge.Outlook) Prospect {
	p := Prospect{Signal: probes[0].Signal, Step: place, Rate: f.rates[probes[0].Signal], Normal: probes[0].Rate, Slower: probes[0].Slower}
	const never = time.Duration(math.MaxInt64)
	tight, loose := time.Duration(0), f.config.Patience
	possible := true
	for _, o := range probes {
		tight, loose = max(tight, cmp.Or(o.Exclude, never)), max(loose, cmp.Or(o.Patient, never))
		p.Needs, possible = max(p.Needs, o.Needs), possible && o.Needs > 0
		if least := leastFound(o.Find); least.After > 0 && (p.Harm == 0 || least.After < p.Found) {
			p.Harm, p.Found, p.Normal, p.Slower = least.Rate, least.After, o.Rate, o.Slower
		}
	}
	if !possible {
		p.Needs = 0
	}
	if soonest := min(tight, loose); soonest <= atMost {
		p.Decides = soonest
	}
	return p
}

// leastFound is the least harm that is found in time; zero if none is.
func leastFound(all []judge.Find) (least judge.Find) {
	for _, find := range all {
		if find.After > 0 && (least.After == 0 || find.Rate < least.Rate) {
			least = find
		}
	}
	return least
}

// larger is the least share with which prospect k of a step would be decided in time.
func (f foresight) larger(place, k int, p Prospect) (int, error) {
	if p.Decides > 0 || p.Rate == 0 {
		return 0, nil
	}
	for _, share := range largerShares {
		if share <= f.plan.Rollout.Steps[place].Percent {
			continue
		}
		found, err := f.at(place, share)
		if err != nil || k < len(found) && found[k].Decides > 0 {
			return share, err
		}
	}
	return 0, nil
}
