package judge

import (
	"slices"
	"time"
)

// deciles are the values that stand for the whole past of a gauge: the least, the greatest, and nine between.
const deciles = 11

// Recall makes a history out of readings of the past, oldest first: what the counters of each instance of the
// baseline rose by, resets aside, and the deciles of gauges. A signal that is compared with its own past is
// taken from both arms.
func (c Config) Recall(past []Reading) (history []Series) {
	for i := range c.Signals {
		s := &c.Signals[i]
		known := func(r *Series) bool {
			return r.Signal == s.Name && (r.Arm == Baseline || s.Compare == WithBefore)
		}
		if s.Kind == Gauge {
			history = append(history, recallValues(s.Name, past, known)...)
		} else {
			history = append(history, recallCounts(s.Name, past, known)...)
		}
	}
	return history
}

// recallCounts adds up the increases of each instance. What came later counts from when it was first seen.
func recallCounts(signal string, past []Reading, known func(*Series) bool) []Series {
	var read counters
	read.index()
	type risen struct {
		increase
		at time.Time
	}
	rose := map[instance]*risen{}
	var order []instance
	for _, reading := range past {
		for i := range reading.Series {
			s := &reading.Series[i]
			if !known(s) {
				continue
			}
			key := instance{s.Arm, s.Instance}
			if rose[key] == nil {
				rose[key] = &risen{}
				order = append(order, key)
			}
			into := rose[key]
			read.read(s, &into.increase, true, false, time.Time{})
			into.at = s.At
		}
	}
	var history []Series
	for _, key := range order {
		r := rose[key]
		if r.Total == 0 || r.foreign {
			continue
		}
		s := Series{Signal: signal, Arm: key.arm, Instance: key.name, At: r.at, Total: r.Total, Bad: r.Bad, Bounds: read.Bounds}
		for k := range read.Bounds {
			s.Buckets = append(s.Buckets, max(0, r.Total-r.Above[k]))
		}
		history = append(history, s)
	}
	return history
}

// recallValues takes the mean of the instances at each time, as the judge does, and of those the deciles.
func recallValues(signal string, past []Reading, known func(*Series) bool) (history []Series) {
	var all []float64
	var at time.Time
	for _, reading := range past {
		sum, n := 0., 0.
		for i := range reading.Series {
			if s := &reading.Series[i]; known(s) && meaningful(s.Value) {
				sum, n, at = sum+*s.Value, n+1, s.At
			}
		}
		if n > 0 {
			all = append(all, sum/n)
		}
	}
	slices.Sort(all)
	for i := range min(deciles, len(all)) {
		value := all[i]
		if len(all) > deciles {
			value = all[(len(all)-1)*i/(deciles-1)]
		}
		history = append(history, Series{Signal: signal, Arm: Baseline, At: at, Value: &value})
	}
	return history
}
