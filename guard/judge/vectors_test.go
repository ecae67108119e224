package judge

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
)

func load(t testing.TB, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
		t.Errorf("%s: got %.12f, want %.12f", what, got, want)
	}
}

// The expected values were computed with 80-digit decimals and plain products, by brute force over all
// start ticks (JUDGE.md 10).
func TestVectors(t *testing.T) {
	var vectors []struct {
		Name, Kind           string
		Rho0, Epi, Tick, Rho float64
		Delta, Pb            float64
		Ticks                []struct {
			Ec, Nc, Eb, Nb float64
			Ref            string
			Allow          []string
			Step           bool
		}
		LogE []float64
	}
	load(t, "vectors.json", &vectors)
	for _, v := range vectors {
		harm := newStream(newModel(or(v.Rho0, 1.25), v.Epi, 50, v.Tick))
		harm.Model.Absolute = v.Kind == "abs"
		out := &margin{Ratio: v.Rho, Delta: v.Delta}
		for i, want := range v.LogE {
			k := v.Ticks[i]
			c := counts{k.Ec, k.Nc, k.Eb, k.Nb}
			var got float64
			switch v.Kind {
			case "pair", "abs":
				harm.Model.Expected, _ = strconv.ParseFloat(k.Ref, 64)
				warm := flat
				for f, a := range k.Allow {
					warm[f], _ = strconv.ParseFloat(a, 64)
				}
				harm.update(c, warm, k.Step)
				got = harm.logE(false)
			case "ni_rel", "ni_abs":
				var good [3]perNoise
				for i, r := range goodRatios {
					pairLikelihood(&good[i], r, c)
				}
				out.update(c, &good, v.Pb, 1)
				got = out.Relative[0].logE()
				if v.Kind == "ni_abs" {
					got = out.Absolute[0].logE()
				}
			}
			near(t, fmt.Sprintf("%s, tick %d", v.Name, i+1), got, want, 1e-9)
		}
	}
}

func TestGaugeVector(t *testing.T) {
	m := newMeter(&Config{}, &Signal{})
	for i, want := range []float64{
		-0.210721031316, 0.306417954507, 0.851511221701, 1.420186291419, 2.008226169687,
		2.611900369750, 0.703625937798, 1.185360883560, 1.687543089902, 2.207838619422,
	} {
		m.observe(i != 6, 10)
		near(t, fmt.Sprintf("observation %d", i+1), m.logE(), want, 1e-9)
	}
}

func TestSurvivalVector(t *testing.T) {
	var v struct {
		Bounds, Counts []float64
		Probes         []struct{ Bound, S, Slope, Rho0, Epi, R3, R15 float64 }
	}
	load(t, "surv_vector.json", &v)
	s := newSurvival(v.Bounds, above(v.Counts), sum(v.Counts))
	for _, p := range v.Probes {
		k := 0
		for s.Bounds[k] != p.Bound {
			k++
		}
		name := fmt.Sprintf("bound %g ", p.Bound)
		near(t, name+"S", s.share[k], p.S, 1e-9)
		near(t, name+"slope", s.slope(k), p.Slope, 1e-9)
		near(t, name+"X", max(1.1, min(s.ratio(k, 1.3), 20)), p.Epi, 1e-9)
		near(t, name+"rho0", min(max(math.Pow(1.1, s.slope(k)), 1.05), 4), p.Rho0, 1e-9)
		near(t, name+"r(3)", s.ratio(k, 3), p.R3, 1e-9)
		near(t, name+"r(1.5)", s.ratio(k, 1.5), p.R15, 1e-9)
	}
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// above turns counts per bucket, the last beyond all bounds, into how many exceed each bound.
func above(perBucket []float64) []float64 {
	a := make([]float64, len(perBucket)-1)
	rest := sum(perBucket)
	for k := range a {
		rest -= perBucket[k]
		a[k] = rest
	}
	return a
}

// The vectors of JUDGE.md 15.7.

func TestLuckFloor(t *testing.T) {
	for _, c := range []struct {
		canary, baseline int
		spread           float64
		floors           [3]float64
	}{
		{1, 4, .190065778087, [3]float64{1.122918032852, 1.245381952670, 1.276710114765}},
		{2, 6, .138804418758, [3]float64{1.089978856953, 1.174524774274, 1.195387243152}},
		{5, 20, .085, [3]float64{1.055193850533, 1.103938336570, 1.115533001021}},
	} {
		s := spread(.17, c.canary, c.baseline)
		near(t, "spread", s, c.spread, 1e-9)
		for i, share := range []float64{.5, .1, .01} {
			near(t, fmt.Sprintf("floor of %g", share), luckFloor(share, s), c.floors[i], 1e-9)
		}
	}
}

func TestLuckyLatency(t *testing.T) {
	ticks := []counts{{12, 200, 100, 1800}, {25, 210, 104, 1790}, {22, 190, 96, 1810}, {30, 205, 99, 1795}, {27, 198, 101, 1802}}
	floor := luckFloor(.05, spread(.17, 1, 4))
	near(t, "floor", floor, 1.262594052336, 1e-9)
	for rho0, want := range map[float64][]float64{
		floor: {-3.359164570307, -2.776070339552, -2.221690173120, -0.611702380740, 0.222335885010},
		1.15:  {-3.161925573474, -2.404769221280, -1.392457710759, -0.027115861569, 0.957349234092},
	} {
		m := newModel(rho0, 1.3, 50, 10)
		m.Harmful = latencyHarm(rho0, .05)
		s := newStream(m)
		for i, c := range ticks {
			s.update(c, flat, false)
			near(t, fmt.Sprintf("rho0 %g, tick %d", rho0, i+1), s.logE(false), want[i], 1e-9)
		}
	}
}

func TestSplitByClient(t *testing.T) {
	c := Config{Signals: []Signal{{Name: "errors", Kind: Errors}}}.withDefaults()
	p := newErrorProbe(&c, &c.Signals[0], counts{}, 0, 0)
	near(t, "rho_client", p.Harm.Model.Harmless[5], 2.098032498326, 1e-9)
	byRequest := []float64{-1.279562901683, -0.927415638981, -0.321050150826, -0.132471751008, 0.336239197270, 1.378520358278}
	byClient := []float64{-1.354118045469, -1.608460211016, -1.558397730955, -1.789387811075, -1.746684189959, -1.499165287071}
	for i, c := range []counts{{2, 50, 1, 50}, {6, 48, 2, 52}, {5, 52, 1, 48}, {7, 50, 3, 50}, {4, 50, 1, 50}, {9, 50, 2, 50}} {
		p.Harm.update(c, flat, false)
		near(t, fmt.Sprintf("by request, tick %d", i+1), p.Harm.logE(false), byRequest[i], 1e-9)
		near(t, fmt.Sprintf("by client, tick %d", i+1), p.Harm.logE(true), byClient[i], 1e-9)
	}
}

func TestDispersion(t *testing.T) {
	for _, c := range []struct {
		canary    []float64
		mean, d   float64
		wantTicks float64
	}{
		{[]float64{5, 10, 2, 5, 11, 3, 2, 7, 3, 27, 35, 31}, 2.520040956910, 2.520040956910, 9},
		{[]float64{10, 9, 12, 8, 11, 10, 9, 13, 7, 10, 11, 10}, .473471979399, 1, 9},
	} {
		var s share
		for _, n := range c.canary {
			s.update(n, 50, .2)
		}
		near(t, "mean", s.Sum/s.Ticks, c.mean, 1e-9)
		near(t, "D", s.dispersion(), c.d, 1e-9)
		near(t, "ticks", s.Ticks, c.wantTicks, 0)
	}
}

func TestTau(t *testing.T) {
	n := []float64{1155, 1155, 1155, 1155}
	near(t, "tau", estimateTau(.17, n, []float64{104, 139, 118, 127}), .147420087081, 1e-9)
	near(t, "tau of two instances", estimateTau(.17, n[:2], []float64{104, 139}), .17, 0)
}

func TestProbes(t *testing.T) {
	for _, c := range []struct {
		share []float64
		want  string
	}{
		{[]float64{.94, .71, .48, .36, .22, .13, .06, .031, .012, .004, .0007, .000002}, "[2 5 6 8 9]"},
		{[]float64{.61, .04, .003, .000002, .000002}, "[1 2 3]"},
	} {
		s := survival{share: c.share, N: 250000}
		if got := fmt.Sprint(s.probes()); got != c.want {
			t.Errorf("shares %v: got %s, want %s", c.share, got, c.want)
		}
	}
}
