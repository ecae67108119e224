package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

// recallTakes bounds asking a source for the past: a rollout does not wait for what it can do without.
const recallTakes = 10 * time.Second

// gaugePoints is how many values of a gauge its bound is learned from, however long a past the plan names.
const gaugePoints = 500

// recall asks the source how the old version did before a rollout, as sums. A source that keeps no history has
// none, and that is no error.
func (r *run) recall(ctx context.Context, release guard.Release) (history []guard.Series, err error) {
	source, ok := r.Parts.Source.(guard.Historian)
	if !ok {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, recallTakes, fmt.Errorf("no answer within %s", recallTakes))
	defer cancel()
	config, now := r.Plan.Judge(release), clock()
	var counters []guard.Signal
	for _, s := range r.Plan.Watch.Signals {
		if s.Like == 0 {
			counters = append(counters, s)
			continue
		}
		step := max(guard.PastStep, s.Like.Std()/gaugePoints)
		past, err := askPast(ctx, source, guard.Query{Release: release, Signals: []guard.Signal{s}}, now, s.Like.Std(), step)
		if err != nil {
			return nil, err
		}
		history = append(history, config.Recall(past)...)
	}
	past, err := askPast(ctx, source, guard.Query{Release: release, Signals: counters}, now, guard.Past, guard.PastStep)
	if err != nil {
		return nil, err
	}
	history = append(history, config.Recall(past)...)
	if len(history) > mostSeries {
		return nil, fmt.Errorf("%d series are more than a rollout can remember (%d): let the selectors say less", len(history), mostSeries)
	}
	return history, nil
}

// past is what the source remembers of the last half hour, for the checks.
func (w *witness) past(ctx context.Context) ([]guard.Reading, error) {
	source, ok := w.parts.Source.(guard.Historian)
	if !ok {
		return nil, errors.New("the source keeps no history")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, recallTakes, fmt.Errorf("no answer within %s", recallTakes))
	defer cancel()
	query := guard.Query{Release: w.release, Signals: w.plan.Watch.Signals}
	return askPast(ctx, source, query, clock(), guard.Past, guard.PastStep)
}

// askPast asks for readings up to now, and believes nothing impossible.
func askPast(ctx context.Context, source guard.Historian, q guard.Query, now time.Time, long, step time.Duration) ([]guard.Reading, error) {
	if len(q.Signals) == 0 {
		return nil, nil
	}
	now = now.Truncate(time.Second)
	past, err := source.History(ctx, q, now.Add(-long), now, step)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	for _, reading := range past {
		if err := guard.CheckReading(q, reading); err != nil {
			return nil, err
		}
	}
	return past, nil
}
