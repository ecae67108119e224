package guard

import (
	"slices"
	"time"
)

// An Incident is what a rollout becomes that goes back, if its plan says who answers then: it is part of the State, and
// goes on after the traffic is back, until somebody stands it down. The zero value is none.
type Incident struct {
	Began    time.Time // detection: the first sample that spoke for harm, not the first page
	Scenario string    // what kind of trouble it is, as golive takes it or a person says: one of Classes, or a scenario of the plan

	Level  int     // how bad it is now; 0: the plan has no levels
	Ruled  int     // the worst level that the rules of the plan have said
	Grades []Grade // every change of the level, the oldest first

	// When each part of the way back was reached; zero: not yet.
	Activated time.Time // somebody leads
	Contained time.Time // the new version does no more harm
	Preserved time.Time // the evidence is kept, as far as the budget reached
	Reverted  time.Time // the traffic is back
	Restored  time.Time // and that is verified
	Steady    time.Time // and has stayed well for recovery.soak
	StoodDown time.Time // and a person has said that it is over
	Filed     time.Time // and the report is written

	Lead     string            // who leads; empty: nobody yet
	Cause    string            // what made it happen, as a person says; empty: not known
	StoodBy  string            // who has stood it down
	FiledBy  string            // who has filed the report
	Signed   map[string]string // who has agreed that it is over, by role
	Agreed   int               // the number of the resort that whoever has to has agreed to, from 1
	Contacts map[string]string // the vendors, customers and others who know, and the reference under which
	Answers  map[string]string // what people have said for the report, by field: see Fields
	Owed     []Obligation      // in the order in which they began
	Actions  []Action
	Exhibits []Exhibit
	Resort   int       // how many of recovery.resorts were tried
	Ramped   int       // how many of recovery.ramp are done
	Regained int       // how often something has given the new version traffic again that was taken back
	Again    int       // how often somebody has had it taken back once more, after it was over
	Ill      time.Time // when it was last shown, after the way back, that it does harm all the same; zero: never
	// Heard are the audiences that have had a notice of it, and the roles in them.
	Heard map[string][]string
	// Unreached are those for whom no channel worked when they were told last, by name.
	Unreached []string
}

// Open says that there is an incident, and that it is not stood down.
func (i Incident) Open() bool { return !i.Began.IsZero() && i.StoodDown.IsZero() }

// Owes is the latest obligation of a kind.
func (i Incident) Owes(kind Due) (Obligation, bool) {
	for _, o := range slices.Backward(i.Owed) {
		if o.Kind == kind {
			return o, true
		}
	}
	return Obligation{}, false
}

// A Grade says how bad it is, from a moment on.
type Grade struct {
	At    time.Time `json:"at"`
	Level int       `json:"level"`
	Why   string    `json:"why"`          // the condition that holds, or what a person said
	By    string    `json:"by,omitempty"` // empty: the rules of the plan
}

// A Due is a kind of obligation.
type Due string

const (
	DueActivate Due = "activate"        // somebody leads
	DueContain  Due = "contain"         // it does no more harm
	DueReport   Due = "initial_report"  // those who command have heard of it
	DueUpdate   Due = "update"          // and hear of it again, and again
	DueVendor   Due = "vendor"          // the vendors and the customer know, unless the cause does
	DueRecover  Due = "recovered"       // the service is well again
	DueNotice   Due = "recovery_notice" // everybody who heard of it hears that it is over
	DueFiled    Due = "report_filed"    // the report is written
	DueLearned  Due = "learned"         // the plan has changed, or somebody has signed that it need not
)

// Dues lists the kinds of obligations, in the order in which they begin.
var Dues = []Due{DueActivate, DueContain, DueReport, DueUpdate, DueVendor, DueRecover, DueNotice, DueFiled, DueLearned}

// An Obligation is something that has to happen by a moment. It is open until it is met or waived; if that moment
// passes before, it is breached, and may still be met late.
type Obligation struct {
	Kind   Due       `json:"kind"`
	Role   string    `json:"role"`  // who owes it
	Since  time.Time `json:"since"` // the fact that it begins with
	Until  time.Time `json:"until"` // inclusive: what happens at this moment is in time
	Met    time.Time `json:"met,omitzero"`
	By     string    `json:"by,omitempty"`     // who or what met it
	Waived string    `json:"waived,omitempty"` // why it need not be met any more
	Passed bool      `json:"passed,omitempty"` // its moment has come while it was open, and what follows from that was done
}

// Open says that it is neither met nor waived.
func (o Obligation) Open() bool { return o.Met.IsZero() && o.Waived == "" }

// Breached says whether it was not met in time, as of now.
func (o Obligation) Breached(now time.Time) bool {
	if o.Waived != "" && !o.Passed {
		return false
	}
	if !o.Met.IsZero() {
		return o.Met.After(o.Until)
	}
	return o.Passed || now.After(o.Until)
}

// Standing is the state of an obligation as of now, in a word.
func (o Obligation) Standing(now time.Time) string {
	switch late := o.Breached(now); {
	case !o.Met.IsZero() && late:
		return "met late"
	case !o.Met.IsZero():
		return "met"
	case late:
		return "breached"
	case o.Waived != "":
		return "waived"
	}
	return "open"
}

// An Action is something that is to be done so that it does not happen again.
type Action struct {
	ID    string    `json:"id"`    // within the rollout: "1", "2"
	Text  string    `json:"text"`  // what
	Class string    `json:"class"` // prevent, detect, mitigate or process
	Owner string    `json:"owner"` // the role that does it
	Due   time.Time `json:"due"`
	Link  string    `json:"link,omitempty"` // of the issue
	By    string    `json:"by,omitempty"`   // who has asked for it
}

// ActionClasses are what an action may be for.
var ActionClasses = []string{"prevent", "detect", "mitigate", "process"}

// An Exhibit is a piece of evidence that was kept before going back. Its content lies under its digest beside the journal.
type Exhibit struct {
	Name     string    `json:"name"`
	At       time.Time `json:"at"`
	SHA256   string    `json:"sha256,omitempty"` // of what is kept, hexadecimal; empty: nothing is
	Bytes    int64     `json:"bytes,omitempty"`
	Redacted int       `json:"redacted,omitempty"` // so many secrets and addresses were taken out of it
	Cut      bool      `json:"cut,omitempty"`      // time or space was over before it was whole
	Problem  string    `json:"problem,omitempty"`  // why it is not there, or not whole
}

// Fields are what only people can say in a report, by the names under which they say it.
var Fields = []string{"summary", "trigger", "factors", "whys", "surprise", "well", "wrong", "lucky", "false_positive", "plan_change"}

// Responds says whether the plan has somebody answer when it goes wrong: it has levels of severity, or says who is told.
// Then a rollout that goes back becomes an incident.
func (p *Plan) Responds() bool { return len(p.Severity) > 0 || len(p.Escalate) > 0 }

// Ended says that nothing more will happen: the rollout is over, and so is the incident that it became, if it did.
func (s State) Ended() bool { return s.Phase == Over && !s.Incident.Open() }

// Untold is how many notices of an incident are still to be delivered. It may have been stood down before.
func (s State) Untold() (n int) {
	for _, t := range s.Todo {
		if d, tells := t.Deed.(Tell); tells && d.Notice.News != "" {
			n++
		}
	}
	return n
}
