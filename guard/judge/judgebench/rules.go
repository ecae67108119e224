package judgebench

import (
	"math"
	"slices"
)

// A Rule decides after each tick, from all that could be scraped so far, whether the canary is taken back.
// Rules remember; each run needs a new one.
type Rule interface {
	Judge(*Seen) (rollback bool)
}

// Seen is what a rule may look at: the counters of both arms after every tick, as Prometheus keeps them.
type Seen struct {
	Sec              float64
	Canary, Baseline []Arm // cumulative; the first is the start
	Missed           bool  // the canary's last scrape failed
}

func newSeen(sec float64) *Seen {
	return &Seen{Sec: sec, Canary: make([]Arm, 1), Baseline: make([]Arm, 1)}
}

func (h *Seen) add(t *Tick) {
	c, b := h.Canary[len(h.Canary)-1], h.Baseline[len(h.Baseline)-1]
	c.add(&t.Canary)
	b.add(&t.Baseline)
	h.Canary, h.Baseline, h.Missed = append(h.Canary, c), append(h.Baseline, b), t.Missed
}

// ticks is how many have been seen.
func (h *Seen) ticks() int { return len(h.Canary) - 1 }

// last returns what an arm did in the last n ticks.
func last(cumulative []Arm, n int) Arm {
	now := cumulative[len(cumulative)-1]
	then := cumulative[max(0, len(cumulative)-1-n)]
	now.N -= then.N
	now.E -= then.E
	for k := range now.B {
		now.B[k] -= then.B[k]
	}
	return now
}

// rate is the share of errors; NaN without requests, as 0/0 in PromQL.
func (a *Arm) rate() float64 { return a.E / a.N }

// quantile is PromQL's histogram_quantile: linear within a bucket, NaN without requests.
func (a *Arm) quantile(q float64) float64 {
	rank, below := q*a.N, 0.
	for k, n := range a.B {
		if below+n < rank || n == 0 {
			below += n
			continue
		}
		if k == len(Bounds) {
			break
		}
		from := 0.
		if k > 0 {
			from = Bounds[k-1]
		}
		return from + (Bounds[k]-from)*(rank-below)/n
	}
	if a.N == 0 {
		return math.NaN()
	}
	return Bounds[len(Bounds)-1]
}

// Argo is an AnalysisTemplate of Argo Rollouts: measurements at an interval, failed when more than the limit
// of them have failed.
type Argo struct {
	Every, Window         int     // ticks
	MaxErrors, MaxP99     float64 // 0: the metric is not used
	TimesErrors, TimesP99 float64 // or compared with the baseline
	Limit                 int
	NaNFails              bool // a condition that NaN does not meet
	failed                [2]int
}

func (r *Argo) Judge(h *Seen) bool {
	if h.ticks()%r.Every != 0 {
		return false
	}
	c, b := last(h.Canary, r.Window), last(h.Baseline, r.Window)
	for i, m := range []struct{ value, base, most, times float64 }{
		{c.rate(), b.rate(), r.MaxErrors, r.TimesErrors},
		{c.quantile(.99), b.quantile(.99), r.MaxP99, r.TimesP99},
	} {
		var fails bool
		switch {
		case math.IsNaN(m.value):
			fails = r.NaNFails && (m.most > 0 || m.times > 0)
		case m.times > 0:
			fails = m.value > 0 && !(m.value <= m.times*m.base)
		case m.most > 0:
			fails = m.value > m.most
		}
		if fails {
			r.failed[i]++
		}
	}
	return max(r.failed[0], r.failed[1]) > r.Limit
}

// Flagger checks at an interval, counts the checks that fail, also those without data, and rolls back at the
// check after the threshold is reached.
type Flagger struct {
	Every, Window int
	MinOK, MaxP99 float64 // share of successes; seconds, 0: not used
	Threshold     int
	failed        int
	halted        bool // the last check failed: the weight stays
}

func (r *Flagger) Judge(h *Seen) bool {
	if h.ticks()%r.Every != 0 {
		return false
	}
	if r.failed >= r.Threshold {
		return true
	}
	c := last(h.Canary, r.Window)
	r.halted = !(1-c.rate() >= r.MinOK) || r.MaxP99 > 0 && !(c.quantile(.99) <= r.MaxP99)
	if r.halted {
		r.failed++
	}
	return false
}

// CloudWatch is an alarm as CodeDeploy and ECS watch it: M of the last N periods with data breach.
type CloudWatch struct {
	Period, M, N      int
	MaxErrors, MaxP99 float64
	errors, slow      []bool
}

func (r *CloudWatch) Judge(h *Seen) bool {
	if h.ticks()%r.Period != 0 {
		return false
	}
	if c := last(h.Canary, r.Period); c.N > 0 {
		r.errors = append(r.errors, c.rate() > r.MaxErrors)
		r.slow = append(r.slow, r.MaxP99 > 0 && c.quantile(.99) > r.MaxP99)
	}
	return breaches(r.errors, r.M, r.N) || breaches(r.slow, r.M, r.N)
}

func breaches(points []bool, m, n int) bool {
	count := 0
	for _, p := range points[max(0, len(points)-n):] {
		if p {
			count++
		}
	}
	return count >= m
}

// BurnRate is the page of the SRE workbook on the canary's own traffic: 14.4 times the budget over an hour
// and five minutes, or 6 times over six hours and thirty minutes.
type BurnRate struct{ Budget float64 }

func (r *BurnRate) Judge(h *Seen) bool {
	burns := func(times, minutes float64) bool {
		c := last(h.Canary, int(minutes*60/h.Sec))
		return c.rate() > times*r.Budget
	}
	return burns(14.4, 60) && burns(14.4, 5) || burns(6, 360) && burns(6, 30)
}

// Kayenta is the NetflixACAJudge with Orca's canary stage: one point per minute and metric, compared by
// Mann-Whitney over a growing window; every metric is critical enough to bring the score below marginal.
type Kayenta struct {
	Period, Every int
	Latency       bool
	errors, slow  [2][]float64
}

func (r *Kayenta) Judge(h *Seen) bool {
	if h.ticks()%r.Period == 0 {
		for i, arm := range [][]Arm{h.Canary, h.Baseline} {
			if a := last(arm, r.Period); a.N > 0 { // nanStrategy: remove
				r.errors[i] = append(r.errors[i], a.rate())
				r.slow[i] = append(r.slow[i], a.quantile(.99))
			}
		}
	}
	if h.ticks()%r.Every != 0 {
		return false
	}
	return high(r.errors[0], r.errors[1]) || r.Latency && high(r.slow[0], r.slow[1])
}

// high is the MannWhitneyClassifier with tolerance 0.25 and 98 % confidence: the whole interval of the shift
// lies above a quarter of its estimate.
func high(canary, baseline []float64) bool {
	if len(canary) == 0 || len(baseline) == 0 {
		return false
	}
	if all := slices.Concat(canary, baseline); slices.Min(all) == slices.Max(all) {
		return false
	}
	const z = 2.3263478740408408
	low, estimate := shift(canary, baseline, z), shift(canary, baseline, 0)
	return low > .25*math.Abs(estimate) // false for NaN
}

// shift solves the standardised rank sum of canary-mu against baseline for z.
func shift(x, y []float64, z float64) float64 {
	low, high := slices.Min(x)-slices.Max(y), slices.Max(x)-slices.Min(y)
	if !(rankSum(x, y, low) > z) {
		return low
	}
	if !(rankSum(x, y, high) < z) {
		return high
	}
	for range 22 {
		middle := (low + high) / 2
		switch v := rankSum(x, y, middle); {
		case math.IsNaN(v):
			return v
		case v > z:
			low = middle
		default:
			high = middle
		}
	}
	return (low + high) / 2
}

// rankSum is the standardised Wilcoxon statistic of x-mu against y, with average ranks and the correction
// for continuity.
func rankSum(x, y []float64, mu float64) float64 {
	type item struct {
		value  float64
		canary bool
	}
	items := make([]item, 0, len(x)+len(y))
	for _, v := range x {
		items = append(items, item{v - mu, true})
	}
	for _, v := range y {
		items = append(items, item{v, false})
	}
	slices.SortFunc(items, func(a, b item) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	ranks, ties := 0., 0.
	for i := 0; i < len(items); {
		j := i
		for j < len(items) && items[j].value == items[i].value {
			j++
		}
		same := float64(j - i)
		ties += same*same*same - same
		for _, it := range items[i:j] {
			if it.canary {
				ranks += float64(i+j+1) / 2
			}
		}
		i = j
	}
	n, m := float64(len(x)), float64(len(y))
	dz := ranks - n*(n+1)/2 - n*m/2
	sigma := math.Sqrt(n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1))))
	if dz != 0 {
		dz -= math.Copysign(.5, dz)
	}
	return dz / sigma
}

// ZPeek is the habit of looking at a dashboard: a two-proportion z test on all counts so far, at every tick.
type ZPeek struct{ Z float64 }

func (r *ZPeek) Judge(h *Seen) bool {
	c, b := last(h.Canary, h.ticks()), last(h.Baseline, h.ticks())
	if min(c.N, b.N) < 30 || c.E+b.E < 5 {
		return false
	}
	p := (c.E + b.E) / (c.N + b.N)
	return (c.rate()-b.rate())/math.Sqrt(p*(1-p)*(1/c.N+1/b.N)) > r.Z
}

// Sequential is the normal mixture SPRT on the difference of two proportions that experiment platforms use.
type Sequential struct{ Alpha float64 }

func (r *Sequential) Judge(h *Seen) bool {
	c, b := last(h.Canary, h.ticks()), last(h.Baseline, h.ticks())
	if min(c.N, b.N) < 30 || c.E+b.E < 5 || c.rate() <= b.rate() {
		return false
	}
	p, d := (c.E+b.E)/(c.N+b.N), c.rate()-b.rate()
	v, prior := p*(1-p)*(1/c.N+1/b.N), p*p
	return .5*math.Log(v/(v+prior))+d*d*prior/(2*v*(v+prior)) > math.Log(1/r.Alpha)
}
