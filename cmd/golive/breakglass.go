package main

import (
	"context"
	"fmt"
	"slices"
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

// owedFor is what a launch with broken glass obliges to.
func owedFor(b guard.BreakGlass, r guard.Release, at time.Time) guard.Entry {
	return guard.Entry{
		At: at, Act: guard.Obliged, Kind: "report", ID: "report-" + r.ID, Subject: r.ID, Service: r.Service, Environment: r.Environment,
		By: b.By, Until: at.Add(reportTakes), Says: "the incident report of " + r.ID + ", which was launched by break-glass",
	}
}

// owe writes an obligation into the ledger, and says so, unless it stands there already. It is called whenever the
// traffic has moved, so that a crash in between loses nothing; a ledger that cannot be written does not hold up a launch
// that could not wait for anything else either.
func (p *program) owe(ctx context.Context, e guard.Entry) {
	if l, err := p.readLedger(); err == nil && slices.ContainsFunc(l.Entries, func(old guard.Entry) bool { return old.ID == e.ID }) {
		return
	}
	fmt.Fprintf(p.err, "OWED by %s until %s: %s\n", e.By, moment(e.Until), e.Says)
	if err := p.remember(ctx, e); err != nil {
		fmt.Fprintf(p.err, "golive: this is not in the ledger, so remember it yourself: %v\n", err)
	}
}
