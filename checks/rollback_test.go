package checks

import (
	"testing"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

// release changes which versions a scene is about.
func release(s guard.Scene, from, to string) guard.Scene {
	s.Release.From, s.Release.To = from, to
	return s
}

// standingAt is a scene in which the backend says this.
func standingAt(t *testing.T, at guard.Standing) guard.Scene {
	t.Helper()
	return scene(t, "", guard.Answer{Standing: at})
}

const limited = "\nwatch: {source: {use: scrape}, signals: [{name: errors, total: requests, bad: failures, never: 5%}]}"

func TestRollbackTarget(t *testing.T) {
	open := guard.Undo{Open: true}
	checktest.Run(t, rollbackTarget, []checktest.Case{
		{Name: "in place", Scene: standingAt(t, guard.Standing{Undo: open}), Want: []guard.Finding{{
			Verdict:  guard.Pass,
			Title:    "v1 is in place to go back to",
			Observed: "100% of the traffic is on v1, 0% on v2",
		}}},
		{Name: "almost launched", Scene: standingAt(t, guard.Standing{Percent: 99, Undo: open}), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "launched", Scene: standingAt(t, guard.Standing{Percent: 100, Undo: open}), Want: []guard.Finding{{
			Verdict: guard.Fail,
			Reason:  "v2 has all of the traffic already, and nothing shows that v1 still works",
			Remedy:  "give the traffic back before launching again: golive rollback --from v1 --to v2",
		}}},
		{Name: "no way back", Scene: standingAt(t, guard.Standing{}), Want: []guard.Finding{{
			Verdict: guard.Unknown,
			Reason:  "the backend does not vouch for v1 while the way back is shut",
			Remedy:  "mend GL202 first: golive explain GL202",
		}}},
		{Name: "less than no traffic", Scene: standingAt(t, guard.Standing{Percent: -1, Undo: open}), Want: []guard.Finding{{
			Verdict: guard.Unknown,
			Reason:  "a share of -1% cannot be: it is 0 to 100",
			Remedy:  "mend the backend that is set up in rollout.backend",
		}}},
		{Name: "the same version", Scene: release(standingAt(t, guard.Standing{Undo: open}), "v2", "v2"), Want: []guard.Finding{{
			Verdict: guard.Fail,
			Reason:  "the old version and the new one are the same, so going back would change nothing",
			Remedy:  "name the version that serves now: golive check --from VERSION --to v2",
		}}},
		{Name: "a first release", Scene: release(scene(t, limited, guard.Answer{}), "", "v1"), Want: []guard.Finding{{
			Verdict: guard.Warn,
			Reason:  "this is a first release: there is nothing to go back to, and only the absolute limits of the plan guard it",
			Remedy:  "if a version serves already, name it: golive check --from VERSION --to v1",
		}}},
		{Name: "a first release without limits", Scene: release(scene(t, "", guard.Answer{}), "", "v1"), Want: []guard.Finding{{
			Verdict: guard.Fail,
			Remedy:  "give a signal a limit, such as never: 5% for errors, in watch.signals",
		}}},
	})
}

func TestRollbackDryRun(t *testing.T) {
	checktest.Run(t, rollbackDryRun, []checktest.Case{
		{Name: "open", Scene: standingAt(t, guard.Standing{Undo: guard.Undo{Open: true}}), Want: []guard.Finding{{
			Verdict: guard.Pass, Title: "the way back is open", Observed: "open",
		}}},
		{Name: "open, with a word", Scene: standingAt(t, guard.Standing{Undo: guard.Undo{Open: true, Detail: "socket is\nwritable"}}), Want: []guard.Finding{{
			Verdict: guard.Pass, Observed: "open: socket is writable",
		}}},
		{Name: "shut", Scene: standingAt(t, guard.Standing{Undo: guard.Undo{Detail: "403 Forbidden"}}), Want: []guard.Finding{{
			Verdict:  guard.Fail,
			Reason:   "the backend http could not take the traffic back",
			Remedy:   "give what is set up in rollout.backend the right to move the traffic, then check again",
			Observed: "shut: 403 Forbidden",
		}}},
		{Name: "nothing said", Scene: standingAt(t, guard.Standing{}), Want: []guard.Finding{{Verdict: guard.Fail, Observed: "shut"}}},
		{Name: "a first release", Scene: release(standingAt(t, guard.Standing{}), "", "v1"), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "this is a first release: there is no way back that could be tried",
		}}},
	})
}
