package guard

import (
	"context"
	"errors"
	"time"
)

// A Desk is where deploy tools are heard: golive serve keeps one, and each hook of a tool speaks to it. Whatever it
// answers without an error is durable. A delivery that comes again gets the answer of the first and changes nothing.
// Open, Tell and Check are refused with ErrForbidden to a caller who has no right to that for the service.
type Desk interface {
	// Open begins a rollout of r by the plan of its service and environment, and returns its name. An empty environment
	// stands for the only plan that the service has. ErrNoPlan: there is none, or more than one to choose from;
	// an UnderWayError: another rollout of the service is not over, or its incident is not stood down; it names that. Any
	// other error is temporary.
	// A watch that is in the way of the watch of another version is concluded first, for that version is deployed.
	Open(ctx context.Context, d Delivery, r Release, purpose Purpose) (id string, err error)
	// Tell hands a fact from outside to a rollout: Ordered, Voted, Noted, Acknowledged or Stated. ErrNoRollout: it is not
	// known; ErrOver: it is over, and nothing can be told to it any more. Of a rollout whose incident goes on
	// after it that is so of Ordered and Voted alone. Any other error is temporary.
	Tell(ctx context.Context, d Delivery, id string, f Fact) error
	// Find returns the name of the latest rollout of a service; where Environment, From or To of r is set, only of
	// that. ErrNoRollout: there is none.
	Find(ctx context.Context, r Release) (id string, err error)
	// Get returns the plan that a rollout began with, and where it stands. ErrNoRollout: it is not known.
	Get(ctx context.Context, id string) (*Plan, State, error)
	// Plan returns the plan that Open and Check go by. ErrNoPlan as in Open.
	Plan(r Release) (*Plan, error)
	// Check asks the checks whether r may begin, or returns what they said within the last minute. ErrNoPlan as in Open.
	Check(ctx context.Context, r Release) ([]Finding, error)
}

// What a desk says no to. These answers do not change by asking again.
var (
	ErrNoPlan    = errors.New("no plan is for this")
	ErrNoRollout = errors.New("there is no such rollout")
	ErrOver      = errors.New("the rollout is over")
	ErrForbidden = errors.New("whoever asks may not do this")
)

// An UnderWayError says that another rollout of the same service and environment is not over.
type UnderWayError struct {
	ID       string
	Incident bool // its traffic is back, and the incident that it became is not stood down
	Telling  bool // it is over, and not everybody was told so yet
}

func (e *UnderWayError) Error() string {
	switch {
	case e.Incident:
		return "the incident of the rollout " + e.ID + " of the same service is not stood down yet: stand it down first"
	case e.Telling:
		return "the rollout " + e.ID + " of the same service is over, and golive still tells people so: try again in a few minutes"
	}
	return "the rollout " + e.ID + " of the same service is not over yet"
}

// A Delivery is one message from outside, as it came in.
type Delivery struct {
	ID     string    // the same for every repeat of it, and for nothing else: "flagger/rollback/85d557f47b"
	Source string    // the tool: "flagger"
	By     string    // who has proved to be allowed to send it; never what the message says
	At     time.Time // when it came
	Body   []byte    // as it came, for the records; it holds no secret
}
