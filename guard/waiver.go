package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Waiver lets a launch happen in spite of what one check found about one subject, for some days. The check is
// asked and shown all the same. Days begin and end in UTC.
type Waiver struct {
	Check      string `json:"check"`                                  // its ID or its code; one check, never several
	Subject    string `json:"subject,omitempty"`                      // what the finding is about, exactly; empty: findings that name no subject
	Reason     string `json:"reason"`                                 // why that is bearable, and until when it will be mended
	By         string `json:"by"`                                     // who asks for it: a name of the roster
	ApprovedBy string `json:"approved_by"`                            // another person, who is commander, deputy or executive
	From       Date   `json:"from,omitzero"`                          // the first day on which it holds; default: it holds already
	Expires    Date   `json:"expires,omitzero" jsonschema:"required"` // the last day on which it holds, at most 30 days after the first
}

// A BreakGlass opens the gate for one launch, in spite of every check that can be waived. Two people answer for it.
type BreakGlass struct {
	Reason     string `json:"reason"`
	By         string `json:"by"`          // who launches: a name of the roster
	ApprovedBy string `json:"approved_by"` // another person, who is commander, deputy or executive
}

const (
	// waiverDays is how long a waiver may hold: a longer one is a rule that nobody has decided on.
	waiverDays = 30
	// substance is how many bytes a reason needs. It is bytes because in scripts that need more of them for a
	// letter a letter says more.
	substance = 20
)

// approvers are the roles whose holders may approve of a launch in spite of a check.
var approvers = []string{"commander", "deputy", "executive"}

// Holds says why the waiver does not count at a time, by the roster of its plan; nil: it does. That its check may
// be waived at all is for Plan.Fits and Scene.Waive to say.
func (w Waiver) Holds(r Roster, now time.Time) error {
	if key, why := w.refusal(r); why != "" {
		return fmt.Errorf("%s: %s", key, why)
	}
	today := now.UTC().Truncate(24 * time.Hour)
	switch {
	case now.Before(w.From.Time):
		return fmt.Errorf("it holds only from %s", w.From)
	case today.After(w.Expires.Time):
		return fmt.Errorf("it expired on %s", w.Expires)
	case w.From.IsZero() && w.Expires.After(today.AddDate(0, 0, waiverDays)):
		return fmt.Errorf("it would hold until %s, and a waiver may hold for %d days", w.Expires, waiverDays)
	}
	return nil
}

// refusal says what no day can mend: the key that it is about, and what is wrong with that; "" if nothing is.
func (w Waiver) refusal(r Roster) (key, why string) {
	switch {
	case w.Check == "":
		return "check", "a waiver is of one check (write its id, such as backup.age)"
	case w.Expires.IsZero():
		return "expires", "a waiver has a last day (add expires: and a day, such as 2026-11-24)"
	case !w.From.IsZero() && w.Expires.Before(w.From.Time):
		return "expires", "the waiver ends before it begins (from is the first day, expires the last)"
	case !w.From.IsZero() && w.Expires.After(w.From.AddDate(0, 0, waiverDays)):
		return "expires", fmt.Sprintf("a waiver holds for %d days at most (choose a day up to %s)", waiverDays, Date{w.From.AddDate(0, 0, waiverDays)})
	}
	return agreed(r, w.Reason, w.By, w.ApprovedBy)
}

// Check says why the glass may not be broken, by the roster of the plan; nil: it may.
func (b BreakGlass) Check(r Roster) error {
	if key, why := agreed(r, b.Reason, b.By, b.ApprovedBy); why != "" {
		return errors.New(key + ": " + why)
	}
	return nil
}

// agreed holds a decision to go ahead in spite of something to having a reason, and two people who answer for it.
func agreed(r Roster, reason, by, approvedBy string) (key, why string) {
	named := func(name string, roles ...string) bool {
		return slices.ContainsFunc(r.People, func(p Person) bool {
			return p.Name == name && (len(roles) == 0 || slices.Contains(roles, p.Role))
		})
	}
	switch {
	case Placeholder(reason):
		return "reason", "this is no reason (write why it is bearable, and when it will be mended)"
	case len(strings.Join(strings.Fields(reason), " ")) < substance:
		return "reason", fmt.Sprintf("%q is too short to be a reason (write why it is bearable, and when it will be mended)", reason)
	case !named(by):
		return "by", fmt.Sprintf("nobody in roster.people is called %q (write the name as it stands there)", by)
	case !named(approvedBy):
		return "approved_by", fmt.Sprintf("nobody in roster.people is called %q (write the name as it stands there)", approvedBy)
	case samePerson(by, approvedBy):
		return "approved_by", fmt.Sprintf("%s cannot approve of what %s asks for (let somebody else decide)", approvedBy, by)
	case !named(approvedBy, approvers...):
		return "approved_by", fmt.Sprintf("%s has none of the roles %s (let one who has decide)", approvedBy, strings.Join(approvers, ", "))
	}
	return "", ""
}

// samePerson says that two names are one, however they are written.
func samePerson(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// Waive marks what a check found and the launch may happen in spite of: by a waiver of the plan that holds now, or
// else by broken glass. The verdicts stay what they are. What could not be found out can be waived as well: then
// the launch happens without anybody knowing. Marks that a check has made itself are taken away.
func (s Scene) Waive(c Check, found []Finding) []Finding {
	found = slices.Clone(found)
	for i := range found {
		f := &found[i]
		f.Waived = nil
		if f.shuts() && !c.Unwaivable {
			f.Waived = s.waiver(c, f.Subject)
		}
	}
	return found
}

// waiver is what opens the gate for one subject of a check; nil: nothing does.
func (s Scene) waiver(c Check, subject string) *Waiver {
	for _, w := range s.Plan.Checks.Waivers {
		if c.is(w.Check) && w.Subject == subject && w.Holds(s.Plan.Roster, s.Now) == nil {
			return &w
		}
	}
	if b := s.BreakGlass; b != nil && b.Check(s.Plan.Roster) == nil {
		return &Waiver{Check: c.ID, Subject: subject, Reason: b.Reason, By: b.By, ApprovedBy: b.ApprovedBy}
	}
	return nil
}

// String says until when the waiver holds, who answers for it and why.
func (w Waiver) String() string {
	until := "until the end of " + w.Expires.String() + " (UTC)"
	if w.Expires.IsZero() {
		until = "for this launch alone, by break-glass"
	}
	return fmt.Sprintf("waived %s, for %s, approved by %s: %s", until, w.By, w.ApprovedBy, w.Reason)
}

// String says who answers for the launch, and why it happens.
func (b BreakGlass) String() string {
	return fmt.Sprintf("BREAK-GLASS by %s, approved by %s: %s", b.By, b.ApprovedBy, b.Reason)
}
