package checks

import (
	"testing"
	"time"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestReleaseQuarantine(t *testing.T) {
	about := func(version string) func(*guard.Entry) {
		return func(e *guard.Entry) {
			e.Kind, e.Subject, e.Outcome, e.Says = guard.KindRollout, version, guard.Fail, "errors"
		}
	}
	again := func(by string, holds time.Duration) func(*guard.Entry) {
		return func(e *guard.Entry) {
			e.Act, e.Kind, e.Subject, e.By, e.Says = guard.Attested, guard.KindAgain, "v2", by, "the database has grown"
			e.Outcome, e.Until = guard.Unknown, e.At.Add(holds)
		}
	}
	elsewhere := func(e *guard.Entry) { e.Environment = "staging" }
	const roster = "\nroster: {people: [{name: Wang Fang, role: commander}]}"
	remembers := func(entries ...guard.Entry) guard.Scene {
		return scene(t, roster, guard.Answer{Ledger: &guard.Ledger{Entries: entries}})
	}
	fails := func(reason string) []guard.Finding {
		return []guard.Finding{{
			Verdict: guard.Fail, Reason: reason,
			Remedy: "bring a version that is mended, or say why it may be tried again: golive rollout --to v2 --again REASON --by NAME",
		}}
	}
	passes := func(observed string) []guard.Finding {
		return []guard.Finding{{Verdict: guard.Pass, Title: "no harm is known of this version (v2)", Observed: observed}}
	}
	checktest.Run(t, releaseQuarantine, []checktest.Case{
		{Name: "nothing is remembered", Scene: remembers(), Want: passes("no failure")},
		{Name: "there is no ledger", Scene: scene(t, roster, guard.Answer{Ledger: &guard.Ledger{Missing: true}}), Want: passes("there is no ledger, so nothing is remembered")},
		{Name: "a ledger that was changed", Scene: scene(t, roster, guard.Answer{Ledger: &guard.Ledger{Broken: "line 3"}}), Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: "the ledger cannot be trusted: line 3",
		}}},
		{Name: "another version", Scene: remembers(ago(time.Hour, about("v3"))), Want: passes("no failure")},
		{Name: "another environment", Scene: remembers(ago(time.Hour, about("v2"), elsewhere)), Want: passes("no failure")},
		{Name: "taken back", Scene: remembers(ago(time.Hour, about("v2"))), Want: fails("it was taken back: errors")},
		{Name: "tried again for a reason", Scene: remembers(ago(time.Hour, about("v2")), ago(time.Minute, again("Wang Fang", time.Hour))),
			Want: passes("Wang Fang wants it tried again: the database has grown")},
		{Name: "and taken back again", Scene: remembers(ago(2*time.Hour, about("v2")), ago(time.Hour, again("Wang Fang", 3*time.Hour)), ago(time.Minute, about("v2"))),
			Want: fails("it was taken back: errors")},
		{Name: "for the last minute", Scene: remembers(ago(time.Hour, about("v2")), ago(time.Minute, again("Wang Fang", time.Minute))),
			Want: passes("Wang Fang wants it tried again: the database has grown")},
		{Name: "a reason of yesterday", Scene: remembers(ago(48*time.Hour, about("v2")), ago(25*time.Hour, again("Wang Fang", 24*time.Hour))),
			Want: fails("it was taken back, and the reason to try it again held until Tue 2026-11-24 02:00 UTC")},
		{Name: "a reason of a stranger", Scene: remembers(ago(time.Hour, about("v2")), ago(time.Minute, again("Eve", time.Hour))),
			Want: fails("it was taken back, and Eve, who wants it tried again, is not in the roster")},
		{Name: "it went well later", Scene: remembers(ago(time.Hour, about("v2")), ago(time.Minute, about("v2"), func(e *guard.Entry) { e.Outcome = guard.Pass })),
			Want: passes("no failure")},
	})
}
