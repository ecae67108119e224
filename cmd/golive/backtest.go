package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// alarmsShown is how many false alarms are told one by one.
const alarmsShown = 20

// A trial is what golive backtest is asked.
type trial struct {
	from   string
	since  string
	length string
	weight string
	sizes  []string
}

func (p *program) backtestCommand() *cobra.Command {
	t := trial{}
	c := &cobra.Command{
		Use:   "backtest [--from VERSION]",
		Short: "Try a plan on the past: how often it cries wolf, how soon it finds harm",
		Long: `backtest reads the signals of the plan from the history of its source, cuts launches out of it in which
nothing was released, and judges them. If three instances or more are told apart, another one of them stands in
for the new version each time; otherwise, or with --weight, that share of the requests is drawn at random.
Then it makes some of the new version's requests fail, and judges again. It changes nothing.

It says how many false alarms the plan would have raised in how many launches, and when; which share of
additional errors it would catch, and how soon; and what it could not see. Selectors with $version need
--from: the version that served in that time.

Exit codes: 0 tried, 2 the plan or the call is wrong or its source keeps no history, 5 there is too little
history, or it could not be read.`,
		Example: `  golive backtest --from v1.41.0
  golive backtest --from v1 --since 7d --length 1h --sizes 0.5%,2%
  golive backtest --since 2d --weight 5% -o json`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&t.from, "from", p.settings.From, "the version that served ($GOLIVE_FROM)")
	c.Flags().StringVar(&t.since, "since", "30d", "how much of the past")
	c.Flags().StringVar(&t.length, "length", "30m", "how long a launch lasts")
	c.Flags().StringVar(&t.weight, "weight", "", "share of the requests that is drawn at random (without: by instance, or 5%)")
	c.Flags().StringSliceVar(&t.sizes, "sizes", []string{"0.1%", "0.5%", "1%", "5%"}, "additional shares of bad requests to look for")
	c.RunE = func(c *cobra.Command, _ []string) error { return p.backtest(c.Context(), t) }
	return c
}

// A backtested is the answer of backtest.
type backtested struct {
	Service     string    `json:"service"`
	Environment string    `json:"environment"`
	Version     string    `json:"version,omitempty"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Length      string    `json:"length"`
	judge.Backtest
}

func (p *program) backtest(ctx context.Context, t trial) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return p.mistaken(err, p.outlets())
	}
	x, since, length, err := t.read(plan)
	if err != nil {
		return err
	}
	kit, closeKit, err := p.kit(ctx, plan)
	if err != nil {
		return err
	}
	defer closeKit()
	source, err := makePart(p, plan, "watch.source", kit.Sources, plan.Watch.Source)
	if err != nil {
		return err
	}
	historian, ok := source.(guard.Historian)
	if !ok {
		return fail(exitUsage, "%sthe source %s keeps no history to try the plan on: name one that does, such as prometheus",
			at(plan, "watch.source"), plan.Watch.Source.Use)
	}
	x.To = time.Now().UTC().Truncate(plan.Watch.Every.Std())
	x.From = x.To.Add(-since)
	if err := p.try(ctx, historian, plan, &x, length); err != nil {
		return err
	}
	if x.Watches == 0 {
		return fail(exitUnknown, "the source %s remembers no requests in the last %s: say the version that served with --from, or a --since in which there was traffic",
			plan.Watch.Source.Use, guard.Duration(since))
	}
	if p.settings.Output == asJSON {
		return p.answer(x)
	}
	x.write(p.out, p.ink(p.out))
	return nil
}

// read understands what was asked, and holds it against the plan.
func (t trial) read(plan *guard.Plan) (x backtested, since, length time.Duration, err error) {
	x = backtested{Service: plan.Service, Environment: plan.Environment, Version: t.from}
	for _, d := range []struct {
		flag, text string
		least      time.Duration
		to         *time.Duration
	}{
		{"length", t.length, 30 * plan.Watch.Every.Std(), &length},
		{"since", t.since, 0, &since},
	} {
		parsed, err := guard.ParseDuration(d.text)
		if err != nil {
			return x, 0, 0, fail(exitUsage, "--%s: %w", d.flag, err)
		}
		if *d.to = parsed.Std(); *d.to < d.least {
			return x, 0, 0, fail(exitUsage, "--%s %s: a launch takes 30 ticks at least, which is %s", d.flag, d.text, guard.Duration(d.least))
		}
	}
	if since < length {
		return x, 0, 0, fail(exitUsage, "--since %s is shorter than one launch of %s", t.since, t.length)
	}
	x.Length = guard.Duration(length).String()
	x.Plan = plan.Judge(guard.Release{From: "old", To: "new"}) // not a first release
	x.Weight, x.AtRandom = .05, t.weight != ""
	if x.AtRandom {
		if x.Weight, err = shareOf("weight", t.weight, .5); err != nil {
			return x, 0, 0, err
		}
	}
	for _, text := range t.sizes {
		size, err := shareOf("sizes", text, 1)
		if err != nil {
			return x, 0, 0, err
		}
		x.Sizes = append(x.Sizes, size)
	}
	for i, s := range plan.Watch.Signals {
		if t.from == "" && perVersion(s) {
			return x, 0, 0, fail(exitUsage, "%ssignal %s selects by $version: say which one served with --from VERSION",
				at(plan, fmt.Sprintf("watch.signals[%d]", i)), s.Name)
		}
	}
	return x, since, length, nil
}

// shareOf reads a share of the requests that is neither nothing nor more than most.
func shareOf(flag, text string, most float64) (float64, error) {
	s, err := guard.ParseShare(text)
	if err != nil {
		return 0, fail(exitUsage, "--%s: %w", flag, err)
	}
	if s <= 0 || float64(s) > most {
		return 0, fail(exitUsage, "--%s %s: say more than 0%%, and at most %s", flag, text, guard.Share(most))
	}
	return float64(s), nil
}

func perVersion(s guard.Signal) bool {
	return slices.ContainsFunc([]string{s.Total, s.Bad, s.Histogram, s.Value}, func(text string) bool {
		selector, err := guard.ParseSelector(text)
		return err == nil && selector.PerVersion()
	})
}

// try judges one launch after the other, and says now and then how far it is.
func (p *program) try(ctx context.Context, source guard.Historian, plan *guard.Plan, x *backtested, length time.Duration) error {
	query := guard.Query{
		Release: guard.Release{Service: plan.Service, Environment: plan.Environment, To: x.Version},
		Signals: plan.Watch.Signals,
	}
	all := int(x.To.Sub(x.From) / length)
	told := time.Now()
	for n := range all {
		begin := x.From.Add(time.Duration(n) * length)
		past, err := source.History(ctx, query, begin, begin.Add(length), plan.Watch.Every.Std())
		for i := 0; err == nil && i < len(past); i++ {
			err = guard.CheckReading(query, past[i])
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return fail(exitUnknown, "read the history of %s: %w", moment(begin), err)
		}
		if err := x.Add(past); err != nil {
			return fail(exitInternal, "%w", err)
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(p.err, "golive: %d of %d launches tried, %s so far\n", n+1, all, plural(x.FalseAlarms, "false alarm"))
		}
	}
	return nil
}

func (x backtested) write(out io.Writer, i ink) {
	subject := x.Service + " (" + x.Environment + ")"
	if x.Version != "" {
		subject += ", " + x.Version
	}
	fmt.Fprintf(out, "%s: %s to %s\n\n", subject, moment(x.From), moment(x.To))
	tone := good
	if float64(x.FalseAlarms) > x.Plan.FalseRollback*float64(x.Watches)+1 {
		tone = doubt
	}
	fmt.Fprintln(out, i.paint(tone, hang(0, fmt.Sprintf("This plan would have raised %s in %d launches of %s (%s; it allows %s).",
		plural(x.FalseAlarms, "false alarm"), x.Watches, x.Length, percent(float64(x.FalseAlarms)/float64(x.Watches)), guard.Share(x.Plan.FalseRollback)), i.width)))
	for _, alarm := range x.Alarms[:min(alarmsShown, len(x.Alarms))] {
		who := "a random part"
		if alarm.Instance != "" {
			who = alarm.Instance
		}
		fmt.Fprintf(out, "  %s\n", hang(2, fmt.Sprintf("%s, %s into the launch, with %s as new version: %s",
			moment(alarm.At), spell(alarm.At.Sub(alarm.Begun)), who, alarm.Why), i.width))
	}
	if more := len(x.Alarms) - alarmsShown; more > 0 {
		fmt.Fprintf(out, "  and %d more, which -o json lists\n", more)
	}
	if x.Undecided > 0 {
		fmt.Fprintln(out, hang(0, fmt.Sprintf("%d of them would have been held undecided.", x.Undecided), i.width))
	}
	x.writeCaught(out, i)
	fmt.Fprintf(out, "\n%s\n", hang(0, x.canary(), i.width))
	if unseen := x.unseen(); unseen != "" {
		fmt.Fprintln(out, i.paint(doubt, hang(0, unseen, i.width)))
	}
}

// writeCaught is the table of harm: how much, and how soon it is found.
func (x backtested) writeCaught(out io.Writer, i ink) {
	if !slices.ContainsFunc(x.Plan.Signals, func(s judge.Signal) bool { return s.Kind == judge.Errors }) {
		fmt.Fprintf(out, "\n%s\n", hang(0, "No signal counts errors, so whether they would be caught was not tried.", i.width))
		return
	}
	rows := [][]string{{"if so many more requests failed", "it would be caught in", "after about"}}
	for _, c := range x.Caught {
		after := "-"
		if c.Found > 0 {
			after = spell(seconds(c.Delay))
		}
		rows = append(rows, []string{percent(c.Errors), fmt.Sprintf("%d of %d", c.Found, x.Watches), after})
	}
	fmt.Fprintf(out, "\n%s\n", strings.Join(table(rows, i.width), "\n"))
}

// canary says what stood in for the new version.
func (x backtested) canary() string {
	random := x.Watches - x.ByInstance
	switch {
	case random == 0:
		return "The new version was another real instance each time."
	case x.ByInstance == 0:
		return fmt.Sprintf("The new version was %s of the requests, drawn at random: real instances differ by more.", percent(x.Weight))
	}
	return fmt.Sprintf("The new version was another real instance in %d launches, and %s of the requests at random in %d.", x.ByInstance, percent(x.Weight), random)
}

// unseen says what the history did not hold.
func (x backtested) unseen() string {
	var parts []string
	if x.Unseen > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s without any data", plural(x.Unseen, "piece"), x.Length))
	}
	for _, s := range x.Plan.Signals {
		if missing := x.Watches - x.Seen[s.Name]; missing > 0 {
			parts = append(parts, fmt.Sprintf("%s in %d of %d launches", s.Name, missing, x.Watches))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Not seen: " + strings.Join(parts, "; ") + "."
}
