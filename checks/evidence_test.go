package checks

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golive-dev/golive/guard"
)

func TestEvidenceReady(t *testing.T) {
	const two = "\nevidence: {budget: 30s, collect: [{use: command, with: {run: one}}, {use: command, with: {run: two}}]}"
	good := guard.Answer{Finding: guard.Finding{Verdict: guard.Pass, Title: "the command says yes"}}
	none := scene(t, "", good)
	refused := scene(t, two, good)
	refused.Ask = func(context.Context, guard.Question) (guard.Answer, error) { return good, errors.New("refused") }
	tell(t, []tale{
		{"both", evidenceReady, scene(t, two, good), "pass: command in evidence.collect[0]\npass: command in evidence.collect[1]"},
		{"none", evidenceReady, none, "fail: not configured: the plan does not say whether everything that is to be kept before going back (evidence.collect) can be had now, all of it within evidence.budget"},
		{"refused", evidenceReady, refused, "unknown: command in evidence.collect[0]: refused\nunknown: command in evidence.collect[1]: refused"},
	})
	findings, err := evidenceReady.Run(t.Context(), none)
	if err != nil {
		t.Fatal(err)
	}
	if want := `write [{use: command, with: {run: "journalctl --unit shop --since -10min"}}] in evidence.collect`; findings[0].Remedy != want {
		t.Errorf("remedy %q, want %q", findings[0].Remedy, want)
	}
}

// Going back waits for the evidence, and no longer than the budget.
func TestEvidenceInTime(t *testing.T) {
	for took, want := range map[time.Duration]guard.Verdict{30*time.Second - 1: guard.Pass, 30*time.Second + 1: guard.Fail} {
		synctest.Test(t, func(t *testing.T) {
			s := scene(t, "\nevidence: {budget: 30s, collect: [{use: command, with: {run: one}}]}", guard.Answer{})
			s.Ask = func(ctx context.Context, _ guard.Question) (guard.Answer, error) {
				select {
				case <-time.After(took):
					return guard.Answer{Finding: guard.Finding{Verdict: guard.Pass, Title: "the command says yes"}}, nil
				case <-ctx.Done():
					return guard.Answer{}, ctx.Err()
				}
			}
			findings, err := evidenceReady.Run(t.Context(), s)
			if err != nil || len(findings) != 1 || findings[0].Verdict != want {
				t.Errorf("evidence that takes %s: %+v, %v; want %s", took, findings, err, want)
			}
			if want == guard.Fail && findings[0].Reason != "it takes longer than 30s" {
				t.Errorf("reason %q", findings[0].Reason)
			}
			// An end that came from outside says nothing about the evidence.
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			findings, err = evidenceReady.Run(ctx, s)
			if err != nil || len(findings) != 1 || findings[0].Verdict != guard.Unknown {
				t.Errorf("a check that was cut short: %+v, %v", findings, err)
			}
		})
	}
}
