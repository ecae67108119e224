package guard

import (
	"fmt"
	"time"
)

// An Exercise is what a drill was: what was asked for, what was seen, and how long it took. Whether it was passed is
// computed from it, and never declared.
type Exercise struct {
	ID           string        `json:"id"`
	Kind         string        `json:"kind"`               // tabletop, rollback, restore, notify, or as the plan has it
	Scenario     string        `json:"scenario,omitempty"` // one of Classes, or of the plan
	Scripted     bool          `json:"scripted,omitempty"` // those who took part knew what would come
	Objectives   []string      `json:"objectives,omitempty"`
	Scope        string        `json:"scope,omitempty"` // what it could touch
	By           string        `json:"authorised_by,omitempty"`
	Version      string        `json:"version,omitempty"` // of golive
	Began        time.Time     `json:"began"`
	Ended        time.Time     `json:"ended"`
	Before       []Finding     `json:"steady_before,omitempty"` // the steady state has to hold before, or nothing is done
	After        []Finding     `json:"steady_after,omitempty"`
	Injects      []Inject      `json:"injects,omitempty"`
	Timeline     []Moment      `json:"timeline,omitempty"`
	Took         Spans         `json:"took,omitzero"`
	Targets      Spans         `json:"targets,omitzero"` // zero: none
	Owed         []Obligation  `json:"owed,omitempty"`
	Undone       []Finding     `json:"undone,omitempty"` // of putting everything back, which goes on past failures
	Participants []Participant `json:"participants,omitempty"`
	Deviations   []string      `json:"deviations,omitempty"` // where it went other than the plan has it
	Findings     []string      `json:"findings,omitempty"`   // what is to be mended
	Feedback     []string      `json:"feedback,omitempty"`
	Aborted      string        `json:"aborted,omitempty"` // why it was not carried through
}

// Result says whether the drill was passed, and if not, everything that speaks against it. A drill that was not carried
// through has failed, too: nothing shows that it would have been passed. An obligation that nobody has met counts against
// it even where its time is not over, for nobody has shown that it would be met. That the service is well again has to
// have been measured where the plan says how soon it has to be.
func (e Exercise) Result() (Verdict, []string) {
	var against []string
	say := func(ok bool, format string, args ...any) {
		if !ok {
			against = append(against, fmt.Sprintf(format, args...))
		}
	}
	say(e.Aborted == "", "it was not carried through: %s", e.Aborted)
	for _, steady := range []struct {
		when     string
		findings []Finding
	}{{"before", e.Before}, {"afterwards", e.After}} {
		for _, f := range steady.findings {
			say(f.Verdict == Pass || f.Verdict == Warn, "%s it was not steady: %s", steady.when, f.told())
		}
	}
	say(len(e.Before) == 0 || len(e.After) > 0 || e.Aborted != "", "nobody has looked whether it was steady afterwards")
	say(e.Targets.Recover == 0 || e.Took.Recover > 0 || e.Aborted != "", "nobody has measured how long it took until the service was well again")
	for _, bound := range []struct {
		what      string
		took, may Duration
	}{
		{"until it was noticed", e.Took.Detect, e.Targets.Detect},
		{"until somebody led", e.Took.Activate, e.Targets.Activate},
		{"until it did no more harm", e.Took.Contain, e.Targets.Contain},
		{"until the service was well again", e.Took.Recover, e.Targets.Recover},
	} {
		say(bound.may == 0 || bound.took <= bound.may, "it took %s %s, and may take %s", bound.took, bound.what, bound.may)
	}
	say(e.Targets.Lost == 0 || e.Took.Lost <= e.Targets.Lost, "the work of %s was lost, and no more than that of %s may be", e.Took.Lost, e.Targets.Lost)
	for _, o := range e.Owed {
		switch standing := o.Standing(e.Ended); standing {
		case "met":
		case "waived":
			say(!o.Passed, "%s, owed by %s, was waived when its time was over", o.Kind, o.Role)
		case "open":
			say(false, "%s, owed by %s until %s, was not met", o.Kind, o.Role, o.Until.UTC().Format(time.RFC3339))
		default:
			say(false, "%s, owed by %s until %s, was %s", o.Kind, o.Role, o.Until.UTC().Format(time.RFC3339), standing)
		}
	}
	for _, i := range e.Injects {
		say(i.Met, "%s: expected was %s, seen was %s", i.What, i.Expected, i.Observed)
	}
	for _, f := range e.Undone {
		say(f.Verdict == Pass || f.Verdict == Warn, "not everything was put back: %s", f.told())
	}
	if len(against) > 0 {
		return Fail, against
	}
	return Pass, nil
}

// told is a finding in a few words.
func (f Finding) told() string {
	if f.Reason != "" {
		return f.Reason
	}
	return fmt.Sprintf("%s is %s", f.Title, f.Verdict)
}

// An Inject is what is put before those who take part.
type Inject struct {
	After    Duration `json:"after"` // the beginning
	What     string   `json:"what"`
	Expected string   `json:"expected"`
	Observed string   `json:"observed"`
	Met      bool     `json:"met"`
}

// A Moment is one line of a timeline.
type Moment struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who,omitempty"`
	What string    `json:"what"`
}

// Spans are the times that count when it goes wrong.
type Spans struct {
	Detect   Duration `json:"detect,omitempty"`
	Activate Duration `json:"activate,omitempty"`
	Contain  Duration `json:"contain,omitempty"`
	Recover  Duration `json:"recover,omitempty"` // to be held against the RTO
	Lost     Duration `json:"lost,omitempty"`    // of data: to be held against the RPO
}

// A Participant took part in a drill.
type Participant struct {
	Role  string    `json:"role"`
	Name  string    `json:"name,omitempty"`
	Acked time.Time `json:"acked,omitzero"`
}
