package server

import (
	"cmp"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report"
)

// This file is how the page speaks: as golive explain and the judge do, whose words are in guard/report; only what the page
// says in its own way is here.

// Tones, which are classes of the style sheet, and the shapes that say the same without colour.
const (
	good  = "good"
	bad   = "bad"
	doubt = "doubt"
	calm  = "calm"
	faint = "faint"

	check       = "check"
	cross       = "cross"
	alarm       = "alarm"
	dots        = "dots"
	question    = "question"
	dash        = "dash"
	backwards   = "back"
	forwards    = "forwards"
	pausedShape = "paused"
)

// words are what templates can call.
var words = template.FuncMap{
	"asset":   func(file string) string { return "/assets/" + assetNames[file] },
	"clock":   report.Clock,
	"moment":  report.Moment,
	"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"age":     func(now, t time.Time) string { return report.Span(now.Sub(t)) },
	"number":  report.Number,
	"percent": report.Percent,
	"expects": report.Expectation,
	"plural":  report.Plural,
	"join":    strings.Join,
	"dict": func(pairs ...any) map[string]any {
		all := map[string]any{}
		for i := 0; i+1 < len(pairs); i += 2 {
			all[pairs[i].(string)] = pairs[i+1]
		}
		return all
	},
}

// latencyWords is a bound of latency.
func latencyWords(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.3g ms", 1000*s)
	}
	return fmt.Sprintf("%.3g s", s)
}

// signalWords is what a sight is about.
func signalWords(s judge.Sight) string {
	if s.Slower == 0 {
		return s.Signal
	}
	return s.Signal + " slower than " + latencyWords(s.Slower)
}

// exclusion says whether harm above the margin is excluded for a signal, or what that still takes.
func exclusion(s judge.Sight) string {
	switch {
	case s.Excluded && s.Margin > 0:
		return "excluded above " + report.Points(s.Margin) + " percentage points"
	case s.Excluded:
		return "excluded"
	case s.Requests > 0 && s.Seconds > 0:
		return fmt.Sprintf("not excluded yet; about %s more requests, %s", report.Number(s.Requests), report.Span(time.Duration(s.Seconds*float64(time.Second))))
	case s.Requests > 0:
		return fmt.Sprintf("not excluded yet; about %s more requests", report.Number(s.Requests))
	}
	return "not excluded yet"
}

func markOfPhase(p guard.Phase, o guard.Outcome) mark {
	switch {
	case o == guard.Live:
		return mark{string(o), good, check}
	case o == guard.RolledBack, o == guard.Recovered:
		return mark{string(o), doubt, backwards}
	case o == guard.Stopped, o == guard.Unfinished, o == guard.Overdue:
		return mark{string(o), doubt, dash}
	case o != "":
		return mark{string(o), bad, cross}
	case returning(p):
		return mark{string(p), bad, backwards}
	case p == guard.Shifting, p == guard.Finishing:
		return mark{string(p), calm, forwards}
	}
	return mark{cmp.Or(string(p), "not begun"), calm, dots}
}

func markOfOpinion(o guard.Opinion) mark {
	switch o {
	case guard.Healthy:
		return mark{o.String(), good, check}
	case guard.Harmful:
		return mark{o.String(), bad, cross}
	case guard.Unseeing:
		return mark{o.String(), doubt, question}
	case guard.Insufficient:
		return mark{o.String(), calm, dots}
	}
	return mark{o.String(), faint, dash}
}

func markOfVerdict(v guard.Verdict) mark {
	switch v {
	case guard.Pass:
		return mark{v.String(), good, check}
	case guard.Warn:
		return mark{v.String(), doubt, alarm}
	case guard.Fail:
		return mark{v.String(), bad, cross}
	case guard.Waiting:
		return mark{v.String(), calm, dots}
	}
	return mark{v.String(), doubt, question}
}

// causes say what made a rollout go back.
var causes = map[guard.Cause]string{
	guard.CauseRegressed:   "the new version does harm",
	guard.CauseBlind:       "the metrics are gone",
	guard.CauseScarce:      "there was not enough evidence in the time of the step",
	guard.CauseStuck:       "the traffic could not be moved",
	guard.CauseOrdered:     "a person said so",
	guard.CauseInterrupted: "golive was asked to end",
	guard.CauseDrift:       "somebody else took the traffic away",
	guard.CauseAlert:       "an alert fires that did not when the rollout began",
	guard.CauseWithdrawn:   "it was withdrawn, and nothing spoke against it",
}

// meaning says what an opinion means for this rollout.
func meaning(o guard.Opinion, s guard.State) string {
	switch {
	case s.Outcome == guard.WouldRollBack:
		return "It would have gone back because " + causes[s.Cause] + "."
	case s.Outcome == guard.ForwardOnly:
		return "It would have gone back because " + causes[s.Cause] + ", and there is no way back."
	case s.Cause != "" && s.Phase == guard.Over:
		return "It went back because " + causes[s.Cause] + "."
	case s.Cause != "":
		return "It goes back because " + causes[s.Cause] + "."
	case s.Outcome == guard.Live:
		return "It has the traffic, and has earned it."
	case o == guard.Healthy:
		return "Harm is excluded on the traffic that it has now."
	case o == guard.Unseeing:
		return "It cannot be seen how the new version fares. That is never a reason to go on."
	case o == guard.Insufficient && s.Seen == 0:
		return "It has no traffic yet, so there is nothing to judge."
	case o == guard.Insufficient:
		return "Harm is neither found nor excluded yet."
	}
	return "golive has no opinion of this version."
}

// happening is what goes on, in a sentence.
func happening(plan *guard.Plan, s guard.State) string {
	r := s.Release
	step := fmt.Sprintf("Step %d of %d", s.Step+1, len(plan.Rollout.Steps))
	switch s.Phase {
	case guard.Checking:
		if s.Purpose != guard.ToRollout {
			return "Asking where the traffic is."
		}
		return "Checking whether " + r.To + " may go on."
	case guard.Shifting:
		return fmt.Sprintf("%s: giving %s %d %% of the traffic.", step, r.To, s.Aim)
	case guard.Watching:
		switch {
		case led(s) && s.Seen == 0:
			return "Waiting for " + r.To + " to get traffic."
		case led(s):
			return fmt.Sprintf("Watching: %s has %d %% of the traffic; somebody else moves it.", r.To, s.Seen)
		}
		at := plan.Rollout.Steps[s.Step]
		return fmt.Sprintf("%s: %s has %d %% of the traffic. Watching for %s to %s.", step, r.To, s.Seen, at.AtLeast, at.AtMost)
	case guard.Baking:
		text := fmt.Sprintf("%s has %d %% of the traffic", r.To, s.Seen)
		if back := 100 - s.Seen; back > 0 && !r.First() {
			text += fmt.Sprintf(" (%s keeps %d %% to compare with)", r.From, back)
		}
		return fmt.Sprintf("%s. Baking for %s.", text, plan.Rollout.Bake.For)
	case guard.Finishing:
		if r.First() {
			return "Giving " + r.To + " all of the traffic."
		}
		return "Giving " + r.To + " all of the traffic; " + r.From + " may be retired then."
	case guard.Restoring:
		return goingBack(r) + "."
	case guard.Verifying:
		return "Verifying that " + r.To + " has no traffic any more."
	case guard.Containing:
		return "Stopping the harm from spreading, before the traffic is taken back."
	case guard.Preserving:
		return "Keeping the evidence, before the traffic is taken back."
	case guard.Resorting:
		n := s.Incident.Resort - 1
		if approval := plan.Recovery.Resorts[n].Approval; approval != "" && s.Incident.Agreed <= n {
			return fmt.Sprintf("Going back has not helped. %s waits for %s to sign off.", plan.Recovery.Resorts[n].Name, approval)
		}
		return fmt.Sprintf("Going back has not helped. Trying %s.", plan.Recovery.Resorts[n].Name)
	case guard.Soaking:
		return "The traffic is back. Watching whether all stays well."
	case guard.Ramping:
		return "Letting the traffic in again that was kept out."
	}
	return ended(s)
}

func goingBack(r guard.Release) string {
	if r.First() {
		return "Taking " + r.To + " out of the traffic"
	}
	return "Going back to " + r.From
}

// ended is how a rollout ended, in a sentence. It begins with a capital letter, unless with the name of a version: that is
// written as it is.
func ended(s guard.State) string {
	warning, text := report.Verdict(s)
	switch {
	case text == "":
		return "Over."
	case warning != "":
		text = warning + ": " + text
	case strings.HasPrefix(text, s.Release.To+" "):
		return text + "."
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// next says what becomes of a rollout at the end of its time.
func next(s guard.State) string {
	if s.Phase == guard.Over || s.Until.IsZero() {
		return ""
	}
	then := report.Late(s.Phase)
	switch s.Phase {
	case guard.Containing, guard.Preserving:
		then = "it goes back without waiting for more"
	case guard.Resorting, guard.Soaking, guard.Ramping:
		then = "it tries what else the plan has, or ends as a failed rollback"
	}
	if watches := s.Phase == guard.Shifting || s.Phase == guard.Watching || s.Phase == guard.Baking; watches && s.Mode == guard.Observe {
		then = "it ends, and touches nothing"
	}
	return fmt.Sprintf("If this is not over by %s, %s.", report.Clock(s.Until), then)
}

// deedWords say what a task asks for.
func deedWords(plan *guard.Plan, s guard.State, d guard.Deed) string {
	switch d := d.(type) {
	case guard.RunChecks:
		return "ask the checks"
	case guard.Inspect:
		return "ask the backend where the traffic is"
	case guard.Shift:
		if d.Percent == 0 && !s.Release.First() {
			return fmt.Sprintf("give all traffic back to %s", s.Release.From)
		}
		return fmt.Sprintf("give %s %d %% of the traffic", s.Release.To, d.Percent)
	case guard.Measure:
		return "read the metrics and judge them"
	case guard.Verify:
		return fmt.Sprintf("verify that %s has no traffic any more", s.Release.To)
	case guard.Finish:
		return "tell the backend that the old version may be retired"
	case guard.Tell:
		return fmt.Sprintf("tell %s: %s", report.Channel(plan, d.Channel), d.Notice.Title)
	case guard.Intervene:
		return "change something by the plan: " + moveWords(plan, d)
	case guard.Gather:
		return "keep the evidence"
	case guard.Soak:
		return "look whether the old version does well"
	case guard.Remind:
		if d.Until.IsZero() {
			return "tell everybody how it goes"
		}
		return "see whether in time: " + dueWords[d.Kind]
	case guard.Escalate:
		return "call, if it still goes on: " + strings.Join(plan.Escalate[d.N].To, ", ")
	case guard.Regrade:
		return "ask the rules of severity that speak of time"
	case guard.Wait:
		return fmt.Sprintf("end of the time for %s", s.Phase)
	}
	return fmt.Sprintf("%T", d)
}

// moveWords say what an intervention is.
func moveWords(plan *guard.Plan, d guard.Intervene) string {
	switch d.Move {
	case guard.MoveContain:
		return "stop the harm from spreading"
	case guard.MoveResort:
		return plan.Recovery.Resorts[d.N].Name
	}
	return fmt.Sprintf("let traffic in again (%d of %d)", d.N+1, len(plan.Recovery.Ramp))
}

// statementWords say what somebody has stated.
func statementWords(f guard.Stated) string {
	switch f.What {
	case guard.StateCause:
		return "the cause is known: " + f.Text + report.OfClass(f)
	case guard.StateSeverity:
		return fmt.Sprintf("it is of level %d: %s", f.Level, f.Text)
	case guard.StateSignOff:
		return "signed off as " + f.Subject
	case guard.StateStandDown:
		return "it is over: " + f.Text
	case guard.StateContacted:
		return f.Subject + " knows" + behind(": ", f.Text)
	case guard.StateAction:
		return fmt.Sprintf("to be done by %s until %s: %s", f.Subject, report.Moment(f.Due), f.Text)
	case guard.StateAnswer:
		return fmt.Sprintf("for the report (%s): %s", f.Subject, f.Text)
	case guard.StateFiled:
		return "the report is filed, with the SHA-256 " + f.Subject
	case guard.StateLearned:
		return "what was learned: " + f.Text
	}
	return string(f.What)
}

// behind is a text behind what leads to it; nothing without a text.
func behind(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}

// responded tells what became of an incident.
func (t *teller) responded(was, s guard.State, add func(mark, string, ...any)) {
	before, i := was.Incident, s.Incident
	if before.Began.IsZero() && !i.Began.IsZero() {
		add(mark{"incident", bad, alarm}, "it is an incident, detected at %s", report.Clock(i.Began))
	}
	for _, g := range i.Grades[min(len(before.Grades), len(i.Grades)):] {
		add(mark{"severity", bad, alarm}, "%s, because of: %s", levelWords(t.plan, g.Level), g.Why)
	}
	for n, o := range i.Owed {
		if o.Passed && (n >= len(before.Owed) || !before.Owed[n].Passed) {
			add(mark{"breached", bad, cross}, "not in time: %s (%s, until %s)", dueWords[o.Kind], o.Role, report.Clock(o.Until))
		}
	}
	for _, e := range i.Exhibits[min(len(before.Exhibits), len(i.Exhibits)):] {
		if e.SHA256 == "" {
			add(mark{"evidence", doubt, alarm}, "%s was not kept: %s", e.Name, e.Problem)
			continue
		}
		add(mark{"evidence", calm, dash}, "kept %s (%s)", e.Name, report.Plural(int(e.Bytes), "byte"))
	}
	if before.StoodDown.IsZero() && !i.StoodDown.IsZero() {
		add(mark{"stood down", good, check}, "%s has stood it down", cmp.Or(i.StoodBy, "somebody"))
	}
}

func markOfCall(c judge.Call) mark {
	word := report.Call(c)
	switch c {
	case judge.Healthy:
		return mark{word, good, check}
	case judge.Regressed:
		return mark{word, bad, cross}
	case judge.Blind:
		return mark{word, doubt, question}
	case judge.Hold:
		return mark{word, doubt, pausedShape}
	case judge.Inconclusive:
		return mark{word, doubt, dots}
	}
	return mark{word, calm, dots}
}

// A teller tells of a history what a person would want to know, event by event: what changed, and why. It never tells
// each tick.
type teller struct {
	plan  *guard.Plan
	class string          // of the ruling that was told last; empty: evidence is being gathered, as expected
	said  map[string]bool // in this phase: nothing is told twice
}

// tell returns what is worth telling of an event that led from one state to another.
func (t *teller) tell(e guard.Event, was, s guard.State) (fresh []saying) {
	var lines []saying
	add := func(m mark, format string, args ...any) {
		lines = append(lines, saying{e.At, m, fmt.Sprintf(format, args...)})
	}
	turned := s.Phase != was.Phase || !s.Since.Equal(was.Since)
	if !s.Since.Equal(was.Since) {
		t.said = map[string]bool{}
	}
	t.fact(e, was, s, turned, add)
	t.responded(was, s, add)
	if turned {
		t.turn(was, s, add)
		t.class = ""
	} else if _, measured := e.Fact.(guard.Measured); measured {
		t.ruling(was, s, add)
	}
	if s.Trouble != "" && s.Trouble != was.Trouble && s.Phase != guard.Over {
		add(mark{"trouble", doubt, alarm}, "%s", s.Trouble)
	}
	for _, l := range lines {
		if key := l.Word + l.Text; !t.said[key] {
			t.said[key] = true
			fresh = append(fresh, l)
		}
	}
	return fresh
}

// fact tells of what happened itself, where the turn that it led to does not say it.
func (t *teller) fact(e guard.Event, was, s guard.State, turned bool, add func(mark, string, ...any)) {
	switch f := e.Fact.(type) {
	case guard.Opened:
		add(mark{"opened", calm, forwards}, "%s of %s (%s): %s", s.Purpose, s.Release.Service, s.Release.Environment, change(s.Release))
	case guard.Resumed:
		if away := e.At.Sub(was.At); away > time.Second {
			add(mark{"taken on", doubt, alarm}, "a server goes on with it; nobody watched for %s", report.Span(away))
			return
		}
		add(mark{"taken on", calm, forwards}, "a server goes on with it")
	case guard.Ordered:
		if text := report.Ordered(f); !turned || s.Why != text {
			add(mark{"order", doubt, alarm}, "%s", text)
		}
	case guard.Voted:
		for _, a := range f.Alerts {
			if a.Ended {
				add(mark{"alert", calm, check}, "alert %s has ended", a.Name)
				continue
			}
			add(mark{"alert", doubt, alarm}, "%s", a)
		}
		if f.Unseen > 0 {
			add(mark{"alert", doubt, alarm}, "%s more fire that were not named", report.Plural(f.Unseen, "alert"))
		}
	case guard.Noted:
		add(mark{"note", calm, dash}, "%s: %s", cmp.Or(f.By, "somebody"), f.Text)
	case guard.Acknowledged:
		add(mark{"acknowledged", good, check}, "%s looks after it", cmp.Or(f.By, "somebody"))
	case guard.Stated:
		add(mark{"stated", calm, dash}, "%s: %s", cmp.Or(f.By, "somebody"), statementWords(f))
	case guard.Intervened:
		if d, ok := asked(was, e.Task).(guard.Intervene); ok {
			m := markOfVerdict(guard.Worst(f.Findings))
			add(m, "%s: %s", moveWords(t.plan, d), report.TallyOf(f.Findings))
		}
	case guard.Interrupted:
		if !turned {
			add(mark{"signal", doubt, alarm}, "golive was asked to end (%s)", f.Signal)
		}
	case guard.Checked:
		m := markOfVerdict(report.TallyOf(f.Findings).Verdict())
		m.Word = "checks"
		add(m, "%s", report.TallyOf(f.Findings))
	case guard.Inspected:
		if f.Problem != "" {
			add(mark{"trouble", doubt, alarm}, "the past cannot be read, so the judge learns what is normal as it goes: %s", f.Problem)
		}
	case guard.Measured:
		for _, remark := range s.Remarks[min(len(was.Remarks), len(s.Remarks)):] {
			add(mark{"remark", calm, dots}, "the source remarks: %s", remark)
		}
	case guard.Told:
		if tell, ok := asked(was, e.Task).(guard.Tell); ok {
			m, missed := mark{"told", faint, dash}, report.Missed(f.Receipt)
			switch {
			case f.Receipt.Lost():
				m = mark{"not told", doubt, alarm}
			case missed != "":
				m = mark{"told in part", doubt, alarm}
			}
			add(m, "%s: %s%s", report.Channel(t.plan, tell.Channel), tell.Notice.Title, missed)
		}
	case guard.Failed:
		if tell, ok := asked(was, e.Task).(guard.Tell); ok {
			add(mark{"not told", doubt, alarm}, "%s: %s", report.Channel(t.plan, tell.Channel), f.Error)
		}
	}
}

// asked is the deed of a task that a state asked for.
func asked(s guard.State, task int) guard.Deed {
	for _, t := range s.Todo {
		if t.ID == task {
			return t.Deed
		}
	}
	return nil
}

func change(r guard.Release) string {
	if r.First() {
		return r.To + " (first)"
	}
	return r.From + " \u2192 " + r.To
}

// turn tells of a phase that has begun, and of why the one before ended.
func (t *teller) turn(was, s guard.State, add func(mark, string, ...any)) {
	m := markOfPhase(s.Phase, s.Outcome)
	if s.Why != "" && s.Why != was.Why {
		why := mark{"why", calm, dash}
		switch {
		case s.Phase == guard.Shifting && s.Step > was.Step:
			add(mark{"step done", good, check}, "step %d of %d is done: %s", was.Step+1, len(t.plan.Rollout.Steps), s.Why)
		case s.Phase == guard.Finishing:
			add(mark{"step done", good, check}, "%s", s.Why)
		case s.Phase == guard.Restoring, s.Outcome != "" && s.Outcome != guard.Live:
			add(mark{"why", bad, cross}, "%s", s.Why)
		default:
			add(why, "%s", s.Why)
		}
	}
	add(m, "%s", happening(t.plan, s))
}

// ruling tells what the judge says when that is new.
func (t *teller) ruling(was, s guard.State, add func(mark, string, ...any)) {
	r := s.Ruling
	for _, warning := range r.Warnings[min(len(was.Ruling.Warnings), len(r.Warnings)):] {
		add(mark{"look at this", doubt, alarm}, "%s", warning)
	}
	class := ""
	if r.Call != judge.Continue || r.Rule == judge.Leaning {
		class = fmt.Sprintf("%s %s %s", r.Call, r.Rule, r.Signal)
	}
	switch {
	case s.Asked && !was.Asked:
		add(mark{"holding", doubt, pausedShape}, "the evidence does not decide; holding until %s, then back: %s", report.Clock(s.Until), r.Why)
	case class != t.class && class == "":
		add(mark{"not yet", calm, dots}, "gathering evidence again: %s", r.Why)
	case class != t.class:
		add(markOfCall(r.Call), "%s", r.Why)
	}
	t.class = class
}
