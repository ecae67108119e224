package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
)

// asMarkdown is a form of the catalogue, beside those of every answer.
const asMarkdown output = "markdown"

func (p *program) checksCommand() *cobra.Command {
	form := catalogueForm(p.settings.Output)
	var demands bool
	c := &cobra.Command{
		Use:   "checks",
		Short: "List the checks, and what each asks",
		Long: `checks lists what golive check asks, in the order in which it is printed: the checks that golive brings, and
those of the plugins that the plan names, and the plan's own (checks.extra). golive explain CODE says of one why it asks, and how to mend what it finds.`,
		Example: `  golive checks
  golive checks -o markdown
  golive checks --demands`,
		Args: cobra.NoArgs,
	}
	c.Flags().VarP(&form, "output", "o", "text, json or markdown")
	c.Flags().BoolVar(&demands, "demands", false, "list the demands on an emergency plan, S1 to S171, and what answers each")
	c.RunE = func(c *cobra.Command, _ []string) error {
		all, err := p.catalogue(c.Context(), c.Flags().Changed("plan"))
		if err != nil {
			return err
		}
		if demands {
			return p.listDemands(checks.Coverage(all), output(form))
		}
		return p.listChecks(all, output(form))
	}
	return c
}

// listDemands says what answers each demand; "later" is what this version does not answer yet.
func (p *program) listDemands(covered []checks.Answered, form output) error {
	switch form {
	case asJSON:
		return p.answer(covered)
	case asMarkdown:
		return fail(exitUsage, "the demands are listed as text or json")
	}
	for _, a := range covered {
		fmt.Fprintf(p.out, "S%-4d %-8s %s\n", a.Demand, a.By, a.With)
	}
	return nil
}

// catalogueForm is the form of the catalogue.
type catalogueForm output

func (f *catalogueForm) Type() string   { return "form" }
func (f *catalogueForm) String() string { return string(*f) }
func (f *catalogueForm) Set(s string) error {
	switch output(s) {
	case asText, asJSON, asMarkdown:
		*f = catalogueForm(s)
		return nil
	}
	return fmt.Errorf("%q is neither text, json nor markdown", s)
}

// catalogue are the checks that a plan can be asked. Without a plan they are ours; asked says that there has to be one.
func (p *program) catalogue(ctx context.Context, asked bool) ([]guard.Check, error) {
	if _, err := os.Stat(p.settings.Plan); errors.Is(err, os.ErrNotExist) && !asked {
		return checks.All(), nil
	}
	plan, _, err := p.readPlan()
	if err != nil {
		return nil, err
	}
	kit, closeKit, err := p.kit(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer closeKit()
	return kit.Checks, nil
}

func (p *program) listChecks(all []guard.Check, form output) error {
	switch form {
	case asMarkdown:
		_, err := fmt.Fprint(p.out, report.Checks(all))
		return err
	case asJSON:
		type entry struct {
			Code       string `json:"code"`
			ID         string `json:"id"`
			Asks       string `json:"asks"`
			Unwaivable bool   `json:"unwaivable,omitempty"`
		}
		var entries []entry
		for _, c := range all {
			entries = append(entries, entry{c.Code, c.ID, report.Asks(c), c.Unwaivable})
		}
		return p.answer(entries)
	}
	i := p.ink(p.out)
	for _, c := range all {
		fmt.Fprintf(p.out, "%s %s\n    %s\n", i.paint(loud, c.Code), c.ID, hang(4, report.Asks(c), i.width))
	}
	return nil
}
