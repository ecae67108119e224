package guard

import "math"

// A NativeHistogram is what Prometheus calls one: its buckets grow by a factor, and those that nothing fell into are
// left out.
type NativeHistogram struct {
	Count, Sum float64
	Buckets    []NativeBucket
}

// A NativeBucket counts the observations above Lower, up to Upper. One that reaches as far below zero as above it holds
// those that are too near to zero to be told apart.
type NativeBucket struct{ Lower, Upper, Count float64 }

// The bounds at which native histograms are counted: powers of two of these exponents, in seconds.
const (
	leastExponent = -13 // 0.12 ms
	mostExponent  = 7   // 128 s
	msExponent    = 10  // from seconds to milliseconds, nearly
)

// assembleNative adds up the native histograms of one instance, and gives the series buckets as a classic histogram
// has them: cumulative, at bounds that do not depend on what fell where, nor on how finely the histogram is divided.
// Bounds are a quarter of a power of two apart, as the judge wants them, which outlive every likely loss of resolution.
// A histogram that is coarser has fewer: one that becomes so during a rollout lacks bounds that the judge watches, and
// it does not count with what it cannot see.
func assembleNative(series *Series, selector Selector, samples []Sample, unit string) (some bool) {
	var buckets []NativeBucket
	for _, sample := range samples {
		if sample.Native == nil || !selector.Matches(sample.Name, sample.Labels) {
			continue
		}
		buckets = append(buckets, sample.Native.Buckets...)
		series.Total += sample.Native.Count
		series.Sum += sample.Native.Sum
		if sample.At.After(series.At) {
			series.At = sample.At
		}
	}
	step := exponentStep(buckets)
	if step == 0 {
		return false // nothing fell into it yet, so that it does not show how it is divided
	}
	least, most := float64(leastExponent), float64(mostExponent)
	if unit == milliseconds {
		least, most = least+msExponent, most+msExponent
	}
	for k := math.Ceil(least / step); k*step <= most; k++ {
		bound := math.Exp2(k * step)
		within, known := upTo(buckets, bound)
		if !known {
			return false
		}
		series.Bounds, series.Buckets = append(series.Bounds, bound), append(series.Buckets, within)
	}
	return true
}

// holdsZero says that a bucket holds what is too near to zero to be told apart. The first bucket of a histogram with
// bounds of one's own reaches below zero too, but from -Inf: what it holds may be anything up to its bound.
func (b NativeBucket) holdsZero() bool { return b.Lower == -b.Upper && !math.IsInf(b.Upper, 1) }

// alike is how much two numbers differ that are the same bound.
const alike = 1 + 1e-9

// exponentStep is the logarithm, to the base of two, of the factor by which the coarsest buckets grow, or a quarter
// if that is less; 0 if there is none.
func exponentStep(buckets []NativeBucket) (step float64) {
	for _, b := range buckets {
		if b.Lower <= 0 || b.Count == 0 {
			continue
		}
		step = max(step, .25)
		for b.Upper > b.Lower*math.Exp2(step)*alike && step < 16 { // the coarsest that there is
			step *= 2
		}
	}
	return step
}

// upTo counts what is not above a bound. It is not known if a bucket reaches across it, which no bucket that grows by a
// power of two does; nor if one holds what cannot be.
func upTo(buckets []NativeBucket, bound float64) (within float64, known bool) {
	for _, b := range buckets {
		switch {
		case !(b.Count >= 0) || !(b.Lower < b.Upper):
			return 0, false
		case b.Upper <= bound*alike || b.holdsZero():
			within += b.Count
		case b.Lower*alike < bound && b.Count > 0:
			return 0, false
		}
	}
	return within, true
}
