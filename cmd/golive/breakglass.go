package main

import (
	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
)

// glassFlags are what is said about a launch that has to happen in spite of the checks.
type glassFlags struct {
	given      func() bool // nil: the command has no such flags
	reason     string
	by         string
	approvedBy string
}

// glassFlags adds the flags that break the glass.
func (p *program) glassFlags(c *cobra.Command) *glassFlags {
	g := &glassFlags{}
	c.Flags().StringVar(&g.reason, "break-glass", "", "launch in spite of every check that can be waived, for this reason; needs --approved-by")
	c.Flags().StringVar(&g.by, "by", p.settings.By, "who breaks the glass, as the roster has the name ($GOLIVE_BY)")
	c.Flags().StringVar(&g.approvedBy, "approved-by", "", "who approves of it: commander, deputy or executive of the roster, and somebody else")
	g.given = func() bool { return c.Flags().Changed("break-glass") || c.Flags().Changed("approved-by") }
	return g
}

// broken is the glass that a call breaks; nil: none.
func (g *glassFlags) broken(plan *guard.Plan) (*guard.BreakGlass, error) {
	if g == nil || !g.given() {
		return nil, nil
	}
	b := &guard.BreakGlass{Reason: guard.Line(g.reason, 500), By: g.by, ApprovedBy: g.approvedBy}
	if err := b.Check(plan.Roster); err != nil {
		return nil, fail(exitUsage, "--break-glass: %w", err)
	}
	return b, nil
}
