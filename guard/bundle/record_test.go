package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/bundle"
	"github.com/golive-dev/golive/guard/engine"
)

type run = func(context.Context, guard.Scene) ([]guard.Finding, error)

// asks is a check that passes if the tool is there.
func asks(tool string) run {
	return func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		answer, err := s.Ask(ctx, guard.Question{Tool: tool})
		f := guard.Finding{Verdict: guard.Pass, Observed: answer.Path}
		if err != nil {
			f.Verdict, f.Reason = guard.Unknown, err.Error()
		}
		return []guard.Finding{f}, nil
	}
}

// TestReplay runs checks with every kind of trouble, and sees that the bundle of it leads to the same findings.
func TestReplay(t *testing.T) {
	ours := []guard.Check{
		{ID: "a.pass", Run: asks("there")},
		{ID: "a.error", Run: asks("broken")},
		{ID: "a.hangs", Run: asks("slow")},
		{ID: "a.nan", Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			_, err := s.Ask(ctx, guard.Question{Readings: 1})
			return nil, err
		}},
		{ID: "a.time", Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
			return []guard.Finding{{Verdict: guard.Fail, Observed: s.Now.String() + fmt.Sprint(s.Remembers, s.Release)}}, nil
		}},
		{ID: "a.panics", Standard: guard.Advisory, Run: func(context.Context, guard.Scene) ([]guard.Finding, error) { panic("oops") }},
		{ID: "a.deaf", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
			time.Sleep(time.Hour)
			return nil, nil
		}},
		{ID: "a.mute", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) { return nil, nil }},
		{ID: "a.lies", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
			return []guard.Finding{{Verdict: 99}}, nil
		}},
		{ID: "a.needs", Needs: []string{"a.panics"}, Run: asks("never asked")},
		{ID: "a.meets", Needs: []string{"a.pass"}, Run: asks("there")},
		{ID: "a.off", Standard: guard.Off, Run: asks("there")},
	}
	foreign := []guard.Check{
		{ID: "b.mood", Code: "B1", Title: "it is well", Doc: "Asks.", Standard: guard.Advisory, Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
			return []guard.Finding{{Verdict: guard.Fail, Subject: "x"}, {Verdict: guard.Pass, Subject: "y"}}, nil
		}},
		{ID: "b.error", Code: "B2", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
			return nil, errors.New("no\x1bway")
		}},
		{ID: "b.needs", Code: "B3", Needs: []string{"b.error"}, Run: asks("never asked")},
	}
	world := func(ctx context.Context, q guard.Question) (guard.Answer, error) {
		switch {
		case q.Readings > 0:
			return guard.Answer{Readings: []guard.Reading{{Series: []guard.Series{{Total: math.NaN()}}}}}, nil
		case q.Tool == "there":
			return guard.Answer{Path: "/bin/there"}, nil
		case q.Tool == "slow":
			select {
			case <-time.After(10 * time.Second):
				return guard.Answer{}, errors.New("gave no answer in time")
			case <-ctx.Done():
				return guard.Answer{}, ctx.Err()
			}
		}
		return guard.Answer{}, errors.New("no such thing")
	}
	for _, limit := range []time.Duration{time.Hour, 5 * time.Second, time.Nanosecond} {
		t.Run(limit.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := &guard.Plan{Tier: guard.Standard, Service: "shop"}
				ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("it took too long"))
				defer cancel()
				r := &bundle.Recorder{}
				scene := r.Scene(guard.Scene{Plan: plan, Release: guard.Release{Service: "shop", To: "v2"}, Now: time.Now().UTC(), Remembers: true, Ask: world})
				all := append(append([]guard.Check(nil), ours...), foreign...)
				var heard []guard.Check
				for _, c := range all {
					heard = append(heard, r.Check(c))
				}
				want := engine.RunChecks(ctx, scene, heard, nil)
				m := bundle.Manifest{}
				if ctx.Err() != nil {
					m.Over = &bundle.Over{Code: 6, Reason: context.Cause(ctx).Error()}
				}
				isForeign := func(c guard.Check) bool { return strings.HasPrefix(c.ID, "b.") }
				var packed bytes.Buffer
				if err := r.Bundle(m, nil, all, isForeign, want).Write(&packed); err != nil {
					t.Fatal(err)
				}
				b, err := bundle.Read(&packed)
				if err != nil {
					t.Fatal(err)
				}
				again, err := b.All(ours)
				if err != nil {
					t.Fatal(err)
				}
				if err := b.Repeat(again); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				got := engine.RunChecks(t.Context(), b.Scene(plan), again, nil)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("it took %s", took)
				}
				for _, told := range b.Checks {
					if told.Check.ID == "a.pass" && limit == time.Hour {
						t.Error("a check that can be judged again was kept as it was")
					}
				}
				time.Sleep(2 * time.Hour) // until the deaf one is done
			})
		})
	}
}

// TestRounds sees that a check of an earlier round says what it said then.
func TestRounds(t *testing.T) {
	plan := &guard.Plan{}
	world := func(context.Context, guard.Question) (guard.Answer, error) { return guard.Answer{Path: "/bin/x"}, nil }
	checks := []guard.Check{{ID: "a.early", Run: asks("early")}, {ID: "a.late", Run: asks("late")}}
	first := &bundle.Recorder{}
	began := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	round := func(r *bundle.Recorder, at time.Time, checks ...guard.Check) []guard.Finding {
		scene := r.Scene(guard.Scene{Plan: plan, Release: guard.Release{To: "v2"}, Now: at, Ask: world})
		var heard []guard.Check
		for _, c := range checks {
			heard = append(heard, r.Check(c))
		}
		return engine.RunChecks(t.Context(), scene, heard, nil)
	}
	want := round(first, began, checks...)
	second := first.Next()
	want[1] = round(second, began.Add(time.Minute), checks[1])[0]
	round(second.Next(), began.Add(time.Hour), checks[1]) // does not count
	b := second.Bundle(bundle.Manifest{}, nil, checks, func(guard.Check) bool { return false }, want)
	all, err := b.All(checks)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Repeat(all); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, engine.RunChecks(t.Context(), b.Scene(plan), all, nil)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(b.Answers) != 2 || len(b.Checks) != 1 || b.Checks[0].Check.ID != "a.early" {
		t.Errorf("the bundle has %d answers and %d checks, want the answers of both rounds and what the last one does not have", len(b.Answers), len(b.Checks))
	}
}

// TestOtherPlan sees that another plan is judged by the latest answers of all rounds, and by nothing that a check said
// about the plan before.
func TestOtherPlan(t *testing.T) {
	type state struct {
		early, late string // what the tools' questions come to
		round       time.Duration
	}
	owned := func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		findings, err := asks("early")(ctx, s)
		if s.Plan.Owner == "" {
			findings[0].Verdict = guard.Fail
		}
		return findings, err
	}
	checks := []guard.Check{{ID: "a.early", Run: owned}, {ID: "a.late", Run: asks("late")}, {ID: "a.both", Run: asks("late")}}
	round := func(t *testing.T, r *bundle.Recorder, plan *guard.Plan, world state, checks ...guard.Check) {
		ctx, cancel := context.WithTimeout(t.Context(), world.round)
		defer cancel()
		scene := r.Scene(guard.Scene{Plan: plan, Release: guard.Release{To: "v2"}, Ask: func(ctx context.Context, q guard.Question) (guard.Answer, error) {
			path := map[string]string{"early": world.early, "late": world.late}[q.Tool]
			if path == "" {
				<-ctx.Done()
				return guard.Answer{}, ctx.Err()
			}
			return guard.Answer{Path: path}, nil
		}})
		var heard []guard.Check
		for _, c := range checks {
			heard = append(heard, r.Check(c))
		}
		engine.RunChecks(ctx, scene, heard, nil)
	}
	for name, test := range map[string]struct {
		again state
		want  string
	}{
		"a later answer":     {state{"", "/late/2", time.Hour}, "a.early fail /early/1, a.late pass /late/2, a.both pass /late/2"},
		"no answer any more": {state{"", "", time.Second}, "a.early fail /early/1, a.late unknown , a.both unknown "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := &bundle.Recorder{}
				plan := &guard.Plan{Owner: "us"}
				round(t, first, plan, state{"/early/1", "/late/1", time.Hour}, checks...)
				second := first.Next()
				round(t, second, plan, test.again, checks[1])
				b := second.Bundle(bundle.Manifest{}, nil, checks, func(guard.Check) bool { return false }, nil)
				all, err := b.All(checks)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range engine.RunChecks(t.Context(), b.Scene(&guard.Plan{}), all, nil) {
					got = append(got, fmt.Sprint(f.ID, " ", f.Verdict, " ", f.Observed))
				}
				if diff := cmp.Diff(test.want, strings.Join(got, ", ")); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}

// A bundle cannot speak for checks of ours that it does not have, nor in the name of one.
func TestAllRefuses(t *testing.T) {
	ours := []guard.Check{{Code: "GL1", ID: "a.b"}}
	for name, c := range map[string]struct {
		told bundle.Told
		want string
	}{
		"one of ours":     {bundle.Told{Check: guard.Check{Code: "X1", ID: "a.b"}, Foreign: true}, `the check "a.b" with the code "X1" is none of a plugin`},
		"a code of ours":  {bundle.Told{Check: guard.Check{Code: "GL1", ID: "x.y"}, Foreign: true}, "is none of a plugin"},
		"one of nobody":   {bundle.Told{Check: guard.Check{Code: "GL999", ID: "x.y"}, Foreign: true}, "is none of a plugin"},
		"no name":         {bundle.Told{Foreign: true}, "is none of a plugin"},
		"not ours":        {bundle.Told{Check: guard.Check{Code: "GL2", ID: "x.y"}}, `this golive has no check "x.y"`},
		"needs nobody":    {bundle.Told{Check: guard.Check{Code: "X1", ID: "x.y", Needs: []string{"z"}}, Foreign: true}, `needs "z"`},
		"a circle":        {bundle.Told{Check: guard.Check{Code: "X1", ID: "x.y", Needs: []string{"x.y"}}, Foreign: true}, "needs itself"},
		"with some of it": {bundle.Told{Check: guard.Check{Code: "GL1", ID: "x.y"}}, `this golive has no check "x.y"`},
	} {
		b := bundle.Bundle{Checks: []bundle.Told{c.told}}
		all, err := b.All(ours)
		if err == nil {
			err = b.Repeat(all)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.want)
		}
	}
}
