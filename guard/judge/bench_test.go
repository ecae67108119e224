package judge

import (
	"testing"
	"time"
)

// busy is a busy service: 1,000 requests per second, 5 % of them on the canary.
func busy(b testing.TB) (*Judge, []Reading) {
	c := standard()
	c.History = history(1.2e6, 1200, classic, []float64{20, 3780, 204450, 600920, 354030, 41370, 170, 0, 0, 0, 0, 0})
	j, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	f := newFeed(classic)
	j.Observe(f.first())
	j.Begin(Step{At: f.at, Weight: .05, Next: .25})
	var readings []Reading
	for i := range 1000 {
		e := float64(i % 2 * (i / 2 % 2))
		readings = append(readings, f.next(10*time.Second,
			&armTick{N: 500, E: e, B: []float64{0, 2, 80 + e, 256 - e, 145, 17, 0, 0, 0, 0, 0, 0}},
			&armTick{N: 9500, E: 10 - e, B: []float64{0, 40, 1600 - e, 4770 + e, 2760, 329, 1, 0, 0, 0, 0, 0}}))
	}
	return j, readings
}

// BenchmarkTake is the evidence of one tick of errors and latency, all probes, without words.
func BenchmarkTake(b *testing.B) {
	j, readings := busy(b)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i == len(readings) {
			b.StopTimer()
			j, readings = busy(b)
			i = 0
			b.StartTimer()
		}
		j.take(readings[i])
		i++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(j.Signals[0].Probes)+len(j.Signals[1].Probes)), "ns/stream")
}

// BenchmarkObserve is a whole tick, with its ruling in words.
func BenchmarkObserve(b *testing.B) {
	j, readings := busy(b)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i == len(readings) {
			b.StopTimer()
			j, readings = busy(b)
			i = 0
			b.StartTimer()
		}
		j.Observe(readings[i])
		i++
	}
}

// BenchmarkStream is one stream of harm, as in 2.3 and 2.4.
func BenchmarkStream(b *testing.B) {
	s := newStream(newModel(1.25, 3, 50, 10))
	b.ReportAllocs()
	for b.Loop() {
		s.update(counts{12, 200, 100, 1800}, flat, false)
		s.logE(false)
	}
}

func TestNoAllocation(t *testing.T) {
	j, readings := busy(t)
	i := 0
	if n := testing.AllocsPerRun(len(readings)/2, func() { j.take(readings[i]); i++ }); n > 0 {
		t.Errorf("%g allocations per tick", n)
	}
}
