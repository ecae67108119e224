package judge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRecall: increases survive a restart, begin when an instance is first seen, and leave the canary out.
func TestRecall(t *testing.T) {
	bounds := []float64{.1, 1}
	at := func(tick int) time.Time { return t0.Add(time.Duration(tick) * time.Minute) }
	var past []Reading
	for tick, row := range [][3]float64{{1000, 0, 0}, {1100, 0, 50}, {40, 500, 90}, {100, 520, 90}} {
		r := Reading{At: at(tick)}
		for i, name := range []string{"restarted", "late", "canary"} {
			n := row[i]
			if n == 0 {
				continue
			}
			arm := Baseline
			if name == "canary" {
				arm = Canary
			}
			r.Series = append(r.Series,
				Series{Signal: "errors", Arm: arm, Instance: name, At: r.At, Total: n, Bad: n / 10},
				Series{Signal: "latency", Arm: arm, Instance: name, At: r.At, Total: n, Bounds: bounds, Buckets: []float64{n / 2, n}})
		}
		depth, other := float64(100-tick), 7.
		r.Series = append(r.Series,
			Series{Signal: "queue", Arm: Canary, At: r.At, Value: &depth},
			Series{Signal: "heap", Arm: Canary, At: r.At, Value: &other})
		if tick > 0 {
			r.Series = append(r.Series, Series{Signal: "jobs", Arm: Canary, At: r.At, Total: float64(1000 + tick)})
		}
		past = append(past, r)
	}
	c := Config{Signals: []Signal{
		{Name: "errors", Kind: Errors}, {Name: "latency", Kind: Latency},
		{Name: "queue", Kind: Gauge, Compare: WithBefore}, {Name: "heap", Kind: Gauge},
		{Name: "jobs", Kind: Errors, Compare: WithBefore},
	}}
	value := func(f float64) Series { return Series{Signal: "queue", Arm: Baseline, At: at(3), Value: &f} }
	want := []Series{
		{Signal: "errors", Arm: Baseline, Instance: "restarted", At: at(3), Total: 200, Bad: 20},
		{Signal: "errors", Arm: Baseline, Instance: "late", At: at(3), Total: 20, Bad: 2},
		{Signal: "latency", Arm: Baseline, Instance: "restarted", At: at(3), Total: 200, Bounds: bounds, Buckets: []float64{100, 200}},
		{Signal: "latency", Arm: Baseline, Instance: "late", At: at(3), Total: 20, Bounds: bounds, Buckets: []float64{10, 20}},
		value(97), value(98), value(99), value(100),
		{Signal: "jobs", Arm: Canary, At: at(3), Total: 2},
	}
	if diff := cmp.Diff(want, c.Recall(past)); diff != "" {
		t.Errorf("Recall (-want +got):\n%s", diff)
	}
}

// TestRecallDeciles: a day of a gauge teaches the same bound as its deciles.
func TestRecallDeciles(t *testing.T) {
	c := Config{Signals: []Signal{{Name: "queue", Kind: Gauge, Compare: WithBefore, MaxIncrease: .1}}}
	var past []Reading
	for i := range 1001 {
		depth := float64(i * 7919 % 1001)
		past = append(past, Reading{At: t0, Series: []Series{{Signal: "queue", Arm: Canary, At: t0, Value: &depth}}})
	}
	c.History = c.Recall(past)
	if len(c.History) != deciles {
		t.Fatalf("a past of 1001 values has %d deciles", len(c.History))
	}
	if learned := newMeter(&c, &c.Signals[0]).Learned; learned == nil || *learned != 900 {
		t.Errorf("learned the bound %v of the values 0 to 1000, want 900", learned)
	}
}
