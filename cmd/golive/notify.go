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

// The kinds of results that the checks of channels and of people look for.
const (
	channelTest = "channel.test"
	contactTest = "contact.test"
)

// testCounts is how long after the test of a channel somebody can say to have read it.
const testCounts = 7 * 24 * time.Hour

// channelName is how a channel of the plan is called, in the ledger and in commands.
func channelName(plan *guard.Plan, i int) string { return fmt.Sprintf("%s#%d", plan.Notify[i].Use, i) }

func (p *program) notifyCommand() *cobra.Command {
	list := func(*cobra.Command, []string) error { return p.listChannels() }
	all := &cobra.Command{
		Use:   "notify",
		Short: "List and test the channels by which people are told",
		Long: `notify looks at the channels under notify in the plan: whom each of them serves, and when it was last known to work.
Without a subcommand it lists.`,
		Example: `  golive notify list
  golive notify test
  golive notify ack "Wang Fang"`,
		Args: cobra.NoArgs,
		RunE: list,
	}
	var to []string
	test := &cobra.Command{
		Use:   "test [CHANNEL]...",
		Short: "Send a message that says it is a test",
		Long: `test sends a message that says it is a test through each channel, or through those named, such as email or email#1,
and writes into the ledger whether it was handed over: the check comms.channel_test asks for that. It goes to the people of
the roster whom the channel serves, or to those with the roles named. A channel that serves none but customers and vendors
is tested only if it is named, and vendors and customers are written to only if --to names them or the channel is theirs. That a
message was handed over does not say that anybody has read it: whoever has says so by golive notify ack.

Exit codes: 0 each channel took it, 2 the call or the plan is wrong, 3 a channel did not take it.`,
		Example: `  golive notify test
  golive notify test email --to commander --to on_duty`,
		RunE: func(c *cobra.Command, args []string) error { return p.testChannels(c.Context(), args, to) },
	}
	test.Flags().StringArrayVar(&to, "to", nil, "a role, a vendor, customer or management; can be given several times")
	all.AddCommand(
		&cobra.Command{
			Use:     "list",
			Short:   "List the channels, whom they serve, and when they last worked",
			Long:    `list says of each channel of the plan whom it serves, and what the ledger knows of its latest test.`,
			Example: `  golive notify list`,
			Args:    cobra.NoArgs,
			RunE:    list,
		},
		test,
		&cobra.Command{
			Use:   "ack NAME",
			Short: "Say that somebody has read a test message",
			Long: `ack writes into the ledger that a person of the roster has read a message of golive notify test or golive drill notify:
the check contact.reachable asks for that. It takes that only of a person who was handed one in the last seven days, by
a channel whose latest for that person has not failed. Say it for yourself, or for who has told you so.`,
			Example: `  golive notify ack "Wang Fang"`,
			Args:    cobra.ExactArgs(1),
			RunE:    func(c *cobra.Command, args []string) error { return p.ackTest(c.Context(), args[0]) },
		},
	)
	return all
}

// A channelState is what there is to say of a channel.
type channelState struct {
	Channel string         `json:"channel"`
	Serves  []string       `json:"serves"`
	Tested  time.Time      `json:"tested,omitzero"`
	Outcome *guard.Verdict `json:"outcome,omitempty"`
	Says    string         `json:"says,omitempty"`
}

func (p *program) listChannels() error {
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	ledger, err := p.readLedger()
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	rows := [][]string{{"CHANNEL", "SERVES", "LAST TEST", "OUTCOME"}}
	states := []channelState{}
	for i, c := range plan.Notify {
		s := channelState{Channel: channelName(plan, i), Serves: serves(c)}
		row := []string{s.Channel, strings.Join(s.Serves, ", "), "never", ""}
		if e, found := ledger.Newest(plan, guard.Result, channelTest, s.Channel); found {
			s.Tested, s.Outcome, s.Says = e.At, &e.Outcome, e.Says
			row[2], row[3] = moment(e.At), strings.TrimSpace(e.Outcome.String()+" "+guard.Line(e.Says, 80))
		}
		states, rows = append(states, s), append(rows, row)
	}
	if p.settings.Output == asJSON {
		return p.answer(states)
	}
	if len(states) == 0 {
		fmt.Fprintln(p.out, "the plan has no channels: add notify: [{use: email, with: {...}}]")
		return nil
	}
	for _, line := range table(rows, 0) {
		fmt.Fprintln(p.out, guard.Printable(line))
	}
	if ledger.Broken != "" {
		fmt.Fprintf(p.err, "the ledger says nothing: %s\n", ledger.Broken)
	}
	return nil
}

// serves says whom a channel is for.
func serves(c guard.Channel) []string {
	if len(c.For) == 0 {
		return []string{"team"}
	}
	return c.For
}

// A channelTrial is what became of the test of a channel.
type channelTrial struct {
	Channel string         `json:"channel"`
	Outcome guard.Verdict  `json:"outcome"`
	Detail  string         `json:"detail,omitempty"`
	Handed  []guard.Handed `json:"handed,omitempty"`
}

func (p *program) testChannels(ctx context.Context, named, to []string) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	chosen, err := channelsNamed(plan, named)
	if err != nil {
		return err
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
	now := time.Now().UTC().Round(0)
	failed := 0
	trials := []channelTrial{}
	for _, i := range chosen {
		if len(named) == 0 && strangersOnly(plan, plan.Notify[i]) {
			fmt.Fprintf(p.err, "%s is not tested, since it serves %s (name it to test it)\n", channelName(plan, i), strings.Join(serves(plan.Notify[i]), ", "))
			continue
		}
		notice, err := testNotice(plan, i, to, now, "")
		if err != nil {
			return err
		}
		t, err := p.tryChannel(ctx, plan, kit, i, notice)
		if err != nil {
			return err
		}
		if t.Outcome != guard.Pass {
			failed++
		}
		trials = append(trials, t)
	}
	if len(trials) == 0 {
		return fail(exitUsage, "nothing was tested: the plan has no channel for the team (name one to test it, such as golive notify test %s)", channelName(plan, chosen[0]))
	}
	if p.settings.Output == asJSON {
		if err := p.answer(trials); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fail(exitNoGo, "%d of %d channels did not take the test", failed, len(trials))
	}
	return nil
}

// tryChannel sends a test through a channel of the plan, shows what became of it, and writes that into the ledger. Not
// everybody having it is a failure. An error means that the ledger took nothing.
func (p *program) tryChannel(ctx context.Context, plan *guard.Plan, kit plugins.Kit, i int, notice guard.Notice) (channelTrial, error) {
	t := channelTrial{Channel: channelName(plan, i), Outcome: guard.Pass}
	notifier, err := p.notifier(plan, kit, i)
	if err == nil {
		var receipt guard.Receipt
		receipt, err = notifier.Notify(ctx, notice)
		t.Detail, t.Handed = receipt.Detail, receipt.Handed
	}
	if err != nil {
		t.Outcome, t.Detail = guard.Fail, err.Error()
	}
	for _, h := range t.Handed {
		if h.Problem != "" && t.Outcome == guard.Pass { // some have got it, but a test is for all
			t.Outcome, t.Detail = guard.Fail, "not everybody got it: "+h.Name+": "+h.Problem
		}
	}
	if p.settings.Output != asJSON {
		p.printTrial(t)
	}
	if plan.Notify[i].Use == "stdout" {
		return t, nil // whoever sees it sits here
	}
	return t, p.remember(ctx, guard.Entry{
		At: notice.At, Act: guard.Result, Kind: channelTest, Subject: t.Channel, Service: plan.Service, Environment: plan.Environment,
		Outcome: t.Outcome, Says: guard.Line(t.Detail, 300), Plan: plan.Digest(), Handed: t.handed(notice),
	})
}

// handed says whom a test was for, and whether each was handed it. A channel that names nobody, such as a chat, is taken to reach
// all whom it serves, if it took the message at all.
func (t channelTrial) handed(notice guard.Notice) map[string]bool {
	all := map[string]bool{}
	for _, r := range notice.To {
		all[r.Name] = len(t.Handed) == 0 && t.Outcome == guard.Pass
	}
	for _, h := range t.Handed {
		all[h.Name] = h.Problem == ""
	}
	return all
}

// channelsNamed are the places of channels in the plan: of all, or of those with a name, email#1, or a use, email.
func channelsNamed(plan *guard.Plan, names []string) (chosen []int, err error) {
	var known []string
	for i, c := range plan.Notify {
		name := channelName(plan, i)
		known = append(known, name)
		if len(names) == 0 || slices.Contains(names, name) || slices.Contains(names, c.Use) {
			chosen = append(chosen, i)
		}
	}
	if len(known) == 0 {
		return nil, fail(exitUsage, "the plan has no channels (add notify: [{use: email, with: {...}}])")
	}
	for _, name := range names {
		if !slices.ContainsFunc(chosen, func(i int) bool { return name == channelName(plan, i) || name == plan.Notify[i].Use }) {
			return nil, fail(exitUsage, "there is no channel %s; there are %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// testNotice is the test of a channel, or a drill by guard.AboutDrill, for those with the roles, or else for all of the team
// whom it serves.
func testNotice(plan *guard.Plan, i int, roles []string, now time.Time, about string) (guard.Notice, error) {
	audience := "team"
	asked := len(roles) > 0
	if strangersOnly(plan, plan.Notify[i]) {
		audience = "vendor"
		if slices.Contains(plan.Notify[i].For, "customer") {
			audience = "customer"
		}
	}
	if !asked {
		roles = slices.DeleteFunc(slices.Clone(plan.Notify[i].For), func(who string) bool {
			return who == "team" || who == "customer" || who == "vendor" || isVendor(plan, who)
		})
		if c := plan.Notify[i]; len(c.For) == 0 || slices.Contains(c.For, "team") {
			roles = []string{"everyone"}
		}
	}
	notice := guard.Notice{
		Key: fmt.Sprintf("test/%s/%d", channelName(plan, i), now.UnixNano()), At: now, News: guard.NewsTest, About: about, Roles: roles,
		Release: guard.Release{Service: plan.Service, Environment: plan.Environment},
	}
	for _, role := range roles {
		found := role == "customer" || role == "management" || role == "everyone"
		switch {
		case role == "customer" || role == "management":
			audience = role
		case isVendor(plan, role):
			audience = "vendor"
		}
		for _, person := range plan.Roster.People {
			if person.Role == role || role == "everyone" && person.Role != "customer" { // customers hear what is for customers
				found = true
				if slices.ContainsFunc(notice.To, func(r guard.Recipient) bool { return r.Name == person.Name }) {
					continue // who holds two roles reads one message
				}
				notice.To = append(notice.To, guard.Recipient{Name: person.Name, Role: person.Role, Reach: person.Reach})
			}
		}
		for _, v := range plan.Roster.Vendors {
			if v.Name == role {
				found = true
				notice.To = append(notice.To, guard.Recipient{Name: v.Name, Role: "vendor", Reach: v.Reach})
			}
		}
		if !found && asked {
			return notice, fail(exitUsage, "--to %s: nobody in the roster has this role, and no vendor this name", role)
		}
	}
	notice.Audience = audience
	notice.Title, notice.Text = plan.Message(guard.State{Release: notice.Release}, now, audience, guard.NewsTest, about)
	return notice, nil
}

// strangersOnly says that a channel serves none but customers and vendors.
func strangersOnly(plan *guard.Plan, c guard.Channel) bool {
	return len(c.For) > 0 && !slices.ContainsFunc(c.For, func(who string) bool { return who != "customer" && !isVendor(plan, who) && who != "vendor" })
}

func isVendor(plan *guard.Plan, name string) bool {
	return slices.ContainsFunc(plan.Roster.Vendors, func(v guard.Vendor) bool { return v.Name == name })
}

func (p *program) printTrial(t channelTrial) {
	mark := "√"
	if t.Outcome != guard.Pass {
		mark = "×"
	}
	fmt.Fprintf(p.out, "%s %s: %s\n", mark, t.Channel, guard.Line(p.secrets.name(t.Detail), 300))
	for _, h := range t.Handed {
		became := "handed over"
		if h.Problem != "" {
			became = h.Problem
		}
		who := h.Name
		if h.Role != "" {
			who += " (" + h.Role + ")"
		}
		fmt.Fprintf(p.out, "    %s, %s: %s\n", guard.Line(who, 80), guard.Line(h.Way, 20), guard.Line(p.secrets.name(became), 300))
	}
}

// ackTest remembers that somebody has read a test.
func (p *program) ackTest(ctx context.Context, name string) error {
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	if err := p.inRoster(plan, name); err != nil {
		return fail(exitUsage, "%q is not in the roster of %s: write the name as it stands there", name, p.settings.Plan)
	}
	ledger, err := p.readLedger()
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	now := time.Now().UTC().Round(0)
	var sent time.Time
	tested := false
	for i := range plan.Notify {
		test, found := latestTest(ledger, plan, i, name)
		if !found || now.Sub(test.At) > testCounts {
			continue
		}
		tested = true
		if test.Handed[name] && test.At.After(sent) {
			sent = test.At
		}
	}
	switch {
	case !tested:
		return fail(exitUsage, "no test was sent in the last seven days that %s could have read: golive notify test", name)
	case sent.IsZero():
		return fail(exitUsage, "no channel has handed its latest test to %s (golive notify list says why; mend that, then: golive notify test)", name)
	}
	return p.write(ctx, guard.Entry{
		At: now, Act: guard.Result, Kind: contactTest, Subject: name, Service: plan.Service, Environment: plan.Environment, By: p.settings.By,
		Outcome: guard.Pass, Says: "has read the test of " + moment(sent), Plan: plan.Digest(),
	})
}

// latestTest is the latest test of a channel that was for a person.
func latestTest(l guard.Ledger, plan *guard.Plan, i int, name string) (guard.Entry, bool) {
	for _, e := range slices.Backward(l.Entries) {
		_, meant := e.Handed[name]
		if meant && e.Act == guard.Result && e.Kind == channelTest && e.Subject == channelName(plan, i) && e.For(plan.Service, plan.Environment) {
			return e, true
		}
	}
	return guard.Entry{}, false
}
