package judge

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// state is the memory of a judge. All of it is plain numbers that JSON can hold.
type state struct {
	Version int       `json:"version"`
	Begun   time.Time `json:"begun"`            // the watch: its first step
	Seen    time.Time `json:"seen"`             // the last reading
	Source  string    `json:"source,omitempty"` // of the last reading with series
	Step    Step      `json:"step"`
	Steps   int       `json:"steps"`   // that have begun
	Warming time.Time `json:"warming"` // when the newest instances got their first traffic
	Cold    float64   `json:"cold"`    // their share of the canary
	Share   share     `json:"share"`
	Starve  starve    `json:"starve"`
	Signals []*watch  `json:"signals"`
	Final   *Ruling   `json:"final,omitempty"` // Regressed is not taken back
}

const stateVersion = 1

func newState(c *Config) state {
	s := state{Version: stateVersion}
	for i := range c.Signals {
		s.Signals = append(s.Signals, newWatch(c, &c.Signals[i]))
	}
	return s
}

// fits says whether the memory belongs to this configuration, and completes what is not stored.
func (s *state) fits(c *Config) error {
	if s.Version != stateVersion {
		return fmt.Errorf("the memory has version %d, not %d", s.Version, stateVersion)
	}
	if len(s.Signals) != len(c.Signals) {
		return errors.New("the memory has other signals")
	}
	for i, w := range s.Signals {
		if w.Name != c.Signals[i].Name {
			return fmt.Errorf("the memory has a signal %q where the configuration has %q", w.Name, c.Signals[i].Name)
		}
		w.wake(c, &c.Signals[i])
	}
	return nil
}

// Begin says that the share of the traffic has changed: a new step begins.
func (j *Judge) Begin(s Step) {
	previous := j.Step
	if !(0 <= s.Weight && s.Weight <= 1) {
		s.Weight = 0 // not known
	}
	if !(0 < s.Next && s.Next <= 1) {
		s.Next = 1 // the most that could be at stake
	}
	s.AtLeast = or(s.AtLeast, j.cfg.MinStep)
	s.AtMost = or(s.AtMost, j.cfg.MaxStep)
	s.Absolute = s.Absolute || s.Weight >= .9
	j.Step = s
	j.Steps++
	j.Share.A, j.Share.B = 0, 0
	cold := 1.
	switch {
	case j.Steps == 1:
		j.Begun, j.Warming = s.At, s.At
	case s.SameInstances:
		cold = j.Cold
	default:
		j.Warming = s.At
		if s.Weight > 0 && previous.Weight > 0 {
			cold = max(0, 1-previous.Weight/s.Weight)
		}
	}
	j.Cold = cold
	expand := j.Steps > 1 && !s.SameInstances && j.cfg.Warmup > 0
	for _, w := range j.Signals {
		w.begin(&j.Step, expand)
	}
}

// Observe takes one tick and says what follows. A reading without series, or without new samples, is a
// missed scrape. Readings before the first Begin set the references that increases are counted from.
func (j *Judge) Observe(r Reading) Ruling {
	j.take(r)
	if j.Final != nil {
		return *j.Final
	}
	v := j.decide()
	ruling := j.ruling(v)
	if ruling.Call == Regressed {
		j.Final = &ruling
	}
	return ruling
}

// take adds a reading to the evidence.
func (j *Judge) take(r Reading) {
	began := max(0, j.Seen.Sub(j.Warming).Seconds()) // the tick, after the newest instances got traffic
	if r.At.After(j.Seen) {
		j.Seen = r.At
	}
	if len(r.Series) > 0 && r.Source != j.Source {
		j.Source = r.Source
		for _, w := range j.Signals {
			w.forget()
		}
	}
	for _, w := range j.Signals {
		w.clear()
	}
	for i := range r.Series {
		s := r.Series[i]
		if s.At.IsZero() {
			s.At = r.At
		}
		if w := j.watch(s.Signal); w != nil {
			w.read(&s, j.Step.At)
		}
	}
	for _, w := range j.Signals {
		w.learn()
	}
	if j.Steps == 0 {
		return
	}
	for _, w := range j.Signals {
		w.pair(&j.Step)
	}
	j.follow()
	for _, w := range j.Signals {
		w.open(&j.Step)
		w.update(j.warmth(w, began))
		w.exclude(j.starts())
		if w.Meter != nil {
			w.Meter.update(w, j.Seen, w.alone(&j.Step))
		}
	}
}

// watch finds the watch of a signal; signals that are not in the plan are none of our business.
func (j *Judge) watch(name string) *watch {
	for _, w := range j.Signals {
		if w.Name == name {
			return w
		}
	}
	return nil
}

// elapsed is how long the step has run at the end of the tick, in seconds.
func (j *Judge) elapsed() float64 { return j.Seen.Sub(j.Step.At).Seconds() }

// settle is how long the counts of a step are not trusted yet.
func (j *Judge) settle() float64 { return min(settled, j.Step.AtLeast.Seconds()) }

// starts is how many of the two starts of the non-inferiority processes have come (section 6).
func (j *Judge) starts() int {
	switch t := j.elapsed(); {
	case t <= j.settle():
		return 0
	case t <= 3*j.settle():
		return 1
	}
	return 2
}

// warmth returns what each probe of a signal may be worse by while instances are cold, t seconds after they
// got their first traffic (2.3, section 4): an error rate, or a time that the probe turns into a ratio.
func (j *Judge) warmth(w *watch, t float64) (f [families]float64) {
	width := j.cfg.Warmup.Seconds()
	scale := (j.cfg.WarmupRatio - 1) / 2
	fast, slow := 2., .5
	if w.Kind == Errors {
		fast, slow = 9, 2
	}
	if j.Steps > 1 {
		slow = 0 // the slow warm-up is granted to the first step only
	}
	return [families]float64{
		1,
		allowance(fast*scale*j.Cold, t-width/4, width/3),
		allowance(slow*scale*j.Cold, t-width, width),
	}
}

// allowance is 1 + amplitude, decaying after the start; too little to matter is none.
func allowance(amplitude, after, constant float64) float64 {
	if constant <= 0 {
		return 1
	}
	a := 1 + amplitude*math.Exp(-max(0, after)/constant)
	if a < 1.02 {
		return 1
	}
	return a
}

// byClient says that requests reach their arm by client, as the plan says or as the counts show (15.3).
func (j *Judge) byClient() bool { return j.cfg.Split == SplitByClient || j.Share.byClient() }

// dispersion is what guard 1 multiplies its expectations by.
func (j *Judge) dispersion() float64 {
	if j.cfg.Split == SplitByClient {
		return max(12, j.Share.dispersion())
	}
	return j.Share.dispersion()
}

// logE is the evidence of harm of all signals together: the weighted average of the e-values, which is valid
// however they depend on each other (section 3).
func (j *Judge) logE() float64 {
	sum, byClient := impossible, j.byClient()
	weight := -math.Log(float64(len(j.Signals)))
	for _, w := range j.Signals {
		sum = logAdd(sum, weight+w.logE(byClient))
	}
	return sum
}

// limit is the evidence at which the canary is taken back.
func (j *Judge) limit() float64 { return math.Log(1 / j.cfg.FalseRollback) }

// confident is the evidence at which a margin counts as excluded.
func (j *Judge) confident() float64 { return math.Log(1 / (1 - j.cfg.Confidence)) }

// excluded says whether every signal excludes a margin.
func (j *Judge) excluded(margin int) bool {
	for _, w := range j.Signals {
		if !w.excluded(margin, j.confident()) {
			return false
		}
	}
	return true
}

// leaning returns a probe whose data favour harm in this step.
func (j *Judge) leaning() (*watch, *probe) {
	for _, w := range j.Signals {
		for _, p := range w.Probes {
			if p.leans(w.signal.IgnoreBelow) {
				return w, p
			}
		}
	}
	return nil, nil
}

// A verdict is what decide found, before the numbers are added that a ruling carries.
type verdict struct {
	call   Call
	rule   Rule
	signal string
	why    string
}

// decide applies the rules in their order: guard rails, ceilings, odds, and then whether the step may end.
func (j *Judge) decide() verdict {
	if j.Steps == 0 {
		return verdict{call: Continue, rule: NotStarted, why: "no step has begun"}
	}
	if v, found := j.guardRails(); found {
		return v
	}
	total := j.logE()
	if total >= j.limit() {
		w, p := j.loudest()
		if j.cfg.HoldAlone && j.Step.Absolute {
			return verdict{Hold, Odds, w.Name, j.sayHarm(w, p, total)}
		}
		return verdict{Regressed, Odds, w.Name, j.sayHarm(w, p, total)}
	}
	v := j.advance(total)
	if j.Seen.Sub(j.Step.At) < j.Step.AtMost || v.call == Healthy {
		return v
	}
	return j.deadline(v, total)
}

// advance says whether the step may end, by the evidence so far.
func (j *Judge) advance(total float64) verdict {
	if w, a := j.blind(); w != nil {
		return verdict{Blind, NothingToReadOf, w.Name, sayBlind(w, a)}
	}
	if v, found := j.bothArms(total); found {
		return v
	}
	if j.cfg.LimitsOnly {
		return j.advanceByLimits()
	}
	early := !j.cfg.FullSteps || j.Seen.Sub(j.Step.At) >= j.Step.AtMost
	if !early || j.Seen.Sub(j.Step.At) < j.Step.AtLeast || j.suspects(total) || !j.complete() {
		return j.collecting()
	}
	if w, p := j.leaning(); w != nil {
		return verdict{Continue, Leaning, w.Name, j.sayLeaning(w, p)}
	}
	for m := range margins {
		if m == loose && j.Seen.Sub(j.Step.At) < j.cfg.Patience || !j.excluded(m) {
			continue
		}
		if w := j.tooFast(); w != nil && j.Step.Last && j.cfg.OnTooFast != WarnTooFast {
			return verdict{Hold, TooFast, w.Name, w.Fast.say()}
		}
		return verdict{Healthy, NonInferior, "", j.sayHealthy(m)}
	}
	return j.collecting()
}

// suspects says that the evidence points to harm, or would if it were not too small to matter. Two arms
// without a single bad request leave it at exactly nothing, and suspect nobody.
func (j *Judge) suspects(total float64) bool {
	const rounding = 1e-12
	if math.Abs(total) > rounding {
		return total > 0
	}
	for _, w := range j.Signals {
		for _, p := range w.Probes {
			if p.Harm.Started {
				return true
			}
		}
	}
	return false
}

// complete says that this tick brought something new, so that a step does not end on old news.
func (j *Judge) complete() bool {
	for _, w := range j.Signals {
		if w.paired || w.Meter != nil {
			return true
		}
	}
	return false
}

// deadline says what follows when the time of the step is over. What speaks against the canary holds the step
// for twice as long again; then, too, it ends undecided. Too few requests end it at once.
func (j *Judge) deadline(v verdict, total float64) verdict {
	if v.call == Blind {
		return v // nothing to see is not the same as nothing found
	}
	held := v.call == Hold
	if w, p := j.leaning(); !held && (w != nil || j.suspects(total)) {
		if w == nil {
			w, p = j.loudest()
		}
		held, v = true, verdict{Hold, Leaning, w.Name, j.sayLeaning(w, p)}
	}
	if held && j.Seen.Sub(j.Step.At) < 3*j.Step.AtMost {
		return v
	}
	if v.rule == Collecting {
		v.rule = TooFew
	}
	return verdict{Inconclusive, v.rule, v.signal, j.sayInconclusive(v)}
}

// loudest is the probe with the most evidence of harm.
func (j *Judge) loudest() (watch *watch, probe *probe) {
	most, byClient := math.Inf(-1), j.byClient()
	for _, w := range j.Signals {
		if w.Meter != nil {
			if e := w.Meter.logE(); e > most {
				most, watch, probe = e, w, nil
			}
		}
		for _, p := range w.Probes {
			if e := p.logE(byClient, w.signal.IgnoreBelow); e > most {
				most, watch, probe = e, w, p
			}
		}
	}
	return watch, probe
}
