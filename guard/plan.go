package guard

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/expr-lang/expr/vm"
)

// The tags of the types below say how a plan is written. json names the key; without omitempty or omitzero the
// key has to be there. oneof lists the only words that a field may hold. plan:"short" marks the field whose value
// may stand for the whole: `steps: [10]` is `steps: [{percent: 10}]`. jsonschema speaks to editors only.

// A Plan is one golive.yaml: a service's executable emergency plan. ParsePlan makes it; every value in it is
// either written in the file or the default that golive schema names.
type Plan struct {
	Service      string        `json:"service"`                                  // what is released
	Environment  string        `json:"environment,omitempty"`                    // where it is released to
	Tier         Tier          `json:"tier,omitempty" oneof:"standard critical"` // which checks are required
	Clauses      []Clause      `json:"clauses,omitempty"`                        // each makes more checks required
	Mode         Mode          `json:"mode,omitempty" oneof:"enforce observe"`
	Language     string        `json:"language,omitempty" oneof:"en zh"` // of what people are told, and of the paperwork
	Owner        string        `json:"owner,omitempty"`                  // who answers for this plan
	Reviewed     Date          `json:"reviewed,omitzero"`                // when people last went through it, line by line
	Objectives   Objectives    `json:"objectives,omitzero"`
	Plugins      []Plugin      `json:"plugins,omitempty"` // programs that bring parts of their own
	Tools        []Tool        `json:"tools,omitempty"`   // programs that have to be on this machine, beside those that the plan runs
	Rollout      Rollout       `json:"rollout"`
	Watch        Watch         `json:"watch"`
	Data         []Store       `json:"data,omitempty"` // what must survive, and how it is backed up
	Roster       Roster        `json:"roster,omitzero"`
	Calendar     Calendar      `json:"calendar,omitzero"`
	DependsOn    []string      `json:"depends_on,omitempty"` // services whose incidents are trouble for this one
	Scenarios    []Scenario    `json:"scenarios,omitempty"`  // what can go wrong, and what is done then
	Risks        []Risk        `json:"risks,omitempty"`
	Severity     []Level       `json:"severity,omitempty"`     // how bad it is; the first that holds
	Escalate     []Escalation  `json:"escalate,omitempty"`     // who is told when it goes on
	Messages     []Message     `json:"messages,omitempty"`     // what they are told
	Recovery     Recovery      `json:"recovery,omitzero"`      // what is done beside taking the traffic back
	Inventory    []Asset       `json:"inventory,omitempty"`    // what has to be there
	Attestations []Attestation `json:"attestations,omitempty"` // what has to be stated now and then
	Drills       []Drill       `json:"drills,omitempty"`       // what is rehearsed, and how often
	Evidence     Preserve      `json:"evidence,omitzero"`      // what is kept before going back
	Checks       Checks        `json:"checks,omitzero"`        // how the checks are tuned, added to and waived
	Notify       []Channel     `json:"notify,omitempty"`       // who is told, and how
	Gate         Gate          `json:"gate,omitzero"`          // how deploy tools wait for the checks

	file       string
	conditions map[string]*vm.Program // of severity, by their text, read once
	where      map[string]Position    // of every key path that the file holds, for messages: "rollout.steps[1].percent"
}

// File is the name of the file that the plan was read from.
func (p *Plan) File() string { return p.file }

// Position says where the file holds the value with this path, such as "rollout.steps[1].percent". Of a value
// that is not written there it is the place of what would enclose it.
func (p *Plan) Position(path string) Position {
	for !p.Writes(path) && path != "" {
		path = parent(path)
	}
	return p.where[path]
}

// Writes says whether the file itself holds a value with this path; a default is none.
func (p *Plan) Writes(path string) bool {
	_, ok := p.where[path]
	return ok
}

// Digest is the SHA-256 of the plan with all its defaults, hexadecimal. It is not changed by comments, by the
// order of keys, or by writing down a default.
func (p *Plan) Digest() string {
	canonical, err := json.Marshal(p)
	if err != nil {
		panic(err) // a parsed plan holds nothing that JSON cannot
	}
	return fmt.Sprintf("%x", sha256.Sum256(canonical))
}

// Mode says whether golive acts.
type Mode string

const (
	Enforce Mode = "enforce" // decide and act
	Observe Mode = "observe" // decide, report, and touch nothing
)

// A Plugin is a program golive-plugin-NAME, found on PATH or beside golive, never by a path.
type Plugin struct {
	Name   string   `json:"name"`
	SHA256 string   `json:"sha256,omitempty"` // of the program, hexadecimal; another program is refused
	Env    []string `json:"env,omitempty"`    // names of the variables of the environment that it sees, beside PATH, HOME, TMPDIR and LANG; none of golive's own
}

// A Tool is a program that has to be on the machine that runs golive. A bare name is Name.
type Tool struct {
	Name    string `json:"name" plan:"short"`
	AtLeast string `json:"at_least,omitempty"` // the oldest version that will do: "0.14"
	Print   string `json:"print,omitempty"`    // the command that prints its version; default NAME --version
}

// Rollout says how the traffic moves, and when it moves back.
type Rollout struct {
	Backend      Part      `json:"backend"`                       // what moves the traffic
	Rehearsal    *Part     `json:"rehearsal,omitempty"`           // the same kind of backend, on a target where a drill hurts nobody
	Steps        []Step    `json:"steps" jsonschema:"minItems=1"` // the shares of the traffic on the new version, up to 100
	Advance      Advance   `json:"advance,omitempty" oneof:"evidence time"`
	Bake         Bake      `json:"bake,omitzero"`
	Blind        Blind     `json:"blind,omitzero"`
	Scarce       Scarce    `json:"scarce,omitzero"`
	Alert        Alerts    `json:"alert,omitzero"`
	Deadline     Deadlines `json:"deadline,omitzero"`
	Verify       []Part    `json:"verify,omitempty"`                                        // probes that must pass before "restored" is said
	Needs        []string  `json:"needs,omitempty"`                                         // what going back depends on: services, programs, accounts
	OnNewRelease string    `json:"on_new_release,omitempty" oneof:"refuse supersede queue"` // what becomes of a release that comes while another is under way; supersede takes that one back first, which is no incident unless a reading or an alert speaks against it
}

// A Step is a share of the traffic that the new version has to prove itself on. A bare number is a Percent.
type Step struct {
	Percent int      `json:"percent" plan:"short" jsonschema:"minimum=1,maximum=100"`
	Name    string   `json:"name,omitempty"`     // whom it reaches
	Goal    string   `json:"goal,omitempty"`     // what it is to show
	Risk    string   `json:"risk,omitempty"`     // what may go wrong on it
	AtLeast Duration `json:"at_least,omitempty"` // shortest time on the step; default watch.promote.min_step
	AtMost  Duration `json:"at_most,omitempty"`  // longest time on the step; default watch.promote.max_step
}

// Advance says what it takes to go on to the next step.
type Advance string

const (
	OnEvidence Advance = "evidence" // as soon as the evidence suffices
	OnTime     Advance = "time"     // after at_least, unless something speaks against it
)

// Bake is the time after the last step during which the old version stays ready.
type Bake struct {
	For      Duration `json:"for,omitempty"`
	HoldBack Share    `json:"hold_back,omitempty"` // share kept on the old version, to have something to compare with
}

// Policy says what to do when the evidence does not decide.
type Policy string

const (
	ThenHold     Policy = "hold"     // stay on the step and keep watching, for three times at_most; then go back
	ThenRollback Policy = "rollback" // go back now
	ThenAsk      Policy = "ask"      // hold, and ask a person
	ThenProceed  Policy = "proceed"  // go on all the same
	ThenNote     Policy = "note"     // write it down, and nothing else
)

// Blind is what to do when the metrics are gone.
type Blind struct {
	After Duration `json:"after,omitempty"`
	Then  Policy   `json:"then,omitempty" oneof:"hold rollback ask"`
}

// Scarce is what to do when a step's time is over and there was not enough traffic to decide.
type Scarce struct {
	Then Policy `json:"then,omitempty" oneof:"hold rollback ask proceed"`
}

// Alerts is what to do while an alert fires that began after the rollout did. Those that fired before are no reason.
type Alerts struct {
	Then Policy `json:"then,omitempty" oneof:"note hold rollback"`
}

// Deadlines bound the moves of traffic; what has not happened by then counts as not done.
type Deadlines struct {
	Shift    Duration `json:"shift,omitempty"`
	Rollback Duration `json:"rollback,omitempty"`
}

// Watch says what is measured, and how the evidence is judged: guard/judge.
type Watch struct {
	Source         Part     `json:"source"`             // what reads the metrics
	Fallback       *Part    `json:"fallback,omitempty"` // what reads them when source cannot be asked; that source has no data is no reason
	Every          Duration `json:"every,omitempty"`    // one look, best the scrape interval: 5s to 15s
	Warmup         Warmup   `json:"warmup,omitzero"`
	FalseRollback  Share    `json:"false_rollback,omitempty"`                         // chance of a wrong rollback over the whole rollout, all signals together
	Split          string   `json:"split,omitempty" oneof:"request client"`           // how the router divides traffic
	Instances      string   `json:"instances,omitempty" oneof:"uniform mixed"`        // how alike the hosts are
	Episodes       Duration `json:"episodes,omitempty"`                               // trouble on one arm this short is tolerated
	OnAbsoluteOnly string   `json:"on_absolute_only,omitempty" oneof:"rollback hold"` // a limit broken with nothing to compare with
	OnTooFast      string   `json:"on_too_fast,omitempty" oneof:"hold warn"`          // answers faster than real work
	Promote        Promote  `json:"promote,omitzero"`
	Signals        []Signal `json:"signals" jsonschema:"minItems=1"`
}

// Warmup is what a cold canary is forgiven. A bare duration is For.
type Warmup struct {
	For   Duration `json:"for,omitempty" plan:"short"`
	Ratio float64  `json:"ratio,omitempty"` // how many times worse it may be at first
}

// Promote says what it takes to call a version healthy.
type Promote struct {
	Early      bool     `json:"early,omitempty"`      // before max_step, as soon as the evidence suffices
	Confidence Share    `json:"confidence,omitempty"` // that harm above the margins is excluded
	Patience   Duration `json:"patience,omitempty"`   // time on a step after which larger margins suffice
	Margin     Share    `json:"margin,omitempty"`     // harm larger than this must be excluded
	MinStep    Duration `json:"min_step,omitempty"`   // shortest time on a step
	MaxStep    Duration `json:"max_step,omitempty"`   // longest time on a step
}

// A Signal is one thing to watch: errors (total and bad), latency (histogram) or a gauge (value). Selectors
// may hold $version, $service and $environment; $canary behind =~ is any text for the new version, and none for the old.
type Signal struct {
	Name        string   `json:"name"`
	Preset      string   `json:"preset,omitempty" oneof:"envoy haproxy istio linkerd log micrometer nginx-ingress otel-http promhttp traefik"` // ready-made selectors for the signals errors and latency
	Total       string   `json:"total,omitempty"`                                                                                              // counter of all events
	Bad         string   `json:"bad,omitempty"`                                                                                                // counter of those events that went wrong
	Histogram   string   `json:"histogram,omitempty"`                                                                                          // of durations, named without _bucket
	Unit        string   `json:"unit,omitempty" oneof:"seconds milliseconds"`                                                                  // of the histogram; default seconds
	Value       string   `json:"value,omitempty"`                                                                                              // a gauge
	By          string   `json:"by,omitempty"`                                                                                                 // label that names the instance; empty: what the source takes for one
	MaxIncrease Share    `json:"max_increase,omitempty"`                                                                                       // how much worse than the old version is tolerated; default 25%, of latency 10%
	IgnoreBelow Share    `json:"ignore_below,omitempty"`                                                                                       // differences smaller than this do not matter; default 0.02pp, of latency 0.2pp
	Never       Ceiling  `json:"never,omitzero"`                                                                                               // what must not be reached, whatever the old version does
	Like        Duration `json:"like,omitempty"`                                                                                               // of a gauge: learn the bound from this much of its past
	Compare     string   `json:"compare,omitempty" oneof:"before"`                                                                             // against its own past, for what has no canary
}

// A Ceiling is what a signal may never reach, whatever the old version does. A bare share is Rate.
type Ceiling struct {
	Rate  Share    `json:"rate,omitempty" plan:"short"` // of bad events
	P50   Duration `json:"p50,omitempty"`
	P90   Duration `json:"p90,omitempty"`
	P95   Duration `json:"p95,omitempty"`
	P99   Duration `json:"p99,omitempty"`
	Above *float64 `json:"above,omitempty"` // of a gauge
	Below *float64 `json:"below,omitempty"` // of a gauge
	For   Duration `json:"for,omitempty"`   // of a gauge: how long it must last
}

// A Channel is a notifier and whom it serves.
type Channel struct {
	Part
	// For says whom it reaches: roles of the roster, and team, management, customer and vendor. A channel without it is the
	// team's, and hears all that the team is told.
	For []string `json:"for,omitempty"`
	// Progress says that it hears too how far a rollout is, from its beginning on, each time that it enters a phase: for
	// what shows a state, such as github, and not for what wakes people.
	Progress bool `json:"progress,omitempty"`
}
