package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/bundle"
	"github.com/golive-dev/golive/guard/report"
)

// checkTakes is how long a whole check may take unless the call says otherwise; what is not known by then is unknown.
const checkTakes = 2 * time.Minute

// A checkCall is how golive check was called.
type checkCall struct {
	release         guard.Release
	glass           *glassFlags
	which           selection
	strict, verbose bool
	to              *outlets
	timeout, wait   time.Duration
	save, replay    string // files
	otherPlan       bool   // a replay is judged by the plan of the call
	chosen, weighed bool   // the call says itself which checks, and what a warning is
}

func (p *program) checkCommand() *cobra.Command {
	var call checkCall
	var failOn string
	call.to = p.outlets()
	c := &cobra.Command{
		Use:   "check --to VERSION [--from VERSION]",
		Short: "Ask whether a version may go live",
		Long: `check asks everything that has to be right before a launch: the plan, the backups, the way back, the
people, the metrics. It changes nothing. What cannot be found out is no pass, and what has no answer when --timeout
is over was not found out.

Exit codes: 0 go, 2 the plan or the call is wrong, 3 no-go, 4 warnings (with --fail-on warn),
5 could not find out, which is a no-go too, 6 not over within --timeout.
In mode observe the answer is the same and the exit code is 0.

What the plan waives (checks.waivers) is asked and shown all the same, and counts as a warning. With
--break-glass so does everything else that can be waived: golive says how it would be, and obliges to nothing.

The answer can be given in several forms at once, one of them here and the others in files. Only what is
said to a terminal names phone numbers and e-mail addresses, unless the plan says roster.publish: true.

With --wait it asks again and again what blocks, and only that, until it passes or the time is over. --save keeps
the plan and all that the world answered in a file, and --replay judges it again, without asking anybody: for an
audit, for a test, or with --plan for another plan. A bundle holds no secrets, but the people of the plan. It proves
nothing: whoever can write it can make it pass, so let no replay open a gate.`,
		Example: `  golive check --from v1.41.0 --to v1.42.0
  golive check --from v1 --to v2 --only backup,rollback.dry_run
  golive check --from v1 --to v2 --fail-on warn -o json
  golive check --from v1 --to v2 -o github -o sarif=golive.sarif -o junit=golive.xml
  golive check --from v1 --to v2 --break-glass "nobody can pay since 03:02" --by "Mei Lin" --approved-by "Wang Fang"
  golive check --from v1 --to v2 --wait 10m
  golive check --from v1 --to v2 --save friday.tgz
  golive check --replay friday.tgz --plan stricter.yaml`,
		Args: cobra.NoArgs,
	}
	release := p.releaseFlags(c)
	call.glass = p.glassFlags(c)
	c.Flags().VarP(call.to, "output", "o", "FORM, or FORM=FILE, any number of times: "+strings.Join(call.to.known(), ", "))
	c.Flags().StringSliceVar(&call.which.only, "only", nil, "ask only these: IDs, codes, or the first part of IDs")
	c.Flags().StringSliceVar(&call.which.skip, "skip", nil, "leave these out, and say so")
	c.Flags().StringVar(&failOn, "fail-on", "fail", "the least verdict that ends with an exit code: warn or fail")
	c.Flags().BoolVarP(&call.verbose, "verbose", "v", false, "say also what was expected and found where all is well")
	c.Flags().DurationVar(&call.timeout, "timeout", checkTakes, "how long all checks together may take; with --wait, each round of them")
	c.Flags().DurationVar(&call.wait, "wait", 0, "how long to ask again what blocks")
	c.Flags().StringVar(&call.save, "save", "", "keep what the world answered in this `FILE`, such as bundle.tgz")
	c.Flags().StringVar(&call.replay, "replay", "", "judge what was kept in this `FILE`, and ask nobody")
	c.RunE = func(c *cobra.Command, _ []string) error {
		changed := func(names ...string) bool { return slices.ContainsFunc(names, c.Flags().Changed) }
		switch {
		case failOn != "warn" && failOn != "fail":
			return fail(exitUsage, "--fail-on %s: say warn or fail", failOn)
		case call.timeout <= 0 || changed("wait") && call.wait <= 0:
			return fail(exitUsage, "--timeout and --wait have to be longer than nothing, such as 2m")
		case changed("replay") && changed("from", "to", "save", "wait", "break-glass"):
			return fail(exitUsage, "--replay is about the release of its bundle and asks nobody: leave out --from, --to, --save, --wait and --break-glass")
		}
		call.release, call.strict = *release, failOn == "warn"
		call.otherPlan, call.chosen, call.weighed = changed("plan"), changed("only", "skip"), changed("fail-on")
		return p.check(c.Context(), call)
	}
	return c
}

// A matter is what a check is about: a release in the world, or in a bundle.
type matter struct {
	plan    *guard.Plan
	source  []byte // of the plan
	release guard.Release
	checks  []guard.Check
	scene   func(context.Context) guard.Scene // the world as it is now
	glass   *guard.BreakGlass                 // nil: it is whole
	fence   guard.Fence                       // of the backend; "": nobody was asked
	over    error                             // of a replay: why the checks were ended
	close   func()
}

func (p *program) check(ctx context.Context, call checkCall) error {
	if err := call.to.clear(p.settings.Plan, call.replay, call.save); err != nil {
		return err
	}
	if err := p.clearBundle(call.save); err != nil {
		return err
	}
	about := p.world
	if call.replay != "" {
		about = p.kept
	}
	m, err := about(ctx, &call)
	if err != nil {
		return p.mistaken(err, call.to)
	}
	defer m.close()
	asked, skipped, err := call.which.of(m.checks)
	if err != nil {
		return err
	}
	off := offFor(m.plan, asked)
	if len(off) == len(asked) {
		return fail(exitUsage, "no check is left to ask: %s is off for this plan", strings.Join(off, ", "))
	}
	a := report.Assessment{
		Version: version(), Plan: m.plan, Release: m.release, Mode: m.plan.Mode, Skipped: skipped, Off: off, Checks: m.checks, BreakGlass: m.glass,
		Fence: m.fence, Within: p.step.inside(),
	}
	answer := p.speakers(call.to, a, call.verbose)
	q := inquiry{checks: asked, scene: m.scene, timeout: call.timeout, strict: call.strict, pending: p.pending(m.plan)}
	if call.save != "" {
		q.record = &bundle.Recorder{}
	}
	var over error
	if call.wait > 0 {
		a.Findings, over = q.until(ctx, call.wait)
		q.pending.close()
		for _, f := range a.Findings {
			answer.found(f)
		}
	} else {
		a.Findings, over = q.once(ctx, answer.found)
		q.pending.close()
	}
	if over == nil {
		over = m.over
	}
	a.Verdict = guard.Worst(a.Findings)
	a.ExitCode = exitCode(a, call.strict, over)
	err = errors.Join(answer.end(a), p.step.checked(a, call.to.here() != "github"))
	if q.record != nil {
		err = errors.Join(err, p.keep(call, m, q.record, a, over))
	}
	if err != nil {
		return &exit{code: cmp.Or(a.ExitCode, exitInternal), err: err}
	}
	if over != nil && call.to.here() == asText {
		return over
	}
	return quiet(a.ExitCode)
}

// world is the release of the call, and everything that can be asked about it now.
func (p *program) world(ctx context.Context, call *checkCall) (matter, error) {
	plan, source, err := p.readPlan()
	if err != nil {
		return matter{}, err
	}
	release := call.release
	if release.To == "" {
		return matter{}, fail(exitUsage, "which version? Say --to VERSION, and --from VERSION unless it is the first")
	}
	release.Service, release.Environment = plan.Service, plan.Environment
	if err := release.Validate(); err != nil {
		return matter{}, fail(exitUsage, "%w", err)
	}
	broken, err := call.glass.broken(plan)
	if err != nil {
		return matter{}, err
	}
	parts, closeParts, err := p.parts(ctx, plan)
	if err != nil {
		return matter{}, err
	}
	if err := p.fits(plan, parts); err != nil {
		closeParts()
		return matter{}, err
	}
	scene := func(ctx context.Context) guard.Scene {
		scene := p.secrets.scene(parts.Scene(ctx, plan, release, time.Now().UTC()))
		scene.BreakGlass = broken
		return scene
	}
	return matter{
		plan: plan, source: source, release: release, glass: broken, checks: parts.Checks, scene: scene, close: closeParts,
		fence: cmp.Or(guard.FenceOf(parts.Backend), fenceUnknown),
	}, nil
}

// fenceUnknown is what is said of a backend that says nothing of its fence: an old plugin.
const fenceUnknown guard.Fence = "not known"

// fenceMeans say what each fence means for whoever lets several golives guard one service.
var fenceMeans = map[guard.Fence]string{
	guard.FenceEnforced: "the backend refuses what comes late from a golive that was replaced",
	guard.FenceAdvisory: "whoever the backend calls learns of the order's place, and has to refuse what comes late itself",
	guard.FenceNone:     "the backend obeys whoever calls last, also a golive that was replaced",
	fenceUnknown:        "the plugin does not say whether the backend refuses what comes late; take it for none",
}

func exitCode(a report.Assessment, strict bool, over error) int {
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

// mistaken answers with the mistakes of a plan. Where the answer is text they are told as the error that they are.
func (p *program) mistaken(err error, to *outlets) error {
	var wrong *guard.PlanError
	if !errors.As(err, &wrong) {
		return err
	}
	a := report.Mistaken(wrong)
	a.Version, a.ExitCode, a.Checks, a.Within = version(), exitUsage, builtin(p.err).Checks, p.step.inside()
	answer := p.speakers(to, a, false)
	if to.here() == asText {
		answer = answer[1:]
	}
	for _, f := range a.Findings {
		answer.found(f)
	}
	if failed := errors.Join(answer.end(a), p.step.checked(a, to.here() != "github")); failed != nil {
		return fail(exitUsage, "%w\n%w", err, failed)
	}
	if to.here() == asText {
		return err
	}
	return quiet(exitUsage)
}

// answer writes a value as the JSON answer of a command.
func (p *program) answer(v any) error { return writeJSON(p.out, v) }

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
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
	discreet func(guard.Finding) guard.Finding // nil: nobody but the person at the terminal reads it
	category string
	unset    []string // IDs of checks that were passed over in print
}

func (b *blocks) begin(a report.Assessment) {
	if a.Mode == guard.Observe {
		fmt.Fprintf(b.out, "observe: golive says what it finds, and forbids nothing\n\n")
	}
	if a.BreakGlass != nil {
		text := a.BreakGlass.String()
		if b.discreet != nil {
			text = b.discreet(guard.Finding{Reason: text}).Reason
		}
		fmt.Fprintf(b.out, "%s\n\n", b.ink.paint(bad, hang(0, text, b.ink.width)))
	}
}

func (b *blocks) found(f guard.Finding) {
	if b.discreet != nil {
		f = b.discreet(f)
	}
	if !b.verbose && optional(f) {
		if !slices.Contains(b.unset, f.ID) {
			b.unset = append(b.unset, f.ID)
		}
		return
	}
	if c := category(f.ID); c != b.category {
		if b.category != "" {
			fmt.Fprintln(b.out)
		}
		fmt.Fprintf(b.out, "%s\n%s\n", b.ink.paint(loud, c), strings.Repeat("-", len(c)))
		b.category = c
	}
	fmt.Fprintln(b.out, hang(0, findingText(f, b.ink, b.verbose), b.ink.width))
}

// optional says that a finding is about what a plan may do without, and does: a person who has not asked for it need
// not read how to set it up before each launch.
func optional(f guard.Finding) bool { return f.Unset && f.Verdict == guard.Warn && f.Waived == nil }

func (b *blocks) end(a report.Assessment) error {
	if len(b.unset) > 0 {
		text := fmt.Sprintf("%s not set up, and not required: %s (golive check -v says how)", b.ink.mark(guard.Warn), strings.Join(b.unset, ", "))
		fmt.Fprintf(b.out, "\n%s\n", hang(2, text, b.ink.width))
	}
	if n := len(a.Skipped); n > 0 {
		const few = 8
		text := strings.Join(a.Skipped, ", ")
		if n > few && !b.verbose {
			text = plural(n, "check") + " (golive check -v lists them)"
		}
		fmt.Fprintf(b.out, "\n%s\n", b.ink.paint(faint, hang(0, "skipped: "+text, b.ink.width)))
	}
	if len(a.Off) > 0 {
		fmt.Fprintf(b.out, "\n%s\n", b.ink.paint(faint, "off: "+plural(len(a.Off), "check")+" that the plan has no tier and no clause for (golive checks lists them)"))
	}
	if a.Fence != "" {
		text := fmt.Sprintf("fence: %s (%s)", a.Fence, fenceMeans[a.Fence])
		fmt.Fprintf(b.out, "\n%s\n", b.ink.paint(faint, hang(0, text, b.ink.width)))
	}
	_, err := fmt.Fprintf(b.out, "\n%s\n", b.ink.paint(toneOfVerdict(a.Verdict), a.Summary()))
	return err
}

// findingText is one sentence that is true when all is well, with its mark, and below it what is not.
func findingText(f guard.Finding, i ink, verbose bool) string {
	text := i.mark(f.Verdict) + " " + f.Title
	if f.Verdict == guard.Pass && !verbose {
		return text
	}
	if f.Verdict != guard.Pass && f.Code != "" {
		name := f.Code
		if f.Waived != nil {
			name += ", waived"
		}
		text += i.paint(faint, " ("+name+")")
	}
	for _, detail := range []string{f.Reason, report.Expectation(f)} {
		if detail != "" {
			text += "\n    " + strings.ReplaceAll(detail, "\n", "\n    ")
		}
	}
	if f.Remedy != "" {
		text += "\n    " + i.either("→ ", "-> ") + strings.ReplaceAll(f.Remedy, "\n", "\n       ")
	}
	if f.Waived != nil {
		text += "\n    " + f.Waived.String()
	}
	return text
}

// findingLine is a finding as a line of a story.
func findingLine(f guard.Finding, i ink) line { return line{calm, findingText(f, i, false)} }

// toneOfVerdict is how an answer sounds. What could not be found out sounds like no.
func toneOfVerdict(v guard.Verdict) tone {
	switch v {
	case guard.Pass:
		return good
	case guard.Warn:
		return doubt
	}
	return bad
}
