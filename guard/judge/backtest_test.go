package judge

import (
	"math/rand/v2"
	"testing"
	"time"
)

// rest is a service at rest for six hours: some instances, 20 requests per second each, 0.5 % errors.
func rest(instances ...string) (past []Reading) {
	r := rand.New(rand.NewPCG(8, 8))
	totals := make([]Series, len(instances))
	for tick := range 6 * 360 {
		reading := Reading{At: t0.Add(time.Duration(tick) * 10 * time.Second)}
		for i, name := range instances {
			s := &totals[i]
			s.Signal, s.Instance, s.Arm, s.At = "errors", name, Canary, reading.At
			for range 200 {
				s.Total++
				if r.Float64() < .005 {
					s.Bad++
				}
			}
			reading.Series = append(reading.Series, *s)
		}
		past = append(past, reading)
	}
	return past
}

func TestBacktest(t *testing.T) {
	c := Config{Signals: []Signal{{Name: "errors", Kind: Errors}}}
	for _, k := range []struct {
		name       string
		past       []Reading
		byInstance bool
	}{
		{"by instance", rest("a", "b", "c", "d"), true},
		{"at random", rest(""), false},
	} {
		b, err := NewBacktest(k.past, c, 30*time.Minute, .25, []float64{.05, .0001})
		if err != nil {
			t.Fatal(err)
		}
		if b.Watches != 11 || b.ByInstance != k.byInstance || b.FalseAlarms > 0 {
			t.Errorf("%s: %+v", k.name, b)
		}
		if big := b.Caught[0]; big.Found != b.Watches || big.Delay <= 0 || big.Delay > 5*time.Minute {
			t.Errorf("%s: 5 %% more errors: %+v", k.name, big)
		}
		if small := b.Caught[1]; small.Found > 1 {
			t.Errorf("%s: 0.01 %% more errors: %+v", k.name, small)
		}
		again, _ := NewBacktest(k.past, c, 30*time.Minute, .25, []float64{.05, .0001})
		if again.Caught[0] != b.Caught[0] {
			t.Errorf("%s: the same past was judged in two ways", k.name)
		}
	}
	if _, err := NewBacktest(rest("")[:9], c, time.Hour, .1, nil); err == nil {
		t.Error("a past of 90 s made a watch of an hour")
	}
}

// TestDraw: a random split loses no request and makes none up.
func TestDraw(t *testing.T) {
	c := cutting{weight: .2}
	for range 100 {
		rose := increase{Total: 5000, Bad: 0, Above: []float64{4000, 1500, 30, 0}}
		canary := c.draw(&rose)
		for k, want := range []float64{4000, 1500, 30, 0} {
			if canary.Above[k]+rose.Above[k] != want || canary.Above[k] > canary.Total {
				t.Fatalf("above bound %d: %g and %g of %g", k, canary.Above[k], rose.Above[k], want)
			}
		}
		if canary.Total+rose.Total != 5000 || canary.Total < 800 || canary.Total > 1200 {
			t.Fatalf("%g of 5000 requests on a canary of 20 %%", canary.Total)
		}
	}
}
