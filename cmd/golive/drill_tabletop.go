package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/scenario"
)

// A tabletopDrill says what is played, and in which world.
type tabletopDrill struct {
	scenario string
	seed     uint64
	absent   []string
	dead     []string
	dry      bool
	at       string
}

func (p *program) drillTabletopCommand() *cobra.Command {
	var d tabletopDrill
	c := &cobra.Command{
		Use:   "tabletop [--scenario NAME]",
		Short: "Play what can go wrong by the plan, in no time",
		Long: `tabletop plays a scenario in a made-up world: the machine of golive decides by the plan, the judge judges made-up
counts, and the people of the roster answer after some minutes. It prints what would happen when, counted from detection: who is
told and through which channel, what is owed and whether it would be met, and where the plan has no answer. It plays the plan as if
its mode were enforce. Nothing is touched, nobody is told, and no part of the plan is made.

Without --scenario it plays those that the plan lists under drills as tabletop, or else all. How it went is written to the ledger
as drill.tabletop of each scenario, unless --dry, and what is to be mended is owed if it was said with --finding.
Exit codes: 0 all passed, 3 one was not.`,
		Example: `  golive drill tabletop --scenario bad_release
  golive drill tabletop --scenario data_leak --absent commander --dead 0 --dry
  golive drill tabletop -o json`,
		Args: cobra.NoArgs,
	}
	flags := p.drillFlags(c)
	c.Flags().StringVar(&d.scenario, "scenario", "", "one of "+strings.Join(guard.Classes, ", "))
	c.Flags().Uint64Var(&d.seed, "seed", 0, "another number has other noise in the counts, and slower or quicker people")
	c.Flags().StringArrayVar(&d.absent, "absent", nil, "a role for which nobody answers (any number of times)")
	c.Flags().StringArrayVar(&d.dead, "dead", nil, "a channel that delivers nothing: its use, or its place in notify, counted from 0 (any number of times)")
	c.Flags().BoolVar(&d.dry, "dry", false, "write nothing down")
	c.Flags().StringVar(&d.at, "at", "", "when it begins, such as 2026-11-24T03:00:00Z; default now")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := flags.check(); err != nil {
			return err
		}
		return p.drillTabletop(c.Context(), d, flags)
	}
	return c
}

func (p *program) drillTabletop(ctx context.Context, d tabletopDrill, flags *drillFlags) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	if len(plan.Severity) == 0 || len(plan.Escalate) == 0 {
		var missing []string
		if len(plan.Severity) == 0 {
			missing = append(missing, `how bad it is (add severity: [{level: 1, when: down, lead: commander}, {level: 2, when: "true", lead: on_duty}])`)
		}
		if len(plan.Escalate) == 0 {
			missing = append(missing, "who is told (add escalate: [{after: 0m, to: on_duty}, {after: 15m, to: commander, unless: acknowledged}])")
		}
		return fail(exitUsage, "%s: there is nothing to play yet: the plan does not say %s", p.settings.Plan, strings.Join(missing, ", nor "))
	}
	worlds, err := d.worlds(plan)
	if err != nil {
		return err
	}
	options := scenario.Options{Seed: d.seed, Absent: d.absent}
	if options.Dead, err = d.channels(plan); err != nil {
		return err
	}
	start := time.Now().UTC().Round(0)
	if d.at != "" {
		if start, err = time.Parse(time.RFC3339, d.at); err != nil {
			return fail(exitUsage, "--at %q: this is no moment (say one such as 2026-11-24T03:00:00Z)", d.at)
		}
	}
	var entries []guard.Entry
	var failed bool
	for _, w := range worlds {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		play, err := scenario.Run(plan, w, start, options)
		if err != nil {
			return fail(exitInternal, "%w", err)
		}
		holes := play.Exercise.Findings
		flags.add(&play.Exercise)
		entry := drilled(plan, "drill.tabletop", w.Name, play.Exercise)
		entry.At = time.Now().UTC().Round(0) // it was played now, whenever it plays
		entries, failed = append(entries, entry), failed || entry.Outcome != guard.Pass
		if p.settings.Output != asJSON {
			play.Exercise.Findings = slices.Concat(holes, flags.findings)
			fmt.Fprint(p.discreet(p.out, plan), p.secrets.clean(play.Text()))
		}
		if !d.dry {
			if err := p.rememberDrill(ctx, entry, flags.findings); err != nil {
				return err
			}
		}
	}
	if p.settings.Output == asJSON {
		if err := p.answer(entries); err != nil {
			return err
		}
	}
	if failed {
		return quiet(exitNoGo)
	}
	return nil
}

// worlds are those that are to be played.
func (d tabletopDrill) worlds(plan *guard.Plan) (worlds []scenario.World, err error) {
	if d.scenario != "" {
		w, found := scenario.Of(d.scenario)
		if !found {
			return nil, fail(exitUsage, "--scenario %q: golive knows %s; play your own with people, then: golive record drill.tabletop --subject %s",
				d.scenario, strings.Join(guard.Classes, ", "), d.scenario)
		}
		return []scenario.World{w}, nil
	}
	var listed []string
	for _, drill := range plan.Drills {
		if drill.Name == "tabletop" {
			listed = append(listed, drill.Scenarios...)
		}
	}
	for _, w := range scenario.Worlds {
		if len(listed) == 0 || slices.Contains(listed, w.Name) {
			worlds = append(worlds, w)
		}
	}
	if len(worlds) == 0 {
		return nil, fail(exitUsage, "golive can play none of %s: say which with --scenario", strings.Join(listed, ", "))
	}
	return worlds, nil
}

// channels are the places of those that deliver nothing.
func (d tabletopDrill) channels(plan *guard.Plan) (places []int, err error) {
	for _, name := range d.dead {
		before := len(places)
		for i, c := range plan.Notify {
			if name == strconv.Itoa(i) || name == c.Use {
				places = append(places, i)
			}
		}
		if len(places) == before {
			var known []string
			for i, c := range plan.Notify {
				known = append(known, fmt.Sprintf("%d (%s)", i, c.Use))
			}
			return nil, fail(exitUsage, "--dead %q: the plan has no such channel; it has %s", name, orNone(known))
		}
	}
	return places, nil
}
