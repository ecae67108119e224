package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

func (p *program) respondCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "respond [ROLLOUT]",
		Short: "Go on with an open incident that nobody goes on with",
		Long: `respond keeps the times of an incident when the traffic is back: who is called next, what is owed and by when, how often
people hear how it goes. It shows what happens, and hears what others say by golive ack, cause, severity, contacted, sign-off
and stand-down. It ends when somebody has stood the incident down and everybody who had heard of it was told so. Of one that was
stood down while a channel was away it sends the notices that are left.

Ctrl-C leaves the incident open, and loses nothing: what has come due in the meantime is done by whoever goes on with it, or
by the next golive rollout. Exit codes: 0 stood down, 2 there is none, 3 another process goes on with it, 130 or 143 left open.`,
		Example: `  golive respond
  golive respond 20261124-031207-v2`,
		Args: cobra.MaximumNArgs(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if p.settings.Server != "" {
			return fail(exitUsage, "a server goes on with its incidents by itself: golive status --server URL shows them")
		}
		h, err := p.openIncident(strings.Join(args, ""))
		if err != nil {
			return err
		}
		p.stay = true
		defer p.deliver(c.Context())
		e, err := p.resume(c.Context(), h, nil)
		if err != nil {
			return err
		}
		return p.concludeIncident(e)
	}
	return c
}

// openIncident is the incident that is named, or the latest that is open.
func (p *program) openIncident(id string) (*history, error) {
	if id == "" {
		all, broken := p.histories()
		if broken != nil {
			fmt.Fprintf(p.err, "golive: %v\n", broken)
		}
		for _, h := range slices.Backward(all) {
			if h.State.Incident.Open() {
				return unheld(h)
			}
		}
		for _, h := range slices.Backward(all) {
			if h.State.Untold() > 0 {
				return unheld(h)
			}
		}
		return nil, fail(exitUsage, "no incident is open in %s: golive status lists what there was", p.settings.Journal)
	}
	h, err := p.history(id)
	switch {
	case err != nil:
		return nil, err
	case h.State.Incident.Began.IsZero():
		return nil, fail(exitUsage, "the %s of %s (%s) has become no incident", h.State.Purpose, h.State.Release.To, h.ID())
	case !h.State.Incident.Open() && h.State.Untold() == 0:
		return nil, fail(exitUsage, "the incident of %s (%s) was stood down by %s", h.State.Release.To, h.ID(), somebody(h.State.Incident.StoodBy))
	}
	return unheld(h)
}

// unheld is an incident that no process goes on with. Its notices may be all that is left of it.
func unheld(h *history) (*history, error) {
	if h.Holder != (journal.Holder{}) {
		return nil, fail(exitNoGo, "process %d goes on with the incident of %s (%s) already", h.Holder.PID, h.State.Release.To, h.ID())
	}
	return h, nil
}

// errStays is the cause when golive is asked to end while an incident is open whose traffic is dealt with.
var errStays = errors.New("the incident stays open")

// concludeIncident answers how an incident ended, or that it goes on.
func (p *program) concludeIncident(e ending) error {
	code := exitOK
	if e.state.Incident.Open() {
		code = e.signalled
	}
	if e.unkept != nil {
		fmt.Fprintf(p.err, "golive: %v\n", e.unkept)
		code = exitInternal
	}
	if notice, owed := e.state.Incident.Owes(guard.DueNotice); owed && notice.Open() {
		fmt.Fprintln(p.err, "golive: not everybody who has heard of the incident could be told that it is over: tell them")
	}
	p.tellEnd(e.history.asOf(e.state), e.state, code)
	return quiet(code)
}

// leaves says that an event ends a process that stays with an incident, or with the notices that it is over: it was asked to
// end, and the traffic is dealt with.
func leaves(e guard.Event, s guard.State) bool {
	_, asked := e.Fact.(guard.Interrupted)
	return asked && s.Phase == guard.Over && (s.Incident.Open() || s.Untold() > 0)
}

// againHolds is for how long a reason to try a version once more is one.
const againHolds = 24 * time.Hour

// tryAgain writes down why a version that did harm may be tried once more, before it is.
func (p *program) tryAgain(ctx context.Context, to, reason, by string) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	if to == "" {
		return fail(exitUsage, "which version is tried again? Say --to VERSION")
	}
	if guard.Placeholder(reason) {
		return fail(exitUsage, "--again: %q is no reason (write what is different now)", reason)
	}
	if err := p.inRoster(plan, by); err != nil {
		return err
	}
	e := guard.Entry{
		At: time.Now().UTC().Round(0), Act: guard.Attested, Kind: guard.KindAgain, Subject: to, Service: plan.Service, Environment: plan.Environment, By: by,
		Says: guard.Line(reason, longestNote), Plan: plan.Digest(),
	}
	e.Until = e.At.Add(againHolds)
	return p.remember(ctx, e)
}
