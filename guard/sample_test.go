package guard

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAssemble(t *testing.T) {
	at := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	sample := func(name string, value float64, labels ...string) Sample {
		s := Sample{Name: name, Value: value, At: at, Labels: map[string]string{"instance": "a"}}
		for i := 0; i < len(labels); i += 2 {
			s.Labels[labels[i]] = labels[i+1]
		}
		return s
	}
	later := func(s Sample) Sample { s.At = at.Add(time.Second); return s }
	series := func(instance string, change func(*Series)) Series {
		s := Series{Signal: "s", Arm: Canary, Instance: instance, At: at}
		change(&s)
		return s
	}
	gauge := func(v float64) func(*Series) { return func(s *Series) { s.Value = &v } }
	counts := func(total, bad float64) func(*Series) { return func(s *Series) { s.Total, s.Bad = total, bad } }
	histogram := []Sample{
		sample("h_bucket", 1, "le", "0.1"), sample("h_bucket", 3, "le", "1"), sample("h_bucket", 4, "le", "+Inf"),
		sample("h_sum", 2.5), sample("h_count", 4),
	}
	other := []Sample{ // of another handler, in the same instance
		sample("h_bucket", 10, "le", "0.1", "p", "x"), sample("h_bucket", 30, "le", "1", "p", "x"),
		sample("h_bucket", 40, "le", "+Inf", "p", "x"), sample("h_sum", 25, "p", "x"),
	}
	for name, c := range map[string]struct {
		signal  Signal
		samples []Sample
		want    []Series
	}{
		"nothing": {Signal{Total: "r"}, nil, nil},
		"counters of two instances": {Signal{Total: "r", Bad: `r{c=~"5.."}`},
			[]Sample{sample("r", 9, "c", "200"), sample("r", 1, "c", "500"), later(sample("r", 2, "c", "503")), sample("r", 5, "instance", "b"), sample("q", 100)},
			[]Series{series("a", func(s *Series) { counts(12, 3)(s); s.At = at.Add(time.Second) }), series("b", counts(5, 0))}},
		"by another label": {Signal{Total: "r", By: "pod"},
			[]Sample{sample("r", 1, "pod", "x"), sample("r", 2, "pod", "y"), sample("r", 3)},
			[]Series{series("a", counts(3, 0)), series("x", counts(1, 0)), series("y", counts(2, 0))}},
		"bad alone is no data":    {Signal{Total: "r", Bad: "e"}, []Sample{sample("e", 3)}, nil},
		"NaN and Inf are no data": {Signal{Total: "r"}, []Sample{sample("r", math.NaN()), sample("r", math.Inf(1))}, nil},
		"NaN beside data":         {Signal{Total: "r"}, []Sample{sample("r", math.NaN()), sample("r", 1, "c", "200")}, []Series{series("a", counts(1, 0))}},
		"negative is no counter":  {Signal{Total: "r"}, []Sample{sample("r", -1)}, nil},
		"too large for a number":  {Signal{Total: "r"}, []Sample{sample("r", math.MaxFloat64), sample("r", math.MaxFloat64, "c", "x")}, nil},
		"histogram": {Signal{Histogram: "h"}, histogram, []Series{series("a", func(s *Series) {
			s.Bounds, s.Buckets, s.Total, s.Sum = []float64{0.1, 1}, []float64{1, 3}, 4, 2.5
		})}},
		"histograms add up": {Signal{Histogram: "h"}, append(histogram, other...), []Series{series("a", func(s *Series) {
			s.Bounds, s.Buckets, s.Total, s.Sum = []float64{0.1, 1}, []float64{11, 33}, 44, 27.5
		})}},
		"histogram with a matcher": {Signal{Histogram: `h{p="x"}`}, append(histogram, other...), []Series{series("a", func(s *Series) {
			s.Bounds, s.Buckets, s.Total, s.Sum = []float64{0.1, 1}, []float64{10, 30}, 40, 25
		})}},
		"a bucket is missing in one":  {Signal{Histogram: "h"}, append(histogram, other[1:]...), nil},
		"+Inf is missing":             {Signal{Histogram: "h"}, histogram[:2], nil},
		"a bucket is NaN":             {Signal{Histogram: "h"}, append([]Sample{sample("h_bucket", math.NaN(), "le", "0.1", "p", "y"), sample("h_bucket", 1, "le", "+Inf", "p", "y")}, histogram...), nil},
		"a bound is no number":        {Signal{Histogram: "h"}, append(histogram, sample("h_bucket", 1, "le", "x")), nil},
		"buckets fall":                {Signal{Histogram: "h"}, []Sample{sample("h_bucket", 5, "le", "1"), sample("h_bucket", 4, "le", "+Inf")}, nil},
		"the sum is NaN":              {Signal{Histogram: "h"}, append([]Sample{sample("h_sum", math.NaN())}, histogram[:3]...), []Series{series("a", func(s *Series) { s.Bounds, s.Buckets, s.Total = []float64{0.1, 1}, []float64{1, 3}, 4 })}},
		"gauge, each instance":        {Signal{Value: "g"}, []Sample{sample("g", -1), sample("g", 3, "q", "x"), sample("g", 5, "instance", "b")}, []Series{series("a", gauge(2)), series("b", gauge(5))}},
		"gauge, max of all instances": {Signal{Value: "max(g)"}, []Sample{sample("g", -1), sample("g", 5, "instance", "b")}, []Series{series("", gauge(5))}},
		"gauge, min":                  {Signal{Value: "min(g)"}, []Sample{sample("g", 3), sample("g", 5, "instance", "b")}, []Series{series("", gauge(3))}},
		"gauge, avg":                  {Signal{Value: "avg(g)"}, []Sample{sample("g", 3), sample("g", 5, "instance", "b")}, []Series{series("", gauge(4))}},
		"gauge, sum":                  {Signal{Value: "sum(g)"}, []Sample{sample("g", 3), sample("g", 5, "instance", "b")}, []Series{series("", gauge(8))}},
		"gauge at zero is data":       {Signal{Value: "g"}, []Sample{sample("g", 0)}, []Series{series("a", gauge(0))}},
	} {
		t.Run(name, func(t *testing.T) {
			c.signal.Name = "s"
			selection, err := c.signal.Select(Release{From: "v1", To: "v2"}, Canary)
			if err != nil {
				t.Fatal(err)
			}
			got := c.signal.Assemble(selection, Canary, c.samples)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Assemble (-want +got):\n%s", diff)
			}
			q := Query{Signals: []Signal{c.signal}}
			if err := CheckReading(q, Reading{At: at, Series: got}); err != nil {
				t.Errorf("Assemble makes what CheckReading refuses: %v", err)
			}
		})
	}
}
