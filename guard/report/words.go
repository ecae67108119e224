package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// This file has the words for a rollout that golive explain and the server's page share, so that who reads one at
// night and the other in the morning reads the same. How a form arranges them is its own affair.

// Meaning says what a rule of the judge means, as a sentence that begins in lower case; "" for a rule that is unknown.
func Meaning(r judge.Rule) string { return meanings[r] }

var meanings = map[judge.Rule]string{
	judge.NotStarted:      "no step has begun, so there is nothing to judge.",
	judge.Odds:            "the counts of all signals together are so much likelier if the new version does harm that the limit is passed.",
	judge.StoppedAnswer:   "the new version answers far fewer requests than its share of the traffic.",
	judge.Overwhelming:    "every fifth request fails on the new version, in two ticks in a row, and not on the old one: no statistics needed.",
	judge.Never:           "a limit of the plan (never) is broken, whatever the old version does.",
	judge.BothFailing:     "a limit of the plan is broken by both versions, so going back would not help: no step is taken.",
	judge.BothDegraded:    "the old version does far worse than it used to: something around both is wrong, and no step is taken.",
	judge.WithinLimits:    "a first release keeps every limit of the plan; there is nothing to compare it with.",
	judge.NonInferior:     "harm larger than the margins of the plan is excluded, with the confidence that the plan asks for.",
	judge.Leaning:         "the counts of this step favour harm, but not enough to go back: no step is taken.",
	judge.TooFast:         "the new version answers faster than real work can be done: a person has to look at the answers.",
	judge.Collecting:      "there are not enough requests yet to exclude harm, and no sign of it.",
	judge.TooFew:          "the time of the step is over, and there were too few requests to decide.",
	judge.StillLearning:   "the old version is too young to know what is normal.",
	judge.NothingToReadOf: "the metrics are gone: nothing was read of one of the versions for too long.",
}

// Call says a call of the judge in a word or three; "" for a call that is unknown.
func Call(c judge.Call) string { return calls[c] }

var calls = map[judge.Call]string{
	judge.Blind:        "blind",
	judge.Continue:     "not yet",
	judge.Hold:         "holding",
	judge.Inconclusive: "not enough evidence",
	judge.Healthy:      "healthy",
	judge.Regressed:    "harm",
}

// Verdict says how a rollout ended, without a full stop and beginning in lower case unless with a name; "" while it is
// not over. Warning is what has to be seen before that, such as "rollback failed"; mostly there is none.
func Verdict(s guard.State) (warning, text string) {
	r := s.Release
	watched := s.Mode == guard.Observe && s.Purpose != guard.ToRollback
	tried := s.Outcome == guard.RolledBack || s.Outcome == guard.RollbackFailed || s.Outcome == guard.Recovered || s.Outcome == guard.ForwardOnly
	if s.Outcome != "" && s.Purpose == guard.ToRollback && !tried {
		return "not rolled back", "nothing was taken from " + r.To
	}
	switch s.Outcome {
	case guard.Live:
		return "", r.To + " is live"
	case guard.Unfinished:
		return "", fmt.Sprintf("%s was last seen with %d %% of the traffic, and the backend could not finish", r.To, s.Seen)
	case guard.NoGo:
		return "", "no-go: " + r.To + " got no traffic"
	case guard.Unknowable:
		return "", "no-go: whether " + r.To + " may go on could not be found out, so it got no traffic"
	case guard.Overdue:
		return "", "time ran out before anything was decided about " + r.To
	case guard.Stopped:
		if watched || s.Purpose == guard.ToWatch {
			return "", "stopped watching " + r.To
		}
		return "", "stopped before " + r.To + " got any traffic"
	case guard.RolledBack:
		switch {
		case watched:
			return "", r.To + " was taken back, and not by golive"
		case r.First():
			return "", r.To + " was taken out of the traffic again, verified"
		}
		return "", fmt.Sprintf("%s was rolled back to %s, verified", r.To, r.From)
	case guard.RollbackFailed:
		if r.First() {
			return "rollback failed", "it is not certain that " + r.To + " is out of the traffic"
		}
		return "rollback failed", "it is not certain that " + r.From + " has the traffic again"
	case guard.Recovered:
		return "", "the service is well again, verified, although " + r.To + " could not be taken back"
	case guard.ForwardOnly:
		return "no way back", fmt.Sprintf("%s keeps %d %% of the traffic, and people have to find a way forward", r.To, s.Seen)
	case guard.WouldRollBack:
		return "", r.To + " would have been taken back"
	}
	return "", ""
}

// Late says what becomes of a rollout that acts when the time of a phase is over, as a clause: "it goes back".
func Late(p guard.Phase) string {
	switch p {
	case guard.Checking:
		return "it ends, and no traffic was moved"
	case guard.Finishing:
		return "it ends as unfinished"
	case guard.Containing, guard.Preserving:
		return "the traffic is taken back"
	case guard.Restoring, guard.Verifying, guard.Resorting, guard.Soaking, guard.Ramping:
		return "it ends as a failed rollback"
	}
	return "it goes back"
}

// Ordered says who ordered what, and why. A name that comes from outside cannot break the line.
func Ordered(f guard.Ordered) string {
	who := "somebody"
	if f.By != "" {
		who = oneLine(guard.Printable(f.By))
	}
	text := fmt.Sprintf("%s ordered %s", who, f.Verb)
	if f.Verb == guard.OrderExtend {
		text += fmt.Sprintf(" by %s", f.For)
	}
	if f.NoIncident {
		text += ", as no incident"
	}
	if f.Why != "" {
		text += ": " + f.Why
	}
	return text
}

// Stated says what somebody has said of an incident. A name that comes from outside cannot break the line.
func Stated(f guard.Stated) string {
	who := "somebody"
	if f.By != "" {
		who = oneLine(guard.Printable(f.By))
	}
	text, subject := oneLine(guard.Printable(f.Text)), oneLine(guard.Printable(f.Subject))
	because := ""
	if text != "" {
		because = ": " + text
	}
	switch f.What {
	case guard.StateCause:
		return fmt.Sprintf("%s names the cause%s%s", who, because, OfClass(f))
	case guard.StateSeverity:
		return fmt.Sprintf("%s says that it is of level %d%s", who, f.Level, because)
	case guard.StateSignOff:
		return fmt.Sprintf("%s agrees as %s%s", who, subject, because)
	case guard.StateStandDown:
		return fmt.Sprintf("%s says that it is over%s", who, because)
	case guard.StateContacted:
		return fmt.Sprintf("%s says that %s knows%s", who, subject, because)
	case guard.StateAction:
		return fmt.Sprintf("%s wants this done by %s until %s, to %s%s", who, subject, Moment(f.Due), f.Class, because)
	case guard.StateAnswer:
		return fmt.Sprintf("%s says for the report, of %s%s", who, subject, because)
	case guard.StateFiled:
		return fmt.Sprintf("%s has filed the report %s", who, subject)
	case guard.StateLearned:
		return fmt.Sprintf("%s says what was learned%s", who, because)
	}
	return fmt.Sprintf("%s says %s%s", who, f.What, because)
}

// OfClass is what kind of trouble somebody says that it is, behind the cause; "" if nothing is said of that.
func OfClass(f guard.Stated) string {
	if f.What != guard.StateCause || f.Class == "" {
		return ""
	}
	return " (" + oneLine(guard.Printable(f.Class)) + ")"
}

// Missed says whom a notice has not reached, and why, behind its title; "" if it has reached everybody.
func Missed(r guard.Receipt) string {
	var missed []string
	for _, h := range r.Missed() {
		missed = append(missed, fmt.Sprintf("%s (%s)", oneLine(guard.Printable(h.Name)), oneLine(guard.Printable(h.Problem))))
	}
	if len(missed) == 0 {
		return ""
	}
	return "; it has not reached " + strings.Join(missed, ", ")
}

// Channel names the channel of a plan that a guard.Tell counts from 0.
func Channel(plan *guard.Plan, i int) string {
	if i < len(plan.Notify) {
		return plan.Notify[i].Use
	}
	return fmt.Sprintf("channel %d", i+1)
}

// Missing says which evidence a step waited for when a ruling was made, and for how long; "" if for none.
func Missing(r judge.Ruling) string {
	if r.Missing != "" && r.Remain > 0 {
		return fmt.Sprintf("%s; about %s more", r.Missing, Span(time.Duration(r.Remain*float64(time.Second))))
	}
	return r.Missing
}

// Against reads the logarithm of odds as people do: who is ahead.
func Against(log float64) string {
	if log > 0 {
		return Odds(log) + " against the new version"
	}
	return Odds(log)
}

// Odds renders the logarithm of odds, like 640:1 or 1:4.
func Odds(log float64) string {
	const most = 1e6
	brief := func(f float64) string {
		if f < 9.95 {
			return fmt.Sprintf("%.2g", f)
		}
		return Number(f)
	}
	switch {
	case log > math.Log(most):
		return "over " + Number(most) + ":1"
	case log < -math.Log(most):
		return "under 1:" + Number(most)
	case log < 0:
		return "1:" + brief(math.Exp(-log))
	}
	return brief(math.Exp(log)) + ":1"
}

// Number is a whole number with commas.
func Number(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Percent is a share from 0 to 1, in per cent, with as many digits as matter.
func Percent(share float64) string {
	p := 100 * share
	switch {
	case p == 0 || math.Abs(p) >= 10:
		return fmt.Sprintf("%.0f %%", p)
	case math.Abs(p) >= .095:
		return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", p), "0"), ".") + " %"
	}
	return fmt.Sprintf("%.2g %%", p)
}

// Points is a difference between two shares, in percentage points and with its sign.
func Points(difference float64) string { return fmt.Sprintf("%+.3g", 100*difference) }

// Span is a time span in whole seconds, like 1m30s; 0s if it is negative.
func Span(d time.Duration) string { return guard.Duration(max(0, d.Round(time.Second))).String() }

// Clock is a time of the day. It is UTC everywhere, as in the journal, for who compares notes at night may sit in several
// time zones.
func Clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// Moment is a Clock with its day.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// Plural is a count of things, whose noun takes an s if there is not one of them.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
