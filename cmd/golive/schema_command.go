package main

import "github.com/spf13/cobra"

func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the plan",
		Long: `schema prints the JSON Schema of golive.yaml, with which editors complete a plan and check it while it is
written. It is made from the types that golive reads a plan with.`,
		Example: `  golive schema > golive.schema.json
  # then, as the first line of golive.yaml:
  # yaml-language-server: $schema=golive.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.answer(planSchema()) },
	}
}
