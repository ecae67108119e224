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

// outside is what reaches a history from elsewhere while it runs: orders of other processes, and signals.
// The first signal interrupts the rollout, which contains; the second ends ctx with errLeft.
type outside struct {
	ctx    context.Context
	facts  chan guard.Fact
	cancel context.CancelCauseFunc
	ears   sync.WaitGroup
	signal string // the first one; read it after close
}

// listen begins to listen for a history. Order, if there is one, is the first thing that is heard.
func (p *program) listen(ctx context.Context, h *history, order *guard.Ordered) *outside {
	o := &outside{facts: make(chan guard.Fact)}
	o.ctx, o.cancel = context.WithCancelCause(ctx)
	inbox := journal.Inbox{Path: h.Path}
	for _, e := range h.Events {
		if old, ok := e.Fact.(guard.Ordered); ok {
			inbox.Offset = max(inbox.Offset, old.Offset)
		}
	}
	o.ears.Go(func() {
		if order != nil {
			o.tell(*order)
		}
		poll := time.NewTicker(200 * time.Millisecond)
		defer poll.Stop()
		for {
			select {
			case s := <-p.signals:
				if o.signal != "" {
					o.cancel(errLeft)
					return
				}
				o.signal = s.String()
				fmt.Fprintf(p.err, "%s: taking the traffic back first; once more leaves everything as it is\n", s)
				o.tell(guard.Interrupted{Signal: o.signal})
			case <-poll.C:
				o.takeOrders(&inbox, p)
			case <-o.ctx.Done():
				return
			}
		}
	})
	return o
}

func (o *outside) tell(f guard.Fact) {
	select {
	case o.facts <- f:
	case <-o.ctx.Done():
	}
}

// close stops listening. It may be repeated.
func (o *outside) close() {
	o.cancel(nil)
	o.ears.Wait()
}

// takeOrders hands on what other processes have posted. An order is remembered with its place, so that it is
// not taken twice after a crash.
func (o *outside) takeOrders(inbox *journal.Inbox, p *program) {
	for {
		record, found, err := inbox.Take()
		if err != nil {
			fmt.Fprintf(p.err, "golive: an order could not be read: %v\n", err)
			continue
		}
		if !found {
			return
		}
		e, err := guard.Decode(record.At, record.Kind, record.Data)
		ordered, ok := e.Fact.(guard.Ordered)
		if err != nil || !ok {
			fmt.Fprintf(p.err, "golive: something that is no order was posted (%s): %v\n", record.Kind, err)
			continue
		}
		ordered.Offset = inbox.Offset
		o.tell(ordered)
	}
}
