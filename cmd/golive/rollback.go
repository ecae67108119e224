package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

func (p *program) rollbackCommand() *cobra.Command {
	var back wayBack
	c := &cobra.Command{
		Use:   "rollback [ROLLOUT]",
		Short: "Take the traffic back by hand, verified",
		Long: `rollback takes all traffic from the new version and verifies that it is gone. A rollout that is under
way in another process is told to go back and is followed to its end; one that nobody guards any more is
taken over; one that is over is taken back by a history of its own. Without a rollout, say which versions
are meant. Where the plan has people answer, taking a version back is an incident, which the next release waits for until it is
stood down, unless --no-incident says that nothing has gone wrong; if a reading or an alert speaks against the version it is one all the same. With --server all of this happens at the server, and this call follows; there a rollout whose way
back has failed goes back once more itself, as long as its incident is open. Neither a broken plan nor a broken journal is in the way: the latest plan that is known will do.
Exit codes: 0 rolled back and verified, 11 not certain.`,
		Example: `  golive rollback                             # the rollout that is under way, or the latest one
  golive rollback 20261124-031207-v2 --why "customers complain"
  golive rollback --no-incident --why "the campaign was put off"
  golive rollback --from v1 --to v2           # no rollout needed: v1 gets the traffic of v2
  golive rollback 20261124-031207-v2 --server https://golive.example.com`,
		Args: cobra.MaximumNArgs(1),
	}
	release := p.releaseFlags(c)
	c.Flags().StringVar(&back.why, "why", "", "the reason, for the journal")
	c.Flags().BoolVar(&back.force, "force", false, "go back even if the backend says that the way back is closed, or the plan that a migration cannot be undone")
	c.Flags().BoolVar(&back.noIncident, "no-incident", false, "nothing has gone wrong, for the reason in --why: nobody is called and nothing has to be stood down")
	f := p.farFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		far, err := p.atServer(c)
		switch {
		case err != nil:
			return err
		case back.noIncident && strings.TrimSpace(back.why) == "":
			return errReason
		case far:
			return p.rollbackFar(c.Context(), *release, strings.Join(args, ""), back, f)
		}
		defer p.deliver(c.Context())
		if release.To != "" && len(args) == 0 {
			return p.takeBack(c.Context(), *release, back)
		}
		var id string
		if len(args) == 1 {
			id = args[0]
		}
		h, err := p.history(id)
		if err != nil {
			return err
		}
		if !h.over() {
			return p.rollBack(c.Context(), h, back)
		}
		if nothingToTakeBack(h.State) {
			return fail(exitUsage, "the %s of %s (%s) ended as %s: there is nothing to take back", h.State.Purpose, h.State.Release.To, h.ID(), h.State.Outcome)
		}
		back.of = h
		return p.takeBack(c.Context(), h.State.Release, back)
	}
	return c
}

// errReason asks whoever says that nothing has gone wrong what it is about then.
var errReason = fail(exitUsage, `--no-incident: say why it is taken back, if nothing has gone wrong, as in --why "the campaign was put off"`)

// A wayBack is how traffic is to be taken back.
type wayBack struct {
	why        string
	force      bool
	noIncident bool
	of         *history // what is taken back; nil: no history is known
}

// nothingToTakeBack says that the new version of a rollout that is over has no traffic from it.
func nothingToTakeBack(s guard.State) bool {
	switch s.Outcome {
	case guard.RolledBack:
		return true
	case guard.NoGo, guard.Unknowable, guard.Stopped, guard.Overdue:
		return s.Purpose == guard.ToRollout && s.Mode != guard.Observe
	}
	return false
}

// rollBack tells an unfinished history to go back, and stays until it has. Where the order comes too late, or the
// history touches nothing, it goes back by a history of its own.
func (p *program) rollBack(ctx context.Context, h *history, back wayBack) error {
	e, err := p.order(ctx, h, back)
	if err != nil {
		return err
	}
	ended := e.state
	if ended.Outcome == guard.RollbackFailed || ended.Purpose == guard.ToRollback || nothingToTakeBack(ended) || ctx.Err() != nil {
		return p.conclude(e, nil, true)
	}
	fmt.Fprintf(p.err, "%s\nthat rollout took nothing back; going back all the same\n", verdict(ended))
	back.of = e.history
	return p.takeBack(ctx, ended.Release, back)
}

// order tells an unfinished history to go back, and stays until it is over: in the process that goes on with it,
// or here if nobody does.
func (p *program) order(ctx context.Context, h *history, back wayBack) (ending, error) {
	order := guard.Ordered{Verb: guard.OrderRollback, By: p.settings.By, Why: back.why, NoIncident: back.noIncident}
	if h.Holder == (journal.Holder{}) {
		order, _ = p.withoutSecrets(h, order).(guard.Ordered)
		return p.resume(ctx, h, &order)
	}
	if err := p.post(h, order); err != nil {
		return ending{}, fail(exitRollbackFailed, "%w; ask the process itself, which takes the traffic back when it is told to end: kill %d", err, h.Holder.PID)
	}
	return p.follow(ctx, h, true)
}

// hurry is how long an emergency waits for others.
const hurry = time.Second

// takeBack takes a version out of the traffic. Where a rollout has it there, that one goes back; otherwise a
// history is opened whose only purpose this is.
func (p *program) takeBack(ctx context.Context, release guard.Release, back wayBack) error {
	plan, opened, err := p.planFor(release, back.of)
	if err != nil {
		return err
	}
	release.Service, release.Environment = plan.Service, plan.Environment
	done, err := p.turn(ctx, release, hurry)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		fmt.Fprintf(p.err, "golive: not waiting for it: %v\n", err)
		done = func() {}
	}
	defer done()
	unfinished, broken := p.unfinished(release)
	if broken != nil {
		fmt.Fprintf(p.err, "golive: going back all the same: %v\n", broken)
	}
	for _, old := range unfinished {
		if r := old.State.Release; r.To == release.To {
			done()
			fmt.Fprintf(p.err, "the %s of %s is under way (%s): it is told to go back\n", old.State.Purpose, p.ink(p.err).change(r), old.ID())
			return p.rollBack(ctx, old, back)
		}
	}
	if len(unfinished) > 0 {
		return fail(exitNoGo, "%s", p.underWay(unfinished[0]))
	}
	if release.First() {
		return fail(exitUsage, "to which version? Say --from VERSION: it gets the traffic of %s back", release.To)
	}
	if err := release.Validate(); err != nil {
		return fail(exitUsage, "%w", err)
	}
	opened.Release, opened.Purpose, opened.Mode, opened.Force, opened.Version = release, guard.ToRollback, plan.Mode, back.force, version()
	opened.NoIncident = back.noIncident
	e, err := p.begin(ctx, plan, opened, done)
	return p.conclude(e, err, true)
}

// planFor is the plan by which a release is taken back: golive.yaml, or, where that cannot be read or is about
// another service, the plan of what is taken back, or of the latest history of the service.
func (p *program) planFor(release guard.Release, of *history) (*guard.Plan, guard.Opened, error) {
	plan, source, err := p.readPlan()
	same := of == nil || plan != nil && plan.Service == of.State.Release.Service && plan.Environment == of.State.Release.Environment
	if err == nil && same {
		return plan, guard.Opened{Plan: string(source), File: p.settings.Plan}, nil
	}
	if of == nil {
		if of = p.latestWith(release); of == nil {
			return nil, guard.Opened{}, err
		}
	}
	if err != nil {
		fmt.Fprintf(p.err, "%v\n", err)
	}
	fmt.Fprintf(p.err, "going back by the plan of %s\n", of.ID())
	began := of.Events[0].Fact.(guard.Opened) // no other history can be read
	return of.Plan, guard.Opened{Plan: began.Plan, File: began.File}, nil
}

// latestWith finds the latest history of the one service that has to do with a version; nil if there is none, or
// it could be several.
func (p *program) latestWith(release guard.Release) *history {
	all, _ := p.histories()
	with := slices.DeleteFunc(slices.Clone(all), func(h *history) bool { return h.State.Release.To != release.To })
	if len(with) == 0 {
		with = all
	}
	if len(with) == 0 {
		return nil
	}
	latest := with[len(with)-1]
	for _, h := range with {
		r, s := h.State.Release, latest.State.Release
		if r.Service != s.Service || r.Environment != s.Environment {
			return nil
		}
	}
	return latest
}
