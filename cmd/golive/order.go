package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

func (p *program) rollbackCommand() *cobra.Command {
	var why string
	c := &cobra.Command{
		Use:   "rollback [ROLLOUT]",
		Short: "Take the traffic back by hand, verified",
		Long: `rollback takes all traffic from the new version and verifies that it is gone. A rollout that is under
way in another process is told to go back and is followed to its end; one that nobody guards any more is
taken over; without one, say which versions are meant.
Exit codes: 0 rolled back and verified, 11 not certain.`,
		Example: `  golive rollback                             # the rollout that is under way, or the latest one
  golive rollback 20261124-031207-v2 --why "customers complain"
  golive rollback --from v1 --to v2           # no rollout needed: v1 gets the traffic of v2`,
		Args: cobra.MaximumNArgs(1),
	}
	release := p.releaseFlags(c)
	c.Flags().StringVar(&why, "why", "", "the reason, for the journal")
	c.RunE = func(c *cobra.Command, args []string) error {
		if release.To != "" && len(args) == 0 {
			return p.rollBackByHand(c.Context(), *release)
		}
		var id string
		if len(args) == 1 {
			id = args[0]
		}
		h, err := p.history(id)
		if err != nil {
			return err
		}
		if h.over() {
			if h.State.Outcome != guard.Live && h.State.Outcome != guard.Unfinished && h.State.Outcome != guard.RollbackFailed {
				return fail(exitUsage, "the rollout of %s (%s) ended as %s: there is nothing to take back", h.State.Release.To, h.ID(), h.State.Outcome)
			}
			return p.rollBackByHand(c.Context(), h.State.Release)
		}
		_, err = p.rollBack(c.Context(), h, why)
		return err
	}
	return c
}

// rollBackByHand opens a history of its own, whose only purpose is to take the traffic back.
func (p *program) rollBackByHand(ctx context.Context, r guard.Release) error {
	if r.First() {
		return fail(exitUsage, "to which version? Say --from VERSION: it gets the traffic of %s back", r.To)
	}
	return p.take(ctx, r, guard.ToRollback)
}

// rollBack tells an unfinished history to go back, and stays until it is over: in the process that goes on
// with it, or here if nobody does.
func (p *program) rollBack(ctx context.Context, h *history, why string) (guard.State, error) {
	order := guard.Ordered{Verb: guard.OrderRollback, By: p.settings.By, Why: why}
	if h.Holder == (journal.Holder{}) {
		return p.resume(ctx, h, &order, true)
	}
	if err := post(h, order); err != nil {
		return h.State, err
	}
	return p.follow(ctx, h, true)
}

func (p *program) orderCommand() *cobra.Command {
	var why string
	verbs := make([]string, len(guard.Verbs))
	for i, v := range guard.Verbs {
		verbs[i] = string(v)
	}
	c := &cobra.Command{
		Use:   "order VERB [ROLLOUT]",
		Short: "Tell a rollout under way to hold, resume, proceed or roll back",
		Long: `order tells the process that runs a rollout what a person has decided: hold (take no further step),
resume, proceed (take the next step without enough evidence), or rollback. It is in the journal, with
your name, before it is obeyed.`,
		Example:   `  golive order hold --why "waiting for the batch job to end"`,
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: verbs,
	}
	c.Flags().StringVar(&why, "why", "", "the reason, for the journal")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !slices.Contains(verbs, args[0]) {
			return fail(exitUsage, "%q cannot be ordered: say one of %v", args[0], verbs)
		}
		var id string
		if len(args) == 2 {
			id = args[1]
		}
		h, err := p.history(id)
		if err != nil {
			return err
		}
		order := guard.Ordered{Verb: guard.Verb(args[0]), By: p.settings.By, Why: why}
		switch {
		case h.over():
			return fail(exitUsage, "the rollout of %s (%s) is over: %s", h.State.Release.To, h.ID(), h.State.Outcome)
		case h.Holder == (journal.Holder{}):
			return fail(exitUsage, "no process goes on with the rollout of %s (%s): golive %s --from %s --to %s does",
				h.State.Release.To, h.ID(), h.State.Purpose, h.State.Release.From, h.State.Release.To)
		}
		if err := post(h, order); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "ordered %s of %s (process %d)\n", order.Verb, h.ID(), h.Holder.PID)
		return nil
	}
	return c
}

// post leaves an order for the process that holds a history.
func post(h *history, o guard.Ordered) error {
	kind, data, err := guard.Event{Fact: o}.Encode()
	if err == nil {
		_, err = journal.Post(h.Path, kind, time.Now(), data)
	}
	if err != nil {
		return fail(exitInternal, "order %s: %w", o.Verb, err)
	}
	return nil
}

// follow shows a history that another process makes, until it is over or nobody goes on with it. Asked says
// that this call wants it taken back: if that process ends in the middle, this one goes on.
func (p *program) follow(ctx context.Context, h *history, asked bool) (guard.State, error) {
	view := p.view(h.Plan)
	defer view.close()
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	state := h.State
	for seen := len(h.Events); ; {
		latest, err := readHistory(h.Path)
		if err != nil {
			return h.State, fail(exitInternal, "%w", err)
		}
		for ; seen < len(latest.Events); seen++ {
			state = guard.Next(latest.Plan, state, latest.Events[seen])
			view.saw(latest.Events[seen], state)
		}
		switch h = latest; {
		case h.over():
			view.close()
			code := exitOf(h.State, "", asked)
			p.conclude(h, h.State, code)
			return h.State, quiet(code)
		case h.Holder == (journal.Holder{}) && asked:
			view.close()
			return p.resume(ctx, h, nil, true)
		case h.Holder == (journal.Holder{}):
			return h.State, fail(exitNoGo, "nobody goes on with the rollout of %s (%s), which is not over: %s", h.State.Release.To, h.ID(), h.State.Phase)
		}
		select {
		case <-poll.C:
		case <-p.signals:
			return h.State, quiet(exitInterrupted) // what is followed goes on
		case <-ctx.Done():
			return h.State, context.Cause(ctx)
		}
	}
}
