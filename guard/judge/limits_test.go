package judge

import (
	"strings"
	"testing"
	"time"
)

// TestLimitsOnly sees a first release judged by its ceilings alone: nothing to learn from, nothing to compare.
func TestLimitsOnly(t *testing.T) {
	for _, tt := range []struct {
		name    string
		errors  float64
		slow    float64 // share above a second
		limits  bool
		within  time.Duration
		want    Call
		mention string
	}{
		{"keeps every limit", .001, .001, true, time.Minute, Healthy, "within every limit"},
		{"breaks the limit of errors", .12, 0, true, 2 * time.Minute, Regressed, "errors"},
		{"breaks the limit of latency", 0, .05, true, 2 * time.Minute, Regressed, "latency"},
		{"is too close to a limit to be certain", .045, 0, true, 2 * time.Minute, Continue, "not yet certain"},
		{"has no limit that it could keep", 0, 0, false, 5 * time.Minute, Continue, "nothing to compare with"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{LimitsOnly: true, Signals: []Signal{{Name: "errors", Kind: Errors}, {Name: "latency", Kind: Latency}}}
			if tt.limits {
				c.Signals[0].Never = &Ceiling{Rate: .05}
				c.Signals[1].Never = &Ceiling{Above: 1, Quantile: .99}
			}
			j, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
			j.Begin(Step{At: start, Weight: .5, Next: 1, Absolute: true, Last: true})
			var r Ruling
			for now := time.Duration(0); now <= tt.within; now += 10 * time.Second {
				n := 20 * now.Seconds()
				at := start.Add(now)
				r = j.Observe(Reading{At: at, Series: []Series{
					{Signal: "errors", Arm: Canary, At: at, Total: n, Bad: float64(int(n * tt.errors))},
					{Signal: "latency", Arm: Canary, At: at, Total: n, Bounds: []float64{.1, 1, 5},
						Buckets: []float64{n / 2, n - float64(int(n*tt.slow)), n}},
				}})
			}
			if r.Call != tt.want || !strings.Contains(r.Why, tt.mention) {
				t.Errorf("%s (%s): %s; want %s, and a word of %q", r.Call, r.Rule, r.Why, tt.want, tt.mention)
			}
			for _, s := range r.Signals {
				if tt.limits && s.Step.Canary.Requests == 0 {
					t.Errorf("%s: nothing was seen: %+v", s.Signal, s)
				}
			}
		})
	}
}

// TestBlindAfter sees how long an arm may be missing before the judge says that it is blind.
func TestBlindAfter(t *testing.T) {
	for after, want := range map[time.Duration]int{0: 6, time.Minute: 6, 2 * time.Minute: 12, time.Second: 2} {
		j, err := New(Config{BlindAfter: after, Signals: []Signal{{Name: "errors", Kind: Errors}}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
		j.Begin(Step{At: start, Weight: .5})
		got := 0
		for j.Observe(Reading{At: start.Add(time.Duration(got) * 10 * time.Second)}).Call != Blind {
			got++
		}
		if got++; got != want {
			t.Errorf("BlindAfter %v: blind with reading %d, want %d", after, got, want)
		}
	}
}
