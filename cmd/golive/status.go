package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status [ROLLOUT]",
		Short: "List the rollouts, or show one",
		Long: `status lists the rollouts in the directory of the journals, the newest first: where each stands, and
which process goes on with it. It names journals that cannot be read, and ends with exit code 1 then.`,
		Example: `  golive status
  golive status 20261124-031207-v2
  golive status -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			return p.statusOf(args[0])
		}
		return p.statusOfAll()
	}
	return c
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
	if a.Outcome != "" {
		return string(a.Outcome)
	}
	return string(a.Phase)
}

func (a account) guarded() string {
	switch {
	case a.Holder != nil:
		return fmt.Sprintf("process %d", a.Holder.PID)
	case a.Outcome != "":
		return "-"
	}
	return "NOBODY"
}

func (p *program) statusOf(id string) error {
	h, err := p.history(id)
	if err != nil {
		return err
	}
	if p.settings.Output == asJSON {
		return p.answerAbout(h.Plan, h.account())
	}
	a, i, out := h.account(), p.ink(p.out), p.discreet(p.out, h.Plan)
	var glass string
	if a.BreakGlass != nil {
		glass = a.BreakGlass.String()
	}
	facts := [][2]string{
		{"rollout", a.ID},
		{"service", a.Service + " (" + a.Environment + ")"},
		{"change", i.change(h.State.Release)},
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
	}
	if a.guarded() == "NOBODY" {
		facts = append(facts, [2]string{"go on", p.goOnWith(h)}, [2]string{"take back", p.call("rollback", a.ID)})
	}
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
