package checks

import (
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

func TestContactReachable(t *testing.T) {
	const two = "\nroster: {people: [{name: Wang Fang, role: commander}, {name: Wang Fang, role: deputy}, {name: Mei Lin, role: on_duty}, {name: TODO, role: comms}]}"
	wang := resultOf("contact.test", "Wang Fang", 31*oneDay)
	tell(t, []tale{
		{"all", contactReachable, withLedger(t, two, wang, resultOf("contact.test", "Mei Lin", 0)), "pass: contact.test of Wang Fang\npass: contact.test of Mei Lin"},
		{"one is too old, one did not answer", contactReachable,
			withLedger(t, two, resultOf("contact.test", "Wang Fang", 31*oneDay+time.Second), resultOf("contact.test", "Mei Lin", 2*oneDay), resultOf("contact.test", "Mei Lin", oneDay, went("voicemail"))),
			"fail: contact.test of Wang Fang: the latest is 1s older than it may be\nfail: contact.test of Mei Lin: the latest went wrong: voicemail"},
		{"nobody", contactReachable, withLedger(t, ""), "fail: not configured: the roster is empty"},
	})
}

func TestRosterOwners(t *testing.T) {
	owners := func(owners string) guard.Scene {
		return rostered(t, "people: [{name: Ada Obi, role: deputy}]", "vendors: [{name: PayCo}]", owners)
	}
	tell(t, []tale{
		{"none", rosterOwners, owners(""), "fail: not configured: the plan does not say who answers for the domain, the datacentre, the customers and for public_relations"},
		{"all", rosterOwners, owners("owners: {domain: Ada Obi, datacentre: PayCo, customers: Ada Obi, public_relations: Ada Obi}"), "pass"},
		{"one is missing, one is a placeholder, one is unknown", rosterOwners, owners("owners: {domain: TODO, datacentre: PayCo, customers: Eve}"),
			"fail: domain: nobody answers for it\nfail: customers: Eve is neither in the roster nor a vendor, so nobody has a number to call\nfail: public_relations: nobody answers for it"},
	})
}

func TestRosterSkills(t *testing.T) {
	skills := func(lines ...string) guard.Scene {
		return rostered(t, append(lines, "people: [{name: Ada Obi, role: deputy, skills: [postgres]}, {name: TODO, role: comms, skills: [network]}]")...)
	}
	tell(t, []tale{
		{"none", rosterSkills, skills(), "fail: not configured: the plan does not say what somebody has to know"},
		{"known", rosterSkills, skills("skills: [postgres]"), "pass"},
		{"unknown", rosterSkills, skills("skills: [network, postgres]"), "fail: network: nobody in the roster knows it"},
	})
}

func TestTrainingFresh(t *testing.T) {
	const skilled = "\nroster: {skills: [postgres], people: [{name: Mei Lin, role: on_duty}, {name: Wang Fang, role: commander}]}"
	trained, inSkill := resultOf("training", "Mei Lin", 366*oneDay), resultOf("training", "Mei Lin: postgres", 366*oneDay)
	tell(t, []tale{
		{"trained", trainingFresh, withLedger(t, skilled, trained), "pass"},
		{"too long ago", trainingFresh, withLedger(t, skilled, resultOf("training", "Mei Lin", 367*oneDay)), "fail: the latest is 1d older than it may be"},
		{"never", trainingFresh, withLedger(t, skilled), "fail: the ledger has no result of it"},
		{"nobody is on duty", trainingFresh, withLedger(t, ""), "fail: not configured: the roster names nobody as on_duty"},
		{"not in what is new", trainingFresh, withLedger(t, "\nclauses: [new_tech]"+skilled, trained),
			"pass: training of Mei Lin\nfail: training of Mei Lin: postgres: the ledger has no result of it"},
		{"in what is new too", trainingFresh, withLedger(t, "\nclauses: [new_tech]"+skilled, trained, inSkill), "pass: training of Mei Lin\npass: training of Mei Lin: postgres"},
	})
	for clause, want := range map[string]guard.Need{"": guard.Advisory, "\nclauses: [new_tech]": guard.Required} {
		if got := trainingFresh.For(parse(t, clause)); got != want {
			t.Errorf("of a plan with %q it is %s, want %s", clause, got, want)
		}
	}
}
