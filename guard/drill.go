package guard

import "time"

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
