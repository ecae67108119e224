package guard

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Ledger is what is remembered beyond one release: what was tried and how it went, what people stated, and what
// is still owed. Entries are only ever added.
type Ledger struct {
	Entries []Entry `json:"entries,omitempty"` // in the order in which they were written
	Missing bool    `json:"missing,omitempty"` // there is none: nobody can tell what was done and what is owed
	Broken  string  `json:"broken,omitempty"`  // why it cannot be trusted; then it has no entries

	// Unread says why journals beside it could not be read: then something may be owed of which it knows nothing.
	Unread string `json:"unread,omitempty"`
	// Others are the ledgers of other services, as far as the plan says where they lie.
	Others map[string]Ledger `json:"others,omitempty"`
}

// An Act is what an entry does.
type Act string

const (
	Begun    Act = "begun"       // the ledger begins; what was before, nobody knows
	Result   Act = "result"      // something was tried: a drill, a proof, an inspection
	Attested Act = "attestation" // somebody states that something is so, until a moment
	Obliged  Act = "obligation"  // something is owed, until a moment
	Settled  Act = "settled"     // what was owed is done
)

// An Entry is one thing that a ledger remembers.
type Entry struct {
	At          time.Time  `json:"at"`
	Act         Act        `json:"act"`
	Kind        string     `json:"kind"`                  // "drill.restore", "plan.approved", "inspection.daily"
	Subject     string     `json:"subject,omitempty"`     // what it is about: a store, a person, a scenario
	Service     string     `json:"service,omitempty"`     // empty: it holds for all of them
	Environment string     `json:"environment,omitempty"` // empty: it holds for all of them
	By          string     `json:"by,omitempty"`          // who says so
	Outcome     Verdict    `json:"outcome,omitzero"`      // of a result
	Says        string     `json:"says,omitempty"`
	Until       time.Time  `json:"until,omitzero"`    // the last moment of an attestation; when an obligation is due
	Took        Duration   `json:"took,omitempty"`    // how long it took
	Lost        Duration   `json:"lost,omitempty"`    // how much of the latest work a restore did not bring back
	Proof       *Proof     `json:"proof,omitempty"`   // of a backup
	Vault       string     `json:"vault,omitempty"`   // Part.Digest of the vault that the backup lies in
	Method      string     `json:"method,omitempty"`  // Plan.Method of the kind and subject when it was written
	Plan        string     `json:"plan,omitempty"`    // Plan.Digest when it was written
	ID          string     `json:"id,omitempty"`      // of an obligation; of a result, if it is not to be written twice
	Settles     string     `json:"settles,omitempty"` // the ID of the obligation that was met
	Evidence    []Evidence `json:"evidence,omitempty"`
	Exercise    *Exercise  `json:"exercise,omitempty"` // of a drill: what it was
	// Handed says of the test of a channel whom it was for, and whether each of them was handed it.
	Handed map[string]bool `json:"handed,omitempty"`
}

// kindShape is how kinds are written.
var kindShape = regexp.MustCompile(`^[a-z0-9]+([._:-][A-Za-z0-9]+)*$`)

// Check says what is wrong with an entry that is to be written.
func (e Entry) Check() error {
	var problems []error
	if !kindShape.MatchString(e.Kind) {
		problems = append(problems, fmt.Errorf("%q is not a kind of entry (try inspection.daily)", e.Kind))
	}
	if e.At.IsZero() {
		problems = append(problems, errors.New("an entry without a time"))
	}
	switch e.Act {
	case Begun:
	case Result:
		if e.Outcome != Pass && e.Outcome != Fail {
			problems = append(problems, errors.New("a result has to be pass or fail"))
		}
	case Attested:
		if strings.TrimSpace(e.By) == "" || strings.TrimSpace(e.Says) == "" {
			problems = append(problems, errors.New("an attestation is made by somebody, and says something"))
		}
		if !e.Until.After(e.At) {
			problems = append(problems, errors.New("an attestation that never holds"))
		}
	case Obliged:
		if e.ID == "" || e.Until.IsZero() {
			problems = append(problems, errors.New("an obligation without a name or an end"))
		}
	case Settled:
		if e.Settles == "" {
			problems = append(problems, errors.New("it does not say which obligation was met"))
		}
	default:
		problems = append(problems, fmt.Errorf("%q is not what an entry does", e.Act))
	}
	if e.Proof != nil {
		problems = append(problems, e.Proof.Check())
	}
	if e.Exercise != nil && e.Outcome == Pass {
		if verdict, against := e.Exercise.Result(); verdict != Pass {
			problems = append(problems, fmt.Errorf("a drill is not passed because somebody says so: %s", against[0]))
		}
	}
	return errors.Join(problems...)
}

// For says whether an entry is about a service in an environment.
func (e Entry) For(service, environment string) bool {
	return (e.Service == "" || e.Service == service) && (e.Environment == "" || e.Environment == environment)
}

// OfToday says that a result is of the way in which the plan has it done today. One of another way no longer counts.
func (e Entry) OfToday(p *Plan) bool {
	method := p.Method(e.Kind, e.Subject)
	return method == "" || e.Method == method
}

// Newest is the entry of the kind about the subject that was written last, of those that hold for the plan.
func (l Ledger) Newest(p *Plan, act Act, kind, subject string) (newest Entry, found bool) {
	for _, e := range l.Entries {
		if e.Act == act && e.Kind == kind && e.Subject == subject && e.For(p.Service, p.Environment) && !e.At.Before(newest.At) {
			newest, found = e, true
		}
	}
	return newest, found
}

// With is the ledger with entries that journals know of, each in the place of its time unless it has that one already. A
// ledger that is missing or broken stays so.
func (l Ledger) With(known []Entry) Ledger {
	if l.Missing || l.Broken != "" {
		return l
	}
	l.Entries = slices.Clone(l.Entries)
	for _, e := range known {
		if l.Has(e) {
			continue
		}
		at := slices.IndexFunc(l.Entries, func(old Entry) bool { return old.At.After(e.At) })
		if at < 0 {
			at = len(l.Entries)
		}
		l.Entries = slices.Insert(l.Entries, at, e)
	}
	return l
}

// Knows says that the ledger has been told of a service at least once: that nothing is owed there means something.
func (l Ledger) Knows(service string) bool {
	return slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Service == service })
}

// Owed are the obligations of a service, in any environment, that nobody has met yet.
func (l Ledger) Owed(service string) (owed []Entry) {
	for _, e := range l.Entries {
		switch e.Act {
		case Obliged:
			if e.Service == "" || e.Service == service {
				owed = append(owed, e)
			}
		case Settled:
			owed = slices.DeleteFunc(owed, func(open Entry) bool { return open.ID == e.Settles })
		}
	}
	return owed
}

// Digest tells one part from another: another program, or another set-up, is another part.
func (p Part) Digest() string { return digest(p) }

// Method is a digest of how something of that kind is done to the subject by the plan: a result of another method
// says nothing about this one. Empty: the plan does not say how such things are done. What a vault proves by itself
// has no method but the vault, which Entry.Vault names.
func (p *Plan) Method(kind, subject string) string {
	var how any
	switch kind {
	case "drill.restore":
		for _, s := range p.Data {
			if s.Name == subject && s.Restore != nil {
				how = s.Restore.Part
			}
		}
	case "drill.rollback":
		all := []any{p.Rollout.Backend, p.Rollout.Verify, p.Rollout.Needs}
		if r := p.Recovery; r.Contain != nil || len(r.Ramp) > 0 || r.Soak > 0 { // a plan without them has the method that it always had
			all = append(all, r.Contain, r.Ramp, r.Soak)
		}
		how = all
	case "drill.tabletop", "drill.scenario":
		how = p.around(subject)
	case "drill.notify":
		how = []any{p.Notify, p.Roster.People, p.Roster.Vendors, p.Escalate, p.Language, p.Activation()} // who is on duty changes without them
	case "drill.failover":
		how = []any{p.Recovery.Resorts}
	case "plan.reviewed":
		var stores []string
		for _, s := range p.Data {
			stores = append(stores, s.Name)
		}
		all := []any{p.Rollout.Backend, p.Watch.Source, p.Watch.Signals, p.DependsOn, stores}
		if p.Watch.Fallback != nil {
			all = append(all, p.Watch.Fallback)
		}
		how = all
	default:
		return ""
	}
	return digest(how)
}

// around is what people go through who play a scenario around a table; "": all of them.
func (p *Plan) around(scenario string) []any {
	var scenarios []Scenario
	for _, s := range p.Scenarios {
		if scenario == "" || s.Name == scenario {
			scenarios = append(scenarios, s)
		}
	}
	r := p.Rollout
	return []any{
		scenarios, p.Severity, p.Escalate, p.Recovery, p.Objectives, r.Steps, r.Bake, r.Blind, r.Scarce, r.Alert, r.Deadline,
	}
}

func digest(what any) string {
	text, err := json.Marshal(what)
	if err != nil {
		panic(err) // a parsed plan holds nothing that JSON cannot
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}
