package judgebench

import (
	"math"
	"runtime"
	"slices"
	"sync"
)

// A Contender makes a rule for each run.
type Contender struct {
	Name string
	New  func(*Scenario, *Seen) Rule // the past of the baseline is for those who want it
}

// An Outcome is what a rule made of one watch.
type Outcome struct {
	Rollback bool
	Tick     int     // of the rollback
	Harm     float64 // requests harmed until then
}

// Outcomes are those of one rule over all runs of a scenario.
type Outcomes []Outcome

// past is how many ticks before the watch a rule may look at.
const past = 60

// Watch runs a scenario at its fixed weight, all contenders on the same traffic.
func Watch(s Scenario, contenders []Contender, runs int, seed uint64) []Outcomes {
	all := make([]Outcomes, len(contenders))
	for i := range all {
		all[i] = make(Outcomes, runs)
	}
	parallel(runs, func(run int) {
		h := history(s, seed, run)
		rules := make([]Rule, len(contenders))
		for i, c := range contenders {
			rules[i] = c.New(&s, h)
		}
		traffic, seen := NewTraffic(&s, seed, uint64(run)), newSeen(s.Sec)
		harm, undecided := 0., len(rules)
		for t := 1; t <= s.T && undecided > 0; t++ {
			tick := traffic.Next()
			seen.add(&tick)
			harm += tick.Harm
			for i, r := range rules {
				if r == nil {
					continue
				}
				all[i][run] = Outcome{false, s.T, harm}
				if r.Judge(seen) {
					all[i][run] = Outcome{true, t, harm}
					rules[i] = nil
					undecided--
				}
			}
		}
	})
	return all
}

// history is what the baseline did before the watch.
func history(s Scenario, seed uint64, run int) *Seen {
	quiet := s.Harmless()
	quiet.T = past
	g, h := NewTraffic(&quiet, seed^0x5bd1e995, uint64(run)), newSeen(s.Sec)
	for range past {
		tick := g.Next()
		h.add(&tick)
	}
	return h
}

// parallel calls f for each run on all processors.
func parallel(runs int, f func(run int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(runs, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for run := range next {
				f(run)
			}
		})
	}
	for run := range runs {
		next <- run
	}
	close(next)
	wg.Wait()
}

// RolledBack is the share of the runs that were rolled back.
func (o Outcomes) RolledBack() float64 {
	n := 0.
	for _, r := range o {
		if r.Rollback {
			n++
		}
	}
	return n / float64(len(o))
}

// Harm is the mean number of harmed requests.
func (o Outcomes) Harm() float64 {
	sum := 0.
	for _, r := range o {
		sum += r.Harm
	}
	return sum / float64(len(o))
}

// Delay is a quantile of the ticks from the onset to the rollback; infinite for a run without one.
func (o Outcomes) Delay(q float64, onset int) float64 {
	var delays []float64
	for _, r := range o {
		d := math.Inf(1)
		if r.Rollback {
			d = float64(r.Tick - onset)
		}
		delays = append(delays, d)
	}
	slices.Sort(delays)
	return delays[int(q*float64(len(delays)))]
}
