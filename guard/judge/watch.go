package judge

import (
	"math"
	"time"
)

// youngest is how many requests of the baseline must be known before latency bounds are chosen (section 1).
const youngest = 1000

// A watch follows one signal: it pairs what both arms did, and feeds it to the probes of the signal.
type watch struct {
	Name          string    `json:"name"`
	Kind          Kind      `json:"kind"`
	Counters      counters  `json:"counters"`
	Past          increase  `json:"past"`           // the baseline's history
	Given         bool      `json:"given"`          // by the configuration
	CanaryWaits   increase  `json:"canary_waits"`   // what one arm did
	BaselineWaits increase  `json:"baseline_waits"` // while the other could not be read
	Missed        [2]int    `json:"missed"`         // readings in a row without canary, without baseline
	Fresh         bool      `json:"fresh"`          // the next tick is the first of its step
	Survival      *survival `json:"survival,omitempty"`
	Probes        []*probe  `json:"probes,omitempty"`
	Fast          *fast     `json:"fast,omitempty"`
	Ceiling       *ceiling  `json:"ceiling,omitempty"`
	Meter         *meter    `json:"meter,omitempty"`
	Failing       [2]counts `json:"failing"`             // the last two ticks, for guard 2
	Elsewhere     bool      `json:"elsewhere,omitempty"` // another source was asked before, which has told what the counters hold

	plan   *Config
	signal *Signal

	// Of the tick at hand.
	canary, baseline increase
	values           values
	first            bool // no series of the signal had been read before, from the source that is asked now
	mixed, paired    bool
}

func newWatch(c *Config, s *Signal) *watch {
	w := &watch{Name: s.Name, Kind: s.Kind}
	if s.Kind == Gauge {
		w.Meter = newMeter(c, s)
	}
	for _, h := range c.History {
		if h.Signal != s.Name || s.Kind == Gauge || s.Kind == Latency && len(h.Bounds) == 0 || !usable(&h) {
			continue
		}
		if w.Counters.Bounds == nil && len(h.Bounds) > 0 {
			w.Counters.Bounds = bounds(&h)
		}
		w.Past.addSeries(&h, w.Counters.Bounds)
		w.Given = w.Given || h.Total > 0
	}
	w.wake(c, s)
	return w
}

// addSeries adds the whole of a histogram to the increase.
func (i *increase) addSeries(s *Series, bounds []float64) {
	o := increase{Total: s.Total, Bad: min(s.Bad, s.Total), Above: make([]float64, len(bounds))}
	for k, b := range bounds {
		o.Above[k], _ = greater(s, b)
	}
	i.add(&o)
}

// wake completes a watch that was just made or restored.
func (w *watch) wake(c *Config, s *Signal) {
	w.plan, w.signal = c, s
	w.Counters.index()
	if w.Survival != nil {
		w.Survival.derive()
	}
}

// forget lets go of the counters of a source that is not asked any more: what another source says of a series for the
// first time only sets its reference, and the interval between the two is lost. What was learned, and the bounds that are watched, stay.
func (w *watch) forget() {
	w.Elsewhere = w.Elsewhere || len(w.Counters.Last) > 0
	w.Counters.Last = nil
	w.Counters.index()
	w.CanaryWaits.clear()
	w.BaselineWaits.clear()
}

// clear forgets the tick before.
func (w *watch) clear() {
	w.canary.clear()
	w.baseline.clear()
	w.values = values{}
	w.first = len(w.Counters.Last) == 0
	w.mixed, w.paired = false, false
}

// read takes one series of the tick.
func (w *watch) read(s *Series, since time.Time) {
	if w.Kind == Gauge {
		w.values.add(s)
		return
	}
	into := &w.baseline
	if s.Arm == Canary {
		into = &w.canary
	}
	if w.Counters.read(s, into, w.first, w.Elsewhere, since) {
		w.mixed = true
	}
}

// learn makes the history of the baseline, or of the signal itself if that is what it is compared with, from
// what the counters hold when they are first seen, and from what the baseline's rise by until that is enough.
// A history that the configuration gives is better, and then it is the only one.
func (w *watch) learn() {
	if w.Given || w.Probes != nil || w.Survival != nil {
		return
	}
	if w.first && w.Elsewhere {
		return
	}
	if w.first {
		for _, l := range w.Counters.Last {
			if l.Arm == Baseline || w.signal.Compare == WithBefore {
				w.Past.add(&increase{Total: l.Total, Bad: min(l.Bad, l.Total), Above: l.Above})
			}
		}
		return
	}
	w.Past.add(&w.baseline)
}

// pair brings both arms together: a tick counts when both could be read, over the same interval.
func (w *watch) pair(step *Step) {
	for i, arm := range []*increase{&w.canary, &w.baseline} {
		w.Missed[i]++
		if arm.Fresh {
			w.Missed[i] = 0
		}
	}
	if w.mixed { // an interval over a change of the weight mixes two exposures
		w.canary.clear()
		w.baseline.clear()
		w.CanaryWaits.clear()
		w.BaselineWaits.clear()
		return
	}
	if w.alone(step) {
		w.paired = w.canary.Fresh
		return
	}
	switch {
	case w.canary.anew && !w.canary.Fresh: // the canary's interval begins now, and that of the baseline with it
		w.baseline.clear()
		w.BaselineWaits.clear()
	case !w.canary.Fresh || w.baseline.Fresh && w.canary.Total == 0:
		w.BaselineWaits.add(&w.baseline)
	case !w.baseline.Fresh:
		w.CanaryWaits.add(&w.canary)
	default:
		w.paired = true
	}
}

// alone says that the canary is not compared with the baseline.
func (w *watch) alone(step *Step) bool {
	return step.Absolute || w.signal.Compare == WithBefore
}

// begin prepares the watch for a step.
func (w *watch) begin(step *Step, expand bool) {
	w.Fresh = true
	for _, p := range w.Probes {
		w.enter(p, step)
		if expand {
			p.Harm.expand()
		}
	}
	if w.Meter != nil {
		w.Meter.begin()
	}
	if w.Ceiling != nil {
		w.Ceiling.Step = counts{}
	}
}

// open chooses what to watch as soon as enough is known of the baseline. It is frozen for the whole watch.
func (w *watch) open(step *Step) {
	if w.Kind == Gauge || !w.paired {
		return
	}
	if w.Ceiling == nil {
		w.Ceiling = newCeiling(w.plan, w.signal, w.Counters.Bounds)
	}
	if w.Probes != nil || w.Survival != nil || w.plan.LimitsOnly {
		return
	}
	canary, baseline := w.Counters.instances(Canary), w.Counters.instances(Baseline)
	switch w.Kind {
	case Errors:
		w.Probes = []*probe{newErrorProbe(w.plan, w.signal, counts{EB: w.Past.Bad, NB: w.Past.Total}, canary, baseline)}
	case Latency:
		if len(w.Counters.Bounds) == 0 || w.Past.Total < youngest && !w.Given {
			return
		}
		w.Survival = newSurvival(w.Counters.Bounds, grown(w.Past.Above, len(w.Counters.Bounds)), w.Past.Total)
		for _, k := range w.Survival.probes() {
			w.Probes = append(w.Probes, newLatencyProbe(w.plan, w.signal, w.Survival, k, w.tau(k), canary, baseline))
		}
		w.Fast = newFast(w.plan, w.Survival)
	}
	for _, p := range w.Probes {
		w.enter(p, step)
	}
}

// tau is how much instances differ in how often they exceed bound k, from their history if it tells them
// apart.
func (w *watch) tau(k int) float64 {
	prior := tauUniform
	if w.plan.Instances == Mixed {
		prior = tauMixed
	}
	var n, x []float64
	for i := range w.plan.History {
		h := &w.plan.History[i]
		if h.Signal != w.Name || h.Instance == "" || !usable(h) {
			continue
		}
		above, _ := greater(h, w.Counters.Bounds[k])
		n, x = append(n, h.Total), append(x, above)
	}
	return estimateTau(prior, n, x)
}

// enter starts the processes of a probe that belong to a step: what has to be excluded before it may end,
// scaled by the exposure to come (section 6), and the comparison with history if there is no baseline.
func (w *watch) enter(p *probe, step *Step) {
	near := betweenSteps
	if step.Last {
		near = beforeLast
	}
	scale := w.plan.Margin / defaultMargin
	for i, t := range [margins]tolerance{near, whenPatient} {
		m := margin{
			Ratio: min(10, 1+(t.ratio-1)/step.Next),
			Delta: min(.1, scale*t.errors/step.Next),
		}
		if w.Kind == Latency {
			factor := min(4, 1+(t.factor-1)/step.Next)
			share := w.Survival.share[p.Place]
			m.Ratio = max(1.2, min(w.Survival.ratio(p.Place, factor), .9/share))
			m.Delta = min(.1, scale*t.slow/step.Next)
		}
		m.Ratio = max(m.Ratio, p.Harm.Model.Rho0) // what is tolerated need not be excluded
		p.Out[i] = m
	}
	p.Step = counts{}
	if !w.alone(step) {
		p.Alone = nil
	} else if p.Alone == nil || w.signal.Compare != WithBefore {
		p.Alone = newAlone(w.plan, w.signal, p)
	}
}

// counts returns the tick: its errors, or the requests that took longer than a bound of the histogram.
func (w *watch) counts(place int) counts {
	bad := func(i *increase) float64 {
		switch {
		case w.Kind == Errors:
			return i.Bad
		case place < len(i.Above):
			return i.Above[place]
		}
		return 0
	}
	c := counts{
		EC: bad(&w.canary) + bad(&w.CanaryWaits), NC: w.canary.Total + w.CanaryWaits.Total,
		EB: bad(&w.baseline) + bad(&w.BaselineWaits), NB: w.baseline.Total + w.BaselineWaits.Total,
	}
	c.EC, c.EB = min(c.EC, c.NC), min(c.EB, c.NB)
	return c
}

// update adds the tick to the evidence of harm.
func (w *watch) update(warm [families]float64) {
	if !w.paired || w.foreign() {
		return
	}
	for _, p := range w.Probes {
		allowed := warm
		if w.Kind == Latency {
			for k := range allowed {
				allowed[k] = w.Survival.ratio(p.Place, warm[k])
			}
		}
		tick := w.counts(p.Place)
		p.update(tick, allowed, w.Fresh)
		if w.Kind == Errors {
			w.Failing[0], w.Failing[1] = w.Failing[1], p.beside(tick)
		}
	}
	if w.Fast != nil {
		below := w.counts(w.Fast.Place)
		below.EC, below.EB = below.NC-below.EC, below.NB-below.EB
		w.Fast.update(below, math.Log(1/w.plan.FalseRollback))
	}
	if w.Ceiling != nil {
		w.Ceiling.update(w.counts(w.Ceiling.Place), w.Fresh)
	}
}

// exclude adds the tick to the evidence against harm and ends it.
func (w *watch) exclude(starts int) {
	if !w.paired {
		return
	}
	if starts > 0 && !w.foreign() {
		for _, p := range w.Probes {
			p.exclude(w.counts(p.Place), starts)
		}
	}
	w.Fresh = false
	w.CanaryWaits.clear()
	w.BaselineWaits.clear()
}

// foreign says that an arm's histogram lacks a bound that is watched.
func (w *watch) foreign() bool { return w.canary.foreign || w.baseline.foreign }

// logE is the evidence of harm of the signal: the mean over its probes. What cannot be seen yet says nothing.
func (w *watch) logE(byClient bool) float64 {
	if w.Meter != nil {
		return w.Meter.logE()
	}
	if len(w.Probes) == 0 {
		return 0
	}
	sum := impossible
	for _, p := range w.Probes {
		sum = logAdd(sum, p.logE(byClient, w.signal.IgnoreBelow))
	}
	return sum - math.Log(float64(len(w.Probes)))
}

// excluded says whether all that the signal sees excludes a margin.
func (w *watch) excluded(margin int, confident float64) bool {
	if w.Meter != nil {
		return w.Meter.safe() >= confident
	}
	for _, p := range w.Probes {
		if p.Out[margin].logE() < confident {
			return false
		}
	}
	return len(w.Probes) > 0
}
