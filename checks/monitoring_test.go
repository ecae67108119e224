package checks

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

func TestAlertPath(t *testing.T) {
	answered := func(age, took time.Duration, changes ...func(*guard.Entry)) guard.Scene {
		return withLedger(t, "", resultOf("alert.path", "", age, append(changes, func(e *guard.Entry) { e.Took = guard.Duration(took) })...))
	}
	tell(t, []tale{
		{"in time", alertPath, answered(31*oneDay, 5*time.Minute), "pass"},
		{"too slow", alertPath, answered(oneDay, 5*time.Minute+time.Second), "fail: it took 1s longer than it may until somebody answered"},
		{"no time", alertPath, answered(oneDay, 0), "fail: it does not say how long it took until somebody answered"},
		{"too old", alertPath, answered(31*oneDay+time.Second, time.Minute), "fail: the latest is 1s older than it may be"},
		{"not answered", alertPath, answered(oneDay, time.Minute, went("nobody woke up")), "fail: the latest went wrong: nobody woke up"},
		{"never", alertPath, withLedger(t, ""), "fail: the ledger has no result of it"},
	})
}

func TestIncidentsNone(t *testing.T) {
	open := func(kind, service, id string) guard.Entry {
		return guard.Entry{At: now.Add(-time.Hour), Act: guard.Obliged, Kind: kind, Service: service, ID: id, Until: now.Add(time.Hour)}
	}
	over := guard.Entry{At: now, Act: guard.Settled, Kind: "incident", Service: "shop", Settles: "inc-1"}
	const since = "it is owed since Tue 2026-11-24 02:00 UTC"
	tell(t, []tale{
		{"none", incidentsNone, withLedger(t, ""), "pass"},
		{"one", incidentsNone, withLedger(t, "", open("incident", "shop", "inc-1")), "fail: inc-1: " + since},
		{"one that is over", incidentsNone, withLedger(t, "", open("incident", "shop", "inc-1"), over), "pass"},
		{"another obligation", incidentsNone, withLedger(t, "", open("report", "shop", "inc-1")), "pass"},
		{"of somebody else", incidentsNone, withLedger(t, "", open("incident", "payments", "inc-1")), "pass"},
		{"of a dependency", incidentsNone, withLedger(t, "\ndepends_on: [payments]", open("incident", "payments", "inc-1")), "fail: inc-1: " + since + ", at payments"},
		{"of a dependency that has the same ledger, and none", incidentsNone, withLedger(t, "\ndepends_on: [payments]", resultOf("standby.test", "", 0, func(e *guard.Entry) { e.Service = "payments" })), "pass"},
		{"of a dependency that nobody has seen", incidentsNone, withLedger(t, "\ndepends_on: [payments]"), "unknown: payments: nobody has seen the ledger of payments, so nobody can tell what is open there"},
		{"none by the ledger of a dependency", incidentsNone, beside(t, guard.Ledger{}), "pass"},
		{"one by the ledger of a dependency", incidentsNone, beside(t, guard.Ledger{Entries: []guard.Entry{open("incident", "payments", "inc-1")}}), "fail: inc-1: " + since + ", at payments"},
		{"a dependency without a ledger", incidentsNone, beside(t, guard.Ledger{Missing: true}), "unknown: payments: there is no ledger of payments where the plan says, so nobody can tell what is open there"},
		{"a dependency whose ledger was changed", incidentsNone, beside(t, guard.Ledger{Broken: "line 2"}), "unknown: payments: the ledger of payments cannot be trusted: line 2"},
		{"a journal that cannot be read", incidentsNone, unread(t), "unknown: journals: a journal cannot be read, so something may be owed of which nobody knows: torn.jsonl"},
		{"a report in a journal that cannot be read", reportOverdue, unread(t), "unknown: journals: a journal cannot be read, so something may be owed of which nobody knows: torn.jsonl"},
		{"a drill is in no journal", drillFindingsClosed, unread(t), "pass"},
		{"of everybody", incidentsNone, withLedger(t, "", open("incident", "", "inc-1")), "fail: inc-1: " + since},
	})
}

// beside is the scene of a plan that depends on payments, with the ledger of that.
func beside(t *testing.T, other guard.Ledger) guard.Scene {
	s := withLedger(t, "\ndepends_on: [payments]")
	return answeredBy(s, guard.Ledger{Others: map[string]guard.Ledger{"payments": other}})
}

// unread is a scene with a journal that cannot be read.
func unread(t *testing.T) guard.Scene {
	return answeredBy(withLedger(t, ""), guard.Ledger{Unread: "torn.jsonl"})
}

func answeredBy(s guard.Scene, l guard.Ledger) guard.Scene {
	s.Ask = func(context.Context, guard.Question) (guard.Answer, error) { return guard.Answer{Ledger: &l}, nil }
	return s
}

func TestInspectionFresh(t *testing.T) {
	rounds := func(late time.Duration) (all []guard.Entry) {
		for kind, age := range map[string]time.Duration{"inspection.daily": 1, "inspection.weekly": 7, "log-review": 7, "security-check": 31, "backup-system-check": 31} {
			all = append(all, resultOf(kind, "", age*oneDay+late))
		}
		return all
	}
	const late = ": the latest is 1s older than it may be"
	tell(t, []tale{
		{"all", inspectionFresh, withLedger(t, "", rounds(0)...), "pass: inspection.daily\npass: inspection.weekly\npass: log-review\npass: security-check\npass: backup-system-check"},
		{"late", inspectionFresh, withLedger(t, "", rounds(time.Second)...),
			"fail: inspection.daily" + late + "\nfail: inspection.weekly" + late + "\nfail: log-review" + late + "\nfail: security-check" + late + "\nfail: backup-system-check" + late},
	})
}

// Each of these asks whom the plan names, and nobody else.
func TestProbesOfTheCatalogue(t *testing.T) {
	for _, c := range []guard.Check{securityAlerts, logsReadable, logsSpace, alertsNone, commitChecked, commitReviewed, traceLive, commsInbound, componentEOL} {
		t.Run(c.ID, func(t *testing.T) {
			asked := func(f guard.Finding, err error) guard.Scene {
				s := scene(t, "\nchecks: {settings: {"+c.ID+": {ask: [{use: http, with: {url: \"http://there.test\"}}]}}}", guard.Answer{})
				s.Ask = func(_ context.Context, q guard.Question) (guard.Answer, error) {
					if q.Probe == nil || q.Probe.With["url"] != "http://there.test" {
						t.Errorf("it asks %+v", q)
					}
					return guard.Answer{Finding: f}, err
				}
				return s
			}
			good := guard.Finding{Verdict: guard.Pass, Title: "the probe is content"}
			tell(t, []tale{
				{"yes", c, asked(good, nil), "pass"},
				{"no", c, asked(guard.Finding{Verdict: guard.Fail, Title: "the probe is content", Reason: "it is not"}, nil), "fail: it is not"},
				{"no answer", c, asked(good, errors.New("refused")), "unknown: refused"},
			})
			f, err := c.Run(t.Context(), scene(t, "", guard.Answer{Finding: good}))
			if err != nil || len(f) != 1 || f[0].Verdict != guard.Fail || f[0].Reason[:len(notConfigured)] != notConfigured {
				t.Errorf("of a plan that names nobody: %+v, %v", f, err)
			}
		})
	}
}
