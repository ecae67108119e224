package checks

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestBackupAge(t *testing.T) {
	const oneVault = "\ndata: [{name: orders, critical: true, backups: [{use: file, max_age: 10h}]}]"
	const run = "run the backup of orders by file now, then check again"
	const answer = "mend the vault that is set up in data[0].backups[0]"
	backups := func(ages ...time.Duration) guard.Scene {
		var a guard.Answer
		for i, age := range ages {
			a.Backups = append(a.Backups, guard.Backup{ID: fmt.Sprint("backup", i), Ended: now.Add(-age)})
		}
		return scene(t, oneVault, a)
	}
	one := func(f guard.Finding) []guard.Finding {
		f.Subject = "orders by file"
		return []guard.Finding{f}
	}
	endless := scene(t, oneVault, guard.Answer{Backups: []guard.Backup{{ID: "good", Ended: now}, {ID: "under way"}}})
	smaller := scene(t, oneVault, guard.Answer{Backups: []guard.Backup{{ID: "odd", Ended: now, Bytes: -1}}})
	broken := scene(t, "\ndata: [{name: orders, backups: [{use: file}, {use: restic}, {use: restic}]}, {name: mail}]", guard.Answer{})
	broken.Ask = func(_ context.Context, q guard.Question) (guard.Answer, error) {
		if q.Backups.Use == "file" {
			return guard.Answer{}, errors.New("no such directory")
		}
		return guard.Answer{Backups: []guard.Backup{{ID: "snapshot", Ended: now}}}, nil
	}

	checktest.Run(t, backupAge, []checktest.Case{
		{Name: "just now", Scene: backups(0), Want: one(guard.Finding{
			Verdict:  guard.Pass,
			Title:    "orders by file is backed up often enough",
			Expected: "newest backup at most 10h old",
			Observed: "backup0 ended 0s ago, at 2026-11-24T03:00:00Z",
		})},
		{Name: "four fifths of the age", Scene: backups(8 * time.Hour), Want: one(guard.Finding{Verdict: guard.Pass})},
		{Name: "a moment more", Scene: backups(8*time.Hour + time.Nanosecond), Want: one(guard.Finding{
			Verdict: guard.Warn, Reason: "the newest backup will be too old in 2h", Remedy: run,
		})},
		{Name: "as old as it may be", Scene: backups(10 * time.Hour), Want: one(guard.Finding{Verdict: guard.Warn, Reason: "the newest backup will be too old in 0s"})},
		{Name: "a moment too old", Scene: backups(10*time.Hour + time.Nanosecond), Want: one(guard.Finding{Verdict: guard.Fail})},
		{Name: "an hour too old", Scene: backups(11 * time.Hour), Want: one(guard.Finding{
			Verdict: guard.Fail, Reason: "the newest backup is 1h older than it may be", Remedy: run,
			Observed: "backup0 ended 11h ago, at 2026-11-23T16:00:00Z",
		})},
		{Name: "the newest counts", Scene: backups(50*time.Hour, time.Hour, 20*time.Hour), Want: one(guard.Finding{
			Verdict: guard.Pass, Observed: "backup1 ended 1h ago, at 2026-11-24T02:00:00Z",
		})},
		{Name: "none", Scene: backups(), Want: one(guard.Finding{
			Verdict: guard.Fail, Reason: "the vault holds no completed backup", Remedy: "run the backup of orders by file now, or mend where it is looked for in data[0].backups[0]", Observed: "no backup",
		})},
		{Name: "a little ahead", Scene: backups(-5 * time.Minute), Want: one(guard.Finding{Verdict: guard.Pass, Observed: "backup0 ended 0s ago, at 2026-11-24T03:05:00Z"})},
		{Name: "too far ahead", Scene: backups(time.Hour, -5*time.Minute-time.Second), Want: one(guard.Finding{
			Verdict: guard.Unknown, Reason: "clock skew: the newest backup ends 5m1s from now",
			Remedy: "set the clocks of this machine and of the vault, then check again", Observed: "backup1 ends at 2026-11-24T03:05:01Z",
		})},
		{Name: "one without an end", Scene: endless, Want: one(guard.Finding{
			Verdict: guard.Unknown, Reason: `the vault lists "under way", which has no end or a size below nothing`, Remedy: answer,
		})},
		{Name: "one that is smaller than nothing", Scene: smaller, Want: one(guard.Finding{
			Verdict: guard.Unknown, Reason: `the vault lists "odd", which has no end or a size below nothing`, Remedy: answer,
		})},
		{Name: "a vault that is silent, and a store without one", Scene: broken, Want: []guard.Finding{
			{Verdict: guard.Unknown, Subject: "orders by file", Reason: "no such directory"},
			{Verdict: guard.Pass, Subject: "orders by restic"},
			{Verdict: guard.Pass, Subject: "orders by restic #2"},
		}},
		{Name: "stores without a vault", Scene: scene(t, "\ndata: [{name: orders, critical: true}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "not configured: the plan names no backups", Remedy: "mend GL101 first: golive explain GL101", Path: "data",
		}}},
		{Name: "nothing about data", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "not configured: the plan does not say which data must survive",
			Remedy: "list the stores in data, or write data: [] for a service that keeps none",
		}}},
		{Name: "no data", Scene: scene(t, "\ndata: []", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "the plan says that there is no data"}}},
	})
}

func TestBackupCoverage(t *testing.T) {
	const critical = "\ntier: critical"
	const vault = ", backups: [{use: file}]"
	gap := func(v guard.Verdict, subject, reason string) guard.Finding {
		return guard.Finding{Verdict: v, Subject: subject, Reason: reason}
	}
	checktest.Run(t, backupCoverage, []checktest.Case{
		{Name: "all of it", Scene: scene(t, "\ndata: [{name: orders, critical: true, backups: [{use: file}, {use: restic}]}, {name: mail"+vault+"}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Pass, Observed: "orders by file and restic, mail by file",
		}}},
		{Name: "a critical store without a vault", Scene: scene(t, "\ndata: [{name: mail"+vault+"}, {name: orders, critical: true}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "orders", Reason: "not configured: the plan names no backups of orders",
			Remedy: `add backups: [{use: file, with: {path: "DIRECTORY/*.dump"}}] to data[1]`, Path: "data[1]", Observed: "mail by file",
		}}},
		{Name: "another store without a vault", Scene: scene(t, "\ndata: [{name: cache}]", guard.Answer{}), Want: []guard.Finding{
			gap(guard.Warn, "cache", "not configured: the plan names no backups of cache"),
		}},
		{Name: "a store without a name", Scene: scene(t, "\ndata: [{name: TODO"+vault+"}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "name of TODO", Reason: "the store has no name", Path: "data[0].name", Observed: "TODO by file",
			Remedy: "for a service that keeps no data write data: [], or else a name in data[0].name",
		}}},
		{Name: "nothing about data", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "not configured: the plan does not say which data must survive", Path: "data",
		}}},
		{Name: "no data", Scene: scene(t, "\ndata: []", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "no data, in the critical tier", Scene: scene(t, critical+"\ndata: []", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "only data, in the critical tier", Scene: scene(t, critical+"\ndata: [{name: orders"+vault+"}]", guard.Answer{}), Want: []guard.Finding{
			gap(guard.Warn, "kind config", "not configured: no store is of the kind config"),
			gap(guard.Warn, "kind app", "not configured: no store is of the kind app"),
		}},
		{Name: "all kinds, in the critical tier", Scene: scene(t, critical+"\ndata: [{name: orders"+vault+"}, {name: etc, kind: config"+vault+"}, {name: images, kind: app"+vault+"}]", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass}}},
	})
}

func TestBackup321(t *testing.T) {
	const three = "\ndata: [{name: orders, backups: [{use: file, medium: disk}, {use: restic, medium: tape, offsite: true}]}]"
	// stores answers with a backup of each vault, of this age.
	vaults := func(chapters string, ages map[string]time.Duration) guard.Scene {
		s := scene(t, chapters, guard.Answer{})
		s.Ask = func(_ context.Context, q guard.Question) (guard.Answer, error) {
			age, there := ages[q.Backups.Use]
			if !there {
				return guard.Answer{}, errors.New("no route to it")
			}
			return guard.Answer{Backups: []guard.Backup{{ID: "nightly", Ended: now.Add(-age)}}}, nil
		}
		return s
	}
	young := map[string]time.Duration{"file": time.Hour, "restic": time.Hour}
	missing := func(reason, observed string) []guard.Finding {
		return []guard.Finding{{
			Verdict: guard.Fail, Subject: "orders", Path: "data[0]", Observed: observed,
			Reason: reason + " is missing of orders, counting only what has a young backup",
		}}
	}
	checktest.Run(t, backup321, []checktest.Case{
		{Name: "three", Scene: vaults(three, young), Want: []guard.Finding{{
			Verdict: guard.Pass, Subject: "orders", Observed: "3 copies, media disk and tape, 1 offsite", Path: "data[0]",
			Title: "orders is kept three times, in two ways, and once elsewhere",
		}}},
		{Name: "one vault", Scene: vaults("\ndata: [{name: orders, backups: [{use: file, medium: disk}]}]", young),
			Want: missing("a copy, another medium and one that is offsite", "2 copies, media disk, 0 offsite")},
		{Name: "one vault twice", Scene: vaults("\ndata: [{name: orders, backups: [{use: restic, medium: tape, offsite: true}, {use: restic, medium: disk}]}]", young),
			Want: missing("a copy", "2 copies, media disk and tape, 1 offsite")},
		{Name: "all on disk", Scene: vaults("\ndata: [{name: orders, backups: [{use: file, medium: disk}, {use: restic, medium: disk, offsite: true}]}]", young),
			Want: missing("another medium", "3 copies, media disk, 1 offsite")},
		{Name: "nobody says on what", Scene: vaults("\ndata: [{name: orders, backups: [{use: file}, {use: restic, offsite: true}]}]", young),
			Want: missing("another medium", "3 copies, media disk, 1 offsite")},
		{Name: "all in one place", Scene: vaults("\ndata: [{name: orders, backups: [{use: file}, {use: restic, medium: tape}]}]", young),
			Want: missing("one that is offsite", "3 copies, media disk and tape, 0 offsite")},
		{Name: "as old as it may be", Scene: vaults(three, map[string]time.Duration{"file": time.Hour, "restic": aDay}), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "orders"}}},
		{Name: "what is too old does not count", Scene: vaults(three, map[string]time.Duration{"file": time.Hour, "restic": aDay + time.Second}),
			Want: missing("a copy, another medium and one that is offsite", "2 copies, media disk, 0 offsite")},
		{Name: "a vault is silent", Scene: vaults(three, map[string]time.Duration{"file": time.Hour}), Want: []guard.Finding{{
			Verdict: guard.Unknown, Subject: "orders", Reason: "no route to it", Remedy: "mend the vault that is set up in data[0].backups[1]", Path: "data[0].backups[1]",
		}}},
		{Name: "each store for itself", Scene: vaults(three[:len(three)-1]+", {name: mail, backups: [{use: file}]}]", young), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "orders"},
			{Verdict: guard.Fail, Subject: "mail", Path: "data[1]"},
		}},
	})
}

func TestBackupSizeSane(t *testing.T) {
	sizes := func(newestFirst ...int64) guard.Scene {
		var a guard.Answer
		for i, bytes := range newestFirst {
			a.Backups = append(a.Backups, guard.Backup{ID: fmt.Sprint("backup", i), Ended: now.Add(-time.Duration(i) * time.Hour), Bytes: bytes})
		}
		return scene(t, "\ndata: [{name: orders, backups: [{use: file}]}]", a)
	}
	one := func(v guard.Verdict, reason, observed string) []guard.Finding {
		return []guard.Finding{{Verdict: v, Subject: "orders by file", Reason: reason, Observed: observed}}
	}
	checktest.Run(t, backupSizeSane, []checktest.Case{
		{Name: "as ever", Scene: sizes(41e6, 40e6, 42e6), Want: one(guard.Pass, "", "backup0 has 41 MB, the median of the 2 before is 41 MB")},
		{Name: "half", Scene: sizes(50, 100, 100), Want: one(guard.Pass, "", "")},
		{Name: "less than half", Scene: sizes(49, 100, 100), Want: one(guard.Warn, "the newest backup is 0.49 times as large as it used to be", "")},
		{Name: "twice", Scene: sizes(200, 100, 100), Want: one(guard.Pass, "", "")},
		{Name: "more than twice", Scene: sizes(201, 100, 100), Want: one(guard.Warn, "the newest backup is 2.01 times as large as it used to be", "")},
		{Name: "five count", Scene: sizes(100, 100, 100, 100, 900, 900, 900, 900), Want: one(guard.Pass, "", "backup0 has 100 B, the median of the 5 before is 100 B")},
		{Name: "one odd one does not", Scene: sizes(100, 1, 100, 100), Want: one(guard.Pass, "", "")},
		{Name: "empty", Scene: sizes(0, 100), Want: one(guard.Fail, "the newest backup is empty", "backup0 has 0 B")},
		{Name: "the first one", Scene: sizes(100), Want: one(guard.Warn, "there is no earlier backup to compare it with", "")},
		{Name: "no sizes", Scene: sizes(0, 0), Want: one(guard.Unknown, "the vault does not tell how large its backups are", "no sizes")},
		{Name: "none", Scene: sizes(), Want: one(guard.Unknown, "the vault holds no completed backup", "no backup")},
		{Name: "a size that cannot be", Scene: sizes(100, -1), Want: one(guard.Unknown, `the vault lists "backup1", which has no end or a size below nothing`, "")},
	})
}

func TestBackupPlanComplete(t *testing.T) {
	const complete = "owner: Ada Obi, schedule: 1h, retention: 30d, restore: {use: command, expected: 30m}"
	const rto = "\nobjectives: {rto: 30m}"
	checktest.Run(t, backupPlanComplete, []checktest.Case{
		{Name: "complete, and as long as it may take", Scene: scene(t, rto+"\ndata: [{name: orders, "+complete+"}]", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "1 store"}}},
		{Name: "nothing", Scene: scene(t, rto+"\ndata: [{name: orders}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "orders", Path: "data[0]", Reason: "not configured: the plan does not say all that has to be known of its backups",
			Remedy: "write schedule: 1d, retention: 30d, owner: NAME, restore: {use: command, with: {run: ..., verify: ...}, expected: 20m} in data[0]",
		}}},
		{Name: "not how long", Scene: scene(t, rto+"\ndata: [{name: orders, owner: Ada Obi, schedule: 1h, retention: 30d, restore: {use: command}}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "orders", Remedy: "write expected: 20m under restore in data[0]",
		}}},
		{Name: "an owner to come", Scene: scene(t, rto+"\ndata: [{name: orders, owner: TODO, schedule: 1h, retention: 30d, restore: {use: command, expected: 1m}}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "orders", Remedy: "write owner: NAME in data[0]",
		}}},
		{Name: "longer than the service may be away", Scene: scene(t, "\nobjectives: {rto: 29m}\ndata: [{name: orders, "+complete+"}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "restore of orders", Reason: "a restore takes 30m, and the service may be away for 29m", Path: "data[0].restore",
		}}},
		{Name: "nobody says how long that is", Scene: scene(t, "\ndata: [{name: orders, "+complete+"}]", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "restore of orders", Reason: "not configured: the plan does not say how long the service may be away", Remedy: "write rto: 30m in objectives",
		}}},
		{Name: "no data", Scene: scene(t, "\ndata: []", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "0 stores"}}},
	})
}
