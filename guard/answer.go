package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ParseStanding reads a standing from what a backend printed or answered. It is strict: a standing without
// percent says nothing about the traffic, and must not be read as 0.
func ParseStanding(text []byte) (Standing, error) {
	var answer struct {
		Percent *int   `json:"percent"`
		Undo    Undo   `json:"undo"`
		Shares  []int  `json:"shares"`
		Detail  string `json:"detail"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil {
		return Standing{}, fmt.Errorf(`%.200q is not a standing like {"percent":10,"undo":{"open":true}}: %w`, text, err)
	}
	if decoder.More() {
		return Standing{}, fmt.Errorf("%.200q goes on after the standing", text)
	}
	if answer.Percent == nil {
		return Standing{}, fmt.Errorf("%.200q has no percent", text)
	}
	s := Standing{Percent: *answer.Percent, Undo: answer.Undo, Shares: answer.Shares, Detail: answer.Detail}
	return s, s.Check()
}

// Check says what is impossible in a standing.
func (s Standing) Check() error {
	for _, percent := range append([]int{s.Percent}, s.Shares...) {
		if percent < 0 || percent > 100 {
			return fmt.Errorf("a share of %d%% cannot be: it is 0 to 100", percent)
		}
	}
	return nil
}

// Check says what is impossible in a skew: that nothing was measured, or that it was measured of a source without
// a clock.
func (s Skew) Check() error {
	switch measured := s.Ahead != 0 || s.Within != 0; {
	case s.NoClock && measured:
		return errors.New("a source without a clock cannot be ahead of ours")
	case !s.NoClock && s.Within <= 0:
		return errors.New("nobody measures a clock exactly, so this was not measured")
	}
	return nil
}

// CheckReading says what is impossible in an answer to q: a signal that nobody asked for, numbers that no
// counter shows, a histogram that falls. An empty reading is possible.
func CheckReading(q Query, r Reading) error {
	if r.At.IsZero() {
		return errors.New("a reading has no time")
	}
	for _, s := range r.Series {
		if err := checkSeries(q, s); err != nil {
			return fmt.Errorf("series %s of %s on %s: %w", s.Signal, s.Arm, s.Instance, err)
		}
	}
	return nil
}

func checkSeries(q Query, s Series) error {
	numbers := slices.Concat([]float64{s.Total, s.Bad, s.Sum}, s.Bounds, s.Buckets)
	if s.Value != nil {
		numbers = append(numbers, *s.Value)
	}
	counts := append([]float64{s.Total, s.Bad}, s.Buckets...)
	switch {
	case !slices.ContainsFunc(q.Signals, func(signal Signal) bool { return signal.Name == s.Signal }):
		return errors.New("nobody asked for this signal")
	case s.Arm != Canary && s.Arm != Baseline:
		return fmt.Errorf("there is no arm %q", s.Arm)
	case s.At.IsZero():
		return errors.New("it has no time")
	case slices.ContainsFunc(numbers, func(f float64) bool { return math.IsNaN(f) || math.IsInf(f, 0) }):
		return errors.New("a value is not a finite number")
	case slices.ContainsFunc(counts, func(f float64) bool { return f < 0 }):
		return errors.New("a counter is negative")
	case len(s.Bounds) != len(s.Buckets):
		return fmt.Errorf("%d bounds do not fit %d buckets", len(s.Bounds), len(s.Buckets))
	case !slices.IsSorted(s.Bounds) || len(slices.Compact(slices.Clone(s.Bounds))) != len(s.Bounds):
		return errors.New("its bounds do not ascend")
	case !slices.IsSorted(s.Buckets):
		return errors.New("its cumulative buckets fall")
	}
	return nil
}
