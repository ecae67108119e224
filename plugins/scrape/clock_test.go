package scrape

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// timed serves with a clock that is ahead by so much.
func timed(t *testing.T, ahead time.Duration) string {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	}))
}

func TestSkew(t *testing.T) {
	right, ahead, behind, future := timed(t, 0), timed(t, 10*time.Second), timed(t, -20*time.Second), timed(t, 200*365*24*time.Hour)
	for name, c := range map[string]struct {
		canary, stable []any
		from           string
		want           time.Duration
	}{
		"right":                 {list(right), list(right), "v1", 0},
		"the farthest":          {list(right, ahead), list(behind), "v1", -20 * time.Second},
		"the farthest is ahead": {list(ahead), list(right), "v1", 10 * time.Second},
		"no old version":        {list(right), list(behind), "", 0},
		"the far future":        {list(future), list(behind), "v1", 200 * 365 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newSource(t, guard.With{"canary": c.canary, "stable": c.stable}).(guard.Clock)
			skew, err := clock.Skew(t.Context(), guard.Release{Service: "shop", From: c.from, To: "v2"})
			if err != nil || skew.Check() != nil || (skew.Ahead-c.want).Abs() > skew.Within {
				t.Errorf("Skew = %+v, error %v, want %v", skew, err, c.want)
			}
		})
	}
}

func TestSkewWithoutAnswer(t *testing.T) {
	hang := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	clock := newSource(t, guard.With{
		"canary": []any{"http://u:hunter2@127.0.0.1:1/{{.To}}"}, "stable": list(hang), "timeout": "200ms",
	}).(guard.Clock)
	skew, err := clock.Skew(t.Context(), release)
	if err == nil || skew != (guard.Skew{}) {
		t.Fatalf("Skew = %+v, error %v", skew, err)
	}
	for _, want := range []string{"2 of 2 instances do not tell the time: 127.0.0.1:1/v2: ", hang + ": no answer within 200ms"} {
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// The one that is silent may be the one whose clock is wrong.
func TestSkewWithOneSilent(t *testing.T) {
	clock := newSource(t, guard.With{"canary": list(timed(t, 0)), "stable": list(timed(t, 0), "127.0.0.1:1")}).(guard.Clock)
	skew, err := clock.Skew(t.Context(), release)
	if err == nil || skew != (guard.Skew{}) || !strings.HasPrefix(err.Error(), "1 of 3 instances do not tell the time: 127.0.0.1:1: ") {
		t.Errorf("Skew = %+v, error %v", skew, err)
	}
}
