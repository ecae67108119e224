package judge

import "math"

// The ratios that a relative test of non-inferiority takes for good, and what it multiplies the margin by to
// get the bad ones (section 6).
var (
	goodRatios     = [3]float64{.5, .8, 1}
	badMultipliers = [3]float64{1, 1.6, 3}
)

// A relative e-process says that the canary's rate is not margin times the baseline's, or more.
type relative struct {
	Good [3]perNoise `json:"good"`
	Bad  [3]perNoise `json:"bad"`
}

func (r *relative) logE() float64 {
	worst := math.Inf(-1)
	for i := range r.Bad {
		for g, v := range r.Bad[i] {
			worst = max(worst, v+noiseModels[g].penalty)
		}
	}
	return logSum(r.Good[:]) - math.Log(float64(len(r.Good)*noises)) - worst
}

// An absolute e-process says that the canary's rate is not delta above the baseline's, or more. It holds the
// log likelihood ratios of three good rates.
type absolute [3]float64

func (a *absolute) update(c counts, base, delta float64) {
	bad := min(base+delta, .9)
	for i, good := range [3]float64{base, base / 2, base + delta/4} {
		good = max(good, 1e-9)
		a[i] += c.EC*math.Log(good/bad) + (c.NC-c.EC)*(math.Log1p(-good)-math.Log1p(-bad))
	}
}

func (a *absolute) logE() float64 {
	return logAdd(logAdd(a[0], a[1]), a[2]) - math.Log(3)
}

// A margin is harm that must be excluded before a step is taken. Harmful means materially worse both
// relatively and absolutely, so rejecting either suffices; each is tried from two starts in the step, in
// case the first comes while the canary is still cold.
type margin struct {
	Ratio    float64     `json:"ratio"`
	Delta    float64     `json:"delta"`
	Relative [2]relative `json:"relative"`
	Absolute [2]absolute `json:"absolute"`
}

// update adds a tick to the processes of the first n starts. good are the likelihoods of the good ratios,
// which all margins share; base is the rate of the baseline, 0 if it is not known.
func (m *margin) update(c counts, good *[3]perNoise, base float64, n int) {
	var f perNoise
	paired := c.NC > 0 && c.NB > 0 && c.EC+c.EB > 0
	for i, x := range badMultipliers {
		if paired {
			pairLikelihood(&f, x*m.Ratio, c)
		}
		for s := range n {
			if paired {
				m.Relative[s].Good[i].add(&good[i])
				m.Relative[s].Bad[i].add(&f)
			}
		}
	}
	if 0 < base && base < .9 {
		for s := range n {
			m.Absolute[s].update(c, base, m.Delta)
		}
	}
}

func (f *perNoise) add(g *perNoise) {
	for i := range f {
		f[i] += g[i]
	}
}

// logE is the mean of the four e-values.
func (m *margin) logE() float64 {
	sum := logAdd(m.Relative[0].logE(), m.Absolute[0].logE())
	return logAdd(sum, logAdd(m.Relative[1].logE(), m.Absolute[1].logE())) - math.Log(4)
}

// leans says that the data of the step, without any excuse, favour a harmful ratio.
func (m *margin) leans() bool {
	return m.Relative[0].logE() < -3 && m.Relative[1].logE() <= 0
}

// A tolerance is what may remain unexcluded: of errors the additional share and the ratio, of latency the
// factor and the additional share of slow requests.
type tolerance struct{ errors, ratio, factor, slow float64 }

// The margins of section 6, in the order of margins below: of the step at hand, and loose.
var (
	betweenSteps = tolerance{.001, 1.7, 1.20, .003}
	beforeLast   = tolerance{.0005, 1.5, 1.15, .002}
	whenPatient  = tolerance{.002, 2.0, 1.25, .005}
)

// defaultMargin is that of errors before the promotion; another one scales all absolute margins with it.
const defaultMargin = .0005

// The two margins of a probe.
const (
	tight = iota
	loose
	margins
)
