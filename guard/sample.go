package guard

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// A Sample is one raw value that a source has read: a line of an exposition, a point of a time series.
type Sample struct {
	Name   string // of the metric, as exposed: with _bucket, _count or _sum, if there is one
	Labels map[string]string
	Value  float64
	Native *NativeHistogram // in place of Value
	At     time.Time
}

// The labels that mean something.
const (
	instanceLabel = "instance"
	bucketLabel   = "le"
)

// Names are the metrics that a selection reads, so that a source need not fetch any other. A selector of a
// histogram stands for its buckets and its sum, and for the native histogram of its name.
func (s Selection) Names() []Selector {
	var wanted []Selector
	for _, selector := range []Selector{s.Total, s.Bad, s.Value, s.Histogram, s.buckets(), s.sum()} {
		if selector.Name != "" {
			wanted = append(wanted, selector)
		}
	}
	return wanted
}

func (s Selection) buckets() Selector { return s.histogram("_bucket") }
func (s Selection) sum() Selector     { return s.histogram("_sum") }

func (s Selection) histogram(suffix string) Selector {
	selector := s.Histogram
	if selector.Name != "" {
		selector.Name += suffix
	}
	return selector
}

// Assemble makes the series of a signal out of the samples of one arm: one for each instance, which is told by
// the label that By names or, where that is missing, by the label instance. What belongs to one instance is
// added up, and a histogram in milliseconds is made one in seconds. A gauge is added up too, unless its selector says min, max or avg; if it says how at all, that is
// how all instances become one. NaN and Inf are no data, and no series is made of a part of the data: a
// histogram with a bucket missing is left out.
func (s Signal) Assemble(selection Selection, arm Arm, samples []Sample) []Series {
	groups := make(map[string][]Sample)
	for _, sample := range samples {
		if !math.IsNaN(sample.Value) && !math.IsInf(sample.Value, 0) {
			instance := s.instance(sample, selection)
			groups[instance] = append(groups[instance], sample)
		}
	}
	var all []Series
	for _, instance := range slices.Sorted(maps.Keys(groups)) {
		series := Series{Signal: s.Name, Arm: arm, Instance: instance}
		if assemble(&series, selection, groups[instance], s.Unit) {
			if s.Unit == milliseconds {
				inSeconds(&series)
			}
			all = append(all, series)
		}
	}
	return all
}

func (s Signal) instance(sample Sample, selection Selection) string {
	if selection.Value.Aggregation != "" {
		return ""
	}
	if name := sample.Labels[s.By]; name != "" {
		return name
	}
	return sample.Labels[instanceLabel]
}

// assemble fills in the numbers of one instance, and says whether there are any.
func assemble(series *Series, selection Selection, samples []Sample, unit string) bool {
	pick := func(selector Selector) (values []float64) {
		for _, sample := range samples {
			if sample.Native == nil && selector.Matches(sample.Name, sample.Labels) {
				values = append(values, sample.Value)
				if sample.At.After(series.At) {
					series.At = sample.At
				}
			}
		}
		return values
	}
	switch {
	case selection.Value.Name != "":
		values := pick(selection.Value)
		if len(values) == 0 {
			return false
		}
		value := aggregate(selection.Value.Aggregation, values)
		series.Value = &value
	case selection.Histogram.Name != "":
		if pick(selection.buckets()) == nil {
			return assembleNative(series, selection.Histogram, samples, unit) && possible(series)
		}
		if !assembleBuckets(series, selection.buckets(), samples) {
			return false
		}
		series.Sum = total(pick(selection.sum()))
	default:
		values := pick(selection.Total)
		if len(values) == 0 {
			return false
		}
		series.Total, series.Bad = total(values), total(pick(selection.Bad))
	}
	return possible(series)
}

// assembleBuckets adds up the buckets of all histograms of one instance, and says whether they are whole:
// with +Inf, with the same bounds in each of them, and cumulative.
func assembleBuckets(series *Series, buckets Selector, samples []Sample) bool {
	counts := make(map[float64]float64)
	parts := make(map[float64]int) // number of histograms that have a bound
	for _, sample := range samples {
		if sample.Native != nil || !buckets.Matches(sample.Name, sample.Labels) {
			continue
		}
		bound, err := strconv.ParseFloat(sample.Labels[bucketLabel], 64)
		if err != nil || math.IsNaN(bound) {
			return false
		}
		counts[bound] += sample.Value
		parts[bound]++
	}
	bounds := slices.Sorted(maps.Keys(counts))
	infinity := math.Inf(1)
	if parts[infinity] == 0 {
		return false
	}
	before := 0.0
	for _, bound := range bounds {
		if parts[bound] != parts[infinity] || counts[bound] < before {
			return false
		}
		before = counts[bound]
		if bound != infinity {
			series.Bounds = append(series.Bounds, bound)
			series.Buckets = append(series.Buckets, counts[bound])
		}
	}
	series.Total = counts[infinity]
	return true
}

// inSeconds turns a histogram of milliseconds into one of seconds.
func inSeconds(s *Series) {
	for i := range s.Bounds {
		s.Bounds[i] /= 1000
	}
	s.Sum /= 1000
}

func aggregate(how string, values []float64) float64 {
	switch how {
	case "min":
		return slices.Min(values)
	case "max":
		return slices.Max(values)
	case "avg":
		return total(values) / float64(len(values))
	}
	return total(values)
}

func total(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}

// possible says whether a series has a time, adding up has stayed within what a number can hold, and no counter
// is below zero.
func possible(s *Series) bool {
	if s.At.IsZero() {
		return false
	}
	if s.Value != nil {
		return !math.IsInf(*s.Value, 0)
	}
	if math.IsInf(s.Sum, 0) {
		return false
	}
	return s.Total >= 0 && s.Bad >= 0 && !math.IsInf(s.Total, 0) && !math.IsInf(s.Bad, 0)
}
