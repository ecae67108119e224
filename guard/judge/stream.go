package judge

import "math"

// The prior of the change point (2.1): how much of the mass that is left is released at the first informative
// tick, at the first tick of a step, and per second otherwise.
const (
	releaseAtFirst   = .5
	releaseAtStep    = .2
	releasePerSecond = 1. / 3600
)

// The null families of 2.1: flat, fast warm-up and slow warm-up, with their penalties.
const families = 3

var familyPenalty = [families]float64{0, -1.5, -1}

// forgetting holds the factors of the adaptive harmful ratios (set D).
var forgetting = [...]float64{.6, .9}

// A model says what a stream takes for harmless and what for harmful.
type model struct {
	Absolute bool      `json:"absolute,omitempty"` // ratios are to Reference, not to the other arm
	Tick     float64   `json:"tick"`               // seconds
	Rho0     float64   `json:"rho0"`               // the tolerated ratio
	Harmless []float64 `json:"harmless"`           // R0, with 1 at parity; what follows the first five only a split by client excuses
	Harmful  []float64 `json:"harmful"`            // R1
	Episode  float64   `json:"episode"`            // X: ratio of a tolerated episode; 1 if none is
	Lasting  float64   `json:"lasting"`            // seconds that an episode lasts
	Expected float64   `json:"expected"`           // p_ref of an absolute stream
}

// parity is the place of ratio 1, the model of the time before the change, in Harmless.
const parity = 3

// unconditional is how many of Harmless are harmless however the requests are split.
const unconditional = 5

// errorMultipliers times rho0 are the harmful ratios of an error stream (2.1).
var errorMultipliers = [...]float64{1.3, 1.65, 2.2, 3.5, 8, 20, 80, 400}

func newModel(rho0, episode, lasting, tick float64) model {
	m := model{
		Tick: tick, Rho0: rho0, Harmless: []float64{.1, .4, .75, 1, rho0},
		Episode: episode, Lasting: lasting,
	}
	for _, x := range errorMultipliers {
		m.Harmful = append(m.Harmful, x*rho0)
	}
	return m
}

// likelihood sets f to f(rho, g) for a tick.
func (m *model) likelihood(f *perNoise, rho float64, c counts) {
	if m.Absolute {
		absoluteLikelihood(f, rho*m.Expected*c.NC, c.EC)
		return
	}
	pairLikelihood(f, rho, c)
}

// informative says whether a tick can say anything about the ratio: a pair stream needs an event, an
// absolute one only requests, because no event among many is news.
func (m *model) informative(c counts) bool {
	if m.Absolute {
		return c.NC > 0
	}
	return c.NC > 0 && c.NB > 0 && c.EC+c.EB > 0
}

// A path holds the log forward probabilities of the two states of a tick under each model of noise: normal,
// or within an episode (2.3).
type path struct {
	Normal  perNoise `json:"normal"`
	Episode perNoise `json:"episode"`
}

// A stream is the e-process of harm for one kind of event (section 2): the evidence that the canary's rate is
// worse than Rho0 times the baseline's. It divides the mixture of all harmful explanations by the best
// harmless one (universal inference), so by Ville's inequality the chance that LogE ever reaches log(1/alpha)
// in a harmless world is at most alpha, however often one looks.
type stream struct {
	Model    model                   `json:"model"`
	Null     [][families]path        `json:"null"`     // L and M of 2.3, per harmless ratio
	Before   [families]path          `json:"before"`   // QL and QM of 2.4, the model before the change
	Harm     []perNoise              `json:"harm"`     // N of 2.4, per harmful ratio, the adaptive ones last
	Recent   [len(forgetting)]counts `json:"recent"`   // decayed sums of the ticks before, for the adaptive ratios
	Families int                     `json:"families"` // warm-up families that are still distinct
	Prior    float64                 `json:"prior"`    // mass of the change point that is not released yet
	Started  bool                    `json:"started"`  // an informative tick has been seen
}

func newStream(m model) *stream {
	s := &stream{Model: m, Prior: 1, Families: families}
	never := fill(impossible)
	s.Null = make([][families]path, len(m.Harmless))
	for k := range s.Before {
		s.Before[k].Episode = never
		for i := range s.Null {
			s.Null[i][k].Episode = never
		}
	}
	s.Harm = make([]perNoise, len(m.Harmful)+len(forgetting))
	for j := range s.Harm {
		s.Harm[j] = never
	}
	return s
}

// flat allows no ratio beyond the tolerated one: everything is warm.
var flat = [families]float64{1, 1, 1}

// update adds one tick. warm holds the ratios that the warm-up families allow; newStep says that the tick is
// the first of a step.
func (s *stream) update(c counts, warm [families]float64, newStep bool) {
	m := &s.Model
	if !m.informative(c) {
		return
	}
	if s.Families > 1 && warm == flat {
		s.collapse()
	}
	s.updateHarm(c, s.release(newStep))
	for i, d := range forgetting {
		s.Recent[i] = s.Recent[i].add(m.paired(c), d)
	}
	s.updateNull(c, warm)
}

// paired gives a tick of an absolute stream the baseline that is expected, for the adaptive ratios (2.5).
func (m *model) paired(c counts) counts {
	if m.Absolute {
		c.EB, c.NB = m.Expected*c.NC, c.NC
	}
	return c
}

// release returns the mass of the change point that this tick sets free.
func (s *stream) release(newStep bool) float64 {
	share := s.Model.Tick * releasePerSecond
	switch {
	case !s.Started:
		share, s.Started = releaseAtFirst, true
	case newStep:
		share = releaseAtStep
	}
	mass := s.Prior * share
	s.Prior -= mass
	return mass
}

// updateHarm is the numerator of 2.4: the harm may begin at any tick, with any of the harmful ratios.
func (s *stream) updateHarm(c counts, mass float64) {
	start, released := s.before(), math.Log(mass)
	for g := range start {
		start[g] += released
	}
	var f perNoise
	for j := range s.Harm {
		s.Model.likelihood(&f, s.harmful(j), c)
		row := &s.Harm[j]
		for g := range row {
			row[g] = logAdd(row[g], start[g]) + f[g]
		}
	}
}

// before is pre_g of 2.4: how likely the past is if nothing has changed yet.
func (s *stream) before() (pre perNoise) {
	pre = fill(impossible)
	for k := range s.Families {
		p := &s.Before[k]
		for g := range pre {
			pre[g] = logAdd(pre[g], logAdd(p.Normal[g], p.Episode[g]))
		}
	}
	n := math.Log(float64(s.Families))
	for g := range pre {
		pre[g] -= n
	}
	return pre
}

// harmful returns the ratio of hypothesis j: fixed, or estimated from the decayed past, which is predictable
// and therefore valid, and at least 1.2 times the tolerated one.
func (s *stream) harmful(j int) float64 {
	if j < len(s.Model.Harmful) {
		return s.Model.Harmful[j]
	}
	r, least := s.Recent[j-len(s.Model.Harmful)], 1.2*s.Model.Rho0
	if r.NC <= 0 || r.NB <= 0 {
		return 2 * least
	}
	return min(max((r.EC+.5)/r.NC*r.NB/(r.EB+.5), least), 1000*least)
}

// updateNull is the denominator of 2.3, and with it the model before the change, which is its row at ratio 1.
func (s *stream) updateNull(c counts, warm [families]float64) {
	m := &s.Model
	var normal, episode, cold perNoise
	for i, rho := range m.Harmless {
		m.likelihood(&normal, rho, c)
		if m.Episode > 1 {
			m.likelihood(&episode, rho*m.Episode, c)
		}
		for k := range s.Families {
			f := &normal
			if warm[k] != 1 {
				m.likelihood(&cold, rho*warm[k], c)
				f = &cold
			}
			m.forward(&s.Null[i][k], f, &episode)
			if i == parity {
				m.forward(&s.Before[k], f, &episode)
			}
		}
	}
}

// forward is one step of the forward recursion over normal ticks and episodes.
func (m *model) forward(p *path, normal, episode *perNoise) {
	if m.Episode <= 1 {
		for g := range p.Normal {
			p.Normal[g] += normal[g]
		}
		return
	}
	enter, leave := .0005*m.Tick, min(.5, m.Tick/m.Lasting)
	for g := range p.Normal {
		n, e := p.Normal[g], p.Episode[g]
		top := max(n, e) // the likelier state keeps the numbers in range
		if n == top {
			n, e = 1, math.Exp(e-top)
		} else {
			n, e = math.Exp(n-top), 1
		}
		p.Normal[g] = top + math.Log(n*(1-enter)+e*leave) + normal[g]
		p.Episode[g] = top + math.Log(n*enter+e*(1-leave)) + episode[g]
	}
}

// collapse merges the warm-up families once they allow the same: the null by the maximum, which is
// conservative, the model before the change by the mean, as it must stay a probability.
func (s *stream) collapse() {
	for i := range s.Null {
		first := &s.Null[i][0]
		for k := 1; k < s.Families; k++ {
			p, penalty := &s.Null[i][k], familyPenalty[k]
			for g := range first.Normal {
				first.Normal[g] = max(first.Normal[g], p.Normal[g]+penalty)
				first.Episode[g] = max(first.Episode[g], p.Episode[g]+penalty)
			}
		}
	}
	first, n := &s.Before[0], math.Log(float64(s.Families))
	for k := 1; k < s.Families; k++ {
		for g := range first.Normal {
			first.Normal[g] = logAdd(first.Normal[g], s.Before[k].Normal[g])
			first.Episode[g] = logAdd(first.Episode[g], s.Before[k].Episode[g])
		}
	}
	for g := range first.Normal {
		first.Normal[g] -= n
		first.Episode[g] -= n
	}
	s.Families = 1
}

// expand opens the warm-up families again when a step brings new, cold instances.
func (s *stream) expand() {
	for k := s.Families; k < families; k++ {
		s.Before[k] = s.Before[0]
		for i := range s.Null {
			s.Null[i][k] = s.Null[i][0]
		}
	}
	s.Families = families
}

// logE is the evidence of harm. byClient admits the ratio of two arms that are split by client as harmless.
func (s *stream) logE(byClient bool) float64 {
	if !s.Started {
		return 0
	}
	harm := logSum(s.Harm) - math.Log(float64(len(s.Harm)*noises))
	return harm - s.best(byClient)
}

// best is the denominator of 2.3, the log likelihood of the best harmless explanation.
func (s *stream) best(byClient bool) float64 {
	null := s.Null
	if !byClient {
		null = null[:unconditional]
	}
	best := math.Inf(-1)
	for i := range null {
		for k := range s.Families {
			p := &null[i][k]
			for g := range noiseModels {
				penalty := noiseModels[g].penalty + familyPenalty[k]
				if max(p.Normal[g], p.Episode[g])+math.Ln2+penalty > best { // else the sum cannot be
					best = max(best, logAdd(p.Normal[g], p.Episode[g])+penalty)
				}
			}
		}
	}
	return best
}

// logSum is the logarithm of the sum of the exponentials of all numbers in rows.
func logSum(rows []perNoise) float64 {
	top := math.Inf(-1)
	for j := range rows {
		for _, v := range rows[j] {
			top = max(top, v)
		}
	}
	sum := 0.
	for j := range rows {
		for _, v := range rows[j] {
			if v > top-40 {
				sum += math.Exp(v - top)
			}
		}
	}
	return top + math.Log(sum)
}
