package main

import (
	"testing"

	"github.com/golive-dev/golive/guard"
)

// TestExitOfAnOrder holds whoever wanted the traffic back to having it: nothing else ends with success.
func TestExitOfAnOrder(t *testing.T) {
	for _, o := range []guard.Outcome{
		"", guard.Live, guard.Unfinished, guard.NoGo, guard.Unknowable, guard.Overdue, guard.Stopped, guard.RolledBack, guard.RollbackFailed, guard.WouldRollBack,
	} {
		for _, c := range []struct {
			purpose guard.Purpose
			asked   bool
			want    int
		}{
			{guard.ToRollout, true, exitRollbackFailed},
			{guard.ToWatch, true, exitRollbackFailed},
			{guard.ToRollback, true, exitRollbackFailed},
			{guard.ToRollback, false, exitRollbackFailed},
		} {
			switch {
			case o == guard.RolledBack, o == guard.Stopped && c.purpose != guard.ToRollback:
				c.want = exitOK
			case o == guard.Stopped:
				c.want = exitTerminated // nothing was taken back, because a signal came first
			}
			if got := exitOf(guard.State{Outcome: o, Purpose: c.purpose}, exitTerminated, c.asked); got != c.want {
				t.Errorf("%s that ended as %q, asked %v: exit code %d, want %d", c.purpose, o, c.asked, got, c.want)
			}
		}
	}
}
