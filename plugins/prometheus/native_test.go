package prometheus

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/golive-dev/golive/guard"
)

// A nativeShop exposes a native histogram, which client_golang and Prometheus speak of in protobuf alone.
func nativeShop(version string, factor float64) (prometheus.Observer, http.Handler) {
	registry := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "native_seconds", ConstLabels: prometheus.Labels{"version": version}, NativeHistogramBucketFactor: factor,
	})
	registry.MustRegister(h)
	return h, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func TestNativeHistograms(t *testing.T) {
	stable, stableHandler := nativeShop("v1", 1.1)
	canary, canaryHandler := nativeShop("v2", 1.1)
	coarse, coarseHandler := nativeShop("v3", 2)
	for _, seconds := range []float64{0, .003, .1, .3, .6, 3} {
		stable.Observe(seconds)
		coarse.Observe(seconds)
	}
	canary.Observe(.3)
	stableHost, canaryHost := serve(t, stableHandler), serve(t, canaryHandler)
	address := startPrometheusWith(t, []string{"--enable-feature=native-histograms"}, stableHost, canaryHost, serve(t, coarseHandler))
	source := newSource(t, guard.With{"address": address})
	q := guard.Query{Release: release, Signals: []guard.Signal{{Name: "latency", Histogram: `native_seconds{version="$version"}`}}}
	var got guard.Reading
	eventually(t, "the native histograms are read", func() bool {
		var err error
		got, err = source.Read(t.Context(), q)
		return err == nil && len(got.Series) == 2 && got.Series[0].Total == 1
	})
	if err := guard.CheckReading(q, got); err != nil {
		t.Error(err)
	}
	within := func(s guard.Series, bound float64) float64 {
		for i, b := range s.Bounds {
			if math.Abs(b/bound-1) < 1e-9 {
				return s.Buckets[i]
			}
		}
		t.Errorf("there is no bound %v in %v", bound, s.Bounds)
		return -1
	}
	old := got.Series[1]
	if old.Arm != guard.Baseline || old.Instance != stableHost || old.Total != 6 || math.Abs(old.Sum-4.003) > 1e-9 || len(old.Bounds) != 81 {
		t.Errorf("Read = %+v", old)
	}
	for bound, want := range map[float64]float64{math.Exp2(-13): 1, .25: 3, math.Exp2(-1.5): 4, 1: 5, 4: 6} {
		if n := within(old, bound); n != want {
			t.Errorf("%v requests took at most %v s, want %v", n, bound, want)
		}
	}
	if age := got.At.Sub(old.At); age < 0 || age > 30*time.Second {
		t.Errorf("the series is from %v, the reading from %v", old.At, got.At)
	}

	canary.Observe(20)
	eventually(t, "another observation is seen", func() bool {
		r, err := source.Read(t.Context(), q)
		if err != nil || len(r.Series) != 2 {
			t.Fatalf("Read = %+v, %v", r, err)
		}
		return r.Series[0].Total == 2 && within(r.Series[0], 16) == 1 && within(r.Series[0], 32) == 2
	})
	t.Run("coarse", func(t *testing.T) {
		q := q
		q.Release = guard.Release{To: "v3"}
		r, err := source.Read(t.Context(), q)
		if err != nil || len(r.Series) != 1 || len(r.Series[0].Bounds) != 21 || within(r.Series[0], .5) != 4 {
			t.Errorf("Read = %+v, %v", r, err)
		}
	})
	t.Run("classic names have no data", func(t *testing.T) {
		r, err := source.Read(t.Context(), guard.Query{Release: release, Signals: []guard.Signal{
			{Name: "buckets", Total: "native_seconds_bucket", Bad: "native_seconds_bucket"}, {Name: "count", Total: "native_seconds_count", Bad: "native_seconds_count"},
			{Name: "bare", Total: "native_seconds", Bad: "native_seconds"}, {Name: "gauge", Value: "max(native_seconds)"},
		}})
		if err != nil || len(r.Series) > 0 {
			t.Errorf("Read = %+v, %v", r, err)
		}
	})
	t.Run("history", func(t *testing.T) {
		past, err := source.(guard.Historian).History(t.Context(), q, time.Now().Add(-2*time.Second), time.Now(), time.Second)
		if err != nil || len(past) == 0 {
			t.Fatalf("History = %+v, %v", past, err)
		}
		last := past[len(past)-1]
		if len(last.Series) != 2 || last.Series[1].Total != 6 || within(last.Series[1], .25) != 3 {
			t.Errorf("History = %+v", last)
		}
	})
}
