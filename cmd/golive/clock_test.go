package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
)

// TestClockSkew asks real servers, whose clocks are wrong by so much, through all that lies between them and a
// finding.
func TestClockSkew(t *testing.T) {
	asks := builtin(io.Discard).Checks
	asks = slices.DeleteFunc(asks, func(c guard.Check) bool { return c.ID != "clock.skew" })
	for name, c := range map[string]struct {
		ahead time.Duration
		want  guard.Verdict
		says  string
	}{
		"right":         {0, guard.Pass, ""},
		"a little off":  {-3500 * time.Millisecond, guard.Warn, "it is more than 2s from ours"},
		"ahead":         {10 * time.Second, guard.Fail, "it is more than 5s from ours"},
		"a day behind":  {-24 * time.Hour, guard.Fail, "it is more than 5s from ours"},
		"not even told": {1, guard.Unknown, "its answer does not tell the time"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(c.ahead).UTC().Format(http.TimeFormat))
				if c.want == guard.Unknown {
					w.Header()["Date"] = nil // which keeps net/http from setting it
				}
			}))
			defer server.Close()
			urls := []any{server.URL + "/metrics"}
			for use, with := range map[string]guard.With{
				"prometheus": {"address": server.URL},
				"scrape":     {"canary": urls, "stable": urls},
			} {
				source, err := builtin(io.Discard).Sources[use](with)
				if err != nil {
					t.Fatal(err)
				}
				f := askClock(t, source, asks)
				if f.Verdict != c.want || !strings.Contains(f.Reason, c.says) {
					t.Errorf("%s: %s because %q (%s)", use, f.Verdict, f.Reason, f.Observed)
				}
			}
		})
	}
	if f := askClock(t, noClock{}, asks); f.Verdict != guard.Warn || f.Observed != "no clock" {
		t.Errorf("a source without a clock: %s because %q (%s)", f.Verdict, f.Reason, f.Observed)
	}
}

func askClock(t *testing.T, source guard.Source, asks []guard.Check) guard.Finding {
	t.Helper()
	var s secrets
	parts := engine.Parts{Source: keepQuiet(&s, source), Checks: asks}
	scene := parts.Scene(t.Context(), &guard.Plan{}, guard.Release{Service: "shop", From: "v1", To: "v2"}, time.Now())
	findings := engine.RunChecks(t.Context(), scene, asks, nil)
	if len(findings) != 1 {
		t.Fatalf("%d findings", len(findings))
	}
	return findings[0]
}

// noClock is a source as a plugin has one.
type noClock struct{}

func (noClock) Read(context.Context, guard.Query) (guard.Reading, error) { return guard.Reading{}, nil }
