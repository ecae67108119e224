package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
)

// A rollbackDrill says what is shifted forth and back, and where.
type rollbackDrill struct {
	release    guard.Release
	production bool
	yes        bool
}

func (p *program) drillRollbackCommand() *cobra.Command {
	var d rollbackDrill
	c := &cobra.Command{
		Use:   "rollback --from OLD --to NEW",
		Short: "Give the new version a percent of the traffic, take it back, and take the time",
		Long: `drill rollback goes the way back for real: it gives the new version one percent of the traffic, or the smallest share
that the backend can give, takes it back, verifies that as a rollback does, and takes the time. It does so at the backend of
rollout.rehearsal. With --production it does so at rollout.backend, where customers are: it asks for the name of the service first,
or for --yes where nobody can be asked.

Nothing is moved unless all is steady: the way back is open, the new version has no traffic, the metrics can be read and are as
usual, and rollout.verify passes. Everything is put back whatever happens, also after Ctrl-C; a drill that was cut off is put back by
the next one. A rollout of the service is never disturbed.

How it went is written to the ledger as drill.rollback, with the time. A drill that was begun and not carried through has failed.
Exit codes: 0 passed, 3 not passed or not begun, 11 not everything could be put back.`,
		Example: `  golive drill rollback --from v1 --to v2
  golive drill rollback --from v1 --to v2 --production --yes`,
		Args: cobra.NoArgs,
	}
	release, flags := p.releaseFlags(c), p.drillFlags(c)
	c.Flags().BoolVar(&d.production, "production", false, "at rollout.backend, where customers are")
	c.Flags().BoolVar(&d.yes, "yes", false, "with --production: ask nobody")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := flags.check(); err != nil {
			return err
		}
		d.release = *release
		return p.drillRollback(c.Context(), d, flags)
	}
	return c
}

func (p *program) drillRollback(ctx context.Context, d rollbackDrill, flags *drillFlags) error {
	plan, source, err := p.readPlan()
	if err != nil {
		return err
	}
	r := d.release
	r.Service, r.Environment = plan.Service, plan.Environment
	switch err := r.Validate(); {
	case err != nil:
		return fail(exitUsage, "%w", err)
	case r.First():
		return fail(exitUsage, "to which version does it go back? Say --from VERSION")
	case d.yes && !d.production:
		return fail(exitUsage, "--yes means something with --production only")
	case !d.production && plan.Rollout.Rehearsal == nil:
		return fail(exitUsage, "%sthe plan names no target on which the way back can be rehearsed: add rehearsal: {use: %s, with: {...}}, or say --production",
			at(plan, "rollout"), plan.Rollout.Backend.Use)
	}
	done, err := p.turn(ctx, r, turnTakes) // held to the end: no rollout begins meanwhile
	if err != nil {
		return err
	}
	defer done()
	if unfinished, broken := p.unfinished(r); broken != nil {
		return fail(exitInternal, "%w", broken)
	} else if len(unfinished) > 0 {
		return fail(exitNoGo, "nothing is rehearsed beside a rollout: %s", p.underWay(unfinished[0]))
	}
	if err := p.clearDrills(ctx, r); err != nil {
		return err
	}
	if d.production {
		if err := p.confirm(plan, r, d.yes); err != nil {
			return err
		}
	}
	r.ID = newID(time.Now(), r.To)
	parts, closeParts, err := p.parts(ctx, rehearsed(plan, d.production))
	if err != nil {
		return err
	}
	defer closeParts()
	p.guarding.Lock() // what was begun is put back, also when golive is asked to end
	defer p.guarding.Unlock()
	run := &backAndForth{program: p, plan: plan, parts: parts, release: r, began: time.Now().UTC().Round(0)}
	run.exercise = guard.Exercise{
		ID: r.ID, Kind: "rollback", Scenario: "bad_release", Scripted: true, Began: run.began,
		Objectives: []string{"the old version has all of the traffic again, verified, within the RTO"},
		Scope:      fmt.Sprintf("%s (%s), at the target of rollout.rehearsal", plan.Service, plan.Environment),
		Targets:    guard.Spans{Recover: plan.Objectives.RTO},
	}
	if d.production {
		run.exercise.Scope = fmt.Sprintf("%s (%s), in production", plan.Service, plan.Environment)
	}
	flags.add(&run.exercise)
	return run.all(ctx, string(source), d.production, flags.findings)
}

// rehearsed is the plan with the target of the drill as its backend.
func rehearsed(plan *guard.Plan, production bool) *guard.Plan {
	if production {
		return plan
	}
	other := *plan
	other.Rollout.Backend = *plan.Rollout.Rehearsal
	return &other
}

// confirm asks for the name of the service: whoever types it knows where customers will be.
func (p *program) confirm(plan *guard.Plan, r guard.Release, yes bool) error {
	if yes {
		return nil
	}
	fmt.Fprintf(p.err, "%s will have a small share of the traffic of %s (%s) for a moment, customers among it.\nType the name of the service to go on:\n", r.To, plan.Service, plan.Environment)
	line, err := bufio.NewReader(p.in).ReadString('\n')
	if strings.TrimSpace(line) != plan.Service {
		if err != nil && line == "" {
			return fail(exitUsage, "nobody has confirmed it: say --yes where nobody can be asked")
		}
		return fail(exitUsage, "that is not the name of the service; nothing was moved")
	}
	return nil
}

// backAndForth is one drill of the way back while it is made.
type backAndForth struct {
	*program
	plan     *guard.Plan
	parts    engine.Parts
	release  guard.Release
	began    time.Time
	journal  *journal.Journal
	exercise guard.Exercise
	seq      int64
}

// A drillRecord is what the journal of such a drill holds: enough to put everything back after a crash.
type drillRecord struct {
	Release    guard.Release   `json:"release,omitzero"` // of the first
	Production bool            `json:"production,omitempty"`
	Plan       string          `json:"plan,omitempty"` // its text
	File       string          `json:"file,omitempty"`
	Percent    int             `json:"percent"`
	Problem    string          `json:"problem,omitempty"`
	Exercise   *guard.Exercise `json:"exercise,omitempty"` // of the last
}

// The kinds of the records of a drill, in their order.
const (
	drillBegan = "drill-began"
	drillMoves = "drill-moves" // the share is about to be asked for
	drillMoved = "drill-moved"
	drillEnded = "drill-ended"
)

// drillsDir is where the journals of drills lie, beside those of rollouts.
func (p *program) drillsDir() string { return filepath.Join(p.settings.Journal, "drills") }

// note writes a record, which is on the disk before anything is done about it.
func (b *backAndForth) note(kind string, r drillRecord) error {
	r.Problem = b.secrets.clean(r.Problem)
	_, err := b.journal.Append(kind, time.Now().UTC().Round(0), r)
	return err
}

// moment says what happens, and remembers it.
func (b *backAndForth) moment(format string, args ...any) {
	text := b.secrets.clean(fmt.Sprintf(format, args...))
	b.exercise.Timeline = append(b.exercise.Timeline, guard.Moment{At: time.Now().UTC().Round(0), Who: "golive", What: text})
	fmt.Fprintln(b.err, text)
}

// all makes the drill, and writes down how it went.
func (b *backAndForth) all(ctx context.Context, plan string, production bool, findings []string) error {
	standing, before := b.steady(ctx)
	b.exercise.Before = before
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if verdict := guard.Worst(before); verdict != guard.Pass && verdict != guard.Warn {
		b.exercise.Aborted = "it was not steady, so nothing was moved"
		return b.end(ctx, findings)
	}
	var err error
	if b.journal, err = journal.Create(filepath.Join(b.drillsDir(), b.release.ID+journal.Extension)); err != nil {
		return fail(exitInternal, "%w", err)
	}
	defer func() { _ = b.journal.Close() }() // every record is on the disk already
	if err := b.note(drillBegan, drillRecord{Release: b.release, Production: production, Plan: plan, File: b.settings.Plan}); err != nil {
		return fail(exitInternal, "%w", err)
	}
	share := smallest(standing)
	b.moment("giving %s %d %% of the traffic", b.release.To, share)
	forth := b.move(ctx, share, b.plan.Rollout.Deadline.Shift.Std())
	switch {
	case ctx.Err() != nil:
		b.exercise.Aborted = "golive was asked to end"
	case forth != nil:
		b.exercise.Aborted = forth.Error()
	default:
		b.moment("%s has it; taking it back", b.release.To)
	}
	back := time.Now()
	problem := b.putBack(ctx)
	took := time.Since(back)
	if b.exercise.Aborted == "" && problem == nil {
		b.exercise.Took.Recover = guard.Duration(max(time.Millisecond, took.Round(time.Millisecond)))
		b.exercise.Took.Contain = b.exercise.Took.Recover
	}
	undone := guard.Finding{ID: "drill.undone", Verdict: guard.Pass, Title: b.release.From + " has all of the traffic again", At: time.Now().UTC().Round(0)}
	if problem != nil {
		undone.Verdict, undone.Reason = guard.Fail, b.secrets.clean(problem.Error())
	}
	b.exercise.Undone = []guard.Finding{undone}
	b.exercise.Injects = []guard.Inject{{
		What: fmt.Sprintf("%s has %d %% of the traffic, and has to go", b.release.To, share), Expected: b.release.From + " has all of the traffic again, verified",
		Observed: "it has", Met: problem == nil,
	}}
	if problem != nil {
		b.exercise.Injects[0].Observed = undone.Reason
	}
	_, b.exercise.After = b.steady(context.WithoutCancel(ctx))
	b.exercise.Ended = time.Now().UTC().Round(0)
	if problem == nil { // one that is not put back has no end: the next drill does it
		problem = b.note(drillEnded, drillRecord{Exercise: &b.exercise})
	}
	if err := b.end(context.WithoutCancel(ctx), findings); err != nil && undone.Verdict == guard.Pass {
		return err
	}
	b.answered = b.ears.heard()
	if problem != nil {
		return fail(exitRollbackFailed, "NOT EVERYTHING IS PUT BACK: %w\nAgain: %s", b.secrets.error(problem), b.call("drill", "rollback", "--from", b.release.From, "--to", b.release.To))
	}
	if b.ears.heard() {
		return quiet(b.ears.code())
	}
	return nil
}

// smallest is the smallest share that a backend can give.
func smallest(st guard.Standing) int {
	least := 1
	if shares := slices.DeleteFunc(slices.Clone(st.Shares), func(share int) bool { return share <= 0 }); len(shares) > 0 {
		least = slices.Min(shares)
	}
	return least
}

// end says how it went, and writes it down.
func (b *backAndForth) end(ctx context.Context, findings []string) error {
	if b.exercise.Ended.IsZero() {
		b.exercise.Ended = time.Now().UTC().Round(0)
	}
	entry := drilled(b.plan, "drill.rollback", "", b.exercise)
	if err := b.rememberDrill(ctx, entry, findings); err != nil {
		return err
	}
	return errors.Join(b.tellExercise(b.secrets.entry(entry)), drillCode(entry))
}

// tellExercise says how a drill went, for people or programs.
func (p *program) tellExercise(e guard.Entry) error {
	if p.settings.Output == asJSON {
		return p.answer(e)
	}
	i := p.ink(p.out)
	what := strings.TrimPrefix(e.Kind, "drill.")
	if e.Outcome == guard.Pass {
		text := fmt.Sprintf("%s the drill (%s) is passed", i.mark(guard.Pass), what)
		if e.Took > 0 {
			text += fmt.Sprintf("; it took %s", e.Took)
		}
		_, err := fmt.Fprintln(p.out, text)
		return err
	}
	outcome := "is not passed"
	if e.Exercise.Aborted != "" {
		outcome = "was not carried through"
	}
	_, against := e.Exercise.Result()
	_, err := fmt.Fprintf(p.out, "%s the drill (%s) %s\n    %s\n", i.mark(guard.Fail), what, outcome, strings.Join(against, "\n    "))
	return err
}

// steadyChecks are the questions about the metrics that have to pass before and after a drill.
var steadyChecks = selection{only: []string{"metrics.live", "metrics.baseline_green"}}

// steady looks whether all is as it has to be without a drill.
func (b *backAndForth) steady(ctx context.Context) (guard.Standing, []guard.Finding) {
	now := time.Now().UTC().Round(0)
	backend := guard.Finding{ID: "drill.backend", Verdict: guard.Pass, Title: fmt.Sprintf("%s has no traffic, and the way back is open", b.release.To), At: now}
	standing, err := b.parts.Backend.Inspect(ctx, b.release)
	switch {
	case err != nil:
		backend.Verdict, backend.Reason = guard.Unknown, b.secrets.clean(err.Error())
	case standing.Percent != 0:
		backend.Verdict, backend.Reason = guard.Fail, fmt.Sprintf("%s has %d %% of the traffic", b.release.To, standing.Percent)
	case !standing.Undo.Open:
		backend.Verdict, backend.Reason = guard.Fail, "the way back is closed: "+standing.Undo.Detail
	}
	findings := append([]guard.Finding{backend}, b.verified(ctx)...)
	checks, _, err := steadyChecks.of(b.parts.Checks)
	if err != nil { // the checks are ours
		panic(err)
	}
	return standing, b.secrets.findings(append(findings, engine.RunChecks(ctx, b.parts.Scene(ctx, b.plan, b.release, now), checks, nil)...))
}

// verified asks the probes of rollout.verify.
func (b *backAndForth) verified(ctx context.Context) (findings []guard.Finding) {
	for i, probe := range b.parts.Verify {
		f, err := probe.Probe(ctx, b.release)
		if err != nil {
			f = guard.Finding{Verdict: guard.Unknown, Reason: b.secrets.clean(err.Error())}
		}
		if f.ID == "" {
			f.ID = fmt.Sprintf("rollout.verify[%d]", i)
		}
		if f.Title == "" {
			f.Title = "the old version does well"
		}
		findings = append(findings, f)
	}
	return findings
}

// move asks for a share until the backend says that it is there.
func (b *backAndForth) move(ctx context.Context, percent int, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		problem := b.once(ctx, percent)
		if problem == nil {
			return b.note(drillMoved, drillRecord{Percent: percent})
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was to have %d %% of the traffic, and it is not known that it has: %w", b.release.To, percent, problem)
		case <-time.After(pause):
		}
	}
}

// once asks for a share, and looks. Only where the traffic is counts.
func (b *backAndForth) once(ctx context.Context, percent int) error {
	b.seq++
	if err := b.note(drillMoves, drillRecord{Percent: percent}); err != nil && percent > 0 {
		return err // forward only what is remembered; the way back does not wait for a disk
	}
	order := guard.Order{Release: b.release, Fence: b.began.UnixMilli(), Seq: b.seq, Key: fmt.Sprintf("%s/%d", b.release.ID, b.seq)}
	shift := b.parts.Backend.Shift(ctx, order, percent)
	st, err := b.parts.Backend.Inspect(ctx, b.release)
	switch {
	case err != nil:
		return errors.Join(shift, err)
	case st.Percent != percent:
		return errors.Join(shift, fmt.Errorf("it has %d %%", st.Percent))
	}
	if percent > 0 {
		return nil
	}
	if found := b.verified(ctx); len(found) > 0 {
		if verdict := guard.Worst(found); verdict != guard.Pass && verdict != guard.Warn {
			for _, f := range found {
				if f.Verdict != guard.Pass && f.Verdict != guard.Warn {
					return fmt.Errorf("%s is %s: %s", f.ID, f.Verdict, f.Reason)
				}
			}
		}
	}
	return nil
}

// putBack takes everything back, whatever happened and whoever asks golive to end; only somebody who insists ends it.
func (b *backAndForth) putBack(ctx context.Context) error {
	ctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var hearing sync.WaitGroup
	defer hearing.Wait()
	defer end(nil)
	hearing.Go(func() {
		select {
		case <-b.ears.insisted:
			end(errLeft)
		case <-ctx.Done():
		}
	})
	return b.move(ctx, 0, b.plan.Rollout.Deadline.Rollback.Std())
}

// clearDrills puts back what drills that were cut off have left, and says so.
func (p *program) clearDrills(ctx context.Context, r guard.Release) error {
	entries, err := journal.List(p.drillsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(exitInternal, "%w", err)
	}
	for _, entry := range entries {
		if entry.Err != nil {
			return fail(exitInternal, "a drill may have left something behind, and its journal cannot be read: %w", entry.Err)
		}
		if entry.Summary.Records == 0 || entry.Summary.Last.Kind == drillEnded {
			continue
		}
		if err := p.clearDrill(ctx, entry.Path, r); err != nil {
			return err
		}
	}
	return nil
}

// clearDrill puts back what one drill has left, by the plan that it was made by.
func (p *program) clearDrill(ctx context.Context, path string, r guard.Release) error {
	j, err := journal.Open(path)
	var locked *journal.LockedError
	switch {
	case errors.As(err, &locked):
		return fail(exitNoGo, "another drill is being made: %w", err)
	case err != nil:
		return fail(exitInternal, "%w", err)
	}
	defer func() { _ = j.Close() }() // every record is on the disk already
	var began drillRecord
	for record, err := range j.Records() {
		if err != nil {
			return fail(exitInternal, "%w", err)
		}
		if record.Kind == drillBegan {
			err = json.Unmarshal(record.Data, &began)
		}
		if err != nil {
			return fail(exitInternal, "%s: %w", path, err)
		}
	}
	if began.Release.Service != r.Service || began.Release.Environment != r.Environment {
		return nil
	}
	fmt.Fprintf(p.err, "the drill %s was cut off: taking back what it gave %s\n", began.Release.ID, began.Release.To)
	plan, err := guard.ParsePlan(began.File, []byte(began.Plan))
	if err != nil {
		return fail(exitInternal, "%s: the plan it began with: %w", path, err)
	}
	parts, closeParts, err := p.parts(ctx, rehearsed(plan, began.Production))
	if err != nil {
		return err
	}
	defer closeParts()
	p.guarding.Lock()
	defer p.guarding.Unlock()
	b := &backAndForth{program: p, plan: plan, parts: parts, release: began.Release, began: time.Now(), journal: j}
	if err := b.putBack(ctx); err != nil {
		return fail(exitRollbackFailed, "NOT EVERYTHING IS PUT BACK: %w\nAgain: %s", p.secrets.error(err), p.call("drill", "rollback", "--from", r.From, "--to", r.To))
	}
	now := time.Now().UTC().Round(0)
	e := guard.Exercise{
		ID: began.Release.ID, Kind: "rollback", Began: j.Summary().First.At, Ended: now, Aborted: "it was cut off, and put back later",
		Undone: []guard.Finding{{ID: "drill.undone", Verdict: guard.Pass, Title: began.Release.From + " has all of the traffic again", At: now}},
	}
	if err := b.note(drillEnded, drillRecord{Exercise: &e}); err != nil {
		return fail(exitInternal, "%w", err)
	}
	fmt.Fprintf(p.err, "%s has all of the traffic again\n", began.Release.From)
	return p.remember(ctx, drilled(plan, "drill.rollback", "", e))
}
