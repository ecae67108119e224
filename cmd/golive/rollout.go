package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
)

func (p *program) rolloutCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rollout --to VERSION [--from VERSION]",
		Short: "Take a version live, step by step, or back",
		Long: `rollout asks the checks, then gives the new version its shares of the traffic as the plan says,
watching both versions, and takes everything back when the new one does harm. Every fact is in the
journal before anything is done about it: started again after a crash, the same command goes on.

With --break-glass two people of the roster let it begin in spite of every check that can be waived: that is in
the journal, everybody is told, and an incident report is owed within 24 hours. The way back works as ever.

With --server the server guards: it opens the rollout by its own plan of the service, of which the plan here says the
name alone, and this call follows it to its end, through restarts of the server and from one server to the next. A call that
is repeated follows what is under way. The call may end, by Ctrl-C, by --detach, by losing the network: the rollout goes on.

A version that was taken back because it did harm is tried again for a reason alone (--again), which the ledger remembers.
If it goes wrong, and the plan says who answers then, it becomes an incident, which is open until somebody stands it down.
With --stay this call goes on with that; else it ends when the traffic is back, and golive respond goes on.

Ctrl-C takes the traffic back first; a second Ctrl-C leaves everything as it is. With --server it takes nothing back.
Exit codes: 0 live, 3 no-go, 5 could not find out, 6 deadline, 10 rolled back, 11 rollback failed or left as it is.`,
		Example: `  golive rollout --from v1.41.0 --to v1.42.0
  golive rollout --to v1                 # the first release: there is nothing to go back to
  golive rollout --from v1 --to v2 --break-glass "nobody can pay since 03:02" --by "Mei Lin" --approved-by "Wang Fang"
  golive rollout --from v1 --to v2 --again "the database has room again" --by "Mei Lin"
  golive rollout --from v1 --to v2 --server https://golive.example.com
  golive rollout --from v1 --to v2 --server https://a.example.com,https://b.example.com --service shop --detach`,
		Args: cobra.NoArgs,
	}
	release, glass, f := p.releaseFlags(c), p.glassFlags(c), p.farFlags(c)
	p.stayFlag(c)
	var again string
	c.Flags().StringVar(&again, "again", "", "try a version again that was taken back, for this reason; needs --by")
	c.Flags().BoolVar(&f.detach, "detach", false, "with --server: return once the server has the rollout")
	c.RunE = func(c *cobra.Command, _ []string) error {
		far, err := p.atServer(c, "break-glass", "by", "approved-by", "stay", "again")
		switch {
		case err != nil:
			return err
		case far:
			return p.takeFar(c.Context(), *release, guard.ToRollout, f)
		}
		if c.Flags().Changed("again") {
			if err := p.tryAgain(c.Context(), release.To, again, glass.by); err != nil {
				return err
			}
		}
		return p.take(c.Context(), *release, guard.ToRollout, glass)
	}
	return c
}

func (p *program) watchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "watch --to VERSION [--from VERSION]",
		Short: "Guard a rollout whose traffic another tool moves",
		Long: `watch measures while another tool gives the new version its traffic, and takes the traffic back when
the new version does harm. It ends when the new version has had all of the traffic for as long as
rollout.bake says, when somebody takes the traffic away, or when its time is over.

With --server the server watches, by its own plan of the service, and this call follows, as golive rollout --server does. With
--detach it hands the watch over and ends with exit code 0, which says that the server has it, and nothing of the new version.

With --server and --heartbeat this call watches, by the plan, the parts and the credentials of this machine, and the server
keeps its journal. If the server has not heard of it for three heartbeats, as when the runner of a pipeline dies, a server
goes on from the journal, by the same plan: for that the server has to be one that takes plans (golive serve --accept-plans),
since it then runs the commands of the plan, or to have the same plan itself. Otherwise it watches by its own plan from the
beginning. The token has to be good for as long as the call takes. A call that finds itself replaced follows to the end. Ctrl-C takes the traffic back, as without a server; a second
Ctrl-C leaves the rollout to the servers.`,
		Example: `  golive watch --from v1 --to v2
  golive watch --from v1 --to v2 --server https://golive.example.com
  golive watch --from v1 --to v2 --server https://golive.example.com --detach
  golive watch --from v1 --to v2 --server https://golive.example.com --heartbeat 30s`,
		Args: cobra.NoArgs,
	}
	release, f := p.releaseFlags(c), p.farFlags(c)
	p.stayFlag(c)
	c.Flags().BoolVar(&f.detach, "detach", false, "with --server: return once the server has the rollout")
	c.Flags().DurationVar(&f.heartbeat, "heartbeat", 0, "with --server: watch here, and have a server go on after three of these without a sign of life")
	c.RunE = func(c *cobra.Command, _ []string) error {
		far, err := p.atServer(c, "stay")
		switch {
		case err != nil:
			return err
		case c.Flags().Changed("heartbeat") && (f.heartbeat < time.Second || f.heartbeat > 5*time.Minute):
			return fail(exitUsage, "--heartbeat is from 1s to 5m")
		case far && f.heartbeat > 0:
			return p.guardFar(c.Context(), *release, guard.ToWatch, f)
		case far:
			return p.takeFar(c.Context(), *release, guard.ToWatch, f)
		}
		return p.take(c.Context(), *release, guard.ToWatch, nil)
	}
	return c
}

// stayFlag adds the flag that has a call stay with the incident that a rollout becomes.
func (p *program) stayFlag(c *cobra.Command) {
	c.Flags().BoolVar(&p.stay, "stay", false, "if it becomes an incident, stay until somebody stands that down; without, golive respond goes on with it")
}

// releaseFlags adds the flags that say what is to be released.
func (p *program) releaseFlags(c *cobra.Command) *guard.Release {
	r := &guard.Release{}
	c.Flags().StringVar(&r.To, "to", p.settings.To, "the new version ($GOLIVE_TO)")
	c.Flags().StringVar(&r.From, "from", p.settings.From, "the version that it replaces; none for a first release ($GOLIVE_FROM)")
	return r
}

// take begins a history for a release, or goes on with the one that it has already.
func (p *program) take(ctx context.Context, release guard.Release, purpose guard.Purpose, flags *glassFlags) error {
	defer p.deliver(ctx)
	if release.To == "" {
		return fail(exitUsage, "which version? Say --to VERSION, and --from VERSION unless it is the first")
	}
	plan, source, err := p.readPlan()
	if err != nil {
		old := p.interruptedWithout(release, purpose)
		if old == nil {
			return err
		}
		fmt.Fprintf(p.err, "%v\n%s goes on by the plan that it began with\n", err, old.ID())
		return p.goOn(ctx, old)
	}
	release.Service, release.Environment = plan.Service, plan.Environment
	if err := release.Validate(); err != nil {
		return fail(exitUsage, "%w", err)
	}
	glass, err := flags.broken(plan)
	if err != nil {
		return err
	}
	for {
		done, err := p.turn(ctx, release, turnTakes)
		if err != nil {
			return err
		}
		unfinished, broken := p.unfinished(release)
		switch {
		case broken != nil: // it may hold a rollout that is still under way
			done()
			return fail(exitInternal, "%w", broken)
		case len(unfinished) == 0:
			e, err := p.begin(ctx, plan, guard.Opened{
				Release: release, Purpose: purpose, Mode: plan.Mode, Plan: string(source), File: p.settings.Plan, Version: version(),
				BreakGlass: glass,
			}, done)
			return p.conclude(e, err, false)
		}
		done()
		for _, old := range unfinished {
			if old.State.Purpose == purpose && old.State.Release.From == release.From && old.State.Release.To == release.To {
				p.compare(old, plan)
				if glass != nil && old.State.BreakGlass == nil {
					fmt.Fprintf(p.err, "%s began without --break-glass, and goes on as it began\n", old.ID())
				}
				return p.goOn(ctx, old)
			}
		}
		if err := p.makeRoom(ctx, unfinished[0], plan.Rollout.OnNewRelease); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// goOn takes an old history up, and says how it ends.
func (p *program) goOn(ctx context.Context, old *history) error {
	e, err := p.resume(ctx, old, nil)
	return p.conclude(e, err, false)
}

// turnTakes is how long one process may hold up another while it begins, with plugins that are slow to start.
const turnTakes = time.Minute

// turn waits until no other process is about to begin a history of the service. The caller calls done once its
// own has begun; more than once does no harm.
func (p *program) turn(ctx context.Context, r guard.Release, patience time.Duration) (done func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fail(exitNoGo, "another golive has been beginning something with %s (%s) for %s", r.Service, r.Environment, patience))
	defer cancel()
	end, err := journal.Turn(ctx, p.settings.Journal, r.Service+"-"+r.Environment)
	var known *exit
	switch {
	case errors.As(err, &known):
		return nil, known
	case err != nil:
		return nil, fail(exitInternal, "%w", err)
	}
	return func() { _ = end() }, nil // closing it twice is an error that means nothing
}

// unfinished lists the histories of a service that are not over. The error is about journals that cannot be read.
func (p *program) unfinished(release guard.Release) ([]*history, error) {
	all, broken := p.histories()
	return slices.DeleteFunc(all, func(h *history) bool {
		r := h.State.Release
		return h.over() || r.Service != release.Service || r.Environment != release.Environment
	}), broken
}

// interruptedWithout finds the history of a release that is not over when there is no plan to say which service is
// meant: the only one that fits.
func (p *program) interruptedWithout(release guard.Release, purpose guard.Purpose) *history {
	all, _ := p.histories()
	all = slices.DeleteFunc(all, func(h *history) bool {
		r := h.State.Release
		return h.over() || h.State.Purpose != purpose || r.From != release.From || r.To != release.To
	})
	if len(all) != 1 {
		return nil
	}
	return all[0]
}

// makeRoom deals with another release that is still under way, as the plan says. How that one ends is told, and
// is no answer of ours.
func (p *program) makeRoom(ctx context.Context, old *history, policy string) error {
	r := old.State.Release
	switch {
	case policy == "queue" && old.Holder != (journal.Holder{}):
		fmt.Fprintf(p.err, "waiting for the rollout of %s (%s) to end\n", r.To, old.ID())
		e, err := p.follow(ctx, old, false)
		if err == nil {
			fmt.Fprintf(p.discreet(p.err, e.history.Plan), "%s: %s\n", e.history.ID(), verdict(e.state))
		}
		return err
	case policy == "supersede":
		fmt.Fprintf(p.err, "taking %s back first (%s): on_new_release is supersede\n", r.To, old.ID())
		e, err := p.order(ctx, old, wayBack{why: "another release supersedes it", noIncident: true})
		if err != nil {
			return err
		}
		fmt.Fprintf(p.discreet(p.err, e.history.Plan), "%s: %s\n", e.history.ID(), verdict(e.state))
		if e.state.Outcome == guard.RollbackFailed {
			return fail(exitRollbackFailed, "the way for the new release is not free: %s", verdict(e.state))
		}
		return nil
	}
	return fail(exitNoGo, "%s", p.underWay(old))
}

// underWay says that another release is still under way, and what can be done about it.
func (p *program) underWay(old *history) string {
	goOn := "Go on with it:   " + p.goOnWith(old)
	if old.Holder != (journal.Holder{}) {
		goOn = "Look:            " + p.call("status", old.ID())
	}
	return fmt.Sprintf("the %s of %s (%s) is not over yet (%s).\n%s\nor take it back: %s", old.State.Purpose,
		ink{}.change(old.State.Release), old.ID(), old.State.Phase, goOn, p.call("rollback", old.ID()))
}

// An ending is how a history ended.
type ending struct {
	history   *history
	state     guard.State
	signalled int   // exit code of the signal that was heard; 0 if none was
	unkept    error // why the journal could not be written
}

// begin opens a new history. It calls begun once the journal holds its beginning, or when nothing comes of it.
func (p *program) begin(ctx context.Context, plan *guard.Plan, opened guard.Opened, begun func()) (ending, error) {
	defer begun()
	parts, closeParts, err := p.parts(ctx, plan)
	if err != nil {
		return ending{}, err
	}
	defer closeParts()
	if opened.Purpose == guard.ToRollout {
		if err := p.fits(plan, parts); err != nil {
			return ending{}, err
		}
	}
	p.guarding.Lock()
	defer p.guarding.Unlock()
	if ctx.Err() != nil {
		return ending{}, context.Cause(ctx)
	}
	id := newID(time.Now(), opened.Release.To)
	opened.Release.ID = id
	path := filepath.Join(p.settings.Journal, id+journal.Extension)
	j, err := journal.Create(path)
	for n := 2; errors.Is(err, os.ErrExist); n++ { // somebody tried the same version in the same second
		opened.Release.ID = fmt.Sprintf("%s-%d", id, n)
		path = filepath.Join(p.settings.Journal, opened.Release.ID+journal.Extension)
		j, err = journal.Create(path)
	}
	if err != nil {
		return ending{}, fail(exitInternal, "%w", err)
	}
	defer func() { _ = j.Close() }() // every record is on the disk already
	return p.engage(ctx, &history{Path: path, Plan: plan}, parts, j, opened, nil, begun)
}

// resume takes an old history up again. An order, if there is one, is the first thing that it is told.
func (p *program) resume(ctx context.Context, h *history, order *guard.Ordered) (ending, error) {
	parts, closeParts, err := p.parts(ctx, h.Plan)
	if err != nil {
		return ending{}, err
	}
	defer closeParts()
	p.guarding.Lock()
	defer p.guarding.Unlock()
	if ctx.Err() != nil {
		return ending{}, context.Cause(ctx)
	}
	j, err := journal.Open(h.Path)
	var locked *journal.LockedError
	switch {
	case errors.As(err, &locked):
		return ending{}, fail(exitNoGo, "%w", err)
	case err != nil:
		return ending{}, fail(exitInternal, "%w", err)
	}
	defer func() { _ = j.Close() }()              // every record is on the disk already
	if h, err = readHistory(h.Path); err != nil { // now that nobody else adds to it
		return ending{}, fail(exitInternal, "%w", err)
	}
	return p.engage(ctx, h, parts, j, guard.Resumed{Version: version()}, order, func() {})
}

// engage runs a history to its end. It calls begun after the first fact.
func (p *program) engage(ctx context.Context, h *history, parts engine.Parts, j *journal.Journal, begin guard.Fact, order *guard.Ordered, begun func()) (ending, error) {
	view := p.view(h.Plan)
	defer view.close()
	tape := p.tape(h)
	defer tape.close()
	mirror := p.mirror(h.Plan)
	outside, listening := p.listen(ctx, h, order)
	defer outside.close()
	rollout := &engine.Rollout{
		Plan: h.Plan, Parts: parts, Journal: keeper{j}, Outside: outside.facts,
		Saw: func(e guard.Event, s guard.State) {
			begun()
			tape.saw(e, s)
			view.saw(e, s)
			mirror.saw(ctx, s)
			if leaves(e, s) {
				outside.leave()
			}
		},
		Found: view.found, Stay: p.stay,
	}
	p.handOn(p.step.began(h.ID()))
	state, err := rollout.Run(listening, h.Events, begin)
	view.close()
	outside.close()
	p.answered = p.ears.heard()
	e := ending{history: h, state: state, signalled: p.ears.code()}
	switch {
	case errors.Is(err, errStays) && state.Ended():
		fmt.Fprintf(p.err, "golive: left before everybody was told that the incident is over: %s\n", p.call("respond", h.asOf(state).ID()))
	case errors.Is(err, errStays):
		fmt.Fprintf(p.err, "golive: the incident stays open, and nobody goes on with it: %s\n", p.call("respond", h.asOf(state).ID()))
	case errors.Is(err, errLeft) && state.Phase == guard.Over:
		fmt.Fprintln(p.err, "golive: left before everybody was told")
	case errors.Is(err, errLeft):
		return e, p.left(h, state)
	case err != nil && state.Phase != guard.Over:
		return e, fail(exitInternal, "%w", err)
	default:
		e.unkept = err
	}
	return e, nil
}

// left says what stands when somebody insisted on leaving in the middle, and how to go on. It is not certain that
// the old version has the traffic.
func (p *program) left(h *history, s guard.State) error {
	h = h.asOf(s)
	fmt.Fprintf(p.err, `
LEFT AS IT IS, in the middle of %s: %s was last seen with %d %% of the traffic, and nobody guards it.
Go on:     %s
Take back: %s
Look:      %s
`, s.Phase, s.Release.To, s.Seen, p.goOnWith(h), p.again(h, s.Release), p.call("explain", h.ID()))
	p.handOn(p.step.ended(h, s, exitRollbackFailed))
	if p.settings.Output == asJSON {
		c := conclusion{h.account(), exitRollbackFailed}
		c.Outcome, c.Holder = outcomeLeft, nil
		if err := p.answerAbout(h.Plan, c); err != nil {
			fmt.Fprintf(p.err, "golive: %v\n", err)
		}
	}
	return quiet(exitRollbackFailed)
}

// outcomeLeft is how a rollout that nobody guards any more is answered for. It is no end: it can be taken up again.
const outcomeLeft guard.Outcome = "left"
