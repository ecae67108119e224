// Command golive guards a launch: it checks a plan before, watches the new version take traffic, and goes
// back by itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard/report"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, envconfig.OsLookuper(), processSignals()))
}

// program is one call of golive: where its answer goes, and what it was told by the environment. The answer
// is for out, the story of how it came about for err.
type program struct {
	in       io.Reader
	out, err io.Writer
	plain    io.Writer // out, also where the log obeys what it reads
	step     *step     // nil: this call is no step of GitHub Actions
	env      envconfig.Lookuper
	settings settings
	secrets  secrets

	ears     *ears
	guarding sync.Mutex // held while a rollout runs, which ends in its own way when golive is asked to
	answered bool       // a rollout has answered the signal that was heard
	stay     bool       // with an incident, until somebody stands it down
}

// run is golive. It returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, err io.Writer, env envconfig.Lookuper, signals <-chan os.Signal) int {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	p := &program{in: in, out: out, plain: out, env: env, step: stepOf(env)}
	// Only a person insists. A runner sends another signal because time has passed, and has nothing better to offer.
	p.ears = listenTo(signals, p.step == nil, func(s os.Signal) { end(fail(exitOfSignal(s), "%s", s)) })
	defer p.ears.close()
	log := err
	if p.step != nil {
		p.out, log = report.GitHubLog(out), report.GitHubLog(err)
	}
	story := speak(log)
	p.err = story
	code := p.run(ctx, args)
	if p.step == nil {
		story.close()
		return code
	}
	commands, failed := p.step.end(code)
	if failed != nil {
		fmt.Fprintf(p.err, "golive: %v\n", failed)
	}
	story.close()
	if len(commands) > 0 {
		loud := speak(err) // after the story, and to the runner itself
		_, _ = loud.Write(commands)
		loud.close()
	}
	return code
}

// run calls the command that is meant, and tells why it failed. It returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	cause := p.settings.read(ctx, p.env)
	if cause == nil {
		cause = p.execute(ctx, args)
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
		fmt.Fprintf(p.err, "golive: %v\n", e.err)
	}
	return e.code
}

// endsWithin is how long a command may take to end after a signal; what cannot be told to, such as a slow disk or
// an answer that nobody reads, is left behind. A rollout is never left behind.
const endsWithin = 2 * time.Second

// execute calls the command that is meant.
func (p *program) execute(ctx context.Context, args []string) error {
	done := make(chan error, 1)
	go func() {
		err := p.command(ctx, args)
		if err != nil && p.ears.heard() && !p.answered {
			err = context.Cause(ctx) // whatever it says, this is why
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-p.ears.asked:
	}
	for abandoned := false; ; {
		select {
		case err := <-done:
			return err
		case <-time.After(endsWithin):
			if abandoned {
				return context.Cause(ctx)
			}
			if abandoned = p.guarding.TryLock(); abandoned {
				p.guarding.Unlock()
			}
		}
	}
}

// command calls one command.
func (p *program) command(ctx context.Context, args []string) error {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	return root.ExecuteContext(ctx)
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
	root.PersistentFlags().StringVar(&p.settings.Server, "server", p.settings.Server, "golive serve, which guards instead; URL, or several with commas ($GOLIVE_SERVER; token in $GOLIVE_TOKEN, or the identity of a job of GitHub Actions, which is for $GOLIVE_AUDIENCE)")
	root.PersistentFlags().VarP(&p.settings.Output, "output", "o", "text or json ($GOLIVE_OUTPUT)")
	root.AddGroup(
		&cobra.Group{ID: "before", Title: "Before a launch:"},
		&cobra.Group{ID: "during", Title: "During a launch:"},
		&cobra.Group{ID: "wrong", Title: "When it goes wrong:"},
		&cobra.Group{ID: "after", Title: "Afterwards, and in between:"},
	)
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{"before", []*cobra.Command{p.initCommand(), p.doctorCommand(), p.checkCommand(), p.checksCommand(), p.backtestCommand(), p.schemaCommand(), p.planCommand(), p.pluginsCommand()}},
		{"during", []*cobra.Command{p.rolloutCommand(), p.watchCommand(), p.rollbackCommand(), p.orderCommand(), p.noteCommand(), p.ackCommand(), p.serveCommand(), p.stepCommand()}},
		{"wrong", append([]*cobra.Command{p.respondCommand()}, p.sayCommands()...)},
		{"after", []*cobra.Command{p.statusCommand(), p.explainCommand(), p.reportCommand(), p.replayCommand(), p.historyCommand(), p.statsCommand(), p.journalCommand(),
			p.drillCommand(), p.notifyCommand(), p.githubCommand(), p.recordCommand(), p.attestCommand(), p.settleCommand(), p.ledgerCommand()}},
		{"", []*cobra.Command{p.versionCommand()}},
	} {
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	nameArguments(root)
	root.SetFlagErrorFunc(flagError)
	return root
}
