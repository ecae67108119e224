package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
)

func (p *program) pluginsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plugins",
		Short: "List the parts that a plan can name",
		Long: `plugins lists what can stand after "use:" in a plan, and the checks: those that golive brings, and those of
the plugins that the plan names. A plugin NAME is a program golive-plugin-NAME on PATH or beside golive.`,
		Example: `  golive plugins
  golive plugins --plan shop.yaml -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.listPlugins(c)
		},
	}
}

// A supplier is golive itself or a plugin, and what it brings.
type supplier struct {
	Name      string   `json:"name"`
	Program   string   `json:"program,omitempty"`
	Backends  []string `json:"backends,omitempty"`
	Sources   []string `json:"sources,omitempty"`
	Notifiers []string `json:"notifiers,omitempty"`
	Probes    []string `json:"probes,omitempty"`
	Vaults    []string `json:"vaults,omitempty"`
	Restorers []string `json:"restorers,omitempty"`
	Checks    []string `json:"checks,omitempty"`
}

func supplies(name, program string, k plugins.Kit) supplier {
	s := supplier{
		Name: name, Program: program,
		Backends: names(k.Backends), Sources: names(k.Sources), Notifiers: names(k.Notifiers),
		Probes: names(k.Probes), Vaults: names(k.Vaults),
	}
	for _, c := range k.Checks {
		s.Checks = append(s.Checks, c.Code+" "+c.ID)
	}
	return s
}

func names[T any](makers map[string]func(guard.With) (T, error)) []string {
	return slices.Sorted(maps.Keys(makers))
}

func (p *program) listPlugins(c *cobra.Command) error {
	suppliers := []supplier{supplies("golive", "", builtin(p.err))}
	suppliers[0].Restorers = names(restorers)
	plan, _, err := p.readPlan()
	if _, missing := os.Stat(p.settings.Plan); errors.Is(missing, os.ErrNotExist) && !c.Flags().Changed("plan") {
		plan, err = &guard.Plan{}, nil
	}
	if err != nil {
		return err
	}
	for i, plugin := range plan.Plugins {
		kit, closeIt, err := p.open(c.Context(), plan, i)
		if err != nil {
			return err
		}
		closeIt()
		path, err := plugins.Find(plugin.Name)
		if err != nil {
			return fail(exitUnknown, "%w", err)
		}
		suppliers = append(suppliers, supplies(plugin.Name, path, kit))
	}
	if p.settings.Output == asJSON {
		return p.answer(suppliers)
	}
	for n, s := range suppliers {
		if n > 0 {
			fmt.Fprintln(p.out)
		}
		s.write(p)
	}
	return nil
}

func (s supplier) write(p *program) {
	i := p.ink(p.out)
	head := i.paint(loud, s.Name)
	if s.Program != "" {
		head += " (" + s.Program + ")"
	}
	fmt.Fprintln(p.out, head)
	checks := s.Checks
	if s.Program == "" { // there are too many to read them here
		checks = []string{fmt.Sprintf("%d (golive checks lists them)", len(s.Checks))}
	}
	for _, kind := range []struct {
		name  string
		parts []string
	}{
		{"backends", s.Backends}, {"sources", s.Sources}, {"notifiers", s.Notifiers},
		{"probes", s.Probes}, {"vaults", s.Vaults}, {"restorers", s.Restorers}, {"checks", checks},
	} {
		if len(kind.parts) > 0 {
			fmt.Fprintf(p.out, "  %-11s%s\n", kind.name, hang(13, strings.Join(kind.parts, ", "), i.width))
		}
	}
}
