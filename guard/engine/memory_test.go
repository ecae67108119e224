package engine

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// rememberer is a world whose source knows the past: 600 requests a minute on the old version, one of them bad.
type rememberer struct {
	*world
	breaks func(ctx context.Context) error
}

func (r rememberer) History(ctx context.Context, q guard.Query, from, to time.Time, step time.Duration) (past []guard.Reading, err error) {
	if r.breaks != nil {
		return nil, r.breaks(ctx)
	}
	for at := from; !at.After(to); at = at.Add(step) {
		minutes := at.Sub(from).Minutes()
		reading := guard.Reading{At: at}
		for _, s := range q.Signals {
			series := guard.Series{Signal: s.Name, Arm: guard.Baseline, Instance: "old", At: at}
			if s.Like != 0 {
				depth := math.Mod(minutes, 100)
				series.Arm, series.Value = guard.Canary, &depth
			} else {
				series.Total, series.Bad = 1000+600*minutes, minutes
			}
			reading.Series = append(reading.Series, series)
		}
		past = append(past, reading)
	}
	return past, nil
}

// TestMemory: what the source remembers is in the journal, in sums, and the judge of every later process starts
// from it: each ruling of the journal comes out again, bit for bit.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := &world{}, &memory{}
		r := rollout(t, w, m)
		r.Parts.Source = rememberer{world: w}
		s, err := r.Run(t.Context(), nil, opened())
		if err != nil || s.Outcome != guard.Live {
			t.Fatalf("%s: %s, %v", s.Outcome, s.Why, err)
		}
		inspections, rulings := 0, 0
		var state guard.State
		for i, e := range m.events {
			switch f := e.Fact.(type) {
			case guard.Inspected:
				if inspections++; inspections > 1 {
					if f.History != nil || f.Problem != "" {
						t.Errorf("the past was asked for again: %+v", f)
					}
					break
				}
				want := []guard.Series{{Signal: "errors", Arm: guard.Baseline, Instance: "old", Total: 18_000, Bad: 30}}
				got := f.History
				if len(got) == 1 {
					got[0].At = time.Time{}
				}
				if diff := cmp.Diff(want, got); diff != "" || f.Problem != "" {
					t.Errorf("the history in the journal (-want +got), problem %q:\n%s", f.Problem, diff)
				}
			case guard.Measured:
				var later watcher
				if err := later.replay(r.Plan, m.events[:i], s.Release); err != nil {
					t.Fatal(err)
				}
				if len(later.config.History) != 1 {
					t.Fatal("a later process judges without the history")
				}
				for _, task := range state.Todo {
					if deed, ok := task.Deed.(guard.Measure); ok && task.ID == e.Task {
						rulings++
						if diff := cmp.Diff(f.Ruling, later.observe(deed.Step, f.Reading)); diff != "" {
							t.Fatalf("event %d is judged in another way (-journal +replay):\n%s", i, diff)
						}
					}
				}
			}
			state = guard.Next(r.Plan, state, e)
		}
		if inspections < 2 || rulings < 10 {
			t.Errorf("only %d inspections and %d rulings were looked at", inspections, rulings)
		}
	})
}

// TestMemoryFails: a source that cannot be asked for the past is said once, and delays nothing by more than ten
// seconds.
func TestMemoryFails(t *testing.T) {
	for _, k := range []struct {
		name   string
		breaks func(context.Context) error
		want   string
	}{
		{"refused", func(context.Context) error { return errors.New("connection refused") }, "connection refused"},
		{"hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "no answer within 10s"},
		{"panics", func(context.Context) error { panic("oops") }, "panic: oops"},
	} {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m := &world{}, &memory{}
				r := rollout(t, w, m)
				r.Parts.Source = rememberer{w, k.breaks}
				began := time.Now()
				var problems []string
				r.Saw = func(e guard.Event, _ guard.State) {
					if f, ok := e.Fact.(guard.Inspected); ok && f.Problem != "" {
						problems = append(problems, f.Problem)
						if took := time.Since(began); took > 11*time.Second {
							t.Errorf("it took %s", took)
						}
					}
				}
				s, err := r.Run(t.Context(), nil, opened())
				if err != nil || s.Outcome != guard.Live {
					t.Fatalf("%s: %s, %v", s.Outcome, s.Why, err)
				}
				if diff := cmp.Diff([]string{k.want}, problems); diff != "" {
					t.Errorf("problems (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestLike: a gauge that is to be like its own past is judged by a bound learned from as much of it as the plan
// says, and the journal keeps only the deciles.
func TestLike(t *testing.T) {
	source := strings.Replace(shop, "signals: [", "signals: [{name: queue, value: depth, like: 1d}, ", 1)
	p, err := guard.ParsePlan("shop.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	r := &run{Rollout: rollout(t, w, &memory{})}
	r.Plan, r.Parts.Source = p, rememberer{world: w}
	history, err := r.recall(t.Context(), opened().Release)
	if err != nil {
		t.Fatal(err)
	}
	var values []float64
	for _, s := range history {
		if s.Signal == "queue" {
			values = append(values, *s.Value)
		}
	}
	if len(values) != 11 || values[0] != 0 || values[10] < 90 {
		t.Errorf("of a day between 0 and 99 the deciles are %v", values)
	}
	if len(history) != 12 {
		t.Errorf("beside them there is one series of errors, but %d in all", len(history))
	}
}

// TestPast: a check can ask for the last half hour, and a source that keeps no history says so.
func TestPast(t *testing.T) {
	w := &world{}
	for _, k := range []struct {
		name   string
		source guard.Source
		want   int
	}{{"remembers", rememberer{world: w}, 31}, {"forgets", w, 0}} {
		scene := Parts{Source: k.source}.Scene(t.Context(), plan(t), opened().Release, time.Now())
		a, err := scene.Ask(t.Context(), guard.Question{Past: true})
		if len(a.Readings) != k.want || (err == nil) != (k.want > 0) || scene.Remembers != (k.want > 0) {
			t.Errorf("%s: %d readings, error %v, remembers %v", k.name, len(a.Readings), err, scene.Remembers)
		}
	}
}
