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

// launches cuts watches of half an hour out of the past.
func launches(t *testing.T, past []Reading) Backtest {
	t.Helper()
	b := Backtest{Plan: Config{Signals: []Signal{{Name: "errors", Kind: Errors}}}, Weight: .25, Sizes: []float64{.05, .0001}}
	const length = 180
	for from := 0; from+length < len(past); from += length {
		if err := b.Add(past[from : from+length+1]); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestBacktest(t *testing.T) {
	for _, k := range []struct {
		name       string
		past       []Reading
		byInstance int
	}{
		{"by instance", rest("a", "b", "c", "d"), 11},
		{"at random", rest(""), 0},
	} {
		b := launches(t, k.past)
		if b.Watches != 11 || b.Unseen != 0 || b.ByInstance != k.byInstance || b.FalseAlarms > 0 || b.Seen["errors"] != 11 {
			t.Errorf("%s: %+v", k.name, b)
		}
		if big := b.Caught[0]; big.Found != b.Watches || big.Delay <= 0 || big.Delay > 300 {
			t.Errorf("%s: 5 %% more errors: %+v", k.name, big)
		}
		if small := b.Caught[1]; small.Found > 1 {
			t.Errorf("%s: 0.01 %% more errors: %+v", k.name, small)
		}
		if again := launches(t, k.past); again.Caught[0] != b.Caught[0] {
			t.Errorf("%s: the same past was judged in two ways", k.name)
		}
	}
}

// TestBacktestAlarm: an instance that was ill in the third half hour is a false alarm of the launch that takes it
// for its canary, with its time; and hours without data are not taken for hours without alarms.
func TestBacktestAlarm(t *testing.T) {
	past := rest("a", "b", "c")
	ill := past[2*180+90].At
	for i := range past {
		for k := range past[i].Series {
			s := &past[i].Series[k]
			if since := past[i].At.Sub(ill); s.Instance == "c" && since > 0 {
				s.Bad += 20 * min(30, since.Seconds()/10) // for five minutes
			}
		}
		if i > 4*180+1 && i < 6*180 {
			past[i].Series = nil
		}
	}
	b := launches(t, past)
	if b.FalseAlarms != 1 || len(b.Alarms) != 1 {
		t.Fatalf("false alarms: %+v", b.Alarms)
	}
	if a := b.Alarms[0]; a.Instance != "c" || !a.Begun.Equal(past[360].At) || a.At.Before(ill) || a.At.After(ill.Add(5*time.Minute)) || a.Why == "" {
		t.Errorf("an illness of c at %v raised %+v", ill, a)
	}
	if b.Unseen != 1 || b.Watches != 10 {
		t.Errorf("of two half hours with two readings at most, %d had no data", b.Unseen)
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
