package checks

import (
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// byOldPlan makes a result one of another plan than today's.
func byOldPlan(e *guard.Entry) { e.Plan, e.Method = "another", "another" }

func TestDrillFresh(t *testing.T) {
	const never = ": the ledger has no result of it"
	all := func(change ...func(*guard.Entry)) []guard.Entry {
		return []guard.Entry{
			resultOf("drill.full_system", "", 366*oneDay), resultOf("drill.live", "", 183*oneDay), resultOf("drill.security", "", 92*oneDay), resultOf("drill.tabletop", "", 31*oneDay, change...),
		}
	}
	tell(t, []tale{
		{"all, as old as they may be", drillFresh, withLedger(t, "", all()...),
			"pass: drill.any\npass: drill.tabletop\npass: drill.live\npass: drill.full_system\npass: drill.security"},
		{"never", drillFresh, withLedger(t, ""),
			"fail: drill.any" + never + "\nfail: drill.tabletop" + never + "\nfail: drill.live" + never + "\nfail: drill.full_system" + never + "\nfail: drill.security" + never},
		{"the last went wrong", drillFresh, withLedger(t, "", all(went("nobody had the password"))...),
			"fail: drill.any: the latest went wrong: nobody had the password\nfail: drill.tabletop: the latest went wrong: nobody had the password\npass: drill.live\npass: drill.full_system\npass: drill.security"},
		{"any kind counts as one of any kind, of the service", drillFresh, withLedger(t, "", resultOf("drill.scenario", "crash", 92*oneDay),
			resultOf("drill.live", "", oneDay, went("wrong"), func(e *guard.Entry) { e.Service = "cart" }), resultOf("drilling", "", oneDay, went("wrong"))),
			"pass: drill.any\nfail: drill.tabletop" + never + "\nfail: drill.live" + never + "\nfail: drill.full_system" + never + "\nfail: drill.security" + never},
		{"none for a quarter", drillFresh, withLedger(t, "\ndrills: [{name: tabletop, every: 200d}]", resultOf("drill.tabletop", "", 92*oneDay+time.Second)),
			"fail: drill.any: the latest is 1s older than it may be\npass: drill.tabletop\nfail: drill.live" + never + "\nfail: drill.full_system" + never + "\nfail: drill.security" + never},
		{"in another way, which does not count", drillFresh, withLedger(t, "", all(byOldPlan)...),
			"pass: drill.any\nfail: drill.tabletop: the way has changed since: the plan says something else of it today\npass: drill.live\npass: drill.full_system\npass: drill.security"},
		{"in another way since, and before in that of today", drillFresh,
			withLedger(t, "", append(all(), resultOf("drill.tabletop", "", oneDay, byOldPlan))...),
			"pass: drill.any\npass: drill.tabletop\npass: drill.live\npass: drill.full_system\npass: drill.security"},
		{"of one scenario", drillFresh, withLedger(t, "", append(all()[:3], resultOf("drill.tabletop", "crash", oneDay))...),
			"pass: drill.any\npass: drill.tabletop\npass: drill.live\npass: drill.full_system\npass: drill.security"},
		{"of two scenarios, one of which went wrong", drillFresh,
			withLedger(t, "", append(all()[:3], resultOf("drill.tabletop", "crash", 2*oneDay, went("nobody leads")), resultOf("drill.tabletop", "attack", oneDay))...),
			"pass: drill.any\nfail: drill.tabletop: the latest went wrong: nobody leads\npass: drill.live\npass: drill.full_system\npass: drill.security"},
		{"of one that is mended", drillFresh,
			withLedger(t, "", append(all()[:3], resultOf("drill.tabletop", "crash", 2*oneDay, went("nobody leads")), resultOf("drill.tabletop", "crash", oneDay))...),
			"pass: drill.any\npass: drill.tabletop\npass: drill.live\npass: drill.full_system\npass: drill.security"},
		{"as the plan has it", drillFresh, withLedger(t, "\ndata: [{name: orders}]\ndrills: [{name: tabletop, every: 7d}, {name: restore, every: 1d, data: orders}, {name: dns, every: 30d}]",
			append(all(), resultOf("drill.restore", "orders", oneDay), resultOf("drill.dns", "", 31*oneDay))...),
			"pass: drill.any\nfail: drill.tabletop: the latest is 24d older than it may be\n" +
				"pass: drill.live\npass: drill.full_system\npass: drill.security\npass: drill.restore of orders\nfail: drill.dns: the latest is 1d older than it may be"},
		{"of a name that the ledger does not take, and of no store", drillFresh, withLedger(t, "\ndrills: [{name: dns, every: 30d}, {name: Game Day, every: 30d}, {name: restore, every: 7d}]", all()...),
			"fail: drills[1].name: \"Game Day\" cannot be the name of a drill in the ledger\nfail: drills[2].data: it does not say which store is restored"},
	})
}

// What golive does itself it writes down itself.
func TestDrillRemedies(t *testing.T) {
	findings, err := drillFresh.Run(t.Context(), withLedger(t, "\ndata: [{name: orders}]\ndrills: [{name: restore, every: 7d, data: orders}]"))
	if err != nil {
		t.Fatal(err)
	}
	const rehearse = "rehearse it as if it were real, take the times, then: "
	for i, want := range map[int]string{0: "golive record drill.any", 1: "golive drill tabletop", 5: "golive drill restore --data orders"} {
		if got := findings[i].Remedy; got != rehearse+want {
			t.Errorf("remedy %q, want %q", got, rehearse+want)
		}
	}
}

func TestDrillRotation(t *testing.T) {
	const two = "\nscenarios: [{name: crash, action: restart}, {name: attack, action: block}, {name: hardware, accept: it is rented}]"
	crash := resultOf("drill.scenario", "crash", 366*oneDay)
	tell(t, []tale{
		{"both", drillRotation, withLedger(t, two, crash, resultOf("drill.scenario", "attack", oneDay)), "pass: drill.scenario of crash\npass: drill.scenario of attack"},
		{"one around a table, one around another", drillRotation,
			withLedger(t, two, resultOf("drill.tabletop", "crash", oneDay), resultOf("drill.tabletop", "attack", oneDay, byOldPlan)),
			"pass: drill.scenario of crash\nfail: drill.scenario of attack: the way has changed since: the plan says something else of it today"},
		{"one never, one too long ago", drillRotation, withLedger(t, two, resultOf("drill.scenario", "crash", 367*oneDay)),
			"fail: drill.scenario of crash: the latest is 1d older than it may be\nfail: drill.scenario of attack: the ledger has no result of it"},
		{"all are accepted", drillRotation, withLedger(t, "\nscenarios: [{name: hardware, accept: it is rented}]"), "pass"},
		{"none", drillRotation, withLedger(t, ""), "fail: not configured: the plan does not say what can go wrong"},
	})
}

func TestDrillFindingsClosed(t *testing.T) {
	found := func(due time.Duration) guard.Entry {
		return guard.Entry{At: now.Add(-30 * oneDay), Act: guard.Obliged, Kind: "drill-finding", Service: "shop", ID: "find-1", Says: "the password was wrong", Until: now.Add(due)}
	}
	tell(t, []tale{
		{"none", drillFindingsClosed, withLedger(t, ""), "pass"},
		{"due now", drillFindingsClosed, withLedger(t, "", found(0)), "pass"},
		{"overdue", drillFindingsClosed, withLedger(t, "", found(-time.Second)), "fail: find-1: it is overdue for 1s"},
		{"mended", drillFindingsClosed, withLedger(t, "", found(-time.Second), guard.Entry{At: now, Act: guard.Settled, Kind: "drill-finding", Settles: "find-1"}), "pass"},
	})
}
