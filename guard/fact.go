package guard

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// An Event is one entry of a rollout's history. What happened is a Fact; Task says which task it answers,
// and is 0 for what came from outside.
type Event struct {
	At   time.Time
	Task int
	Fact Fact
}

// A Fact is something that happened. The rollout's state is the fold of Next over its facts.
type Fact interface{ fact() }

// Facts that come from outside.
type (
	// Opened begins a history.
	Opened struct {
		Release Release `json:"release"`
		Purpose Purpose `json:"purpose"`
		Mode    Mode    `json:"mode"`
		Force   bool    `json:"force,omitempty"` // go back by hand even if the way back seems closed
		// NoIncident says of a way back by hand that nothing has gone wrong; see Ordered.
		NoIncident bool `json:"no_incident,omitempty"`
		// BreakGlass opens the gate for this launch; nil: it does not.
		BreakGlass *BreakGlass `json:"break_glass,omitempty"`
		Plan       string      `json:"plan"`              // the text of the plan: the rollout keeps the plan it began with
		File       string      `json:"file,omitempty"`    // where the text was
		Version    string      `json:"version,omitempty"` // of golive
		Fence      int64       `json:"fence,omitempty"`   // of the lease, where a store gave one; 0: by the clock
		By         string      `json:"by,omitempty"`      // who asked a server for it, as proved; empty: nobody had to prove it
	}
	// Resumed says that another process goes on where the last one ended.
	Resumed struct {
		Version string `json:"version,omitempty"`
		Fence   int64  `json:"fence,omitempty"` // of its lease, where a store gave one; 0: by the clock
		// Unmoved says that no move forward was ever begun: a version that was not seen to have traffic has none.
		Unmoved bool `json:"unmoved,omitempty"`
	}
	// Ordered is what a person decided.
	Ordered struct {
		Verb Verb     `json:"verb"`
		By   string   `json:"by,omitempty"`
		Why  string   `json:"why,omitempty"`
		For  Duration `json:"for,omitempty"` // of OrderExtend
		// NoIncident says of OrderRollback that nothing has gone wrong: a newer release takes its place, say. It counts as
		// long as no reading and no alert speaks against the new version; else it is an incident all the same.
		NoIncident bool  `json:"no_incident,omitempty"`
		Force      bool  `json:"force,omitempty"`  // of OrderRollback: over a migration that cannot be undone, too
		Offset     int64 `json:"offset,omitempty"` // behind it in the inbox of the journal, if it came from there
	}
	// Voted is what an alerting system says: which alerts fire, or fire no more.
	Voted struct {
		Alerts []Alert `json:"alerts"`
		Unseen int     `json:"unseen,omitempty"` // so many more that it did not name
		// Group is what the vote is complete about, in the words of the system: its alerts that were not named are those of
		// its latest vote.
		Group  string `json:"group,omitempty"`
		By     string `json:"by,omitempty"`
		Offset int64  `json:"offset,omitempty"` // as in Ordered
	}
	// Noted is what somebody wants to be remembered. It changes nothing.
	Noted struct {
		Text   string `json:"text"`
		By     string `json:"by,omitempty"`
		Offset int64  `json:"offset,omitempty"` // as in Ordered
	}
	// Acknowledged says that a person has taken notice, and looks after it.
	Acknowledged struct {
		By     string `json:"by"`
		Offset int64  `json:"offset,omitempty"` // as in Ordered
	}
	// Stated is what a person says of an incident.
	Stated struct {
		What    Statement `json:"what"`
		Text    string    `json:"text,omitempty"`
		Subject string    `json:"subject,omitempty"` // what each Statement says
		Class   string    `json:"class,omitempty"`   // of StateAction: one of ActionClasses; of StateCause: what kind of trouble it is
		Level   int       `json:"level,omitempty"`   // of StateSeverity
		Due     time.Time `json:"due,omitzero"`      // of StateAction
		By      string    `json:"by,omitempty"`
		Offset  int64     `json:"offset,omitempty"` // as in Ordered
	}
	// Interrupted says that the process was asked to end.
	Interrupted struct {
		Signal string `json:"signal"`
	}
)

// Facts that answer a task.
type (
	// Checked answers RunChecks.
	Checked struct {
		Findings []Finding `json:"findings"`
	}
	// Inspected answers Inspect: where the traffic is and, before the first step, how the old version did so far.
	Inspected struct {
		Standing Standing `json:"standing"`
		History  []Series `json:"history,omitempty"` // what the judge is to know of the past, in sums (judge.Config.History)
		Problem  string   `json:"problem,omitempty"` // why a source that remembers the past could not be asked for it
	}
	// Shifted answers Shift: the backend took the order.
	Shifted struct {
		Percent int `json:"percent"`
	}
	// Measured answers Measure: the counts, what the judge says of them, and where the traffic is.
	Measured struct {
		Reading  Reading      `json:"reading"`
		Problem  string       `json:"problem,omitempty"`  // why the source could not be read
		Standing *Standing    `json:"standing,omitempty"` // nil: the backend could not be asked
		Unseen   string       `json:"unseen,omitempty"`   // why not
		Ruling   judge.Ruling `json:"ruling"`
	}
	// Verified answers Verify.
	Verified struct {
		Standing Standing  `json:"standing"`
		Findings []Finding `json:"findings,omitempty"` // one for each probe of rollout.verify
	}
	// Finished answers Finish.
	Finished struct{}
	// Intervened answers Intervene: what the probe says of it, and those that look afterwards.
	Intervened struct {
		Findings []Finding `json:"findings"`
		Backup   *Backup   `json:"backup,omitempty"` // of a restore: the one that it took; nil: none, or an older golive did not say
	}
	// Gathered answers Gather.
	Gathered struct {
		Exhibits []Exhibit `json:"exhibits,omitempty"`
	}
	// Soaked answers Soak: one look at the old version after the way back.
	Soaked struct {
		Reading  Reading      `json:"reading"`
		Problem  string       `json:"problem,omitempty"`  // why the source could not be read
		Standing *Standing    `json:"standing,omitempty"` // nil: the backend could not be asked
		Unseen   string       `json:"unseen,omitempty"`   // why not
		Findings []Finding    `json:"findings,omitempty"` // one for each probe of rollout.verify
		Ruling   judge.Ruling `json:"ruling"`             // of the old version by the limits of the plan alone
	}
	// Told answers Tell.
	Told struct {
		Receipt Receipt `json:"receipt,omitzero"`
	}
	// Elapsed answers Wait.
	Elapsed struct{}
	// Failed answers any task: it could not be done, or it is not known whether it was.
	Failed struct {
		Error string `json:"error"`
	}
)

func (Opened) fact()       {}
func (Resumed) fact()      {}
func (Ordered) fact()      {}
func (Voted) fact()        {}
func (Noted) fact()        {}
func (Acknowledged) fact() {}
func (Stated) fact()       {}
func (Interrupted) fact()  {}
func (Intervened) fact()   {}
func (Gathered) fact()     {}
func (Soaked) fact()       {}
func (Checked) fact()      {}
func (Inspected) fact()    {}
func (Shifted) fact()      {}
func (Measured) fact()     {}
func (Verified) fact()     {}
func (Finished) fact()     {}
func (Told) fact()         {}
func (Elapsed) fact()      {}
func (Failed) fact()       {}

// facts is every kind of fact that a journal can hold.
var facts = []Fact{
	Opened{}, Resumed{}, Ordered{}, Voted{}, Noted{}, Acknowledged{}, Stated{}, Interrupted{},
	Checked{}, Inspected{}, Shifted{}, Measured{}, Verified{}, Finished{}, Intervened{}, Gathered{}, Soaked{}, Told{}, Elapsed{}, Failed{},
}

// Purpose says what a history is for.
type Purpose string

const (
	ToRollout  Purpose = "rollout"  // golive moves the traffic
	ToWatch    Purpose = "watch"    // somebody else does
	ToRollback Purpose = "rollback" // take the traffic back from To, and verify it
)

// A Verb is what a person can order.
type Verb string

const (
	OrderRollback Verb = "rollback" // go back
	OrderHold     Verb = "hold"     // take no further step
	OrderResume   Verb = "resume"   // take steps again
	OrderProceed  Verb = "proceed"  // take the next step without enough evidence
	OrderExtend   Verb = "extend"   // give the step more time to come to something
	OrderConclude Verb = "conclude" // of a watch: the tool that moves the traffic is done, so end it
)

// Verbs lists what can be ordered.
var Verbs = []Verb{OrderRollback, OrderHold, OrderResume, OrderProceed, OrderExtend, OrderConclude}

// A Statement is what a person can say of an incident.
type Statement string

const (
	StateCause     Statement = "cause"      // Text made it happen, which is of Class, if that is known: one of Classes, or a scenario of the plan
	StateSeverity  Statement = "severity"   // it is of Level, because of Text; from then on the rules can only make it worse
	StateSignOff   Statement = "sign-off"   // as Subject, a role, that it is well again, or that what was asked for may be done
	StateStandDown Statement = "stand-down" // it is over, as Text says
	StateContacted Statement = "contacted"  // Subject, a vendor or the customer, knows; Text is the reference, such as a ticket
	StateAction    Statement = "action"     // Text has to be done by Due, by the role Subject, to Class
	StateAnswer    Statement = "answer"     // to Subject, one of Fields: Text
	StateFiled     Statement = "filed"      // the report is written; Subject is its SHA-256
	StateLearned   Statement = "learned"    // the plan has changed, or need not: Text
)

// Statements lists what can be said.
var Statements = []Statement{
	StateCause, StateSeverity, StateSignOff, StateStandDown, StateContacted, StateAction, StateAnswer, StateFiled, StateLearned,
}

// An Alert is something that an alerting system says is wrong.
type Alert struct {
	Key     string    `json:"key"`  // the same for as long as it fires
	Name    string    `json:"name"` // of the rule
	Since   time.Time `json:"since"`
	Ended   bool      `json:"ended,omitempty"` // it fires no more
	Summary string    `json:"summary,omitempty"`
}

// Offset is where in the inbox of its rollout an event from outside has come from; 0 if it has not.
func (e Event) Offset() int64 {
	switch f := e.Fact.(type) {
	case Ordered:
		return f.Offset
	case Voted:
		return f.Offset
	case Noted:
		return f.Offset
	case Acknowledged:
		return f.Offset
	case Stated:
		return f.Offset
	}
	return 0
}

// Taken is a fact from outside, with its place in the inbox that it was taken from. Other facts have none.
func Taken(f Fact, offset int64) Fact {
	switch f := f.(type) {
	case Ordered:
		f.Offset = offset
		return f
	case Voted:
		f.Offset = offset
		return f
	case Noted:
		f.Offset = offset
		return f
	case Acknowledged:
		f.Offset = offset
		return f
	case Stated:
		f.Offset = offset
		return f
	}
	return f
}

// Cleaned is a fact from outside whose words have gone through clean, which takes secrets out of a text. Words of golive's own
// stay, and so do alerts, which are known by theirs. Other facts are as they were.
func Cleaned(f Fact, clean func(string) string) Fact {
	switch f := f.(type) {
	case Ordered:
		f.Why, f.By = clean(f.Why), clean(f.By)
		return f
	case Noted:
		f.Text, f.By = clean(f.Text), clean(f.By)
		return f
	case Acknowledged:
		f.By = clean(f.By)
		return f
	case Stated:
		f.Text, f.Subject, f.By = clean(f.Text), clean(f.Subject), clean(f.By)
		return f
	}
	return f
}

// A record is how an event stands in a journal, whose own fields hold the time and the kind of the fact.
type record struct {
	Task int             `json:"task,omitempty"`
	Fact json.RawMessage `json:"fact"`
}

// Encode returns the event as a journal keeps it: the kind of its fact ("shifted"), and its data.
func (e Event) Encode() (kind string, data json.RawMessage, err error) {
	fact, err := json.Marshal(e.Fact)
	if err != nil {
		return "", nil, fmt.Errorf("write %T: %w", e.Fact, err)
	}
	data, err = json.Marshal(record{Task: e.Task, Fact: fact})
	return kindOf(e.Fact), data, err
}

// Decode reads what Encode wrote. A kind that this version does not know is an error, for an unknown fact
// may have changed everything.
func Decode(at time.Time, kind string, data json.RawMessage) (Event, error) {
	for _, f := range facts {
		if kindOf(f) != kind {
			continue
		}
		var r record
		if err := json.Unmarshal(data, &r); err != nil {
			return Event{}, fmt.Errorf("read %s: %w", kind, err)
		}
		v := reflect.New(reflect.TypeOf(f))
		if err := json.Unmarshal(r.Fact, v.Interface()); err != nil {
			return Event{}, fmt.Errorf("read %s: %w", kind, err)
		}
		return Event{At: at, Task: r.Task, Fact: v.Elem().Interface().(Fact)}, nil
	}
	return Event{}, fmt.Errorf("a fact of kind %q is not known to this version of golive", kind)
}

// Kinds are the kinds of fact that a journal can hold, as Encode names them.
func Kinds() []string {
	kinds := make([]string, len(facts))
	for i, f := range facts {
		kinds[i] = kindOf(f)
	}
	return kinds
}

func kindOf(f Fact) string { return strings.ToLower(reflect.TypeOf(f).Name()) }
