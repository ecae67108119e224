package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
)

// checkTakes is how long a whole check may take; what is not known by then is unknown.
const checkTakes = 2 * time.Minute

func (p *program) checkCommand() *cobra.Command {
	var only, skip []string
	var failOn string
	var verbose bool
	c := &cobra.Command{
		Use:   "check --to VERSION [--from VERSION]",
		Short: "Ask whether a version may go live",
		Long: `check asks everything that has to be right before a launch: the plan, the backups, the way back, the
people, the metrics. It changes nothing. What cannot be found out is no pass.

Exit codes: 0 go, 2 the plan or the call is wrong, 3 no-go, 4 warnings (with --fail-on warn),
5 could not find out, which is a no-go too, 6 not over after two minutes.
In mode observe the answer is the same and the exit code is 0.`,
		Example: `  golive check --from v1.41.0 --to v1.42.0
  golive check --from v1 --to v2 --only backup,rollback.dry_run
  golive check --from v1 --to v2 --fail-on warn -o json`,
		Args: cobra.NoArgs,
	}
	release := p.releaseFlags(c)
	c.Flags().StringSliceVar(&only, "only", nil, "ask only these: IDs, codes, or the first part of IDs")
	c.Flags().StringSliceVar(&skip, "skip", nil, "leave these out, and say so")
	c.Flags().StringVar(&failOn, "fail-on", "fail", "the least verdict that ends with an exit code: warn or fail")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "say also what was expected and found where all is well")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if failOn != "warn" && failOn != "fail" {
			return fail(exitUsage, "--fail-on %s: say warn or fail", failOn)
		}
		return p.check(c.Context(), *release, selection{only, skip}, failOn == "warn", verbose)
	}
	return c
}

// An assessment is the answer of check.
type assessment struct {
	Verdict  guard.Verdict   `json:"verdict"`
	Mode     guard.Mode      `json:"mode"`
	Findings []guard.Finding `json:"findings"`
	Skipped  []string        `json:"skipped,omitempty"` // IDs of checks that were not asked
	Off      []string        `json:"off,omitempty"`     // IDs of checks that the plan does not ask
	ExitCode int             `json:"exit_code"`
}

func (p *program) check(ctx context.Context, release guard.Release, which selection, strict, verbose bool) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return p.mistakes(err)
	}
	if release.To == "" {
		return fail(exitUsage, "which version? Say --to VERSION, and --from VERSION unless it is the first")
	}
	release.Service, release.Environment = plan.Service, plan.Environment
	if err := release.Validate(); err != nil {
		return fail(exitUsage, "%w", err)
	}
	ctx, stop := p.untilSignal(ctx)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, checkTakes, fail(exitDeadline, "the checks were not over after %s", checkTakes))
	defer cancel()
	parts, closeParts, err := p.parts(ctx, plan)
	if err != nil {
		return err
	}
	defer closeParts()
	asked, skipped, err := which.of(parts.Checks)
	if err != nil {
		return err
	}
	off := offFor(plan, asked)
	if len(off) == len(asked) {
		return fail(exitUsage, "no check is left to ask: %s is off for this plan", strings.Join(off, ", "))
	}
	out := &blocks{out: p.out, ink: p.ink(p.out), verbose: verbose}
	if p.settings.Output == asJSON {
		out.out = io.Discard
	}
	if plan.Mode == guard.Observe {
		fmt.Fprintf(out.out, "observe: golive says what it finds, and forbids nothing\n\n")
	}
	scene := parts.Scene(ctx, plan, release, time.Now().UTC())
	a := assessment{Mode: plan.Mode, Skipped: skipped, Off: off, Findings: engine.RunChecks(ctx, scene, asked, out.found)}
	a.Verdict = guard.Worst(a.Findings)
	over := context.Cause(ctx)
	a.ExitCode = a.exitCode(strict, over)
	if p.settings.Output == asJSON {
		return errors.Join(p.answer(a), quiet(a.ExitCode))
	}
	out.end(a)
	if over != nil {
		return over
	}
	return quiet(a.ExitCode)
}

func (a assessment) exitCode(strict bool, over error) int {
	var e *exit
	switch {
	case errors.As(over, &e):
		return e.code
	case a.Mode == guard.Observe:
		return exitOK
	case a.Verdict == guard.Pass, a.Verdict == guard.Warn && !strict:
		return exitOK
	case a.Verdict == guard.Warn:
		return exitWarnings
	case a.Verdict == guard.Fail:
		return exitNoGo
	}
	return exitUnknown
}

// mistakes answers with the mistakes of a plan where the answer is to be JSON.
func (p *program) mistakes(err error) error {
	var wrong *guard.PlanError
	if p.settings.Output != asJSON || !errors.As(err, &wrong) {
		return err
	}
	return errors.Join(p.answer(struct {
		*guard.PlanError
		ExitCode int `json:"exit_code"`
	}{wrong, exitUsage}), quiet(exitUsage))
}

// answer writes a value as the JSON answer of a command.
func (p *program) answer(v any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// untilSignal ends a context when the process is asked to end. For what moves no traffic, that is all.
func (p *program) untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		select {
		case s := <-p.signals:
			code := exitInterrupted
			if s.String() == "terminated" {
				code = exitTerminated
			}
			cancel(fail(code, "%s", s))
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(nil)
		listening.Wait()
	}
}

// A selection names checks by ID, by code, or by the first part of their IDs.
type selection struct {
	only, skip []string
}

// of divides checks into those to ask and the IDs of the others.
func (s selection) of(all []guard.Check) (asked []guard.Check, skipped []string, err error) {
	for _, name := range slices.Concat(s.only, s.skip) {
		if !slices.ContainsFunc(all, func(c guard.Check) bool { return named(c, name) }) {
			var known []string
			for _, c := range all {
				known = append(known, c.ID)
			}
			return nil, nil, fail(exitUsage, "there is no check %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	for _, c := range all {
		is := func(name string) bool { return named(c, name) }
		if len(s.only) > 0 && !slices.ContainsFunc(s.only, is) || slices.ContainsFunc(s.skip, is) {
			skipped = append(skipped, c.ID)
			continue
		}
		asked = append(asked, c)
	}
	if len(asked) == 0 {
		return nil, nil, fail(exitUsage, "no check is left to ask: skip fewer")
	}
	return asked, skipped, nil
}

// offFor are the IDs of those checks that mean nothing to a plan. The engine does not ask them.
func offFor(plan *guard.Plan, all []guard.Check) (off []string) {
	for _, c := range all {
		if c.For(plan) == guard.Off {
			off = append(off, c.ID)
		}
	}
	return off
}

func named(c guard.Check, name string) bool {
	return c.ID == name || strings.EqualFold(c.Code, name) || category(c.ID) == name
}

// category is the first part of a check's ID.
func category(id string) string {
	first, _, _ := strings.Cut(id, ".")
	return first
}

// blocks prints findings as they come, each category under its name.
type blocks struct {
	out      io.Writer
	ink      ink
	verbose  bool
	category string
}

func (b *blocks) found(f guard.Finding) {
	if c := category(f.ID); c != b.category {
		if b.category != "" {
			fmt.Fprintln(b.out)
		}
		fmt.Fprintf(b.out, "%s\n%s\n", b.ink.paint(loud, c), strings.Repeat("-", len(c)))
		b.category = c
	}
	fmt.Fprintln(b.out, hang(0, findingText(f, b.ink, b.verbose), b.ink.width))
}

func (b *blocks) end(a assessment) {
	if len(a.Skipped) > 0 {
		fmt.Fprintf(b.out, "\n%s\n", b.ink.paint(faint, "skipped: "+strings.Join(a.Skipped, ", ")))
	}
	if len(a.Off) > 0 {
		fmt.Fprintf(b.out, "\n%s\n", b.ink.paint(faint, "off: "+strings.Join(a.Off, ", ")+": the plan has no tier and no clause that asks them"))
	}
	sum := tallyOf(a.Findings)
	fmt.Fprintf(b.out, "\n%s\n", b.ink.paint(sum.tone(), sum.String()))
}

// findingText is one sentence that is true when all is well, with its mark, and below it what is not.
func findingText(f guard.Finding, i ink, verbose bool) string {
	text := i.mark(f.Verdict) + " " + f.Title
	if f.Verdict == guard.Pass && !verbose {
		return text
	}
	if f.Verdict != guard.Pass && f.Code != "" {
		text += i.paint(faint, " ("+f.Code+")")
	}
	for _, detail := range []string{f.Reason, expectation(f)} {
		if detail != "" {
			text += "\n    " + strings.ReplaceAll(detail, "\n", "\n    ")
		}
	}
	if f.Remedy != "" {
		text += "\n    " + i.either("→ ", "-> ") + strings.ReplaceAll(f.Remedy, "\n", "\n       ")
	}
	return text
}

func expectation(f guard.Finding) string {
	var parts []string
	if f.Expected != "" {
		parts = append(parts, "expected: "+f.Expected)
	}
	if f.Observed != "" {
		parts = append(parts, "observed: "+f.Observed)
	}
	return strings.Join(parts, "; ")
}

// findingLine is a finding as a line of a story.
func findingLine(f guard.Finding, i ink) line { return line{calm, findingText(f, i, false)} }

// A sum counts findings by verdict.
type sum map[guard.Verdict]int

func tallyOf(findings []guard.Finding) sum {
	s := sum{}
	for _, f := range findings {
		s[f.Verdict]++
	}
	return s
}

func (s sum) tone() tone {
	switch {
	case s[guard.Fail]+s[guard.Unknown]+s[guard.Waiting] > 0 || len(s) == 0:
		return bad
	case s[guard.Warn] > 0:
		return doubt
	}
	return good
}

// String says what the findings come to: "no-go: 1 failed, 8 passed".
func (s sum) String() string {
	answer := "go"
	if s.tone() == bad {
		answer = "no-go"
	}
	var parts []string
	for _, part := range []struct {
		count     int
		one, many string
	}{
		{s[guard.Fail], "failed", "failed"},
		{s[guard.Unknown], "could not be found out", "could not be found out"},
		{s[guard.Waiting], "without enough evidence", "without enough evidence"},
		{s[guard.Warn], "warning", "warnings"},
		{s[guard.Pass], "passed", "passed"},
	} {
		switch {
		case part.count == 1:
			parts = append(parts, "1 "+part.one)
		case part.count > 1:
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.many))
		}
	}
	if len(parts) == 0 {
		return answer + ": nothing was checked"
	}
	return answer + ": " + strings.Join(parts, ", ")
}
