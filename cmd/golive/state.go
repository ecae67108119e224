package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
)

// A sayable is a command with which people say something of an incident.
type sayable struct {
	what    guard.Statement
	use     string // what stands before [ROLLOUT]
	short   string
	long    string
	example string
	flags   []string
	classes []string // of --class, which is about something else in each
	// read makes the statement of the arguments before the rollout, and of the flags.
	read func(args []string, f *sayFlags) (guard.Stated, error)
}

// sayFlags are the flags of all that can be said.
type sayFlags struct{ by, why, ref, class, owner, due string }

// flag adds the one that has this name.
func (f *sayFlags) flag(c *cobra.Command, name string, classes []string) {
	for _, known := range []struct {
		name, doc string
		value     *string
	}{
		{"why", "the reason, for everybody who reads the report", &f.why},
		{"ref", "under which reference, such as the number of a ticket", &f.ref},
		{"class", "one of " + strings.Join(classes, ", "), &f.class},
		{"owner", "the role that does it, as the roster has it", &f.owner},
		{"due", "by when: 2026-12-01, or 14d from now", &f.due},
	} {
		if known.name == name {
			c.Flags().StringVar(known.value, known.name, "", known.doc)
		}
	}
	if name == "class" {
		if err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(classes, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag is there
		}
	}
}

// sayables is everything that a person can say of an incident by a command of its own. That the report is filed is said by
// golive report.
var sayables = []sayable{
	{
		what: guard.StateCause, use: "cause TEXT", short: "Say what made it happen", flags: []string{"class"}, classes: guard.Classes,
		long: `cause writes into the journal of an incident what made it happen, as far as somebody knows. From then on vendors and
customers need not be called only because nobody knows. Said again, the latest counts.

--class says what kind of trouble it is, which no reading can tell: that data is lost, or that it is an attack. The rules of
the plan that speak of a scenario are asked again, the words for it are taken, and the report names it. A scenario of the plan
with a name of its own is one, too.`,
		example: `  golive cause "the new index was missing, so that each order read the whole table"
  golive cause "orders since 03:10 were written to nowhere" --class data_loss`,
		read: func(args []string, f *sayFlags) (guard.Stated, error) {
			return guard.Stated{What: guard.StateCause, Text: args[0], Class: f.class}, nil
		},
	},
	{
		what: guard.StateSeverity, use: "severity LEVEL", short: "Say how bad an incident is", flags: []string{"why"},
		long: `severity sets the level of an incident: 1 is the worst, and the plan says in its chapter severity what follows from
each. The rules of the plan can make it worse again, and never better: that is for people to say.`,
		example: `  golive severity 1 --why "nobody can pay"`,
		read: func(args []string, f *sayFlags) (guard.Stated, error) {
			level, err := strconv.Atoi(args[0])
			if err != nil {
				return guard.Stated{}, fmt.Errorf("severity: %q is no level (say a number; 1 is the worst)", args[0])
			}
			return guard.Stated{What: guard.StateSeverity, Level: level, Text: f.why}, nil
		},
	},
	{
		what: guard.StateSignOff, use: "sign-off ROLE", short: "Agree, in a role, that it is well again",
		long: `sign-off says that the one who has a role agrees: that the business is well again (recovery.sign_off), or that what a
plan wants approval for may be done. It is for somebody in the roster who has the role; a deputy or an executive may say it too.`,
		example: `  golive sign-off business --by "Tom Reed"`,
		read: func(args []string, _ *sayFlags) (guard.Stated, error) {
			return guard.Stated{What: guard.StateSignOff, Subject: args[0]}, nil
		},
	},
	{
		what: guard.StateStandDown, use: "stand-down", short: "Say that an incident is over", flags: []string{"why"},
		long: `stand-down ends an incident: everybody who has heard of it hears that it is over, and the report on it is owed. It is
for the role of recovery.stand_down in the roster (commander, if the plan names none); a deputy or an executive may say it too.`,
		example: `  golive stand-down --why "no error for an hour, and orders are as on other days" --by "Wang Fang"`,
		read: func(_ []string, f *sayFlags) (guard.Stated, error) {
			return guard.Stated{What: guard.StateStandDown, Text: f.why}, nil
		},
	},
	{
		what: guard.StateContacted, use: "contacted WHO", short: "Say that a vendor or the customer knows", flags: []string{"ref"},
		long: `contacted writes down that a vendor of the roster, or the customer, knows of the incident, and under which reference:
what the plan wants to have happened within recovery.deadline.vendor.`,
		example: `  golive contacted PayCo --ref T-4711
  golive contacted customer --ref "call at 03:20"`,
		read: func(args []string, f *sayFlags) (guard.Stated, error) {
			return guard.Stated{What: guard.StateContacted, Subject: args[0], Text: f.ref}, nil
		},
	},
	{
		what: guard.StateAction, use: "action TEXT", short: "Write down what has to be done so that it does not happen again",
		flags: []string{"class", "owner", "due"}, classes: guard.ActionClasses,
		long: `action adds to the report on an incident what somebody will do about it, and by when; the ledger holds the role to it, and
the check actions.overdue asks for it. golive settle says that it is done. It can be said when the incident is over, too.`,
		example: `  golive action "raise the limit of connections" --class prevent --owner technical_lead --due 14d`,
		read: func(args []string, f *sayFlags) (guard.Stated, error) {
			due, err := dueBy(f.due, time.Now())
			return guard.Stated{What: guard.StateAction, Text: args[0], Class: f.class, Subject: f.owner, Due: due}, err
		},
	},
	{
		what: guard.StateAnswer, use: "answer FIELD TEXT", short: "Say for the report what only people know",
		long: `answer fills in a field of the report on a rollout: ` + strings.Join(guard.Fields, ", ") + `.
Said again, the latest counts. It can be said when the incident is over, too.`,
		example: `  golive answer surprise "the old version had the same bug, and nobody had seen it"`,
		read: func(args []string, _ *sayFlags) (guard.Stated, error) {
			return guard.Stated{What: guard.StateAnswer, Subject: args[0], Text: args[1]}, nil
		},
	},
	{
		what: guard.StateLearned, use: "learned TEXT", short: "Say how the plan has changed because of an incident, or why it need not",
		long: `learned ends what an incident obliges to: the plan has changed, or somebody says by name why nothing need be changed. It
is owed from the report on (recovery.deadline.learn), and the check actions.overdue asks for it.`,
		example: `  golive learned "the signal queue has a limit now" --by "Wang Fang"`,
		read: func(args []string, _ *sayFlags) (guard.Stated, error) {
			return guard.Stated{What: guard.StateLearned, Text: args[0]}, nil
		},
	},
}

// dueBy reads by when something has to be done. A day ends when it is over, as the world's clock has it.
func dueBy(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil // which the plan has an answer to
	}
	if day, err := guard.ParseDate(text); err == nil {
		return day.Add(24*time.Hour - time.Second), nil
	}
	in, err := guard.ParseDuration(text)
	if err != nil || in <= 0 {
		return time.Time{}, fmt.Errorf("--due: %q is neither a day nor a time from now (try 2026-12-01, or 14d)", text)
	}
	return now.Add(in.Std()).UTC().Truncate(time.Second), nil
}

// sayCommands are the commands of sayables.
func (p *program) sayCommands() (commands []*cobra.Command) {
	for _, s := range sayables {
		takes := len(arguments(s.use + " "))
		c := &cobra.Command{
			Use: s.use + " [ROLLOUT]", Short: s.short, Example: s.example, Args: cobra.RangeArgs(takes, takes+1),
			Long: s.long + `

Without a name it is about the latest incident. Where a process goes on with that, it is told; else this call writes the
journal, and sends what is due. With --server it is for a rollout that a server guards, and the name is that of the token.`,
		}
		said := &sayFlags{}
		c.Flags().StringVar(&said.by, "by", p.settings.By, "who says so, as the roster has the name ($GOLIVE_BY)")
		for _, name := range s.flags {
			said.flag(c, name, s.classes)
		}
		f := p.farFlags(c)
		c.RunE = func(c *cobra.Command, args []string) error {
			stated, err := s.read(args[:takes], said)
			if err != nil {
				return fail(exitUsage, "%w", err)
			}
			stated.Text = guard.Line(stated.Text, longestNote)
			return p.say(c, strings.Join(args[takes:], ""), f, s, stated, said.by)
		}
		commands = append(commands, c)
	}
	return commands
}

// say tells a rollout what somebody says of it.
func (p *program) say(c *cobra.Command, id string, f *far, s sayable, stated guard.Stated, by string) error {
	far, err := p.atServer(c, "by")
	switch {
	case err != nil:
		return err
	case far:
		return p.remarkFar(c.Context(), id, f, remark{did: "said " + string(s.what), path: "/statements", body: stated}) // which knows the plan
	}
	h, err := p.meant(id)
	if err != nil {
		return err
	}
	stated.By = by
	if err := mayBeSaid(h, stated); err != nil {
		return fail(exitUsage, "%s: %w", h.ID(), err)
	}
	h, told, err := p.state(c.Context(), h, stated)
	if err != nil {
		return err
	}
	return p.tellSaid(h, told, "said "+string(s.what))
}

// meant is the rollout that is named, or the one that somebody means who says something without naming any: the latest, unless
// that is over without having become an incident, such as a launch that an open one has kept from beginning.
func (p *program) meant(id string) (*history, error) {
	h, err := p.history(id)
	if err != nil || id != "" || !h.over() || h.State.Incident.Open() {
		return h, err
	}
	all, _ := p.histories() // what cannot be read is no incident that somebody could mean
	for _, open := range []bool{true, false} {
		for _, old := range slices.Backward(all) {
			if i := old.State.Incident; !i.Began.IsZero() && i.Open() == open {
				return old, nil
			}
		}
	}
	return h, nil
}

// mayBeSaid says why something cannot be said of a history, or not by this person.
func mayBeSaid(h *history, stated guard.Stated) error {
	if err := stated.Check(h.Plan); err != nil {
		return err
	}
	if err := h.Plan.MaySay(stated, stated.By); err != nil {
		return err
	}
	return stated.Timely(h.Plan, h.State, time.Now())
}

// heardWithin is how soon a process that goes on with a rollout should have taken what it was told.
const heardWithin = 10 * time.Second

// state tells a rollout something, and returns its history once that is in the journal. The process that goes on with it is
// told, if there is one; else this call adds to the journal itself, which only what is over allows: traffic that nobody
// guards has to be gone on with first. False: a process was told, and has not taken it yet.
func (p *program) state(ctx context.Context, h *history, f guard.Fact) (_ *history, told bool, err error) {
	f = p.withoutSecrets(h, f)
	if h.Holder != (journal.Holder{}) {
		h, told, err := p.postAndWait(ctx, h, f)
		if err != nil || told || h.Holder != (journal.Holder{}) {
			return h, told, err
		}
		return p.append(ctx, h, nil) // it has ended without looking: what it was told is taken here
	}
	if !h.over() {
		return nil, false, fail(exitUsage, "no process goes on with the %s of %s (%s); this one does: %s",
			h.State.Purpose, h.State.Release.To, h.ID(), p.goOnWith(h))
	}
	return p.append(ctx, h, f)
}

// postAndWait tells the process that goes on with a history, and waits until the journal shows that it has heard.
func (p *program) postAndWait(ctx context.Context, h *history, f guard.Fact) (*history, bool, error) {
	seen := len(h.Events)
	if err := p.post(h, f); err != nil {
		return nil, false, err
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for end := time.Now().Add(heardWithin); time.Now().Before(end); {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
		latest, err := readHistory(h.Path)
		if err != nil {
			return nil, false, fail(exitInternal, "%w", err)
		}
		h = latest
		if hasHeard(h.Events[seen:], f) {
			return h, true, nil
		}
		if h.Holder == (journal.Holder{}) {
			return h, false, nil
		}
	}
	return h, false, nil
}

// hasHeard says that a fact from outside is among events.
func hasHeard(events []guard.Event, f guard.Fact) bool {
	return slices.ContainsFunc(events, func(e guard.Event) bool { return e.Offset() != 0 && sameFact(guard.Taken(e.Fact, 0), f) })
}

// sameFact compares what two facts say, in the form in which a journal keeps them.
func sameFact(a, b guard.Fact) bool {
	kindA, dataA, errA := guard.Event{Fact: a}.Encode()
	kindB, dataB, errB := guard.Event{Fact: b}.Encode()
	return errA == nil && errB == nil && kindA == kindB && string(dataA) == string(dataB)
}

// append adds to the journal of a history that is over what others have left in its inbox, and then a fact, if there is one;
// and sends the notices that are due. Who came first to take the history on is told instead.
func (p *program) append(ctx context.Context, h *history, f guard.Fact) (*history, bool, error) {
	j, err := journal.Open(h.Path)
	var locked *journal.LockedError
	if errors.As(err, &locked) && f != nil {
		return p.postAndWait(ctx, h, f)
	}
	if err != nil {
		return nil, false, fail(exitInternal, "%w", err)
	}
	defer func() { _ = j.Close() }() // every record is on the disk already
	if h, err = readHistory(h.Path); err != nil {
		return nil, false, fail(exitInternal, "%w", err)
	}
	parts, closeParts, err := p.parts(ctx, h.Plan)
	if err != nil {
		return nil, false, err
	}
	defer closeParts()
	facts := p.leftOver(h)
	if f != nil {
		facts = append(facts, f)
	}
	view, mirror := p.view(h.Plan), p.mirror(h.Plan)
	defer view.close()
	var past guard.State
	for _, e := range h.Events { // what was told once is told no more
		past = guard.Next(h.Plan, past, e)
		view.knows(e, past)
	}
	for _, fact := range facts {
		rollout := &engine.Rollout{Plan: h.Plan, Parts: parts, Journal: keeper{j}, Saw: func(e guard.Event, s guard.State) {
			view.saw(e, s)
			mirror.saw(ctx, s)
			h.Events, h.State = append(h.Events, e), s
		}}
		if _, err := rollout.Run(ctx, slices.Clone(h.Events), fact); err != nil {
			return nil, false, fail(exitInternal, "%w", err)
		}
	}
	h.Holder = journal.Holder{} // ourselves, for a moment more
	return h, true, nil
}

// leftOver is what others have told a process that did not live to hear it.
func (p *program) leftOver(h *history) (facts []guard.Fact) {
	for inbox := inboxOf(h); ; {
		behind := inbox.Offset
		record, found, err := inbox.Take()
		if err != nil && inbox.Offset == behind || err == nil && !found {
			return facts
		}
		var fact guard.Fact
		if err == nil {
			fact, err = understood(record, inbox.Offset)
		}
		if err != nil {
			fmt.Fprintf(p.err, "golive: an order could not be read: %v\n", err)
			continue
		}
		facts = append(facts, fact)
	}
}

// tellSaid answers what came of something that was said.
func (p *program) tellSaid(h *history, told bool, did string) error {
	if p.settings.Output == asJSON {
		return p.answerAbout(h.Plan, h.account())
	}
	out := p.discreet(p.out, h.Plan)
	if !told {
		fmt.Fprintf(out, "%s: %s (process %d has not taken it yet)\n", did, h.ID(), h.Holder.PID)
		return nil
	}
	fmt.Fprintf(out, "%s: %s\n", did, h.ID())
	a, i := h.account(), p.ink(p.out)
	for _, fact := range a.Incident.facts(p, a.ID, a.held()) {
		fmt.Fprintf(out, "  %-11s%s\n", fact[0], hang(13, fact[1], i.width))
	}
	return nil
}
