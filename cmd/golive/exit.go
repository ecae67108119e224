package main

import (
	"cmp"
	"fmt"

	"github.com/golive-dev/golive/guard"
)

// Exit codes. A script may branch on them.
const (
	exitOK             = 0 // go, or live
	exitInternal       = 1
	exitUsage          = 2 // the plan or the call is wrong
	exitNoGo           = 3
	exitWarnings       = 4 // with --fail-on warn
	exitUnknown        = 5 // it could not be found out: no-go
	exitDeadline       = 6
	exitRolledBack     = 10
	exitRollbackFailed = 11
	exitInterrupted    = 130
	exitTerminated     = 143
)

// An exit is an error that knows its exit code. Without an error of its own everything has been said already.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// fail is an error with an exit code.
func fail(code int, format string, args ...any) error {
	return &exit{code: code, err: fmt.Errorf(format, args...)}
}

// quiet ends with a code when everything has been said; 0 is success.
func quiet(code int) error {
	if code == exitOK {
		return nil
	}
	return &exit{code: code}
}

// exitOf is the exit code of a rollout that has ended. Signalled is the code of the signal that asked it to end,
// 0 if none did; asked says that it was this call that wanted the traffic back: then nothing but that is success.
func exitOf(s guard.State, signalled int, asked bool) int {
	interrupted := cmp.Or(signalled, exitInterrupted)
	byHand := s.Purpose == guard.ToRollback
	switch s.Outcome {
	case guard.RolledBack:
		switch {
		case asked, byHand:
			return exitOK
		case s.Cause == guard.CauseInterrupted:
			return interrupted
		}
		return exitRolledBack
	case guard.RollbackFailed, guard.ForwardOnly:
		return exitRollbackFailed
	case guard.Recovered:
		return exitRolledBack
	case guard.Stopped:
		switch {
		case asked && !byHand:
			return exitOK
		case signalled != 0 || byHand:
			return interrupted
		}
		return exitNoGo // a person called it off
	}
	if asked || byHand {
		return exitRollbackFailed // the new version may have the traffic still
	}
	switch s.Outcome {
	case guard.Live, guard.WouldRollBack: // who only observes fails nobody's pipeline
		return exitOK
	case guard.NoGo:
		return exitNoGo
	case guard.Unknowable:
		return exitUnknown
	case guard.Overdue, guard.Unfinished:
		return exitDeadline
	}
	return exitInternal
}
