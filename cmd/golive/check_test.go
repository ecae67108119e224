package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

func TestExitCodeOfCheck(t *testing.T) {
	deadline := fail(exitDeadline, "too late")
	for name, c := range map[string]struct {
		mode    guard.Mode
		verdict guard.Verdict
		strict  bool
		over    error
		want    int
	}{
		"go":                        {guard.Enforce, guard.Pass, false, nil, exitOK},
		"a warning":                 {guard.Enforce, guard.Warn, false, nil, exitOK},
		"a warning that counts":     {guard.Enforce, guard.Warn, true, nil, exitWarnings},
		"no-go":                     {guard.Enforce, guard.Fail, false, nil, exitNoGo},
		"could not find out":        {guard.Enforce, guard.Unknown, false, nil, exitUnknown},
		"not enough evidence":       {guard.Enforce, guard.Waiting, false, nil, exitUnknown},
		"a verdict that is none":    {guard.Enforce, guard.Verdict(99), false, nil, exitUnknown},
		"no-go, observed":           {guard.Observe, guard.Fail, true, nil, exitOK},
		"time is over":              {guard.Enforce, guard.Unknown, false, deadline, exitDeadline},
		"time is over for observer": {guard.Observe, guard.Unknown, false, deadline, exitDeadline},
		"cancelled by nobody known": {guard.Enforce, guard.Unknown, false, errors.New("gone"), exitUnknown},
	} {
		a := assessment{Mode: c.mode, Verdict: c.verdict}
		if got := a.exitCode(c.strict, c.over); got != c.want {
			t.Errorf("%s: exit code %d, want %d", name, got, c.want)
		}
	}
}

func TestSum(t *testing.T) {
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
		if diff := cmp.Diff(want, tallyOf(findings).String()); diff != "" {
			t.Errorf("sum (-want +got):\n%s", diff)
		}
	}
}
