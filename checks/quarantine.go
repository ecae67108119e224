package checks

import (
	"context"
	"fmt"

	"github.com/golive-dev/golive/guard"
)

var releaseQuarantine = row(guard.Check{
	Code: "GL211", ID: "release.quarantine", Title: "no harm is known of this version", Path: "rollout", S: []int{20},
},
	`A version that did harm does it again, unless something is different now: what the version is, does not change by
	itself. Whoever tries it once more knows of something, such as a database that was too small and has grown, and puts a
	name to that. A version that was mended has another name, and passes.`,
	quarantine{})

// quarantine is the obligation to give a reason before a version is tried again that did harm.
type quarantine struct{}

func (quarantine) asks() string {
	return "the ledger whether this version was taken back before because it did harm, and nobody has said since why it may be tried again"
}

func (quarantine) mend(guard.Check) string {
	return fold("bring a version that is mended, or say by name what is different now:") + "\n\n" +
		"    golive rollout --from VERSION --to VERSION --again REASON --by NAME"
}

func (quarantine) reads() []string { return nil }

func (quarantine) find(ctx context.Context, s guard.Scene, c guard.Check) []guard.Finding {
	f := guard.Finding{Title: c.Title + " (" + brief(s.Release.To) + ")", Expected: "no result that is a failure, or a reason since"}
	l, err := ledger(ctx, s)
	if err != nil {
		return []guard.Finding{unknown(f, err, ledgerRemedy)}
	}
	bad, found := l.Newest(s.Plan, guard.Result, guard.KindRollout, s.Release.To)
	switch {
	case l.Missing:
		f.Verdict, f.Observed = guard.Pass, "there is no ledger, so nothing is remembered"
		return []guard.Finding{f}
	case !found, bad.Outcome != guard.Fail:
		f.Verdict, f.Observed = guard.Pass, "no failure"
		return []guard.Finding{f}
	}
	f.Observed = toldOf(bad, s.Now.Sub(bad.At))
	f.Evidence = []guard.Evidence{{Asked: "ledger", Answer: f.Observed}}
	f.Verdict = guard.Fail
	f.Remedy = fmt.Sprintf("bring a version that is mended, or say why it may be tried again: golive rollout --to %s --again REASON --by NAME", quote(s.Release.To))
	again, stated := l.Newest(s.Plan, guard.Attested, guard.KindAgain, s.Release.To)
	switch {
	case !stated, again.At.Before(bad.At):
		f.Reason = "it was taken back" + because(bad.Says)
	case len(rolesHeld(s.Plan, again.By)) == 0:
		f.Reason = fmt.Sprintf("it was taken back, and %s, who wants it tried again, is not in the roster", brief(again.By))
	case s.Now.After(again.Until):
		f.Reason = "it was taken back, and the reason to try it again held until " + again.Until.UTC().Format(moment)
	default:
		f.Verdict, f.Remedy = guard.Pass, ""
		f.Observed = fmt.Sprintf("%s wants it tried again%s", brief(again.By), because(again.Says))
	}
	return []guard.Finding{f}
}
