package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/plugins/github"
)

// githubStep is what a workflow of GitHub tells a step of itself.
type githubStep struct {
	Repository string `env:"GITHUB_REPOSITORY"`
	Token      string `env:"GITHUB_TOKEN"`
	Address    string `env:"GITHUB_API_URL"`
	Ref        string `env:"GITHUB_REF"`
	Commit     string `env:"GITHUB_SHA"`
	Event      string `env:"GITHUB_EVENT_PATH"` // a file; empty: not known
}

func (p *program) githubCommand() *cobra.Command {
	all := &cobra.Command{
		Use:   "github",
		Short: "Bring the answer of golive check to where people look on GitHub",
		Long: `github is for steps of a workflow: it hands over what golive check has written into files. It knows the repository, the
commit, the ref and the event from the environment of the step (GITHUB_REPOSITORY, GITHUB_SHA, GITHUB_REF, GITHUB_EVENT_PATH,
GITHUB_API_URL), and needs the token of the workflow in GITHUB_TOKEN:

  env: {GITHUB_TOKEN: "${{ github.token }}"}`,
		Example: `  golive github upload golive.sarif
  golive github comment check.md`,
	}
	var wait time.Duration
	upload := &cobra.Command{
		Use:   "upload FILE",
		Short: "Hand a SARIF report to code scanning",
		Long: `upload hands a report in SARIF to code scanning, which shows its findings on the lines of the plan, and waits until GitHub
has read it. The job needs the permission security-events: write.

Exit codes: 0 GitHub has read it, 2 the call or the environment is wrong, 5 GitHub has not read it, or does not say so.`,
		Example: `  golive check -o sarif=golive.sarif
  golive github upload golive.sarif`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			step, report, err := p.githubFile(c, args[0])
			if err != nil {
				return err
			}
			step.Wait = wait
			if err := step.Upload(c.Context(), report); err != nil {
				return fail(exitUnknown, "upload %s: %w", args[0], err)
			}
			fmt.Fprintf(p.out, "GitHub has read %s\n", args[0])
			return nil
		},
	}
	upload.Flags().DurationVar(&wait, "wait", 2*time.Minute, "how long GitHub may take to read it, 30s at least")
	var name string
	comment := &cobra.Command{
		Use:   "comment FILE",
		Short: "Keep one comment on the pull request up to date",
		Long: `comment puts a text in Markdown into one comment on the pull request of the event that has begun the workflow, or on those with
its commit. The comment is edited where it stands, so that there is one for each --name however often the workflow runs. The job
needs the permission pull-requests: write.

Exit codes: 0 it is there, or there is no pull request, 2 the call or the environment is wrong, 5 GitHub has not taken it.`,
		Example: `  golive check -o markdown=check.md
  golive github comment check.md
  golive github comment check.md --name production`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			step, text, err := p.githubFile(c, args[0])
			if err != nil {
				return err
			}
			numbers, err := step.Comment(c.Context(), name, string(text))
			switch {
			case err != nil:
				return fail(exitUnknown, "comment with %s: %w", args[0], err)
			case len(numbers) == 0:
				fmt.Fprintln(p.out, "no pull request has this commit")
			}
			for _, number := range numbers {
				fmt.Fprintf(p.out, "commented on #%d\n", number)
			}
			return nil
		},
	}
	comment.Flags().StringVar(&name, "name", "golive", "which comment it is, where there are several")
	all.AddCommand(upload, comment)
	return all
}

// githubFile reads the environment of a step, and the file that it is to hand over.
func (p *program) githubFile(c *cobra.Command, file string) (step github.Step, text []byte, err error) {
	var s githubStep
	if err := envconfig.ProcessWith(c.Context(), &envconfig.Config{Target: &s, Lookuper: p.env}); err != nil {
		return step, nil, fail(exitUsage, "environment: %w", err)
	}
	var missing []string
	for _, v := range []struct{ name, value string }{
		{"GITHUB_REPOSITORY", s.Repository}, {"GITHUB_TOKEN", s.Token}, {"GITHUB_REF", s.Ref}, {"GITHUB_SHA", s.Commit},
	} {
		if v.value == "" {
			missing = append(missing, v.name)
		}
	}
	if len(missing) > 0 {
		return step, nil, fail(exitUsage, "%s not set: a step of a workflow has all but the token, which it is given by env: {GITHUB_TOKEN: \"${{ github.token }}\"}", strings.Join(missing, ", "))
	}
	if text, err = os.ReadFile(file); err != nil {
		return step, nil, fail(exitUsage, "%w", err)
	}
	var event []byte
	if s.Event != "" {
		if event, err = os.ReadFile(s.Event); err != nil {
			return step, nil, fail(exitUsage, "GITHUB_EVENT_PATH: %w", err)
		}
	}
	return github.Step{
		Repository: s.Repository, Token: s.Token, Address: cmp.Or(s.Address, "https://api.github.com"), Ref: s.Ref, Commit: s.Commit, Event: event,
	}, text, nil
}
