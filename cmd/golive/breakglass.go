package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
)

// reportTakes is how long after a launch with broken glass its incident report has to be written.
const reportTakes = 24 * time.Hour

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

// An obligation is what somebody has to do because of what has happened, and until when.
type obligation struct {
	Kind      string // "incident-report"
	Subject   string // the rollout that it is about
	By        string // who owes it
	Statement string
	Until     time.Time
}

// owedFor is what a launch with broken glass obliges to.
func owedFor(b guard.BreakGlass, rollout string, at time.Time) obligation {
	return obligation{
		Kind: "incident-report", Subject: rollout, By: b.By, Until: at.Add(reportTakes),
		Statement: "write the incident report of " + rollout + ", which was launched by break-glass",
	}
}

// owe takes note of an obligation, and says so. It is called once the fact that obliges is in the journal.
func (p *program) owe(o obligation) {
	fmt.Fprintf(p.err, "OWED by %s until %s: %s\n", o.By, moment(o.Until), o.Statement)
}
