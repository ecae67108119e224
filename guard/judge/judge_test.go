package judge

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// A story is a watch told tick by tick; its end is compared with what people will read.
type story struct {
	name    string
	config  func(*Config)
	change  func(tick int, canary, baseline *armTick) (c, b *armTick)
	ticks   int
	call    Call
	rule    Rule
	because string // in Why
}

// bothArms is a tick of both arms.
type bothArms struct{ canary, baseline armTick }

// service is a quiet service of 100 requests per second, a tenth of them on the canary, 0.2 % errors.
func service() bothArms {
	return bothArms{
		armTick{N: 100, E: 0, B: []float64{0, 0, 17, 50, 30, 3, 0, 0, 0, 0, 0, 0}},
		armTick{N: 900, E: 2, B: []float64{0, 3, 153, 450, 267, 27, 0, 0, 0, 0, 0, 0}},
	}
}

func TestStories(t *testing.T) {
	bad := func(from int, errors float64) func(int, *armTick, *armTick) (*armTick, *armTick) {
		return func(tick int, c, b *armTick) (*armTick, *armTick) {
			if tick >= from {
				c.E = errors
			}
			return c, b
		}
	}
	for _, s := range []story{
		{name: "healthy", ticks: 60, call: Healthy, rule: NonInferior, because: "excluded with 95 % confidence: more than +"},
		{name: "errors", change: bad(8, 5), ticks: 30, call: Regressed, rule: Odds, because: "against at most x1.25; odds "},
		{name: "every fifth fails", config: func(c *Config) { c.Warmup = time.Hour }, change: bad(8, 25), ticks: 30,
			call: Regressed, rule: Overwhelming, because: "errors: the canary fails 50 of 200 (25 %) in two ticks in a row, the baseline 4 of 1,800 (0.22 %)"},
		{name: "hang", ticks: 30, change: func(tick int, c, b *armTick) (*armTick, *armTick) {
			if tick >= 8 {
				c.N, c.B = 0, nil
			}
			return c, b
		}, call: Regressed, rule: StoppedAnswer, because: "the canary stopped answering: no request in 3 ticks instead of about 270"},
		{name: "canary cannot be read", ticks: 12, change: func(tick int, c, b *armTick) (*armTick, *armTick) {
			if tick >= 6 {
				return nil, b
			}
			return c, b
		}, call: Blind, rule: NothingToReadOf, because: "errors: no new samples of the canary in 6 readings"},
		{name: "nothing can be read", ticks: 70, change: func(tick int, c, b *armTick) (*armTick, *armTick) { return nil, nil },
			call: Blind, rule: NothingToReadOf, because: "no new samples of the canary in 70 readings"},
		{name: "ceiling", config: func(c *Config) {
			c.Signals[0].Never = &Ceiling{Rate: .01}
			c.Signals[0].MaxIncrease = 100
		}, change: bad(8, 9), ticks: 40, call: Regressed, rule: Never, because: "never more than 1 %"},
		{name: "ceiling, both arms", config: func(c *Config) { c.Signals[0].Never = &Ceiling{Rate: .01} },
			change: func(tick int, c, b *armTick) (*armTick, *armTick) {
				c.E, b.E = 9, 81
				return c, b
			}, ticks: 12, call: Hold, rule: BothFailing, because: "both arms are failing: not this release"},
		{name: "incident", change: func(tick int, c, b *armTick) (*armTick, *armTick) {
			if tick >= 6 {
				c.E, b.E = 3, 27
			}
			return c, b
		}, ticks: 12, call: Hold, rule: BothDegraded, because: "both arms degraded (1.91 % of the baseline's errors, 0.1 % in its history): environment incident"},
		{name: "too little traffic", config: func(c *Config) { c.Signals = c.Signals[:1] },
			change: func(tick int, c, b *armTick) (*armTick, *armTick) {
				c.N, c.E, b.N, b.E = 3, 0, 27, 0
				return c, b
			}, ticks: 60, call: Inconclusive, rule: TooFew, because: "180 canary requests in 10m0s can only show errors at 5 pp more"},
		{name: "too fast", ticks: 60, change: func(tick int, c, b *armTick) (*armTick, *armTick) {
			c.B = []float64{50, 0, 8, 25, 15, 2, 0, 0, 0, 0, 0, 0}
			return c, b
		}, call: Hold, rule: TooFast, because: "50 % of the canary's requests end within 5 ms (baseline 0 %): faster than real work; check the responses"},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := standard()
			c.History = history(120474, 120, classic, []float64{2, 378, 20445, 60092, 35403, 4137, 17, 0, 0, 0, 0, 0})
			if s.config != nil {
				s.config(&c)
			}
			j, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			f := newFeed(classic)
			j.Observe(f.first())
			j.Begin(Step{At: f.at, Weight: .1, Last: true})
			var r Ruling
			for tick := range s.ticks {
				now := service()
				canary, baseline := &now.canary, &now.baseline
				if tick%9 == 4 {
					canary.E = 1
				}
				if s.change != nil {
					canary, baseline = s.change(tick, canary, baseline)
				}
				r = j.Observe(f.next(10*time.Second, canary, baseline))
				finite(t, j, r)
				if r.Call == Regressed || r.Call == Healthy {
					break
				}
			}
			if r.Call != s.call || r.Rule != s.rule || !strings.Contains(r.Why, s.because) {
				t.Errorf("got %v by %s: %s\nwant %v by %s: %s", r.Call, r.Rule, r.Why, s.call, s.rule, s.because)
			}
		})
	}
}

// TestCounters reads what processes do: they restart, come, go, and are scraped twice.
func TestCounters(t *testing.T) {
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	read := func(arm Arm, instance string, s int, total, bad float64) *Series {
		return &Series{Signal: "errors", Arm: arm, Instance: instance, At: at(s), Total: total, Bad: bad}
	}
	var c counters
	c.index()
	var i increase
	for _, step := range []struct {
		name       string
		series     *Series
		first      bool
		total, bad float64
		fresh      bool
	}{
		{"a series of the baseline sets its reference", read(Baseline, "a", 0, 1e6, 900), true, 0, 0, true},
		{"and rises", read(Baseline, "a", 10, 1e6+50, 902), false, 50, 2, true},
		{"is not scraped again", read(Baseline, "a", 10, 1e6+50, 902), false, 0, 0, false},
		{"starts again", read(Baseline, "a", 20, 30, 1), false, 30, 1, true},
		{"one that comes later sets its reference", read(Baseline, "b", 20, 5e5, 7), false, 0, 0, true},
		{"a canary that was there sets its reference", read(Canary, "c", 20, 10, 0), true, 0, 0, true},
		{"one that comes later was born in the watch", read(Canary, "d", 20, 10, 3), false, 10, 3, true},
		{"more errors than requests are not", read(Canary, "d", 30, 15, 13), false, 5, 5, true},
		{"no number is nothing new", read(Canary, "d", 40, math.NaN(), 13), false, 0, 0, false},
	} {
		i.clear()
		c.read(step.series, &i, step.first, false, time.Time{})
		if i.Total != step.total || i.Bad != step.bad || i.Fresh != step.fresh {
			t.Errorf("%s: got %g requests, %g bad, fresh %v; want %g, %g, %v",
				step.name, i.Total, i.Bad, i.Fresh, step.total, step.bad, step.fresh)
		}
	}
	if n := c.instances(Canary); n != 2 {
		t.Errorf("got %d canary instances, want 2", n)
	}
}

// TestNativeHistogram: thresholds of schema 2 survive a loss of resolution and left-out buckets.
func TestNativeHistogram(t *testing.T) {
	fine := &Series{Native: true, Bounds: []float64{.0625, math.Exp2(-3.875), .25, 1}, Buckets: []float64{10, 30, 60, 90}, Total: 100}
	coarse := &Series{Native: true, Bounds: []float64{.0625, .25, 1}, Buckets: []float64{10, 60, 90}, Total: 100}
	all := bounds(fine)
	if all[0] > .0625*(1+1e-9) || all[len(all)-1] < 5 {
		t.Errorf("thresholds from %g to %g do not span the histogram and its tail", all[0], all[len(all)-1])
	}
	for _, b := range []float64{.0625, .25, 1} {
		x, _ := greater(fine, b)
		y, _ := greater(coarse, b)
		if x != y {
			t.Errorf("above %g: %g and %g", b, x, y)
		}
	}
	if _, found := greater(&Series{Bounds: []float64{.1, .3}, Buckets: []float64{1, 2}, Total: 3}, .2); found {
		t.Error("a fixed histogram was asked for a bound that it does not have, and answered")
	}
}

// TestForeignBuckets: a release that changes its buckets is not a regression, it cannot be compared.
func TestForeignBuckets(t *testing.T) {
	c := Config{Signals: []Signal{{Name: "latency", Kind: Latency}}}
	c.History = history(120474, 120, classic, []float64{2, 378, 20445, 60092, 35403, 4137, 17, 0, 0, 0, 0, 0})
	j, _ := New(c)
	var r Ruling
	for tick := range 5 {
		at := t0.Add(time.Duration(tick) * 10 * time.Second)
		n := float64(100 * tick)
		r = j.Observe(Reading{At: at, Series: []Series{
			{Signal: "latency", Arm: Canary, At: at, Total: n, Bounds: []float64{.02, .2}, Buckets: []float64{0, n}},
			{Signal: "latency", Arm: Baseline, At: at, Total: n, Bounds: classic, Buckets: []float64{0, 0, n, n, n, n, n, n, n, n, n}},
		}})
		if tick == 0 {
			j.Begin(Step{At: at, Weight: .5})
		}
	}
	if r.Call != Blind || !strings.Contains(r.Why, "different histogram buckets") {
		t.Errorf("got %v: %s", r.Call, r.Why)
	}
}

// TestCoarseHistogram: where all requests end beyond the last bound, nothing is promised.
func TestCoarseHistogram(t *testing.T) {
	c := Config{Signals: []Signal{{Name: "latency", Kind: Latency}}}
	j, _ := New(c)
	var r Ruling
	for tick := range 30 {
		at := t0.Add(time.Duration(tick) * 10 * time.Second)
		n := float64(1000 * tick)
		r = j.Observe(Reading{At: at, Series: []Series{
			{Signal: "latency", Arm: Canary, At: at, Total: n, Bounds: []float64{.02, .2}, Buckets: []float64{0, 0}},
			{Signal: "latency", Arm: Baseline, At: at, Total: n, Bounds: []float64{.02, .2}, Buckets: []float64{0, 0}},
		}})
		if tick == 0 {
			j.Begin(Step{At: at, Weight: .5})
		}
	}
	if r.Call != Continue || !strings.Contains(r.Why, "no bound of the histogram tells slow requests from normal ones (100 % exceed the last, 200 ms)") {
		t.Errorf("got %v: %s", r.Call, r.Why)
	}
}

// TestShortPlan: a plan of seconds settles in seconds.
func TestShortPlan(t *testing.T) {
	c := standard()
	c.Every, c.Prewarmed, c.MinStep, c.Margin = time.Second, true, 5*time.Second, .01
	c.History = history(120474, 120, classic, []float64{2, 378, 20445, 60092, 35403, 4137, 17, 0, 0, 0, 0, 0})
	j, _ := New(c)
	f := newFeed(classic)
	j.Observe(f.first())
	j.Begin(Step{At: f.at, Weight: .1, Last: true})
	for tick := range 60 {
		now := service()
		if r := j.Observe(f.next(time.Second, &now.canary, &now.baseline)); r.Call == Healthy {
			if tick < 4 || tick > 20 {
				t.Errorf("healthy after %d s", tick+1)
			}
			return
		}
	}
	t.Error("a healthy canary of a short plan never got through")
}

// TestAlone judges without a baseline: against the history, and not at all if there is none.
func TestAlone(t *testing.T) {
	for _, k := range []struct {
		name    string
		history bool
		errors  float64
		call    Call
	}{
		{"healthy", true, 1, Healthy},
		{"bad", true, 30, Regressed},
		{"first release", false, 1, Inconclusive},
		{"first release, some errors", false, 30, Inconclusive},
		{"first release, every fourth request fails", false, 250, Regressed},
	} {
		c := Config{Signals: []Signal{{Name: "errors", Kind: Errors}}, MaxStep: 10 * time.Minute}
		if k.history {
			c.History = []Series{{Signal: "errors", Arm: Baseline, Total: 100000, Bad: 100}}
		}
		j, _ := New(c)
		var r Ruling
		for tick := 0; tick < 70 && r.Call != Healthy && r.Call != Regressed; tick++ {
			at := t0.Add(time.Duration(tick) * 10 * time.Second)
			r = j.Observe(Reading{At: at, Series: []Series{
				{Signal: "errors", Arm: Canary, At: at, Total: 1000 * float64(tick), Bad: k.errors * float64(tick)},
			}})
			if tick == 0 {
				j.Begin(Step{At: at, Weight: 1, Last: true, Absolute: true})
			}
		}
		if r.Call != k.call {
			t.Errorf("%s: got %v: %s", k.name, r.Call, r.Why)
		}
	}
}

// TestGauges compares values with the baseline's, with their past, and with their ceiling.
func TestGauges(t *testing.T) {
	for _, k := range []struct {
		name             string
		signal           Signal
		canary, baseline float64
		call             Call
		rule             Rule
	}{
		{"worse than the baseline", Signal{}, 60, 50, Regressed, Odds},
		{"like the baseline", Signal{}, 51, 50, Healthy, NonInferior},
		{"worse than before", Signal{Compare: WithBefore}, 60, 90, Regressed, Odds},
		{"as before", Signal{Compare: WithBefore}, 45, 10, Healthy, NonInferior},
		{"above its ceiling", Signal{Never: &Ceiling{Above: 55, For: 30 * time.Second}, MaxIncrease: 9}, 60, 50, Regressed, Never},
		{"both above their ceiling", Signal{Never: &Ceiling{Above: 55}, MaxIncrease: 9}, 60, 60, Hold, BothFailing},
		{"below its floor", Signal{Never: &Ceiling{Below: pointer(20)}, MaxIncrease: 9}, 10, 50, Regressed, Never},
		{"less than the baseline", Signal{Never: &Ceiling{Below: pointer(20)}}, 30, 50, Regressed, Odds},
	} {
		k.signal.Name, k.signal.Kind = "queue", Gauge
		c := Config{Signals: []Signal{k.signal}}
		for i := range 20 {
			c.History = append(c.History, Series{Signal: "queue", Arm: Baseline, Value: pointer(40 + float64(i)/2)})
		}
		j, err := New(c)
		if err != nil {
			t.Fatal(k.name, err)
		}
		j.Begin(Step{At: t0, Weight: .5, Last: true})
		var r Ruling
		for tick := 1; tick < 30 && r.Call != Healthy && r.Call != Regressed; tick++ {
			at := t0.Add(time.Duration(tick) * 10 * time.Second)
			r = j.Observe(Reading{At: at, Series: []Series{
				{Signal: "queue", Arm: Canary, At: at, Value: pointer(k.canary)},
				{Signal: "queue", Arm: Baseline, At: at, Value: pointer(k.baseline)},
			}})
			finite(t, j, r)
		}
		if r.Call != k.call || r.Rule != k.rule {
			t.Errorf("%s: got %v by %s: %s", k.name, r.Call, r.Rule, r.Why)
		}
	}
}

// TestMixedInterval: an interval over a change of the weight is dropped for all streams.
func TestMixedInterval(t *testing.T) {
	j, _ := New(Config{Signals: []Signal{{Name: "errors", Kind: Errors}}})
	f := newFeed(nil)
	j.Observe(f.first())
	j.Begin(Step{At: f.at, Weight: .1})
	tick := func() { j.Observe(f.next(10*time.Second, &armTick{N: 100, E: 1}, &armTick{N: 900, E: 1})) }
	tick()
	j.Begin(Step{At: f.at.Add(4 * time.Second), Weight: .5})
	tick()
	if n := j.Signals[0].Probes[0].All.NC; n != 100 {
		t.Errorf("%g canary requests counted, want the 100 before the change", n)
	}
	tick()
	if n := j.Signals[0].Probes[0].Step.NC; n != 100 {
		t.Errorf("%g canary requests in the new step, want 100", n)
	}
}

// What the counters of a second source hold is the past that the first has told already.
func TestAnotherSourceIsNoSecondPast(t *testing.T) {
	j, _ := New(Config{Signals: []Signal{{Name: "latency", Kind: Latency}}})
	read := func(source string, at int, total float64) {
		j.Observe(Reading{At: t0.Add(time.Duration(at) * time.Second), Source: source, Series: []Series{
			{Signal: "latency", Arm: Baseline, Total: total, Bounds: []float64{1}, Buckets: []float64{total}},
		}})
	}
	read("", 0, 100)
	read("", 10, 120)
	read("fallback", 20, 500)
	read("fallback", 30, 530)
	if got := j.Signals[0].Past.Total; got != 150 {
		t.Errorf("%v requests of the past, want 150", got)
	}
}

// TestAnotherSource changes over to a source whose counters are elsewhere, and back: nothing is counted across the
// change, nothing twice, and a reading of nobody is no change.
func TestAnotherSource(t *testing.T) {
	j, _ := New(Config{Signals: []Signal{{Name: "errors", Kind: Errors}}})
	here, there := newFeed(nil), newFeed(nil)
	there.next(0, &armTick{N: 1e6, E: 5e5}, &armTick{N: 1e6, E: 5e5})
	both := func() (Reading, Reading) { // both see all that happens
		a := here.next(10*time.Second, &armTick{N: 100, E: 1}, &armTick{N: 900, E: 9})
		b := there.next(10*time.Second, &armTick{N: 100, E: 1}, &armTick{N: 900, E: 9})
		b.Source = "fallback"
		return a, b
	}
	j.Observe(here.first())
	j.Begin(Step{At: here.at, Weight: .1})
	for tick, want := range []struct {
		asked string
		ticks float64 // that are counted by then
	}{
		{"here", 1}, {"here", 2}, {"half", 2}, {"there", 2}, {"there", 3}, {"nobody", 3}, {"there", 5}, {"here", 5}, {"nobody", 5}, {"here", 7}, {"there", 7}, {"here", 7}, {"here", 8},
	} {
		a, b := both()
		switch want.asked {
		case "here":
			j.Observe(a)
		case "half": // the canary cannot be read, so that the baseline waits for it
			a.Series = slices.DeleteFunc(a.Series, func(s Series) bool { return s.Arm == Canary })
			j.Observe(a)
		case "there":
			j.Observe(b)
		case "nobody":
			j.Observe(Reading{At: a.At})
		}
		all := j.Signals[0].Probes[0].All
		if all.NC != 100*want.ticks || all.NB != 900*want.ticks || all.EC != want.ticks || all.EB != 9*want.ticks {
			t.Errorf("tick %d, %s is asked: %+v are counted, want %v ticks", tick, want.asked, all, want.ticks)
		}
	}
}

// TestAnotherSourceHalf changes over to a source that cannot read all of the canary at first. What an instance has
// counted since it was born was counted by the first source: only what comes after is new. Nor is a canary silent that
// has only begun to be read.
func TestAnotherSourceHalf(t *testing.T) {
	for _, c := range []struct {
		name    string
		missing map[string]bool // instances that the first reading of the fallback lacks
		want    counts
	}{
		{"the canary", map[string]bool{"c1": true, "c2": true}, counts{EC: 6, NC: 600, EB: 54, NB: 5400}},
		{"an instance", map[string]bool{"c1": true}, counts{EC: 7, NC: 700, EB: 72, NB: 7200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, _ := New(Config{Signals: []Signal{{Name: "errors", Kind: Errors}}})
			tick := 0
			read := func(source string, missing map[string]bool) {
				r := Reading{At: t0.Add(time.Duration(10*tick) * time.Second), Source: source}
				for _, i := range []struct {
					arm   Arm
					name  string
					total float64
				}{{Canary, "c1", 100}, {Canary, "c2", 100}, {Baseline, "b", 1800}} {
					if missing[i.name] {
						continue
					}
					total := 1e5 + i.total*float64(tick)
					r.Series = append(r.Series, Series{Signal: "errors", Arm: i.arm, Instance: i.name, Total: total, Bad: total / 100})
				}
				tick++
				j.Observe(r)
			}
			read("", nil)
			j.Begin(Step{At: t0, Weight: .1})
			read("", nil)
			read("", nil)
			read("fallback", c.missing)
			read("fallback", nil)
			starved := j.Starve
			read("fallback", nil)
			if all := j.Signals[0].Probes[0].All; all != c.want {
				t.Errorf("%+v are counted, want %+v", all, c.want)
			}
			if answered, expected := starved.recent(); answered != expected {
				t.Errorf("the canary is taken for silent where it was not read: %+v", starved)
			}
		})
	}
}

func TestConfigMistakes(t *testing.T) {
	_, err := New(Config{
		Every: -time.Second, FalseRollback: 2, Split: "coin",
		Signals: []Signal{{Name: "a", Kind: "colour"}, {Name: "a", Kind: Errors, Never: &Ceiling{Rate: 2}}},
	})
	for _, want := range []string{"every: ", "false_rollback: ", "split: ", "signals.a.kind: ", "signals.a: given twice", "signals.a.never: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no mistake begins with %q: %v", want, err)
		}
	}
}

func TestCallsInJSON(t *testing.T) {
	for c := Blind; c <= Regressed; c++ {
		text, err := json.Marshal(c)
		var back Call
		if err != nil || json.Unmarshal(text, &back) != nil || back != c {
			t.Errorf("%v became %s became %v", c, text, back)
		}
	}
	var c Call
	if json.Unmarshal([]byte(`"splendid"`), &c) == nil {
		t.Error("an unknown call was read")
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		number(1234567): "1,234,567", number(999): "999", percent(.0048): "0.48 %", percent(.5): "50 %", percent(0): "0 %",
		percent(.00031): "0.031 %", points(.0005): "0.05 pp", seconds(.25): "250 ms", seconds(2.5): "2.5 s",
		odds(math.Log(640)): "640:1", odds(-5): "1:148", of(47, 9800): "47 of 9,800 (0.48 %)", plural(1, "request"): "1 request",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestOutlook(t *testing.T) {
	c := standard()
	c.History = history(120474, 120, classic, []float64{2, 378, 20445, 60092, 35403, 4137, 17, 0, 0, 0, 0, 0})
	at := func(rps float64) Outlook {
		all, err := c.Outlook([]Step{{Weight: .05, Next: .25}}, map[string]float64{"errors": rps, "latency": rps})
		if err != nil {
			t.Fatal(err)
		}
		return all[0]
	}
	slow, fast := at(1), at(1000)
	if slow.Advice == "" || fast.Advice != "" {
		t.Errorf("advice at 1 and 1000 requests per second: %q, %q", slow.Advice, fast.Advice)
	}
	if slow.Needs <= 1 || slow.Needs >= 1000 {
		t.Errorf("1 request per second is too few and 1000 are enough, but %g are needed", slow.Needs)
	}
	if enough, few := at(1.01*slow.Needs), at(.95*slow.Needs); enough.Advice != "" || few.Advice == "" {
		t.Errorf("with a little more and less than what is needed: %q, %q", enough.Advice, few.Advice)
	}
	if fast.Exclude > 2*time.Minute || fast.Smallest > .002 {
		t.Errorf("at 1000 requests per second: %v to exclude +%g, smallest visible %g", fast.Exclude, fast.Margin, fast.Smallest)
	}
	for i := range fast.Find {
		if f := fast.Find[i]; f.Rate > .009 && (f.After == 0 || f.After > 2*time.Minute) {
			t.Errorf("at 1000 requests per second %g is found after %v", f.Rate, f.After)
		}
	}
}
