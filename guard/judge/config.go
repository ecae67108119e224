package judge

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config is everything the judge needs to know of the plan. The zero value of a field means its default.
type Config struct {
	Signals []Signal `json:"signals"`

	// History holds what the baseline's counters rose by over the last 10 to 60 minutes before the watch,
	// per signal and instance, and past values of gauges. Without it the judge takes what the counters of
	// the baseline hold when it first sees them, or waits for the first 1000 requests.
	History []Series `json:"history,omitempty"`

	Every         time.Duration `json:"every,omitempty"`          // from reading to reading; 10s
	Warmup        time.Duration `json:"warmup,omitempty"`         // for so long new instances may be cold; 60s
	WarmupRatio   float64       `json:"warmup_ratio,omitempty"`   // how many times slower they may answer at first; 3
	Prewarmed     bool          `json:"prewarmed,omitempty"`      // instances are warm before they get traffic
	Episodes      time.Duration `json:"episodes,omitempty"`       // degradations of one arm so long are tolerated; 50s
	EpisodeRatio  float64       `json:"episode_ratio,omitempty"`  // up to so many times the errors; 3
	NoEpisodes    bool          `json:"no_episodes,omitempty"`    // none is tolerated
	FalseRollback float64       `json:"false_rollback,omitempty"` // alpha: chance that a harmless release is taken back; 0.01
	Split         Split         `json:"split,omitempty"`
	Instances     Hosts         `json:"instances,omitempty"`

	Confidence float64       `json:"confidence,omitempty"` // 1 - beta: with which harm is excluded before a step is taken; 0.95
	Margin     float64       `json:"margin,omitempty"`     // additional bad requests that need not be excluded before promotion; 0.0005
	Patience   time.Duration `json:"patience,omitempty"`   // after so long in a step the loose margins suffice; 2m
	MinStep    time.Duration `json:"min_step,omitempty"`   // 30s
	MaxStep    time.Duration `json:"max_step,omitempty"`   // 10m
	FullSteps  bool          `json:"full_steps,omitempty"` // never end a step early
	OnTooFast  OnTooFast     `json:"on_too_fast,omitempty"`

	LimitsOnly bool          `json:"limits_only,omitempty"` // a first release: nothing to compare with, only ceilings judge
	BlindAfter time.Duration `json:"blind_after,omitempty"` // so long without the canary is blind, without the baseline twice that; 6 readings
	HoldAlone  bool          `json:"hold_alone,omitempty"`  // harm that only a comparison with history shows is a reason to hold, not to go back
}

// A Signal is one thing that is watched.
type Signal struct {
	Name        string        `json:"name"`
	Kind        Kind          `json:"kind"`
	MaxIncrease float64       `json:"max_increase,omitempty"` // tolerated relative increase: errors 0.25, latency and gauges 0.10
	IgnoreBelow float64       `json:"ignore_below,omitempty"` // smaller additional bad shares never count as harm: errors 0.0002, latency 0.002
	Never       *Ceiling      `json:"never,omitempty"`
	Compare     Compare       `json:"compare,omitempty"`
	Objective   float64       `json:"objective,omitempty"` // bad share that the service's objective allows; used without a baseline
	Window      time.Duration `json:"window,omitempty"`    // of a gauge: values closer together share their data and count once
}

// A Ceiling must never be exceeded, whatever the baseline does.
type Ceiling struct {
	Rate     float64       `json:"rate,omitempty"`     // of errors: the share of bad requests
	Above    float64       `json:"above,omitempty"`    // of latency (seconds) and gauges
	Quantile float64       `json:"quantile,omitempty"` // of latency: the one that Above holds for; 0.99
	Below    *float64      `json:"below,omitempty"`    // of gauges of which less is worse; Above is then not used
	For      time.Duration `json:"for,omitempty"`      // of gauges: how long it must last
}

// worse is the direction in which a gauge gets worse: up, or down if the plan says what it must never fall below.
func (s *Signal) worse() float64 {
	if s.Never != nil && s.Never.Below != nil {
		return -1
	}
	return 1
}

// limit is the value that the plan forbids a gauge to pass, in the direction of worse.
func (n *Ceiling) limit() float64 {
	if n.Below != nil {
		return -*n.Below
	}
	return n.Above
}

// Kind says how a signal is read.
type Kind string

const (
	Errors  Kind = "errors"  // requests and bad requests
	Latency Kind = "latency" // a histogram
	Gauge   Kind = "gauge"   // a value
)

// Compare says what a signal of the canary is compared with.
type Compare string

const (
	WithBaseline Compare = ""       // the old version, at the same time
	WithBefore   Compare = "before" // its own past: the history
)

// Split says how requests find their arm.
type Split string

const (
	SplitUnknown   Split = ""        // found out from the counts
	SplitByRequest Split = "request" // each request by itself
	SplitByClient  Split = "client"  // all requests of a client together
)

// Hosts says how alike the machines are that instances run on.
type Hosts string

const (
	Uniform Hosts = ""
	Mixed   Hosts = "mixed" // of several sizes, or burstable
)

// OnTooFast says what suspiciously fast answers lead to before the promotion.
type OnTooFast string

const (
	HoldTooFast OnTooFast = "" // a person confirms
	WarnTooFast OnTooFast = "warn"
)

// withDefaults returns the configuration with every default filled in (sections 9, 6 and 15).
func (c Config) withDefaults() Config {
	c.Every = or(c.Every, 10*time.Second)
	c.Warmup = or(c.Warmup, time.Minute)
	if c.Prewarmed {
		c.Warmup = 0
	}
	c.WarmupRatio = or(c.WarmupRatio, 3)
	c.Episodes = or(c.Episodes, 50*time.Second)
	c.EpisodeRatio = or(c.EpisodeRatio, 3)
	if c.NoEpisodes {
		c.EpisodeRatio = 1
	}
	c.FalseRollback = or(c.FalseRollback, .01)
	c.Confidence = or(c.Confidence, .95)
	c.Margin = or(c.Margin, defaultMargin)
	c.Patience = or(c.Patience, 2*time.Minute)
	c.MinStep = or(c.MinStep, 30*time.Second)
	c.BlindAfter = or(c.BlindAfter, 6*c.Every)
	c.MaxStep = or(c.MaxStep, 10*time.Minute)
	signals := make([]Signal, len(c.Signals))
	for i, s := range c.Signals {
		increase, ignore := .10, .002
		if s.Kind == Errors {
			increase, ignore = .25, .0002
		}
		s.MaxIncrease = or(s.MaxIncrease, increase)
		s.IgnoreBelow = or(s.IgnoreBelow, ignore)
		if s.Never != nil {
			n := *s.Never
			n.Quantile = or(n.Quantile, .99)
			s.Never = &n
		}
		signals[i] = s
	}
	c.Signals = signals
	return c
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (c Config) check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"every", c.Every}, {"warmup", c.Warmup}, {"episodes", c.Episodes},
		{"patience", c.Patience}, {"min_step", c.MinStep}, {"max_step", c.MaxStep}, {"blind_after", c.BlindAfter},
	} {
		if d.value < 0 {
			bad("%s: %v is negative", d.key, d.value)
		}
	}
	for _, r := range []struct {
		key             string
		value, min, max float64
	}{
		{"warmup_ratio", c.WarmupRatio, 1, 100}, {"episode_ratio", c.EpisodeRatio, 1, 100},
		{"false_rollback", c.FalseRollback, 1e-9, .5}, {"confidence", c.Confidence, .5, 1 - 1e-9}, {"margin", c.Margin, 1e-9, .5},
	} {
		if r.value != 0 && !(r.min <= r.value && r.value <= r.max) {
			bad("%s: %v is not between %v and %v", r.key, r.value, r.min, r.max)
		}
	}
	if c.Split != SplitUnknown && c.Split != SplitByRequest && c.Split != SplitByClient {
		bad("split: %q is neither request nor client", c.Split)
	}
	if c.Instances != Uniform && c.Instances != "uniform" && c.Instances != Mixed {
		bad("instances: %q is neither uniform nor mixed", c.Instances)
	}
	if c.OnTooFast != HoldTooFast && c.OnTooFast != "hold" && c.OnTooFast != WarnTooFast {
		bad("on_too_fast: %q is neither hold nor warn", c.OnTooFast)
	}
	if len(c.Signals) == 0 {
		bad("signals: none to judge by")
	}
	seen := map[string]bool{}
	for _, s := range c.Signals {
		if s.Name == "" {
			bad("signals: one has no name")
		}
		if seen[s.Name] {
			bad("signals.%s: given twice", s.Name)
		}
		seen[s.Name] = true
		for _, err := range s.check() {
			bad("signals.%s.%w", s.Name, err)
		}
	}
	return errors.Join(all...)
}

func (s Signal) check() (all []error) {
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if s.Kind != Errors && s.Kind != Latency && s.Kind != Gauge {
		bad("kind: %q is none of errors, latency, gauge", s.Kind)
	}
	if s.Compare != WithBaseline && s.Compare != "baseline" && s.Compare != WithBefore {
		bad("compare: %q is neither baseline nor before", s.Compare)
	}
	if !(0 <= s.MaxIncrease && s.MaxIncrease <= 100) {
		bad("max_increase: %v is not between 0 and 100 times", s.MaxIncrease)
	}
	for _, r := range []struct {
		key   string
		value float64
	}{{"ignore_below", s.IgnoreBelow}, {"objective", s.Objective}} {
		if !(0 <= r.value && r.value < 1) {
			bad("%s: %v is not a share of the requests", r.key, r.value)
		}
	}
	if s.Window < 0 {
		bad("window: %v is negative", s.Window)
	}
	if n := s.Never; n != nil {
		switch {
		case s.Kind == Errors && !(0 < n.Rate && n.Rate < 1):
			bad("never: %v is not a share of the requests", n.Rate)
		case s.Kind == Latency && !(0 < n.Above && n.Above < math.Inf(1)):
			bad("never: above %v is not a time in seconds", n.Above)
		case s.Kind == Gauge && (math.IsNaN(n.limit()) || math.IsInf(n.limit(), 0)):
			bad("never: above or below %v is not a number", n.limit())
		case !(0 <= n.Quantile && n.Quantile < 1):
			bad("never: quantile %v is not between 0 and 1", n.Quantile)
		case n.For < 0:
			bad("never: for %v is negative", n.For)
		}
	}
	return all
}
