package guard

import (
	"math"
	"testing"
	"time"
)

// exponential is a native histogram of observations at a schema: the factor is 2^(2^-schema).
func exponential(schema int, observations ...float64) *NativeHistogram {
	h := &NativeHistogram{}
	counts := make(map[int]float64)
	base := math.Exp2(math.Exp2(-float64(schema)))
	for _, o := range observations {
		h.Count++
		h.Sum += o
		if o == 0 {
			h.Buckets = append(h.Buckets, NativeBucket{-1e-38, 1e-38, 1})
			continue
		}
		counts[int(math.Ceil(math.Log(o)/math.Log(base)-1e-9))]++
	}
	for i, n := range counts {
		h.Buckets = append(h.Buckets, NativeBucket{math.Pow(base, float64(i-1)), math.Pow(base, float64(i)), n})
	}
	return h
}

func TestNativeHistograms(t *testing.T) {
	at := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	observed := []float64{0, .0001, .003, .1, .4, .9, 1.1, 7, 300}
	for name, c := range map[string]struct {
		histograms []*NativeHistogram
		unit       string
		bounds     int
		within     map[float64]float64
	}{
		"fine":                 {[]*NativeHistogram{exponential(8, observed...)}, "", 81, map[float64]float64{math.Exp2(-13): 2, .5: 5, 1: 6, math.Exp2(.25): 7, 128: 8}},
		"as the judge's":       {[]*NativeHistogram{exponential(2, observed...)}, "", 81, map[float64]float64{math.Exp2(-13): 2, .5: 5, 1: 6, math.Exp2(.25): 7, 128: 8}},
		"coarser":              {[]*NativeHistogram{exponential(1, observed...)}, "", 41, map[float64]float64{.5: 5, math.Sqrt2: 7, 8: 8}},
		"coarse":               {[]*NativeHistogram{exponential(0, observed...)}, "", 21, map[float64]float64{.5: 5, 1: 6, 2: 7, 8: 8}},
		"very coarse":          {[]*NativeHistogram{exponential(-2, observed...)}, "", 5, map[float64]float64{1. / 16: 3, 1: 6, 16: 8}},
		"of two handlers":      {[]*NativeHistogram{exponential(8, observed...), exponential(8, .7)}, "", 81, map[float64]float64{.5: 5, 1: 7}},
		"finer and coarser":    {[]*NativeHistogram{exponential(8, observed...), exponential(0, .7, .3)}, "", 21, map[float64]float64{.5: 6, 1: 8}},
		"in milliseconds":      {[]*NativeHistogram{exponential(3, 100, 500, 1100)}, milliseconds, 81, map[float64]float64{.064: 0, .128: 1, .512: 2, 1.024: 2, 131.072: 3}},
		"nothing observed":     {[]*NativeHistogram{{}}, "", 0, nil},
		"only zeros":           {[]*NativeHistogram{exponential(8, 0, 0)}, "", 0, nil},
		"bounds of one's own":  {[]*NativeHistogram{{Count: 3, Buckets: []NativeBucket{{.1, .3, 1}, {.3, .9, 2}}}}, "", 0, nil},
		"its first bucket":     {[]*NativeHistogram{{Count: 200, Buckets: []NativeBucket{{math.Inf(-1), 1, 100}, {1, 2, 100}}}}, "", 0, nil},
		"with a bucket of all": {[]*NativeHistogram{{Count: 200, Buckets: []NativeBucket{{math.Inf(-1), math.Inf(1), 100}, {1, 2, 100}}}}, "", 0, nil},
		"a first bucket of 0":  {[]*NativeHistogram{{Count: 5, Buckets: []NativeBucket{{math.Inf(-1), 0, 2}, {1, 2, 3}}}}, "", 21, map[float64]float64{.5: 2, 1: 2, 2: 5}},
		"a wide zero":          {[]*NativeHistogram{{Count: 5, Buckets: []NativeBucket{{-.25, .25, 2}, {1, 2, 3}}}}, "", 21, map[float64]float64{.125: 2, 1: 2, 2: 5}},
		"below zero":           {[]*NativeHistogram{{Count: 5, Buckets: []NativeBucket{{-2, -1, 2}, {1, 2, 3}}}}, "", 21, map[float64]float64{.125: 2, 2: 5}},
		"impossible":           {[]*NativeHistogram{{Count: 3, Buckets: []NativeBucket{{.5, 1, 1}, {1, 2, -2}}}}, "", 0, nil},
		"not a number":         {[]*NativeHistogram{{Count: 3, Buckets: []NativeBucket{{.5, 1, 1}, {math.NaN(), 2, 2}}}}, "", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var samples []Sample
			for i, h := range c.histograms {
				samples = append(samples, Sample{Name: "h", Labels: map[string]string{"instance": "a"}, Native: h, At: at.Add(time.Duration(i))})
			}
			signal := Signal{Name: "latency", Histogram: "h", Unit: c.unit}
			selection, err := signal.Select(Release{To: "v2"}, Canary)
			if err != nil {
				t.Fatal(err)
			}
			got := signal.Assemble(selection, Canary, samples)
			if c.bounds == 0 {
				if len(got) > 0 {
					t.Errorf("Assemble = %+v, want nothing", got)
				}
				return
			}
			if len(got) != 1 || len(got[0].Bounds) != c.bounds || got[0].At != samples[len(samples)-1].At {
				t.Fatalf("Assemble = %+v, want %d bounds", got, c.bounds)
			}
			if err := CheckReading(Query{Signals: []Signal{signal}}, Reading{At: at, Series: got}); err != nil {
				t.Error(err)
			}
			total, sum := 0., 0.
			for _, h := range c.histograms {
				total, sum = total+h.Count, sum+h.Sum
			}
			if c.unit == milliseconds {
				sum /= 1000
			}
			if got[0].Total != total || got[0].Sum != sum {
				t.Errorf("%v observations of %v in sum, want %v and %v", got[0].Total, got[0].Sum, total, sum)
			}
			for bound, want := range c.within {
				found := false
				for i, b := range got[0].Bounds {
					if math.Abs(b/bound-1) < 1e-9 {
						found = true
						if got[0].Buckets[i] != want {
							t.Errorf("%v up to %v, want %v", got[0].Buckets[i], bound, want)
						}
					}
				}
				if !found {
					t.Errorf("there is no bound %v in %v", bound, got[0].Bounds)
				}
			}
		})
	}
}

// A native histogram is no counter and no gauge: a selector that means one has no data.
func TestNativeHistogramHasNoValue(t *testing.T) {
	sample := Sample{Name: "h", Native: exponential(3, 1), At: time.Unix(1, 0)}
	for _, signal := range []Signal{{Total: "h", Bad: "h"}, {Value: "max(h)"}, {Histogram: "other"}} {
		selection, err := signal.Select(Release{To: "v2"}, Canary)
		if err != nil {
			t.Fatal(err)
		}
		if got := signal.Assemble(selection, Canary, []Sample{sample}); len(got) > 0 {
			t.Errorf("%+v reads %+v", signal, got)
		}
	}
}
