package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// The ledger is a journal beside the plan, that belongs into the same repository: what it says holds on every
// machine, and a review shows what was added.
const ledgerExtension = ".ledger"

// ledgerWaits is how long another process may hold the ledger, which it does for one entry.
const ledgerWaits = 10 * time.Second

// acknowledged is how people state that they know the plan.
const acknowledged = "plan.acknowledged"

// ledgerPath is where the ledger lies: where the environment says, or beside the plan.
func (p *program) ledgerPath() string {
	if p.settings.Ledger != "" {
		return p.settings.Ledger
	}
	return strings.TrimSuffix(p.settings.Plan, filepath.Ext(p.settings.Plan)) + ledgerExtension
}

// readLedger reads what is remembered. A ledger that does not exist, or does not begin, is missing; one that was
// changed says so, and has no entries. So does one whose last record is torn: nobody can tell a crash in the middle
// of a record from an end that was cut off.
func (p *program) readLedger() (guard.Ledger, error) { return readLedger(p.ledgerPath()) }

// mayRecord says why nothing can be added to the ledger; nil: something can.
func (p *program) mayRecord() error {
	ledger, err := p.readLedger()
	if err == nil && ledger.Broken != "" {
		err = errors.New(ledger.Broken)
	}
	if err != nil {
		return fail(exitInternal, "the ledger cannot be added to: %w", err)
	}
	return nil
}

func readLedger(path string) (l guard.Ledger, err error) {
	sum, err := journal.Verify(path)
	var broken *journal.BrokenError
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && sum.Records == 0:
		return guard.Ledger{Missing: true}, nil
	case errors.As(err, &broken):
		return guard.Ledger{Broken: fmt.Sprintf("%s is broken at line %d: %s", broken.Path, broken.Line, broken.Reason)}, nil
	case err != nil:
		return guard.Ledger{}, err
	case sum.Torn > 0:
		return guard.Ledger{Broken: fmt.Sprintf("%d bytes behind the last record of %s are no record", sum.Torn, path)}, nil
	}
	for r, err := range journal.Read(path) {
		if err != nil {
			return guard.Ledger{}, err
		}
		var e guard.Entry
		if err := json.Unmarshal(r.Data, &e); err != nil {
			return guard.Ledger{Broken: fmt.Sprintf("record %d of %s is no entry: %v", r.Seq, path, err)}, nil
		}
		l.Entries = append(l.Entries, e)
	}
	return l, nil
}

// knownLedger is what the checks are told: the ledger, with what the journals beside it know and it does not, because a process
// was killed between the two, or it is another ledger than theirs; and the ledgers of other services that the plan names.
func (p *program) knownLedger(plan *guard.Plan) (guard.Ledger, error) {
	l, err := p.readLedger()
	if err != nil {
		return l, err
	}
	all, broken := p.histories()
	for _, h := range all {
		l = l.With(guard.LedgerOf(h.Plan, guard.State{}, h.State))
	}
	if broken != nil {
		l.Unread = broken.Error()
	}
	for _, setting := range plan.Checks.Settings {
		for service, path := range setting.Ledgers {
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(p.settings.Plan), path)
			}
			other, err := readLedger(path)
			if err != nil {
				other = guard.Ledger{Broken: err.Error()}
			}
			if l.Others == nil {
				l.Others = map[string]guard.Ledger{}
			}
			l.Others[service] = other
		}
	}
	return l, nil
}

// remember adds an entry to the ledger, and returns once it is on the disk. What the entry leaves open is filled
// in: when, and by whom.
func (p *program) remember(ctx context.Context, e guard.Entry) error {
	if e.At.IsZero() {
		e.At = time.Now().UTC().Round(0)
	}
	if e.By == "" {
		e.By = p.settings.By
	}
	e = p.secrets.entry(e)
	if err := e.Check(); err != nil {
		return fail(exitUsage, "%w", err)
	}
	j, err := p.openLedger(ctx)
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	_, err = j.Append(string(e.Act), e.At, e)
	if err = errors.Join(err, j.Close()); err != nil {
		return fail(exitInternal, "%w", err)
	}
	return nil
}

// rememberAll adds to the ledger what a rollout of a plan has led to, in order, but for what stands there already. Each entry
// that is new is told first, if told is given. A ledger that cannot be written holds up nothing: each entry that could not be
// written is lost, with the reason.
func (p *program) rememberAll(ctx context.Context, plan *guard.Plan, entries []guard.Entry, told func(guard.Entry), lost func(guard.Entry, error)) {
	if len(entries) == 0 {
		return
	}
	l, err := p.readLedger()
	if err == nil && l.Missing && !plan.Responds() { // who keeps no ledger is given none because of a version that was taken back
		entries = slices.DeleteFunc(entries, func(e guard.Entry) bool { return e.Act == guard.Result })
	}
	for _, e := range entries {
		if l.Has(e) {
			continue
		}
		if told != nil {
			told(e)
		}
		if err := p.remember(ctx, e); err != nil {
			lost(e, err)
		}
	}
}

// openLedger waits until no other process adds to the ledger.
func (p *program) openLedger(ctx context.Context) (*journal.Journal, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerWaits)
	defer cancel()
	for {
		j, err := journal.Open(p.ledgerPath())
		if errors.Is(err, os.ErrNotExist) {
			if j, err = journal.Create(p.ledgerPath()); err == nil {
				err = p.beginLedger(j)
			}
		}
		var locked *journal.LockedError
		if !errors.As(err, &locked) && !errors.Is(err, os.ErrExist) {
			return j, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// beginLedger writes the first entry.
func (p *program) beginLedger(j *journal.Journal) error {
	e := guard.Entry{At: time.Now().UTC().Round(0), Act: guard.Begun, Kind: "ledger", By: p.settings.By}
	if _, err := j.Append(string(e.Act), e.At, e); err != nil {
		return errors.Join(err, j.Close())
	}
	return nil
}

// initLedger begins a ledger where there is none.
func (p *program) initLedger(ctx context.Context) error {
	if l, err := p.readLedger(); err != nil || !l.Missing {
		return fail(exitUsage, "there is a ledger already: %s", p.ledgerPath())
	}
	j, err := p.openLedger(ctx)
	if err == nil && j.Summary().Records == 0 {
		err = p.beginLedger(j)
	}
	if err == nil {
		err = j.Close()
	}
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	fmt.Fprintf(p.out, "%s begins; commit it with the plan\n", p.ledgerPath())
	return nil
}

// ledgerCommand shows and verifies what is remembered.
func (p *program) ledgerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Show and verify what is remembered between launches",
		Long: `The ledger remembers what no launch can find out anew: drills and how they went, what people state, and
what is owed. It lies beside the plan as golive.ledger ($GOLIVE_LEDGER), belongs into the same repository, and is
only ever added to; its entries are tied to each other by hashes, like those of a journal.`,
		Example: `  golive ledger init
  golive ledger show
  golive ledger verify`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fail(exitUsage, "say init, show or verify: golive ledger --help")
		},
	}
	var kind string
	show := &cobra.Command{
		Use:     "show",
		Short:   "Print the entries, the oldest first",
		Long:    `show prints the entries of the ledger, one a line, and at the end what is still owed.`,
		Example: `  golive ledger show --kind drill.restore`,
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.showLedger(kind) },
	}
	show.Flags().StringVar(&kind, "kind", "", "only entries of this kind")
	c.AddCommand(&cobra.Command{
		Use:   "init",
		Short: "Begin a ledger",
		Long: `init begins a ledger where there is none. golive does not do so by itself before it has something to remember:
a ledger that was left behind on another machine would be taken for one in which nothing is owed.`,
		Example: `  golive ledger init`,
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return p.initLedger(c.Context()) },
	}, show, &cobra.Command{
		Use:     "verify",
		Short:   "Check that the ledger is whole and unchanged",
		Long:    `verify checks each entry against its hash and the one before, and changes nothing. Exit codes: 0 whole, 3 not.`,
		Example: `  golive ledger verify`,
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.verify([]journalFile{{p.ledgerPath(), p.ledgerPath()}}) },
	})
	return c
}

func (p *program) showLedger(kind string) error {
	l, err := p.readLedger()
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	if l.Broken != "" {
		return fail(exitNoGo, "%s", l.Broken)
	}
	entries := slices.DeleteFunc(l.Entries, func(e guard.Entry) bool { return kind != "" && e.Kind != kind })
	if p.settings.Output == asJSON {
		return p.answer(struct {
			Ledger  string        `json:"ledger"`
			Entries []guard.Entry `json:"entries"`
		}{p.ledgerPath(), append([]guard.Entry{}, entries...)})
	}
	if l.Missing {
		fmt.Fprintf(p.out, "there is no %s; golive ledger init begins one\n", p.ledgerPath())
	}
	for _, e := range entries {
		fmt.Fprintln(p.out, guard.Printable(entryText(e)))
	}
	return nil
}

// entryText says an entry in one line.
func entryText(e guard.Entry) string {
	words := []string{moment(e.At)}
	switch e.Act {
	case guard.Result:
		words = append(words, e.Outcome.String())
	case guard.Begun:
		return words[0] + "  the ledger begins"
	case guard.Settled:
		words = append(words, "settled", e.Settles)
	default:
		words = append(words, string(e.Act))
	}
	words = append(words, e.Kind)
	for _, w := range []struct{ name, value string }{
		{"", e.Subject}, {"id", e.ID}, {"by", e.By}, {"took", unlessZero(e.Took)}, {"until", untilText(e.Until)}, {"", e.Says},
	} {
		if w.value != "" {
			words = append(words, strings.TrimSpace(w.name+" "+guard.Line(w.value, 120)))
		}
	}
	return strings.Join(words, "  ")
}

func unlessZero(d guard.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func untilText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return moment(t)
}

// A note is what the flags of record, attest and settle say.
type note struct {
	subject, says, evidence, by string
	failed                      bool
	took, lasts                 string
}

func (n *note) flags(c *cobra.Command, by string) {
	c.Flags().StringVar(&n.subject, "subject", "", "what it is about: a store, a person, a scenario")
	c.Flags().StringVar(&n.says, "says", "", "what there is to say about it")
	c.Flags().StringVar(&n.evidence, "evidence", "", "a file that shows it; its name and SHA-256 are remembered")
	c.Flags().StringVar(&n.by, "by", by, "who says so ($GOLIVE_BY)")
}

// entry is what the flags say, of the plan's service.
func (n *note) entry(p *program, act guard.Act, kind string) (guard.Entry, *guard.Plan, error) {
	plan, _, err := p.readPlan()
	if err != nil {
		return guard.Entry{}, nil, err
	}
	e := guard.Entry{
		At: time.Now().UTC().Round(0), Act: act, Kind: kind, Subject: n.subject, Service: plan.Service, Environment: plan.Environment,
		By: n.by, Says: n.says, Plan: plan.Digest(), Method: plan.Method(kind, n.subject),
	}
	if n.evidence != "" {
		digest, err := digestOf(n.evidence)
		if err != nil {
			return e, plan, fail(exitUsage, "--evidence: %w", err)
		}
		e.Evidence = []guard.Evidence{{Asked: filepath.Base(n.evidence), Answer: "kept as it is", Digest: digest}}
	}
	if n.took != "" {
		if e.Took, err = guard.ParseDuration(n.took); err != nil {
			return e, plan, fail(exitUsage, "--took: %w", err)
		}
	}
	return e, plan, nil
}

func (p *program) recordCommand() *cobra.Command {
	var n note
	c := &cobra.Command{
		Use:   "record KIND",
		Short: "Write down how something went that golive did not do itself",
		Long: `record adds a result to the ledger, for the checks that ask when something was done last and how it went:
an inspection, a test of the standby, a drill that people have held. golive explain CODE names the kind that a check looks for.
What golive does itself, such as golive drill restore or golive notify test, it writes down itself, and nobody can declare. Whether a
drill was passed is computed: it took no longer than the RTO of the plan, and nobody says --fail.`,
		Example: `  golive record standby.test --took 4m --says "switched at 02:10, back at 02:14"
  golive record inspection.weekly --fail --says "disk 3 is failing"`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := ownResult(args[0], n.subject); err != nil {
				return err
			}
			e, plan, err := n.entry(p, guard.Result, args[0])
			if err != nil {
				return err
			}
			if strings.HasPrefix(e.Kind, "drill.") {
				return p.write(c.Context(), n.drilled(plan, e))
			}
			e.Outcome = guard.Pass
			if n.failed {
				e.Outcome = guard.Fail
			}
			return p.write(c.Context(), e)
		},
	}
	n.flags(c, p.settings.By)
	c.Flags().BoolVar(&n.failed, "fail", false, "it went wrong")
	c.Flags().StringVar(&n.took, "took", "", "how long it took, such as 4m")
	return c
}

// own are the kinds of results that golive writes down itself, from what it has seen, and the command that does. A result that
// somebody declares would hide one that went wrong.
var own = map[string]string{
	"drill.restore":   "golive drill restore --data STORE",
	"drill.verify":    "golive drill restore --data STORE --to restored",
	"drill.rollback":  "golive drill rollback --from OLD --to NEW",
	"drill.tabletop":  "golive drill tabletop",
	"drill.notify":    "golive drill notify",
	channelTest:       "golive notify test",
	contactTest:       "golive notify ack NAME",
	guard.KindRollout: "golive rollout --again REASON says why a version that did harm may be tried again",
}

// ownResult refuses a result that golive writes down itself. Of drills around a table it plays those of its own scenarios; one of
// another scenario people have to play.
func ownResult(kind, subject string) error {
	command, is := own[kind]
	if !is || kind == "drill.tabletop" && subject != "" && !slices.Contains(guard.Classes, subject) {
		return nil
	}
	return fail(exitUsage, "a result of %s golive writes down itself, from what it has seen: %s", kind, command)
}

// drilled is the entry of a drill that people have held without golive. Whether it was passed is computed from what they say of
// it: they carried it through, and if the plan says how soon the service has to be well again, they took the time and it was in time.
func (n *note) drilled(plan *guard.Plan, e guard.Entry) guard.Entry {
	kind := strings.TrimPrefix(e.Kind, "drill.")
	x := guard.Exercise{
		ID: newID(e.At, kind), Kind: kind, Scenario: e.Subject, By: e.By, Version: version(), Began: e.At.Add(-e.Took.Std()), Ended: e.At,
		Objectives: []string{"people do what the plan says"}, Took: guard.Spans{Recover: e.Took},
		Injects: []guard.Inject{{
			After: e.Took, What: "the drill as people have held it", Expected: "it goes as the plan has it",
			Observed: cmp.Or(e.Says, "it went as the plan has it"), Met: !n.failed,
		}},
	}
	if e.Kind == "drill.failover" || e.Took > 0 {
		x.Targets.Recover = plan.Objectives.RTO
	}
	entry := drilled(plan, e.Kind, e.Subject, x)
	entry.Says, entry.Evidence = cmp.Or(e.Says, entry.Says), e.Evidence
	return entry
}

func (p *program) attestCommand() *cobra.Command {
	var n note
	c := &cobra.Command{
		Use:   "attest KIND --by NAME --says WHAT",
		Short: "State, by name, what no program can see",
		Long: `attest adds to the ledger that a person of the roster states something: that the emergency power works,
that the plan is approved. It holds for so long (--for), and where it is about the plan, for the plan as it is now.`,
		Example: `  golive attest power --by "Wang Fang" --says "generator ran for ten minutes" --for 183d
  golive attest plan.approved --by "Wang Fang" --says "read and approved"`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			e, plan, err := n.entry(p, guard.Attested, args[0])
			if err != nil {
				return err
			}
			holds, err := guard.ParseDuration(n.lasts)
			if err != nil {
				return fail(exitUsage, "--for: %w", err)
			}
			e.Until = e.At.Add(holds.Std())
			if e.Kind == acknowledged && e.Subject == "" {
				e.Subject = e.By // each for themselves
			}
			if e.Kind == guard.KindAgain && holds.Std() > againHolds {
				if c.Flags().Changed("for") {
					return fail(exitUsage, "--for %s: a reason to try a version again holds for %s at most", n.lasts, guard.Duration(againHolds))
				}
				e.Until = e.At.Add(againHolds)
			}
			if err := p.inRoster(plan, e.By); err != nil {
				return err
			}
			return p.write(c.Context(), e)
		},
	}
	n.flags(c, p.settings.By)
	c.Flags().StringVar(&n.lasts, "for", "366d", "how long it holds")
	return c
}

// inRoster refuses what is said by somebody whom the plan does not know.
func (p *program) inRoster(plan *guard.Plan, name string) error {
	if slices.ContainsFunc(plan.Roster.People, func(person guard.Person) bool { return person.Name == name }) {
		return nil
	}
	return fail(exitUsage, "%q is not in the roster of %s: say --by NAME as it stands there", name, p.settings.Plan)
}

func (p *program) settleCommand() *cobra.Command {
	var n note
	c := &cobra.Command{
		Use:   "settle ID --says WHAT",
		Short: "Write down that what was owed is done",
		Long: `settle meets an obligation of the ledger: an action after an incident, what a drill has found. golive ledger show lists
what is owed. What a journal has to prove golive settles itself: an incident ends by golive stand-down, the report on it is filed by
golive report --file, and what was learned is said by golive learned.`,
		Example: `  golive settle action-20261124-031207-v3-1 --by "Mei Lin" --says "the limit is 500 now, see OPS-71" --evidence limits.md`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			e, plan, err := n.entry(p, guard.Settled, "")
			if err != nil {
				return err
			}
			if strings.TrimSpace(n.says) == "" && n.evidence == "" {
				return fail(exitUsage, "say what was done, with --says or --evidence")
			}
			if err := p.inRoster(plan, e.By); err != nil {
				return err
			}
			if err := p.catchUp(c.Context(), plan.Service); err != nil { // what a journal has ended is not owed any more
				return err
			}
			l, err := p.readLedger()
			if err != nil {
				return fail(exitInternal, "%w", err)
			}
			if l.Broken != "" {
				return fail(exitNoGo, "%s", l.Broken)
			}
			var ids []string
			for _, owed := range l.Owed(plan.Service) {
				ids = append(ids, owed.ID)
				if owed.ID == args[0] {
					e.Settles, e.Kind, e.Subject = owed.ID, owed.Kind, owed.Subject
				}
			}
			if e.Settles == "" && len(ids) == 0 {
				return fail(exitUsage, "nothing is owed")
			}
			if e.Settles == "" {
				return fail(exitUsage, "nothing is owed under the name %q; there is %s", args[0], strings.Join(ids, ", "))
			}
			if err := p.settledElsewhere(e); err != nil {
				return err
			}
			return p.write(c.Context(), e)
		},
	}
	n.flags(c, p.settings.By)
	return c
}

// catchUp writes into the ledger what the journals here know of a service and it does not.
func (p *program) catchUp(ctx context.Context, service string) (err error) {
	all, _ := p.histories() // one that cannot be read proves nothing: see settledElsewhere
	for _, h := range all {
		if h.State.Release.Service != service {
			continue
		}
		p.secrets.of(h.Plan, p.env)
		p.rememberAll(ctx, h.Plan, guard.LedgerOf(h.Plan, guard.State{}, h.State), nil, func(e guard.Entry, lost error) { err = errors.Join(err, lost) })
	}
	return err
}

// settledElsewhere refuses to settle what a journal has to prove, and says how it ends there: an incident is not over because
// somebody writes so into the ledger. Where its journal is not at hand, nobody knows how it stands.
func (p *program) settledElsewhere(e guard.Entry) error {
	ends := map[string][]string{
		guard.KindIncident: {"stand-down", e.Subject, "--why", "WHY"},
		guard.KindReport:   {"report", e.Subject, "--file"},
		guard.KindLesson:   {"learned", "TEXT", e.Subject},
	}[e.Kind]
	if ends == nil {
		return nil
	}
	all, broken := p.histories()
	for _, h := range all {
		if h.ID() == e.Subject { // its journal would have settled it: see catchUp
			return fail(exitUsage, "%s is open by the journal of %s, and has to end there: %s", e.Settles, h.ID(), p.call(ends...))
		}
	}
	if broken != nil {
		return fail(exitUsage, "%s is settled by the journal of %s alone, and there are journals in %s that cannot be read: %w", e.Settles, e.Subject, p.settings.Journal, broken)
	}
	return fail(exitUsage, "%s is settled by the journal of %s alone, which is not in %s (say where it is: --journal DIR, or --server URL), by %s",
		e.Settles, e.Subject, p.settings.Journal, p.call(ends...))
}

// write remembers an entry, and says so.
func (p *program) write(ctx context.Context, e guard.Entry) error {
	e = p.secrets.entry(e) // it is told, too
	if err := p.remember(ctx, e); err != nil {
		return err
	}
	if p.settings.Output == asJSON {
		return p.answer(e)
	}
	fmt.Fprintf(p.out, "%s\nwritten to %s\n", guard.Printable(entryText(e)), p.ledgerPath())
	return nil
}
