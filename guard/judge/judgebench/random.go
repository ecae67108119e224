package judgebench

import (
	"math"
	"math/rand/v2"
)

// A source is a seeded source of random numbers with the distributions that traffic is made of.
type source struct{ *rand.Rand }

func newSource(seed, stream uint64) source {
	return source{rand.New(rand.NewPCG(seed, stream*0x9E3779B97F4A7C15+1))}
}

// poisson draws a count with the given mean: by multiplication while it is small, and by transformed
// rejection beyond (PTRS of Hörmann 1993).
func (r source) poisson(mean float64) float64 {
	if mean <= 0 {
		return 0
	}
	if mean < 12 {
		least, k := math.Exp(-mean), 0.
		for p := r.Float64(); p > least; p *= r.Float64() {
			k++
		}
		return k
	}
	logMean := math.Log(mean)
	b := .931 + 2.53*math.Sqrt(mean)
	a := -.059 + .02483*b
	inverse := 1.1239 + 1.1328/(b-3.4)
	for {
		u, v := r.Float64()-.5, r.Float64()
		us := .5 - math.Abs(u)
		k := math.Floor((2*a/us+b)*u + mean + .43)
		if us >= .07 && v <= .9277-3.6224/(b-2) {
			return k
		}
		if k < 0 || us < .013 && v > us {
			continue
		}
		factorial, _ := math.Lgamma(k + 1)
		if math.Log(v*inverse/(a/(us*us)+b)) <= k*logMean-mean-factorial {
			return k
		}
	}
}

// noise draws a factor of mean 1 with the given coefficient of variation from a gamma distribution
// (Marsaglia and Tsang 2000).
func (r source) noise(cv float64) float64 {
	if cv <= 0 {
		return 1
	}
	shape := 1 / (cv * cv)
	d, boost := shape, 1.
	if d < 1 {
		boost = math.Pow(r.Float64(), 1/d)
		d++
	}
	d -= 1. / 3
	for {
		x := r.NormFloat64()
		v := 1 + x/math.Sqrt(9*d)
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(r.Float64()) < .5*x*x+d*(1-v+math.Log(v)) {
			return d * v * boost / shape
		}
	}
}

// geometric draws a count of at least 1 with the given mean.
func (r source) geometric(mean float64) int {
	if mean <= 1 {
		return 1
	}
	return 1 + int(math.Log(1-r.Float64())/math.Log(1-1/mean))
}

// lognormal draws exp(sd*Z).
func (r source) lognormal(sd float64) float64 {
	if sd == 0 {
		return 1
	}
	return math.Exp(sd * r.NormFloat64())
}
