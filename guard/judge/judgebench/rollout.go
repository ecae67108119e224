package judgebench

import (
	"math"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// A Policy drives a whole rollout: it moves the weight, and ends by taking the canary back or promoting it.
type Policy interface {
	Weight() float64
	Next(*Seen) (rollback, promoted bool)
}

// A Driver makes a policy for each rollout.
type Driver struct {
	Name string
	New  func(past *Seen) Policy
}

// schedule is a rule under a fixed timetable.
type schedule struct {
	rule  Rule
	steps []float64
	ticks int // of each step
	at, t int
}

func (p *schedule) Weight() float64 { return p.steps[p.at] }

func (p *schedule) Next(h *Seen) (rollback, promoted bool) {
	if p.rule.Judge(h) {
		return true, false
	}
	if p.t++; p.t < p.ticks {
		return false, false
	}
	if f, ok := p.rule.(*Flagger); ok && f.halted {
		return false, false
	}
	p.t = 0
	p.at++
	if p.at == len(p.steps) {
		p.at--
		return false, true
	}
	return false, false
}

// byEvidence is golive: a step ends when harm is excluded, or by the clock if there were too few requests to
// say (on_inconclusive: proceed).
type byEvidence struct{ *Golive }

func (p byEvidence) Next(h *Seen) (rollback, promoted bool) {
	if p.Judge(h) {
		return true, false
	}
	tooFew := p.Last.Call == judge.Inconclusive && p.Last.Rule == judge.TooFew
	if p.Last.Call == judge.Healthy || tooFew {
		return false, !p.Advance()
	}
	return false, false
}

// Drivers are golive and the timetables that the documentation of the others shows.
func Drivers() []Driver {
	timetable := func(name string, ticks int, steps []float64, rule func() Rule) Driver {
		return Driver{name, func(*Seen) Policy { return &schedule{rule: rule(), steps: steps, ticks: ticks} }}
	}
	argo := func(limit int, p99 float64) func() Rule {
		return func() Rule {
			return &Argo{Every: perMinute, Window: perMinute, MaxErrors: .01, MaxP99: p99, Limit: limit}
		}
	}
	return []Driver{
		{"golive", func(past *Seen) Policy {
			return byEvidence{&Golive{Config: judge.Config{MaxStep: 5 * time.Minute}, Past: past, Latency: true, Steps: []judge.Step{
				{Weight: .05, Next: .25}, {Weight: .25, Next: .5}, {Weight: .5, Next: 1, Last: true},
			}}}
		}},
		timetable("Argo 3 x 5 min, limit 3", 5*perMinute, []float64{.05, .25, .5}, argo(3, .5)),
		timetable("Argo 3 x 5 min, limit 0", 5*perMinute, []float64{.05, .25, .5}, argo(0, .3)),
		timetable("Flagger 5 x 1 min", perMinute, []float64{.1, .2, .3, .4, .5}, func() Rule {
			return &Flagger{Every: perMinute, Window: perMinute, MinOK: .99, MaxP99: .5, Threshold: 5}
		}),
		timetable("CodeDeploy 10 %, 5 min", 5*perMinute, []float64{.1}, func() Rule {
			return &CloudWatch{Period: perMinute, M: 2, N: 3, MaxErrors: .01, MaxP99: .3}
		}),
		timetable("Kayenta 10 %, 60 min", 60*perMinute, []float64{.1}, func() Rule {
			return &Kayenta{Period: perMinute, Every: 10 * perMinute, Latency: true}
		}),
	}
}

// An Ending is how one rollout went, within the hour.
type Ending struct {
	Rollback, Promoted bool
	Minutes            float64 // until then
	Harm               float64 // requests harmed in the whole hour, also after a wrong promotion
}

// Rollout runs a whole release under each driver, all on traffic from the same seed.
func Rollout(s Scenario, drivers []Driver, runs int, seed uint64) [][]Ending {
	all := make([][]Ending, len(drivers))
	for i := range all {
		all[i] = make([]Ending, runs)
	}
	parallel(runs, func(run int) {
		h := history(s, seed, run)
		for i, d := range drivers {
			all[i][run] = release(s, d.New(h), seed, run)
		}
	})
	return all
}

func release(s Scenario, p Policy, seed uint64, run int) (e Ending) {
	s.W = p.Weight()
	traffic, seen := NewTraffic(&s, seed, uint64(run)), newSeen(s.Sec)
	harmless := s.P1 == 0 && s.LatScale == 0 && s.TailF == 0
	for t := 1; t <= s.T && !e.Rollback; t++ {
		if e.Promoted {
			if harmless {
				break
			}
			traffic.Weight(1)
		} else {
			traffic.Weight(p.Weight())
		}
		tick := traffic.Next()
		e.Harm += tick.Harm
		if e.Promoted {
			continue
		}
		seen.add(&tick)
		if e.Rollback, e.Promoted = p.Next(seen); e.Rollback || e.Promoted {
			e.Minutes = float64(t) * s.Sec / 60
		}
	}
	return e
}

// Summary is what the rollouts of a driver came to.
type Summary struct{ Promoted, RolledBack, MinutesUp, MinutesBack, Harm float64 }

func summary(endings []Ending) (s Summary) {
	var up, back []float64
	for _, e := range endings {
		s.Harm += e.Harm / float64(len(endings))
		if e.Promoted {
			up = append(up, e.Minutes)
		}
		if e.Rollback {
			back = append(back, e.Minutes)
		}
	}
	s.Promoted, s.RolledBack = float64(len(up))/float64(len(endings)), float64(len(back))/float64(len(endings))
	s.MinutesUp, s.MinutesBack = median(up), median(back)
	return s
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	slices.Sort(x)
	return x[len(x)/2]
}
