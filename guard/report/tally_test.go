package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

func TestTally(t *testing.T) {
	of := func(verdicts ...guard.Verdict) (findings []guard.Finding) {
		for _, v := range verdicts {
			findings = append(findings, guard.Finding{Verdict: v})
		}
		return findings
	}
	for want, findings := range map[string][]guard.Finding{
		"no-go: nothing was checked":                 nil,
		"go: 1 passed":                               of(guard.Pass),
		"go: 2 warnings, 1 passed":                   of(guard.Warn, guard.Pass, guard.Warn),
		"no-go: 1 failed, 1 could not be found out":  of(guard.Unknown, guard.Fail),
		"no-go: 2 without enough evidence, 1 passed": of(guard.Waiting, guard.Waiting, guard.Pass),
		"no-go: 1 could not be found out, 1 warning": of(guard.Unknown, guard.Warn),
	} {
		if diff := cmp.Diff(want, TallyOf(findings).String()); diff != "" {
			t.Errorf("tally (-want +got):\n%s", diff)
		}
	}
}
