package main

import (
	"errors"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
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
		a := report.Assessment{Mode: c.mode, Verdict: c.verdict}
		if got := exitCode(a, c.strict, c.over); got != c.want {
			t.Errorf("%s: exit code %d, want %d", name, got, c.want)
		}
	}
}
