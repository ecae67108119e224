// Package incident writes the report on a rollout afterwards: what happened, what golive and people did about it, what it
// cost, and what is still to be said. It is a pure function of the journal, the plan in it, and what the ledger remembers:
// the same input is the same report, byte for byte. What nobody knows is said to be unknown, and what only a person can say
// and has not said is said to be missing; nothing is ever made up.
//
// A rollout that was not taken back, or whose plan has nobody answer, has the same report with less to say.
package incident

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report"
)

// A Record is an event and where in the journal it stands.
type Record struct {
	Seq   int64
	Hash  string
	Event guard.Event
}

// An Account is all that a report is made of.
type Account struct {
	Plan    *guard.Plan    // the one that the rollout began with
	Records []Record       // of the journal, the oldest first
	Journal string         // what the journal is called
	Verify  string         // the command that verifies it
	Broken  string         // why the journal cannot be read further; empty: all of it was
	Ledger  *guard.Ledger  // nil: it is not seen from here
	Zone    *time.Location // in which times are told beside UTC; nil: UTC alone
	Filing  guard.Event    // that files this report, and that no record can hold yet; zero: it is not being filed
}

// A Kind is what a report is about.
type Kind string

const (
	OfIncident Kind = "incident" // somebody has to answer for what happened
	OfRollback Kind = "rollback" // it went back, and nobody has to
	OfWatch    Kind = "watch"    // it did not go back
)

// A Status is how far a report has come. Each is computed.
type Status string

const (
	Draft    Status = "draft"     // it is not filed
	InReview Status = "in review" // filed, and something that people have to say is missing
	Reviewed Status = "reviewed"  // filed, and nothing is missing
	Closed   Status = "closed"    // reviewed, and what was to be learned is
)

// A Report is what can be said of a rollout. Its texts are those of the journal, without contacts, with roles in the place
// of persons; the words around them belong to the forms.
type Report struct {
	Kind     Kind          `json:"kind"`
	Status   Status        `json:"status"`
	Release  guard.Release `json:"release"`
	Purpose  guard.Purpose `json:"purpose"`
	Mode     guard.Mode    `json:"mode"`
	Outcome  guard.Outcome `json:"outcome,omitempty"` // empty: it is not over
	Phase    guard.Phase   `json:"phase"`
	Cause    guard.Cause   `json:"cause,omitempty"` // what made it go back
	Why      string        `json:"why,omitempty"`
	Scenario string        `json:"scenario,omitempty"`
	Level    int           `json:"level,omitempty"`
	Grades   []guard.Grade `json:"grades,omitempty"`
	Plan     PlanRef       `json:"plan"`
	Owner    string        `json:"owner"` // the role that owes the report
	AsOf     time.Time     `json:"as_of"` // the last record: nothing later is known here
	Due      time.Time     `json:"due,omitzero"`
	Filed    time.Time     `json:"filed,omitzero"`
	Late     string        `json:"late_by,omitempty"`
	Zone     string        `json:"zone"`

	Impact      Impact            `json:"impact"`
	Times       []Moment          `json:"times"`
	Spans       []Span            `json:"spans"`
	Owed        []Duty            `json:"obligations,omitempty"`
	Timeline    []Line            `json:"timeline"`
	Signals     []Signal          `json:"signals,omitempty"`
	Tripped     []Sample          `json:"tripped,omitempty"` // the readings that spoke for harm, up to the one that decided
	Decided     *Decision         `json:"decision,omitempty"`
	Misses      Misses            `json:"near_misses"`
	Deeds       []Deed            `json:"actions_executed,omitempty"`
	Deviations  []Line            `json:"deviations,omitempty"`
	Proof       []guard.Finding   `json:"verification,omitempty"`
	Restores    []Deed            `json:"restores,omitempty"`
	Signed      map[string]string `json:"signed_off,omitempty"` // by role
	SignOff     string            `json:"sign_off,omitempty"`   // the role that the plan asks to sign off; empty: none
	Told        []Told            `json:"communications,omitempty"`
	Contacted   map[string]string `json:"contacted,omitempty"`
	Notes       []Line            `json:"notes,omitempty"`
	Stated      string            `json:"cause_stated,omitempty"`
	Answers     map[string]string `json:"answers,omitempty"`
	Missing     []string          `json:"missing,omitempty"` // of guard.Fields, what nobody has said yet
	Actions     []guard.Action    `json:"action_items,omitempty"`
	Launched    []guard.Finding   `json:"preflight,omitempty"` // what was not a plain pass at launch
	Checks      map[string]int    `json:"preflight_counts,omitempty"`
	Broke       *guard.BreakGlass `json:"break_glass,omitempty"`
	Waivers     []guard.Waiver    `json:"waivers,omitempty"`
	Exhibits    []guard.Exhibit   `json:"evidence,omitempty"`
	Journal     Chain             `json:"journal"`
	Remembered  []Remembered      `json:"ledger,omitempty"`
	LedgerFault string            `json:"ledger_fault,omitempty"` // why nothing can be said of the ledger: missing, unseen, or what is wrong with it

	zone   *time.Location
	levels map[int]string
	trails map[string]*trail
}

// PlanRef says which plan the rollout went by.
type PlanRef struct {
	File   string `json:"file"`
	Digest string `json:"digest"`
	Golive string `json:"golive,omitempty"` // its version at the beginning
}

// A Moment is one of the times that count. Nothing is known of one without a time.
type Moment struct {
	Name string    `json:"name"` // a key of words: "introduced"
	At   time.Time `json:"at,omitzero"`
	Ref  Ref       `json:"record,omitzero"`
}

// A Ref is the evidence for a line: a record of the journal, and the beginning of its hash.
type Ref struct {
	Seq  int64  `json:"seq,omitempty"`
	Hash string `json:"hash,omitempty"`
}

func (r Ref) String() string {
	if r.Seq == 0 {
		return "—"
	}
	return fmt.Sprintf("#%d\u00a0%s", r.Seq, r.Hash) // on one line
}

// A Span is the time between two moments.
type Span struct {
	Name  string         `json:"name"` // "ttd", "ttc", "ttm", "ttr"
	From  string         `json:"from"`
	To    string         `json:"to"`
	Took  guard.Duration `json:"took,omitempty"`
	Known bool           `json:"known"`
}

// A Duty is an obligation, as it stood at the last record.
type Duty struct {
	guard.Obligation
	Standing string         `json:"standing"`         // met, met late, breached, waived, open
	Margin   guard.Duration `json:"margin,omitempty"` // left when it was met; negative: so much too late
}

// A Line is one thing that happened. Says is a key of words, and With goes into it.
type Line struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"` // golive, or a role, or the name of an account
	Says string    `json:"says"`
	With []string  `json:"with,omitempty"`
	Ref  Ref       `json:"record,omitzero"`
}

// A Signal is what was watched, and against which bounds.
type Signal struct {
	Name        string `json:"name"`
	Query       string `json:"query"`
	MaxIncrease string `json:"max_increase,omitempty"`
	IgnoreBelow string `json:"ignore_below,omitempty"`
	Never       string `json:"never,omitempty"`
	Deciding    bool   `json:"deciding,omitempty"`
}

// A Sample is one reading, as it was judged.
type Sample struct {
	At    time.Time     `json:"at"`
	Call  judge.Call    `json:"call"`
	Rule  judge.Rule    `json:"rule"`
	Odds  float64       `json:"log_odds"`
	Sight []judge.Sight `json:"signals,omitempty"`
	Ref   Ref           `json:"record"`
}

// A Decision is the reading that made the rollout turn, or the last one if none did.
type Decision struct {
	Sample
	Turned bool    `json:"turned"` // the rollout went back because of it
	Why    string  `json:"why"`
	Limit  float64 `json:"limit"`
	Into   float64 `json:"in_step_seconds"`
}

// Misses are readings that spoke for harm, and that later ones took back.
type Misses struct {
	Readings int     `json:"readings"`
	Highest  float64 `json:"highest_log_odds"` // of all readings before the trouble began, those below the bound as well
}

// A Deed is something that was done to the world, from when it could begin to when its answer was there.
type Deed struct {
	Name  string    `json:"name"` // a key of words: "shift"
	With  []string  `json:"with,omitempty"`
	Part  string    `json:"part,omitempty"`
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended,omitzero"` // zero: no answer is known
	OK    bool      `json:"ok"`
	Says  string    `json:"says,omitempty"`
	Tries int       `json:"tries"`
	Ref   Ref       `json:"record,omitzero"` // which holds the whole answer

	Backup   *guard.Backup   `json:"backup,omitempty"`   // of a restore: the one that was used; nil: none, or it is not known
	Findings []guard.Finding `json:"findings,omitempty"` // of a resort: what its probes found
}

// Told is one notice on one channel, and to whom it was handed.
type Told struct {
	Key      string         `json:"key"`
	At       time.Time      `json:"at"`
	Audience string         `json:"audience,omitempty"`
	Roles    []string       `json:"roles,omitempty"`
	Channel  string         `json:"channel"`
	Title    string         `json:"title"`
	Sum      string         `json:"message_sha256"`
	Handed   []guard.Handed `json:"handed,omitempty"`
	Arrived  time.Time      `json:"arrived,omitzero"` // zero: it was not delivered
	Tries    int            `json:"tries"`            // in vain
	Problem  string         `json:"problem,omitempty"`
	Ref      Ref            `json:"record,omitzero"`
}

// Delivered says that the notice has reached somebody.
func (t Told) Delivered() bool { return !t.Arrived.IsZero() }

// A Chain is what proves the journal.
type Chain struct {
	Name    string `json:"name"`
	Records int    `json:"records"`
	First   string `json:"first_hash"`
	Last    string `json:"last_hash"`
	Verify  string `json:"verify"`
	Broken  string `json:"broken,omitempty"`
}

// Remembered is an entry of the ledger that is about the rollout.
type Remembered struct {
	At    time.Time `json:"at"`
	Act   guard.Act `json:"act"`
	Kind  string    `json:"kind"`
	ID    string    `json:"id,omitempty"`
	Until time.Time `json:"until,omitzero"`
	Says  string    `json:"says,omitempty"`
}

// refLength is how much of a hash tells records apart for people; the whole is in the journal.
const refLength = 12

// New makes the report. Without records there is nothing to report.
func New(a Account) (*Report, error) {
	if len(a.Records) == 0 || a.Plan == nil {
		return nil, fmt.Errorf("there is nothing to report: %s holds no record that can be read", a.Journal)
	}
	b := &builder{account: a, hide: report.DiscreetText(a.Plan), tasks: map[int]*given{}}
	b.persons()
	r := &b.Report
	r.zone, r.levels, r.trails = a.Zone, map[int]string{}, map[string]*trail{}
	for _, l := range a.Plan.Severity {
		r.levels[l.Level] = b.text(l.Name)
	}
	for _, record := range a.Records {
		b.see(record)
	}
	if a.Filing.Fact != nil {
		was := b.state
		b.state = guard.Next(a.Plan, was, a.Filing)
		b.marks(Record{Event: a.Filing}, was, b.state, Ref{})
	}
	b.finish()
	return r, nil
}

// A builder sees the journal go by, and keeps what the report says of it.
type builder struct {
	Report
	account Account
	state   guard.State
	tasks   map[int]*given
	hide    func(string) string
	people  []guard.Person // who stand in texts by their roles, the longest name first; none: persons may be named

	suspects     []Sample
	decided      bool
	deciding     judge.Ruling
	at           map[string]Moment // of Times
	lastMeasured judge.Ruling
}

// given is a task from when it was asked for.
type given struct {
	guard.Task
	since time.Time
}

// persons puts roles in the place of people, unless the plan says that they may be named.
func (b *builder) persons() {
	if b.account.Plan.Roster.Publish {
		return
	}
	b.people = slices.DeleteFunc(slices.Clone(b.account.Plan.Roster.People), func(p guard.Person) bool { return p.Name == "" || p.Role == "" })
	slices.SortStableFunc(b.people, func(x, y guard.Person) int { return len(y.Name) - len(x.Name) }) // "Ada Obi" before "Ada"
}

// unnamed is a text with roles in the place of people. A name is one only by itself: Li is nobody in Lisbon.
func unnamed(text string, people []guard.Person) string {
	var b strings.Builder
	for at := 0; at < len(text); {
		i := slices.IndexFunc(people, func(p guard.Person) bool {
			return strings.HasPrefix(text[at:], p.Name) && !joined(text[:at], p.Name) && !joined(p.Name, text[at+len(p.Name):])
		})
		if i >= 0 {
			b.WriteString(people[i].Role)
			at += len(people[i].Name)
			continue
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		b.WriteString(text[at : at+size])
		at += size
	}
	return b.String()
}

// joined says that one text goes on with another within a word. Scripts that put no spaces between their words have no such
// places, so that a name in them counts wherever it stands.
func joined(before, after string) bool {
	x, _ := utf8.DecodeLastRuneInString(before)
	y, _ := utf8.DecodeRuneInString(after)
	return ofWord(x) && ofWord(y)
}

func ofWord(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)) &&
		!unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// text is a text of the journal as it may leave the machine.
func (b *builder) text(text string) string { return b.plain(unnamed(guard.Printable(text), b.people)) }

// plain is a text that names nobody: a path, a command, a query.
func (b *builder) plain(text string) string {
	return b.hide(guard.Redact(guard.Printable(text))) // journals of an older golive hold what it did not take out
}

func (b *builder) texts(all []string) []string {
	some := make([]string, len(all))
	for i, text := range all {
		some[i] = b.text(text)
	}
	return some
}

func (b *builder) said(all map[string]string) map[string]string {
	if len(all) == 0 {
		return nil
	}
	said := map[string]string{}
	for key, text := range all {
		said[b.text(key)] = b.text(text)
	}
	return said
}

func (b *builder) findings(all []guard.Finding) (some []guard.Finding) {
	discreet := report.Discreet(b.account.Plan)
	for _, f := range all {
		for _, text := range []*string{&f.Subject, &f.Title, &f.Reason, &f.Remedy, &f.Expected, &f.Observed} {
			*text = b.text(*text)
		}
		f.Evidence = nil // it is in the journal, whole
		if f.Waived != nil {
			w := *f.Waived
			w.By, w.ApprovedBy, w.Reason = b.text(w.By), b.text(w.ApprovedBy), b.text(w.Reason)
			f.Waived = &w
		}
		some = append(some, discreet(f))
	}
	return some
}

// who is the actor behind a fact.
func (b *builder) who(by string) string {
	if by == "" {
		return "somebody"
	}
	return b.text(by)
}

func refOf(r Record) Ref { return Ref{Seq: r.Seq, Hash: r.Hash[:min(refLength, len(r.Hash))]} }

// moment keeps the first time of its name.
func (b *builder) moment(name string, at time.Time, ref Ref) {
	if b.at == nil {
		b.at = map[string]Moment{}
	}
	if _, known := b.at[name]; !known && !at.IsZero() {
		b.at[name] = Moment{name, at, ref}
	}
}

// again replaces the time of a moment that has come once more.
func (b *builder) again(name string, at time.Time, ref Ref) { b.at[name] = Moment{name, at, ref} }

// line adds to the timeline.
func (b *builder) line(r Record, who, says string, with ...string) Line {
	l := Line{At: r.Event.At, Who: who, Says: says, With: b.texts(with), Ref: refOf(r)}
	b.Timeline = append(b.Timeline, l)
	return l
}

const golive = "golive"

// see takes in one record.
func (b *builder) see(r Record) {
	e, was := r.Event, b.state
	s := guard.Next(b.account.Plan, was, e)
	b.state = s
	ref := refOf(r)
	if opened, ok := e.Fact.(guard.Opened); ok {
		b.Plan = PlanRef{File: b.plain(opened.File), Digest: b.account.Plan.Digest(), Golive: opened.Version}
	}
	task := b.tasks[e.Task]
	if task != nil {
		b.answered(r, *task)
		delete(b.tasks, e.Task)
	}
	for _, t := range s.Todo {
		if b.tasks[t.ID] == nil {
			since := e.At
			if t.NotBefore.After(since) {
				since = t.NotBefore
			}
			b.tasks[t.ID] = &given{t, since}
		}
	}
	b.tell(r, was, s)
	b.measure(r, was, s)
	b.marks(r, was, s, ref)
}

// marks notes the times that count.
func (b *builder) marks(r Record, was, s guard.State, ref Ref) {
	at, i, before := r.Event.At, s.Incident, was.Incident
	if f, ok := r.Event.Fact.(guard.Shifted); ok && f.Percent > 0 && s.At.Equal(at) {
		b.moment("introduced", at, ref)
	}
	if s.Seen > 0 {
		b.moment("introduced", at, ref)
	}
	if s.Cause != "" && was.Cause == "" {
		b.moment("decided", at, ref)
		detected := at
		switch {
		case !i.Began.IsZero():
			detected = i.Began
		case !s.Suspect.IsZero():
			detected = s.Suspect
		}
		b.moment("detected", detected, b.refAt(detected))
	}
	for _, m := range []struct {
		name     string
		now, old time.Time
	}{
		{"activated", i.Activated, before.Activated}, {"contained", i.Contained, before.Contained},
		{"preserved", i.Preserved, before.Preserved}, {"reverted", i.Reverted, before.Reverted},
		{"verified", i.Restored, before.Restored}, {"steady", i.Steady, before.Steady},
		{"stood_down", i.StoodDown, before.StoodDown}, {"filed", i.Filed, before.Filed},
	} {
		if !m.now.IsZero() && !m.now.Equal(m.old) {
			b.moment(m.name, m.now, ref)
			b.again(m.name, m.now, ref)
		}
	}
	if f, ok := r.Event.Fact.(guard.Stated); ok && f.What == guard.StateSignOff {
		b.moment("signed_off", at, ref)
	}
	if s.Phase == guard.Over && was.Phase != guard.Over {
		b.moment("over", at, ref)
	}
}

// refAt is the record that was written at a moment.
func (b *builder) refAt(at time.Time) Ref {
	for _, r := range b.account.Records {
		if r.Event.At.Equal(at) {
			return refOf(r)
		}
	}
	return Ref{}
}

// answered keeps what a task came to.
func (b *builder) answered(r Record, t given) {
	f, failed := r.Event.Fact.(guard.Failed)
	deed := Deed{Began: t.since, Ended: r.Event.At, OK: !failed, Tries: t.Tries + 1, Ref: refOf(r), Says: b.text(f.Error)}
	plan := b.account.Plan
	switch d := t.Deed.(type) {
	case guard.Tell:
		b.toldOf(r, t, d)
		return
	case guard.RunChecks:
		deed.Name = "checks"
		if f, ok := r.Event.Fact.(guard.Checked); ok {
			deed.Says = report.TallyOf(f.Findings).String()
		}
	case guard.Shift:
		deed.Name, deed.With, deed.Part = "shift", []string{fmt.Sprint(d.Percent)}, plan.Rollout.Backend.Use
	case guard.Verify:
		deed.Name, deed.Part = "verify", plan.Rollout.Backend.Use
		if f, ok := r.Event.Fact.(guard.Verified); ok {
			worst := guard.Worst(f.Findings)
			deed.OK = f.Standing.Percent == 0 && (len(f.Findings) == 0 || worst == guard.Pass || worst == guard.Warn)
			deed.Says = fmt.Sprintf("%d %%", f.Standing.Percent)
			if len(f.Findings) > 0 {
				deed.Says += "; " + report.TallyOf(f.Findings).String()
			}
		}
	case guard.Finish:
		deed.Name, deed.Part = "finish", plan.Rollout.Backend.Use
	case guard.Intervene:
		deed.Name, deed.With, deed.Part = b.intervention(d)
		if f, ok := r.Event.Fact.(guard.Intervened); ok {
			worst := guard.Worst(f.Findings)
			deed.OK = len(f.Findings) > 0 && (worst == guard.Pass || worst == guard.Warn)
			var says []string
			found := b.findings(f.Findings)
			for _, finding := range found {
				says = append(says, cmp.Or(finding.Reason, finding.Observed, finding.Title))
			}
			deed.Says = strings.Join(says, "; ")
			if d.Move == guard.MoveResort {
				deed.Findings = found
			}
			if f.Backup != nil {
				deed.Backup = &guard.Backup{ID: b.plain(f.Backup.ID), Ended: f.Backup.Ended, Bytes: f.Backup.Bytes}
			}
		}
	case guard.Gather:
		f, _ := r.Event.Fact.(guard.Gathered)
		deed.Name, deed.With = "gather", []string{fmt.Sprint(len(f.Exhibits))}
	default:
		return
	}
	b.Deeds = append(b.Deeds, deed)
	if d, ok := t.Deed.(guard.Intervene); ok && d.Move == guard.MoveResort {
		b.Restores = append(b.Restores, deed)
	}
	if !deed.OK {
		b.Deviations = append(b.Deviations, Line{At: r.Event.At, Who: golive, Says: "line_undone", With: append([]string{deed.Name, deed.Says}, deed.With...), Ref: deed.Ref})
	}
}

func (b *builder) intervention(d guard.Intervene) (name string, with []string, part string) {
	recovery := b.account.Plan.Recovery
	switch d.Move {
	case guard.MoveContain:
		if recovery.Contain != nil {
			part = recovery.Contain.Use
		}
		return "contain", nil, part
	case guard.MoveRamp:
		if d.N < len(recovery.Ramp) {
			part = recovery.Ramp[d.N].Use
		}
		return "ramp", []string{fmt.Sprint(d.N + 1)}, part
	}
	if d.N < len(recovery.Resorts) {
		return "resort", []string{b.text(recovery.Resorts[d.N].Name)}, recovery.Resorts[d.N].Do.Use
	}
	return "resort", []string{fmt.Sprint(d.N + 1)}, ""
}

// toldOf keeps what became of a notice. Several tries of one notice on one channel are one line. Nobody is told by a state
// that was shown.
func (b *builder) toldOf(r Record, t given, d guard.Tell) {
	n := d.Notice
	if n.Passing {
		return
	}
	told := Told{
		Key: n.Key, At: n.At, Audience: n.Audience, Roles: b.texts(n.Roles), Channel: report.Channel(b.account.Plan, d.Channel),
		Title: b.text(n.Title), Sum: fmt.Sprintf("%x", sha256.Sum256([]byte(n.Title+"\n"+n.Text))), Ref: refOf(r),
	}
	at := slices.IndexFunc(b.Told, func(old Told) bool { return old.Key == told.Key && old.Channel == told.Channel })
	if at < 0 {
		b.Told, at = append(b.Told, told), len(b.Told)
	}
	one := &b.Told[at]
	one.Ref = told.Ref
	switch f := r.Event.Fact.(type) {
	case guard.Told:
		for _, h := range f.Receipt.Handed {
			h.Name, h.Problem = b.text(h.Name), b.text(h.Problem)
			one.Handed = slices.DeleteFunc(one.Handed, func(old guard.Handed) bool { // what was tried again is for some
				return old.Name == h.Name && old.Role == h.Role && old.Way == h.Way
			})
			one.Handed = append(one.Handed, h)
		}
		switch {
		case f.Receipt.Lost():
			one.Tries++
			if !one.Delivered() {
				one.Problem = b.text(f.Receipt.Handed[0].Problem)
			}
		case !one.Delivered():
			one.Arrived, one.Problem = r.Event.At, ""
		}
	case guard.Failed:
		one.Tries++
		one.Problem = b.text(f.Error)
	}
}

// tell adds what happened to the timeline. A reading is a line only where it changes something.
func (b *builder) tell(r Record, was, s guard.State) {
	if s.Incident.Level != was.Incident.Level && s.Incident.Level > 0 {
		defer func() {
			g := s.Incident.Grades[len(s.Incident.Grades)-1]
			b.line(r, b.byOr(g.By), "line_level", fmt.Sprint(g.Level), g.Why)
		}()
	}
	turned := s.Phase != was.Phase
	switch f := r.Event.Fact.(type) {
	case guard.Opened:
		b.line(r, b.byOr(f.By), "line_opened", string(f.Purpose), change(f.Release))
		if f.BreakGlass != nil {
			b.line(r, b.who(f.BreakGlass.By), "line_glass", f.BreakGlass.ApprovedBy, f.BreakGlass.Reason)
		}
	case guard.Resumed:
		away := guard.Duration(r.Event.At.Sub(was.At).Round(time.Second))
		b.Deviations = append(b.Deviations, b.line(r, golive, "line_resumed", away.String()))
	case guard.Ordered:
		l := b.line(r, b.who(f.By), "line_ordered", string(f.Verb), f.Why)
		if f.Verb != guard.OrderConclude {
			b.Deviations = append(b.Deviations, l)
		}
	case guard.Voted:
		for _, alert := range f.Alerts {
			says := "line_alert"
			if alert.Ended {
				says = "line_alert_ended"
			}
			b.line(r, b.byOr(f.By), says, alert.Name, alert.Summary)
		}
	case guard.Noted:
		b.Notes = append(b.Notes, b.line(r, b.who(f.By), "line_noted", f.Text))
	case guard.Acknowledged:
		b.line(r, b.who(f.By), "line_acknowledged")
	case guard.Stated:
		b.line(r, b.who(f.By), "line_stated_"+string(f.What), statedWith(f)...)
	case guard.Interrupted:
		b.Deviations = append(b.Deviations, b.line(r, golive, "line_interrupted", f.Signal))
	case guard.Checked:
		b.line(r, golive, "line_checked", report.TallyOf(f.Findings).String())
	case guard.Shifted:
		b.line(r, golive, "line_shifted", fmt.Sprint(f.Percent))
	case guard.Measured:
		switch {
		case s.Cause != "" && was.Cause == "":
			b.line(r, golive, "line_back", s.Why)
		case turned || s.Step != was.Step:
			b.line(r, golive, "line_phase", string(s.Phase), s.Why)
		case !s.Suspect.IsZero() && was.Suspect.IsZero():
			b.line(r, golive, "line_suspect", f.Ruling.Why)
		case s.Suspect.IsZero() && !was.Suspect.IsZero():
			b.line(r, golive, "line_unsuspect", f.Ruling.Why)
		case f.Problem != "" && was.Trouble == "":
			b.line(r, golive, "line_unread", f.Problem)
		}
	case guard.Verified:
		b.line(r, golive, map[bool]string{true: "line_verified", false: "line_unverified"}[s.Trouble == ""], s.Trouble)
	case guard.Finished:
		b.line(r, golive, "line_finished")
	case guard.Intervened:
		if t := b.deedOf(r); t != nil {
			b.line(r, golive, map[bool]string{true: "line_done", false: "line_undone"}[t.OK], append([]string{t.Name, t.Says}, t.With...)...)
		}
	case guard.Gathered:
		b.line(r, golive, "line_gathered", fmt.Sprint(len(f.Exhibits)))
	case guard.Told:
		switch t := b.toldAt(r); {
		case t == nil:
		case f.Receipt.Lost():
			b.line(r, golive, "line_failed", f.Receipt.Handed[0].Problem)
		default:
			b.line(r, golive, "line_told", t.Channel, t.Title)
		}
	case guard.Failed:
		b.line(r, golive, "line_failed", f.Error)
	case guard.Elapsed:
		if s.Cause != "" && was.Cause == "" {
			b.line(r, golive, "line_back", s.Why)
			break
		}
		for n, o := range s.Incident.Owed {
			if n < len(was.Incident.Owed) && o.Passed && !was.Incident.Owed[n].Passed {
				b.Deviations = append(b.Deviations, b.line(r, golive, "line_breached", string(o.Kind), o.Role))
			}
		}
	}
	if s.Phase == guard.Over && was.Phase != guard.Over {
		b.line(r, golive, "line_over", string(s.Outcome))
	}
}

func (b *builder) byOr(by string) string {
	if by == "" {
		return golive
	}
	return b.text(by)
}

func (b *builder) deedOf(r Record) *Deed {
	for i := range b.Deeds {
		if b.Deeds[i].Ref.Seq == r.Seq {
			return &b.Deeds[i]
		}
	}
	return nil
}

func (b *builder) toldAt(r Record) *Told {
	for i := range b.Told {
		if b.Told[i].Ref.Seq == r.Seq {
			return &b.Told[i]
		}
	}
	return nil
}

// statedWith is what goes into the words for a statement.
func statedWith(f guard.Stated) []string {
	switch f.What {
	case guard.StateSeverity:
		return []string{fmt.Sprint(f.Level), f.Text}
	case guard.StateSignOff:
		return []string{f.Subject}
	case guard.StateContacted, guard.StateAnswer, guard.StateAction:
		return []string{f.Subject, f.Text}
	case guard.StateFiled:
		return []string{f.Subject}
	}
	return []string{f.Text + report.OfClass(f)}
}

func change(r guard.Release) string {
	if r.First() {
		return r.To
	}
	return r.From + " → " + r.To
}

// measure keeps what readings say.
func (b *builder) measure(r Record, was, s guard.State) {
	if f, ok := r.Event.Fact.(guard.Soaked); ok {
		b.trail(f.Ruling, true)
		return
	}
	f, ok := r.Event.Fact.(guard.Measured)
	if !ok || s.At != r.Event.At {
		return
	}
	b.trail(f.Ruling, false)
	sample := Sample{At: r.Event.At, Call: f.Ruling.Call, Rule: f.Ruling.Rule, Odds: f.Ruling.LogOdds, Sight: f.Ruling.Signals, Ref: refOf(r)}
	turns := s.Cause != "" && was.Cause == ""
	if !b.decided {
		b.lastMeasured = f.Ruling
	}
	switch {
	case b.decided:
		return
	case turns:
		b.Tripped = append(b.suspects, sample)
		b.decided, b.deciding = true, f.Ruling
	case !s.Suspect.IsZero():
		b.suspects = append(b.suspects, sample)
	default:
		b.Misses.Readings += len(b.suspects)
		for _, old := range b.suspects {
			b.Misses.Highest = max(b.Misses.Highest, old.Odds)
		}
		b.suspects = nil
		b.Misses.Highest = max(b.Misses.Highest, sample.Odds)
	}
	if turns || !b.decided && s.Cause == "" {
		b.Decided = &Decision{Sample: sample, Turned: turns, Why: b.text(f.Ruling.Why), Limit: f.Ruling.Limit, Into: f.Ruling.InStep}
	}
}

// finish computes what needs the whole journal.
func (b *builder) finish() {
	a, s, r := b.account, b.state, &b.Report
	i := s.Incident
	first, last := a.Records[0], a.Records[len(a.Records)-1]
	r.Release, r.Purpose, r.Mode, r.Outcome, r.Phase = s.Release, s.Purpose, s.Mode, s.Outcome, s.Phase
	r.Cause, r.Why, r.AsOf = s.Cause, b.text(s.Why), last.Event.At
	r.Zone = "UTC"
	if a.Zone != nil {
		r.Zone = a.Zone.String()
	}
	switch {
	case !i.Began.IsZero():
		r.Kind = OfIncident
	case s.Cause != "":
		r.Kind = OfRollback
	default:
		r.Kind = OfWatch
	}
	r.Scenario, r.Level, r.Grades = i.Scenario, i.Level, slices.Clone(i.Grades)
	for n := range r.Grades {
		r.Grades[n].Why, r.Grades[n].By = b.text(r.Grades[n].Why), b.text(r.Grades[n].By)
	}
	r.Broke = s.BreakGlass
	if s.BreakGlass != nil {
		r.Broke = &guard.BreakGlass{Reason: b.text(s.BreakGlass.Reason), By: b.text(s.BreakGlass.By), ApprovedBy: b.text(s.BreakGlass.ApprovedBy)}
	}
	for _, name := range momentNames {
		r.Times = append(r.Times, cmp.Or(b.at[name], Moment{Name: name}))
	}
	r.Spans = []Span{
		b.span("ttd", "introduced", "detected"), b.span("ttc", "detected", "contained"),
		b.span("ttm", "introduced", "contained"), b.span("ttr", "detected", "verified"),
	}
	for _, o := range i.Owed {
		d := Duty{Obligation: o, Standing: o.Standing(r.AsOf)}
		d.By, d.Waived = b.text(o.By), b.text(o.Waived)
		if !o.Met.IsZero() {
			d.Margin = guard.Duration(o.Until.Sub(o.Met))
		}
		r.Owed = append(r.Owed, d)
	}
	r.SignOff = b.account.Plan.Recovery.SignOff
	r.Signed, r.Contacted, r.Answers, r.Stated = b.said(i.Signed), b.said(i.Contacts), b.said(i.Answers), b.text(i.Cause)
	for _, field := range guard.Fields {
		if r.Kind != OfWatch && r.Answers[field] == "" && field != "summary" { // of which golive has one
			r.Missing = append(r.Missing, field)
		}
	}
	for _, action := range i.Actions {
		action.Text, action.By, action.Link, action.Owner = b.text(action.Text), b.text(action.By), b.text(action.Link), b.text(action.Owner)
		r.Actions = append(r.Actions, action)
	}
	for _, x := range i.Exhibits {
		x.Name, x.Problem = b.text(x.Name), b.text(x.Problem)
		r.Exhibits = append(r.Exhibits, x)
	}
	r.Proof = b.findings(s.Proof)
	b.preflight()
	b.watched()
	b.untold()
	r.Impact = b.impact()
	r.Journal = Chain{
		Name: b.plain(a.Journal), Records: len(a.Records), First: first.Hash, Last: last.Hash,
		Verify: b.plain(a.Verify), Broken: b.text(a.Broken),
	}
	b.remembered()
	b.due()
	r.Status = b.status()
}

// momentNames are the times that count, in the order in which they come.
var momentNames = []string{
	"introduced", "detected", "decided", "activated", "contained", "preserved", "reverted", "verified", "steady", "signed_off", "over", "stood_down", "filed",
}

func (b *builder) span(name, from, to string) Span {
	x, y := b.at[from].At, b.at[to].At
	span := Span{Name: name, From: from, To: to}
	if !x.IsZero() && !y.IsZero() {
		span.Known, span.Took = true, about(y.Sub(x))
	}
	return span
}

// about is a time span as exact as matters.
func about(d time.Duration) guard.Duration {
	if d < 10*time.Second {
		return guard.Duration(d.Round(100 * time.Millisecond))
	}
	return guard.Duration(d.Round(time.Second))
}

// untold adds the notices that nobody has got so far.
func (b *builder) untold() {
	for _, t := range b.state.Todo {
		d, tells := t.Deed.(guard.Tell)
		if !tells || d.Notice.Passing {
			continue
		}
		channel := report.Channel(b.account.Plan, d.Channel)
		if !slices.ContainsFunc(b.Told, func(old Told) bool { return old.Key == d.Notice.Key && old.Channel == channel }) {
			n := d.Notice
			b.Told = append(b.Told, Told{
				Key: n.Key, At: n.At, Audience: n.Audience, Roles: b.texts(n.Roles), Channel: channel, Title: b.text(n.Title),
				Sum: fmt.Sprintf("%x", sha256.Sum256([]byte(n.Title+"\n"+n.Text))), Tries: t.Tries,
			})
		}
	}
	slices.SortStableFunc(b.Told, func(x, y Told) int { return x.At.Compare(y.At) })
}

// preflight keeps what the checks found before the launch, and what it was let go in spite of.
func (b *builder) preflight() {
	found := b.findings(b.state.Findings)
	for _, f := range found {
		if b.Checks == nil {
			b.Checks = map[string]int{}
		}
		b.Checks[f.Verdict.String()]++
		if f.Verdict != guard.Pass || f.Waived != nil {
			b.Launched = append(b.Launched, f)
		}
		if f.Waived != nil {
			b.Waivers = append(b.Waivers, *f.Waived)
		}
	}
}

// watched keeps what was watched, against which bounds.
func (b *builder) watched() {
	for _, s := range b.account.Plan.Watch.Signals {
		query := s.Value
		switch {
		case s.Total != "" || s.Bad != "":
			query = s.Bad + " / " + s.Total
		case s.Histogram != "":
			query = s.Histogram
		case query == "":
			query = s.Preset
		}
		signal := Signal{Name: s.Name, Query: b.plain(query), Deciding: b.decided && b.deciding.Signal == s.Name}
		if !s.OwnPast() {
			signal.MaxIncrease, signal.IgnoreBelow = s.MaxIncrease.String(), s.IgnoreBelow.String()
		}
		signal.Never = never(s.Never)
		b.Signals = append(b.Signals, signal)
	}
}

// never is a ceiling in a few words; empty: there is none.
func never(c guard.Ceiling) string {
	var words []string
	if c.Rate > 0 {
		words = append(words, c.Rate.String())
	}
	for _, q := range []struct {
		name  string
		limit guard.Duration
	}{{"p50", c.P50}, {"p90", c.P90}, {"p95", c.P95}, {"p99", c.P99}} {
		if q.limit > 0 {
			words = append(words, fmt.Sprintf("%s > %s", q.name, q.limit))
		}
	}
	if c.Above != nil {
		words = append(words, fmt.Sprintf("> %g", *c.Above))
	}
	if c.Below != nil {
		words = append(words, fmt.Sprintf("< %g", *c.Below))
	}
	return strings.Join(words, ", ")
}

// remembered keeps what the ledger has about the rollout.
func (b *builder) remembered() {
	id := b.state.Release.ID
	switch l := b.account.Ledger; {
	case l == nil:
		b.LedgerFault = "unseen"
	case l.Broken != "":
		b.LedgerFault = b.text(l.Broken)
	case l.Missing:
		b.LedgerFault = "missing"
	default:
		for _, e := range l.Entries {
			if id == "" || !(e.Subject == id || strings.HasSuffix(e.ID, "-"+id) || strings.Contains(e.ID, "-"+id+"-") || strings.HasSuffix(e.Settles, "-"+id) || strings.Contains(e.Settles, "-"+id+"-")) {
				continue
			}
			b.Remembered = append(b.Remembered, Remembered{
				At: e.At, Act: e.Act, Kind: e.Kind, ID: cmp.Or(e.ID, e.Settles), Until: e.Until, Says: b.text(e.Says),
			})
		}
	}
}

// due says by when the report has to be written, who owes it, and when it was. That it was the journal alone says: a ledger can
// be written by hand.
func (b *builder) due() {
	r, i := &b.Report, b.state.Incident
	r.Owner = cmp.Or(b.text(b.account.Plan.Owner), "commander")
	for _, e := range cmp.Or(b.account.Ledger, &guard.Ledger{}).Entries {
		if e.Act == guard.Obliged && e.Kind == guard.KindReport && e.Subject == r.Release.ID {
			r.Due, r.Owner = e.Until, cmp.Or(b.text(e.By), r.Owner)
		}
	}
	if o, owed := i.Owes(guard.DueFiled); owed {
		r.Due, r.Owner = o.Until, o.Role
	}
	r.Filed = i.Filed
	if !r.Due.IsZero() && r.Filed.After(r.Due) {
		r.Late = guard.Duration(r.Filed.Sub(r.Due).Round(time.Second)).String()
	}
}

func (b *builder) status() Status {
	learned, owes := b.state.Incident.Owes(guard.DueLearned)
	switch {
	case b.Filed.IsZero():
		return Draft
	case len(b.Missing) > 0:
		return InReview
	case owes && !learned.Met.IsZero():
		return Closed
	}
	return Reviewed
}

// sorted are the keys of what people have said, in an order that does not change.
func sorted(all map[string]string) []string { return slices.Sorted(maps.Keys(all)) }
