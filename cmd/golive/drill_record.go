package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report/plandoc"
)

func (p *program) drillRecordCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "record DRILL",
		Short: "Write the record of a drill",
		Long: `record writes what the ledger holds of a drill as a document: objectives, scope, what happened and what was expected, times
against targets, the steady state before and after, and whether it was passed. That is computed from what was seen, not declared. A
drill of another method than the plan has today no longer counts, and the record says so.`,
		Example: `  golive drill record 20261121-031207-restore
  golive drill record 20261121-031207-restore -o html=drill.html --language zh`,
		Args: cobra.ExactArgs(1),
	}
	f := p.paperFlags(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if err := f.check(p); err != nil {
			return err
		}
		plan, all, err := p.drills()
		if err != nil {
			return err
		}
		e, err := drillNamed(all, args[0], p.ledgerPath())
		if err != nil {
			return err
		}
		return p.print(plandoc.Drill(plandoc.Source{Plan: plan, Now: time.Now().UTC(), Language: f.language, Version: version()}, e), f)
	}
	return c
}

func (p *program) drillListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the drills that the ledger remembers",
		Long: `list says of every drill of the service, the newest first, when it was, what it came to, how long it took, and whether it
still counts: one of another method than the plan has today does not.`,
		Example: `  golive drill list
  golive drill list -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.listDrills() },
	}
}

// drills are the drills of the plan's service that the ledger remembers, the oldest first.
func (p *program) drills() (*guard.Plan, []guard.Entry, error) {
	plan, _, err := p.readPlan()
	if err != nil {
		return nil, nil, err
	}
	l, err := p.readLedger()
	if err != nil {
		return nil, nil, fail(exitInternal, "%w", err)
	}
	if l.Broken != "" {
		return nil, nil, fail(exitNoGo, "%s", l.Broken)
	}
	return plan, slices.DeleteFunc(l.Entries, func(e guard.Entry) bool {
		return e.Act != guard.Result || !strings.HasPrefix(e.Kind, "drill.") || !e.For(plan.Service, plan.Environment)
	}), nil
}

// drillNamed is the drill that a name, or the beginning of one, means. Of several with one name it is the latest.
func drillNamed(all []guard.Entry, name, ledger string) (guard.Entry, error) {
	var names []string
	var found guard.Entry
	for _, e := range slices.Backward(all) {
		id := plandoc.DrillID(e)
		if id == name {
			return e, nil
		}
		if strings.HasPrefix(id, name) && !slices.Contains(names, id) {
			names, found = append(names, id), e
		}
	}
	switch len(names) {
	case 0:
		return found, fail(exitUsage, "%s has no drill %q: golive drill list names those it has", ledger, name)
	case 1:
		return found, nil
	}
	return found, fail(exitUsage, "%q is the beginning of %d drills, among them %s and %s", name, len(names), names[0], names[1])
}

// A drilled is a drill in a line.
type drilled struct {
	ID       string         `json:"id"`
	At       time.Time      `json:"at"`
	Kind     string         `json:"kind"`
	Subject  string         `json:"subject,omitempty"`
	Scenario string         `json:"scenario,omitempty"`
	Verdict  guard.Verdict  `json:"verdict"`
	Against  []string       `json:"against,omitempty"`
	Took     guard.Duration `json:"took,omitempty"`
	Counts   bool           `json:"counts"` // its method is that of the plan today
}

func (p *program) listDrills() error {
	plan, all, err := p.drills()
	if err != nil {
		return err
	}
	list := []drilled{}
	for _, e := range slices.Backward(all) {
		d := drilled{ID: plandoc.DrillID(e), At: e.At, Kind: strings.TrimPrefix(e.Kind, "drill."), Subject: e.Subject, Took: e.Took, Counts: e.OfToday(plan)}
		if e.Exercise != nil {
			d.Scenario = e.Exercise.Scenario
		}
		d.Verdict, d.Against = plandoc.Verdict(e)
		list = append(list, d)
	}
	if p.settings.Output == asJSON {
		return p.answerAbout(plan, list)
	}
	if len(list) == 0 {
		fmt.Fprintf(p.out, "%s remembers no drill of %s yet\n", p.ledgerPath(), plan.Service)
		return nil
	}
	rows := [][]string{{"DRILL", "WHEN", "KIND", "ABOUT", "RESULT", "TOOK", "COUNTS"}}
	for _, d := range list {
		counts := "yes"
		if !d.Counts {
			counts = "no longer"
		}
		about := strings.Trim(d.Subject+" "+d.Scenario, " ")
		rows = append(rows, []string{d.ID, moment(d.At), d.Kind, about, d.Verdict.String(), unlessZero(d.Took), counts})
	}
	fmt.Fprintln(p.discreet(p.out, plan), guard.Printable(strings.Join(table(rows, p.ink(p.out).width), "\n")))
	return nil
}
