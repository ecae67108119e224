package guard

import (
	"context"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// A Part names a piece of software and says how to set it up. It reads like a step of a GitHub workflow.
type Part struct {
	Use  string `json:"use"`
	With With   `json:"with,omitempty"`
}

// With is the set-up of a part, as written in the plan. Secrets in it are still names: ${NAME} is replaced
// from the environment only when the part is made, so that no journal and no report ever holds one.
type With map[string]any

// A Release is the change that a rollout brings: To takes the place of From.
type Release struct {
	ID          string `json:"id"`
	Service     string `json:"service"`
	Environment string `json:"environment"`
	From        string `json:"from,omitempty"` // empty: the first release, with nothing to go back to
	To          string `json:"to"`
}

// First says that there is no older version to compare with and to go back to.
func (r Release) First() bool { return r.From == "" }

// Undo says whether the way back is open, tried with the credentials that going back will use.
type Undo struct {
	Open   bool   `json:"open"`
	Detail string `json:"detail,omitempty"`
}

// Standing is where the traffic is now.
type Standing struct {
	Percent int    `json:"percent"` // share of traffic on To, 0 to 100
	Undo    Undo   `json:"undo"`
	Shares  []int  `json:"shares,omitempty"` // the only shares the backend can give; empty: any
	Detail  string `json:"detail,omitempty"`
}

// An Order says which release a backend acts on, and in which place the call stands. Calls of one owner have
// growing Seq, owners have growing Fence: a backend that can keep the highest (Fence, Seq) refuses lower ones.
type Order struct {
	Release
	Fence int64  `json:"fence"`
	Seq   int64  `json:"seq"`
	Key   string `json:"key"` // the same for every repeat of one call
}

// A Backend moves traffic between two versions.
type Backend interface {
	// Inspect says where the traffic is, and changes nothing. A backend that can only come near the share
	// it was asked for gives that share as Percent once it has come as near as it can, and the real one in Detail.
	Inspect(ctx context.Context, r Release) (Standing, error)
	// Shift gives To the share percent of the traffic: 0 undoes, 100 is all with From still ready.
	// It may be repeated. An error means that the share is not known.
	Shift(ctx context.Context, o Order, percent int) error
	// Finish says that From will not be needed any more and may be retired. It may be repeated.
	Finish(ctx context.Context, o Order) error
}

// A Fencer is a backend that says how it keeps late calls away: of an owner that was replaced, or of this one after it
// gave the call up. A backend need not be one; then it counts as one without a fence.
type Fencer interface {
	// Fences is the same for as long as the part lives, and asks nobody.
	Fences() Fence
}

// A Fence says what becomes of a call with a lower (Fence, Seq) than one that was obeyed before. The zero value says
// that nobody knows.
type Fence string

const (
	FenceEnforced Fence = "enforced" // it is refused: the highest pair is kept beside what is changed
	FenceAdvisory Fence = "advisory" // whoever is called learns of the pair, and decides
	FenceNone     Fence = "none"     // it is obeyed
)

// FenceOf is what a backend says of its fence; "" if it says nothing, or nothing that is known here.
func FenceOf(b Backend) Fence {
	fencer, ok := b.(Fencer)
	if !ok {
		return ""
	}
	switch f := fencer.Fences(); f {
	case FenceEnforced, FenceAdvisory, FenceNone:
		return f
	}
	return ""
}

// A Lister is a backend that knows where the instances of both versions are. A backend need not be one, and a backend
// of a plugin never is: then a source has to be told in the plan.
type Lister interface {
	// Instances lists all that may get traffic, and changes nothing. It may be repeated. That an arm has none is an
	// answer; an error means that the list could not be had, or that something in it has no address.
	Instances(ctx context.Context, r Release) ([]Instance, error)
}

// An Instance is one process that serves an arm, as its backend knows it.
type Instance struct {
	Arm     Arm
	Address string // where it serves: host:port, the host an IP address
}

// A Follower is a source that can read the instances that the backend lists. A source need not be one.
type Follower interface {
	// Follow is called once, before the first Read, with the backend of the plan; nil if that is no Lister. An error
	// is a mistake in the plan: the set-up needs a list, and there is none.
	Follow(l Lister) error
}

// A Query is what a source is asked each tick: the signals of a plan, for one release.
type Query struct {
	Release Release  `json:"release"`
	Signals []Signal `json:"signals"`
}

// Reading and its parts belong to the judge; a source needs them, and needs no other package than guard.
type (
	Reading = judge.Reading
	Series  = judge.Series
	Arm     = judge.Arm
)

// The two arms of a comparison.
const (
	Canary   = judge.Canary
	Baseline = judge.Baseline
)

// A Source reads metrics: raw cumulative counters and buckets of each instance of both arms, never rates.
type Source interface {
	// Read may be repeated. Having no data is not an error, and neither NaN nor Inf is data: such series
	// are left out. An error means that the source could not be asked, or has only a part of the data. What it
	// remarks on an answer that lacks nothing belongs into Remarks, and is told once in a rollout.
	Read(ctx context.Context, q Query) (Reading, error)
}

// A Historian is a source that also knows how things were. A source need not be one, and a source of a plugin
// never is: then the judge learns what is normal from what it sees, and there is no golive backtest.
type Historian interface {
	// History returns readings of the past, one for each step from the first time up to the second, the oldest
	// first, as Read would have given them then; times have to be those of samples. A reading without series is a
	// time without data. An error means that the source could not be asked, or for more than it can give.
	History(ctx context.Context, q Query, from, to time.Time, step time.Duration) ([]Reading, error)
}

// A Clock is a source that knows what time it is where it runs. A source need not be one, and a source of a plugin
// never is: then nobody says whether the times of its samples can be compared with ours.
type Clock interface {
	// Skew compares its clock with ours. It may be repeated, and asks for nothing but the time. An error means that
	// the source could not be asked, or does not tell its time.
	Skew(ctx context.Context, r Release) (Skew, error)
}

// A Skew says how far the clock of a source is ahead of ours. Its zero value says nothing.
type Skew struct {
	Ahead   time.Duration `json:"ahead,omitempty"`    // negative: it is behind
	Within  time.Duration `json:"within,omitempty"`   // how far off Ahead may be, either way; more than nothing, since nobody measures exactly
	NoClock bool          `json:"no_clock,omitempty"` // the source is no Clock
}

// How far back the judge looks before a rollout, and how closely: increases need no more.
const (
	Past     = 30 * time.Minute
	PastStep = time.Minute
)

// A Notice is something that people should know.
type Notice struct {
	Key     string    `json:"key"` // the same for every repeat, so that a repeat is recognisable
	Release Release   `json:"release"`
	Urgent  bool      `json:"urgent,omitempty"`
	Title   string    `json:"title"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`

	// Passing says that it is worth nothing any more once a newer one is there: it tells how far a rollout is, and no news.
	Passing bool `json:"passing,omitempty"`
	// Progress is where the rollout stood then, for whoever shows a state. It is empty in a test.
	Progress Progress `json:"progress,omitzero"`
	// Blockers are what kept the gate shut, in the notice that it did.
	Blockers []Blocker `json:"blockers,omitempty"`

	// What follows is of notices about an incident.
	News     News     `json:"news,omitempty"`     // what kind of news it is
	About    string   `json:"about,omitempty"`    // what it is about: the kind of an obligation that was breached, or a sentence
	Audience string   `json:"audience,omitempty"` // whom the words are chosen for: team, management, customer or vendor
	Roles    []string `json:"roles,omitempty"`    // who has to hear it: roles, vendors, customer, management or everyone
	Level    int      `json:"level,omitempty"`    // how bad it is, 1 the worst
	Outcome  Outcome  `json:"outcome,omitempty"`  // how the rollout has ended; empty: its traffic is still dealt with
	Ends     bool     `json:"ends,omitempty"`     // it is over: whoever shows an alert takes it away
	Reply    string   `json:"reply,omitempty"`    // an address at which a person can take it on, valid for this notice
	// Only are the names, as in Handed, of those who are still to get it: the others have it already. Empty: it is for all.
	// A notifier that sends to addresses of its own besides those of To leaves them out.
	Only []string `json:"only,omitempty"`
	// To are the people behind Roles at the minute of the delivery. They are filled in then, and never kept.
	To []Recipient `json:"to,omitempty"`
}

// A Progress is where a rollout stands.
type Progress struct {
	Phase    Phase   `json:"phase"`
	Outcome  Outcome `json:"outcome,omitempty"`  // once the phase is Over
	Percent  int     `json:"percent"`            // of the traffic, that the new version was last seen to have
	Incident bool    `json:"incident,omitempty"` // it has become one, which is not stood down
}

// A Blocker is a finding that keeps the gate shut, without its evidence.
type Blocker struct {
	Finding Finding `json:"finding"`
	Line    int     `json:"line,omitempty"` // in the file of the plan, from 1; 0: not known
}

// Headline is the title on one line, which says first if it is urgent.
func (n Notice) Headline() string {
	title := Line(n.Title, 200)
	if n.Urgent {
		return "URGENT: " + title
	}
	return title
}

// A Recipient is somebody whom a notice is for.
type Recipient struct {
	Name  string  `json:"name"`
	Role  string  `json:"role,omitempty"`
	Reach []Reach `json:"reach,omitempty"`
}

// A Receipt says what became of a notice.
type Receipt struct {
	Detail string   `json:"detail,omitempty"`
	Handed []Handed `json:"handed,omitempty"` // to each recipient that the notifier knows how to reach
}

// Handed says what became of a notice for one recipient.
type Handed struct {
	Name    string `json:"name"`
	Role    string `json:"role,omitempty"`
	Way     string `json:"way,omitempty"`     // the kind of address: "email"; never the address
	Problem string `json:"problem,omitempty"` // why it was not delivered; empty: it was. It is tried again for those with one
}

// A Notifier delivers notices. Notify may be repeated with the same key; an error means not delivered.
type Notifier interface {
	Notify(ctx context.Context, n Notice) (Receipt, error)
}

// A Probe asks one question about the world: does this address answer, does this command succeed. A plan
// names probes to verify a way back. An error means that the question could not be asked.
type Probe interface {
	Probe(ctx context.Context, r Release) (Finding, error)
}

// A Collector gathers what would show the cause, before going back destroys it. A plugin never brings one: what is
// collected is too much to be carried over.
type Collector interface {
	// Collect returns what it found, as it is: secrets are taken out by whoever keeps it. It changes nothing and may be
	// repeated. An error says why something is missing; what there was until then is returned beside it.
	Collect(ctx context.Context, r Release) (content []byte, err error)
}

// ExhibitAtMost is how many bytes of one exhibit are kept.
const ExhibitAtMost = 8 << 20

// A Check is one question about a release before its launch. It is a value; checks.All is the list of ours.
type Check struct {
	Code  string // "GL102"; of a plugin's own check: any code that does not begin with GL
	ID    string // "backup.age"
	Title string `json:",omitempty"` // a sentence that is true when all is well, for findings without one of their own
	Path  string `json:",omitempty"` // the key of the plan that it is about, for findings without one of their own
	Doc   string // what it asks, why, and how to mend it, for `golive explain GL102`
	// What it means to a plan of each tier; the zero value requires it. A plan with one of the clauses requires
	// it in any case.
	Standard, Critical Need     `json:",omitzero"`
	Clauses            []Clause `json:",omitempty"`
	// Unwaivable says that no waiver and no break-glass opens the gate for it; its Doc says why.
	Unwaivable bool `json:",omitempty"`
	// Reads are the keys of its setting in the plan that it looks at: within, least, ask, ledgers. No plan may set another, for
	// that would change nothing; need means something to every check.
	Reads []string `json:",omitempty"`
	// Last says that it is asked when all others have answered, and sees in Scene.Found what they found.
	Last bool  `json:",omitempty"`
	S    []int `json:",omitempty"` // the numbers of the demands on an emergency plan that it answers
	// Needs are the IDs of checks without whose pass the answer of this one is worth nothing: after one of them that
	// found nothing to pass it is not asked, and unknown. One that is off, or left out, is not waited for.
	Needs []string `json:",omitempty"`
	// Run returns one finding for each subject. An error means that it could not find out, which is
	// never a pass. It learns about the world only through the scene.
	Run func(ctx context.Context, s Scene) ([]Finding, error) `json:"-"`
}

// A Scene is what a check looks at. A check of a plugin sees all of it but Ask.
type Scene struct {
	Plan    *Plan     `json:"plan"`
	Release Release   `json:"release"`
	Now     time.Time `json:"now"`
	// Remembers says that the source of the plan is a Historian.
	Remembers bool `json:"remembers,omitempty"`
	// Found is what the other checks found; only a check that is Last sees it.
	Found []Finding `json:"found,omitempty"`
	// BreakGlass opens the gate for this launch alone; nil: it does not. It is no business of a plugin.
	BreakGlass *BreakGlass `json:"-"`
	// Ask puts a question to the world. The same question is put once for all checks. Nil in a plugin.
	Ask func(ctx context.Context, q Question) (Answer, error) `json:"-"`
}

// A Question is something that only the world can answer. Exactly one field is set.
type Question struct {
	Standing bool   `json:"standing,omitempty"` // where is the traffic, and is the way back open?
	Readings int    `json:"readings,omitempty"` // that many readings of all signals, one tick apart
	Past     bool   `json:"past,omitempty"`     // how was it for the last half hour (Past), every minute? Only a Historian knows.
	Clock    bool   `json:"clock,omitempty"`    // how far is the clock of the source ahead of ours?
	Backups  *Part  `json:"backups,omitempty"`  // which backups does this vault hold?
	Probe    *Part  `json:"probe,omitempty"`    // what does this probe say?
	Ledger   bool   `json:"ledger,omitempty"`   // what was done, stated and promised before?
	Restore  *Part  `json:"restore,omitempty"`  // could this restore begin now?
	Plans    bool   `json:"plans,omitempty"`    // which other plans beside this one are for the same service?
	Tool     string `json:"tool,omitempty"`     // where is this program?
	File     string `json:"file,omitempty"`     // what does this file say? It may have 1 MiB
}

// An Answer holds what its question asked for.
type Answer struct {
	Standing Standing  `json:"standing,omitzero"`
	Readings []Reading `json:"readings,omitempty"`
	Clock    Skew      `json:"clock,omitzero"`
	Backups  []Backup  `json:"backups,omitempty"`
	Finding  Finding   `json:"finding,omitzero"`
	Ledger   *Ledger   `json:"ledger,omitempty"`
	Plans    []string  `json:"plans"`
	Path     string    `json:"path,omitempty"`
	Text     string    `json:"text,omitempty"`
}
