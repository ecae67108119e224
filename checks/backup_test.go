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
			Verdict: guard.Fail, Reason: "the vault holds no completed backup", Remedy: run, Observed: "no backup",
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
