package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
)

func (p *program) drillCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "drill",
		Short: "Rehearse what has to work in an emergency",
		Long: `A drill does for real, in a place where it hurts nobody, what has to work in an emergency, and
writes down in the ledger how it went. golive check reads that there.

Without a name it lists the drills that have to be fresh, those of the plan among them: how the last went, and whether it counts
still. One that was made by another plan for it does not.`,
		Example: `  golive drill
  golive drill restore --data orders
  golive drill tabletop --scenario bad_release
  golive drill notify`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.listDrills(c.Context()) },
	}
	c.AddCommand(p.drillTabletopCommand(), p.drillRollbackCommand(), p.drillRestoreCommand(), p.drillNotifyCommand(), p.drillListCommand(), p.drillRecordCommand())
	return c
}

func (p *program) drillRestoreCommand() *cobra.Command {
	var d restoreDrill
	var flags *drillFlags
	want := guard.RungVerified.String()
	c := &cobra.Command{
		Use:   "restore --data STORE [--to RUNG]",
		Short: "Prove that a backup brings the data back",
		Long: `restore takes the newest backup of a store, restores it into a scratch directory by the restore part of the
plan, and compares what has arrived with the original. Neither the store nor the vault is changed, and the scratch
directory is removed, also after Ctrl-C.

With --to checked, read or restored nothing is compared: the vault itself proves its newest backup that far, which
takes less time and says less.

How it went is written to the ledger as drill.restore, or as drill.verify with --to. What could not be found out is
not written down: it is no result. A restore that took longer than the RTO of the plan, or that lost more of the latest work than
the RPO, is not passed.
Exit codes: 0 proven, 3 the backup has a flaw, or it took too long, 5 could not find out.`,
		Example: `  golive drill restore --data orders
  golive drill restore --data orders --to read
  golive drill restore --data orders --from 1 --keep /srv/look-at-it`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := d.rung.UnmarshalText([]byte(want)); err != nil || d.rung < guard.RungChecked {
				return fail(exitUsage, "--to %s: say checked, read, restored or verified", want)
			}
			if err := flags.check(); err != nil {
				return err
			}
			return p.drillRestore(c.Context(), d, flags)
		},
	}
	flags = p.drillFlags(c)
	c.Flags().StringVar(&d.store, "data", "", "the store: its name in the chapter data of the plan")
	c.Flags().StringVar(&want, "to", want, "how far up the ladder: checked, read, restored or verified")
	c.Flags().IntVar(&d.from, "from", 0, "which of the store's vaults, counted from 0 as they stand in the plan")
	c.Flags().StringVar(&d.keep, "keep", "", "restore into this directory, which is empty or not there yet, and leave it")
	return c
}

// A restoreDrill says what is to be proven, and how far.
type restoreDrill struct {
	store string
	from  int
	rung  guard.Rung
	keep  string
}

func (p *program) drillRestore(ctx context.Context, d restoreDrill, flags *drillFlags) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	store, path, err := d.find(plan)
	if err != nil {
		return err
	}
	kit, closeKit, err := p.kit(ctx, plan)
	if err != nil {
		return err
	}
	defer closeKit()
	source := store.Backups[d.from]
	vault, err := makePart(p, plan, fmt.Sprintf("%s.backups[%d]", path, d.from), kit.Vaults, source.Part)
	if err != nil {
		return err
	}
	entry := guard.Entry{
		Act: guard.Result, Kind: "drill.verify", Subject: store.Name, Outcome: guard.Pass,
		Service: plan.Service, Environment: plan.Environment, By: p.settings.By, Plan: plan.Digest(),
		Vault: source.Digest(),
	}
	prove := func(ctx context.Context) (guard.Proof, error) { return guard.Prove(ctx, vault, d.rung) }
	doing := fmt.Sprintf("proving the newest backup of %s by %s: is it %s?", store.Name, source.Use, d.rung)
	if d.rung == guard.RungVerified {
		restorer, err := makePart(p, plan, path+".restore", restorers, store.Restore.Part)
		if err != nil {
			return err
		}
		entry.Kind = "drill.restore"
		prove = func(ctx context.Context) (guard.Proof, error) { return p.restore(ctx, vault, restorer, d.keep) }
		doing = fmt.Sprintf("restoring the newest backup of %s by %s", store.Name, source.Use)
	}

	p.guarding.Lock() // what was begun is cleaned up, also when golive is asked to end
	defer p.guarding.Unlock()
	began := time.Now()
	proof, err := p.meanwhile(ctx, doing, prove)
	entry.At = time.Now().UTC().Round(0)
	entry.Took = guard.Duration(entry.At.Sub(began).Round(time.Millisecond))
	switch {
	case ctx.Err() != nil: // whatever came of it, it was interrupted, and that is no result
		return context.Cause(ctx)
	case err == nil:
		err = proof.Check()
	}
	if err == nil && proof.Flaw == "" && proof.Rung < d.rung {
		err = fmt.Errorf("the vault %s shows that its newest backup is %s, and can show no more", source.Use, proof.Rung)
		if d.rung < guard.RungVerified {
			err = fmt.Errorf("%w: have it restored instead, with golive drill restore --data %s", err, store.Name)
		}
	}
	if err != nil {
		return fail(exitUnknown, "%s could not be proven, and nothing is written down: %w", store.Name, err)
	}
	entry.Proof, entry.Method = &proof, plan.Method(entry.Kind, entry.Subject)
	if entry.Kind == "drill.restore" && !proof.Backup.Ended.IsZero() {
		entry.Lost = guard.Duration(max(0, began.Sub(proof.Backup.Ended)).Round(time.Second))
	}
	code := exitOK
	if proof.Flaw != "" {
		entry.Outcome, entry.Says, code = guard.Fail, guard.Line(proof.Flaw, 300), exitNoGo
	}
	e := restored(plan, d, entry, began)
	flags.add(&e)
	entry.Exercise = &e
	if verdict, against := e.Result(); verdict != guard.Pass && code == exitOK {
		entry.Outcome, entry.Says, code = guard.Fail, guard.Line(strings.Join(against, "; "), 300), exitNoGo
	}
	if err := p.rememberDrill(ctx, entry, flags.findings); err != nil {
		return err
	}
	return errors.Join(p.tellDrill(entry), quiet(code))
}

// restored is the exercise that a restore was. Only one that has brought the data back has times to be held to the objectives of
// the plan: what a vault proves by itself takes another time than a restore.
func restored(plan *guard.Plan, d restoreDrill, entry guard.Entry, began time.Time) guard.Exercise {
	e := guard.Exercise{
		ID: newID(began, entry.Subject), Kind: "restore", Scenario: "data_loss", Scripted: true, Began: began.UTC().Round(0), Ended: entry.At,
		Objectives: []string{fmt.Sprintf("the newest backup of %s is %s", entry.Subject, d.rung)},
		Scope:      "a scratch directory: neither the store nor the vault is changed",
		Injects: []guard.Inject{{
			What: entry.Subject + " is gone", Expected: "its newest backup is " + d.rung.String(), Observed: "it is " + entry.Proof.Rung.String(),
			Met: entry.Proof.Flaw == "",
		}},
	}
	if entry.Proof.Flaw != "" {
		e.Injects[0].Observed = entry.Proof.Flaw
	}
	if entry.Kind == "drill.restore" && entry.Proof.Flaw == "" {
		e.Took = guard.Spans{Recover: max(entry.Took, guard.Duration(time.Millisecond)), Lost: entry.Lost}
		e.Targets = guard.Spans{Recover: plan.Objectives.RTO, Lost: plan.Objectives.RPO}
	}
	return e
}

// find is the store that is meant, and its place in the plan.
func (d restoreDrill) find(plan *guard.Plan) (store guard.Store, path string, err error) {
	i := slices.IndexFunc(plan.Data, func(s guard.Store) bool { return s.Name == d.store })
	if i < 0 {
		var known []string
		for _, s := range plan.Data {
			known = append(known, s.Name)
		}
		return store, "", fail(exitUsage, "--data %q: the plan has no such store; it has %s", d.store, orNone(known))
	}
	store, path = plan.Data[i], fmt.Sprintf("data[%d]", i)
	switch {
	case len(store.Backups) == 0:
		return store, path, fail(exitUsage, "%sthe plan names no backups of %s: add some", at(plan, path), store.Name)
	case d.from < 0 || d.from >= len(store.Backups):
		return store, path, fail(exitUsage, "--from %d: %s has %s, counted from 0", d.from, store.Name, plural(len(store.Backups), "vault"))
	case d.rung < guard.RungVerified && d.keep != "":
		return store, path, fail(exitUsage, "--keep: with --to %s the vault restores nothing that could be kept", d.rung)
	case d.rung == guard.RungVerified && store.Restore == nil:
		return store, path, fail(exitUsage, "%sthe plan does not say how %s is restored: add restore: {use: command, with: {run: ..., verify: ...}}",
			at(plan, path), store.Name)
	}
	return store, path, nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// restore restores the newest backup of a vault into a directory of its own, and compares.
func (p *program) restore(ctx context.Context, vault guard.Vault, restorer guard.Restorer, keep string) (guard.Proof, error) {
	backups, err := vault.Backups(ctx)
	if err != nil {
		return guard.Proof{}, err
	}
	newest, found := guard.Newest(backups)
	if !found {
		return guard.Proof{Flaw: "the vault holds no completed backup"}, nil
	}
	const skew = 5 * time.Minute
	if ahead := time.Until(newest.Ended); ahead > skew {
		return guard.Proof{}, fmt.Errorf("clock skew: the backup %s ends %s from now; set the clocks of this machine and of the vault",
			newest.ID, guard.Duration(ahead.Round(time.Second)))
	}
	into, remove, err := scratch(keep)
	if err != nil {
		return guard.Proof{}, err
	}
	defer func() {
		if err := remove(); err != nil {
			fmt.Fprintf(p.err, "golive: what was restored is left behind: %v\n", err)
		}
	}()
	return restorer.Restore(ctx, newest, into)
}

// scratch makes an empty directory that only its owner can read. The caller calls remove, which leaves one that is
// to be kept.
func scratch(keep string) (into string, remove func() error, err error) {
	if keep == "" {
		dir, err := os.MkdirTemp("", "golive-drill-")
		if err != nil {
			return "", nil, err
		}
		remove := func() error { return removeAll(dir) }
		if into, err = filepath.Abs(filepath.Join(dir, "restored")); err == nil {
			err = os.Mkdir(into, 0o700)
		}
		if err != nil {
			return "", nil, errors.Join(err, remove())
		}
		return into, remove, nil
	}
	if into, err = filepath.Abs(keep); err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(into, 0o700); err != nil {
		return "", nil, err
	}
	held, err := os.ReadDir(into)
	if err != nil {
		return "", nil, err
	}
	if len(held) > 0 {
		return "", nil, fmt.Errorf("%s is not empty: name a directory that is, for --keep", into)
	}
	return into, func() error { return nil }, nil
}

// removeAll removes also what was restored into directories that may not be written.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // RemoveAll says what is still in the way
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// tellsEvery is how often somebody who waits is told that it goes on.
const tellsEvery = 10 * time.Second

// meanwhile proves, and says on the side how long it has been at it.
func (p *program) meanwhile(ctx context.Context, doing string, prove func(context.Context) (guard.Proof, error)) (guard.Proof, error) {
	fmt.Fprintln(p.err, doing)
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		began, ticker := time.Now(), time.NewTicker(tellsEvery)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				fmt.Fprintf(p.err, "  %s so far\n", guard.Duration(time.Since(began).Round(time.Second)))
			}
		}
	})
	defer telling.Wait()
	defer close(done)
	return prove(ctx)
}

// tellDrill says how a drill went.
func (p *program) tellDrill(e guard.Entry) error {
	if p.settings.Output == asJSON {
		return p.answer(e)
	}
	i := p.ink(p.out)
	text := fmt.Sprintf("%s the backup of %s is %s", i.mark(guard.Pass), e.Subject, e.Proof.Rung)
	switch {
	case e.Proof.Flaw != "":
		text = fmt.Sprintf("%s the backup of %s has a flaw\n    %s", i.mark(guard.Fail), e.Subject, e.Proof.Flaw)
	case e.Outcome != guard.Pass:
		text = fmt.Sprintf("%s the backup of %s is %s, and the drill is not passed\n    %s", i.mark(guard.Fail), e.Subject, e.Proof.Rung, e.Says)
	}
	if b := e.Proof.Backup; b.ID != "" {
		text += fmt.Sprintf("\n    %s, which ended at %s; it took %s", b.ID, moment(b.Ended), e.Took)
	}
	if e.Lost > 0 {
		text += fmt.Sprintf("\n    the work of the last %s is not in it", e.Lost)
	}
	_, err := fmt.Fprintln(p.out, p.secrets.clean(text))
	return err
}
