package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/plugins"
)

// recovers makes what a plan names for when it goes wrong. A resort is made now as well, so that a slip of the pen is found
// before the launch, and again when it is needed: only then is it known which backup it restores.
func (p *program) recovers(plan *guard.Plan, kit plugins.Kit, made *engine.Parts) (err error) {
	r := plan.Recovery
	if r.Contain != nil {
		if made.Contain, err = makePart(p, plan, "recovery.contain", kit.Probes, *r.Contain); err != nil {
			return err
		}
	}
	if made.Ramp, err = p.probes(plan, kit, "recovery.ramp", r.Ramp); err != nil {
		return err
	}
	for n := range r.Resorts {
		if _, err := p.resort(plan, kit, n, guard.Backup{ID: "backup"}); err != nil {
			return err
		}
	}
	made.Resort = func(ctx context.Context, n int, _ guard.Release) (engine.Resort, error) {
		if n >= len(r.Resorts) {
			return engine.Resort{}, fmt.Errorf("the plan has no resort %d", n)
		}
		if r.Resorts[n].Data == "" {
			return p.resort(plan, kit, n, guard.Backup{})
		}
		b, remarks, err := soundest(ctx, plan, r.Resorts[n].Data, *made)
		if err != nil {
			return engine.Resort{}, err
		}
		resort, err := p.resort(plan, kit, n, b)
		if err == nil {
			resort.Do, resort.Backup = fromBackup{resort.Do, b, remarks}, &b
		}
		return resort, err
	}
	if made.Collect, err = p.collects(plan, kit); err != nil {
		return err
	}
	made.Keep = p.keeps(plan)
	made.OnDuty = func(ctx context.Context, at time.Time) ([]string, error) {
		return checks.OnDuty(ctx, plan, at, func(ctx context.Context, name string) (string, error) {
			answer, err := made.Scene(ctx, plan, guard.Release{}, at).Ask(ctx, guard.Question{File: name})
			return answer.Text, err
		})
	}
	return nil
}

// probes makes a list of probes that stands at a path of the plan.
func (p *program) probes(plan *guard.Plan, kit plugins.Kit, path string, parts []guard.Part) (all []guard.Probe, err error) {
	for i, part := range parts {
		probe, err := makePart(p, plan, fmt.Sprintf("%s[%d]", path, i), kit.Probes, part)
		if err != nil {
			return nil, err
		}
		all = append(all, probe)
	}
	return all, nil
}

// resort makes what does recovery.resorts[n] with a backup, and what looks afterwards.
func (p *program) resort(plan *guard.Plan, kit plugins.Kit, n int, b guard.Backup) (made engine.Resort, err error) {
	resort, path := plan.Recovery.Resorts[n], fmt.Sprintf("recovery.resorts[%d]", n)
	part := resort.Do
	if resort.Data != "" {
		if !plainID.MatchString(b.ID) {
			return made, fmt.Errorf("the name of the backup %q could mean something else to a command: give the backups of %s names of letters, digits and . _ : / @ + , = -", guard.Line(b.ID, 100), resort.Data)
		}
		part.With = withBackup(part.With, b.ID)
	}
	if made.Do, err = makePart(p, plan, path+".do", kit.Probes, part); err != nil {
		return made, err
	}
	made.Verify, err = p.probes(plan, kit, path+".verify", resort.Verify)
	return made, err
}

// plainID is a name of a backup that every shell, and every address, takes for itself: a vault may be anybody's, and what it
// says becomes part of a command.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9._:/@+,=-]*$`)

// backupHole is where a set-up names the backup.
var backupHole = regexp.MustCompile(`\{\{\s*\.Backup\s*\}\}`)

// withBackup is a set-up whose texts name a backup. What else stands in braces is left to the part.
func withBackup(with guard.With, id string) guard.With {
	return fillIn(map[string]any(with), id).(map[string]any)
}

func fillIn(value any, id string) any {
	switch value := value.(type) {
	case string:
		return backupHole.ReplaceAllLiteralString(value, id)
	case map[string]any:
		filled := make(map[string]any, len(value))
		for key, v := range value {
			filled[key] = fillIn(v, id)
		}
		return filled
	case []any:
		filled := make([]any, len(value))
		for i, v := range value {
			filled[i] = fillIn(v, id)
		}
		return filled
	}
	return value
}

// soundest is the newest completed backup of a store of which the ledger knows no flaw. A vault that gives no answer is
// passed over, as long as another does; the remarks say so.
func soundest(ctx context.Context, plan *guard.Plan, store string, parts engine.Parts) (guard.Backup, []string, error) {
	i := slices.IndexFunc(plan.Data, func(s guard.Store) bool { return s.Name == store })
	if i < 0 {
		return guard.Backup{}, nil, fmt.Errorf("the plan has no store %q", store)
	}
	var remarks []string
	ledger, err := parts.Ledger()
	switch {
	case err != nil:
		remarks = append(remarks, "the ledger cannot be read, so that flaws are not known: "+err.Error())
	case ledger.Broken != "":
		remarks = append(remarks, "the ledger cannot be trusted, so that flaws are not known: "+ledger.Broken)
	}
	sources := plan.Data[i].Backups
	held, problems := make([][]guard.Backup, len(sources)), make([]error, len(sources))
	var asking sync.WaitGroup
	for j, source := range sources {
		asking.Go(func() {
			vault, err := parts.Vault(source.Part)
			if err == nil {
				held[j], err = vault.Backups(ctx)
			}
			problems[j] = err
		})
	}
	asking.Wait()
	var sound []guard.Backup
	flawed := 0
	for j, backups := range held {
		for _, b := range backups {
			if ledger.Flawed(plan, store, sources[j].Digest(), b.ID) {
				flawed++
				continue
			}
			sound = append(sound, b)
		}
		if problems[j] != nil {
			remarks = append(remarks, fmt.Sprintf("%s gave no answer: %v", sources[j].Use, problems[j]))
		}
	}
	newest, found := guard.Newest(sound)
	switch {
	case found && flawed > 0:
		remarks = append(remarks, fmt.Sprintf("%d passed over that the ledger knows a flaw of", flawed))
		return newest, remarks, nil
	case found:
		return newest, remarks, nil
	case errors.Join(problems...) != nil:
		return guard.Backup{}, nil, fmt.Errorf("no backup of %s is known: %w", store, errors.Join(problems...))
	case flawed > 0:
		return guard.Backup{}, nil, fmt.Errorf("the ledger knows a flaw of every backup of %s (%d)", store, flawed)
	}
	return guard.Backup{}, nil, fmt.Errorf("the vaults of %s hold no completed backup", store)
}

// A fromBackup is a probe that restores a backup, and says which.
type fromBackup struct {
	do      guard.Probe
	backup  guard.Backup
	remarks []string
}

func (r fromBackup) Probe(ctx context.Context, release guard.Release) (guard.Finding, error) {
	f, err := r.do.Probe(ctx, release)
	said := fmt.Sprintf("%s, which ended at %s", r.backup.ID, r.backup.Ended.UTC().Format(time.RFC3339))
	f.Evidence = append(slices.Clip(f.Evidence), guard.Evidence{Asked: "backup", Answer: strings.Join(append([]string{said}, r.remarks...), "; ")})
	if err != nil {
		err = fmt.Errorf("with the backup %s: %w", said, err)
	}
	return f, err
}

// collects makes what gathers the evidence that the plan names. A probe that is no collector brings what it finds.
func (p *program) collects(plan *guard.Plan, kit plugins.Kit) (all []engine.Collector, err error) {
	table := maps.Clone(collectors)
	for name, maker := range kit.Probes {
		if table[name] == nil {
			table[name] = func(with guard.With) (guard.Collector, error) {
				probe, err := maker(with)
				return finder{probe}, err
			}
		}
	}
	same := map[string]int{}
	for i, part := range plan.Evidence.Collect {
		made, err := makePart(p, plan, fmt.Sprintf("evidence.collect[%d]", i), table, part)
		if err != nil {
			return nil, err
		}
		name := part.Use
		if same[part.Use]++; same[part.Use] > 1 {
			name += fmt.Sprintf(" #%d", same[part.Use])
		}
		all = append(all, engine.Collector{Name: name, Collector: made})
	}
	return all, nil
}

// finder is a collector that brings what a probe finds.
type finder struct{ probe guard.Probe }

func (f finder) Collect(ctx context.Context, r guard.Release) ([]byte, error) {
	finding, err := f.probe.Probe(ctx, r)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(finding, "", "  ")
}
