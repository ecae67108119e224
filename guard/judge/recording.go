package judge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// A Recording is a watch on paper: what was read, and when the share of the traffic changed. On disk it is
// JSON lines: a header, a snapshot of the counters at t = 0, and then a line per scrape or step. A recording
// of errors and of one histogram needs only the fields of the public sets of experiments,
//
//	{"id":"p1","tick_s":10,"weight":0.05,"weight_steps":[[0,0.05],[300,0.25]],"bucket_bounds":[0.1,0.5]}
//	{"t":10,"canary":{"requests":50,"errors":0,"buckets":[40,49,50]},"baseline":{...}}
//
// with "canary_replicas" and "baseline_replicas" for the instances. All other signals stand under "signals"
// by their name, steps as they happen on lines of their own, and what the judge knew of the past in the header:
//
//	{"t":300,"step":{"weight":0.25,"next":1,"last":true}}
type Recording struct {
	ID       string
	Start    time.Time // t = 0
	Every    time.Duration
	Signals  []Signal // what was recorded: names and kinds
	History  []Series // what was known of the past (Config.History)
	Steps    []Step
	Readings []Reading
}

// The names of the signals that the plain fields of a recording hold.
const (
	errorsSignal  = "errors"
	latencySignal = "latency"
)

// header is the first line. A recording may hold more, such as the right answer: it is not read.
type header struct {
	ID          string       `json:"id"`
	Start       *time.Time   `json:"start,omitempty"`
	Tick        float64      `json:"tick_s"`
	Weight      float64      `json:"weight"`
	WeightSteps [][2]float64 `json:"weight_steps,omitempty"`
	Bounds      []float64    `json:"bucket_bounds"`
	Signals     []Signal     `json:"signals,omitempty"` // beyond errors and latency
	History     []Series     `json:"history,omitempty"`
}

// line is a scrape or a step.
type line struct {
	T      float64 `json:"t"`
	Step   *Step   `json:"step,omitempty"`
	Source string  `json:"source,omitempty"` // of a scrape
	arms
	Signals map[string]*arms `json:"signals,omitempty"`
}

// arms are the counters of one signal, or of errors and latency together.
type arms struct {
	Canary           *recorded  `json:"canary,omitempty"`
	Baseline         *recorded  `json:"baseline,omitempty"`
	CanaryReplicas   []recorded `json:"canary_replicas,omitempty"`
	BaselineReplicas []recorded `json:"baseline_replicas,omitempty"`
}

// recorded are the counters of an arm, or of one of its instances.
type recorded struct {
	Instance string    `json:"instance,omitempty"`
	At       *float64  `json:"at,omitempty"` // of the sample, if that is not t
	Requests float64   `json:"requests"`
	Errors   float64   `json:"errors"`
	Buckets  []float64 `json:"buckets,omitempty"` // cumulative, the last is +Inf
	Sum      float64   `json:"sum,omitempty"`
	Bounds   []float64 `json:"bounds,omitempty"` // if they are not those of the header
	Native   bool      `json:"native,omitempty"`
	Value    *float64  `json:"value,omitempty"`
}

// ReadRecording reads a whole recording. Times of a recording that does not know its start count from the
// Unix epoch.
func ReadRecording(from io.Reader) (*Recording, error) {
	lines := json.NewDecoder(from)
	var h header
	if err := lines.Decode(&h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	start := time.Unix(0, 0).UTC()
	if h.Start != nil {
		start = *h.Start
	}
	at := func(t float64) time.Time { return start.Add(time.Duration(math.Round(t * float64(time.Second)))) }
	r := &Recording{ID: h.ID, Start: start, Every: at(h.Tick).Sub(start), Signals: h.Signals, History: h.History}
	for i, s := range h.WeightSteps {
		step := Step{At: at(s[0]), Weight: s[1], Next: 1, Last: i == len(h.WeightSteps)-1}
		if !step.Last {
			step.Next = h.WeightSteps[i+1][1]
		}
		r.Steps = append(r.Steps, step)
	}
	if len(h.WeightSteps) == 0 && h.Weight > 0 {
		r.Steps = []Step{{At: start, Weight: h.Weight, Next: 1, Last: true}}
	}
	plain := false
	for n := 2; ; n++ {
		var l line
		if err := lines.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if l.Step != nil {
			l.Step.At = at(l.T)
			r.Steps = append(r.Steps, *l.Step)
			continue
		}
		reading := Reading{At: at(l.T), Source: l.Source}
		if l.Canary != nil || l.Baseline != nil || l.CanaryReplicas != nil || l.BaselineReplicas != nil {
			plain = true
			reading.take(errorsSignal, Errors, &l.arms, nil, at)
			if len(h.Bounds) > 0 {
				reading.take(latencySignal, Latency, &l.arms, h.Bounds, at)
			}
		}
		for _, s := range h.Signals {
			if a := l.Signals[s.Name]; a != nil {
				reading.take(s.Name, s.Kind, a, nil, at)
			}
		}
		r.Readings = append(r.Readings, reading)
	}
	if plain {
		signals := []Signal{{Name: errorsSignal, Kind: Errors}}
		if len(h.Bounds) > 0 {
			signals = append(signals, Signal{Name: latencySignal, Kind: Latency})
		}
		r.Signals = append(signals, r.Signals...)
	}
	return r, nil
}

// take adds the counters of one signal to the reading: those of the instances if there are any.
func (r *Reading) take(name string, kind Kind, a *arms, bounds []float64, at func(float64) time.Time) {
	for _, arm := range []struct {
		arm      Arm
		all      *recorded
		replicas []recorded
	}{{Canary, a.Canary, a.CanaryReplicas}, {Baseline, a.Baseline, a.BaselineReplicas}} {
		instances := arm.replicas
		if len(instances) == 0 && arm.all != nil {
			instances = []recorded{*arm.all}
		}
		for i, c := range instances {
			s := Series{Signal: name, Arm: arm.arm, Instance: c.Instance, At: r.At, Value: c.Value}
			if c.At != nil {
				s.At = at(*c.At)
			}
			if s.Instance == "" && len(arm.replicas) > 0 {
				s.Instance = fmt.Sprint(i)
			}
			switch kind {
			case Errors:
				s.Total, s.Bad = c.Requests, c.Errors
			case Latency:
				s.Bounds, s.Native, s.Sum = bounds, c.Native, c.Sum
				if c.Bounds != nil {
					s.Bounds = c.Bounds
				}
				if len(c.Buckets) != len(s.Bounds)+1 {
					continue // no histogram in this line
				}
				s.Total, s.Buckets = c.Buckets[len(s.Bounds)], c.Buckets[:len(s.Bounds)]
			}
			r.Series = append(r.Series, s)
		}
	}
}

// A Recorder writes a recording while the watch goes on.
type Recorder struct {
	to      *json.Encoder
	start   time.Time
	signals []Signal
}

// NewRecorder writes the header: all of the recording but its steps and its readings.
func NewRecorder(to io.Writer, r Recording) (*Recorder, error) {
	recorder := &Recorder{to: json.NewEncoder(to), start: r.Start, signals: slices.Clone(r.Signals)}
	h := header{ID: r.ID, Start: &r.Start, Tick: r.Every.Seconds(), Signals: recorder.signals, History: r.History, Bounds: []float64{}}
	return recorder, recorder.to.Encode(h)
}

// Step writes that a step begins.
func (r *Recorder) Step(s Step) error { return r.to.Encode(line{T: r.since(s.At), Step: &s}) }

// Reading writes what was read.
func (r *Recorder) Reading(read Reading) error {
	l := line{T: r.since(read.At), Source: read.Source, Signals: map[string]*arms{}}
	for i := range read.Series {
		s := &read.Series[i]
		at := slices.IndexFunc(r.signals, func(known Signal) bool { return known.Name == s.Signal })
		if at < 0 {
			continue
		}
		a := l.Signals[s.Signal]
		if a == nil {
			a = &arms{}
			l.Signals[s.Signal] = a
		}
		a.add(s, r.signals[at].Kind, r.since(s.At), l.T)
	}
	return r.to.Encode(l)
}

func (a *arms) add(s *Series, kind Kind, at, now float64) {
	c := recorded{Instance: s.Instance, Requests: s.Total, Errors: s.Bad, Native: s.Native, Sum: s.Sum, Value: s.Value}
	if at != now {
		c.At = &at
	}
	if kind == Latency {
		c.Bounds = s.Bounds
		c.Buckets = append(slices.Clone(s.Buckets), s.Total)
	}
	if s.Arm == Canary {
		a.CanaryReplicas = append(a.CanaryReplicas, c)
	} else {
		a.BaselineReplicas = append(a.BaselineReplicas, c)
	}
}

func (r *Recorder) since(t time.Time) float64 { return t.Sub(r.start).Seconds() }

// A Decision is what the judge would have made of a whole recording.
type Decision struct {
	ID       string  `json:"id"`
	Decision string  `json:"decision"` // promote, rollback or inconclusive
	T        float64 `json:"t"`        // seconds since the first reading
	Why      string  `json:"why"`
}

// Replay judges a recording again, with other settings if the configuration names any; signals and the time
// between readings are those of the recording if it names none. The steps are taken when they were taken:
// what is decided is whether the canary would have been taken back, and else whether the end would have been
// a promotion.
func Replay(r *Recording, c Config) (Decision, error) {
	d := Decision{ID: r.ID, Decision: "inconclusive", Why: "nothing was recorded"}
	if len(r.Readings) == 0 {
		return d, nil
	}
	if len(c.Signals) == 0 {
		c.Signals = r.Signals
	}
	c.Every = or(c.Every, r.Every)
	if c.History == nil {
		c.History = r.History
	}
	if c.History == nil {
		c.History = snapshot(r.Readings[0])
	}
	const forever = 1000 * time.Hour // the recording says when a step ended
	c.MaxStep = forever
	j, err := New(c)
	if err != nil {
		return d, err
	}
	steps := r.Steps
	start := r.Readings[0].At
	var healthy *Ruling
	var last Ruling
	for i, reading := range r.Readings {
		for i > 0 && len(steps) > 0 && steps[0].At.Before(reading.At) {
			steps[0].AtMost = forever
			j.Begin(steps[0])
			steps, healthy = steps[1:], nil
		}
		last = j.Observe(reading)
		d.T = reading.At.Sub(start).Seconds()
		if last.Call == Regressed {
			d.Decision, d.Why = "rollback", last.Why
			return d, nil
		}
		if last.Call == Healthy && healthy == nil {
			first := last
			healthy = &first
		}
	}
	d.Decision, d.Why = j.conclude(last, healthy)
	return d, nil
}

// conclude says how a watch would have ended when its recording does.
func (j *Judge) conclude(last Ruling, healthy *Ruling) (decision, why string) {
	switch w, p := j.leaning(); {
	case last.Call == Blind || last.Call == Hold:
		return "inconclusive", last.Why
	case w != nil:
		return "inconclusive", j.sayLeaning(w, p)
	case j.suspects(j.logE()):
		w, p := j.loudest()
		return "inconclusive", j.sayLeaning(w, p)
	case j.tooFast() != nil:
		return "inconclusive", j.tooFast().Fast.say()
	case healthy != nil:
		return "promote", healthy.Why
	}
	return "promote", "no sign of harm, but not all of it is excluded: " + last.Why
}

// snapshot is what the baseline had counted before the watch began, as history; instances are not told
// apart, as totals of days say little about how they differ today.
func snapshot(r Reading) (past []Series) {
	for _, s := range r.Series {
		if s.Arm == Baseline && s.Value == nil {
			s.Instance = ""
			past = append(past, s)
		}
	}
	return past
}
