package judge_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/judge/judgebench"
)

// falseAlarms is the share of the watches of a harmless scenario that end in a rollback.
func falseAlarms(s judgebench.Scenario, runs int) float64 {
	if testing.Short() {
		runs /= 8 // a race detector looks at the code, not at the odds
	}
	return judgebench.Watch(s, []judgebench.Contender{judgebench.Fixed("golive", judge.Config{})}, runs, 1)[0].RolledBack()
}

// TestVille: in harmless worlds the odds reach 100:1 in at most 1 of 100 watches, however often one looks.
func TestVille(t *testing.T) {
	base := judgebench.Scenario{RPS: 100, W: .05, Sec: 10, T: 90, P: .001}
	for name, world := range map[string]func(*judgebench.Scenario){
		"Poisson": func(s *judgebench.Scenario) {},
		"noise":   func(s *judgebench.Scenario) { s.ArmCV = .5 },
		"bursts":  func(s *judgebench.Scenario) { s.BurstFrac, s.BurstMean = .5, 20 },
		"cold":    func(s *judgebench.Scenario) { s.ColdX, s.ColdTau = 10, 30 },
	} {
		s := base
		world(&s)
		if share := falseAlarms(s, 2000); share > .01 {
			t.Errorf("%s: %.2f %% of the harmless watches were rolled back", name, 100*share)
		}
	}
}

// TestLuckyInstances: instances that differ for good are not a regression (15.8).
func TestLuckyInstances(t *testing.T) {
	alarms := 0.
	for _, w := range []float64{.05, .5} {
		s := judgebench.Scenario{RPS: 1000, W: w, Sec: 10, T: 30, P: .001, Lat: true, LatSigma: 1.2, LatHet: .117}
		alarms += falseAlarms(s, 250) / 2
	}
	if alarms > .04 {
		t.Errorf("%.1f %% of the watches of lucky and unlucky instances were rolled back", 100*alarms)
	}
}

// share draws a share of mean w with intra-class correlation icc, from a beta distribution by two gammas.
func clientShare(r *rand.Rand, w, icc float64) float64 {
	s := 1/icc - 1
	gamma := func(shape float64) float64 { // Marsaglia and Tsang, with their boost below 1
		boost := 1.
		if shape < 1 {
			boost = math.Pow(r.Float64(), 1/shape)
			shape++
		}
		for d := shape - 1./3; ; {
			x := r.NormFloat64()
			v := math.Pow(1+x/math.Sqrt(9*d), 3)
			if v > 0 && math.Log(r.Float64()) < .5*x*x+d*(1-v+math.Log(v)) {
				return d * v * boost
			}
		}
	}
	a, b := gamma(w*s), gamma((1-w)*s)
	return a / (a + b)
}

// TestSplitByClientHangs: clients that come and go are not a hang, and a hang among requests is found at once.
func TestSplitByClientHangs(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 8))
	watch := func(ticks, requests int, share func(tick int) float64) (judge.Ruling, int) {
		j, err := judge.New(judge.Config{Signals: []judge.Signal{{Name: "errors", Kind: judge.Errors}}})
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(0, 0)
		var totals [2]float64
		read := func() judge.Ruling {
			rd := judge.Reading{At: at}
			for i, arm := range []judge.Arm{judge.Canary, judge.Baseline} {
				rd.Series = append(rd.Series, judge.Series{Signal: "errors", Arm: arm, At: at, Total: totals[i]})
			}
			return j.Observe(rd)
		}
		read()
		j.Begin(judge.Step{At: at, Weight: .2})
		var last judge.Ruling
		for tick := range ticks {
			at = at.Add(10 * time.Second)
			p := share(tick)
			for range requests {
				if r.Float64() < p {
					totals[0]++
				} else {
					totals[1]++
				}
			}
			if last = read(); last.Call == judge.Regressed {
				return last, tick
			}
		}
		return last, ticks
	}
	for range 200 {
		if ruling, tick := watch(100, 50, func(int) float64 { return clientShare(r, .2, .1) }); ruling.Call == judge.Regressed {
			t.Fatalf("tick %d: %s", tick, ruling.Why)
		}
	}
	const onset = 20
	ruling, tick := watch(100, 100, func(tick int) float64 {
		if tick >= onset {
			return 0
		}
		return .2
	})
	if ruling.Rule != judge.StoppedAnswer || tick >= onset+3 {
		t.Errorf("a hang in tick %d: %s (%s) in tick %d", onset, ruling.Call, ruling.Rule, tick)
	}
}
