package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// errLeft is the cause when somebody insists on ending golive in the middle.
var errLeft = errors.New("left as it is")

// outside is what reaches a history from elsewhere while it runs: orders of other processes, and signals. The
// first signal interrupts the rollout, which contains; the second ends the context of listen with errLeft. Each
// has a goroutine of its own, so that none keeps another from being heard.
type outside struct {
	program *program
	facts   chan guard.Fact
	end     context.CancelCauseFunc
	ears    sync.WaitGroup
	trouble string // with the orders, as it was told
}

// listen begins to listen for a history. Order, if there is one, is the first thing that is heard. The context
// that it returns is not ended by the first signal: a rollout answers that in its own way.
func (p *program) listen(ctx context.Context, h *history, order *guard.Ordered) (*outside, context.Context) {
	ctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	o := &outside{program: p, facts: make(chan guard.Fact), end: end}
	o.ears.Go(func() { o.interrupt(ctx) })
	o.ears.Go(func() {
		select {
		case <-p.ears.insisted:
			end(errLeft)
		case <-ctx.Done():
		}
	})
	if h.Name != "" {
		return o, ctx // its orders come from a server
	}
	go o.obey(ctx, h, order) // nobody waits for it: a file may never let a reader go
	return o, ctx
}

// close stops listening. It may be repeated.
func (o *outside) close() {
	o.end(nil)
	o.ears.Wait()
}

// leave ends the run in its incident, whose traffic is dealt with.
func (o *outside) leave() { o.end(errStays) }

func (o *outside) tell(ctx context.Context, f guard.Fact) {
	select {
	case o.facts <- f:
	case <-ctx.Done():
	}
}

// interrupt hands on the first signal, and says when a second one would be taken for what it is.
func (o *outside) interrupt(ctx context.Context) {
	select {
	case <-o.program.ears.asked:
	case <-ctx.Done():
		return
	}
	o.tell(ctx, guard.Interrupted{Signal: o.program.ears.signal.String()})
	if o.program.step != nil {
		return // nobody insists there
	}
	repeats := time.NewTimer(meantAfter)
	defer repeats.Stop()
	select {
	case <-repeats.C:
		fmt.Fprintln(o.program.err, "golive: not over yet; Ctrl-C once more leaves everything as it is")
	case <-ctx.Done():
	}
}

// obey hands on the orders.
func (o *outside) obey(ctx context.Context, h *history, order *guard.Ordered) {
	inbox := inboxOf(h)
	if order != nil {
		o.tell(ctx, *order)
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-poll.C:
			o.takeOrders(ctx, &inbox)
		case <-ctx.Done():
			return
		}
	}
}

// pollEvery is how often files are looked at for what other processes have written.
const pollEvery = 200 * time.Millisecond

// takeOrders hands on what other processes have posted. An order is remembered with its place, so that it is
// not taken twice after a crash.
func (o *outside) takeOrders(ctx context.Context, inbox *journal.Inbox) {
	for {
		behind := inbox.Offset
		record, found, err := inbox.Take()
		if err != nil {
			o.complain(err)
			if inbox.Offset == behind {
				return // the next look may find it mended
			}
			continue
		}
		if !found {
			return
		}
		fact, err := understood(record, inbox.Offset)
		if err != nil {
			o.complain(err)
			continue
		}
		o.tell(ctx, fact)
	}
}

// understood is what another process has posted, with its place.
func understood(record journal.Record, offset int64) (guard.Fact, error) {
	e, err := guard.Decode(record.At, record.Kind, record.Data)
	if err != nil {
		return nil, err
	}
	if e.Fact = guard.Taken(e.Fact, offset); e.Offset() == 0 {
		return nil, fmt.Errorf("%s is nothing that can be told to a rollout", record.Kind)
	}
	return e.Fact, nil
}

// inboxOf is what others have told a history, from behind what it has taken.
func inboxOf(h *history) journal.Inbox {
	inbox := journal.Inbox{Path: h.Path}
	for _, e := range h.Events {
		inbox.Offset = max(inbox.Offset, e.Offset())
	}
	return inbox
}

// complain says what is wrong with the orders, once.
func (o *outside) complain(err error) {
	if text := err.Error(); text != o.trouble {
		o.trouble = text
		fmt.Fprintf(o.program.err, "golive: an order could not be read: %s\n", text)
	}
}
