package judge

import (
	"math"
	"slices"
	"time"
)

// mostCount is the largest value a counter is believed to have; beyond, whole numbers are lost.
const mostCount = 1e17

// counters turn the raw counters of one signal into what happened between two readings (section 1).
type counters struct {
	Bounds []float64 `json:"bounds,omitempty"` // of the histogram, frozen when it is first seen
	Last   []sample  `json:"last,omitempty"`   // of each series

	place map[instance]int // in Last
}

type instance struct {
	arm  Arm
	name string
}

// A sample is the last value of one series.
type sample struct {
	Arm      Arm       `json:"arm"`
	Instance string    `json:"instance,omitempty"`
	At       time.Time `json:"at"`
	Total    float64   `json:"total"`
	Bad      float64   `json:"bad,omitempty"`
	Above    []float64 `json:"above,omitempty"` // per bound: how many were greater
}

// An increase is what the counters of one arm rose by between two readings.
type increase struct {
	Total   float64   `json:"total"`
	Bad     float64   `json:"bad,omitempty"`
	Above   []float64 `json:"above,omitempty"`
	Fresh   bool      `json:"fresh,omitempty"` // there was a new sample
	reset   bool      // a counter fell
	anew    bool      // a counter was not known of the source that is asked now, and only set its reference
	foreign bool      // a histogram had other buckets than the ones that are watched
}

func (i *increase) clear() {
	clear(i.Above)
	*i = increase{Above: i.Above}
}

// add puts a later increase onto i, for an arm that waits for the other.
func (i *increase) add(o *increase) {
	i.Total += o.Total
	i.Bad += o.Bad
	i.Fresh = i.Fresh || o.Fresh
	i.Above = grown(i.Above, len(o.Above))
	for k, v := range o.Above {
		i.Above[k] += v
	}
}

// grown returns s with at least n numbers.
func grown(s []float64, n int) []float64 {
	if n <= len(s) {
		return s
	}
	return append(s, make([]float64, n-len(s))...)
}

// read adds one series to the increase of its arm. first says that the watch begins with this reading, so
// that counters only set their reference; elsewhere, that another source was asked before, so that a series which
// is not known need not be a new instance's: it may have been counted there; since is when the share of the traffic
// last changed. It reports whether the interval reaches back across that change, which makes it useless.
func (c *counters) read(s *Series, into *increase, first, elsewhere bool, since time.Time) (mixed bool) {
	if !usable(s) {
		return false
	}
	if c.Bounds == nil && len(s.Bounds) > 0 {
		c.Bounds = bounds(s)
	}
	at, known := c.place[instance{s.Arm, s.Instance}]
	if !known {
		at = len(c.Last)
		c.Last = append(c.Last, sample{Arm: s.Arm, Instance: s.Instance})
		c.index()
	}
	last := &c.Last[at]
	if known && !s.At.After(last.At) {
		return false // nothing new was scraped
	}
	last.Above, into.Above = grown(last.Above, len(c.Bounds)), grown(into.Above, len(c.Bounds))
	var from sample // zero: all of the counter counts
	anew := !known && !first && elsewhere && s.Arm == Canary
	counted := known || s.Arm == Canary && !first && !elsewhere
	into.Fresh, into.anew = into.Fresh || !anew, into.anew || anew
	fell := known && s.Total < last.Total
	if known && !fell {
		from = *last
	}
	mixed = known && last.At.Before(since)
	if counted {
		total := math.Round(s.Total - from.Total)
		into.Total += total
		into.Bad += min(total, max(0, math.Round(s.Bad-from.Bad)))
		into.reset = into.reset || fell
	}
	for k, b := range c.Bounds {
		above, found := greater(s, b)
		if !found {
			into.foreign = true
			continue
		}
		if counted {
			before := 0.
			if from.Above != nil {
				before = from.Above[k]
			}
			into.Above[k] += max(0, math.Round(above-before))
		}
		last.Above[k] = above
	}
	last.At, last.Total, last.Bad = s.At, s.Total, s.Bad
	return mixed
}

// index finds the samples again by their series.
func (c *counters) index() {
	c.place = make(map[instance]int, len(c.Last))
	for i, l := range c.Last {
		c.place[instance{l.Arm, l.Instance}] = i
	}
}

// instances counts the series of an arm by name; 0 if they are not told apart.
func (c *counters) instances(a Arm) (n int) {
	for _, l := range c.Last {
		if l.Arm == a && l.Instance != "" {
			n++
		}
	}
	return n
}

// usable says whether a series holds counters: whole histories of numbers, none negative, infinite or NaN.
func usable(s *Series) bool {
	good := func(v float64) bool { return 0 <= v && v <= mostCount }
	if !good(s.Total) || !good(s.Bad) || len(s.Buckets) != len(s.Bounds) {
		return false
	}
	for i, b := range s.Bounds {
		if !good(s.Buckets[i]) || math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= s.Bounds[i-1] {
			return false
		}
	}
	return true
}

// bounds returns the bounds at which a histogram is watched: its own if they are fixed, and for a native
// histogram those of schema 2, 2^(k/4), which outlive every likely loss of resolution.
func bounds(s *Series) []float64 {
	if !s.Native {
		return slices.Clone(s.Bounds)
	}
	var all []float64
	least, most := s.Bounds[0], s.Bounds[len(s.Bounds)-1]
	if least <= 0 {
		least = most / 1024
	}
	for k := math.Floor(4 * math.Log2(least)); k <= math.Ceil(4*math.Log2(most))+12 && len(all) < 160; k++ {
		all = append(all, math.Exp2(k/4))
	}
	return all
}

// greater returns how many of the observations of a histogram exceed b, and whether it can be said.
func greater(s *Series, b float64) (n float64, found bool) {
	const alike = 1 + 1e-9
	i, _ := slices.BinarySearch(s.Bounds, b*alike) // the first bound that is clearly above
	if i == 0 {
		return s.Total, s.Native
	}
	if !s.Native && s.Bounds[i-1]*alike < b {
		return 0, false
	}
	return max(0, s.Total-s.Buckets[i-1]), true
}
