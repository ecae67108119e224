package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
)

func (p *program) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status [ROLLOUT]",
		Short: "List the rollouts, show one, or follow one",
		Long: `status lists the rollouts in the directory of the journals, the newest first: where each stands, and
which process goes on with it. It names journals that cannot be read, and ends with exit code 1 then.

With --server it lists those that the server guards, of the service of the plan or of --service; without either, of all.
With --follow it shows what happens to the one that is named, or to the only one under way, and ends as golive rollout does.`,
		Example: `  golive status
  golive status 20261124-031207-v2
  golive status -o json
  golive status --server https://golive.example.com --service shop
  golive status --follow 20261124-031207-v2 --server https://golive.example.com`,
		Args: cobra.MaximumNArgs(1),
	}
	f := p.farFlags(c)
	follow := c.Flags().Bool("follow", false, "show what happens until it is over")
	c.RunE = func(c *cobra.Command, args []string) error {
		id := strings.Join(args, "")
		far, err := p.atServer(c)
		switch {
		case err != nil:
			return err
		case far:
			return p.statusFar(c.Context(), id, f, *follow)
		case *follow:
			return p.followHere(c.Context(), id)
		case id != "":
			return p.statusOf(id)
		}
		return p.statusOfAll()
	}
	return c
}

// followHere follows a rollout of another process on this machine.
func (p *program) followHere(ctx context.Context, id string) error {
	h, err := p.history(id)
	if err != nil {
		return err
	}
	e, err := p.follow(ctx, h, false)
	return p.conclude(e, err, false)
}

func (p *program) statusOfAll() error {
	all, broken := p.histories()
	accounts := make([]account, len(all))
	for i, h := range all {
		accounts[len(all)-1-i] = h.account()
	}
	if broken != nil {
		broken = fail(exitInternal, "%w", broken)
	}
	if p.settings.Output == asJSON {
		if err := p.answerAbout(nil, accounts); err != nil {
			return err
		}
		return broken
	}
	if len(accounts) == 0 && broken == nil {
		fmt.Fprintf(p.out, "no rollout in %s yet\n", p.settings.Journal)
	}
	if len(accounts) > 0 {
		fmt.Fprintln(p.out, strings.Join(standings(accounts, p.ink(p.out), time.Now()), "\n"))
	}
	return broken
}

// standings is a table of rollouts.
func standings(accounts []account, i ink, now time.Time) []string {
	rows := [][]string{{"ROLLOUT", "SERVICE", "CHANGE", "STATE", "SINCE", "SHARE", "GUARDED BY"}}
	for _, a := range accounts {
		change := a.From + " " + i.arrow() + " " + a.To
		if a.From == "" {
			change = a.To + " (first)"
		}
		rows = append(rows, []string{
			a.ID, a.Service + "/" + a.Environment, change, a.standing(),
			spell(now.Sub(a.Since)) + " ago", fmt.Sprintf("%d %%", a.Percent), a.guarded(),
		})
	}
	return table(rows, i.width)
}

// standing is the outcome of what is over, and the phase of what is not.
func (a account) standing() string {
	switch {
	case a.Outcome != "" && a.Incident != nil && a.Incident.Open:
		return string(a.Outcome) + ", incident open"
	case a.Outcome != "":
		return string(a.Outcome)
	}
	return string(a.Phase)
}

func (a account) guarded() string {
	switch {
	case a.Holder != nil:
		return fmt.Sprintf("process %d", a.Holder.PID)
	case a.Guard != "":
		return a.Guard
	case a.Outcome != "" && (a.Incident == nil || !a.Incident.Open):
		return "-"
	}
	return "NOBODY"
}

func (p *program) statusOf(id string) error {
	h, err := p.history(id)
	if err != nil {
		return err
	}
	return p.showAccount(h.Plan, h.account(), h)
}

// showAccount shows one rollout. H is its history; nil: a server has it.
func (p *program) showAccount(plan *guard.Plan, a account, h *history) error {
	if p.settings.Output == asJSON {
		return p.answerAbout(plan, a)
	}
	i, out := p.ink(p.out), p.discreet(p.out, plan)
	var glass string
	if a.BreakGlass != nil {
		glass = a.BreakGlass.String()
	}
	facts := [][2]string{
		{"rollout", a.ID},
		{"service", a.Service + " (" + a.Environment + ")"},
		{"change", i.change(guard.Release{From: a.From, To: a.To})},
		{"break-glass", glass},
		{"purpose", string(a.Purpose) + ", mode " + string(a.Mode)},
		{"state", a.standing()},
		{"why", a.Why},
		{"share", fmt.Sprintf("%d %%, last seen", a.Percent)},
		{"step", fmt.Sprintf("%d of %d", a.Step, a.Steps)},
		{"held", a.Held},
		{"alerts", firing(a)},
		{"seen to by", a.Acknowledged},
		{"trouble", a.Trouble},
		{"remarks", strings.Join(a.Remarks, "\n")},
		{"began", moment(a.Began)},
		{"since", moment(a.Since)},
		{"guarded by", a.guarded()},
		{"journal", a.Journal},
		{"page", a.Page},
	}
	if a.guarded() == "NOBODY" && h != nil && !h.over() {
		facts = append(facts, [2]string{"go on", p.goOnWith(h)}, [2]string{"take back", p.call("rollback", a.ID)})
	}
	facts = append(facts, a.Incident.facts(p, a.ID, a.held())...)
	facts = slices.DeleteFunc(facts, func(fact [2]string) bool { return fact[1] == "" })
	for _, fact := range facts {
		fmt.Fprintf(out, "%-12s%s\n", fact[0], hang(12, fact[1], i.width))
	}
	return nil
}

// firing is what fires and began after the rollout, each alert on a line, or more than that.
func firing(a account) string {
	var lines []string
	for _, alert := range a.Alerts {
		lines = append(lines, alert.String())
	}
	if len(lines) == 0 {
		return a.Alarm
	}
	return strings.Join(lines, "\n")
}

// goOnWith is the command that goes on with a rollout that nobody guards.
func (p *program) goOnWith(h *history) string {
	r := h.State.Release
	if r.First() {
		return p.call(string(h.State.Purpose), "--to", r.To)
	}
	return p.call(string(h.State.Purpose), "--from", r.From, "--to", r.To)
}
