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
	list := func(c *cobra.Command, _ []string) error { return p.listPlugins(c) }
	all := &cobra.Command{
		Use:   "plugins",
		Short: "List, describe and verify what a plan can name",
		Long: `plugins looks at what can stand after "use:" in a plan, and at the checks: those that golive brings, and those of
plugins. A plugin NAME is a program golive-plugin-NAME on PATH or beside golive. Without a subcommand it lists.`,
		Example: `  golive plugins list
  golive plugins describe flags
  golive plugins verify flags`,
		Args: cobra.NoArgs,
		RunE: list,
	}
	all.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the parts that a plan can name",
			Long: `list says what can stand after "use:" in a plan, and which checks there are: those that golive brings, and those of
the plugins that the plan names.`,
			Example: `  golive plugins list
  golive plugins list --plan shop.yaml -o json`,
			Args: cobra.NoArgs,
			RunE: list,
		},
		&cobra.Command{
			Use:   "describe NAME",
			Short: "Say what a plugin is, or how a part is set up",
			Long: `describe says of a part that comes with golive which kinds of part it is, and what set-up it takes. Of a plugin it
says where its program is, its size and SHA-256, which version of the protocol it speaks, what parts it has, and what its
checks ask. It starts the plugin, as the plan says if the plan lists it, and stops it.

Exit codes: 0 described, 2 the call or the plan is wrong, 5 the plugin cannot be asked.`,
			Example: `  golive plugins describe haproxy
  golive plugins describe flags
  golive plugins describe flags -o json`,
			Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error { return p.describePart(c, args[0]) },
		},
		&cobra.Command{
			Use:   "verify NAME",
			Short: "Ask whether a plugin keeps what golive relies on",
			Long: `verify starts a plugin, as the plan says if the plan lists it, and asks what golive relies on: that its program is
the one that the plan means, that it shakes hands and speaks a version of the protocol that golive speaks, that what it has
is named well and by nobody else, that it writes nothing but the handshake to standard output, and that it ends when it is
asked to and when golive is gone. It makes none of its parts, and moves nothing.

Exit codes: 0 it does, perhaps with warnings, 1 it does not, or this could not be found out, 2 the call or the plan is wrong.`,
			Example: `  golive plugins verify flags
  golive plugins verify flags --plan shop.yaml -o json`,
			Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error { return p.verifyPlugin(c, args[0]) },
		},
	)
	return all
}

// pluginPlan is the plan that says how plugins are started. There need not be one, unless it was asked for.
func (p *program) pluginPlan(c *cobra.Command) (*guard.Plan, error) {
	if _, missing := os.Stat(p.settings.Plan); errors.Is(missing, os.ErrNotExist) && !c.Flags().Changed("plan") {
		return &guard.Plan{}, nil
	}
	plan, _, err := p.readPlan()
	if err != nil {
		return nil, err
	}
	p.secrets.of(plan, p.env)
	return plan, nil
}

// pluginOptions are how a plugin is started, whether the plan lists it or not.
func (p *program) pluginOptions(plan *guard.Plan, name string) plugins.Options {
	for _, plugin := range plan.Plugins {
		if plugin.Name == name {
			return p.optionsOf(plugin)
		}
	}
	return p.optionsOf(guard.Plugin{Name: name})
}

// A supplier is golive itself or a plugin, and what it brings.
type supplier struct {
	Name       string   `json:"name"`
	Program    string   `json:"program,omitempty"`
	Backends   []string `json:"backends,omitempty"`
	Sources    []string `json:"sources,omitempty"`
	Notifiers  []string `json:"notifiers,omitempty"`
	Probes     []string `json:"probes,omitempty"`
	Vaults     []string `json:"vaults,omitempty"`
	Restorers  []string `json:"restorers,omitempty"`
	Collectors []string `json:"collectors,omitempty"`
	Checks     []string `json:"checks,omitempty"`
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
	suppliers[0].Restorers, suppliers[0].Collectors = names(restorers), names(collectors)
	plan, err := p.pluginPlan(c)
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
		{"probes", s.Probes}, {"vaults", s.Vaults}, {"restorers", s.Restorers}, {"collectors", s.Collectors}, {"checks", checks},
	} {
		if len(kind.parts) > 0 {
			fmt.Fprintf(p.out, "  %-11s%s\n", kind.name, hang(13, strings.Join(kind.parts, ", "), i.width))
		}
	}
}
