package checks

import (
	"fmt"
	"testing"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestRosterRoles(t *testing.T) {
	people := func(extra string) guard.Scene {
		return scene(t, fmt.Sprintf(`
roster:
  people:
    - {name: Wang Fang, role: commander, reach: [{phone: "1"}]}
    - {name: Luis Vega, role: technical_lead, reach: [{phone: "3"}]}
    - {name: Mei Lin, role: on_duty, reach: [{phone: "4"}]}
    - {name: Mei Lin, role: comms, reach: [{phone: "4"}]}
    %s`, extra), guard.Answer{})
	}
	const held = "commander Wang Fang, deputy Ada Obi, technical_lead Luis Vega, on_duty Mei Lin, comms Mei Lin"
	filled := guard.Finding{Verdict: guard.Pass, Title: "every role of the launch is filled", Observed: held}
	missing := guard.Finding{
		Verdict:  guard.Fail,
		Reason:   "the roster names nobody as deputy",
		Remedy:   "add {name: NAME, role: deputy, reach: [{phone: NUMBER}]} to roster.people",
		Observed: "commander Wang Fang, technical_lead Luis Vega, on_duty Mei Lin, comms Mei Lin",
	}
	checktest.Run(t, rosterRoles, []checktest.Case{
		{Name: "all", Scene: people(`- {name: Ada Obi, role: deputy, reach: [{slack: "@ada"}]}`), Want: []guard.Finding{filled}},
		{Name: "a role of their own", Scene: people("- {name: Ada Obi, role: deputy, reach: [{phone: \"2\"}]}\n    - {name: Bo, role: scribe, reach: [{phone: \"9\"}]}"),
			Want: []guard.Finding{filled}},
		{Name: "one is missing", Scene: people(""), Want: []guard.Finding{missing}},
		{Name: "one is nobody yet", Scene: people(`- {name: TODO, role: deputy, reach: [{phone: "2"}]}`), Want: []guard.Finding{missing}},
		{Name: "one cannot be reached", Scene: people(`- {name: Ada Obi, role: deputy}`), Want: []guard.Finding{filled, {
			Subject:  "Ada Obi as deputy",
			Verdict:  guard.Fail,
			Title:    "Ada Obi can be reached as deputy",
			Reason:   "the roster has no way to reach this person, or only placeholders",
			Remedy:   "write reach: [{phone: NUMBER}] with the real number in roster.people[4]",
			Observed: "none",
		}}},
		{Name: "one has a placeholder", Scene: people(`- {name: Ada Obi, role: deputy, reach: [{phone: "TODO"}, {email: "<changeme>"}]}`), Want: []guard.Finding{
			filled, {Verdict: guard.Fail, Subject: "Ada Obi as deputy"},
		}},
		{Name: "nobody", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict:  guard.Fail,
			Reason:   "the roster names nobody as commander, deputy, technical_lead, on_duty, comms",
			Remedy:   "add {name: NAME, role: commander, reach: [{phone: NUMBER}]} to roster.people, and the same for the other roles",
			Observed: "nobody",
		}}},
	})
}

func TestVendorContact(t *testing.T) {
	vendors := func(list string) guard.Scene {
		return scene(t, "\nroster: {vendors: "+list+"}", guard.Answer{})
	}
	checktest.Run(t, vendorContact, []checktest.Case{
		{Name: "a phone", Scene: vendors(`[{name: PayCo, reach: [{phone: "+1 555 0100"}, {email: noc@payco.test}]}]`), Want: []guard.Finding{{
			Subject: "PayCo", Verdict: guard.Pass, Title: "PayCo can be reached by phone", Observed: "email, phone",
		}}},
		{Name: "mail only", Scene: vendors(`[{name: PayCo, reach: [{email: noc@payco.test}]}]`), Want: []guard.Finding{{
			Verdict: guard.Fail, Observed: "email",
			Reason: "the roster has no phone number of PayCo, or only a placeholder",
			Remedy: "write {phone: NUMBER} into reach of roster.vendors[0]",
		}}},
		{Name: "a placeholder", Scene: vendors(`[{name: PayCo, reach: [{phone: "tbd"}]}]`), Want: []guard.Finding{{Verdict: guard.Fail, Observed: "no way to reach anybody"}}},
		{Name: "one of two", Scene: vendors(`[{name: PayCo, reach: [{phone: "1"}]}, {name: Net}]`), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "PayCo"},
			{Verdict: guard.Fail, Subject: "Net"},
		}},
		{Name: "nothing about vendors", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "the plan does not say on whom else the service depends",
			Remedy: "list the vendors in roster.vendors, or write vendors: [] if there are none",
		}}},
		{Name: "no vendors", Scene: vendors("[]"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "the plan says that there is nobody"}}},
	})
}

func TestPlaceholder(t *testing.T) {
	for text, want := range map[string]bool{
		"":                  true,
		" \t":               true,
		"TODO":              true,
		"TODO: ask Ada":     true,
		"<tbd>":             true,
		"+86 xxx xxx":       true,
		"changeme!":         true,
		"todo@shop.test":    false,
		"+1 555 0100":       false,
		"noc@example.com":   false,
		"xxxl-shirts":       false,
		"Mastodon: @todo42": false,
	} {
		if got := placeholder(text); got != want {
			t.Errorf("placeholder(%q) = %t, want %t", text, got, want)
		}
	}
}
