package scrape

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

var _ guard.Clock = (*Source)(nil)

// Skew asks all instances at once, and returns what may be farthest from our time. One that does not tell its time
// may be the farthest of all, so that is an error.
func (s *Source) Skew(ctx context.Context, r guard.Release) (guard.Skew, error) {
	targets, err := s.targets(ctx, r)
	if err != nil {
		return guard.Skew{}, err
	}
	skews, failed := make([]guard.Skew, len(targets)), make([]error, len(targets))
	var group sync.WaitGroup
	for i, t := range targets {
		group.Go(func() { skews[i], failed[i] = s.skew(ctx, t) })
	}
	group.Wait()

	var worst guard.Skew
	var down []error
	for i, t := range targets {
		if failed[i] != nil {
			down = append(down, fmt.Errorf("%s: %w", t.instance(), failed[i]))
		} else if off(skews[i]) > off(worst) {
			worst = skews[i]
		}
	}
	if len(down) > 0 {
		return guard.Skew{}, fmt.Errorf("%d of %d instances do not tell the time: %w", len(down), len(targets), errors.Join(down...))
	}
	return worst, nil
}

// off is how far from ours a clock may be, in seconds, of which there is no largest number.
func off(s guard.Skew) float64 { return s.Ahead.Abs().Seconds() + s.Within.Seconds() }

// skew asks one instance. Its errors do not tell the address, which may hold a password.
func (s *Source) skew(ctx context.Context, t *target) (guard.Skew, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %v", s.timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.address.String(), nil)
	if err != nil {
		return guard.Skew{}, errors.New("its address cannot be read")
	}
	skew, err := client.Skew(s.client, request)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return skew, err
}
