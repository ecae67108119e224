package hook

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/golive-dev/golive/guard"
)

// Watch has a release watched that a tool has deployed, and returns the rollout that does. One that is under way for the
// same version does already: it may be what the tool tells of, and gets the text as a note. No rollout, and no error, is
// one that has just ended. Tools and brokers drop what is refused, and hardly anybody reads their logs: so a version that
// nobody watches for good is reported, too.
func Watch(ctx context.Context, desk guard.Desk, d guard.Delivery, r guard.Release, text string) (rollout string, err error) {
	rollout, err = desk.Open(ctx, d, r, guard.ToWatch)
	if err == nil {
		return rollout, nil
	}
	var other *guard.UnderWayError
	if errors.As(err, &other) {
		_, s, looked := desk.Get(ctx, other.ID)
		if looked != nil {
			return "", fmt.Errorf("look at the rollout %s: %w", other.ID, looked)
		}
		if s.Release.To == r.To {
			return Note(ctx, desk, d, r, text)
		}
	}
	err = fmt.Errorf("watch %s of %s: %w", guard.Line(r.To, 80), guard.Line(r.Service, 80), err)
	if Status(err) != http.StatusServiceUnavailable { // which Fail reports
		Report(ctx, err)
	}
	return "", err
}

// Note leaves a text with the rollout of a release, and returns that. No rollout, and no error: none is under way.
func Note(ctx context.Context, desk guard.Desk, d guard.Delivery, r guard.Release, text string) (rollout string, err error) {
	rollout, err = desk.Find(ctx, guard.Release{Service: r.Service, Environment: r.Environment, To: r.To})
	if err == nil {
		err = desk.Tell(ctx, d, rollout, guard.Noted{Text: text, By: d.Source})
	}
	switch {
	case errors.Is(err, guard.ErrNoRollout), errors.Is(err, guard.ErrOver):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("note what %s says: %w", d.Source, err)
	}
	return rollout, nil
}
