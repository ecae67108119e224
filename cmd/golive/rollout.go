package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

Ctrl-C takes the traffic back first; a second Ctrl-C leaves everything as it is.
Exit codes: 0 live, 3 no-go, 5 could not find out, 6 deadline, 10 rolled back, 11 rollback failed.`,
		Example: `  golive rollout --from v1.41.0 --to v1.42.0
  golive rollout --to v1                 # the first release: there is nothing to go back to`,
		Args: cobra.NoArgs,
	}
	release := p.releaseFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return p.take(c.Context(), *release, guard.ToRollout) }
	return c
}

func (p *program) watchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "watch --to VERSION [--from VERSION]",
		Short: "Guard a rollout whose traffic another tool moves",
		Long: `watch measures while another tool gives the new version its traffic, and takes the traffic back when
the new version does harm. It ends when the new version has had all of the traffic for as long as
rollout.bake says, when somebody takes the traffic away, or when its time is over.`,
		Example: `  golive watch --from v1 --to v2`,
		Args:    cobra.NoArgs,
	}
	release := p.releaseFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return p.take(c.Context(), *release, guard.ToWatch) }
	return c
}

// releaseFlags adds the flags that say what is to be released.
func (p *program) releaseFlags(c *cobra.Command) *guard.Release {
	r := &guard.Release{}
	c.Flags().StringVar(&r.To, "to", p.settings.To, "the new version ($GOLIVE_TO)")
	c.Flags().StringVar(&r.From, "from", p.settings.From, "the version that it replaces; none for a first release ($GOLIVE_FROM)")
	return r
}

// readPlan reads and parses the plan that this call is about.
func (p *program) readPlan() (*guard.Plan, []byte, error) {
	source, err := os.ReadFile(p.settings.Plan)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fail(exitUsage, "there is no %s: write one with golive init, or say where it is with --plan", p.settings.Plan)
	}
	if err != nil {
		return nil, nil, fail(exitUsage, "%w", err)
	}
	plan, err := guard.ParsePlan(p.settings.Plan, source)
	if err != nil {
		return nil, nil, fail(exitUsage, "%w", err)
	}
	return plan, source, nil
}

// take begins a history for a release, or goes on with the one that it has already.
func (p *program) take(ctx context.Context, release guard.Release, purpose guard.Purpose) error {
	plan, source, err := p.readPlan()
	if err != nil {
		return err
	}
	if release.To == "" {
		return fail(exitUsage, "which version? Say --to VERSION, and --from VERSION unless it is the first")
	}
	release.Service, release.Environment = plan.Service, plan.Environment
	if err := release.Validate(); err != nil {
		return fail(exitUsage, "%w", err)
	}
	unfinished, err := p.unfinished(plan)
	if err != nil {
		return err
	}
	if old := unfinished; old != nil {
		if old.State.Purpose == purpose && old.State.Release.From == release.From && old.State.Release.To == release.To {
			_, err := p.resume(ctx, old, nil, false)
			return err
		}
		if err := p.makeRoom(ctx, old, plan.Rollout.OnNewRelease); err != nil {
			return err
		}
	}
	release.ID = newID(time.Now(), release.To)
	return p.begin(ctx, plan, guard.Opened{
		Release: release, Purpose: purpose, Mode: plan.Mode, Plan: string(source), File: p.settings.Plan, Version: version(),
	})
}

// unfinished is the history of the plan's service that is not over yet, if there is one.
func (p *program) unfinished(plan *guard.Plan) (*history, error) {
	all, broken := p.histories()
	if broken != nil {
		// It may hold a rollout that is still under way.
		return nil, fail(exitInternal, "%w", broken)
	}
	for _, h := range all {
		r := h.State.Release
		if !h.over() && r.Service == plan.Service && r.Environment == plan.Environment {
			return h, nil
		}
	}
	return nil, nil
}

// makeRoom deals with another release that is still under way, as the plan says.
func (p *program) makeRoom(ctx context.Context, old *history, policy string) error {
	r := old.State.Release
	switch policy {
	case "queue":
		fmt.Fprintf(p.err, "waiting for the rollout of %s (%s) to end\n", r.To, old.ID())
		_, err := p.follow(ctx, old, false)
		return err
	case "supersede":
		fmt.Fprintf(p.err, "taking %s back first (%s): on_new_release is supersede\n", r.To, old.ID())
		ended, err := p.rollBack(ctx, old, "another release supersedes it")
		if err == nil && ended.Outcome != guard.RolledBack && ended.Outcome != guard.Stopped {
			err = fail(exitRollbackFailed, "the rollout of %s ended as %s: %s", r.To, ended.Outcome, ended.Why)
		}
		return err
	}
	return fail(exitNoGo, `the rollout from %s to %s (%s) is not over yet (%s).
Go on with it:  golive rollout --from %[1]s --to %[2]s
or take it back: golive rollback %[3]s`, r.From, r.To, old.ID(), old.State.Phase)
}

// begin opens a new history.
func (p *program) begin(ctx context.Context, plan *guard.Plan, opened guard.Opened) error {
	parts, closeParts, err := p.parts(ctx, plan)
	if err != nil {
		return err
	}
	defer closeParts()
	id := opened.Release.ID
	path := filepath.Join(p.settings.Journal, id+journal.Extension)
	j, err := journal.Create(path)
	for n := 2; errors.Is(err, os.ErrExist); n++ { // somebody tried the same version in the same second
		opened.Release.ID = fmt.Sprintf("%s-%d", id, n)
		path = filepath.Join(p.settings.Journal, opened.Release.ID+journal.Extension)
		j, err = journal.Create(path)
	}
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	defer func() { _ = j.Close() }() // every record is on the disk already
	_, err = p.engage(ctx, &history{Path: path, Plan: plan}, parts, j, opened, nil, false)
	return err
}

// resume takes an old history up again. An order, if there is one, is the first thing that it is told; asked
// says that this call wants it taken back.
func (p *program) resume(ctx context.Context, h *history, order *guard.Ordered, asked bool) (guard.State, error) {
	parts, closeParts, err := p.parts(ctx, h.Plan)
	if err != nil {
		return h.State, err
	}
	defer closeParts()
	j, err := journal.Open(h.Path)
	var locked *journal.LockedError
	switch {
	case errors.As(err, &locked):
		return h.State, fail(exitNoGo, "%w", err)
	case err != nil:
		return h.State, fail(exitInternal, "%w", err)
	}
	defer func() { _ = j.Close() }()              // every record is on the disk already
	if h, err = readHistory(h.Path); err != nil { // now that nobody else adds to it
		return guard.State{}, fail(exitInternal, "%w", err)
	}
	return p.engage(ctx, h, parts, j, guard.Resumed{Version: version()}, order, asked)
}

// engage runs a history to its end and says how it ended.
func (p *program) engage(ctx context.Context, h *history, parts engine.Parts, j *journal.Journal, begin guard.Fact, order *guard.Ordered, asked bool) (guard.State, error) {
	view := p.view(h.Plan)
	defer view.close()
	tape := p.tape(h)
	defer tape.close()
	outside := p.listen(ctx, h, order)
	defer outside.close()
	rollout := &engine.Rollout{
		Plan: h.Plan, Parts: parts, Journal: keeper{j}, Outside: outside.facts,
		Saw: func(e guard.Event, s guard.State) {
			tape.saw(e, s)
			view.saw(e, s)
		},
		Found: view.found,
	}
	state, err := rollout.Run(outside.ctx, h.Events, begin)
	view.close()
	outside.close()
	switch {
	case errors.Is(err, errLeft):
		return state, p.left(h, state, outside.signal)
	case err != nil && state.Phase != guard.Over:
		return state, fail(exitInternal, "%w", err)
	case err != nil:
		fmt.Fprintf(p.err, "golive: %v\n", err)
	}
	code := exitOf(state, outside.signal, asked)
	if err != nil && code == exitOK {
		code = exitInternal // it went well, but nothing proves it
	}
	p.conclude(h, state, code)
	return state, quiet(code)
}

// left says what stands when somebody insisted on leaving in the middle, and how to go on.
func (p *program) left(h *history, s guard.State, signal string) error {
	r := s.Release
	fmt.Fprintf(p.err, `
LEFT AS IT IS, in the middle of %s: %s was last seen with %d %% of the traffic, and nobody guards it.
Go on:     golive %s --from %s --to %s
Take back: golive rollback %s
Look:      golive explain %s
`, s.Phase, r.To, s.Seen, s.Purpose, r.From, r.To, h.ID(), h.ID())
	return quiet(exitOf(guard.State{Outcome: guard.Stopped}, signal, false))
}
