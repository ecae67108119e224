package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// The runner marks what is waived, whatever the checks say of themselves, and asks those that are Last when it is done.
func TestRunChecksWaives(t *testing.T) {
	finds := func(f guard.Finding) func(context.Context, guard.Scene) ([]guard.Finding, error) {
		return func(context.Context, guard.Scene) ([]guard.Finding, error) { return []guard.Finding{f}, nil }
	}
	var seen []string
	plan := plan(t)
	plan.Roster.People = []guard.Person{{Name: "Ada Obi", Role: "deputy"}, {Name: "Wang Fang", Role: "commander"}}
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	plan.Checks.Waivers = []guard.Waiver{{
		Check: "X2", Reason: "the second one is mended on Monday", By: "Ada Obi", ApprovedBy: "Wang Fang", Expires: guard.Date{Time: now.Truncate(24 * time.Hour)},
	}}
	checks := []guard.Check{
		{Code: "X1", ID: "x.last", Last: true, Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
			for _, f := range s.Found {
				seen = append(seen, f.Code+" "+f.Counts().String())
			}
			return []guard.Finding{{Verdict: guard.Pass}}, nil
		}},
		{Code: "X2", ID: "x.waived", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) { panic("oops") }},
		{Code: "X3", ID: "x.sly", Run: finds(guard.Finding{Verdict: guard.Fail, Waived: &plan.Checks.Waivers[0]})},
		{Code: "X4", ID: "x.shut", Unwaivable: true, Run: finds(guard.Finding{Verdict: guard.Fail})},
	}
	for _, test := range []struct {
		name  string
		glass *guard.BreakGlass
		want  string
	}{
		{"waiver", nil, "X2 warn, X3 fail, X4 fail"},
		{"glass", &guard.BreakGlass{Reason: "customers cannot pay at all", By: "Ada Obi", ApprovedBy: "Wang Fang"}, "X2 warn, X3 warn, X4 fail"},
		{"glass of one", &guard.BreakGlass{Reason: "customers cannot pay at all", By: "Wang Fang", ApprovedBy: "Wang Fang"}, "X2 warn, X3 fail, X4 fail"},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen = nil
			var told []string
			all := RunChecks(t.Context(), guard.Scene{Plan: plan, Now: now, BreakGlass: test.glass}, checks, func(f guard.Finding) {
				told = append(told, f.Code+" "+f.Counts().String())
			})
			if diff := cmp.Diff(test.want, strings.Join(seen, ", ")); diff != "" {
				t.Errorf("the last check saw (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.want+", X1 pass", strings.Join(told, ", ")); diff != "" {
				t.Errorf("told (-want +got)\n%s", diff)
			}
			if len(all) != 4 || all[0].Verdict != guard.Unknown || all[0].Reason != "the check panicked: oops" {
				t.Errorf("findings %+v", all)
			}
		})
	}
}

// slyProbe says no, and that no matters.
type slyProbe struct{}

func (slyProbe) Probe(context.Context, guard.Release) (guard.Finding, error) {
	return guard.Finding{Verdict: guard.Fail, Waived: &guard.Waiver{}}, nil
}

func TestProbesWaiveNothing(t *testing.T) {
	if f := ask(t.Context(), slyProbe{}, guard.Release{}); f.Counts() != guard.Fail {
		t.Errorf("a probe waived its own answer: %+v", f)
	}
}

// A check that is Last waits like any other for what it needs, among the others and among those that are Last.
func TestRunChecksLastNeeds(t *testing.T) {
	asked := func(v guard.Verdict) func(context.Context, guard.Scene) ([]guard.Finding, error) {
		return func(context.Context, guard.Scene) ([]guard.Finding, error) { return []guard.Finding{{Verdict: v}}, nil }
	}
	var got []string
	for _, f := range RunChecks(t.Context(), guard.Scene{Plan: plan(t)}, []guard.Check{
		{ID: "last.bad", Last: true, Needs: []string{"first.bad"}, Run: asked(guard.Pass)},
		{ID: "last.good", Last: true, Needs: []string{"first.good"}, Run: asked(guard.Pass)},
		{ID: "last.both", Last: true, Needs: []string{"last.good", "last.bad"}, Run: asked(guard.Pass)},
		{ID: "first.bad", Run: asked(guard.Unknown)},
		{ID: "first.good", Run: asked(guard.Pass)},
	}, nil) {
		got = append(got, strings.TrimSpace(f.ID+" "+f.Verdict.String()+" "+f.Reason))
	}
	want := []string{
		"first.bad unknown", "first.good pass",
		"last.bad unknown not asked, because first.bad did not pass", "last.good pass",
		"last.both unknown not asked, because last.bad did not pass",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
