package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/report/page"
)

// A lookBack says which rollouts of the past are meant.
type lookBack struct {
	service, environment string
	since, outcome       string
	level                int
}

// mostFar is how many rollouts of a server are looked at: as many as it lists at once.
const mostFar = 200

func (p *program) historyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "history [WORD...]",
		Short: "Search what happened before",
		Long: `history lists the rollouts in the directory of the journals, the newest first, one a line: when, of which service, which
versions, how it ended, how bad it was, why, how long until it was noticed and until it was well again. Of several words each has
to stand somewhere in the versions, the causes, the notes, the reasons that people gave, or the alerts.

What is not known is a dash. Journals that cannot be read are named, and then the exit code is 1. With --server the journals of
its latest 200 rollouts are fetched and checked.`,
		Example: `  golive history
  golive history connection pool --since 90d
  golive history --service shop --outcome "rolled back" --level 1 -o json`,
	}
	b := &lookBack{}
	b.flags(c)
	c.Flags().StringVar(&b.outcome, "outcome", "", "how it ended: one of "+outcomes())
	c.Flags().IntVar(&b.level, "level", 0, "how bad it was at least: 1 is the worst, so 2 lists 1 and 2")
	c.RunE = func(c *cobra.Command, words []string) error {
		if b.level < 0 || b.level > 9 {
			return fail(exitUsage, "--level %d: say 1, the worst, to 9", b.level)
		}
		if b.outcome != "" && !slices.Contains(guard.Outcomes, guard.Outcome(b.outcome)) {
			return fail(exitUsage, "--outcome %q: nothing ends so; say one of %s", b.outcome, outcomes())
		}
		cases, broken, err := p.cases(c.Context(), b)
		if err != nil {
			return err
		}
		cases = slices.DeleteFunc(cases, func(k report.Case) bool {
			return !k.Matches(words) || b.outcome != "" && string(k.Outcome) != b.outcome || b.level > 0 && (k.Level == 0 || k.Level > b.level)
		})
		return p.showHistory(cases, broken)
	}
	return c
}

// outcomes are the ways in which a rollout ends, as a shell takes them.
func outcomes() string {
	var all []string
	for _, o := range guard.Outcomes {
		text := string(o)
		if strings.Contains(text, " ") {
			text = `"` + text + `"`
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func (b *lookBack) flags(c *cobra.Command) {
	c.Flags().StringVar(&b.service, "service", "", "only this service")
	c.Flags().StringVar(&b.environment, "environment", "", "only this environment")
	c.Flags().StringVar(&b.since, "since", "", "only what began since then: a day such as 2026-11-24, or a time span such as 90d")
}

// from is the moment that --since means; zero: there is none.
func (b *lookBack) from(now time.Time) (time.Time, error) {
	if b.since == "" {
		return time.Time{}, nil
	}
	if d, err := guard.ParseDate(b.since); err == nil {
		return d.Time, nil
	}
	if d, err := guard.ParseDuration(b.since); err == nil {
		return now.Add(-d.Std()), nil
	}
	return time.Time{}, fail(exitUsage, "--since %q: say a day such as 2026-11-24, or a time span such as 90d", b.since)
}

// cases are the rollouts that are meant, the newest first, and what is wrong with the journals that could not be read.
func (p *program) cases(ctx context.Context, b *lookBack) (cases []report.Case, broken []string, err error) {
	now := time.Now().UTC()
	since, err := b.from(now)
	if err != nil {
		return nil, nil, err
	}
	var all []*history
	var problems []error
	if p.settings.Server != "" {
		all, problems, err = p.historiesFar(ctx, &far{service: b.service, environment: b.environment})
	} else {
		all, problems, err = p.historiesHere()
	}
	if err != nil {
		return nil, nil, err
	}
	for _, problem := range problems {
		broken = append(broken, p.secrets.clean(problem.Error()))
	}
	for _, h := range slices.Backward(all) {
		k := report.CaseOf(h.ID(), h.Plan, h.Events, now)
		if !k.Began.Before(since) && (b.service == "" || k.Service == b.service) && (b.environment == "" || k.Environment == b.environment) {
			cases = append(cases, k)
		}
	}
	return cases, broken, nil
}

// historiesFar fetches the journals of a server's rollouts.
func (p *program) historiesFar(ctx context.Context, f *far) (all []*history, problems []error, err error) {
	s, err := p.servers()
	if err != nil {
		return nil, nil, err
	}
	accounts, err := p.accountsFar(ctx, s, f, false, mostFar)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range accounts {
		h, err := p.historyFar(ctx, s, a.ID)
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all = append(all, h)
	}
	if len(accounts) == mostFar {
		fmt.Fprintf(p.err, "golive: only the latest %d rollouts of the server were looked at\n", mostFar)
	}
	sortByBegin(all)
	return all, problems, nil
}

func (p *program) showHistory(cases []report.Case, broken []string) error {
	if p.settings.Output == asJSON {
		err := p.answerAbout(nil, struct {
			Rollouts []report.Case `json:"rollouts"`
			Broken   []string      `json:"broken"`
		}{append([]report.Case{}, cases...), append([]string{}, broken...)})
		if err != nil {
			return err
		}
		return unread(broken)
	}
	if len(cases) == 0 {
		fmt.Fprintln(p.out, "nothing is known that fits")
		return unread(broken)
	}
	i := p.ink(p.out)
	rows := [][]string{{"WHEN", "ROLLOUT", "SERVICE", "CHANGE", "OUTCOME", "LEVEL", "DETECT", "RESTORE", "CAUSE"}}
	for _, k := range cases {
		level, cause := "-", string(k.Why)
		if k.Level > 0 {
			level = fmt.Sprint(k.Level)
		}
		if k.Cause != "" {
			cause = guard.Line(k.Cause, 80)
		}
		outcome := string(k.Outcome)
		if outcome == "" {
			outcome = "not over"
		}
		rows = append(rows, []string{moment(k.Began), k.ID, k.Service + "/" + k.Environment, i.change(guard.Release{From: k.From, To: k.To}), outcome,
			level, orDash(k.Detect), orDash(k.Restore), cause})
	}
	fmt.Fprintln(p.discreet(p.out, nil), p.secrets.clean(strings.Join(table(rows, i.width), "\n")))
	return unread(broken)
}

func orDash(d *guard.Duration) string {
	if d == nil {
		return "-"
	}
	return d.String()
}

// unread says which journals could not be read.
func unread(broken []string) error {
	if len(broken) == 0 {
		return nil
	}
	return fail(exitInternal, "%s could not be read, and nothing of it is told:\n%s", plural(len(broken), "journal"), strings.Join(broken, "\n"))
}

func (p *program) statsCommand() *cobra.Command {
	usual := p.settings.Output
	to := &outlets{forms: append([]string{string(asText)}, page.Forms()...), usual: usual}
	c := &cobra.Command{
		Use:   "stats",
		Short: "Count what happened before",
		Long: `stats counts, of each service, the go-lives and how they ended, how long it took until harm was noticed and until the service
was well again (the median and the worst, with how many they are of), incidents, breaches, drills, what is still owed, and what
happened on this day a year ago. Beside every share stand its counts. What nobody knows is said to be unknown.

A go-live is a launch that is over and had traffic. The time to detect runs from the first traffic on the new version, the time to
restore from detection until the way back was verified. Journals that cannot be read are named and are in no figure, and then the
exit code is 1.`,
		Example: `  golive stats
  golive stats --since 365d
  golive stats --since 2026-01-01 --service shop -o markdown`,
		Args: cobra.NoArgs,
	}
	b := &lookBack{}
	b.flags(c)
	c.Flags().VarP(to, "output", "o", "FORM, or FORM=FILE, any number of times: "+strings.Join(to.known(), ", "))
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := to.clear(p.settings.Plan); err != nil {
			return err
		}
		now := time.Now().UTC()
		since, err := b.from(now)
		if err != nil {
			return err
		}
		year := *b
		year.since = "" // a year ago may be before it
		cases, broken, err := p.cases(c.Context(), &year)
		if err != nil {
			return err
		}
		l, err := p.readLedger()
		if err != nil {
			return fail(exitInternal, "%w", err)
		}
		all := report.StatsOf(cases, l, since, now)
		all = slices.DeleteFunc(all, func(s report.Stats) bool { return b.service != "" && s.Service != b.service })
		if err := p.showStats(all, broken, now, to); err != nil {
			return err
		}
		return unread(broken)
	}
	return c
}

func (p *program) showStats(all []report.Stats, broken []string, now time.Time, to *outlets) error {
	if wanted := to.here(); len(to.list) == 0 || len(to.all()) == 1 {
		switch wanted {
		case asJSON:
			return p.answerAbout(nil, struct {
				At       time.Time      `json:"at"`
				Services []report.Stats `json:"services"`
				Broken   []string       `json:"broken"`
			}{now, append([]report.Stats{}, all...), append([]string{}, broken...)})
		case asText:
			out := p.discreet(p.out, nil)
			if len(all) == 0 {
				fmt.Fprintln(out, "no rollout and no drill is known")
			}
			for _, s := range all {
				fmt.Fprintln(out, p.secrets.clean(s.Service))
				for _, f := range s.Facts() {
					fmt.Fprintf(out, "  %-18s%s\n", f.Name, hang(20, p.secrets.clean(f.Value), p.ink(p.out).width))
				}
			}
			return nil
		}
	}
	return p.print(report.StatsDocument(all, broken, now).Map(report.DiscreetText(nil)), &paper{to: to})
}
