package main

import (
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
func (p *program) readLedger() (l guard.Ledger, err error) {
	sum, err := journal.Verify(p.ledgerPath())
	var broken *journal.BrokenError
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && sum.Records == 0:
		return guard.Ledger{Missing: true}, nil
	case errors.As(err, &broken):
		return guard.Ledger{Broken: fmt.Sprintf("%s is broken at line %d: %s", broken.Path, broken.Line, broken.Reason)}, nil
	case err != nil:
		return guard.Ledger{}, err
	case sum.Torn > 0:
		return guard.Ledger{Broken: fmt.Sprintf("%d bytes behind the last record of %s are no record", sum.Torn, p.ledgerPath())}, nil
	}
	for r, err := range journal.Read(p.ledgerPath()) {
		if err != nil {
			return guard.Ledger{}, err
		}
		var e guard.Entry
		if err := json.Unmarshal(r.Data, &e); err != nil {
			return guard.Ledger{Broken: fmt.Sprintf("record %d of %s is no entry: %v", r.Seq, p.ledgerPath(), err)}, nil
		}
		l.Entries = append(l.Entries, e)
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
	if err == nil && l.Missing && !plan.Responds() {
		return // who keeps no ledger is given none because of a version that was taken back
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
a drill, an inspection, a test of a channel. golive explain CODE names the kind that a check looks for. What golive does
itself, such as golive drill restore, it writes down itself.`,
		Example: `  golive record standby.test --took 4m --says "switched at 02:10, back at 02:14"
  golive record inspection.weekly --fail --says "disk 3 is failing"`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "drill.restore" || args[0] == "drill.verify" {
				return fail(exitUsage, "%s takes a proof, which golive writes down itself: use golive drill restore --data STORE", args[0])
			}
			if args[0] == guard.KindRollout {
				return fail(exitUsage, "how a rollout went golive writes down itself; say why a version may be tried again: golive rollout --again REASON")
			}
			e, _, err := n.entry(p, guard.Result, args[0])
			if err != nil {
				return err
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
		Long: `settle meets an obligation of the ledger: the report on an incident, an action that a drill led to.
golive ledger show lists what is owed.`,
		Example: `  golive settle report-20261124-031207 --by "Mei Lin" --says "filed as OPS-71" --evidence report.md`,
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
			if err := p.settledElsewhere(args[0]); err != nil {
				return err
			}
			l, err := p.readLedger()
			if err != nil {
				return fail(exitInternal, "%w", err)
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
			return p.write(c.Context(), e)
		},
	}
	n.flags(c, p.settings.By)
	return c
}

// settledElsewhere says how something ends that a journal here knows more of: an incident is not over because the ledger says so.
func (p *program) settledElsewhere(id string) error {
	all, _ := p.histories() // what cannot be read says nothing
	for _, h := range all {
		i := h.State.Incident
		learned, owed := i.Owes(guard.DueLearned)
		switch {
		case id == guard.KindIncident+"-"+h.ID() && i.Open():
			return fail(exitUsage, "%s is open, and somebody has to stand it down: %s", id, p.call("stand-down", h.ID(), "--why", "WHY"))
		case id == guard.KindLesson+"-"+h.ID() && owed && learned.Open():
			return fail(exitUsage, "say what was learned, so that the journal of the incident has it too: %s", p.call("learned", "TEXT", h.ID()))
		}
	}
	return nil
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
