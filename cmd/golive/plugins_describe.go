package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
)

// describePart describes a part that comes with golive, or a plugin.
func (p *program) describePart(c *cobra.Command, name string) error {
	if part, found := builtinNamed(name); found {
		return p.describeBuiltin(part)
	}
	plan, err := p.pluginPlan(c)
	if err != nil {
		return err
	}
	if !plugins.Named(name) {
		return fail(exitUsage, "%q is neither a part that comes with golive nor the name of a plugin: golive plugins list", guard.Line(name, 100))
	}
	about, err := plugins.Describe(c.Context(), name, p.pluginOptions(plan, name))
	if err != nil {
		return fail(exitUnknown, "%w (golive plugins verify %s asks further; golive plugins list says what comes with golive)", p.secrets.error(err), name)
	}
	return p.describePlugin(p.cleanAbout(about))
}

// A builtinPart is a part that comes with golive.
type builtinPart struct {
	Name  string   `json:"name"`
	Kinds []string `json:"kinds"`
	With  string   `json:"with"` // what it takes, as plugins/README.md says it
}

// builtinNamed finds what comes with golive: its kinds in the table of parts, its set-up in the guide.
func builtinNamed(name string) (part builtinPart, found bool) {
	part.Name = name
	s := supplies("", "", builtin(io.Discard))
	for _, kind := range []struct {
		name  string
		parts []string
	}{
		{"Backend", s.Backends}, {"Source", s.Sources}, {"Probe", s.Probes},
		{"Notifier", s.Notifiers}, {"Vault", s.Vaults}, {"Restorer", names(restorers)}, {"Collector", names(collectors)},
	} {
		for _, other := range kind.parts {
			if other == name {
				part.Kinds = append(part.Kinds, kind.name)
			}
		}
	}
	part.With = setUps()[name]
	return part, len(part.Kinds) > 0
}

// setUps are the rows of the guide's table of parts: what each takes, by name.
func setUps() map[string]string {
	rows := make(map[string]string)
	_, table, _ := strings.Cut(plugins.Guide, "\n| name | kinds | set-up (`with`) |\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "|") {
			break
		}
		if len(cells) == 3 {
			name := strings.Trim(cells[0], "| `")
			rows[name] = strings.TrimSpace(strings.TrimSuffix(cells[2], "|"))
		}
	}
	return rows
}

func (p *program) describeBuiltin(part builtinPart) error {
	if p.settings.Output == asJSON {
		return p.answer(part)
	}
	i := p.ink(p.out)
	fmt.Fprintf(p.out, "%s comes with golive\n", i.paint(loud, part.Name))
	p.row("kinds", strings.Join(part.Kinds, ", "))
	p.row("with", strings.ReplaceAll(part.With, "`", ""))
	return nil
}

func (p *program) row(name, text string) {
	if text != "" {
		fmt.Fprintf(p.out, "  %-11s%s\n", name, hang(13, text, p.ink(p.out).width))
	}
}

// describedCheck is a check without what it runs.
type describedCheck struct {
	Code string `json:"code"`
	ID   string `json:"id"`
	Doc  string `json:"doc"`
}

func (p *program) describePlugin(about plugins.About) error {
	s := supplies(about.Name, about.Path, about.Kit)
	var checks []describedCheck
	for _, c := range about.Kit.Checks {
		checks = append(checks, describedCheck{c.Code, c.ID, p.secrets.clean(strings.TrimSpace(c.Doc))})
	}
	if p.settings.Output == asJSON {
		return p.answer(struct {
			plugins.About
			Parts  map[string][]string `json:"parts"`
			Checks []describedCheck    `json:"checks"`
		}{about, map[string][]string{
			"backends": s.Backends, "sources": s.Sources, "notifiers": s.Notifiers, "probes": s.Probes, "vaults": s.Vaults,
		}, checks})
	}
	i := p.ink(p.out)
	fmt.Fprintf(p.out, "%s (%s)\n", i.paint(loud, about.Name), about.Path)
	speaks := fmt.Sprintf("version %d", about.Protocol)
	if about.Speaks != (plugins.Versions{}) {
		speaks += fmt.Sprintf(" (it speaks %v)", about.Speaks)
	}
	p.row("size", fmt.Sprintf("%.1f MB", float64(about.Bytes)/1e6))
	p.row("sha256", about.SHA256)
	p.row("protocol", speaks)
	p.row("kit", about.KitName)
	p.row("backends", strings.Join(s.Backends, ", "))
	p.row("sources", strings.Join(s.Sources, ", "))
	p.row("notifiers", strings.Join(s.Notifiers, ", "))
	p.row("probes", strings.Join(s.Probes, ", "))
	p.row("vaults", strings.Join(s.Vaults, ", "))
	p.row("strange", strings.Join(about.Strange, ", "))
	for _, c := range checks {
		fmt.Fprintf(p.out, "\n%s %s\n\n%s\n", i.paint(loud, c.Code), c.ID, reflow(c.Doc, i.width))
	}
	return nil
}

// cleanAbout makes what a plugin says of itself fit to be told.
func (p *program) cleanAbout(about plugins.About) plugins.About {
	about.KitName = p.secrets.name(guard.Line(about.KitName, 100))
	about.Strange = append([]string(nil), about.Strange...)
	for i, strange := range about.Strange {
		about.Strange[i] = p.secrets.name(guard.Line(strange, 100))
	}
	return about
}
