package checks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// vaults is a probe of backups: it asks each vault of the plan which ones it holds, and judges the answers. What a
// store without a vault lacks, backup.coverage says.
type vaults struct {
	whether string // goes on after "It asks"
	write   string // goes on after "To mend it,"
	want    string // a few words, for findings
	each    string // what a vault is, when all is well: a title is its subject and this
	// together judges all vaults of a store at once, and not one by one.
	together bool
	// judge says what is to be said of these stocks: it completes a finding that names them.
	judge func(s guard.Scene, held []stock, f guard.Finding) guard.Finding
}

// A stock is what one vault keeps of a store.
type stock struct {
	store   guard.Store
	source  guard.BackupSource
	path    string
	subject string
	mend    string         // mends a vault that gives no answer
	backups []guard.Backup // the newest first, none of them from a time to come
	err     error          // why that is not known
	answer  guard.Answer
}

func (v vaults) asks() string            { return v.whether }
func (v vaults) mend(guard.Check) string { return v.write }

func (vaults) reads() []string { return nil }

func (v vaults) find(ctx context.Context, s guard.Scene, c guard.Check) []guard.Finding {
	var named []stock
	for i, store := range s.Plan.Data {
		same := map[string]int{}
		for j, source := range store.Backups {
			h := stock{store: store, source: source, path: fmt.Sprintf("data[%d].backups[%d]", i, j), subject: store.Name + " by " + source.Use}
			if same[source.Use]++; same[source.Use] > 1 {
				h.subject += fmt.Sprintf(" #%d", same[source.Use])
			}
			named = append(named, h)
		}
	}
	if len(named) == 0 {
		return []guard.Finding{v.noVault(s)}
	}
	asked := each(named, func(h stock) stock { return h.ask(ctx, s) })
	var groups [][]stock
	for i, h := range asked {
		if last := len(groups) - 1; v.together && i > 0 && groups[last][0].store.Name == h.store.Name {
			groups[last] = append(groups[last], h)
		} else {
			groups = append(groups, []stock{h})
		}
	}
	var findings []guard.Finding
	for _, group := range groups {
		findings = append(findings, v.finding(s, group))
	}
	return findings
}

// noVault tells a plan that says that there is no data from one that says nothing, or not how it is backed up.
func (v vaults) noVault(s guard.Scene) guard.Finding {
	f := guard.Finding{Verdict: guard.Warn, Expected: v.want, Observed: "no vault", Path: "data"}
	switch {
	case s.Plan.Data == nil:
		f.Reason = notConfigured + "the plan does not say which data must survive"
		f.Remedy = noDataRemedy(s.Plan)
	case len(s.Plan.Data) > 0:
		f.Reason = notConfigured + "the plan names no backups"
		f.Remedy = "mend GL101 first: golive explain GL101"
	default:
		f.Verdict, f.Observed = guard.Pass, "the plan says that there is no data"
	}
	return f
}

func noDataRemedy(p *guard.Plan) string {
	return "list the stores in " + place(p, "data") + ", or write data: [] for a service that keeps none"
}

// finding judges the stocks of one vault, or of one store. Without an answer from each, nothing is known.
func (v vaults) finding(s guard.Scene, held []stock) guard.Finding {
	f := guard.Finding{Subject: held[0].subject, Path: held[0].path, Expected: v.want}
	if v.together {
		f.Subject, f.Path = held[0].store.Name, held[0].path[:strings.LastIndex(held[0].path, ".")]
	}
	f.Title = f.Subject + " " + v.each
	for _, h := range held {
		if h.err != nil {
			f.Path = h.path
			if len(h.backups) > 0 {
				f.Observed = fmt.Sprintf("%s ends at %s", brief(h.backups[0].ID), h.backups[0].Ended.UTC().Format(time.RFC3339))
			}
			return unknown(f, h.err, h.mend)
		}
		said := count(len(h.backups), "backup")
		if len(h.backups) > 0 {
			said += ", newest " + h.told(s)
		}
		f.Evidence = append(f.Evidence, evidence(h.source.Use+" of "+h.path, said, h.answer)...)
	}
	return v.judge(s, held, f)
}

// ask asks a vault for its backups. A list that cannot be true is no answer.
func (h stock) ask(ctx context.Context, s guard.Scene) stock {
	h.mend = "mend the vault that is set up in " + place(s.Plan, h.path)
	if h.answer, h.err = s.Ask(ctx, guard.Question{Backups: &h.source.Part}); h.err != nil {
		return h
	}
	for _, b := range h.answer.Backups {
		if b.Ended.IsZero() || b.Bytes < 0 {
			h.err = fmt.Errorf("the vault lists %q, which has no end or a size below nothing", brief(b.ID))
			return h
		}
	}
	h.backups = slices.SortedStableFunc(slices.Values(h.answer.Backups), func(a, b guard.Backup) int { return b.Ended.Compare(a.Ended) })
	if len(h.backups) > 0 && h.age(s) < -skew {
		h.err = errors.New("clock skew: the newest backup ends " + span(-h.age(s)) + " from now")
		h.mend = "set the clocks of this machine and of the vault, then check again"
	}
	return h
}

// age is how long ago the newest backup ended.
func (h stock) age(s guard.Scene) time.Duration { return s.Now.Sub(h.backups[0].Ended) }

// young says that there is a backup that is no older than it may be.
func (h stock) young(s guard.Scene) bool {
	return len(h.backups) > 0 && h.age(s) <= h.source.MaxAge.Std()
}

// told names the newest backup.
func (h stock) told(s guard.Scene) string {
	newest := h.backups[0]
	return fmt.Sprintf("%s ended %s ago, at %s", brief(newest.ID), span(max(0, h.age(s))), newest.Ended.UTC().Format(time.RFC3339))
}
