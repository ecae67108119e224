// Command golive guards a launch: it checks a plan before, watches the new version take traffic, and goes
// back by itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, envconfig.OsLookuper(), signals))
}

// program is one call of golive: where its answer goes, and what it was told by the environment. The answer
// is for out, the story of how it came about for err.
type program struct {
	in       io.Reader
	out, err io.Writer
	env      envconfig.Lookuper
	signals  <-chan os.Signal
	settings settings
}

// run is golive. It returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, err io.Writer, env envconfig.Lookuper, signals <-chan os.Signal) int {
	p := &program{in: in, out: out, err: err, env: env, signals: signals}
	cause := p.settings.read(ctx, env)
	if cause == nil {
		root := p.root()
		root.SetArgs(args)
		root.SetIn(in)
		root.SetOut(out)
		root.SetErr(err)
		cause = root.ExecuteContext(ctx)
	}
	if cause == nil {
		return exitOK
	}
	var e *exit
	if !errors.As(cause, &e) {
		// cobra's own complaints are about how golive was called.
		e = &exit{code: exitUsage, err: cause}
	}
	if e.err != nil {
		fmt.Fprintf(err, "golive: %v\n", e.err)
	}
	return e.code
}

// root is the tree of commands. The groups are the order in which a service meets them.
func (p *program) root() *cobra.Command {
	cobra.EnableCommandSorting = false // the groups have their order
	root := &cobra.Command{
		Use:   "golive",
		Short: "Check a launch, watch it, and take it back when it goes wrong",
		Long: `golive reads golive.yaml, the executable emergency plan of a service. It says before a launch
whether it may go on, watches the new version take traffic beside the old one, and goes back by
itself when the new one does harm.`,
		Example: `  golive init                            write a first plan
  golive check --from v1 --to v2         may it go live?
  golive rollout --from v1 --to v2       take it live, step by step, or back
  golive explain                         why did it decide so?`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVarP(&p.settings.Plan, "plan", "f", p.settings.Plan, "the plan ($GOLIVE_PLAN)")
	root.PersistentFlags().StringVar(&p.settings.Journal, "journal", p.settings.Journal, "directory of the journals ($GOLIVE_JOURNAL)")
	root.PersistentFlags().VarP(&p.settings.Output, "output", "o", "text or json ($GOLIVE_OUTPUT)")
	root.AddGroup(
		&cobra.Group{ID: "before", Title: "Before a launch:"},
		&cobra.Group{ID: "during", Title: "During a launch:"},
		&cobra.Group{ID: "after", Title: "Afterwards, and in between:"},
	)
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{"before", []*cobra.Command{p.initCommand(), p.checkCommand(), p.checksCommand(), p.schemaCommand(), p.pluginsCommand()}},
		{"during", []*cobra.Command{p.rolloutCommand(), p.watchCommand(), p.rollbackCommand(), p.orderCommand()}},
		{"after", []*cobra.Command{p.statusCommand(), p.explainCommand(), p.replayCommand(), p.journalCommand()}},
		{"", []*cobra.Command{p.versionCommand()}},
	} {
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	return root
}
