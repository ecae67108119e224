package guard

import (
	"cmp"
	"fmt"
	"time"
)

// The kinds of what a ledger remembers of rollouts, and of the incidents that they became. The checks read them.
const (
	KindRollout  = "rollout"       // a result: how a version that did harm came to its end
	KindAgain    = "release.again" // an attestation: why such a version may be tried once more
	KindIncident = "incident"      // an obligation: to end it
	KindReport   = "report"        // to write it down
	KindLesson   = "lesson"        // to learn from it
	KindAction   = "action"        // to do something so that it does not happen again
)

// glassTakes is how long after a launch with broken glass its report has to be written.
const glassTakes = 24 * time.Hour

// glassReport names the obligation to write the report on a launch with broken glass. It is another than that on an incident
// which the same launch becomes: each is owed, whatever has become of the other.
func glassReport(id string) string { return KindReport + "-glass-" + id }

// endless is by when an incident should be over if its plan has no RTO.
const endless = time.Hour

// ofVersion says that the version itself is the cause, and not what one looks at it with. That a person has taken it back counts,
// for whoever finds nothing wrong says so (CauseWithdrawn).
func (c Cause) ofVersion() bool { return c == CauseRegressed || c == CauseAlert || c == CauseOrdered }

// LedgerOf is what a ledger has to remember because a rollout of the plan came from one state to another. From the zero
// state to the present one it is all that there is to remember: who goes on with a rollout begins with that, and leaves out
// what the ledger has already (Ledger.Has), so that a crash between a journal and its ledger loses nothing. It is pure.
func LedgerOf(p *Plan, was, now State) (entries []Entry) {
	id, before, i := now.Release.ID, was.Incident, now.Incident
	add := func(e Entry) {
		e.Service, e.Environment, e.Plan = now.Release.Service, now.Release.Environment, p.Digest()
		if e.Subject == "" {
			e.Subject = id
		}
		entries = append(entries, e)
	}
	since := func(then, moment time.Time) bool { return then.IsZero() && !moment.IsZero() }
	if b := now.BreakGlass; b != nil && now.Purpose != ToRollback && was.Peak == 0 && now.Peak > 0 {
		add(Entry{
			At: now.Opened, Act: Obliged, Kind: KindReport, ID: glassReport(id), By: b.By, Until: now.Opened.Add(glassTakes),
			Says: "the incident report of " + id + ", which was launched by break-glass",
		})
	}
	if was.Phase != Over && now.Phase == Over && now.Cause.ofVersion() && now.Outcome.takenBack() {
		add(Entry{
			At: now.Since, Act: Result, Kind: KindRollout, ID: KindRollout + "-" + id, Subject: now.Release.To, By: "golive", Outcome: Fail,
			Says: fmt.Sprintf("%s, %s: %s", id, now.Outcome, now.Why),
		})
	}
	if since(before.Began, i.Began) {
		add(Entry{
			At: i.Began, Act: Obliged, Kind: KindIncident, ID: KindIncident + "-" + id, By: p.leads(i.Level),
			Until: i.Began.Add(cmp.Or(p.Objectives.RTO.Std(), endless)), Says: "the incident that " + now.Release.To + " has become",
		})
	}
	for _, a := range i.Actions[min(len(before.Actions), len(i.Actions)):] {
		add(Entry{
			At: now.At, Act: Obliged, Kind: KindAction, ID: KindAction + "-" + id + "-" + a.ID, By: a.Owner, Until: a.Due,
			Says: fmt.Sprintf("to %s: %s", a.Class, a.Text),
		})
	}
	if since(before.StoodDown, i.StoodDown) {
		add(Entry{At: i.StoodDown, Act: Settled, Kind: KindIncident, Settles: KindIncident + "-" + id, By: i.StoodBy})
		if filed, owed := i.Owes(DueFiled); owed {
			add(Entry{
				At: i.StoodDown, Act: Obliged, Kind: KindReport, ID: KindReport + "-" + id, By: filed.Role, Until: filed.Until,
				Says: "the report on the incident that " + now.Release.To + " became",
			})
		}
	}
	if since(before.Filed, i.Filed) {
		if !i.Began.IsZero() {
			add(Entry{At: i.Filed, Act: Settled, Kind: KindReport, Settles: KindReport + "-" + id, By: i.FiledBy})
		}
		if now.BreakGlass != nil {
			add(Entry{At: i.Filed, Act: Settled, Kind: KindReport, Settles: glassReport(id), By: i.FiledBy})
		}
	}
	learned, owed := i.Owes(DueLearned)
	if owed && before.Filed.IsZero() {
		add(Entry{
			At: i.Filed, Act: Obliged, Kind: KindLesson, ID: KindLesson + "-" + id, By: learned.Role, Until: learned.Until,
			Says: "what is changed in the plan because of the incident, or why nothing need be",
		})
	}
	if earlier, _ := before.Owes(DueLearned); owed && since(earlier.Met, learned.Met) {
		add(Entry{At: learned.Met, Act: Settled, Kind: KindLesson, Settles: KindLesson + "-" + id, By: learned.By})
	}
	return entries
}

// takenBack says that the version may not be tried again as if nothing had been.
func (o Outcome) takenBack() bool {
	switch o {
	case RolledBack, Recovered, RollbackFailed, ForwardOnly:
		return true
	}
	return false
}

// leads is the role that leads at a level.
func (p *Plan) leads(level int) string {
	for _, l := range p.Severity {
		if l.Level == level {
			return cmp.Or(l.Lead, "commander")
		}
	}
	return "commander"
}

// Has says that the ledger remembers what an entry of LedgerOf says: the same obligation, its end, or the same result.
func (l Ledger) Has(e Entry) bool {
	for _, old := range l.Entries {
		if old.Act == e.Act && old.ID == e.ID && old.Settles == e.Settles && (e.ID != "" || e.Settles != "") {
			return true
		}
	}
	return false
}
