package report

import (
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A Case is what a rollout was, for whoever looks back at many of them.
type Case struct {
	ID          string          `json:"id"`
	Service     string          `json:"service"`
	Environment string          `json:"environment"`
	From        string          `json:"from,omitempty"`
	To          string          `json:"to"`
	Purpose     guard.Purpose   `json:"purpose"`
	Mode        guard.Mode      `json:"mode"`
	Began       time.Time       `json:"began"`
	Introduced  time.Time       `json:"introduced,omitzero"` // the new version first had traffic
	Detected    time.Time       `json:"detected,omitzero"`   // the first sample that spoke for harm or, where nobody answers, the decision to go back
	Restored    time.Time       `json:"restored,omitzero"`   // the way back was verified
	Outcome     guard.Outcome   `json:"outcome,omitempty"`   // empty: it is not over
	Why         guard.Cause     `json:"why,omitempty"`       // why it went back
	Incident    bool            `json:"incident,omitempty"`  // people were called for it
	Level       int             `json:"level,omitempty"`     // the worst that it had; 0: none
	Cause       string          `json:"cause,omitempty"`     // what made it happen, as a person says
	Detect      *guard.Duration `json:"detect,omitempty"`    // nil: not known, or nothing to detect
	Restore     *guard.Duration `json:"restore,omitempty"`   // from detection; nil: not known, or nothing to restore
	Breached    []guard.Due     `json:"breached,omitempty"`
	Owed        []guard.Due     `json:"owed,omitempty"` // nobody has met them yet

	words []string // what it can be found by
}

// CaseOf folds a history once.
func CaseOf(id string, p *guard.Plan, events []guard.Event, now time.Time) Case {
	c := Case{ID: id}
	var s guard.State
	for _, e := range events {
		s = guard.Next(p, s, e)
		if c.Began.IsZero() {
			c.Began = e.At
		}
		shifted, _ := e.Fact.(guard.Shifted)
		if c.Introduced.IsZero() && max(shifted.Percent, s.Seen) > 0 {
			c.Introduced = e.At
		}
		if c.Detected.IsZero() && s.Cause != "" {
			c.Detected = e.At
		}
		if c.Restored.IsZero() && (s.Outcome == guard.RolledBack || s.Outcome == guard.Recovered) {
			c.Restored = e.At
		}
		c.words = append(c.words, spoken(e.Fact)...)
	}
	r, i := s.Release, s.Incident
	c.Service, c.Environment, c.From, c.To, c.Purpose, c.Mode = r.Service, r.Environment, r.From, r.To, s.Purpose, s.Mode
	c.Outcome, c.Why, c.Cause = s.Outcome, s.Cause, i.Cause
	if !i.Began.IsZero() {
		c.Incident, c.Detected, c.Restored = true, i.Began, i.Restored
	}
	for _, g := range i.Grades {
		if c.Level == 0 || g.Level > 0 && g.Level < c.Level {
			c.Level = g.Level
		}
	}
	for _, o := range i.Owed {
		if o.Breached(now) {
			c.Breached = append(c.Breached, o.Kind)
		}
		if o.Open() {
			c.Owed = append(c.Owed, o.Kind)
		}
	}
	c.Detect, c.Restore = between(c.Introduced, c.Detected), between(c.Detected, c.Restored)
	c.words = append(c.words, id, c.Service, c.Environment, c.From, c.To, string(c.Outcome), string(c.Why), s.Why, c.Cause, i.Scenario)
	return c
}

// between is the time from one moment to another; nil if one of them is not known, or they are in another order.
func between(from, to time.Time) *guard.Duration {
	if from.IsZero() || to.IsZero() || to.Before(from) {
		return nil
	}
	d := guard.Duration(to.Sub(from).Round(time.Second))
	return &d
}

// spoken is what people and alerts have said in a fact.
func spoken(f guard.Fact) []string {
	switch f := f.(type) {
	case guard.Noted:
		return []string{f.Text}
	case guard.Ordered:
		return []string{string(f.Verb), f.Why}
	case guard.Stated:
		return []string{f.Subject, f.Text}
	case guard.Voted:
		var words []string
		for _, a := range f.Alerts {
			words = append(words, a.Name, a.Summary)
		}
		return words
	}
	return nil
}

// Matches says that each of the words stands somewhere in what was said and decided, in any case of letters.
func (c Case) Matches(words []string) bool {
	for _, word := range words {
		within := func(text string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(word)) }
		if !slices.ContainsFunc(c.words, within) {
			return false
		}
	}
	return true
}

// Back says that the traffic of a launch went back, or could not, or was contained where there was no way back. A version
// that was withdrawn has not failed.
func (c Case) Back() bool {
	switch c.Outcome {
	case guard.RolledBack:
		return c.Why != guard.CauseWithdrawn
	case guard.RollbackFailed, guard.Recovered, guard.ForwardOnly:
		return true
	}
	return false
}

// launched says that a version was brought live, or was meant to be, with some traffic of its own.
func (c Case) launched() bool { return c.Purpose != guard.ToRollback && !c.Introduced.IsZero() }
