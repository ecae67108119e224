// Package engine does what guard decides: it starts the tasks that are due, writes down what came of them,
// and asks guard what is next. What is to be remembered is durable before anything is done about it.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A Journal keeps facts. Append returns once they are durable, and is not called twice at a time. Nothing is decided
// while the first try of a fact takes, so that it has to be short. After an error that wraps ErrAway it is not known
// whether the fact was kept: the same call is repeated before any other, and a fact that was kept is not kept twice.
// ErrFenced: somebody else owns the history, and every later Append must fail too. After any other error it is not
// known either whether the fact was kept, and every later Append must fail too.
type Journal interface {
	Append(at time.Time, kind string, data json.RawMessage) error
}

// Parts are what the plan names, made.
type Parts struct {
	Backend   guard.Backend
	Source    guard.Source
	Fallback  guard.Source     // asked when Source cannot be; nil: there is none
	Verify    []guard.Probe    // one for each of rollout.verify
	Notifiers []guard.Notifier // one for each of notify
	Checks    []guard.Check
	Vault     func(guard.Part) (guard.Vault, error) // makes the vaults that checks ask for
	Probe     func(guard.Part) (guard.Probe, error) // and the probes
	Ledger    func() (guard.Ledger, error)          // reads what is remembered
	Plans     func() ([]string, error)              // finds the other plans for the same service
	Restorer  func(guard.Part) (guard.Restorer, error)

	// What follows is for when it goes wrong. What is nil there is missing, and does no harm by that.
	Contain guard.Probe   // recovery.contain
	Ramp    []guard.Probe // one for each of recovery.ramp
	// Resort makes recovery.resorts[n] when it is needed.
	Resort  func(ctx context.Context, n int, r guard.Release) (Resort, error)
	Collect []Collector // one for each of evidence.collect
	// Keep keeps a piece of evidence, without any secrets. It may be called from several goroutines.
	Keep func(ctx context.Context, name string, content []byte) (guard.Exhibit, error)
	// OnDuty names who is on duty at a moment.
	OnDuty func(ctx context.Context, at time.Time) (names []string, err error)
}

// A Rollout is one history in the making.
type Rollout struct {
	Plan    *guard.Plan
	Parts   Parts
	Journal Journal
	// Outside brings orders and interruptions while the rollout runs.
	Outside <-chan guard.Fact
	// Saw is told of each event once it is durable, or waits to be while the journal is away, in order, with the state
	// it led to. It must be quick.
	Saw func(guard.Event, guard.State)
	// Found is told of each finding of the checks, in the order of the plan, as soon as it may be printed.
	Found func(guard.Finding)
	// Away is told why the journal gives no answer when that begins, and nil when everything is kept again. It must be
	// quick.
	Away func(why error)
	// MayAdvance is until when this process is known to own the rollout, by the monotonic clock; nil: always. Once that is
	// past, no traffic moves forward and none that moves goes on, since somebody else may guard by now; the time of the
	// phase stands still until it is in the future again. What leads back goes on. It is asked often, from several
	// goroutines, and must be quick.
	MayAdvance func() time.Time
	// Stay has Run go on after the rollout is over, until the incident that it has become is stood down and everybody was told
	// so, or could not be, however often that was tried: about six minutes, and longer where a channel gives no answer.
	// Without it the timers of an incident run as long as there is something else to do, and its notices are tried for 20
	// seconds; whoever takes up the history goes on with them.
	Stay bool
	// Reply makes the address at which a person can take a notice on, and is asked at each delivery: the address may be used
	// by whoever has it, so that it is in no task and no journal. Empty: there is none; nil: there are none at all.
	Reply func(n guard.Notice) string
}

// ErrJournal says that the journal could not be written. The rollout went back, unrecorded.
var ErrJournal = errors.New("the journal cannot be written")

// Run goes on from the past, which is empty for a new history, by one fact: Opened for a new history, Resumed
// for an old one. It returns the state in which the rollout ended. When ctx is cancelled it stops where it
// is, and returns that state and the cause; the same history can be taken up again later. The error wraps ErrAway when
// facts may not be kept, ErrFenced when somebody else goes on with the rollout, and ErrJournal when it went back
// because the journal cannot be written.
func (r *Rollout) Run(ctx context.Context, past []guard.Event, begin guard.Fact) (guard.State, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	run := &run{Rollout: r, state: guard.Fold(r.Plan, past), tasks: map[int]*task{}, answers: make(chan answer)}
	run.backlog.appended = make(chan error)
	release := run.state.Release
	switch f := begin.(type) {
	case guard.Opened:
		release, run.version = f.Release, f.Version
	case guard.Resumed:
		run.version = f.Version
	}
	if err := run.watcher.replay(r.Plan, past, release); err != nil {
		cancel(err)
		return run.state, err
	}
	defer run.running.Wait()
	defer cancel(nil)
	run.pace.begin(run.state.At)
	run.begun = run.state.Phase != "" && run.state.Phase != guard.Checking
	run.see(0, begin)
	return run.state, errors.Join(run.loop(ctx), run.broken)
}

// loop owns the state until the rollout is over and everybody was told; if it is to stay, until the incident that it has
// become is over, too.
func (r *run) loop(ctx context.Context) error {
	var ended time.Time // seen by this process: a notice that the last one did not deliver is tried again
	for {
		r.abandon()
		r.cancelDropped()
		r.start(ctx)
		if r.fenced != nil {
			return r.fenced
		}
		switch phase := r.state.Phase; {
		case r.stays():
			ended = time.Time{}
		case phase == guard.Over:
			if ended.IsZero() {
				ended = time.Now()
			}
			if (!r.busy() || time.Since(ended) > tellAfter && !r.insists()) && !r.away() {
				return nil
			}
		case r.busy() || r.away():
			ended = time.Time{} // somebody may have had it taken back once more
		case phase == "": // not even the beginning could be kept
			return nil
		default:
			return fmt.Errorf("%s is neither over nor waiting for anything: this is a mistake in golive", phase)
		}
		r.repeat(ctx)
		wake := time.NewTimer(max(0, r.nextDue().Sub(r.now())))
		select {
		case a := <-r.answers:
			delete(r.tasks, a.task)
			r.see(a.task, a.fact)
		case err := <-r.backlog.appended:
			r.repeated(err)
		case f, open := <-r.Outside:
			if !open {
				r.Outside = nil
				break
			}
			r.see(0, f)
		case <-wake.C:
		case <-ctx.Done():
			wake.Stop()
			if err := r.unkept(); err != nil {
				return errors.Join(context.Cause(ctx), err)
			}
			return context.Cause(ctx)
		}
		wake.Stop()
	}
}

// stays says that a rollout that is over goes on for the incident that it has become. Nobody stays for what is not
// recorded any more.
func (r *run) stays() bool {
	return r.Stay && r.state.Phase == guard.Over && !r.state.Ended() && r.broken == nil
}

// insists says that whoever stays with an incident does so until its notices are delivered, or guard has given them up.
func (r *run) insists() bool { return r.Stay && r.broken == nil && r.state.Untold() > 0 }
