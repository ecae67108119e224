package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"github.com/golive-dev/golive/guard"
)

const (
	pointsAtOnce  = 1000      // that one query asks for of each series; Prometheus gives 11,000 at most
	longest       = 50_000    // steps of one history
	historyBytes  = 128 << 20 // of one answer
	rangeParallel = 4         // queries at once, for somebody else watches the same server
)

var _ guard.Historian = (*Source)(nil)

// A line is one series over time.
type line struct {
	sample guard.Sample // its name and labels
	values []float64    // by step
	native []*guard.NativeHistogram
	at     []time.Time // of the scrapes; zero where there is none
}

// lines are those of one query, by their series.
type lines map[model.Fingerprint]*line

// History reads the values that the signals had at each step, with the times of their scrapes.
func (s *Source) History(ctx context.Context, q guard.Query, from, to time.Time, step time.Duration) ([]guard.Reading, error) {
	if step < time.Second || to.Before(from) || to.Sub(from)/step >= longest {
		return nil, fmt.Errorf("a history from %s to %s in steps of %s: steps are a second at least, and %d at most", from, to, step, longest)
	}
	selections, wanted, err := selectionsOf(q)
	if err != nil {
		return nil, err
	}
	readings := make([]guard.Reading, to.Sub(from)/step+1)
	for i := range readings {
		readings[i].At = from.Add(time.Duration(i) * step)
	}
	answers, err := s.askRanges(ctx, wanted, readings, step)
	if err != nil {
		return nil, err
	}
	for _, chosen := range selections {
		series := make(lines) // selectors overlap
		for _, query := range chosen.queries {
			maps.Copy(series, answers[query])
		}
		var samples []guard.Sample
		for i := range readings {
			samples = samples[:0]
			for _, l := range series {
				if !l.at[i].IsZero() {
					sample := l.sample
					sample.Value, sample.Native, sample.At = l.values[i], l.native[i], l.at[i]
					samples = append(samples, sample)
				}
			}
			readings[i].Series = append(readings[i].Series, chosen.signal.Assemble(chosen.selected, chosen.arm, samples)...)
		}
	}
	return readings, nil
}

// askRanges asks for every selector once, and stops at the first failure.
func (s *Source) askRanges(ctx context.Context, wanted map[string]guard.Selector, readings []guard.Reading, step time.Duration) (map[string]lines, error) {
	var mu sync.Mutex
	answers := make(map[string]lines)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(rangeParallel)
	for query, selector := range wanted {
		group.Go(func() error {
			answer := make(lines)
			for first := 0; first < len(readings); first += pointsAtOnce {
				last := min(first+pointsAtOnce, len(readings)) - 1
				if err := s.askRange(groupCtx, answer, selector, readings, first, last, step); err != nil {
					return fmt.Errorf("ask %s for the past of %s: %w", s.api.Host, query, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			answers[query] = answer
			return nil
		})
	}
	err := group.Wait()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("ask %s for the past: %w", s.api.Host, context.Cause(ctx))
	}
	return answers, err
}

// askRange adds what a selector had at the readings from first to last.
func (s *Source) askRange(ctx context.Context, into lines, selector guard.Selector, readings []guard.Reading, first, last int, step time.Duration) error {
	status, body, err := s.post(ctx, "query_range", historyBytes, url.Values{
		"query": {withTimes(selector)},
		"start": {seconds(readings[first].At)},
		"end":   {seconds(readings[last].At)},
		"step":  {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
	if err != nil {
		return err
	}
	var matrix model.Matrix
	if _, err := parseInto(status, body, "matrix", &matrix); err != nil { // it remarks the same on the present
		return err
	}
	return into.add(selector, matrix, readings[0].At, step, len(readings))
}

// add takes the values and times out of a matrix. A value without a time, and one that is not a finite number, is none.
func (all lines) add(selector guard.Selector, matrix model.Matrix, start time.Time, step time.Duration, steps int) error {
	place := func(at model.Time) (i int, err error) {
		if i = int(math.Round(float64(at.Time().Sub(start)) / float64(step))); i < 0 || i >= steps {
			err = errors.New("it answers about a time that nobody asked for")
		}
		return i, err
	}
	for _, stream := range matrix {
		if stream == nil || stream.Metric == nil {
			return errHole
		}
		_, isTime := stream.Metric[timeLabel]
		delete(stream.Metric, timeLabel)
		stream.Metric[model.MetricNameLabel] = model.LabelValue(selector.Name) // which a time has lost
		key := stream.Metric.Fingerprint()
		l := all[key]
		if l == nil {
			l = &line{
				sample: guard.Sample{Name: selector.Name, Labels: make(map[string]string)},
				values: make([]float64, steps), native: make([]*guard.NativeHistogram, steps), at: make([]time.Time, steps),
			}
			for i := range l.values {
				l.values[i] = math.NaN()
			}
			for name, value := range stream.Metric {
				if name != model.MetricNameLabel {
					l.sample.Labels[string(name)] = string(value)
				}
			}
			all[key] = l
		}
		for _, point := range stream.Values {
			i, err := place(point.Timestamp)
			if err != nil {
				return err
			}
			switch v := float64(point.Value); {
			case !isTime:
				l.values[i] = v // Assemble leaves out NaN
			case 0 < v && v < 1e12:
				l.at[i] = time.UnixMilli(int64(math.Round(v * 1000)))
			}
		}
		for _, point := range stream.Histograms {
			i, err := place(point.Timestamp)
			if err != nil {
				return err
			}
			l.values[i], l.native[i] = 0, native(point.Histogram)
		}
	}
	return nil
}
