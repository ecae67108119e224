package checks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
)

// ledger asks what is remembered. A ledger that cannot be trusted is no answer. One that is missing has no entries.
func ledger(ctx context.Context, s guard.Scene) (guard.Ledger, error) {
	answer, err := s.Ask(ctx, guard.Question{Ledger: true})
	switch {
	case err != nil:
		return guard.Ledger{}, err
	case answer.Ledger == nil:
		return guard.Ledger{}, errors.New("there is no ledger")
	case answer.Ledger.Broken != "":
		return guard.Ledger{}, fmt.Errorf("the ledger cannot be trusted: %s", answer.Ledger.Broken)
	}
	for i, e := range answer.Ledger.Entries {
		if err := e.Check(); err != nil {
			return guard.Ledger{}, fmt.Errorf("entry %d of the ledger: %w", i+1, err)
		}
		if e.At.After(s.Now.Add(skew)) {
			return guard.Ledger{}, fmt.Errorf("clock skew: entry %d of the ledger was written %s from now", i+1, span(e.At.Sub(s.Now)))
		}
	}
	return *answer.Ledger, nil
}

// ledgerRemedy mends a ledger that gives no answer.
const ledgerRemedy = "look at the ledger: golive ledger verify"

// noLedgerRemedy mends that there is none.
const noLedgerRemedy = "bring it to this machine, beside the plan, or begin one: golive ledger init"

// errNoLedger says why nobody knows what is owed.
var errNoLedger = errors.New("there is no ledger, so nobody can tell what is owed")

// A record asks whether something was done lately, and went well.
type record struct {
	done string // what was done, in a sentence: "a test of the standby"
	do   string // how it is done: "switch to the standby and back". The command that records it is added
	more string // what else its doc has to say of the result: sentences, without the last full stop
	// about lists what has to be recorded.
	about func(s guard.Scene) []topic
	// doubt says why a result that is fresh and good is not enough all the same; nil: it is.
	doubt func(s guard.Scene, t topic, e guard.Entry) string
	// lacks lists what the plan has to say before a result could be judged by it; nil: nothing.
	lacks func(s guard.Scene) []gap
	// pick chooses the entry that counts; nil: the newest of the kind about the subject.
	pick func(s guard.Scene, l guard.Ledger, t topic) (guard.Entry, bool)
	// command records it; empty: golive record, or golive drill where there is such a drill.
	command string
	// kind is what the doc shows to be recorded where about says nothing of a plan that has one of each; empty: KIND.
	kind string
	// options go on with the command, where they are not the same for all topics and for whatever the ledger has of
	// them, which may be nothing; nil: they are.
	options func(s guard.Scene, t topic, e guard.Entry) string
	// none says why there is nothing to record.
	none string
}

func (r record) asks() string {
	text := "the ledger for the latest result of " + r.done + ": whether it went well, and is recent enough"
	if r.more != "" {
		text += ". " + r.more
	}
	return text
}

func (r record) mend(c guard.Check) string {
	return fold(r.do+", and have it written down") + ":\n\n" + typed(r.about, r.kind, func(t topic) string { return r.with(t.kind, t.subject) }) + "\n" +
		fold(fmt.Sprintf("How old a result may be, the plan can say: checks: {settings: {%s: {within: 31d}}}.", c.ID))
}

// with is the command that records one topic.
func (r record) with(kind, subject string) string {
	if r.command != "" {
		return r.command
	}
	switch {
	case kind == "drill.restore" || kind == "drill.verify":
		return "golive drill restore --data " + quote(subject)
	case kind == "drill.rollback":
		return "golive drill rollback --from OLD --to NEW"
	case kind == "drill.notify":
		return "golive drill notify"
	case kind == tabletop && subject == "":
		return "golive drill tabletop"
	case (kind == tabletop || kind == "drill.scenario") && slices.Contains(guard.Classes, subject):
		return "golive drill tabletop --scenario " + quote(subject)
	}
	text := "golive record " + kind
	if subject != "" {
		text += " --subject " + quote(subject)
	}
	return text
}

// quote puts a word in quotes if a shell would take it for several.
func quote(word string) string {
	for _, r := range word {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' || r == ':') {
			return fmt.Sprintf("%q", word)
		}
	}
	return word
}

func (r record) reads() []string { return []string{"within"} }

func (r record) find(ctx context.Context, s guard.Scene, c guard.Check) (findings []guard.Finding) {
	if r.lacks != nil {
		for _, g := range r.lacks(s) {
			findings = append(findings, g.finding(s, c, r.done, "nothing to judge it by"))
		}
	}
	if len(findings) > 0 {
		return findings
	}
	wanted := r.about(s)
	if len(wanted) == 0 {
		return []guard.Finding{{Verdict: guard.Pass, Expected: r.done, Observed: orElse(r.none, "there is nothing to record")}}
	}
	l, err := ledger(ctx, s)
	for _, t := range wanted {
		if within := setting(s.Plan, c).Within; within > 0 {
			t.within = within
		}
		f := guard.Finding{
			Title: titled(c, t, len(wanted) > 1), Expected: fmt.Sprintf("%s, at most %s ago", t.about(), t.within),
			Remedy: r.do + ", then: " + r.with(t.kind, t.subject),
		}
		if len(wanted) > 1 {
			f.Subject = t.about()
		}
		if err != nil {
			findings = append(findings, unknown(f, err, ledgerRemedy))
			continue
		}
		findings = append(findings, r.judge(s, l, t, f))
	}
	return findings
}

// judge looks at the latest result about one topic.
func (r record) judge(s guard.Scene, l guard.Ledger, t topic, f guard.Finding) guard.Finding {
	pick := r.pick
	if pick == nil {
		pick = latest
	}
	e, found := pick(s, l, t)
	if r.options != nil {
		f.Remedy += r.options(s, t, e)
	}
	if !found {
		f.Verdict, f.Observed, f.Unset = guard.Fail, "no result", true
		f.Reason = "the ledger has no result of it"
		return f
	}
	age := s.Now.Sub(e.At)
	f.Observed = toldOf(e, age)
	f.Evidence = []guard.Evidence{{Asked: "ledger", Answer: f.Observed}}
	switch {
	case e.Outcome != guard.Pass:
		f.Verdict = guard.Fail
		f.Reason = "the latest went wrong" + because(e.Says)
	case age > t.within.Std():
		f.Verdict = guard.Fail
		f.Reason = fmt.Sprintf("the latest is %s older than it may be", span(age-t.within.Std()))
	case !e.OfToday(s.Plan):
		f.Verdict = guard.Fail
		f.Reason = "the way has changed since: the plan says something else of it today"
	default:
		f.Verdict = guard.Pass
		if r.doubt != nil {
			if f.Reason = r.doubt(s, t, e); f.Reason != "" {
				f.Verdict = guard.Fail
			}
		}
	}
	if f.Verdict == guard.Pass {
		f.Remedy = ""
	}
	return f
}

// latest is the result about a topic that was written last.
func latest(s guard.Scene, l guard.Ledger, t topic) (guard.Entry, bool) {
	return l.Newest(s.Plan, guard.Result, t.kind, t.subject)
}

// toldOf says what an entry is, in a few words.
func toldOf(e guard.Entry, age time.Duration) string {
	text := fmt.Sprintf("%s, %s ago", e.At.UTC().Format(time.DateOnly), span(max(0, age)))
	if e.Outcome == guard.Pass || e.Outcome == guard.Fail {
		text = e.Outcome.String() + " on " + text
	}
	if e.Proof != nil {
		text += ", " + e.Proof.Rung.String()
	}
	if e.Took > 0 {
		text += ", took " + e.Took.String()
	}
	if e.By != "" {
		text += ", by " + brief(e.By)
	}
	return text
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + brief(why)
}

// An attest asks for what nothing can measure: whether somebody who may states it, and whether that still holds.
type attest struct {
	that string // what is stated, in a sentence: "that the emergency power works"
	// about lists what has to be stated.
	about func(s guard.Scene) []topic
	lacks func(s guard.Scene) []gap // as in a record
	roles []string                  // who may state it; nil: anybody in the roster
	own   bool                      // the subject has to state it in person
	bound bool                      // it is stated of the plan as it is, and of no other
	none  string                    // says why there is nothing to state
}

func (a attest) asks() string {
	text := "whether somebody in the roster states " + a.that + ", and whether that holds still"
	if a.roles != nil {
		text = "whether a person in the role of " + list(a.roles, "or") + " states " + a.that + ", and whether that holds still"
	}
	if a.bound {
		text += ". It holds for the plan as it was then: a change of the plan ends it"
	}
	return text
}

func (a attest) mend(guard.Check) string {
	return fold("have it looked at, and stated by name:") + "\n\n" + typed(a.about, "", func(t topic) string { return a.with(t) + " --for 183d" })
}

// with is the command that states one topic.
func (a attest) with(t topic) string {
	by := "NAME"
	if a.own {
		by = quote(t.subject)
	}
	command := fmt.Sprintf("golive attest %s --by %s --says WHAT", t.kind, by)
	if t.subject != "" && !a.own {
		command += " --subject " + quote(t.subject)
	}
	return command
}

func (a attest) reads() []string { return []string{"within"} }

func (a attest) find(ctx context.Context, s guard.Scene, c guard.Check) (findings []guard.Finding) {
	if a.lacks != nil {
		for _, g := range a.lacks(s) {
			findings = append(findings, g.finding(s, c, "a statement "+a.that, "nothing to state"))
		}
	}
	if len(findings) > 0 {
		return findings
	}
	wanted := a.about(s)
	if len(wanted) == 0 {
		return []guard.Finding{{Verdict: guard.Pass, Expected: "a statement " + a.that, Observed: orElse(a.none, "there is nothing to state")}}
	}
	l, err := ledger(ctx, s)
	for _, t := range wanted {
		if within := setting(s.Plan, c).Within; within > 0 {
			t.within = within
		}
		f := guard.Finding{
			Title: titled(c, t, len(wanted) > 1), Expected: fmt.Sprintf("%s, at most %s ago", t.about(), t.within),
			Remedy: "have it looked at, then: " + a.with(t),
		}
		if len(wanted) > 1 {
			f.Subject = t.about()
		}
		if err != nil {
			findings = append(findings, unknown(f, err, ledgerRemedy))
			continue
		}
		findings = append(findings, a.judge(s, l, t, f))
	}
	return findings
}

// judge looks at the latest statement about one topic.
func (a attest) judge(s guard.Scene, l guard.Ledger, t topic, f guard.Finding) guard.Finding {
	e, found := l.Newest(s.Plan, guard.Attested, t.kind, t.subject)
	if !found {
		f.Verdict, f.Observed, f.Reason, f.Unset = guard.Fail, "no statement", "nobody states it", true
		return f
	}
	age := s.Now.Sub(e.At)
	f.Observed = toldOf(e, age) + because(e.Says)
	f.Evidence = []guard.Evidence{{Asked: "ledger", Answer: f.Observed}}
	f.Verdict = guard.Fail
	switch roles := rolesHeld(s.Plan, e.By); {
	case len(roles) == 0:
		f.Reason = brief(e.By) + " is not in the roster"
	case a.roles != nil && !slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(a.roles, role) }):
		f.Reason = fmt.Sprintf("%s may not state it: that takes a %s", brief(e.By), list(a.roles, "or"))
	case a.own && e.By != t.subject:
		f.Reason = fmt.Sprintf("%s stated it, and not %s", brief(e.By), brief(t.subject))
	case a.bound && e.Plan != s.Plan.Digest():
		f.Reason = "the plan has changed since"
	case s.Now.After(e.Until):
		f.Reason = "it held until " + e.Until.UTC().Format(moment)
	case age > t.within.Std():
		f.Reason = fmt.Sprintf("it is %s older than it may be", span(age-t.within.Std()))
	default:
		f.Verdict, f.Remedy = guard.Pass, ""
	}
	return f
}

// rolesHeld are the roles of somebody in the roster.
func rolesHeld(p *guard.Plan, name string) (roles []string) {
	for _, person := range p.Roster.People {
		if person.Name == name {
			roles = append(roles, person.Role)
		}
	}
	return roles
}

// list is an enumeration of words.
func list(words []string, and string) string {
	if len(words) == 1 {
		return words[0]
	}
	text := ""
	for i, word := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			text += " " + and + " "
		default:
			text += ", "
		}
		text += word
	}
	return text
}

// An obligation asks whether nothing is owed any more.
type obligation struct {
	owed  string // what may not be owed: "the report on an incident"
	kinds []string
	open  bool // what is owed later counts too
	// services are asked beside the plan's own; nil: none.
	services func(p *guard.Plan) []string
	do       string // how it is met: "write the report"
}

func (o obligation) asks() string {
	if o.open {
		return "the ledger for " + o.owed + ": whether any is open, by it or by the journals beside it"
	}
	return "the ledger for " + o.owed + ": whether any is overdue"
}

func (o obligation) mend(c guard.Check) string {
	text := fold(o.do+", and have it written down:") + "\n\n    " + settles(guard.Entry{ID: "ID", Kind: o.kinds[0], Subject: "ROLLOUT"})
	if o.services != nil {
		text += "\n\n" + fold("A service that the plan depends on may have a ledger of its own. The plan says where it lies, from where the plan lies itself:") +
			"\n\n    " + ledgerOf(c, "NAME", "PATH")
	}
	return text
}

func (o obligation) reads() []string {
	if o.services != nil {
		return []string{"ledgers"}
	}
	return nil
}

// ledgerOf is what a plan says so that a check reads the ledger of another service.
func ledgerOf(c guard.Check, service, path string) string {
	return fmt.Sprintf("checks: {settings: {%s: {ledgers: {%s: %s}}}}", c.ID, service, path)
}

// settles is the command that meets an obligation. What a rollout obliges to ends in its journal, which tells the ledger.
func settles(e guard.Entry) string {
	if rollout := quote(brief(e.Subject)); e.Subject != "" {
		switch e.Kind {
		case guard.KindIncident:
			return "golive stand-down " + rollout + " --why WHY"
		case guard.KindReport:
			return "golive report " + rollout + " --file"
		case guard.KindLesson:
			return "golive learned WHAT " + rollout
		}
	}
	return "golive settle " + quote(brief(e.ID)) + " --says WHAT"
}

func (o obligation) find(ctx context.Context, s guard.Scene, c guard.Check) (findings []guard.Finding) {
	want := "none that is overdue"
	if o.open {
		want = "none"
	}
	l, err := ledger(ctx, s)
	if err == nil && l.Missing {
		return []guard.Finding{unknown(guard.Finding{Expected: want}, errNoLedger, noLedgerRemedy)}
	}
	if err != nil {
		return []guard.Finding{unknown(guard.Finding{Expected: want}, err, ledgerRemedy)}
	}
	later := 0
	var seen []string
	ask := func(l guard.Ledger, service string) {
		for _, e := range l.Owed(service) {
			if !slices.Contains(o.kinds, e.Kind) || slices.Contains(seen, e.ID) {
				continue
			}
			seen = append(seen, e.ID)
			if !o.open && !s.Now.After(e.Until) {
				later++
				continue
			}
			findings = append(findings, o.owes(s, c, e, want))
		}
	}
	ask(l, s.Plan.Service)
	if l.Unread != "" && slices.ContainsFunc(o.kinds, ofRollouts) {
		f := guard.Finding{Subject: "journals", Title: c.Title + " (journals)", Expected: want}
		findings = append(findings, unknown(f, errors.New("a journal cannot be read, so something may be owed of which nobody knows: "+brief(l.Unread)),
			"look at the journals: golive journal verify"))
	}
	if o.services != nil {
		for _, service := range o.services(s.Plan) {
			ask(l, service)
			other, named := l.Others[service]
			if !named && l.Knows(service) {
				continue // they have one ledger
			}
			f := guard.Finding{Subject: brief(service), Title: c.Title + " (" + brief(service) + ")", Expected: want}
			switch {
			case !named:
				findings = append(findings, unknown(f, fmt.Errorf("nobody has seen the ledger of %s, so nobody can tell what is open there", brief(service)),
					"say where it lies, in "+ledgerOf(c, quote(brief(service)), "PATH")))
			case other.Missing:
				findings = append(findings, unknown(f, fmt.Errorf("there is no ledger of %s where the plan says, so nobody can tell what is open there", brief(service)),
					"bring it there, or say where it lies, in "+ledgerOf(c, quote(brief(service)), "PATH")))
			case other.Broken != "":
				findings = append(findings, unknown(f, fmt.Errorf("the ledger of %s cannot be trusted: %s", brief(service), brief(other.Broken)),
					"have the service look at it: golive ledger verify"))
			default:
				ask(other, service)
			}
		}
	}
	if len(findings) == 0 {
		observed := "none"
		if later > 0 {
			observed = fmt.Sprintf("none, and %d to come", later)
		}
		findings = append(findings, guard.Finding{
			Verdict: guard.Pass, Expected: want, Observed: observed,
			Evidence: []guard.Evidence{{Asked: "ledger", Answer: fmt.Sprintf("%d entries", len(l.Entries))}},
		})
	}
	return findings
}

// ofRollouts says that a rollout obliges to what is of this kind, so that its journal knows of it.
func ofRollouts(kind string) bool {
	return slices.Contains([]string{guard.KindIncident, guard.KindReport, guard.KindLesson, guard.KindAction}, kind)
}

// owes is the finding of something that is owed.
func (o obligation) owes(s guard.Scene, c guard.Check, e guard.Entry, want string) guard.Finding {
	f := guard.Finding{
		Subject: brief(e.ID), Verdict: guard.Fail, Title: c.Title + " (" + brief(e.ID) + ")",
		Expected: want, Observed: brief(orElse(e.Says, e.Kind)) + ", due " + e.Until.UTC().Format(moment),
		Reason: "it is owed since " + e.At.UTC().Format(moment),
		Remedy: fmt.Sprintf("%s, then: %s", o.do, settles(e)),
	}
	if s.Now.After(e.Until) {
		f.Reason = "it is overdue for " + span(s.Now.Sub(e.Until))
	}
	if e.Service != s.Plan.Service && e.Service != "" {
		f.Reason += ", at " + brief(e.Service)
	}
	f.Evidence = []guard.Evidence{{Asked: "ledger", Answer: f.Observed}}
	return f
}
