package checktest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

type ask = func(context.Context, guard.Question) (guard.Answer, error)

// pass and unknown are findings that nothing is wrong with.
var (
	pass    = guard.Finding{Verdict: guard.Pass, Title: "the tool is there", Expected: "a path", Observed: "/bin/tool"}
	unknown = guard.Finding{Title: "the tool is there", Reason: "nobody knows", Remedy: "look again"}
)

// changed is a finding after f.
func changed(finding guard.Finding, f func(*guard.Finding)) guard.Finding {
	f(&finding)
	return finding
}

// The suite has to see every way in which a check can break its contract, and to leave a good one alone.
func TestProblems(t *testing.T) {
	toolAnd := func(judge func(guard.Answer, error) guard.Finding) func(context.Context, guard.Scene) ([]guard.Finding, error) {
		return func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			answer, err := s.Ask(ctx, guard.Question{Tool: "tool"})
			return []guard.Finding{judge(answer, err)}, nil
		}
	}
	always := func(findings ...guard.Finding) func(context.Context, guard.Scene) ([]guard.Finding, error) {
		return func(context.Context, guard.Scene) ([]guard.Finding, error) { return findings, nil }
	}
	runs := 0
	for _, tc := range []struct {
		name string
		run  func(context.Context, guard.Scene) ([]guard.Finding, error)
		want string // part of a problem; empty if there is none
	}{
		{"good", toolAnd(func(a guard.Answer, err error) guard.Finding {
			if err != nil || a.Path == "" {
				return unknown
			}
			return pass
		}), ""},
		{"good, with an error", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			_, err := s.Ask(ctx, guard.Question{Tool: "tool"})
			return []guard.Finding{changed(pass, func(f *guard.Finding) { f.Verdict = guard.Fail; f.Reason = "no"; f.Remedy = "yes" })}, err
		}, ""},
		{"deaf to errors", toolAnd(func(a guard.Answer, err error) guard.Finding {
			if a.Path == "" {
				return unknown
			}
			return pass
		}), `an error beside a good answer to {"tool":"tool"}: the verdict is pass`},
		{"content with nothing", toolAnd(func(a guard.Answer, err error) guard.Finding {
			if err != nil {
				return unknown
			}
			return pass
		}), "an empty answer"},
		{"content with a warning", toolAnd(func(a guard.Answer, err error) guard.Finding {
			if err != nil {
				return changed(unknown, func(f *guard.Finding) { f.Verdict = guard.Warn })
			}
			return pass
		}), "a refusal"},
		{"believes percentages", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			a, err := s.Ask(ctx, guard.Question{Standing: true})
			if err != nil || !a.Standing.Undo.Open {
				return []guard.Finding{unknown}, nil
			}
			return []guard.Finding{pass}, nil
		}, "an answer that cannot be"},
		{"believes times", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			a, err := s.Ask(ctx, guard.Question{Backups: &guard.Part{Use: "file"}})
			if err != nil || len(a.Backups) == 0 || a.Backups[0].Bytes < 0 {
				return []guard.Finding{unknown}, nil
			}
			return []guard.Finding{pass}, nil
		}, "an answer without times"},
		{"believes clocks", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			a, err := s.Ask(ctx, guard.Question{Clock: true})
			if err != nil || a.Clock == (guard.Skew{}) {
				return []guard.Finding{unknown}, nil
			}
			return []guard.Finding{pass}, nil
		}, `an answer that cannot be to {"clock":true}`},
		{"content with half", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			a, err := s.Ask(ctx, guard.Question{Readings: 2})
			if err != nil || len(a.Readings) == 0 || a.Readings[0].At.IsZero() || a.Readings[0].Series[0].Total != 7 {
				return []guard.Finding{unknown}, nil
			}
			return []guard.Finding{pass}, nil
		}, "half an answer"},
		{"asks outside its context", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			_, err := s.Ask(context.WithoutCancel(ctx), guard.Question{Tool: "tool"})
			return []guard.Finding{unknown}, err
		}, "it asks without the context that it was given"},
		{"asks for two things", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			_, err := s.Ask(ctx, guard.Question{Standing: true, Readings: 1})
			return []guard.Finding{unknown}, err
		}, "has 2 fields"},
		{"hides one trouble behind another answer", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			_, one := s.Ask(ctx, guard.Question{Tool: "tool"})
			_, two := s.Ask(ctx, guard.Question{Standing: true})
			if one != nil && two != nil {
				return []guard.Finding{unknown}, nil
			}
			return []guard.Finding{pass}, nil
		}, `a refusal to {"tool":"tool"}`},
		{"passes one of two on no answer", func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			s.Ask(ctx, guard.Question{Tool: "tool"})
			return []guard.Finding{unknown, changed(pass, func(f *guard.Finding) {
				f.Subject, f.Evidence = "the other", []guard.Evidence{{Asked: "tool"}}
			})}, nil
		}, `a refusal: "the tool is there" rests on an answer and is pass`},
		{"fickle", func(context.Context, guard.Scene) ([]guard.Finding, error) {
			runs++
			return []guard.Finding{changed(pass, func(f *guard.Finding) { f.Observed = strings.Repeat("x", runs) })}, nil
		}, "the same answers lead to other findings"},
		{"changes the plan", func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
			s.Plan.Service += "!"
			return []guard.Finding{pass}, nil
		}, "it changes its scene"},
		{"panics", func(context.Context, guard.Scene) ([]guard.Finding, error) { panic("at the disco") }, "it panics: at the disco"},
		{"silent", always(), "it has nothing to say"},
		{"repeats itself", always(pass, pass), `there are two findings about ""`},
		{"unheard of", always(changed(pass, func(f *guard.Finding) { f.Verdict = 9 })), "there is no such verdict"},
		{"no sentence", always(changed(pass, func(f *guard.Finding) { f.Title = "tool present" })), "the title is not a sentence"},
		{"full stop", always(changed(unknown, func(f *guard.Finding) { f.Reason = "It is not." })), "a text ends in a full stop"},
		{"complains about a pass", always(changed(pass, func(f *guard.Finding) { f.Reason = "hm" })), "a pass needs neither"},
		{"mute about a pass", always(changed(pass, func(f *guard.Finding) { f.Observed = "" })), "a pass has to say"},
		{"no reason", always(changed(unknown, func(f *guard.Finding) { f.Reason = "" })), "the reason is missing"},
		{"no remedy", always(changed(unknown, func(f *guard.Finding) { f.Remedy = "" })), "the remedy is missing"},
		{"paints the terminal", always(changed(unknown, func(f *guard.Finding) { f.Reason = "\x1b[31mred" })), "control characters"},
		{"endless", always(changed(pass, func(f *guard.Finding) { f.Observed = strings.Repeat("x", 2001) })), "a text is not bounded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := time.Unix(1, 0)
			reading := guard.Reading{At: at, Series: []guard.Series{{Signal: "errors", Arm: guard.Baseline, At: at, Total: 7}}}
			var world ask = func(context.Context, guard.Question) (guard.Answer, error) {
				return guard.Answer{
					Standing: guard.Standing{Undo: guard.Undo{Open: true}},
					Readings: []guard.Reading{reading, reading},
					Clock:    guard.Skew{Within: time.Second},
					Backups:  []guard.Backup{{ID: "nightly", Ended: at, Bytes: 1}},
					Path:     "/bin/tool",
				}, nil
			}
			c := guard.Check{Code: "T1", ID: "tool", Doc: "It asks for the tool.", Run: tc.run}
			got := Problems(t.Context(), c, guard.Scene{Plan: &guard.Plan{}, Ask: world})
			if tc.want == "" && len(got) > 0 {
				t.Errorf("problems with a good check: %q", got)
			}
			if !slices.ContainsFunc(got, func(problem string) bool { return strings.Contains(problem, tc.want) }) && tc.want != "" {
				t.Errorf("no problem %q in %q", tc.want, got)
			}
		})
	}
}

func TestProblemsOfTheCheckItself(t *testing.T) {
	c := guard.Check{Run: func(context.Context, guard.Scene) ([]guard.Finding, error) { return []guard.Finding{pass}, nil }}
	want := []string{"it needs a code, an ID and a doc"}
	if got := Problems(t.Context(), c, guard.Scene{Plan: &guard.Plan{}}); !slices.Equal(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
}
