package judge

import "math"

// impossible is the logarithm of zero. JSON has no infinity, and nothing that is added to it shows.
const impossible = -1e300

// counts are the events of one tick, or of many: EC of NC canary requests were bad, EB of NB baseline requests.
type counts struct {
	EC float64 `json:"ec"`
	NC float64 `json:"nc"`
	EB float64 `json:"eb"`
	NB float64 `json:"nb"`
}

// add returns decay*c + n.
func (c counts) add(n counts, decay float64) counts {
	return counts{decay*c.EC + n.EC, decay*c.NC + n.NC, decay*c.EB + n.EB, decay*c.NB + n.NB}
}

func (c counts) canaryRate() float64   { return c.EC / max(1, c.NC) }
func (c counts) baselineRate() float64 { return c.EB / max(1, c.NB) }
func (c counts) difference() float64   { return c.canaryRate() - c.baselineRate() }
func (c counts) weight() float64       { return c.NC / max(1, c.NC+c.NB) }

// shares returns pi(rho), the chance that an event falls on the canary if its rate is rho times the
// baseline's, and the chance that it does not. Both are computed from the exposures, so neither rounds to 0.
func (c counts) shares(rho float64) (pi, rest float64) {
	all := rho*c.NC + c.NB
	return rho * c.NC / all, c.NB / all
}

// A noise is a model of over-dispersion (set G of 2.1): the ratio of the arms varies from tick to tick with
// the coefficient of variation cv, and with probability eps the tick is a burst that falls on one arm as a
// whole. bias repairs the Jensen effect of a noisy baseline at small weights.
type noise struct {
	cv, eps, bias, penalty float64
	logEps, logRest        float64
}

const noises = 6

var noiseModels = func() [noises]noise {
	g := [noises]noise{
		{cv: 0, eps: .02},
		{cv: .1, eps: .02, bias: .01},
		{cv: .25, eps: .02, bias: .07},
		{cv: .5, eps: .02, bias: .33, penalty: -1.5},
		{cv: 1, eps: .05, bias: 1, penalty: -3},
		{cv: 2.5, eps: .2, bias: 1, penalty: -5},
	}
	for i := range g {
		g[i].logEps, g[i].logRest = math.Log(g[i].eps), math.Log1p(-g[i].eps)
	}
	return g
}()

// burstICC is the intra-class correlation of a burst (icc_hi of 2.1).
const burstICC = .9

// perNoise holds a number for each model of noise, mostly a log likelihood.
type perNoise [noises]float64

func fill(v float64) (f perNoise) {
	for g := range f {
		f[g] = v
	}
	return f
}

// pairLikelihood sets f to f(rho, g) of 2.2: how likely it is that of the events of this tick so many fell on
// the canary. The binomial coefficient is left out everywhere, as it cancels.
func pairLikelihood(f *perNoise, rho float64, c counts) {
	x := c.EC + c.EB
	pi, rest := c.shares(rho)
	binomial := c.EC*math.Log(pi) + c.EB*math.Log(rest)
	if x == 1 { // all models agree on a single event
		*f = fill(binomial)
		return
	}
	weight, _ := c.shares(1)
	burst := betaBinomial(c, pi, rest, burstICC)
	for g := range noiseModels {
		n := &noiseModels[g]
		core := binomial
		if n.cv > 0 {
			p, q := pi, rest
			icc := min(burstICC, p*q*n.cv*n.cv)
			if n.bias > 0 && weight < .5 {
				k := (x - 1) * icc
				p, q = c.shares(rho * (1 + n.bias*(1-2*weight)*k/(1+k)))
				icc = min(burstICC, p*q*n.cv*n.cv)
			}
			core = betaBinomial(c, p, q, icc)
		}
		f[g] = logAdd(core+n.logRest, burst+n.logEps)
	}
}

// betaBinomial is BB(p, icc) of 2.2: events in groups that fall on the canary together; q is 1-p.
func betaBinomial(c counts, p, q, icc float64) float64 {
	s := 1/icc - 1
	canary, f := rise(p*s, c.EC)
	baseline, g := rise(q*s, c.EB)
	all, h := rise(s, c.EC+c.EB)
	return canary + baseline - all + math.Log(f*g/h)
}

// absoluteLikelihood sets f to the log likelihood of e events where mu are expected (2.5).
func absoluteLikelihood(f *perNoise, mu, e float64) {
	factorial := logRise(1, e)
	burst := -math.Log(e+1) - math.Log(e+2)
	for g := range noiseModels {
		n := &noiseModels[g]
		core := e*math.Log(mu) - mu - factorial
		if n.cv > 0 {
			k := 1 / (n.cv * n.cv)
			core = logRise(k, e) - factorial - k*math.Log1p(mu/k) + e*math.Log(mu/(k+mu))
		}
		f[g] = logAdd(core+n.logRest, burst+n.logEps)
	}
}

// logAdd is log(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if b < a-40 {
		return a
	}
	return a + math.Log(1+math.Exp(b-a)) // to the last digit of a, unlike of b, Log is as good as Log1p
}

// logRise is R(a, n) of 2.2, lnGamma(a+n) - lnGamma(a), for a > 0 and whole n.
func logRise(a, n float64) float64 {
	series, product := rise(a, n)
	return series + math.Log(product)
}

// rise returns R(a, n) as a sum of Stirling's series and the logarithm of a product, without the cancellation
// of the plain difference: a product while it is short or a is small, and the series beyond. The logarithm is
// left to the caller, who needs it of three products at once.
func rise(a, n float64) (series, product float64) {
	product = 1
	for n > 6 && a < 8 || 0 < n && n <= 6 {
		product *= a
		a++
		n--
	}
	switch b := a + n; {
	case n <= 0:
	case b < 1e4: // small enough that the difference of the two terms loses nothing
		series = (b-.5)*math.Log(b) - (a-.5)*math.Log(a) - n + stirling(b) - stirling(a)
	default:
		series = (a-.5)*math.Log1p(n/a) + n*(math.Log(b)-1) + stirling(b) - stirling(a)
	}
	return series, product
}

// stirling is c(x) of 2.2, the correction of Stirling's formula.
func stirling(x float64) float64 {
	y := 1 / x
	z := y * y
	return y * (1./12 - z*(1./360-z*(1./1260-z/1680)))
}
