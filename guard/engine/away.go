package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
)

// ErrAway says that the journal gave no answer. A Journal that returns it, wrapped, does not know whether the fact was
// kept: the same Append is repeated before any other, until it has an answer. Meanwhile nothing moves forward, and
// everything that leads back goes on.
var ErrAway = errors.New("the journal gave no answer")

// ErrFenced says that somebody else owns the rollout now. Who has lost it stops at once, and moves nothing any more:
// the new owner guards.
var ErrFenced = errors.New("another process has taken over this rollout")

const (
	repeatAtFirst = 100 * time.Millisecond // before an append is repeated; it doubles
	repeatAtMost  = 2 * time.Second
)

// A backlog is what is not known to be kept by a journal that is away, in order.
type backlog struct {
	records  []record
	since    time.Time // it is away since then
	why      error
	pause    time.Duration // before the first is repeated
	busy     bool          // an append is under way, or waits for its pause to be over
	appended chan error    // its answer
	renewed  bool          // it went away again while the phase was given its whole time
}

// A record is one call of Append.
type record struct {
	at   time.Time
	kind string
	data json.RawMessage
}

// away says that there are facts not known to be kept. Nothing is kept any more once the journal cannot be written, or
// belongs to somebody else.
func (r *run) away() bool {
	return len(r.backlog.records) > 0 && r.broken == nil && r.fenced == nil
}

// goAway begins a backlog.
func (r *run) goAway(first record, why error) {
	r.backlog.records = []record{first}
	r.backlog.since, r.backlog.why, r.backlog.pause, r.backlog.renewed = r.now(), why, repeatAtFirst, r.renewing
	if r.Away != nil {
		r.Away(why)
	}
}

// repeat appends the first fact of the backlog again, after the pause. There is one append at a time.
func (r *run) repeat(ctx context.Context) {
	if !r.away() || r.backlog.busy {
		return
	}
	first, pause, appended := r.backlog.records[0], r.backlog.pause, r.backlog.appended
	r.backlog.busy = true
	r.running.Go(func() {
		wait := time.NewTimer(pause)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return
		}
		err := r.Journal.Append(first.at, first.kind, first.data)
		select {
		case appended <- err:
		case <-ctx.Done():
		}
	})
}

// repeated takes the answer to the append of repeat.
func (r *run) repeated(err error) {
	b := &r.backlog
	b.busy = false
	switch {
	case err == nil:
		b.records, b.pause = b.records[1:], 0
		if len(b.records) == 0 {
			r.comeBack()
		}
	case errors.Is(err, ErrFenced):
		r.fenced = err
	case errors.Is(err, ErrAway):
		b.why, b.pause = err, min(max(2*b.pause, repeatAtFirst), repeatAtMost)
	default:
		r.broken = fmt.Errorf("%w: %w", ErrJournal, err)
		r.giveUp()
	}
}

// comeBack goes on once everything is kept again.
func (r *run) comeBack() {
	if r.Away != nil {
		r.Away(nil)
	}
	if r.halted.IsZero() {
		r.renew()
	}
}

// renew gives a phase whose time stood still its whole time again. A store that fails at every first try would have it
// begin again for ever, so that it is not given twice before it was over.
func (r *run) renew() {
	if !standsStill(r.state.Phase) || r.backlog.renewed && r.now().Before(r.state.Until) {
		return
	}
	r.renewing = true
	r.see(0, guard.Resumed{Version: r.version, Fence: r.state.Fence, Unmoved: !r.begun})
	r.renewing = false
}

// look asks whether traffic may move forward, and goes on where it may again.
func (r *run) look() {
	if r.MayAdvance == nil {
		return
	}
	switch past := time.Since(r.MayAdvance()); {
	case past >= 0 && r.halted.IsZero():
		r.halted = r.now().Add(-past)
		if len(r.backlog.records) == 0 {
			r.backlog.renewed = r.renewing
		}
	case past < 0 && !r.halted.IsZero():
		r.halted = time.Time{}
		if len(r.backlog.records) == 0 {
			r.renew()
		}
	}
}

// lookAgain is how long it may take until it is seen that traffic may move forward again, or not any more.
const lookAgain = time.Second

// errHalted is why a move forward is given up under way.
var errHalted = errors.New("no traffic may move forward before this process is known to own the rollout")

// whileItMay ends a move forward once Rollout.MayAdvance forbids it. The loop, which may wait for the journal, does not
// have to be there for that.
func (r *run) whileItMay(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if !time.Now().Before(r.MayAdvance()) {
		cancel(errHalted)
	}
	r.running.Go(func() {
		for {
			left := time.Until(r.MayAdvance())
			if left <= 0 {
				cancel(errHalted)
				return
			}
			again := time.NewTimer(min(left, lookAgain))
			select {
			case <-again.C:
			case <-ctx.Done():
				again.Stop()
				return
			}
		}
	})
	return ctx, func() { cancel(nil) }
}

// forward says that a deed gives the new version traffic, or may take the old one away.
func forward(d guard.Deed) bool {
	shift, ok := d.(guard.Shift)
	return ok && shift.Percent > 0 || d == guard.Deed(guard.Finish{})
}

// standsStill says that the time of a phase does not pass while the journal is away, or while nothing may move forward,
// for what it waits for may not go on.
func standsStill(p guard.Phase) bool {
	return p == guard.Checking || p == guard.Shifting || p == guard.Finishing || p == guard.Ramping
}

// ramps says that a deed lets traffic in again that was kept out. That leads forward, if only to the old version.
func ramps(d guard.Deed) bool {
	intervene, ok := d.(guard.Intervene)
	return ok && intervene.Move == guard.MoveRamp
}

// barred says that a task may not begin before every fact is kept, or before this process is known to own the rollout:
// forward needs both, back never does. Where the traffic was last seen says nothing if somebody else may have moved it
// since, so that a process which may not go forward gives the new version no share at all.
func (r *run) barred(t guard.Task) bool {
	away, halted := len(r.backlog.records) > 0, !r.halted.IsZero()
	switch d := t.Deed.(type) {
	case guard.Shift:
		return away && d.Percent > r.state.Seen || halted && d.Percent > 0
	case guard.Finish:
		return away || halted
	case guard.Intervene:
		return ramps(d) && (away || halted)
	case guard.Wait:
		return (away || halted) && r.broken == nil && standsStill(r.state.Phase)
	}
	return false
}

// tooLong is when a rollout goes back that waits in the middle of a move, for the journal or to be known to own it, and
// whose new version nobody watches; never is the zero time.
func (r *run) tooLong() (at time.Time) {
	unwatched := (r.away() || !r.halted.IsZero() && r.broken == nil) && slices.ContainsFunc(r.state.Todo, func(t guard.Task) bool {
		_, ok := t.Deed.(guard.Shift)
		return ok && r.barred(t) && (r.state.Seen > 0 || r.begun)
	})
	if !unwatched {
		return at
	}
	at = r.halted
	if r.away() && (at.IsZero() || r.backlog.since.Before(at)) {
		at = r.backlog.since
	}
	if at.Before(r.state.Since) {
		at = r.state.Since
	}
	return at.Add(guard.BlindAtMost)
}

// abandon goes back when that lasts for too long.
func (r *run) abandon() {
	if at := r.tooLong(); !at.IsZero() && !r.now().Before(at) {
		why := errHalted
		if r.away() {
			why = r.backlog.why
		}
		text := fmt.Sprintf("nobody could watch %s for %s: %v", r.state.Release.To, guard.Duration(guard.BlindAtMost), why)
		r.see(0, guard.Ordered{Verb: guard.OrderRollback, By: "golive", Why: text})
	}
}

// unkept is the error of a run that ends although facts are not known to be kept.
func (r *run) unkept() error {
	if !r.away() {
		return nil
	}
	return fmt.Errorf("%d of its latest facts may not be kept: %w", len(r.backlog.records), r.backlog.why)
}
