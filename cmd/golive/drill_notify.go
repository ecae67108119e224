package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
)

// looksEvery is how often a drill looks whether somebody has answered.
const looksEvery = time.Second

func (p *program) drillNotifyCommand() *cobra.Command {
	var strangers bool
	c := &cobra.Command{
		Use:   "notify",
		Short: "Send a drill through every channel, and wait until somebody answers",
		Long: `drill notify sends a message that says it is a drill through each channel of the plan, to all whom the channel serves,
and waits until one of them answers by golive notify ack NAME. Its time for that is the shortest of severity.activate: the time in
which somebody has to lead in an emergency. A plan without severity has nobody answer, and nothing is waited for.

Channels that serve none but customers and vendors are left out, and the record says so, unless --strangers. A channel that
writes on this terminal is no part of it.

How it went is written to the ledger as drill.notify, and as golive notify test does for each channel. It is passed if every
channel took the message, everybody in the roster was handed it by some channel, and somebody answered in time. One that was cut off
has failed.
Exit codes: 0 passed, 2 the call or the plan is wrong, 3 not passed, 130 or 143 cut off.`,
		Example: `  golive drill notify
  golive drill notify --strangers --finding 'the number of Acme is an old one'`,
		Args: cobra.NoArgs,
	}
	flags := p.drillFlags(c)
	c.Flags().BoolVar(&strangers, "strangers", false, "also through the channels of customers and vendors")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := flags.check(); err != nil {
			return err
		}
		return p.drillNotify(c.Context(), strangers, flags)
	}
	return c
}

func (p *program) drillNotify(ctx context.Context, strangers bool, flags *drillFlags) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	channels, leftOut, err := rehearsedChannels(plan, strangers)
	if err != nil {
		return err
	}
	if plan.Activation() > 0 && len(plan.Roster.People) == 0 {
		return fail(exitUsage, "%s: severity wants somebody to lead, and the roster names nobody who could (add roster: {people: [...]})", p.settings.Plan)
	}
	if err := p.mayRecord(); err != nil { // before anybody is disturbed in vain
		return err
	}
	p.secrets.of(plan, p.env)
	kit, closeKit, err := p.kit(ctx, plan)
	if err != nil {
		return err
	}
	defer closeKit()
	p.guarding.Lock() // people were disturbed, so what came of it is written down, also when golive is asked to end
	defer p.guarding.Unlock()
	began := time.Now().UTC().Round(0)
	run := &callOut{program: p, plan: plan, exercise: guard.Exercise{
		ID: newID(began, "notify"), Kind: "notify", Began: began,
		Objectives: []string{"every channel takes a message, and everybody is handed it"},
		Scope:      fmt.Sprintf("%s (%s): messages that say they are a drill", plan.Service, plan.Environment),
		Targets:    guard.Spans{Activate: plan.Activation()},
		Deviations: leftOut,
	}}
	if err := run.send(ctx, kit, channels); err != nil {
		return err
	}
	if plan.Activation() > 0 && ctx.Err() == nil {
		run.exercise.Objectives = append(run.exercise.Objectives, "somebody answers in the time in which somebody has to lead")
		run.wait(ctx)
	}
	if ctx.Err() != nil {
		run.exercise.Aborted = "golive was asked to end"
	}
	run.exercise.Ended = time.Now().UTC().Round(0)
	flags.add(&run.exercise)
	entry := drilled(plan, "drill.notify", "", run.exercise)
	entry.Took = run.exercise.Took.Activate
	if err := p.rememberDrill(context.WithoutCancel(ctx), entry, flags.findings); err != nil {
		return err
	}
	if err := p.tellExercise(p.secrets.entry(entry)); err != nil {
		return err
	}
	if p.answered = p.ears.heard(); p.answered {
		return quiet(p.ears.code())
	}
	return drillCode(entry)
}

// rehearsedChannels are the places of the channels that a drill goes through, and why it leaves others out.
func rehearsedChannels(plan *guard.Plan, strangers bool) (channels []int, leftOut []string, err error) {
	for i, c := range plan.Notify {
		switch {
		case c.Use == "stdout": // whoever sees it sits here
		case strangersOnly(plan, c) && !strangers:
			leftOut = append(leftOut, fmt.Sprintf("%s was left out, since it serves %s (--strangers)", channelName(plan, i), strings.Join(serves(c), ", ")))
		default:
			channels = append(channels, i)
		}
	}
	if len(channels) == 0 {
		return nil, nil, fail(exitUsage, "the plan has no channel that reaches the team beyond this terminal (add notify: [{use: email, with: {...}}])")
	}
	return channels, leftOut, nil
}

// strangersOf are the vendors and customers whom a channel serves, as notices name them.
func strangersOf(plan *guard.Plan, c guard.Channel) (names []string) {
	for _, who := range c.For {
		if who != "vendor" {
			names = append(names, who)
			continue
		}
		for _, v := range plan.Roster.Vendors {
			names = append(names, v.Name)
		}
	}
	return names
}

// A callOut is a drill of the channels while it is made.
type callOut struct {
	*program
	plan     *guard.Plan
	exercise guard.Exercise
	called   []guard.Recipient // of the roster, each once
}

// moment says what happens, and remembers it.
func (c *callOut) moment(at time.Time, who, format string, args ...any) {
	text := c.secrets.clean(fmt.Sprintf(format, args...))
	c.exercise.Timeline = append(c.exercise.Timeline, guard.Moment{At: at, Who: who, What: text})
}

// inject notes what was expected of something, and what was seen of it since the drill began.
func (c *callOut) inject(what, expected, observed string, met bool) {
	c.exercise.Injects = append(c.exercise.Injects, guard.Inject{
		After: guard.Duration(time.Since(c.exercise.Began).Round(time.Millisecond)), What: what, Expected: expected, Observed: c.secrets.clean(observed), Met: met,
	})
}

// send goes through the channels, and looks who was handed the message by none. A channel that names nobody, such as a chat,
// is taken to reach all whom it serves.
func (c *callOut) send(ctx context.Context, kit plugins.Kit, channels []int) error {
	handed := map[string]bool{}
	for _, i := range channels {
		if ctx.Err() != nil {
			break
		}
		var to []string
		if strangersOnly(c.plan, c.plan.Notify[i]) {
			to = strangersOf(c.plan, c.plan.Notify[i])
		}
		notice, err := testNotice(c.plan, i, to, time.Now().UTC().Round(0), guard.AboutDrill)
		if err != nil {
			return err
		}
		t, err := c.tryChannel(ctx, c.plan, kit, i, notice)
		if ctx.Err() != nil {
			break // that it was cut off says nothing of the channel
		}
		if err != nil {
			return err
		}
		observed := "it took it"
		if t.Outcome != guard.Pass {
			observed = guard.Line(t.Detail, 300)
		}
		c.inject("a drill through "+t.Channel, "it takes it for everybody whom it knows", observed, t.Outcome == guard.Pass)
		c.moment(notice.At, "golive", "%s: %s", t.Channel, observed)
		for _, r := range notice.To {
			if !slices.ContainsFunc(c.called, func(known guard.Recipient) bool { return known.Name == r.Name }) {
				c.called = append(c.called, r)
			}
			named := slices.ContainsFunc(t.Handed, func(h guard.Handed) bool { return h.Name == r.Name && h.Problem == "" })
			handed[r.Name] = handed[r.Name] || named || t.Outcome == guard.Pass && len(t.Handed) == 0
		}
	}
	var without []string
	for _, r := range c.called {
		if !handed[r.Name] {
			without = append(without, r.Name)
		}
	}
	observed := "everybody was"
	if len(without) > 0 {
		observed = "nobody has handed it to " + strings.Join(without, ", ")
	}
	c.inject("everybody is to hear it", "each is handed it by some channel", observed, len(without) == 0)
	for _, r := range c.called {
		c.exercise.Participants = append(c.exercise.Participants, guard.Participant{Role: r.Role, Name: r.Name})
	}
	return nil
}

// wait looks into the ledger until somebody who was told has answered, or the time for that is over. A ledger that cannot be
// read for a moment, as while somebody writes into it, holds no answer yet.
func (c *callOut) wait(ctx context.Context) {
	within := c.exercise.Targets.Activate
	until := c.exercise.Began.Add(within.Std())
	fmt.Fprintf(c.err, "waiting until %s for whoever has read it: %s\n", moment(until), c.call("notify", "ack", "NAME"))
	for {
		now := time.Now()
		if c.answers() {
			return
		}
		if !now.Before(until) {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(looksEvery, until.Sub(now))):
		}
	}
	c.inject("somebody reads it", "an answer within "+within.String(), "nobody has answered", false)
}

// answers notes the first answer to this drill that there is.
func (c *callOut) answers() bool {
	ledger, err := c.readLedger()
	if err != nil {
		return false
	}
	for _, e := range ledger.Entries {
		if e.Act != guard.Result || e.Kind != contactTest || e.Outcome != guard.Pass || e.At.Before(c.exercise.Began) || !e.For(c.plan.Service, c.plan.Environment) {
			continue
		}
		n := slices.IndexFunc(c.exercise.Participants, func(p guard.Participant) bool { return p.Name == e.Subject })
		if n < 0 {
			continue // who was not told answers something else
		}
		took := max(guard.Duration(time.Millisecond), guard.Duration(e.At.Sub(c.exercise.Began).Round(time.Millisecond)))
		c.exercise.Participants[n].Acked, c.exercise.Took.Activate = e.At, took
		within := c.exercise.Targets.Activate
		c.inject("somebody reads it", "an answer within "+within.String(), fmt.Sprintf("%s answers after %s", e.Subject, took), took <= within)
		c.moment(e.At, e.Subject, "has read it")
		return true
	}
	return false
}
