package judge

// The guard rails of section 5 are plain rules that need no odds. They come first.

// A starve follows whether the canary still answers, by the raw counts of complete ticks (guard 1).
type starve struct {
	Answered    [3]float64 `json:"answered"` // canary requests of the last three ticks
	Expected    [3]float64 `json:"expected"` // by the weight
	Ticks       int        `json:"ticks"`
	Requests    float64    `json:"requests"`     // of the canary, in the watch
	Silent      float64    `json:"silent"`       // expected since the last canary request
	SilentTicks int        `json:"silent_ticks"` // without any
}

func (s *starve) update(nc, expected float64) {
	at := s.Ticks % len(s.Answered)
	s.Answered[at], s.Expected[at] = nc, expected
	s.Ticks++
	s.Requests += nc
	if nc > 0 {
		s.Silent, s.SilentTicks = 0, 0
		return
	}
	s.Silent += expected
	s.SilentTicks++
}

// tripped says that the canary answers a tenth of what it should, or nothing; enough requests must have been
// expected for that to mean anything.
func (s *starve) tripped(enough float64) bool {
	if s.Ticks < len(s.Answered) {
		return false
	}
	answered, expected := s.recent()
	return expected >= enough && answered <= .1*expected || s.Silent >= enough && s.SilentTicks >= 3
}

func (s *starve) recent() (answered, expected float64) {
	for i := range s.Answered {
		answered, expected = answered+s.Answered[i], expected+s.Expected[i]
	}
	return answered, expected
}

// follow adds the raw counts of the tick to what guard 1 and the dispersion of the split are computed from.
func (j *Judge) follow() {
	w, weight := j.traffic(), j.Step.Weight
	if w == nil || weight <= 0 || j.Step.Absolute || !w.canary.Fresh || !w.baseline.Fresh || w.canary.anew {
		return
	}
	nc, total := w.canary.Total, w.canary.Total+w.baseline.Total
	j.Starve.update(nc, weight*total)
	if total > 0 && !w.canary.reset && !w.baseline.reset && j.elapsed() > j.settle() {
		j.Share.update(nc, total, weight)
	}
}

// traffic is the signal whose requests show how the traffic is split: the first that counts on both arms.
func (j *Judge) traffic() *watch {
	for _, w := range j.Signals {
		if w.Kind != Gauge && w.signal.Compare != WithBefore {
			return w
		}
	}
	return nil
}

// guardRails applies the three guards.
func (j *Judge) guardRails() (verdict, bool) {
	enough := 20 * j.dispersion()
	begun := j.Starve.Requests >= 20 || j.Seen.Sub(j.Begun).Seconds() >= 2*j.settle()
	if begun && !j.Step.Absolute && j.elapsed() >= j.settle() && j.Starve.tripped(enough) {
		return verdict{Regressed, StoppedAnswer, j.traffic().Name, j.Starve.say()}, true
	}
	for _, w := range j.Signals {
		if !j.byClient() && w.overwhelmed() {
			return verdict{Regressed, Overwhelming, w.Name, sayOverwhelmed(w)}, true
		}
		if w.Ceiling != nil && w.Ceiling.broken(j.limit()) && w.Ceiling.ours() {
			return verdict{Regressed, Never, w.Name, w.Ceiling.say(w)}, true
		}
		if w.Meter != nil && w.Meter.broken(w.signal, j.Seen) && w.Meter.ours() {
			return verdict{Regressed, Never, w.Name, w.Meter.sayBroken(w.signal)}, true
		}
	}
	return verdict{}, false
}

// overwhelmed is guard 2: in two ticks in a row a fifth of the canary's requests failed, ten times the share
// of the baseline.
func (w *watch) overwhelmed() bool {
	for _, t := range w.Failing {
		if t.NC < 10 || t.EC < .2*t.NC {
			return false
		}
	}
	both := w.Failing[0].add(w.Failing[1], 1)
	return both.EC/both.NC >= 10*(both.EB+1)/(both.NB+1)
}

// bothArms finds what both arms suffer from: an incident of the environment, which is no reason to take the
// canary back, and none to go on.
func (j *Judge) bothArms(total float64) (verdict, bool) {
	for _, w := range j.Signals {
		switch {
		case w.Ceiling != nil && w.Ceiling.broken(j.limit()):
			return verdict{Hold, BothFailing, w.Name, w.Ceiling.say(w) + bothFailing}, true
		case w.Meter != nil && w.Meter.broken(w.signal, j.Seen):
			return verdict{Hold, BothFailing, w.Name, w.Meter.sayBroken(w.signal) + bothFailing}, true
		}
		for _, p := range w.Probes {
			if p.degraded() && total < logTen {
				return verdict{Hold, BothDegraded, w.Name, sayDegraded(w, p)}, true
			}
		}
	}
	return verdict{}, false
}

// A ceiling is a limit that the plan forbids to exceed (guard 3): a stream without a baseline whose
// reference is the limit itself.
type ceiling struct {
	Place  int     `json:"place,omitempty"` // of the bound, for latency
	Bound  float64 `json:"bound,omitempty"`
	Stream *stream `json:"stream"`
	Late   counts  `json:"late"`
	Step   counts  `json:"step"`
	All    counts  `json:"all"`
}

// newCeiling returns nil if the signal has none, or if its histogram has not been seen yet.
func newCeiling(c *Config, s *Signal, bounds []float64) *ceiling {
	if s.Never == nil || s.Kind == Latency && len(bounds) == 0 {
		return nil
	}
	m := newModel(1, c.EpisodeRatio, c.Episodes.Seconds(), c.Every.Seconds())
	m.Absolute, m.Expected = true, s.Never.Rate
	l := &ceiling{}
	if s.Kind == Latency {
		m.Expected = 1 - s.Never.Quantile
		for l.Place = 0; l.Place < len(bounds)-1 && bounds[l.Place] < s.Never.Above*(1-1e-9); l.Place++ {
		}
		l.Bound = bounds[l.Place]
	}
	l.Stream = newStream(m)
	return l
}

func (l *ceiling) update(c counts, newStep bool) {
	l.Stream.update(c, flat, newStep)
	l.Late = l.Late.add(c, decay)
	l.Step, l.All = l.Step.add(c, 1), l.All.add(c, 1)
}

func (l *ceiling) broken(limit float64) bool { return l.Stream.logE(false) >= limit }

// ours says that the canary breaks the ceiling, and not everything together.
func (l *ceiling) ours() bool {
	return l.Late.NB == 0 || l.Late.canaryRate() >= 1.2*l.Late.baselineRate()
}
