package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
)

// firstPlan is what init writes. The service is its first TODO.
//
//go:embed first.yaml
var firstPlan string

func (p *program) initCommand() *cobra.Command {
	var service string
	var force bool
	c := &cobra.Command{
		Use:   "init [--service NAME]",
		Short: "Write a first plan",
		Long: `init writes a golive.yaml to begin with: traffic is moved by your own commands, metrics come
from a Prometheus on this machine. What golive cannot know is marked TODO, and golive check
refuses it until it is filled in. Without --service the service is called as the directory of
the plan is. It never replaces a file, unless --force says so.`,
		Example: `  golive init --service checkout
  golive init --plan deploy/golive.yaml`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&service, "service", "", "the name of your service (default that of the directory)")
	c.Flags().BoolVar(&force, "force", false, "replace a plan that is there")
	c.RunE = func(*cobra.Command, []string) error { return p.writeFirstPlan(service, force) }
	return c
}

func (p *program) writeFirstPlan(service string, force bool) error {
	text, err := p.firstPlanOf(service)
	if err != nil {
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(p.settings.Plan, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fail(exitUsage, "%s is there already: edit it, or replace it with --force", p.settings.Plan)
	}
	if err != nil {
		return fail(exitUsage, "%w", err)
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return fail(exitInternal, "write the plan: %w", err)
	}
	if p.settings.Output == asJSON {
		return p.answer(struct {
			Plan string `json:"plan"`
		}{p.settings.Plan})
	}
	fmt.Fprintf(p.out, `%s is written. Next:
  1. fill in what is marked TODO      grep -n TODO %[1]s
  2. see what is still missing        %s
  3. mend what is marked ×, from the top, and ask again; golive explain CODE says why
  4. observe a few launches first     mode: observe in %[1]s (golive touches nothing)
`, p.settings.Plan, p.call("check", "--from", "OLD", "--to", "NEW"))
	return nil
}

// firstPlanOf is the first plan of a service; without a name, of the one that the directory of the plan is named after,
// if that can be a name.
func (p *program) firstPlanOf(service string) (string, error) {
	named := func(name string) (string, error) {
		text := strings.Replace(firstPlan, todoService, strconv.Quote(name), 1)
		_, err := guard.ParsePlan(p.settings.Plan, []byte(text))
		return text, err
	}
	if service != "" {
		text, err := named(service)
		if err != nil {
			return "", fail(exitUsage, "--service: %w", err)
		}
		return text, nil
	}
	path, err := filepath.Abs(p.settings.Plan)
	if err != nil {
		return "", fail(exitUsage, "%w", err)
	}
	if text, err := named(filepath.Base(filepath.Dir(path))); err == nil {
		return text, nil
	}
	return firstPlan, nil
}

// todoService stands where the name of the service has to be; no plan with it can be read.
const todoService = `"TODO: the name of your service"`
