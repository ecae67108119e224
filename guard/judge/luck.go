package judge

import "math"

// Instances that run the same version differ for good (section 15): tau is the standard deviation of their
// offsets on the log-odds of the bad share.
const (
	tauUniform   = .17
	tauMixed     = .40
	tauErrors    = .05
	luckLevel    = 1.3 // z: how many standard deviations of luck are tolerated
	clientOffset = .57 // sd of the log-odds between two arms that are split by client
)

// clientRatio is rho_client of 15.3: what two equal arms may differ by if each got its own clients.
func clientRatio(rho0 float64) float64 { return max(rho0, math.Exp(luckLevel*clientOffset)) }

// spread is s of 15.1, the standard deviation of the difference of two arms of so many instances each.
func spread(tau float64, canary, baseline int) float64 {
	if canary == 0 || baseline == 0 {
		canary, baseline = 1, 4
	}
	return tau * math.Sqrt(1/float64(canary)+1/float64(baseline))
}

// luckFloor is the ratio that luck alone makes of a bad share (15.1): a smaller one decides nothing, and no
// waiting changes that.
func luckFloor(share, s float64) float64 {
	odds := share / (1 - share) * math.Exp(luckLevel*s)
	return odds / (1 + odds) / share
}

// estimateTau is 15.2: the DerSimonian-Laird estimate from the history of each baseline instance, x of n
// requests bad, with a prior worth four degrees of freedom.
func estimateTau(prior float64, n, x []float64) float64 {
	var requests, bad, squares, k float64
	for i := range n {
		if n[i] > 0 {
			requests, bad, squares, k = requests+n[i], bad+x[i], squares+n[i]*n[i], k+1
		}
	}
	if k < 3 || bad < 1 || bad > requests-1 {
		return prior
	}
	p := bad / requests
	v := p * (1 - p)
	q := 0. // Cochran's Q
	for i := range n {
		if n[i] > 0 {
			d := x[i]/n[i] - p
			q += n[i] * d * d / v
		}
	}
	c := (requests - squares/requests) * v
	between := max(0, (q-(k-1))/c)
	u := c * prior * prior / (k - 1)
	w := (k - 1) * u / (1 + u)
	return min(1, math.Sqrt((4*prior*prior+w*between)/(4+w)))
}
