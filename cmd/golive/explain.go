package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report"
)

func (p *program) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain [ROLLOUT | CODE]",
		Short: "Say why a rollout decided so, or what a check asks",
		Long: `explain says of a rollout (the latest one, if none is named) what happened and when, which counts decided,
by which rule, against which limit, what the plan says about it, and what it waits for if it is not over.
Of a check, by its code or its ID, it says what the check asks, why, and how to mend it; that works offline.`,
		Example: `  golive explain
  golive explain 20261124-031207-v3
  golive explain 20261124-031207-v3 --server https://golive.example.com
  golive explain GL102
  golive explain backup.age`,
		Args: cobra.MaximumNArgs(1),
	}
	f := p.farFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = []string{""}
		}
		if check, found := checkNamed(args[0], checks.All()); found {
			return p.explainCheck(check)
		}
		if far, err := p.atServer(c); far || err != nil {
			if err == nil && code.MatchString(args[0]) {
				err = fail(exitUsage, "no check has the code %s: golive checks lists them", args[0])
			}
			if err != nil {
				return err
			}
			return p.explainFar(c.Context(), args[0], f)
		}
		h, err := p.history(args[0])
		if err == nil {
			return p.explainHistory(h)
		}
		if check, found := checkNamed(args[0], p.checksOfPlugins(c.Context())); found {
			return p.explainCheck(check)
		}
		if code.MatchString(args[0]) {
			return fail(exitUsage, "no check has the code %s: golive checks lists them", args[0])
		}
		return err
	}
	return c
}

// code is what codes of our checks look like. No rollout is called so: they begin with their day.
var code = regexp.MustCompile(`^(?i)GL\d+$`)

// checkNamed finds a check by its ID or its code.
func checkNamed(name string, all []guard.Check) (guard.Check, bool) {
	for _, c := range all {
		if c.ID == name || strings.EqualFold(c.Code, name) {
			return c, true
		}
	}
	return guard.Check{}, false
}

// checksOfPlugins are those that the plan's plugins bring, if there is a plan, and they can be asked.
func (p *program) checksOfPlugins(ctx context.Context) []guard.Check {
	plan, _, err := p.readPlan()
	if err != nil {
		return nil
	}
	kit, closeKit, err := p.kit(ctx, plan)
	if err != nil {
		return nil
	}
	defer closeKit()
	return kit.Checks
}

// explainFar explains a rollout of a server, from its journal.
func (p *program) explainFar(ctx context.Context, id string, f *far) error {
	s, err := p.servers()
	if err != nil {
		return err
	}
	if id, err = p.nameFar(ctx, s, f, id, false); err != nil {
		return err
	}
	h, err := p.historyFar(ctx, s, id)
	if err != nil {
		return err
	}
	return p.explainHistory(h)
}

func (p *program) explainCheck(c guard.Check) error {
	if p.settings.Output == asJSON {
		return p.answer(struct {
			Code string `json:"code"`
			ID   string `json:"id"`
			Doc  string `json:"doc"`
		}{c.Code, c.ID, strings.TrimSpace(c.Doc)})
	}
	i := p.ink(p.out)
	fmt.Fprintf(p.out, "%s %s\n\n%s\n", i.paint(loud, c.Code), c.ID, reflow(strings.TrimSpace(c.Doc), i.width))
	return nil
}

// An explanation is why a rollout stands where it stands.
type explanation struct {
	account
	Timeline []moved       `json:"timeline"`
	Decided  *judge.Ruling `json:"decided,omitempty"` // by the tick that decided, or the latest
	Meaning  string        `json:"meaning,omitempty"` // of its rule
	Policy   []string      `json:"policy"`            // of the plan
	Waiting  []string      `json:"waiting,omitempty"` // for what, if it is not over
}

// A moved is a line of the timeline.
type moved struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
	tone tone
}

func (p *program) explainHistory(h *history) error {
	x := explanation{account: h.account(), Policy: policies(h.Plan), Waiting: p.waiting(h)}
	x.Timeline, x.Decided = p.retold(h, p.ink(p.out))
	if x.Decided != nil {
		x.Meaning = report.Meaning(x.Decided.Rule)
	}
	if p.settings.Output == asJSON {
		return p.answerAbout(h.Plan, x)
	}
	x.write(p, p.discreet(p.out, h.Plan), p.ink(p.out), h.State)
	return nil
}

// retold tells the history again, and finds the ruling that decided: the one that led to the latest change
// which a ruling has led to, or the latest of all while nothing is decided.
func (p *program) retold(h *history, i ink) (timeline []moved, decided *judge.Ruling) {
	teller := story{plan: h.Plan, ink: i, call: p.call}
	var s guard.State
	for _, e := range h.Events {
		was := s
		s = guard.Next(h.Plan, s, e)
		for _, l := range teller.tell(e, s) {
			timeline = append(timeline, moved{e.At, l.text, l.tone})
		}
		turned := s.Phase != was.Phase || s.Step != was.Step
		if _, ok := e.Fact.(guard.Measured); ok && (turned || !h.over()) {
			ruling := s.Ruling
			decided = &ruling
		}
	}
	return timeline, decided
}

func (x explanation) write(p *program, out io.Writer, i ink, s guard.State) {
	heading := func(text string) { fmt.Fprintf(out, "\n%s\n", i.paint(loud, text)) }
	say := func(text string) { fmt.Fprintf(out, "  %s\n", hang(2, text, i.width)) }
	fmt.Fprintf(out, "%s\n%s\n", i.paint(toneOfOutcome(s.Outcome), hang(0, verdict(s), i.width)), i.paint(faint, x.ID+", "+x.Journal))
	heading("What happened")
	for _, m := range x.Timeline {
		fmt.Fprintf(out, "  %s  %s\n", clock(m.At), i.paint(m.tone, hang(2+stampIndent, m.Text, i.width)))
	}
	if x.Decided != nil {
		heading("What decided")
		x.decision(out, i, say)
	}
	if proof := proofOf(s, i); s.Outcome == guard.RolledBack && len(proof) > 0 {
		heading("How the way back was verified")
		say(strings.Join(proof, "\n"))
	}
	if x.Incident != nil {
		heading("The incident")
		for _, fact := range x.Incident.facts(p, x.ID, x.held()) {
			say(fmt.Sprintf("%-10s%s", fact[0], strings.ReplaceAll(fact[1], "\n", "\n"+strings.Repeat(" ", 10))))
		}
	}
	if len(x.Waiting) > 0 {
		heading("What it waits for")
		say(strings.Join(x.Waiting, "\n"))
	}
	heading("What the plan says")
	say(strings.Join(x.Policy, "\n"))
}

// decision shows the tick that decided, with everything that its ruling rests on.
func (x explanation) decision(out io.Writer, i ink, say func(string)) {
	r := x.Decided
	say(fmt.Sprintf("%s, %s into the step: %s", clock(r.At), spell(seconds(r.InStep)), i.paint(toneOf(r.Call), report.Call(r.Call))))
	say(r.Why)
	say(fmt.Sprintf("rule %s: %s", r.Rule, x.Meaning))
	say(fmt.Sprintf("odds of harm: %s, limit %s", report.Against(r.LogOdds), odds(r.Limit)))
	if missing := report.Missing(*r); missing != "" {
		say("still missing: " + missing)
	}
	if len(r.Signals) == 0 {
		return
	}
	step := [][]string{{"in this step", "canary", "baseline", "difference, 95 % sure", "odds of harm", "harm excluded"}}
	all := [][]string{{"since the beginning", "canary", "baseline"}}
	for _, sight := range r.Signals {
		step = append(step, []string{nameOf(sight), tally(sight.Step.Canary), tally(sight.Step.Baseline), interval(sight), odds(sight.LogOdds), exclusion(sight)})
		all = append(all, []string{nameOf(sight), tally(sight.All.Canary), tally(sight.All.Baseline)})
	}
	tables := [][][]string{step, all}
	if !slices.ContainsFunc(r.Signals, func(sight judge.Sight) bool { return sight.All != sight.Step }) {
		tables = tables[:1]
	}
	for _, rows := range tables {
		fmt.Fprintln(out)
		say(strings.Join(table(rows, i.width-2), "\n"))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(out, "  %s\n", i.paint(doubt, "look at this: "+warning))
	}
}

// exclusion says whether harm above the margin is excluded for a signal, or what that still takes.
func exclusion(s judge.Sight) string {
	switch {
	case s.Excluded && s.Margin > 0:
		return "above " + points(s.Margin) + " pp"
	case s.Excluded:
		return "yes"
	case s.Requests > 0 && s.Seconds > 0:
		return fmt.Sprintf("after about %s more requests, %s", number(s.Requests), spell(seconds(s.Seconds)))
	case s.Requests > 0:
		return fmt.Sprintf("after about %s more requests", number(s.Requests))
	}
	return "not yet"
}

// interval is where the difference between the arms probably is, canary minus baseline.
func interval(s judge.Sight) string {
	if s.Step.Canary.Requests == 0 || s.Step.Baseline.Requests == 0 {
		return "-"
	}
	return fmt.Sprintf("%s to %s pp", points(s.Low), points(s.High))
}

// policies are what the plan says about what may have happened.
func policies(plan *guard.Plan) []string {
	r, w := plan.Rollout, plan.Watch
	advance := "a step is taken as soon as the evidence suffices"
	if r.Advance == guard.OnTime {
		advance = "a step is taken after its at_least, unless something speaks against it"
	}
	back := "goes back"
	if plan.Mode == guard.Observe {
		back = "says that it would go back"
	}
	return []string{
		fmt.Sprintf("mode %s: golive %s when the odds of harm pass the limit (watch.false_rollback: %s wrong rollbacks at most)", plan.Mode, back, w.FalseRollback),
		fmt.Sprintf("%s (rollout.advance: %s; watch.promote.confidence: %s, margin: %s)", advance, r.Advance, w.Promote.Confidence, w.Promote.Margin),
		fmt.Sprintf("when the metrics are gone: %s (rollout.blind.then)", thenWords[r.Blind.Then]),
		fmt.Sprintf("when there is too little traffic to decide: %s (rollout.scarce.then)", thenWords[r.Scarce.Then]),
		fmt.Sprintf("while an alert fires that began after the rollout: %s (rollout.alert.then)", alertWords[r.Alert.Then]),
		fmt.Sprintf("the old version stays ready for %s after the last step (rollout.bake); a way back may take %s (rollout.deadline.rollback)", r.Bake.For, r.Deadline.Rollback),
	}
}

var thenWords = map[guard.Policy]string{
	guard.ThenHold:     "hold for three times at_most, then go back",
	guard.ThenRollback: "go back at once",
	guard.ThenAsk:      "ask a person, hold for three times at_most, then go back",
	guard.ThenProceed:  "go on all the same",
}

var alertWords = map[guard.Policy]string{
	guard.ThenNote:     "write it down, and go on",
	guard.ThenHold:     "take no further step",
	guard.ThenRollback: "go back at once",
}

// waiting says what a rollout that is not over waits for.
func (p *program) waiting(h *history) (all []string) {
	s := h.State
	if h.over() {
		return nil
	}
	if h.Holder == (journal.Holder{}) && h.Name == "" {
		all = append(all, "a process that goes on with it: "+p.goOnWith(h))
	}
	switch s.Phase {
	case guard.Checking:
		all = append(all, "the answers of the checks")
		if s.Alarm != "" && s.Purpose == guard.ToRollout && !follows(s) {
			all = append(all, "the end of what fires: "+s.Alarm)
		}
	case guard.Shifting:
		all = append(all, fmt.Sprintf("the backend, which is to give %s %d %% of the traffic", s.Release.To, s.Aim))
	case guard.Watching, guard.Baking:
		all = append(all, p.waitingForEvidence(h)...)
	case guard.Finishing:
		all = append(all, "the backend, which is to finish")
	case guard.Restoring, guard.Verifying:
		all = append(all, fmt.Sprintf("the backend and the probes, which are to confirm that %s has no traffic", s.Release.To))
	}
	if s.Trouble != "" {
		all = append(all, "trouble: "+s.Trouble)
	}
	return append(all, fmt.Sprintf("at the latest at %s something else happens: %s", moment(s.Until), report.Late(s.Phase)))
}

func (p *program) waitingForEvidence(h *history) (all []string) {
	plan, s := h.Plan, h.State
	if s.Held != "" {
		all = append(all, "somebody who says "+p.call("order", "resume", h.ID())+": "+s.Held)
	}
	if s.Alarm != "" {
		all = append(all, "the end of what fires, or somebody who says "+p.call("order", "proceed", h.ID())+": "+s.Alarm)
	}
	if s.Asked {
		all = append(all, "a decision ("+p.call("order", "proceed", h.ID())+", or "+p.call("rollback", h.ID())+"): "+s.Ruling.Why)
	}
	if follows(s) && s.Seen == 0 {
		return append(all, "somebody who gives "+s.Release.To+" traffic")
	}
	if s.Phase == guard.Baking {
		return append(all, fmt.Sprintf("the end of the bake at %s", moment(s.Since.Add(plan.Rollout.Bake.For.Std()))))
	}
	if s.Ruling.Missing != "" {
		all = append(all, "evidence: "+s.Ruling.Missing)
	}
	if s.Ruling.Remain > 0 {
		all = append(all, "about "+spell(seconds(s.Ruling.Remain))+" more, counted from "+clock(s.Ruling.At))
	}
	return all
}
