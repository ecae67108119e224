package checks

import (
	"cmp"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

// samples returns the series of one arm that hold what the signal consists of.
func samples(reading guard.Reading, signal guard.Signal, arm guard.Arm) []guard.Series {
	var found []guard.Series
	for _, series := range reading.Series {
		holds := signal.Bad != "" ||
			signal.Histogram != "" && len(series.Bounds) > 0 ||
			signal.Value != "" && series.Value != nil
		if series.Signal == signal.Name && series.Arm == arm && holds {
			found = append(found, series)
		}
	}
	return found
}

// serving returns the series that tell how things are before the launch: those of the old version. In a first
// release, and for a signal that is compared with its own past, there is no old version, and the judge
// follows the other arm. So it does where a gauge belongs to both, and the source reads it once.
func serving(reading guard.Reading, signal guard.Signal, r guard.Release) []guard.Series {
	first, second := guard.Baseline, guard.Canary
	switch {
	case r.First() || signal.OwnPast():
		first, second = second, first
	case !shared(signal):
		return samples(reading, signal, guard.Baseline)
	}
	if found := samples(reading, signal, first); len(found) > 0 {
		return found
	}
	return samples(reading, signal, second)
}

// shared says that a signal is a gauge of the whole service, such as a queue: its selector names no version.
func shared(signal guard.Signal) bool {
	selector, err := guard.ParseSelector(signal.Value)
	return signal.Value != "" && err == nil && !selector.PerVersion()
}

// whose names what the series of serving tell about.
func whose(signal guard.Signal, r guard.Release) string {
	if signal.OwnPast() {
		return signal.Name
	}
	return cmp.Or(r.From, r.To)
}

// newest is the time of the newest sample, and zero if there is none.
func newest(found []guard.Series) (at time.Time) {
	for _, series := range found {
		if series.At.After(at) {
			at = series.At
		}
	}
	return at
}

// inventory says what a reading holds of some series.
func inventory(reading guard.Reading, found []guard.Series) string {
	if len(found) == 0 {
		return "no samples"
	}
	return fmt.Sprintf("%d series, newest %s old", len(found), span(max(0, reading.At.Sub(newest(found)))))
}
