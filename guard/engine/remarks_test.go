package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// A chatterbox is a source that says more than it was asked for.
type chatterbox struct {
	guard.Source
	says []string
}

func (c chatterbox) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	reading, err := c.Source.Read(ctx, q)
	reading.Remarks = c.says
	return reading, err
}

// TestRemarks lets the same rollouts run with a source that remarks on each reading, and with one that does not.
func TestRemarks(t *testing.T) {
	for name, rate := range map[string]float64{"a good version": 0, "a bad version": .05} {
		t.Run(name, func(t *testing.T) {
			var runs [2][]judge.Ruling
			for i, says := range [][]string{nil, {"this is odd", "this\nis odd", "so is that"}} {
				synctest.Test(t, func(t *testing.T) {
					w, m := &world{errors: rate}, &memory{}
					r := rollout(t, w, m)
					r.Parts.Source = chatterbox{w, says}
					s, err := r.Run(t.Context(), nil, opened())
					if err != nil {
						t.Fatal(err)
					}
					var kept []string
					for _, e := range m.events {
						if f, ok := e.Fact.(guard.Measured); ok {
							runs[i] = append(runs[i], f.Ruling)
							kept = append(kept, f.Reading.Remarks...)
						}
					}
					if want := guard.Remarks(says); !slices.Equal(kept, want) || !slices.Equal(s.Remarks, want) {
						t.Errorf("the journal has the remarks %q, the state %q, want each of %q once", kept, s.Remarks, want)
					}
					if diff := cmp.Diff(s, guard.Fold(plan(t), m.events)); diff != "" {
						t.Errorf("the journal leads elsewhere (-run +journal):\n%s", diff)
					}
				})
			}
			if diff := cmp.Diff(runs[0], runs[1]); diff != "" || len(runs[0]) < 3 {
				t.Errorf("%d rulings without remarks, and others with them:\n%s", len(runs[0]), diff)
			}
		})
	}
}

// TestRemarksInChecks sees that what a source says is bounded for the checks too, and nothing without its answer.
func TestRemarksInChecks(t *testing.T) {
	says := slices.Repeat([]string{"this is odd"}, 100)
	scene := Parts{Source: chatterbox{&world{}, says}}.Scene(t.Context(), plan(t), guard.Release{}, time.Time{})
	answer, err := scene.Ask(t.Context(), guard.Question{Readings: 1})
	if err != nil || !slices.Equal(answer.Readings[0].Remarks, says[:1]) {
		t.Errorf("%+v, error %v", answer, err)
	}
	away := chatterbox{&world{broken: on("read", errors.New("connection refused"))}, says}
	if reading, err := readFrom(t.Context(), away, guard.Query{}); err == nil || reading.Remarks != nil {
		t.Errorf("%+v, error %v", reading, err)
	}
}
