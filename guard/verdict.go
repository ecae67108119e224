package guard

import (
	"fmt"
	"time"
)

// A Verdict answers "may this release go on?". Checks, probes and the rollout share it. The zero value is
// Unknown, and Unknown never opens the gate.
type Verdict int

const (
	Unknown Verdict = iota // could not find out
	Waiting                // not enough evidence yet
	Pass
	Warn
	Fail
)

var verdictNames = [...]string{Unknown: "unknown", Waiting: "waiting", Pass: "pass", Warn: "warn", Fail: "fail"}

func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return fmt.Sprintf("verdict(%d)", int(v))
	}
	return verdictNames[v]
}

// MarshalText makes a verdict its name in JSON.
func (v Verdict) MarshalText() ([]byte, error) {
	if v < 0 || int(v) >= len(verdictNames) {
		return nil, fmt.Errorf("no verdict has the number %d", int(v))
	}
	return []byte(verdictNames[v]), nil
}

// UnmarshalText accepts the names that MarshalText writes, and nothing else.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, name := range verdictNames {
		if name == string(text) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a verdict", text)
}

// gate orders verdicts by how firmly they keep the gate shut.
var gate = [...]int{Pass: 0, Warn: 1, Waiting: 2, Unknown: 3, Fail: 4}

// Worst returns the verdict of all findings together: Fail before Unknown before Waiting before Warn before
// Pass. What is waived counts as a warning. No findings at all is Unknown, for nothing was found out.
func Worst(findings []Finding) Verdict {
	if len(findings) == 0 {
		return Unknown
	}
	worst := Pass
	for _, f := range findings {
		if v := f.Counts(); gate[v] > gate[worst] {
			worst = v
		}
	}
	return worst
}

// A Finding is what one question about a release came to.
type Finding struct {
	Code     string     `json:"code,omitempty"`    // "GL102"
	ID       string     `json:"id,omitempty"`      // "backup.age"
	Subject  string     `json:"subject,omitempty"` // what it is about, where a check asks about several things
	Verdict  Verdict    `json:"verdict"`
	Title    string     `json:"title"`              // a sentence that is true when all is well
	Reason   string     `json:"reason,omitempty"`   // why the verdict is not Pass
	Remedy   string     `json:"remedy,omitempty"`   // one thing to do about it
	Expected string     `json:"expected,omitempty"` // the bound
	Observed string     `json:"observed,omitempty"` // what was found
	Path     string     `json:"path,omitempty"`     // the key of the plan that it is about: "roster.people[0]"; empty: all of it
	Evidence []Evidence `json:"evidence,omitempty"`
	Unset    bool       `json:"unset,omitempty"` // nobody has set up what it asks for: it says nothing of the world
	At       time.Time  `json:"at,omitzero"`
	// Waived says that the release may go live in spite of the finding, and who answers for that; nil: it may not.
	// Only Scene.Waive sets it.
	Waived *Waiver `json:"waiver,omitempty"`
}

// Counts is the verdict as the gate counts it: a waived finding that would keep it shut is a warning.
func (f Finding) Counts() Verdict {
	if f.Waived != nil && f.shuts() {
		return Warn
	}
	return f.Verdict
}

// shuts says that the verdict itself keeps the gate shut.
func (f Finding) shuts() bool { return f.Verdict != Pass && f.Verdict != Warn }

// Evidence is one thing a finding rests on.
type Evidence struct {
	Asked  string `json:"asked"`            // of whom, and what
	Answer string `json:"answer"`           // bounded, without secrets
	Digest string `json:"digest,omitempty"` // SHA-256 of the whole answer, hexadecimal
}
