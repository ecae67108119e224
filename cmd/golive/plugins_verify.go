package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
)

func (p *program) verifyPlugin(c *cobra.Command, name string) error {
	plan, err := p.pluginPlan(c)
	if err != nil {
		return err
	}
	if !plugins.Named(name) {
		return fail(exitUsage, "%q is not the name of a plugin (small letters, digits and dashes; it is no path)", guard.Line(name, 100))
	}
	about, findings := plugins.Verify(c.Context(), name, p.pluginOptions(plan, name))
	findings = p.secrets.findings(append(findings, p.alone(about)))
	verdict, code := guard.Worst(findings), exitOK
	if verdict != guard.Pass && verdict != guard.Warn {
		code = exitUnfit
	}
	if p.settings.Output == asJSON {
		return errors.Join(p.answer(struct {
			Schema   string          `json:"schema"`
			Plugin   plugins.About   `json:"plugin"`
			Verdict  guard.Verdict   `json:"verdict"`
			Findings []guard.Finding `json:"findings"`
			ExitCode int             `json:"exit_code"`
		}{"golive.plugin/1", p.cleanAbout(about), verdict, findings, code}), quiet(code))
	}
	b := &blocks{out: p.out, ink: p.ink(p.out)}
	for _, f := range findings {
		if f.Observed != "" && f.Verdict == guard.Pass {
			f.Title += ": " + f.Observed
		}
		if f.Subject = ""; f.Verdict == guard.Unknown {
			f.Reason, f.Remedy = "", "" // the failure above says it
		}
		b.found(f)
	}
	answer := map[guard.Verdict]string{
		guard.Pass: "golive can rely on the plugin " + name,
		guard.Warn: "golive can rely on the plugin " + name + ", with warnings",
	}[verdict]
	fmt.Fprintf(p.out, "\n%s\n", b.ink.paint(toneOfVerdict(verdict), cmp.Or(answer, "golive cannot rely on the plugin "+name)))
	return quiet(code)
}

// alone sees that nothing of a plugin has the name of something of golive's own.
func (p *program) alone(about plugins.About) guard.Finding {
	f := guard.Finding{ID: "plugin.alone", Subject: about.Name, Title: "nothing of golive's own has a name of its parts and checks", Verdict: guard.Pass}
	if about.Kit.Name == "" {
		f.Verdict, f.Reason, f.Remedy = guard.Unknown, "this could not be asked", "mend what failed before it"
		return f
	}
	ours := builtin(p.err)
	ours.Name = "golive"
	if _, err := plugins.Join(ours, about.Kit); err != nil {
		f.Verdict, f.Reason, f.Remedy = guard.Fail, err.Error(), "rename it: a plan could not say which it means"
	}
	return f
}
