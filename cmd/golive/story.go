package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report"
)

// quietFor is how long nothing is told of counts that change nothing.
const quietFor = 30 * time.Second

// takenSoon is how soon a server should have begun to guard what was opened, so that nothing needs to be told of it: each
// looks once a second.
const takenSoon = 5 * time.Second

// A line is one thing that is told.
type line struct {
	tone tone
	text string
}

// A story tells of a history what a person would want to know, event by event: what changed, why, and now and
// then how far the evidence is. It never tells each tick. It needs no clock but the one of the events.
type story struct {
	plan *guard.Plan
	ink  ink
	call func(...string) string // writes a command line that works from here

	was      guard.State     // before the event
	class    string          // of the ruling that was told last; empty: evidence is being gathered, as expected
	counted  time.Time       // when counts were told last
	told     map[string]bool // in this phase: nothing is told twice
	events   int             // that were told before
	findings bool            // they were told one by one, as they came
}

// tell returns what is worth telling of an event that led to a state.
func (t *story) tell(e guard.Event, s guard.State) []line {
	t.events++
	if _, taken := e.Fact.(guard.Resumed); taken && t.events == 2 && e.At.Sub(t.was.At) < takenSoon {
		t.was = s
		return nil // a server has opened it, and one of the servers guards it
	}
	var lines []line
	turned := s.Phase != t.was.Phase || !s.Since.Equal(t.was.Since)
	if !s.Since.Equal(t.was.Since) {
		t.told = map[string]bool{}
	}
	if t.was.Phase == "" {
		lines = append(lines, t.opening(e, s)...)
	}
	lines = append(lines, t.fact(e, s, turned)...)
	lines = append(lines, t.incidentLines(s)...)
	if turned {
		lines = append(lines, t.turn(s)...)
		t.class, t.counted = "", e.At
	} else {
		lines = append(lines, t.ruling(e, s)...)
	}
	if s.Trouble != "" && s.Trouble != t.was.Trouble && s.Phase != guard.Over {
		lines = append(lines, line{doubt, "trouble: " + s.Trouble})
	}
	t.was = s
	return t.once(lines)
}

// once drops what was told in this phase already.
func (t *story) once(lines []line) (fresh []line) {
	for _, l := range lines {
		if !t.told[l.text] {
			t.told[l.text] = true
			fresh = append(fresh, l)
		}
	}
	return fresh
}

// opening says what the story is about.
func (t *story) opening(e guard.Event, s guard.State) []line {
	head := fmt.Sprintf("%s of %s (%s): %s", s.Purpose, s.Release.Service, s.Release.Environment, t.ink.change(s.Release))
	opened, begins := e.Fact.(guard.Opened)
	if !begins {
		head += ", under way"
	}
	lines := []line{{loud, head}}
	if opened.By != "" {
		lines = append(lines, line{faint, "opened by " + opened.By})
	}
	if s.Mode == guard.Observe && s.Purpose != guard.ToRollback {
		lines = append(lines, line{loud, "observe: golive decides and reports, and touches nothing"})
	}
	if s.BreakGlass != nil {
		lines = append(lines, line{bad, s.BreakGlass.String()})
	}
	if s.Release.First() {
		lines = append(lines, line{doubt, "first release: there is nothing to compare with and nothing to go back to; only limits count"})
	}
	return lines
}

// fact tells of what happened itself, where the turn that it led to does not say it.
func (t *story) fact(e guard.Event, s guard.State, turned bool) []line {
	switch f := e.Fact.(type) {
	case guard.Resumed:
		if f.Fence != 0 && f.Fence == t.was.Fence {
			return []line{{doubt, "everything is written down again; what waited for that begins its time anew"}}
		}
		if away := e.At.Sub(t.was.At); !t.was.At.IsZero() && away > time.Second {
			return []line{{doubt, "another process goes on; nobody watched for " + spell(away)}}
		}
		return []line{{doubt, "another process goes on"}}
	case guard.Ordered:
		if !turned {
			return []line{{doubt, report.Ordered(f) + t.given(f, s)}}
		}
	case guard.Voted:
		if !turned {
			return t.voted(f, s)
		}
	case guard.Noted:
		return []line{{calm, notedWords(f)}}
	case guard.Acknowledged:
		return []line{{calm, acknowledgedWords(f)}}
	case guard.Stated:
		return []line{{calm, report.Stated(f)}}
	case guard.Intervened:
		return []line{{toneOfVerdict(guard.Worst(f.Findings)), "done: " + findingWords(f.Findings)}}
	case guard.Gathered:
		return gatheredLines(f)
	case guard.Interrupted:
		if !turned {
			return []line{{doubt, fmt.Sprintf("golive was asked to end (%s): %s", f.Signal, meanwhile(s))}}
		}
	case guard.Checked:
		return t.checked(f)
	case guard.Inspected:
		if f.Problem != "" {
			return []line{{doubt, "the past cannot be read, so the judge learns what is normal as it goes: " + f.Problem}}
		}
	case guard.Measured:
		return t.remarks(s)
	case guard.Told:
		if tell, ok := t.asked(e.Task).(guard.Tell); ok {
			told := line{faint, fmt.Sprintf("told %s: %s", report.Channel(t.plan, tell.Channel), tell.Notice.Title)}
			if missed := report.Missed(f.Receipt); missed != "" {
				told = line{doubt, told.text + missed}
			}
			return []line{told}
		}
	case guard.Failed:
		if tell, ok := t.asked(e.Task).(guard.Tell); ok {
			return []line{{doubt, fmt.Sprintf("could not tell %s: %s", report.Channel(t.plan, tell.Channel), f.Error)}}
		}
	}
	return nil
}

// meanwhile is what goes on all the same when golive was asked to end, and nothing was turned by that.
func meanwhile(s guard.State) string {
	switch s.Phase {
	case guard.Restoring, guard.Verifying:
		return fmt.Sprintf("it is going back already, and ends once %s has no traffic any more", s.Release.To)
	case guard.Finishing:
		return fmt.Sprintf("%s has earned the traffic, and it ends once the backend has finished", s.Release.To)
	case guard.Over:
		if s.Incident.Open() {
			return "the traffic is dealt with, and the incident stays open"
		}
		return "it is over, and the last notices are on their way"
	case guard.Containing, guard.Preserving, guard.Resorting, guard.Soaking, guard.Ramping:
		return "it is going back already, and ends once that is done"
	}
	return "it ends as soon as it can"
}

// gatheredLines say what was kept, and what was not.
func gatheredLines(f guard.Gathered) (lines []line) {
	kept := 0
	for _, x := range f.Exhibits {
		if x.SHA256 != "" {
			kept++
		}
		if x.Problem != "" {
			lines = append(lines, line{doubt, fmt.Sprintf("the evidence %s is not whole: %s", oneLine(guard.Printable(x.Name)), oneLine(guard.Printable(x.Problem)))})
		}
	}
	if kept > 0 {
		lines = append(lines, line{calm, "kept as evidence: " + plural(kept, "exhibit")})
	}
	return lines
}

func somebody(name string) string {
	if name == "" {
		return "somebody"
	}
	return oneLine(guard.Printable(name))
}

func notedWords(f guard.Noted) string {
	return somebody(f.By) + " notes: " + oneLine(guard.Printable(f.Text))
}

func acknowledgedWords(f guard.Acknowledged) string {
	return somebody(f.By) + " has taken notice, and looks after it"
}

// voteLines are what an alerting system says.
func voteLines(f guard.Voted) (lines []line) {
	for _, a := range f.Alerts {
		if a.Ended {
			lines = append(lines, line{calm, fmt.Sprintf("alert %s fires no more", oneLine(guard.Printable(a.Name)))})
			continue
		}
		lines = append(lines, line{doubt, a.String()})
	}
	switch {
	case f.Unseen > 0:
		lines = append(lines, line{doubt, plural(f.Unseen, "alert") + " that nobody named"})
	case len(f.Alerts) == 0:
		lines = append(lines, line{calm, "every alert was named"})
	}
	return lines
}

// joinLines are the texts of lines in one.
func joinLines(lines []line) string {
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.text
	}
	return strings.Join(texts, "; ")
}

// given says what came of an order for more time.
func (t *story) given(f guard.Ordered, s guard.State) string {
	switch {
	case f.Verb != guard.OrderExtend:
		return ""
	case s.Until.Equal(t.was.Until):
		return "; it changes nothing"
	}
	return "; it ends at " + clock(s.Until) + " at the latest"
}

// voted tells which alerts fire, and whether that holds the rollout.
func (t *story) voted(f guard.Voted, s guard.State) (lines []line) {
	for i, l := range voteLines(f) {
		if i < len(f.Alerts) && !f.Alerts[i].Ended && f.Alerts[i].Since.Before(s.Opened) && !f.Alerts[i].Since.IsZero() {
			l.text += " (since before this began, so that it is no reason)"
		}
		lines = append(lines, l)
	}
	switch {
	case s.Alarm != "" && t.was.Alarm == "":
		lines = append(lines, line{doubt, "no further step while " + s.Alarm})
	case s.Alarm == "" && t.was.Alarm != "":
		lines = append(lines, line{calm, "no alert holds it any more"})
	}
	return lines
}

// checked tells what the findings come to, and which of them are not as they should be.
func (t *story) checked(f guard.Checked) (lines []line) {
	for _, finding := range f.Findings {
		if !t.findings && finding.Verdict != guard.Pass && !optional(finding) {
			lines = append(lines, findingLine(finding, t.ink))
		}
	}
	tally := report.TallyOf(f.Findings)
	return append(lines, line{toneOfVerdict(tally.Verdict()), "checks: " + tally.String()})
}

// asked is the deed of a task that the state before the event asked for.
func (t *story) asked(task int) guard.Deed {
	for _, todo := range t.was.Todo {
		if todo.ID == task {
			return todo.Deed
		}
	}
	return nil
}

// turn tells of a phase that has begun, and of why the one before ended.
func (t *story) turn(s guard.State) (lines []line) {
	r := s.Release
	why := line{calm, s.Why}
	if s.Why == t.was.Why {
		why.text = ""
	}
	now := line{loud, ""}
	switch s.Phase {
	case guard.Checking:
		now.text = "checking whether " + r.To + " may go on"
		if s.Purpose != guard.ToRollout {
			now.text = "asking where the traffic is"
		}
	case guard.Shifting:
		if why.text != "" && s.Step > t.was.Step {
			why.text = t.stepOf(t.was) + " is done: " + why.text
			why.tone = good
		}
		now.text = fmt.Sprintf("%s: giving %s %d %% of the traffic", t.stepOf(s), r.To, s.Aim)
	case guard.Watching:
		now.text = t.watching(s)
	case guard.Baking:
		now.text = t.baking(s)
	case guard.Finishing:
		now.text = "giving " + r.To + " all of the traffic"
		if !r.First() {
			now.text += "; " + r.From + " may be retired then"
		}
		why.tone = good
	case guard.Containing:
		now.text, now.tone, why.tone = "stopping the harm from spreading (recovery.contain)", bad, bad
	case guard.Preserving:
		now.text, why.tone = "keeping the evidence, until "+clock(s.Until)+" at the latest", bad
	case guard.Resorting:
		now.text, now.tone, why.tone = t.resorting(s), bad, bad
	case guard.Soaking:
		now.text = fmt.Sprintf("watching for %s whether it stays well", t.plan.Recovery.Soak)
	case guard.Ramping:
		now.text = fmt.Sprintf("letting traffic in again, part %d of %d", s.Incident.Ramped+1, len(t.plan.Recovery.Ramp))
	case guard.Restoring:
		now.text, now.tone = goingBack(r), bad
		why.tone = bad
	case guard.Verifying:
		now.text = "verifying that " + r.To + " has no traffic any more"
	case guard.Over:
		now.text = "over: " + string(s.Outcome)
		if s.Incident.Open() {
			now.text += "; the incident is open until somebody stands it down"
		}
		why.text = "" // the conclusion says it
	}
	if why.text != "" {
		lines = append(lines, why)
	}
	if now.text != s.Why {
		lines = append(lines, now)
	}
	return lines
}

// resorting says which resort is tried.
func (t *story) resorting(s guard.State) string {
	n := s.Incident.Resort
	if n < 1 || n > len(t.plan.Recovery.Resorts) {
		return "trying what the plan has for the case that going back did not help"
	}
	resort := t.plan.Recovery.Resorts[n-1]
	text := fmt.Sprintf("trying resort %d of %d: %s", n, len(t.plan.Recovery.Resorts), resort.Name)
	if resort.Approval != "" && s.Incident.Agreed < s.Incident.Resort {
		text += fmt.Sprintf(", once %s agrees (%s)", resort.Approval, t.call("sign-off", resort.Approval, s.Release.ID))
	}
	return text
}

func goingBack(r guard.Release) string {
	if r.First() {
		return "TAKING " + r.To + " OUT of the traffic"
	}
	return "GOING BACK to " + r.From
}

func (t *story) stepOf(s guard.State) string {
	return fmt.Sprintf("step %d of %d", s.Step+1, len(t.plan.Rollout.Steps))
}

// follows says that somebody else moves the traffic up.
func follows(s guard.State) bool { return s.Purpose == guard.ToWatch || s.Mode == guard.Observe }

func (t *story) watching(s guard.State) string {
	if follows(s) && s.Seen == 0 {
		return fmt.Sprintf("waiting for %s to get traffic", s.Release.To)
	}
	if follows(s) {
		return fmt.Sprintf("%s has %d %% of the traffic", s.Release.To, s.Seen)
	}
	step := t.plan.Rollout.Steps[s.Step]
	return fmt.Sprintf("%s: %s has %d %% of the traffic; watching for %s to %s", t.stepOf(s), s.Release.To, s.Seen, step.AtLeast, step.AtMost)
}

func (t *story) baking(s guard.State) string {
	text := fmt.Sprintf("%s has %d %% of the traffic", s.Release.To, s.Seen)
	if back := 100 - s.Seen; back > 0 && !s.Release.First() {
		text += fmt.Sprintf(" (%s keeps %d %% to compare with)", s.Release.From, back)
	}
	return fmt.Sprintf("%s; baking for %s", text, t.plan.Rollout.Bake.For)
}

// ruling tells what the judge says when that is new, or how far the evidence is when nothing was told of it
// for a while.
func (t *story) ruling(e guard.Event, s guard.State) []line {
	if _, ok := e.Fact.(guard.Measured); !ok {
		return nil
	}
	r := s.Ruling
	lines := t.warnings(s)
	class, was := classOf(r), t.class
	switch {
	case s.Asked && !t.was.Asked:
		lines = append(lines, line{doubt, fmt.Sprintf("%s: %s", t.asking(s), r.Why)})
	case class != was && class == "":
		lines = append(lines, line{calm, "gathering evidence again: " + r.Why})
	case class != was:
		lines = append(lines, line{toneOf(r.Call), fmt.Sprintf("%s: %s", report.Call(r.Call), r.Why)})
	case e.At.Sub(t.counted) >= quietFor:
		lines = append(lines, line{calm, progress(s, e.At)})
	default:
		return lines
	}
	t.class, t.counted = class, e.At
	return lines
}

// remarks tells what the source has remarked for the first time.
func (t *story) remarks(s guard.State) (lines []line) {
	for _, remark := range s.Remarks[len(t.was.Remarks):] {
		lines = append(lines, line{doubt, "the source remarks: " + remark})
	}
	return lines
}

func (t *story) warnings(s guard.State) (lines []line) {
	for i := len(t.was.Ruling.Warnings); i < len(s.Ruling.Warnings); i++ {
		lines = append(lines, line{doubt, "look at this: " + s.Ruling.Warnings[i]})
	}
	return lines
}

// asking says what is wanted of people when the evidence does not decide.
func (t *story) asking(s guard.State) string {
	then := t.plan.Rollout.Scarce.Then
	if s.Ruling.Call == judge.Blind {
		then = t.plan.Rollout.Blind.Then
	}
	if then == guard.ThenAsk {
		return fmt.Sprintf("a person has to decide (%s, or %s)", t.call("order", "proceed", s.Release.ID), t.call("rollback", s.Release.ID))
	}
	return report.Call(s.Ruling.Call) + ", holding until " + clock(s.Until) + ", then back"
}

func toneOf(c judge.Call) tone {
	switch c {
	case judge.Healthy:
		return good
	case judge.Regressed, judge.Blind:
		return bad
	case judge.Hold, judge.Inconclusive:
		return doubt
	}
	return calm
}

// classOf tells rulings apart that a person would tell apart. It is empty while evidence is gathered as expected.
func classOf(r judge.Ruling) string {
	if r.Call == judge.Continue && r.Rule != judge.Leaning {
		return ""
	}
	return fmt.Sprintf("%s %s %s", r.Call, r.Rule, r.Signal)
}

// progress is how far the evidence is, in one line.
func progress(s guard.State, now time.Time) string {
	parts := []string{fmt.Sprintf("%d %% for %s", s.Seen, spell(now.Sub(s.Began)))}
	for _, sight := range s.Ruling.Signals {
		text := fmt.Sprintf("%s: canary %s", nameOf(sight), tally(sight.Step.Canary))
		if sight.Step.Baseline.Requests > 0 {
			text += ", baseline " + tally(sight.Step.Baseline)
		}
		parts = append(parts, text)
	}
	parts = append(parts, fmt.Sprintf("odds of harm %s, back at %s", odds(s.Ruling.LogOdds), odds(s.Ruling.Limit)))
	if s.Ruling.Missing != "" {
		parts = append(parts, "missing: "+s.Ruling.Missing)
	}
	return strings.Join(parts, "; ")
}
