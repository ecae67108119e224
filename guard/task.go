package guard

import (
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// A Task is something asked for and not yet answered. It may be begun more than once: every deed is safe to
// repeat. Delays, retries and deadlines are tasks with NotBefore.
type Task struct {
	ID        int       // never 0, which stands for the outside
	NotBefore time.Time // zero: at once
	Tries     int       // how often the deed was tried before in vain
	Deed      Deed
}

// A Deed is what a task asks for.
type Deed interface{ deed() }

type (
	// RunChecks asks all checks of the plan. Answer: Checked.
	RunChecks struct{}
	// Inspect asks the backend where the traffic is. Answer: Inspected.
	Inspect struct{}
	// Shift gives the new version a share of the traffic. Answer: Shifted.
	Shift struct{ Percent int }
	// Measure reads the source once, asks the backend where the traffic is, and lets the judge see the
	// reading as one tick of Step. Answer: Measured.
	Measure struct{ Step judge.Step }
	// Verify asks the backend and all probes of rollout.verify whether the old version is back. Answer: Verified.
	Verify struct{}
	// Finish tells the backend that the old version may be retired. Answer: Finished.
	Finish struct{}
	// Intervene runs a probe of the chapter recovery that changes something. Answer: Intervened.
	Intervene struct {
		Move Move
		N    int // of MoveResort and MoveRamp: the place in its list
	}
	// Gather keeps what evidence collects, as far as it comes until By. Answer: Gathered.
	Gather struct{ By time.Time }
	// Soak looks once whether the old version does well, by the limits of the plan and the probes of rollout.verify.
	// Answer: Soaked.
	Soak struct{ Began time.Time }
	// Tell sends a notice through one channel, by its place in plan.Notify. Answer: Told.
	Tell struct {
		Channel int
		Notice  Notice
		Tried   []int // the channels that could not deliver it before
	}
	// Remind asks for nothing but the moment to come at which something is owed. Answer: Elapsed.
	Remind struct {
		Kind  Due
		Until time.Time // of the obligation
	}
	// Escalate asks for nothing but the time of a step of plan.Escalate to come. Answer: Elapsed.
	Escalate struct{ N int }
	// Regrade asks for nothing but the moment to come at which a rule of severity may hold because time has passed.
	// Answer: Elapsed.
	Regrade struct{}
	// Wait asks for nothing but its time to come. It bounds a phase. Answer: Elapsed.
	Wait struct{}
)

func (RunChecks) deed() {}
func (Inspect) deed()   {}
func (Shift) deed()     {}
func (Measure) deed()   {}
func (Verify) deed()    {}
func (Finish) deed()    {}
func (Intervene) deed() {}
func (Gather) deed()    {}
func (Soak) deed()      {}
func (Tell) deed()      {}
func (Remind) deed()    {}
func (Escalate) deed()  {}
func (Regrade) deed()   {}

// A Move is what an Intervene does.
type Move string

const (
	MoveContain Move = "contain" // recovery.contain
	MoveResort  Move = "resort"  // recovery.resorts[N]
	MoveRamp    Move = "ramp"    // recovery.ramp[N]
)

func (Wait) deed() {}
