package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
)

// This file is the part of a page that is about the incident which a rollout has become. Like page_rollout.go it asks nobody.

// A panel is an incident as a page shows it.
type panel struct {
	*Incident
	State      mark
	Head       string // how bad it is, in a sentence
	Lead       string
	Reached    []reached
	Owed       []duty
	Delivered  []delivered
	Unsaid     int // so many older deliveries are left out
	Exhibits   []exhibit
	Contacted  []named
	Signatures []named
}

// A reached is a part of the way back, and when it was reached.
type reached struct {
	What string
	At   time.Time // zero: not yet
}

// A duty is an obligation.
type duty struct {
	guard.Obligation
	mark
	What  string
	When  string // how long until it is due, or how late it is
	State string // by whom it was met, or why it need not be
}

// A delivered is a notice that has reached a channel, or has not.
type delivered struct {
	At             time.Time
	mark           // whether it was delivered
	Channel, Title string
	To             []handed
	Problem        string
}

// A handed is what became of a notice for one recipient.
type handed struct {
	mark
	Name, Way, Problem string
}

// An exhibit is a piece of evidence.
type exhibit struct {
	guard.Exhibit
	Link string // empty: there is nothing to fetch
	Size string
}

// A named is something that somebody has said, or has to do with.
type named struct{ Name, Says string }

// deliveriesShown is how many deliveries a page shows; the report has all of them.
const deliveriesShown = 50

// dueWords say what is owed.
var dueWords = map[guard.Due]string{
	guard.DueActivate: "somebody leads",
	guard.DueContain:  "it does no more harm",
	guard.DueReport:   "those who command have heard of it",
	guard.DueUpdate:   "everybody hears how it goes",
	guard.DueVendor:   "vendors and the customer know, unless the cause does",
	guard.DueRecover:  "the service is well again",
	guard.DueNotice:   "everybody hears that it is over",
	guard.DueFiled:    "the report is filed",
	guard.DueLearned:  "the plan has changed, or need not",
}

func panelOf(h history, one shown, now time.Time) *panel {
	if one.Incident == nil {
		return nil
	}
	i := h.state.Incident
	p := &panel{Incident: one.Incident, Lead: i.Lead, State: mark{"open", bad, alarm}, Head: levelWords(h.plan, i.Level)}
	if !i.Open() {
		p.State = mark{"stood down", good, check}
	}
	p.Reached = []reached{
		{"Detected", i.Began}, {"Somebody leads", i.Activated}, {"Contained", i.Contained}, {"Evidence kept", i.Preserved},
		{"Traffic back", i.Reverted}, {"Verified", i.Restored}, {"Steady", i.Steady}, {"Stood down", i.StoodDown}, {"Report filed", i.Filed},
	}
	for _, o := range one.Incident.Owed {
		p.Owed = append(p.Owed, dutyOf(o, now))
	}
	p.Delivered = deliveries(h)
	slices.Reverse(p.Delivered)
	if more := len(p.Delivered) - deliveriesShown; more > 0 {
		p.Delivered, p.Unsaid = p.Delivered[:deliveriesShown], more
	}
	for _, e := range i.Exhibits {
		x := exhibit{Exhibit: e, Size: report.Plural(int(e.Bytes), "byte")}
		if digestShape.MatchString(e.SHA256) {
			x.Link = "/v1/rollouts/" + one.ID + "/evidence/" + e.SHA256
		}
		p.Exhibits = append(p.Exhibits, x)
	}
	p.Contacted, p.Signatures = sorted(i.Contacts), sorted(i.Signed)
	return p
}

func sorted(all map[string]string) (some []named) {
	for name, says := range all {
		some = append(some, named{name, says})
	}
	slices.SortFunc(some, func(a, b named) int { return strings.Compare(a.Name, b.Name) })
	return some
}

// levelWords is a level with its name.
func levelWords(p *guard.Plan, level int) string {
	if level == 0 {
		return "An incident, without a level"
	}
	if name := levelOf(p, level).Name; name != "" {
		return fmt.Sprintf("Level %d: %s", level, name)
	}
	return fmt.Sprintf("Level %d", level)
}

// dutyOf is an obligation, and how long there still is for it.
func dutyOf(o Obligation, now time.Time) duty {
	d := duty{Obligation: o.Obligation, What: dueWords[o.Kind], mark: mark{o.Standing, calm, dots}}
	if d.What == "" {
		d.What = string(o.Kind)
	}
	left := o.Until.Sub(now)
	switch o.Standing {
	case "met":
		d.Tone, d.Shape, d.When = good, check, report.Span(o.Met.Sub(o.Since))+" after it began"
	case "met late":
		d.Tone, d.Shape, d.When = doubt, alarm, report.Span(o.Met.Sub(o.Until))+" late"
	case "breached":
		d.Tone, d.Shape = bad, cross
		if o.Open() {
			d.When = report.Span(-left) + " late by now"
		}
	case "waived":
		d.Tone, d.Shape = faint, dash
	default:
		d.When = "in " + report.Span(left)
		if left < o.Until.Sub(o.Since)/4 {
			d.Tone, d.Shape = doubt, alarm
		}
	}
	switch {
	case o.By != "" && !o.Met.IsZero():
		d.State = "by " + o.By
	case o.Waived != "":
		d.State = o.Waived
	}
	return d
}

// deliveries are what became of the notices of an incident, in order: each answer of a channel.
func deliveries(h history) (all []delivered) {
	var state guard.State
	for _, e := range h.events {
		was := state
		state = guard.Next(h.plan, state, e)
		tell, told := asked(was, e.Task).(guard.Tell)
		if !told || tell.Notice.News == "" {
			continue
		}
		d := delivered{At: e.At, Channel: report.Channel(h.plan, tell.Channel), Title: tell.Notice.Title, mark: mark{"delivered", good, check}}
		switch f := e.Fact.(type) {
		case guard.Told:
			if f.Receipt.Lost() {
				d.mark = mark{"not delivered", bad, cross}
			}
			for _, to := range f.Receipt.Handed {
				one := handed{mark{"has it", good, check}, to.Name, to.Way, to.Problem}
				if to.Problem != "" {
					one.mark = mark{"has it not", bad, cross}
				}
				d.To = append(d.To, one)
			}
		case guard.Failed:
			d.mark, d.Problem = mark{"not delivered", bad, cross}, f.Error
		}
		all = append(all, d)
	}
	return all
}

// signing are the roles that have to agree before it goes on, and for which the caller may.
func signing(p *guard.Plan, s guard.State, may func(guard.Stated) bool) (roles []string) {
	asked := []string{p.Recovery.SignOff}
	if n := s.Incident.Resort - 1; s.Phase == guard.Resorting && n >= 0 {
		asked = append(asked, p.Recovery.Resorts[n].Approval)
	}
	for _, role := range asked {
		if role != "" && s.Incident.Signed[role] == "" && p.Asks(s, role) && !slices.Contains(roles, role) && may(guard.Stated{What: guard.StateSignOff, Subject: role}) {
			roles = append(roles, role)
		}
	}
	return roles
}

// responses are what the caller can say of an incident.
func responses(h history, c Caller, now time.Time) (all []act) {
	i := h.state.Incident
	if !i.Open() {
		return nil
	}
	may := func(f guard.Stated) bool { return maySay(h.plan, f, c) == nil }
	if i.Cause == "" {
		all = append(all, act{
			ID: "cause", What: guard.StateCause, Name: "Cause known", Ask: "What made it happen", Sure: "Record the cause", Classes: h.plan.Classes(),
			Says: "Vendors and customers need not be called for a cause that is known.",
		})
	}
	if others := slices.DeleteFunc(slices.Clone(h.plan.Severity), func(l guard.Level) bool { return l.Level == i.Level }); len(others) > 0 {
		all = append(all, act{
			ID: "severity", What: guard.StateSeverity, Name: "Change the severity", Levels: others, Ask: "Why", Sure: "Change it",
			Says: "From then on the rules of the plan can only make it worse. Your name stands in the journal for that.",
		})
	}
	if roles := signing(h.plan, h.state, may); len(roles) > 0 {
		all = append(all, act{
			ID: "sign-off", What: guard.StateSignOff, Name: "Sign off", Roles: roles, Sure: "Sign off",
			Says: "You agree, in the name of this role, that it is well again, or that what waits for it may be done.",
		})
	}
	if may(guard.Stated{What: guard.StateStandDown, Text: "it is over"}) {
		a := act{
			ID: "stand-down", What: guard.StateStandDown, Name: "Stand down", Danger: true, Ask: "Why it is over", Sure: "Yes, stand it down",
			Says: "The incident is over: nobody is called any more, everybody who has heard of it hears that, and the report is owed from now on.",
		}
		if missing, ready := h.plan.Ready(h.state); !ready {
			a.Missing = "Not yet: " + missing + "."
		}
		all = append(all, a)
	}
	for n := range all {
		all[n].Path = "statements"
	}
	return all
}
