package guard

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Check says what is wrong with a statement that somebody is about to make of a rollout by the plan, and how to put it
// right. It does not ask who makes it: see MaySay.
func (f Stated) Check(p *Plan) error {
	if !slices.Contains(Statements, f.What) {
		return fmt.Errorf("%q cannot be stated (say one of %s)", f.What, words(Statements))
	}
	says := strings.TrimSpace(f.Text) != ""
	switch f.What {
	case StateCause:
		switch {
		case !says:
			return fmt.Errorf("%s: it does not say what made it happen (write a sentence)", f.What)
		case f.Class != "" && !slices.Contains(p.Classes(), f.Class):
			return fmt.Errorf("%s: the plan knows no trouble of the kind %q (say one of %s)", f.What, f.Class, strings.Join(p.Classes(), ", "))
		}
	case StateSeverity:
		var levels []string
		for _, l := range p.Severity {
			levels = append(levels, fmt.Sprint(l.Level))
		}
		switch {
		case len(levels) == 0:
			return fmt.Errorf("%s: the plan has no levels (write some in its chapter severity)", f.What)
		case !slices.Contains(levels, fmt.Sprint(f.Level)):
			return fmt.Errorf("%s: %d is no level of the plan (say one of %s; 1 is the worst)", f.What, f.Level, strings.Join(levels, ", "))
		case !says:
			return fmt.Errorf("%s: it does not say why (say what makes it so bad, or so little)", f.What)
		}
	case StateSignOff:
		if f.Subject == "" {
			return fmt.Errorf("%s: it does not say for which role (say one of %s)", f.What, strings.Join(p.Roles(), ", "))
		}
	case StateStandDown, StateLearned:
		if !says {
			return fmt.Errorf("%s: it does not say why (write a sentence)", f.What)
		}
	case StateContacted:
		if known := p.contacts(); !slices.Contains(known, f.Subject) {
			return fmt.Errorf("%s: the plan knows no %q whom somebody could call (say one of %s)", f.What, f.Subject, strings.Join(known, ", "))
		}
	case StateAction:
		switch {
		case !says:
			return fmt.Errorf("%s: it does not say what has to be done (write a sentence)", f.What)
		case !slices.Contains(ActionClasses, f.Class):
			return fmt.Errorf("%s: %q is no class (say one of %s)", f.What, f.Class, strings.Join(ActionClasses, ", "))
		case !slices.Contains(p.Roles(), f.Subject):
			return fmt.Errorf("%s: nobody in roster.people has the role %q, so nobody would do it (say one of %s)", f.What, f.Subject, strings.Join(p.Roles(), ", "))
		case f.Due.IsZero():
			return fmt.Errorf("%s: it does not say by when", f.What)
		}
	case StateAnswer:
		switch {
		case !slices.Contains(Fields, f.Subject):
			return fmt.Errorf("%s: the report has no field %q (say one of %s)", f.What, f.Subject, strings.Join(Fields, ", "))
		case !says:
			return fmt.Errorf("%s: it says nothing about %s (write a sentence)", f.What, f.Subject)
		}
	case StateFiled:
		if f.Subject == "" {
			return fmt.Errorf("%s: it does not name the report (say its SHA-256)", f.What)
		}
	}
	return nil
}

// Timely says why a statement makes no sense as a rollout stands now, and what has to come first; nil: it makes sense.
func (f Stated) Timely(p *Plan, s State, now time.Time) error {
	i := s.Incident
	if i.Began.IsZero() {
		ofEvery := f.What == StateAction || f.What == StateAnswer || f.What == StateFiled // for the report, which there is of all
		if !(ofEvery && s.Phase == Over) && f.What != StateSignOff && f.What != StateStandDown {
			return fmt.Errorf("the %s of %s has become no incident, so there is nothing to say %s of", s.Purpose, s.Release.To, f.What)
		}
	}
	switch f.What {
	case StateSignOff: // a way back may wait for it without an incident, too
		if !p.Asks(s, f.Subject) {
			return fmt.Errorf("there is nothing that %s can agree to now", f.Subject)
		}
	case StateSeverity:
		if !i.Open() {
			return errors.New("there is no open incident, which could be better or worse")
		}
	case StateStandDown:
		if missing, ready := p.Ready(s); !ready {
			return fmt.Errorf("it cannot be stood down: %s", missing)
		}
	case StateAction:
		if !f.Due.After(now) {
			return fmt.Errorf("%s: %s is in the past (say by when it is to be done)", f.What, f.Due.UTC().Format("2006-01-02 15:04 UTC"))
		}
	case StateFiled:
		if !s.Ended() {
			return errors.New("the report is filed once it is over: stand it down first")
		}
	case StateLearned:
		if i.Filed.IsZero() {
			return errors.New("what was learned is asked once the report is filed: golive report --file")
		}
	}
	return nil
}

func words(all []Statement) string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

// Roles are the roles that somebody in the roster has, each once, in the order of the roster.
func (p *Plan) Roles() (roles []string) {
	for _, person := range p.Roster.People {
		if !slices.Contains(roles, person.Role) {
			roles = append(roles, person.Role)
		}
	}
	return roles
}

// contacts are those outside who have to know of an incident.
func (p *Plan) contacts() (names []string) {
	for _, v := range p.Roster.Vendors {
		names = append(names, v.Name)
	}
	return append(names, "customer")
}

// standsDown is the role that says that an incident is over.
func (p *Plan) standsDown() string { return cmp.Or(p.Recovery.StandDown, "commander") }

// MayLead says why an acknowledgement of an incident by a person is not taken; nil: it is. Whoever acknowledges leads from then
// on, nobody else is called, and the others want to know whom to ask: it has to be somebody of the roster.
func (p *Plan) MayLead(by string) error {
	var names []string
	for _, person := range p.Roster.People {
		if person.Name == by {
			return nil
		}
		names = append(names, person.Name)
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%q is not in the roster, and whoever acknowledges leads (say which of them you are: %s)", by, strings.Join(names, ", "))
}

// MaySay says why a person may not make a statement: that it is over, and that a role agrees, is for somebody in the roster
// who has the role; a deputy or an executive may say it too. What ends an obligation, that the report is filed and what was
// learned, is for anybody in the roster, or by name if there is none. All else anybody may say. Nil: the person may.
func (p *Plan) MaySay(f Stated, by string) error {
	role := p.standsDown()
	switch f.What {
	case StateStandDown:
	case StateSignOff:
		role = f.Subject
	case StateFiled, StateLearned:
		return p.mayAnswerFor(f.What, by)
	default:
		return nil
	}
	var may []string
	for _, person := range p.Roster.People {
		if person.Role != role && person.Role != "deputy" && person.Role != "executive" {
			continue
		}
		if person.Name == by {
			return nil
		}
		may = append(may, fmt.Sprintf("%s (%s)", person.Name, person.Role))
	}
	if len(may) == 0 {
		return fmt.Errorf("%s: nobody may say this: roster.people has no %s, deputy or executive (write somebody there)", f.What, role)
	}
	return fmt.Errorf("%s: this is not for %q to say: %s may", f.What, by, strings.Join(may, ", "))
}

// mayAnswerFor says why a person cannot answer for what a statement ends: the roster does not know who that is.
func (p *Plan) mayAnswerFor(what Statement, by string) error {
	var names []string
	for _, person := range p.Roster.People {
		if person.Name == by {
			return nil
		}
		names = append(names, person.Name)
	}
	switch {
	case len(names) > 0:
		return fmt.Errorf("%s: %q is not in the roster (say which of them you are: %s)", what, by, strings.Join(names, ", "))
	case strings.TrimSpace(by) == "":
		return fmt.Errorf("%s: it does not say who says so (say a name)", what)
	}
	return nil
}
