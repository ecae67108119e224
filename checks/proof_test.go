package checks

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

// drilled is a result in the ledger, of a store called orders.
func drilled(kind string, age time.Duration, change func(*guard.Entry)) guard.Entry {
	e := guard.Entry{At: now.Add(-age), Act: guard.Result, Kind: kind, Subject: "orders", Service: "shop", Outcome: guard.Pass, By: "Ada Obi", Took: guard.Duration(time.Minute)}
	e.Vault = guard.Part{Use: "restic"}.Digest()
	if change != nil {
		change(&e)
	}
	return e
}

// climbed is a proof that came up to a rung.
func climbed(kind string, age time.Duration, rung guard.Rung) guard.Entry {
	return drilled(kind, age, func(e *guard.Entry) {
		e.Proof = &guard.Proof{Backup: guard.Backup{ID: "nightly", Ended: e.At.Add(-time.Hour)}, Rung: rung}
	})
}

// flawed is a proof that found something wrong on a rung.
func flawed(kind string, age time.Duration, rung guard.Rung) guard.Entry {
	e := climbed(kind, age, rung)
	e.Outcome, e.Says, e.Proof.Flaw = guard.Fail, "a byte is another one", "a byte is another one"
	return e
}

// otherwise is a result of another way than that of today's plan.
func otherwise(e guard.Entry) guard.Entry {
	e.Method = "another"
	return e
}

// A ledgerCase is a ledger, and what one check has to find with it.
type ledgerCase struct {
	name     string
	chapters string
	entries  []guard.Entry
	verdict  guard.Verdict
	reason   string // a part of it
	remedy   string // a part of it
}

func checkLedger(t *testing.T, c guard.Check, cases []ledgerCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := scene(t, tc.chapters, guard.Answer{Ledger: &guard.Ledger{Entries: tc.entries}})
			for i, e := range tc.entries {
				if e.Method == "" {
					tc.entries[i].Method = s.Plan.Method(e.Kind, e.Subject)
				}
			}
			findings, err := c.Run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if got := guard.Worst(findings); got != tc.verdict {
				t.Errorf("%s is %s, want %s: %+v", c.ID, got, tc.verdict, findings)
			}
			var reasons, remedies string
			for _, f := range findings {
				reasons, remedies = reasons+f.Reason+"\n", remedies+f.Remedy+"\n"
			}
			if !strings.Contains(reasons, tc.reason) {
				t.Errorf("the reason is %q, want %q", reasons, tc.reason)
			}
			if !strings.Contains(remedies, tc.remedy) {
				t.Errorf("the remedy is %q, want %q", remedies, tc.remedy)
			}
			for _, problem := range checktest.Problems(t.Context(), c, s) {
				t.Error(problem)
			}
		})
	}
}

const (
	anHour = time.Hour
	aDay   = 24 * time.Hour
)

func TestBackupVerify(t *testing.T) {
	const (
		standard = "\ndata: [{name: orders, backups: [{use: restic}]}]"
		critical = "\ntier: critical" + standard
		read     = "\ndata: [{name: orders, assurance: read, backups: [{use: restic}]}]"
	)
	const two = "\ndata: [{name: orders, backups: [{use: restic}, {use: file, with: {path: /mnt/orders}}]}]"
	elsewhere := func(e guard.Entry) guard.Entry {
		e.Vault = guard.Part{Use: "file", With: guard.With{"path": "/mnt/orders"}}.Digest()
		return e
	}
	proofs := func(all ...guard.Entry) []guard.Entry { return all }
	checkLedger(t, backupVerify, []ledgerCase{
		{name: "never", chapters: standard, verdict: guard.Fail, reason: "no result of it", remedy: "golive drill restore --data orders --to checked"},
		{name: "never, in the critical tier", chapters: critical, verdict: guard.Fail, remedy: "then: golive drill restore --data orders\n"},
		{name: "never, and verified is wanted", chapters: "\ndata: [{name: orders, assurance: verified, backups: [{use: restic}]}]", verdict: guard.Fail, remedy: "then: golive drill restore --data orders\n"},
		{name: "checked", chapters: standard, entries: proofs(climbed("drill.verify", anHour, guard.RungChecked)), verdict: guard.Pass},
		{name: "only listed", chapters: standard, entries: proofs(climbed("drill.verify", anHour, guard.RungListed)), verdict: guard.Fail, reason: "that backup was listed, and has to be checked"},
		{name: "checked, in the critical tier", chapters: critical, entries: proofs(climbed("drill.verify", anHour, guard.RungRead)), verdict: guard.Fail, reason: "that backup was read, and has to be restored"},
		{name: "restored, in the critical tier", chapters: critical, entries: proofs(climbed("drill.verify", anHour, guard.RungRestored)), verdict: guard.Pass},
		{name: "by a restore", chapters: critical, entries: proofs(climbed("drill.restore", anHour, guard.RungVerified)), verdict: guard.Pass},
		{name: "the plan asks for more", chapters: read, entries: proofs(climbed("drill.verify", anHour, guard.RungChecked)), verdict: guard.Fail, reason: "has to be read"},
		{name: "as old as it may be", chapters: standard, entries: proofs(climbed("drill.verify", 7*aDay, guard.RungChecked)), verdict: guard.Pass},
		{name: "a moment too old", chapters: standard, entries: proofs(climbed("drill.verify", 7*aDay+time.Second, guard.RungChecked)), verdict: guard.Fail, reason: "1s older than it may be"},
		{name: "the plan is more patient", chapters: standard + "\nchecks: {settings: {backup.verify: {within: 31d}}}", entries: proofs(climbed("drill.verify", 31*aDay, guard.RungChecked)), verdict: guard.Pass},
		{name: "a glance later", chapters: critical, entries: proofs(climbed("drill.restore", 2*aDay, guard.RungVerified), climbed("drill.verify", anHour, guard.RungChecked)), verdict: guard.Pass},
		{name: "a glance, and the restore is too old", chapters: critical, entries: proofs(climbed("drill.restore", 8*aDay, guard.RungVerified), climbed("drill.verify", anHour, guard.RungChecked)), verdict: guard.Fail, reason: "was checked"},
		{name: "a flaw", chapters: standard, entries: proofs(flawed("drill.verify", anHour, guard.RungListed)), verdict: guard.Fail, reason: "went wrong: a byte is another one", remedy: "golive drill restore --data orders --to checked\n"},
		{name: "a flaw since", chapters: standard, entries: proofs(climbed("drill.restore", aDay, guard.RungVerified), flawed("drill.verify", anHour, guard.RungChecked)), verdict: guard.Fail, reason: "a byte is another one"},
		{name: "an old flaw", chapters: standard, entries: proofs(flawed("drill.verify", 90*aDay, guard.RungChecked)), verdict: guard.Fail, reason: "a byte is another one"},
		{name: "looked less far since", chapters: standard, entries: proofs(flawed("drill.verify", aDay, guard.RungChecked), climbed("drill.verify", anHour, guard.RungChecked)), verdict: guard.Fail, reason: "a byte is another one", remedy: "golive drill restore --data orders --to read\n"},
		{name: "looked further since", chapters: standard, entries: proofs(flawed("drill.verify", aDay, guard.RungChecked), climbed("drill.verify", anHour, guard.RungRead)), verdict: guard.Pass},
		{name: "restored since", chapters: standard, entries: proofs(flawed("drill.verify", aDay, guard.RungRead), climbed("drill.restore", anHour, guard.RungVerified)), verdict: guard.Pass},
		{name: "only read since a restore that failed", chapters: standard, entries: proofs(flawed("drill.restore", aDay, guard.RungListed), climbed("drill.verify", anHour, guard.RungRead)), verdict: guard.Fail, reason: "a byte is another one", remedy: "then: golive drill restore --data orders\n"},
		{name: "restored in another way", chapters: critical, entries: proofs(otherwise(climbed("drill.restore", anHour, guard.RungVerified))), verdict: guard.Fail, reason: "the way has changed since"},
		{name: "restored in another way, and by the vault", chapters: critical, entries: proofs(climbed("drill.verify", aDay, guard.RungRestored), otherwise(climbed("drill.restore", anHour, guard.RungVerified))), verdict: guard.Pass},
		{name: "a flaw in the first vault, and a good backup in the second", chapters: two, entries: proofs(flawed("drill.verify", aDay, guard.RungListed), elsewhere(climbed("drill.verify", anHour, guard.RungRead))), verdict: guard.Fail, reason: "a byte is another one", remedy: "orders --to checked"},
		{name: "restored from the second vault", chapters: two, entries: proofs(flawed("drill.verify", aDay, guard.RungListed), elsewhere(climbed("drill.restore", anHour, guard.RungVerified))), verdict: guard.Fail, reason: "a byte is another one"},
		{name: "a flaw in the second vault", chapters: two, entries: proofs(elsewhere(flawed("drill.verify", aDay, guard.RungListed)), climbed("drill.restore", anHour, guard.RungVerified)), verdict: guard.Fail, reason: "a byte is another one", remedy: "golive drill restore --data orders --from 1 --to checked"},
		{name: "mended where the flaw was", chapters: two, entries: proofs(elsewhere(flawed("drill.verify", aDay, guard.RungListed)), elsewhere(climbed("drill.verify", anHour, guard.RungChecked))), verdict: guard.Pass},
		{name: "a flaw elsewhere undoes no proof here", chapters: two, entries: proofs(climbed("drill.verify", 3*anHour, guard.RungChecked), elsewhere(flawed("drill.verify", 2*anHour, guard.RungListed)), elsewhere(climbed("drill.restore", 8*aDay, guard.RungVerified))), verdict: guard.Pass},
		{name: "a flaw in a vault that is gone", chapters: standard, entries: proofs(elsewhere(flawed("drill.verify", aDay, guard.RungListed)), climbed("drill.verify", anHour, guard.RungChecked)), verdict: guard.Pass},
		{name: "a proof of a vault that is gone", chapters: standard, entries: proofs(elsewhere(climbed("drill.verify", anHour, guard.RungRead))), verdict: guard.Fail, reason: "no result of it"},
		{name: "without a proof", chapters: standard, entries: proofs(drilled("drill.verify", anHour, nil)), verdict: guard.Fail, reason: "does not say of which backup"},
		{name: "of another service", chapters: standard, entries: proofs(drilled("drill.verify", anHour, func(e *guard.Entry) {
			*e = climbed("drill.verify", anHour, guard.RungRead)
			e.Service = "cart"
		})), verdict: guard.Fail, reason: "no result of it"},
		{name: "of another store", chapters: standard, entries: proofs(drilled("drill.verify", anHour, func(e *guard.Entry) {
			*e = climbed("drill.verify", anHour, guard.RungRead)
			e.Subject = "mail"
		})), verdict: guard.Fail, reason: "no result of it"},
		{name: "from a time to come", chapters: standard, entries: proofs(climbed("drill.verify", -anHour, guard.RungRead)), verdict: guard.Unknown, reason: "clock skew"},
		{name: "two stores", chapters: "\ndata: [{name: orders, backups: [{use: restic}]}, {name: mail, backups: [{use: restic}]}]", entries: proofs(climbed("drill.verify", anHour, guard.RungRead)), verdict: guard.Fail, remedy: "golive drill restore --data mail --to checked"},
		{name: "a store that is only listed", chapters: "\ndata: [{name: orders, assurance: listed, backups: [{use: file}]}]", verdict: guard.Pass},
		{name: "a store without a vault", chapters: "\ndata: [{name: orders, critical: true}]", verdict: guard.Pass}, // backup.coverage says so
		{name: "a store without a name", chapters: "\ndata: [{name: TODO, backups: [{use: file}]}]", verdict: guard.Fail, reason: "the store has no name", remedy: "write it in data[0].name"},
		{name: "no data", chapters: "\ndata: []", verdict: guard.Pass},
	})
}

func TestBackupRestoreDrill(t *testing.T) {
	const standard = "\ndata: [{name: orders, backups: [{use: restic}]}]"
	restored := func(age time.Duration) []guard.Entry {
		return []guard.Entry{climbed("drill.restore", age, guard.RungVerified)}
	}
	checkLedger(t, backupRestoreDrill, []ledgerCase{
		{name: "never", chapters: standard, verdict: guard.Fail, reason: "no result of it", remedy: "golive drill restore --data orders"},
		{name: "yesterday", chapters: standard, entries: restored(aDay), verdict: guard.Pass},
		{name: "a month ago", chapters: standard, entries: restored(31 * aDay), verdict: guard.Pass},
		{name: "longer ago", chapters: standard, entries: restored(31*aDay + time.Second), verdict: guard.Fail, reason: "1s older"},
		{name: "a week ago, in the critical tier", chapters: "\ntier: critical" + standard, entries: restored(7 * aDay), verdict: guard.Pass},
		{name: "longer ago, in the critical tier", chapters: "\ntier: critical" + standard, entries: restored(7*aDay + time.Second), verdict: guard.Fail, reason: "1s older"},
		{name: "it went wrong", chapters: standard, entries: append(restored(aDay), flawed("drill.restore", anHour, guard.RungListed)), verdict: guard.Fail, reason: "went wrong"},
		{name: "in another way", chapters: standard, entries: []guard.Entry{otherwise(climbed("drill.restore", aDay, guard.RungVerified))}, verdict: guard.Fail, reason: "the way has changed since"},
		{name: "a climb is no restore", chapters: standard, entries: []guard.Entry{climbed("drill.verify", anHour, guard.RungRestored)}, verdict: guard.Fail, reason: "no result"},
		{name: "not compared", chapters: standard, entries: []guard.Entry{climbed("drill.restore", anHour, guard.RungRestored)}, verdict: guard.Fail, reason: "was not compared with the original"},
		{name: "of no backup", chapters: standard, entries: []guard.Entry{drilled("drill.restore", anHour, nil)}, verdict: guard.Fail, reason: "does not say which backup"},
		{name: "from a time to come", chapters: standard, entries: restored(-anHour), verdict: guard.Unknown, reason: "clock skew"},
		{name: "no data", chapters: "\ndata: []", verdict: guard.Pass},
	})
}

func TestBackupRestorePath(t *testing.T) {
	const two = "\ndata: [{name: orders, critical: true, restore: {use: command}}, {name: cache}]"
	answer := func(f guard.Finding) guard.Answer { return guard.Answer{Finding: f} }
	checktest.Run(t, backupRestorePath, []checktest.Case{
		{Name: "it could begin, and a store that needs none", Scene: scene(t, two, answer(guard.Finding{Verdict: guard.Pass, Observed: "psql is here"})), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "orders", Title: "a restore can begin now (orders)", Observed: "psql is here", Path: "data[0].restore"},
			{Verdict: guard.Warn, Subject: "cache", Reason: "not configured: the plan does not say how it is restored", Path: "data[1]"},
		}},
		{Name: "nobody wrote it down", Scene: scene(t, "\ndata: [{name: orders, critical: true}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "orders", Reason: "not configured: the plan does not say how it is restored", Path: "data[0]",
		}}},
		{Name: "a program is missing", Scene: scene(t, "\ndata: [{name: orders, restore: {use: command}}]", answer(guard.Finding{Verdict: guard.Fail, Reason: "there is no program psql", Remedy: "install psql"})), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "orders", Reason: "there is no program psql", Remedy: "install psql",
		}}},
		{Name: "it does not say", Scene: scene(t, "\ndata: [{name: orders, restore: {use: command}}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Unknown, Subject: "orders", Reason: "the probe had nothing to say", Remedy: "mend what is set up in data[0].restore",
		}}},
		{Name: "no data", Scene: scene(t, "\ndata: []", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass}}},
	})
}

// Whoever restores is asked whether it could, and no probe of the same name.
func TestBackupRestorePathAsks(t *testing.T) {
	s := scene(t, "\ndata: [{name: orders, restore: {use: command, with: {run: psql}}}]", guard.Answer{})
	var asked []guard.Question
	s.Ask = func(_ context.Context, q guard.Question) (guard.Answer, error) {
		asked = append(asked, q)
		return guard.Answer{}, nil
	}
	if _, err := backupRestorePath.Run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	want := []guard.Question{{Restore: &guard.Part{Use: "command", With: guard.With{"run": "psql"}}}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
