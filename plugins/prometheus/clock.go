package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

var _ guard.Clock = (*Source)(nil)

// Skew asks which version the server has, which costs it least, and looks at when it answers.
func (s *Source) Skew(ctx context.Context, _ guard.Release) (guard.Skew, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %v", s.timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api.JoinPath("status/buildinfo").String(), nil)
	if err != nil {
		return guard.Skew{}, errors.New("its address cannot be read")
	}
	skew, err := client.Skew(s.client, request)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return guard.Skew{}, fmt.Errorf("ask %s for its time: %w", s.api.Host, err)
	}
	return skew, nil
}
