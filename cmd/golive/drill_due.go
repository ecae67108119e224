package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
)

// drillChecks are the checks that say which drills are due, and whether the last ones count still.
var drillChecks = selection{only: []string{"drill.fresh", "drill.rotation", "drill.findings_closed", "rollback.drill", "backup.restore_drill"}}

// listDrills says which drills are due. It asks the checks about them, and so has the same answer as golive check.
func (p *program) listDrills(ctx context.Context) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	kit, closeKit, err := p.kit(ctx, plan)
	if err != nil {
		return err
	}
	defer closeKit()
	asked, _, err := drillChecks.of(kit.Checks)
	if err != nil {
		return err
	}
	// The parts have nothing but the ledger: no other part of the plan is made, and none is asked.
	scene := engine.Parts{Ledger: p.readLedger}.Scene(ctx, plan, guard.Release{Service: plan.Service, Environment: plan.Environment}, time.Now().UTC().Round(0))
	found := p.secrets.findings(engine.RunChecks(ctx, scene, asked, nil))
	if p.settings.Output == asJSON {
		return p.answer(slices.Concat([]guard.Finding{}, found))
	}
	i := p.ink(p.out)
	for _, f := range found {
		fmt.Fprintln(p.out, findingText(f, i, true))
	}
	return nil
}
