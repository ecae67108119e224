// Package judge turns counts into verdicts: it reads the raw counters of the new version (the canary) and
// the old one (the baseline) tick by tick, and says whether the new one does harm, has been shown healthy, or
// neither yet. It is pure: the same readings always give the same rulings, and time is only what readings say.
//
// The files follow the paper, JUDGE.md, whose section numbers stand beside the formulas: counters (1),
// likelihood, stream, absolute and gauge (2), engine (3), survival and probes (4, 15), guardrails (5),
// noninferiority (6), words (7), luck, share and fast (15), power (plan time). A recording keeps what was read,
// to be judged again with other settings; a backtest makes watches out of the past; judgebench compares the
// judge with the rules of other tools.
package judge

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// An Arm is one side of the comparison.
type Arm string

const (
	Canary   Arm = "canary"   // the new version
	Baseline Arm = "baseline" // the old one, serving at the same time
)

// A Reading is one scrape of everything a rollout watches. Counters in it are raw and cumulative since the
// start of the process they belong to; the judge takes the differences.
type Reading struct {
	At     time.Time `json:"at"`               // never zero: it is the only clock there is
	Source string    `json:"source,omitempty"` // who was asked, where that changes: counters of two sources are never compared
	Series []Series  `json:"series,omitempty"`
	// Remarks are what the source says about an answer that lacks nothing. They are for people, and decide nothing.
	Remarks []string `json:"remarks,omitempty"`
}

// A Series is one signal of one instance of one arm. A signal that counts uses Total, Bad and, for latency,
// Bounds and Buckets; a plain gauge uses Value.
type Series struct {
	Signal   string    `json:"signal"`
	Arm      Arm       `json:"arm"`
	Instance string    `json:"instance,omitempty"`
	At       time.Time `json:"at"` // of the sample, zero for that of the reading; the same instant as before means that nothing new was scraped
	Total    float64   `json:"total,omitempty"`
	Bad      float64   `json:"bad,omitempty"`
	Bounds   []float64 `json:"bounds,omitempty"`  // upper bounds in the unit of the metric (seconds), ascending, without +Inf
	Buckets  []float64 `json:"buckets,omitempty"` // cumulative over the bounds as in Prometheus, one per bound; the +Inf bucket is Total
	Native   bool      `json:"native,omitempty"`  // a native histogram: bounds between which nothing fell may be left out
	Sum      float64   `json:"sum,omitempty"`
	Value    *float64  `json:"value,omitempty"` // of a gauge
}

// A Call is what the evidence says now. The zero value is Blind: nothing could be seen, and nothing that
// could not be seen is ever a reason to go on.
type Call int

const (
	Blind        Call = iota // no usable counts for too long
	Continue                 // not enough evidence yet
	Hold                     // do not go on, for the reason in Why
	Inconclusive             // the time of the step is over, and the evidence does not suffice
	Healthy                  // harm above the margins is excluded: take the next step, or promote
	Regressed                // the new version does harm: go back
)

var calls = [...]string{"blind", "continue", "hold", "inconclusive", "healthy", "regressed"}

// String names the call in lower case.
func (c Call) String() string {
	if c < 0 || int(c) >= len(calls) {
		return fmt.Sprintf("Call(%d)", int(c))
	}
	return calls[c]
}

// MarshalText lets a call read well in a journal.
func (c Call) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (c *Call) UnmarshalText(text []byte) error {
	for i, name := range calls {
		if name == string(text) {
			*c = Call(i)
			return nil
		}
	}
	return fmt.Errorf("unknown call %q", text)
}

// A Step is one share of the traffic that the canary gets for a time.
type Step struct {
	At      time.Time     `json:"at"`                 // when the share changed
	Weight  float64       `json:"weight"`             // the canary's share now, 0 to 1; 0 if it is not known
	Next    float64       `json:"next,omitempty"`     // its share if this step ends well; 0 means 1, the promotion
	AtLeast time.Duration `json:"at_least,omitempty"` // no Healthy before; 0 means Config.MinStep
	AtMost  time.Duration `json:"at_most,omitempty"`  // Inconclusive after; 0 means Config.MaxStep
	Last    bool          `json:"last,omitempty"`     // the promotion is next: the tight margins count

	// Absolute says that there is no baseline to compare with (the first release, or after the promotion):
	// the canary is compared with the history, which cannot tell a bad release from a bad day.
	Absolute bool `json:"absolute,omitempty"`

	// SameInstances says that the step moved traffic onto instances that already served: nothing is cold.
	SameInstances bool `json:"same_instances,omitempty"`
}

// A Ruling is what the judge says after a reading. It is plain data, and never holds NaN or infinity.
type Ruling struct {
	At       time.Time `json:"at"`
	Call     Call      `json:"call"`
	Why      string    `json:"why"`                // one sentence with numbers, for people
	Rule     Rule      `json:"rule"`               // the rule that decided
	Signal   string    `json:"signal,omitempty"`   // the signal that decided, if one did
	LogOdds  float64   `json:"log_odds"`           // evidence of harm of all signals together: the logarithm of the odds
	Limit    float64   `json:"limit"`              // LogOdds at which the canary is taken back
	InStep   float64   `json:"in_step"`            // seconds since the step began
	Missing  string    `json:"missing,omitempty"`  // what is still missing before the step can end well
	Remain   float64   `json:"remain,omitempty"`   // about how many more seconds that takes; 0 if it cannot be said
	Warnings []string  `json:"warnings,omitempty"` // what a person should look at although it decides nothing
	Signals  []Sight   `json:"signals,omitempty"`
}

// A Rule names what decided a ruling.
type Rule string

const (
	NotStarted      Rule = "not-started"         // no step has begun
	Odds            Rule = "odds"                // the odds of harm, all signals together (sections 2 and 3)
	StoppedAnswer   Rule = "stopped-answering"   // the canary lost its traffic (5.1)
	Overwhelming    Rule = "overwhelming-errors" // every fifth request fails, and only on the canary (5.2)
	Never           Rule = "never"               // an absolute ceiling of the plan (5.3)
	BothFailing     Rule = "both-failing"        // the ceiling is broken, but by the baseline too
	BothDegraded    Rule = "both-degraded"       // the baseline does far worse than in its history
	WithinLimits    Rule = "within-limits"       // a first release keeps every ceiling (6)
	NonInferior     Rule = "non-inferiority"     // harm above the margins is excluded (6)
	Leaning         Rule = "leaning"             // the data of the step favour harm, short of the limit
	TooFast         Rule = "too-fast"            // faster than real work (15.4)
	Collecting      Rule = "collecting"          // not enough requests yet
	TooFew          Rule = "too-few-requests"    // the time of the step is over, and they never came
	StillLearning   Rule = "learning"            // the baseline is too young to choose latency bounds from
	NothingToReadOf Rule = "nothing-to-read"     // no samples of an arm
)

// A Sight is what was seen of one signal; a latency signal has one for each bound that is watched.
type Sight struct {
	Signal    string  `json:"signal"`
	Slower    float64 `json:"slower_than,omitempty"` // the bad requests are those that took longer (seconds)
	Step      Counts  `json:"step"`                  // in this step
	All       Counts  `json:"all"`                   // since the watch began
	LogOdds   float64 `json:"log_odds"`              // evidence of harm
	Tolerated float64 `json:"tolerated,omitempty"`   // ratio of the bad shares that still counts as harmless
	Low       float64 `json:"low"`                   // 95 % interval of the difference in this step, canary minus
	High      float64 `json:"high"`                  // baseline, in shares of the requests
	Margin    float64 `json:"margin,omitempty"`      // the additional bad share that must be excluded
	Excluded  bool    `json:"excluded"`              // and has been
	Requests  float64 `json:"requests,omitempty"`    // about how many more canary requests that takes
	Seconds   float64 `json:"seconds,omitempty"`     // and how long at the rate of this step; 0 if it cannot be said
	Smallest  float64 `json:"smallest,omitempty"`    // smallest additional bad share that this step could have seen
}

// Counts holds the requests of both arms.
type Counts struct {
	Canary   Tally `json:"canary"`
	Baseline Tally `json:"baseline"`
}

// A Tally is how many requests were bad. For a gauge they are observations, and those above the bound.
type Tally struct {
	Requests float64 `json:"requests"`
	Bad      float64 `json:"bad"`
	Rate     float64 `json:"rate"`
}

// A Judge watches one rollout. It is used by one goroutine. Its JSON is its whole memory: unmarshal it into
// a Judge made with the same Config, and it goes on as if nothing had happened, bit for bit.
type Judge struct {
	cfg Config
	state
}

// New makes a judge, or names everything that is wrong with the configuration.
func New(c Config) (*Judge, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	j := &Judge{cfg: c.withDefaults()}
	j.state = newState(&j.cfg)
	return j, nil
}

// MarshalJSON writes the memory of the judge, without its configuration.
func (j *Judge) MarshalJSON() ([]byte, error) { return json.Marshal(&j.state) }

// UnmarshalJSON restores a memory that MarshalJSON wrote under the same configuration.
func (j *Judge) UnmarshalJSON(data []byte) error {
	if j.cfg.Every == 0 {
		return errors.New("restore a judge: make it with New first")
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("restore a judge: %w", err)
	}
	if err := s.fits(&j.cfg); err != nil {
		return fmt.Errorf("restore a judge: %w", err)
	}
	j.state = s
	return nil
}
