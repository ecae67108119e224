package spinnaker

import (
	"cmp"
	"math"
	"slices"
)

// z is the quantile of the normal distribution for an interval of 98 %, which is what Kayenta takes.
const z = 2.3263478740408408

// An interval holds, with 98 % confidence, the shift between two samples: how much greater values of the first are
// than values of the second, in their own unit.
type interval struct{ low, estimate, high float64 }

// shiftOf inverts the rank sum test of Mann and Whitney: the interval of Hodges and Lehmann, E. L. Lehmann,
// "Nonparametrics", 1975, section 2.5. Both samples hold numbers, and at least one.
func shiftOf(x, y []float64) interval {
	return interval{low: solve(x, y, z), estimate: solve(x, y, 0), high: solve(x, y, -z)}
}

// solve looks for the shift at which the standardised rank sum of x-shift against y is want. The sum falls as the
// shift grows; where it never reaches want, the answer is the end at which it comes nearest.
func solve(x, y []float64, want float64) float64 {
	low, high := slices.Min(x)-slices.Max(y), slices.Max(x)-slices.Min(y)
	if !(standardised(x, y, low) > want) {
		return low
	}
	if !(standardised(x, y, high) < want) {
		return high
	}
	// Halving until nothing is left of a float64 makes the answer independent of the unit of the metric.
	for range 64 {
		middle := low + (high-low)/2
		if middle == low || middle == high {
			break
		}
		if standardised(x, y, middle) > want {
			low = middle
		} else {
			high = middle
		}
	}
	return low + (high-low)/2
}

// standardised is the rank sum of x-shift among itself and y, as a number of standard deviations from what it is
// between equals, corrected for ties and continuity; NaN if all are tied.
func standardised(x, y []float64, shift float64) float64 {
	u, ties := exceed(x, y, shift)
	n, m := float64(len(x)), float64(len(y))
	off := u - n*m/2
	if off != 0 {
		off -= math.Copysign(.5, off)
	}
	return off / math.Sqrt(n*m/12*(n+m+1-ties/((n+m)*(n+m-1))))
}

// exceed counts the pairs in which the value of x, less shift, is the greater one, a tie as half; and gives the sum of
// t³-t over all groups of t tied values.
func exceed(x, y []float64, shift float64) (u, ties float64) {
	type item struct {
		value float64
		ofX   bool
	}
	items := make([]item, 0, len(x)+len(y))
	for _, v := range x {
		items = append(items, item{v - shift, true})
	}
	for _, v := range y {
		items = append(items, item{v, false})
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.value, b.value) })
	below := 0. // values of y
	for i := 0; i < len(items); {
		ofX, ofY, j := 0., 0., i
		for ; j < len(items) && items[j].value == items[i].value; j++ {
			if items[j].ofX {
				ofX++
			} else {
				ofY++
			}
		}
		u += ofX * (below + ofY/2)
		t := ofX + ofY
		ties += t*t*t - t
		below += ofY
		i = j
	}
	return u, ties
}

// decidable says whether samples of n and m values could be told apart at all: with fewer than five on each side, not
// even values that lie wholly apart are significant.
func decidable(n, m int) bool {
	if n == 0 || m == 0 {
		return false
	}
	a, b := float64(n), float64(m)
	return (a*b/2-.5)/math.Sqrt(a*b/12*(a+b+1)) > z
}

// percentile interpolates between the values around it, as R does (type 7). The values are sorted.
func percentile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// withoutOutliers leaves out what lies further than factor interquartile ranges from the quartiles, unless that is
// within the middle 98 % of the values.
func withoutOutliers(values []float64, factor float64) []float64 {
	if len(values) == 0 {
		return values
	}
	sorted := slices.Sorted(slices.Values(values))
	low, high := percentile(sorted, .25), percentile(sorted, .75)
	reach := factor * (high - low)
	low, high = min(percentile(sorted, .01), low-reach), max(percentile(sorted, .99), high+reach)
	return slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v < low || v > high })
}

func mean(values []float64) float64 {
	sum := 0.
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
