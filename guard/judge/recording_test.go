package judge

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What a watch writes down is judged again as it was judged.
func TestRecorderToReplay(t *testing.T) {
	c := everything()
	c.History = []Series{{Signal: "errors", Arm: Baseline, Instance: "old", At: t0, Total: 90_000, Bad: 31}}
	live, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(9)
	var file bytes.Buffer
	rec, err := NewRecorder(&file, Recording{ID: "r1", Start: t0, Every: 10 * time.Second, Signals: c.Signals, History: c.History})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for tick := range 100 {
		reading := w.next()
		if tick >= 50 {
			reading.Source = "fallback"
		}
		ruling := live.Observe(reading)
		said = append(said, fmt.Sprint(ruling.Why, ruling.LogOdds))
		if err := rec.Reading(reading); err != nil {
			t.Fatal(err)
		}
		before := live.Steps
		step(live, tick, reading.At)
		if live.Steps > before {
			if err := rec.Step(live.Step); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := ReadRecording(&file)
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != "r1" || !r.Start.Equal(t0) || r.Every != 10*time.Second || len(r.Signals) != len(c.Signals) || len(r.Steps) != live.Steps {
		t.Fatalf("read %q, every %v, %d signals, %d steps", r.ID, r.Every, len(r.Signals), len(r.Steps))
	}
	c.History = r.History
	again, _ := New(c)
	steps := r.Steps
	for i, reading := range r.Readings {
		for len(steps) > 0 && steps[0].At.Before(reading.At) {
			again.Begin(steps[0])
			steps = steps[1:]
		}
		ruling := again.Observe(reading)
		if got := fmt.Sprint(ruling.Why, ruling.LogOdds); got != said[i] {
			t.Fatalf("reading %d: judged again\n%s\nlive\n%s", i, got, said[i])
		}
	}
}

// TestReplayHistory: a recording that knows the past is judged by it, and not by what the counters held at first.
func TestReplayHistory(t *testing.T) {
	r := &Recording{Every: 10 * time.Second, Signals: []Signal{{Name: "errors", Kind: Errors, Compare: WithBefore}}}
	r.Steps = []Step{{At: t0, Weight: .1, Last: true}}
	for i := range 61 {
		at, n := t0.Add(time.Duration(10*i)*time.Second), float64(i)
		r.Readings = append(r.Readings, Reading{At: at, Series: []Series{
			{Signal: "errors", Arm: Canary, At: at, Total: 100 * n, Bad: 8 * n},
			{Signal: "errors", Arm: Baseline, At: at, Total: 1000 + 900*n, Bad: 80 + 72*n},
		}})
	}
	for _, k := range []struct {
		name    string
		history []Series
		want    string
	}{
		{"nothing but the counters, which are as bad", nil, "promote"},
		{"a better past", []Series{{Signal: "errors", Total: 100_000, Bad: 100}}, "rollback"},
	} {
		r.History = k.history
		d, err := Replay(r, Config{})
		if err != nil || d.Decision != k.want {
			t.Errorf("%s: %+v, error %v; want %s", k.name, d, err, k.want)
		}
	}
}

// plain is a recording in the format of the public experiments.
func plain(errorsPerTick int) string {
	var b strings.Builder
	fmt.Fprintln(&b, `{"id":"p1","kind":"secret","onset_t":5,"tick_s":10,"weight":0.1,"weight_steps":[[0,0.1],[300,0.5]],"bucket_bounds":[0.1,0.5]}`)
	for i := range 61 {
		c, e := 1000*i, errorsPerTick*i
		fmt.Fprintf(&b, `{"t":%d,"canary":{"requests":%d,"errors":%d,"buckets":[%d,%d,%d],"sum":1},`, 10*i, c, e, 900*i, 990*i, c)
		fmt.Fprintf(&b, `"baseline":{"requests":%d,"errors":%d,"buckets":[%d,%d,%d],"sum":1}}`+"\n",
			1000000+9000*i, 1000+9*i, 900000+8100*i, 990000+8910*i, 1000000+9000*i)
	}
	return b.String()
}

func TestReplay(t *testing.T) {
	for _, k := range []struct {
		errors   int
		change   func(*Config)
		decision string
		why      string
	}{
		{0, nil, "promote", "excluded with 95 % confidence"},
		{40, nil, "rollback", "errors: canary "},
		{4, func(c *Config) { c.Signals[0].MaxIncrease = 99 }, "promote", ""}, // tolerated, on purpose
	} {
		r, err := ReadRecording(strings.NewReader(plain(k.errors)))
		if err != nil {
			t.Fatal(err)
		}
		c := Config{}
		if k.change != nil {
			c.Signals = r.Signals
			k.change(&c)
		}
		d, err := Replay(r, c)
		if err != nil {
			t.Fatal(err)
		}
		if d.ID != "p1" || !strings.HasPrefix(d.Decision, k.decision) || !strings.Contains(d.Why, k.why) {
			t.Errorf("%d errors per tick: %+v, want %s because %s", k.errors, d, k.decision, k.why)
		}
	}
}

func TestBadRecordings(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "header: EOF",
		"{":                             "header: unexpected EOF",
		"{\"tick_s\":10}\n{\"t\":1}\nx": "line 3: invalid character",
	} {
		if _, err := ReadRecording(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if d, err := Replay(&Recording{ID: "empty"}, Config{}); err != nil || d.Decision != "inconclusive" {
		t.Errorf("a recording of nothing: %+v, %v", d, err)
	}
}

// FuzzRecording reads what nobody wrote: it may be refused, but never breaks.
func FuzzRecording(f *testing.F) {
	f.Add([]byte(plain(3)[:2000]))
	f.Add([]byte(`{"tick_s":1,"weight":-3,"weight_steps":[[0,9],[2,0]],"bucket_bounds":[1,0]}
{"t":0,"baseline":{"requests":1e300,"errors":-4,"buckets":[7]}}
{"t":1e18,"step":{"weight":0.5,"next":-1}}`))
	f.Add([]byte(`{"tick_s":10,"weight":0.5,"signals":[{"name":"q","kind":"gauge"},{"name":"h","kind":"latency"}]}
{"t":0,"signals":{"q":{"canary_replicas":[{"value":3}]},"h":{"canary":{"bounds":[],"buckets":[4],"native":true}}}}
{"t":10,"signals":{"q":{"canary":{"value":3},"baseline":{"value":2}},"h":{"baseline":{"bounds":[0.5],"buckets":[4,5],"native":true}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadRecording(bytes.NewReader(data))
		if err != nil {
			return
		}
		if d, err := Replay(r, Config{}); err == nil && d.Why == "" {
			t.Error("a decision without a reason")
		}
	})
}
