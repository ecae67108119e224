package checks

import (
	"testing"
	"time"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestRTOEvidence(t *testing.T) {
	const rto = "\nobjectives: {rto: 30m}"
	const store = rto + "\ndata: [{name: orders, critical: true, backups: [{use: restic}]}, {name: mail, backups: [{use: restic}]}]"
	back := func(took time.Duration) guard.Entry { return wentBack(t, "", aDay, took) }
	restored := func(took time.Duration) guard.Entry {
		e := climbed("drill.restore", aDay, guard.RungVerified)
		e.Took = guard.Duration(took)
		return e
	}
	checkLedger(t, rtoEvidence, []ledgerCase{
		{name: "nobody says how long", entries: []guard.Entry{back(time.Minute)}, verdict: guard.Fail, reason: "not configured", remedy: "write rto: 30m in objectives"},
		{name: "never", chapters: rto, verdict: guard.Fail, reason: "no result", remedy: "golive drill rollback --from OLD --to NEW"},
		{name: "as long as it may take", chapters: rto, entries: []guard.Entry{back(30 * time.Minute)}, verdict: guard.Pass},
		{name: "longer", chapters: rto, entries: []guard.Entry{back(30*time.Minute + time.Second)}, verdict: guard.Fail, reason: "it took 30m1s, and the service may be away for 30m"},
		{name: "never restored", chapters: store, entries: []guard.Entry{back(time.Minute)}, verdict: guard.Fail, reason: "no result", remedy: "golive drill restore --data orders"},
		{name: "both", chapters: store, entries: []guard.Entry{back(time.Minute), restored(30 * time.Minute)}, verdict: guard.Pass},
		{name: "restored too slowly", chapters: store, entries: []guard.Entry{back(time.Minute), restored(31 * time.Minute)}, verdict: guard.Fail, reason: "it took 31m"},
		{name: "a drill of another way", chapters: rto, entries: []guard.Entry{otherwise(back(time.Minute))}, verdict: guard.Fail, reason: "the way has changed since"},
		{name: "restored in another way", chapters: store, entries: []guard.Entry{back(time.Minute), otherwise(restored(time.Minute))}, verdict: guard.Fail, reason: "the way has changed since"},
		{name: "without a proof", chapters: store, entries: []guard.Entry{back(time.Minute), drilled("drill.restore", anHour, nil)}, verdict: guard.Fail, reason: "was compared with the original"},
		{name: "a restore that went wrong", chapters: store, entries: []guard.Entry{back(time.Minute), flawed("drill.restore", anHour, guard.RungListed)}, verdict: guard.Fail, reason: "went wrong"},
		{name: "too long ago", chapters: rto, entries: []guard.Entry{wentBack(t, "", 92*aDay+time.Second, time.Minute)}, verdict: guard.Fail, reason: "1s older"},
	})
}

func TestRPOEvidence(t *testing.T) {
	const (
		rpo   = "\nobjectives: {rpo: 1h}"
		store = "\ndata: [{name: orders, critical: true, schedule: 1h, backups: [{use: file}, {use: restic, max_age: 1h}]}]"
	)
	lost := func(d time.Duration) []guard.Entry {
		e := climbed("drill.restore", aDay, guard.RungVerified)
		e.Lost = guard.Duration(d)
		return []guard.Entry{e}
	}
	checkLedger(t, rpoEvidence, []ledgerCase{
		{name: "nobody says how much", chapters: store, entries: lost(0), verdict: guard.Fail, reason: "not configured", remedy: "write rpo: 1h in objectives"},
		{name: "never restored", chapters: rpo + store, verdict: guard.Fail, reason: "no result", remedy: "golive drill restore --data orders"},
		{name: "as much as may be lost", chapters: rpo + store, entries: lost(anHour), verdict: guard.Pass},
		{name: "more", chapters: rpo + store, entries: lost(anHour + time.Second), verdict: guard.Fail, reason: "it lost the work of the last 1h0m1s, and no more than 1h may be lost"},
		{name: "not compared", chapters: rpo + store, entries: []guard.Entry{climbed("drill.restore", aDay, guard.RungRestored)}, verdict: guard.Fail, reason: "was compared with the original"},
		{name: "too long ago", chapters: rpo + store, entries: []guard.Entry{climbed("drill.restore", 92*aDay+time.Second, guard.RungVerified)}, verdict: guard.Fail, reason: "1s older"},
		{name: "no schedule", chapters: rpo + "\ndata: [{name: orders, critical: true, backups: [{use: restic, max_age: 1h}]}]", entries: lost(0), verdict: guard.Fail, reason: "not configured: the plan does not say how often", remedy: "write schedule: 1h in data[0]"},
		{name: "too seldom", chapters: rpo + "\ndata: [{name: orders, critical: true, schedule: 1d, backups: [{use: restic, max_age: 1h}]}]", entries: lost(0), verdict: guard.Fail, reason: "it is backed up every 1d, and no more than 1h may be lost"},
		{name: "vaults that are content with less", chapters: rpo + "\ndata: [{name: orders, critical: true, schedule: 1h, backups: [{use: restic}]}]", entries: lost(0), verdict: guard.Fail, reason: "a newest backup that is 1d old", remedy: "write max_age: 1h at a vault in data[0]"},
		{name: "only what is critical", chapters: rpo + "\ndata: [{name: mail, backups: [{use: restic}]}]", verdict: guard.Pass},
	})
}

func TestWavesDefined(t *testing.T) {
	steps := func(steps string) guard.Scene {
		return scene(t, "\nrollout: {backend: {use: http}, steps: ["+steps+"]}", guard.Answer{})
	}
	const said = ", name: our people, goal: logins work, risk: old clients, at_least: 4h}"
	gap := func(subject, reason, remedy string) guard.Finding {
		return guard.Finding{Verdict: guard.Fail, Subject: subject, Reason: reason, Remedy: remedy}
	}
	const unsaid = "not configured: the plan does not say all that has to be known of it"
	checktest.Run(t, wavesDefined, []checktest.Case{
		{Name: "two waves", Scene: steps("{percent: 10" + said + ", {percent: 50" + said + ", 100"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "10%, 50%, 100%"}}},
		{Name: "a large first one", Scene: steps("{percent: 11" + said + ", {percent: 50" + said + ", 100"), Want: []guard.Finding{gap("first wave", "the first wave reaches 11% of the traffic", "begin with 10% or less in rollout.steps[0]")}},
		{Name: "one wave", Scene: steps("{percent: 10" + said + ", 100"), Want: []guard.Finding{gap("waves", "there is 1 wave before everybody gets the new version", "add a smaller step to rollout.steps")}},
		{Name: "bare numbers", Scene: steps("1, 10, 100"), Want: []guard.Finding{
			gap("wave 1", unsaid, "write name: WHO, goal: WHAT, risk: WHAT, at_least: 4h in rollout.steps[0]"), gap("wave 2", unsaid, ""),
		}},
		{Name: "as short as any step", Scene: steps("{percent: 10" + said + ", {percent: 50, name: a, goal: b, risk: c, at_least: 30s}, 100"), Want: []guard.Finding{gap("wave 2", unsaid, "write at_least: 4h in rollout.steps[1]")}},
		{Name: "a goal to come", Scene: steps("{percent: 10" + said + ", {percent: 50, name: a, goal: TODO, risk: c, at_least: 1h}, 100"), Want: []guard.Finding{gap("wave 2", unsaid, "write goal: WHAT in rollout.steps[1]")}},
	})
}

func TestNewtechValidation(t *testing.T) {
	tried := func(age time.Duration) []guard.Entry {
		return []guard.Entry{{At: now.Add(-age), Act: guard.Result, Kind: "validation", Outcome: guard.Pass}}
	}
	checkLedger(t, newtechValidation, []ledgerCase{
		{name: "never", verdict: guard.Fail, reason: "no result", remedy: "golive record validation"},
		{name: "92 days ago", entries: tried(92 * aDay), verdict: guard.Pass},
		{name: "longer ago", entries: tried(92*aDay + time.Second), verdict: guard.Fail, reason: "1s older"},
		{name: "it went wrong", entries: []guard.Entry{{At: now, Act: guard.Result, Kind: "validation", Outcome: guard.Fail, Says: "it leaks"}}, verdict: guard.Fail, reason: "went wrong: it leaks"},
	})
}

func TestWatchHeightened(t *testing.T) {
	watch := func(steps, bake, every string) guard.Scene {
		return scene(t, "\nrollout: {backend: {use: http}, steps: ["+steps+"], bake: {for: "+bake+"}}"+
			"\nwatch: {source: {use: scrape}, every: "+every+", signals: [{name: errors, total: requests, bad: failures}]}", guard.Answer{})
	}
	gap := func(subject, reason, path string) guard.Finding {
		return guard.Finding{Verdict: guard.Fail, Subject: subject, Reason: reason, Path: path}
	}
	checktest.Run(t, watchHeightened, []checktest.Case{
		{Name: "just closely enough", Scene: watch("5, 100", "1h", "5s"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "every 5s, a bake of 1h, a first step of 5%"}}},
		{Name: "too seldom", Scene: watch("5, 100", "1h", "6s"), Want: []guard.Finding{gap("every", "it looks every 6s, and new technology asks for every 5s", "watch.every")}},
		{Name: "too short", Scene: watch("5, 100", "59m", "5s"), Want: []guard.Finding{gap("bake", "it bakes for 59m, and new technology asks for 1h", "rollout.bake")}},
		{Name: "too many", Scene: watch("6, 100", "1h", "5s"), Want: []guard.Finding{gap("first step", "it begins with 6% of the traffic, and new technology asks for 5% at most", "rollout.steps[0]")}},
		{Name: "as ever", Scene: watch("10, 100", "30m", "10s"), Want: []guard.Finding{gap("every", "", ""), gap("bake", "", ""), gap("first step", "", "")}},
	})
}

// What a row asks of whom is that of the catalogue.
func TestWhatRowsNeed(t *testing.T) {
	plans := map[string]*guard.Plan{
		"standard": {Tier: guard.Standard}, "critical": {Tier: guard.Critical},
		"large_upgrade": {Tier: guard.Standard, Clauses: []guard.Clause{guard.LargeUpgrade}},
		"new_tech":      {Tier: guard.Standard, Clauses: []guard.Clause{guard.NewTech}},
	}
	for _, want := range []struct {
		check                                     guard.Check
		standard, critical, largeUpgrade, newTech guard.Need
	}{
		{rtoEvidence, guard.Off, guard.Required, guard.Off, guard.Off},
		{rpoEvidence, guard.Off, guard.Required, guard.Off, guard.Off},
		{wavesDefined, guard.Off, guard.Off, guard.Required, guard.Off},
		{newtechValidation, guard.Off, guard.Off, guard.Off, guard.Required},
		{watchHeightened, guard.Off, guard.Off, guard.Off, guard.Required},
		{backupCoverage, guard.Required, guard.Required, guard.Required, guard.Required},
		{backupAge, guard.Required, guard.Required, guard.Required, guard.Required},
		{backupVerify, guard.Required, guard.Required, guard.Required, guard.Required},
		{backup321, guard.Advisory, guard.Required, guard.Advisory, guard.Advisory},
		{backupRestoreDrill, guard.Advisory, guard.Required, guard.Advisory, guard.Advisory},
		{backupRestorePath, guard.Required, guard.Required, guard.Required, guard.Required},
		{backupSizeSane, guard.Advisory, guard.Advisory, guard.Advisory, guard.Advisory},
		{backupTargetSpace, guard.Advisory, guard.Required, guard.Advisory, guard.Advisory},
		{backupPlanComplete, guard.Advisory, guard.Required, guard.Advisory, guard.Advisory},
		{rollbackDrill, guard.Advisory, guard.Required, guard.Advisory, guard.Advisory},
		{rollbackCompat, guard.Required, guard.Required, guard.Required, guard.Required},
		{rollbackTime, guard.Advisory, guard.Required, guard.Advisory, guard.Advisory},
		{rollbackIndependent, guard.Advisory, guard.Required, guard.Advisory, guard.Advisory},
		{dnsFallback, guard.Off, guard.Advisory, guard.Off, guard.Off},
		{scenarioCoverage, guard.Advisory, guard.Required, guard.Advisory, guard.Advisory},
	} {
		for name, need := range map[string]guard.Need{
			"standard": want.standard, "critical": want.critical, "large_upgrade": want.largeUpgrade, "new_tech": want.newTech,
		} {
			if got := want.check.For(plans[name]); got != need {
				t.Errorf("%s is %s to a plan that is %s, want %s", want.check.ID, got, name, need)
			}
		}
	}
}
