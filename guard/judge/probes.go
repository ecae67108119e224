package judge

import "math"

// A probe watches one kind of bad request: errors, or requests that took longer than a bound. It holds the
// evidence of harm and the evidence against it.
type probe struct {
	Bound float64         `json:"bound,omitempty"` // seconds; 0 for errors
	Place int             `json:"place,omitempty"` // of the bound in the histogram
	Past  counts          `json:"past"`            // the baseline's history: EB of NB were bad
	Harm  *stream         `json:"harm"`            // against the baseline
	Alone *stream         `json:"alone,omitempty"` // against the history, in a step without a baseline
	All   counts          `json:"all"`             // of the watch
	Step  counts          `json:"step"`            // of the step
	Late  counts          `json:"late"`            // decayed
	Tau   float64         `json:"tau"`             // differences between instances
	Luck  bool            `json:"luck,omitempty"`  // they, and not the plan, set what is tolerated
	Out   [margins]margin `json:"out"`             // what must be excluded in this step
}

// decay forgets the counts that say what happens now (section 3).
const decay = .93

// newErrorProbe makes the probe of an error signal. Errors that two arms split by client may differ by are
// harmless while the split looks like that (15.3).
func newErrorProbe(c *Config, s *Signal, past counts, canary, baseline int) *probe {
	luck := luckFloor(.001, spread(tauErrors, canary, baseline))
	m := newModel(max(1+s.MaxIncrease, luck), c.EpisodeRatio, c.Episodes.Seconds(), c.Every.Seconds())
	m.Harmless = append(m.Harmless, clientRatio(m.Rho0))
	return &probe{Past: past, Harm: newStream(m), Tau: tauErrors}
}

// newLatencyProbe makes the probe of bound k of a latency signal (section 4 with the floor of 15.1).
func newLatencyProbe(c *Config, s *Signal, past *survival, k int, tau float64, canary, baseline int) *probe {
	share := past.share[k]
	planned := min(max(math.Pow(1+s.MaxIncrease, past.slope(k)), 1.05), 4)
	luck := luckFloor(share, spread(tau, canary, baseline))
	rho0 := max(planned, luck)
	episode := 1.
	if c.EpisodeRatio > 1 {
		episode = max(1.1, min(past.ratio(k, 1+.3*(c.EpisodeRatio-1)/2), 20))
	}
	m := newModel(rho0, episode, c.Episodes.Seconds(), c.Every.Seconds())
	m.Harmful = latencyHarm(rho0, share)
	return &probe{
		Bound: past.Bounds[k], Place: k, Tau: tau, Luck: luck > planned, Harm: newStream(m),
		Past: counts{EB: share * past.N, NB: past.N},
	}
}

// latencyHarm are the harmful ratios of a probe that a share of the baseline's requests exceeds: geometric,
// from just above the tolerated one to almost all requests.
func latencyHarm(rho0, share float64) []float64 {
	least := math.Log(1.15 * rho0)
	most := max(math.Log(min(500, .95/share)), least+.3)
	harm := make([]float64, 7)
	for i := range harm {
		harm[i] = math.Exp(least + (most-least)*float64(i)/6)
	}
	return harm
}

// update adds the counts of a tick to the evidence of harm.
func (p *probe) update(c counts, warm [families]float64, newStep bool) {
	p.All = p.All.add(c, 1)
	if p.Alone != nil {
		p.Alone.update(c, warm, newStep)
		c = p.Alone.Model.paired(c)
	} else {
		p.Harm.update(c, warm, newStep)
	}
	p.Step = p.Step.add(c, 1)
	p.Late = p.Late.add(c, decay)
}

// beside puts the baseline that is expected beside a tick that has none, for guard 2: what the history says,
// or no errors at all.
func (p *probe) beside(c counts) counts {
	switch {
	case p.Alone != nil:
		return p.Alone.Model.paired(c)
	case c.NB == 0:
		c.NB = c.NC
	}
	return c
}

// logE is the evidence of harm; without a material difference it is at most 1:1 (section 3).
func (p *probe) logE(byClient bool, ignore float64) float64 {
	s := p.Harm
	if p.Alone != nil {
		s = p.Alone
	}
	e := s.logE(byClient && len(s.Model.Harmless) > unconditional)
	if !p.material(ignore) {
		e = min(e, 0)
	}
	return e
}

// material says that the canary is worse by more than what is to be ignored, on the whole or of late.
func (p *probe) material(ignore float64) bool {
	whole := p.All
	if p.Alone != nil {
		whole = p.Step
	}
	return max(whole.difference(), p.Late.difference()) >= ignore
}

// base is p_b of section 6, a low estimate of the baseline's rate; 0 if nothing is known of it.
func (p *probe) base() float64 {
	known := p.Past.add(p.All, 1)
	if known.NB == 0 {
		return 0
	}
	base := (known.EB + .5) / (known.NB + 1)
	if p.Alone == nil && p.Late.EB > 20 {
		base = min(base, p.Late.EB/p.Late.NB)
	}
	return base
}

// exclude adds the counts of a tick to the evidence against harm, of the first n starts.
func (p *probe) exclude(c counts, n int) {
	var good [len(goodRatios)]perNoise
	if c.NC > 0 && c.NB > 0 && c.EC+c.EB > 0 {
		for i, r := range goodRatios {
			pairLikelihood(&good[i], r, c)
		}
	}
	base := p.base()
	for i := range p.Out {
		p.Out[i].update(c, &good, base, n)
	}
}

// leans says that the step's own data favour a harmful ratio that matters.
func (p *probe) leans(ignore float64) bool {
	return p.Out[tight].leans() && p.material(ignore)
}

// degraded says that the baseline itself does five times worse than in its history (section 7).
func (p *probe) degraded() bool {
	past := p.Past.EB / max(1, p.Past.NB)
	return p.Alone == nil && p.Past.EB >= 1 && p.Late.EB >= 10 && p.Late.baselineRate() >= 5*past
}
