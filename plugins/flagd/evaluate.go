package flagd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golive-dev/golive/plugins/internal/client"
)

const (
	users     = 400 // that flagd is asked for: enough to tell 10 % from 20 %
	atATime   = 8
	tolerance = 5 // standard deviations, by which a right share is missed once in a million flags
	pause     = 200 * time.Millisecond
)

// becomes waits until flagd serves what the file says.
func (b *Backend) becomes(ctx context.Context, f *flag, percent int) error {
	var why error // the last that was not the end of the time
	for {
		err := b.serves(ctx, f, percent)
		switch {
		case err == nil:
			return nil
		case why == nil || ctx.Err() == nil:
			why = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), why)
		case <-time.After(pause):
		}
	}
}

// serves asks flagd for the variants of many users, and says how they differ from what the file says.
func (b *Backend) serves(ctx context.Context, f *flag, percent int) error {
	if b.evaluate == nil {
		return nil
	}
	var canaries atomic.Int64
	errs := make([]error, atATime)
	var asking sync.WaitGroup
	for i := range atATime {
		asking.Go(func() {
			for user := i; user < users && errs[i] == nil; user += atATime {
				var variant string
				variant, errs[i] = b.variant(ctx, fmt.Sprintf("golive-%d", user*user))
				switch {
				case errs[i] != nil:
				case variant == f.canary:
					canaries.Add(1)
				case variant != f.stable:
					errs[i] = fmt.Errorf("flagd gives a user the variant %q, which is neither %s nor %s", variant, f.canary, f.stable)
				}
			}
		})
	}
	asking.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("evaluate: %w", err)
		}
	}
	share := float64(percent) / 100
	got := float64(canaries.Load())
	if math.Abs(got-users*share) > tolerance*math.Sqrt(users*share*(1-share)) {
		return fmt.Errorf("evaluate: flagd gives %s to %.0f of %d users, and the file says %d%%", f.canary, got, users, percent)
	}
	return nil
}

// variant asks flagd, by OFREP, for the variant of one user. Its errors do not quote the address.
func (b *Backend) variant(ctx context.Context, user string) (string, error) {
	question, err := json.Marshal(map[string]any{"context": map[string]string{"targetingKey": user}})
	if err != nil {
		return "", err
	}
	address := b.evaluate.JoinPath("ofrep", "v1", "evaluate", "flags", url.PathEscape(b.flag))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(question))
	if err != nil {
		return "", errors.New("the address cannot be used")
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(b.client, request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := client.ReadAll(response.Body, 1<<20)
	if err != nil {
		return "", err
	}
	var answer struct {
		Variant      string `json:"variant"`
		ErrorCode    string `json:"errorCode"`
		ErrorDetails string `json:"errorDetails"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || response.StatusCode != http.StatusOK || answer.Variant == "" {
		return "", fmt.Errorf("flagd answers %s without a variant (%.100s %.200s)", response.Status, answer.ErrorCode, answer.ErrorDetails)
	}
	return answer.Variant, nil
}
