package checks

import (
	"testing"
	"time"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

// wentBack is a drill of the way back, as a plan with these chapters has it.
func wentBack(t *testing.T, chapters string, age, took time.Duration) guard.Entry {
	t.Helper()
	return guard.Entry{
		At: now.Add(-age), Act: guard.Result, Kind: "drill.rollback", Service: "shop", Outcome: guard.Pass,
		Took: guard.Duration(took), Method: parse(t, chapters).Method("drill.rollback", ""),
	}
}

func TestRollbackDrill(t *testing.T) {
	const other = "\nrollout: {backend: {use: command}, steps: [10, 100]}"
	entry := func(age time.Duration) []guard.Entry { return []guard.Entry{wentBack(t, "", age, time.Minute)} }
	failed := wentBack(t, "", anHour, time.Minute)
	failed.Outcome, failed.Says = guard.Fail, "the cache was cold"
	checkLedger(t, rollbackDrill, []ledgerCase{
		{name: "never", verdict: guard.Fail, reason: "no result", remedy: "golive drill rollback --from OLD --to NEW"},
		{name: "yesterday", entries: entry(aDay), verdict: guard.Pass},
		{name: "92 days ago", entries: entry(92 * aDay), verdict: guard.Pass},
		{name: "longer ago", entries: entry(92*aDay + time.Second), verdict: guard.Fail, reason: "1s older than it may be"},
		{name: "by another backend", chapters: other, entries: entry(aDay), verdict: guard.Fail, reason: "the way has changed since"},
		{name: "the steps do not matter", chapters: "\nrollout: {backend: {use: http}, steps: [1, 100]}", entries: entry(aDay), verdict: guard.Pass},
		{name: "it needs more", chapters: "\nrollout: {backend: {use: http}, steps: [10, 100], needs: [vpn]}", entries: entry(aDay), verdict: guard.Fail, reason: "the way has changed since"},
		{name: "it went wrong", entries: append(entry(aDay), failed), verdict: guard.Fail, reason: "went wrong: the cache was cold"},
		{name: "from a time to come", entries: entry(-anHour), verdict: guard.Unknown, reason: "clock skew"},
	})
}

func TestRollbackCompat(t *testing.T) {
	const store = "\ndata: [{name: orders, backups: [{use: restic}], migrations: "
	const answered = store + "irreversible, forward_only: a correction goes live instead}]"
	checkLedger(t, rollbackCompat, []ledgerCase{
		{name: "no data", chapters: "\ndata: []", verdict: guard.Pass},
		{name: "no migration", chapters: "\ndata: [{name: orders}]", verdict: guard.Pass},
		{name: "reversible", chapters: store + "reversible}]", verdict: guard.Pass},
		{name: "expand and contract", chapters: store + "expand_contract}]", verdict: guard.Pass},
		{name: "no way out", chapters: store + "irreversible}]", entries: []guard.Entry{climbed("drill.restore", anHour, guard.RungVerified)}, verdict: guard.Fail,
			reason: "not configured: the migration cannot be undone", remedy: "write forward_only: WHAT in data[0]"},
		{name: "a way out to come", chapters: store + "irreversible, forward_only: TODO}]", verdict: guard.Fail, reason: "not configured"},
		{name: "never restored", chapters: answered, verdict: guard.Fail, reason: "no result", remedy: "golive drill restore --data orders"},
		{name: "restored", chapters: answered, entries: []guard.Entry{climbed("drill.restore", anHour, guard.RungVerified)}, verdict: guard.Pass},
		{name: "restored by the vault", chapters: answered, entries: []guard.Entry{climbed("drill.verify", anHour, guard.RungRestored)}, verdict: guard.Pass},
		{name: "only read", chapters: answered, entries: []guard.Entry{climbed("drill.verify", anHour, guard.RungRead)}, verdict: guard.Fail, reason: "does not show that the data comes back"},
		{name: "a week ago", chapters: answered, entries: []guard.Entry{climbed("drill.restore", 7*aDay, guard.RungVerified)}, verdict: guard.Pass},
		{name: "longer ago", chapters: answered, entries: []guard.Entry{climbed("drill.restore", 7*aDay+time.Second, guard.RungVerified)}, verdict: guard.Fail, reason: "1s older"},
		{name: "it went wrong", chapters: answered, entries: []guard.Entry{flawed("drill.restore", anHour, guard.RungListed)}, verdict: guard.Fail, reason: "went wrong"},
		{name: "without a proof", chapters: answered, entries: []guard.Entry{drilled("drill.restore", anHour, nil)}, verdict: guard.Fail, reason: "does not show that the data comes back"},
	})
}

func TestRollbackTime(t *testing.T) {
	const rto = "\nobjectives: {rto: 30m}"
	took := func(d time.Duration) []guard.Entry { return []guard.Entry{wentBack(t, "", aDay, d)} }
	checkLedger(t, rollbackTime, []ledgerCase{
		{name: "nobody says how long it may take", entries: took(time.Minute), verdict: guard.Fail, reason: "not configured: the plan does not say how long", remedy: "write rto: 30m in objectives"},
		{name: "never", chapters: rto, verdict: guard.Fail, reason: "no result"},
		{name: "quickly", chapters: rto, entries: took(time.Minute), verdict: guard.Pass},
		{name: "just quickly enough", chapters: rto, entries: took(20 * time.Minute), verdict: guard.Pass},
		{name: "nothing to spare", chapters: rto, entries: took(20*time.Minute + time.Second), verdict: guard.Fail, reason: "it took 20m1s, and with half as much again that is more than the 30m"},
		{name: "too slowly", chapters: rto, entries: took(31 * time.Minute), verdict: guard.Fail, reason: "it took 31m, and the service may be away for 30m"},
		{name: "not measured", chapters: rto, entries: took(0), verdict: guard.Fail, reason: "nobody has measured"},
		{name: "in another way", chapters: rto, entries: []guard.Entry{otherwise(wentBack(t, "", aDay, time.Minute))}, verdict: guard.Fail, reason: "the way has changed since"},
		{name: "the last one counts", chapters: rto, entries: append(took(time.Minute), wentBack(t, "", anHour, anHour)), verdict: guard.Fail, reason: "it took 1h"},
		{name: "too long ago", chapters: rto, entries: []guard.Entry{wentBack(t, "", 92*aDay+time.Second, time.Minute)}, verdict: guard.Fail, reason: "1s older"},
	})
}

func TestRollbackIndependent(t *testing.T) {
	needs := func(list string) guard.Scene {
		return scene(t, "\ndepends_on: [payments]\nrollout: {backend: {use: http}, steps: [10, 100]"+list+"}", guard.Answer{})
	}
	checktest.Run(t, rollbackIndependent, []checktest.Case{
		{Name: "it says what", Scene: needs(", needs: [haproxy, vpn]"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "haproxy, vpn"}}},
		{Name: "it says nothing", Scene: needs(""), Want: []guard.Finding{{
			Verdict: guard.Fail, Unset: true, Reason: "not configured: the plan does not say what going back depends on", Remedy: "write needs: [PROGRAM, ACCOUNT] in rollout",
		}}},
		{Name: "nothing is needed", Scene: needs(", needs: []"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "nothing is needed"}}},
		{Name: "the service itself", Scene: needs(", needs: [vpn, shop]"), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "shop", Reason: "going back needs shop, which is what goes live", Path: "rollout.needs[1]",
		}}},
		{Name: "what the service depends on", Scene: needs(", needs: [payments]"), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "payments", Reason: "going back needs payments, on which the service depends: its trouble would shut the way back",
		}}},
	})
}

func TestScenarioCoverage(t *testing.T) {
	const roster = "\nroster: {people: [{name: Mei Lin, role: on_duty}, {name: TODO, role: commander}]}"
	const answer = "trigger: an alert, owner: on_duty, action: call, within: 10m}"
	// but is all classes, the first with these words in place of an answer.
	but := func(words string) guard.Scene {
		chapters := roster + "\nscenarios:"
		for i, class := range guard.Classes {
			if i == 0 && words != "" {
				chapters += "\n  - {name: " + class + ", " + words + "}"
			} else {
				chapters += "\n  - {name: " + class + ", " + answer
			}
		}
		return scene(t, chapters, guard.Answer{})
	}
	first := func(reason, remedy string) []guard.Finding {
		return []guard.Finding{{Verdict: guard.Fail, Subject: "bad_release", Reason: reason, Remedy: remedy, Path: "scenarios[0]"}}
	}
	const unsaid = "not configured: the plan does not say all that has to be known"
	var missing []guard.Finding
	for _, class := range guard.Classes[1:] {
		missing = append(missing, guard.Finding{Verdict: guard.Fail, Subject: class, Reason: "not configured: the plan has no scenario " + class, Path: "scenarios"})
	}
	checktest.Run(t, scenarioCoverage, []checktest.Case{
		{Name: "all of them", Scene: but(""), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "10 scenarios"}}},
		{Name: "one is accepted", Scene: but("accept: a robot does it"), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "accepted later", Scene: but("accept: TODO"), Want: first(unsaid, "")},
		{Name: "nothing but a name", Scene: but("trigger: an alert"), Want: first(unsaid, "write owner: ROLE, action: WHAT, within: 1h, or accept: WHY, in scenarios[0]")},
		{Name: "no trigger", Scene: but("owner: on_duty, action: call, within: 1h"), Want: first(unsaid, "write trigger: HOW, or accept: WHY, in scenarios[0]")},
		{Name: "no time", Scene: but("trigger: an alert, owner: on_duty, action: call"), Want: first(unsaid, "write within: 1h, or accept: WHY, in scenarios[0]")},
		{Name: "a role that nobody holds", Scene: but("trigger: an alert, owner: wizard, action: call, within: 1h"), Want: first("nobody in the roster is wizard", "name a role that somebody holds in scenarios[0]")},
		{Name: "a role that somebody is to hold", Scene: but("trigger: an alert, owner: commander, action: call, within: 1h"), Want: first("nobody in the roster is commander", "")},
		{Name: "one of ten", Scene: scene(t, roster+"\nscenarios: [{name: bad_release, "+answer+"]", guard.Answer{}), Want: missing},
		{Name: "a case of their own", Scene: scene(t, roster+"\nscenarios: [{name: bad_release, "+answer+", {name: flood}]", guard.Answer{}), Want: append([]guard.Finding{
			{Verdict: guard.Fail, Subject: "flood", Reason: unsaid, Path: "scenarios[1]"},
		}, missing...)},
		{Name: "none", Scene: scene(t, roster, guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Unset: true, Reason: "not configured: the plan does not say what is done when something goes wrong", Path: "scenarios",
		}}},
	})
}
