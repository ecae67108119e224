package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

// rostered is a scene with this chapter roster, one key a line.
func rostered(t *testing.T, lines ...string) guard.Scene {
	t.Helper()
	return scene(t, "\nroster:\n  "+strings.Join(lines, "\n  "), guard.Answer{})
}

// of makes a plan stricter.
func of(s guard.Scene, tier guard.Tier, clauses ...guard.Clause) guard.Scene {
	plan := *s.Plan
	plan.Tier, plan.Clauses = tier, clauses
	s.Plan = &plan
	return s
}

func TestRosterRoles(t *testing.T) {
	people := func(extra string) guard.Scene {
		return rostered(t, "people:",
			"- {name: Wang Fang, role: commander}", "- {name: Luis Vega, role: technical_lead}",
			"- {name: Mei Lin, role: on_duty}", "- {name: Mei Lin, role: comms}", extra)
	}
	const held = "commander Wang Fang, deputy Ada Obi, technical_lead Luis Vega, on_duty Mei Lin, comms Mei Lin"
	filled := guard.Finding{Verdict: guard.Pass, Observed: held}
	missing := guard.Finding{
		Verdict:  guard.Fail,
		Reason:   "the roster names nobody as deputy",
		Remedy:   "add {name: NAME, role: deputy, reach: [{phone: NUMBER}, {email: ADDRESS}]} to roster.people",
		Observed: "commander Wang Fang, technical_lead Luis Vega, on_duty Mei Lin, comms Mei Lin",
	}
	unnamed := missing
	unnamed.Remedy = "write who is deputy in roster.people[4].name"
	all := people("- {name: Ada Obi, role: deputy}")
	checktest.Run(t, rosterRoles, []checktest.Case{
		{Name: "all", Scene: all, Want: []guard.Finding{filled}},
		{Name: "a role of their own", Scene: people("- {name: Ada Obi, role: deputy}\n  - {name: Bo, role: gardener}"), Want: []guard.Finding{filled}},
		{Name: "one is missing", Scene: people(""), Want: []guard.Finding{missing}},
		{Name: "one is nobody yet", Scene: people(`- {name: TODO, role: deputy}`), Want: []guard.Finding{unnamed}},
		{Name: "nobody", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict:  guard.Fail,
			Reason:   "the roster names nobody as commander, deputy, technical_lead, on_duty, comms",
			Remedy:   "add {name: NAME, role: commander, reach: [{phone: NUMBER}, {email: ADDRESS}]} to roster.people, and the same for the other roles",
			Observed: "nobody",
		}}},
		{Name: "too few for a critical service", Scene: of(all, guard.Critical), Want: []guard.Finding{{
			Verdict: guard.Fail, Observed: held,
			Reason: "the roster names nobody as data_recovery, network, test, business, executive, scribe, customer",
		}}},
		{Name: "nobody keeps a large upgrade together", Scene: of(all, guard.Standard, guard.LargeUpgrade), Want: []guard.Finding{{
			Verdict: guard.Fail, Observed: held, Reason: "the roster names nobody as project_office",
		}}},
	})
}

func TestRosterDepth(t *testing.T) {
	two := rostered(t, "people:", "- {name: Wang Fang, role: commander}", "- {name: Ada Obi, role: deputy}")
	same := guard.Finding{
		Verdict: guard.Fail, Observed: "commander Wang Fang, deputy Wang Fang",
		Reason: "nobody decides when the commander cannot be reached",
		Remedy: "name another person with role: deputy in roster.people",
	}
	var full []string
	for _, role := range rolesOf(&guard.Plan{Tier: guard.Critical}) {
		full = append(full, fmt.Sprintf("- {name: %s one, role: %s}", role, role), fmt.Sprintf("- {name: %s two, role: %s}", role, role))
	}
	checktest.Run(t, rosterDepth, []checktest.Case{
		{Name: "two", Scene: two, Want: []guard.Finding{{Verdict: guard.Pass, Observed: "commander Wang Fang, deputy Ada Obi"}}},
		{Name: "one", Scene: rostered(t, "people:", "- {name: Wang Fang, role: commander}", "- {name: Wang Fang, role: deputy}"), Want: []guard.Finding{same}},
		{Name: "one of two deputies", Scene: rostered(t, "people:", "- {name: Wang Fang, role: commander}", "- {name: Wang Fang, role: deputy}", "- {name: Ada Obi, role: deputy}"),
			Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "no commander", Scene: rostered(t, "people:", "- {name: Ada Obi, role: deputy}"), Want: []guard.Finding{{Verdict: guard.Fail, Observed: "commander none, deputy Ada Obi"}}},
		{Name: "a deputy to be found", Scene: rostered(t, "people:", "- {name: Wang Fang, role: commander}", "- {name: TODO, role: deputy}"), Want: []guard.Finding{{Verdict: guard.Fail}}},
		{Name: "two roles", Scene: rostered(t, "people:", "- {name: Wang Fang, role: commander}", "- {name: Ada Obi, role: deputy}", "- {name: Ada Obi, role: comms}"),
			Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "three roles", Scene: rostered(t, "people:", "- {name: Wang Fang, role: commander}", "- {name: Ada Obi, role: deputy}", "- {name: Ada Obi, role: comms}", "- {name: Ada Obi, role: on_duty}"),
			Want: []guard.Finding{{Verdict: guard.Pass}, {Verdict: guard.Warn, Subject: "Ada Obi", Reason: "one person has 3 roles", Observed: "deputy, comms, on_duty"}}},
		{Name: "one for each role of a critical service", Scene: of(two, guard.Critical), Want: []guard.Finding{
			{Verdict: guard.Pass},
			{Verdict: guard.Fail, Subject: "every role", Remedy: "name a second person with role: commander in roster.people"},
		}},
		{Name: "two for each role of a critical service", Scene: of(rostered(t, append([]string{"people:"}, full...)...), guard.Critical), Want: []guard.Finding{
			{Verdict: guard.Pass}, {Verdict: guard.Pass, Subject: "every role", Observed: "12 roles with two or more"},
		}},
		{Name: "nobody keeps a large upgrade together", Scene: of(two, guard.Standard, guard.LargeUpgrade), Want: []guard.Finding{
			{Verdict: guard.Pass}, {Verdict: guard.Fail, Subject: "every role", Remedy: "name a second person with role: project_office in roster.people"},
		}},
	})
}

func TestContactValid(t *testing.T) {
	ada := func(reach string) guard.Scene {
		return rostered(t, "people:", "- {name: Ada Obi, role: deputy, reach: ["+reach+"]}")
	}
	bad := func(reason string) []guard.Finding {
		return []guard.Finding{{Verdict: guard.Fail, Subject: "Ada Obi", Title: "Ada Obi can be reached in two ways", Reason: reason}}
	}
	good := []guard.Finding{{Verdict: guard.Pass, Observed: "1 name with good addresses"}}
	const mail = `, {email: ada@shop.test}`
	checktest.Run(t, contactValid, []checktest.Case{
		{Name: "phone and e-mail", Scene: ada(`{phone: "+44 20 7946 0001"}` + mail), Want: good},
		{Name: "phone and chat", Scene: ada(`{phone: "+86 21 6555 0101"}, {slack: "@ada"}`), Want: good},
		{Name: "mobile and web", Scene: ada(`{mobile: "+61 491 570 006"}, {url: "https://shop.test/ada"}`), Want: good},
		{Name: "in two roles", Scene: rostered(t, "people:", `- {name: Ada Obi, role: deputy, reach: [{phone: "+44 20 7946 0001"}]}`, `- {name: Ada Obi, role: comms, reach: [{email: ada@shop.test}]}`), Want: good},
		{Name: "two phones", Scene: ada(`{phone: "+44 20 7946 0001"}, {mobile: "+61 491 570 006"}`), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "Ada Obi", Reason: "one way is not enough: what is broken may be that very way", Observed: "phone",
			Remedy: "write {phone: NUMBER} and a way of another kind, such as {email: ADDRESS}, in roster.people[0].reach",
		}}},
		{Name: "a name at GitHub is no way", Scene: ada(`{phone: "+44 20 7946 0001"}, {github: ada}`), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "Ada Obi", Reason: "one way is not enough: what is broken may be that very way", Observed: "phone",
		}}},
		{Name: "a name at GitHub beside two ways", Scene: ada(`{phone: "+44 20 7946 0001"}, {github: ada}` + mail), Want: good},
		{Name: "no way", Scene: ada(""), Want: bad("the roster has no way to reach this person")},
		{Name: "no country code", Scene: ada(`{phone: "020 7946 0001"}` + mail), Want: bad("phone is not a telephone number with its country code, such as +44 20 7946 0001")},
		{Name: "too short", Scene: ada(`{sms: "+1 555 0100"}` + mail), Want: bad("sms is a telephone number that nobody can have")},
		{Name: "of a film", Scene: ada(`{phone: "+1 (212) 555-0123"}` + mail), Want: bad("phone is a placeholder: numbers with 555-01 belong to films")},
		{Name: "with an extension", Scene: ada(`{phone: "+1 212.555-0223 ext. 12"}` + mail), Want: good},
		{Name: "too long", Scene: ada(`{phone: "+44 20 7946 0001 0002 00"}` + mail), Want: bad("phone is not a telephone number with its country code, such as +44 20 7946 0001")},
		{Name: "words", Scene: ada(`{phone: "+44 call the desk"}` + mail), Want: bad("phone is not a telephone number with its country code, such as +44 20 7946 0001")},
		{Name: "555 elsewhere", Scene: ada(`{phone: "+1 212 555 0223"}` + mail), Want: good},
		{Name: "to be found", Scene: ada(`{phone: TODO}` + mail), Want: bad("phone is a placeholder")},
		{Name: "no e-mail", Scene: ada(`{phone: "+44 20 7946 0001"}, {email: "ada at shop"}`), Want: bad("email is not an e-mail address")},
		{Name: "e-mail with a name", Scene: ada(`{phone: "+44 20 7946 0001"}, {email: "Ada <ada@shop.test>"}`), Want: bad("email is not an e-mail address")},
		{Name: "e-mail at an example", Scene: ada(`{phone: "+44 20 7946 0001"}, {email: "ada@mail.Example.com"}`), Want: bad("email is a placeholder: nobody has an address there")},
		{Name: "e-mail at no example", Scene: ada(`{phone: "+44 20 7946 0001"}, {email: "ada@myexample.com"}`), Want: good},
		{Name: "no url", Scene: ada(`{phone: "+44 20 7946 0001"}, {url: "shop.test/ada"}`), Want: bad("url is not an address that begins with https://")},
		{Name: "a third way that is wrong", Scene: ada(`{phone: "+44 20 7946 0001"}, {slack: "@ada"}, {web: "https://example.org"}`), Want: bad("web is a placeholder: nobody has an address there")},
		{Name: "nobody", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Fail, Reason: "not configured: the roster is empty"}}},
		{Name: "two still to be named", Scene: rostered(t, "people:", "- {name: TODO, role: deputy, reach: [{phone: TODO}"+mail+"]}", "- {name: TODO, role: comms}"), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "deputy, comms", Observed: "email", Reason: "of the deputy: phone is a placeholder; the same goes for comms",
			Remedy: "write {phone: NUMBER} and a way of another kind, such as {email: ADDRESS}, in roster.people[0].reach, and the same for the other roles",
		}}},
		{Name: "to be named, with good addresses", Scene: rostered(t, "people:", `- {name: TODO, role: deputy, reach: [{phone: "+44 20 7946 0001"}`+mail+"]}"), Want: good},
	})
}

// No finding may hold an address, for findings go to logs, chats and reports.
func TestAddressesAreNotTold(t *testing.T) {
	s := rostered(t, "people:", `- {name: Ada Obi, role: deputy, reach: [{phone: "020 7946 0001"}, {email: "ada at shop"}, {url: "ada"}]}`,
		"vendors:", `- {name: PayCo, reach: [{phone: "020 7946 0001"}, {email: "ada at shop"}]}`)
	for _, c := range []guard.Check{contactValid, vendorContact} {
		findings, err := c.Run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			for _, secret := range []string{"020 7946", "ada at"} {
				if text := fmt.Sprint(f); strings.Contains(text, secret) {
					t.Errorf("%s tells %q: %s", c.ID, secret, text)
				}
			}
		}
	}
}

func TestFreshness(t *testing.T) {
	roster := func(day string) guard.Scene { return rostered(t, "verified: "+day) }
	plan := func(day string) guard.Scene { return scene(t, "\nreviewed: "+day, guard.Answer{}) }
	// It is 2026-11-24T03:00Z.
	checktest.Run(t, rosterFresh, []checktest.Case{
		{Name: "today", Scene: roster("2026-11-24"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "2026-11-24, 0 days ago", Expected: "at most 92 days ago"}}},
		{Name: "tomorrow, which it is in Kiribati almost", Scene: at(roster("2026-11-25"), "2026-11-24T10:00:00Z"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "2026-11-25, 0 days ago"}}},
		{Name: "tomorrow", Scene: roster("2026-11-25"), Want: []guard.Finding{{Verdict: guard.Unknown, Reason: "clock skew: 2026-11-25 is yet to come"}}},
		{Name: "92 days", Scene: roster("2026-08-24"), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "93 days", Scene: roster("2026-08-23"), Want: []guard.Finding{{Verdict: guard.Warn, Reason: "nobody has looked at it for 93 days; it will fail in 91 days",
			Remedy: "go through it, mend what is wrong, then write 2026-11-24 in roster.verified"}}},
		{Name: "183 days", Scene: roster("2026-05-25"), Want: []guard.Finding{{Verdict: guard.Warn, Reason: "nobody has looked at it for 183 days; it will fail in 1 day"}}},
		{Name: "184 days", Scene: roster("2026-05-24"), Want: []guard.Finding{{Verdict: guard.Fail, Reason: "nobody has looked at it for 184 days"}}},
		{Name: "over a leap day", Scene: at(roster("2028-02-29"), "2028-05-31T00:00:00Z"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "2028-02-29, 92 days ago"}}},
		{Name: "never", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Fail, Reason: "not configured: the plan does not say when somebody last went through it"}}},
	})
	checktest.Run(t, planReviewed, []checktest.Case{
		{Name: "183 days since review", Scene: plan("2026-05-25"), Want: []guard.Finding{{Verdict: guard.Pass, Expected: "at most 183 days ago"}}},
		{Name: "184 days since review", Scene: plan("2026-05-24"), Want: []guard.Finding{{Verdict: guard.Fail}}},
		{Name: "never reviewed", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Fail, Remedy: "go through it, mend what is wrong, then write 2026-11-24 in reviewed"}}},
	})
}

func TestPlanOwner(t *testing.T) {
	checktest.Run(t, planOwner, []checktest.Case{
		{Name: "a team", Scene: scene(t, "\nowner: release-engineering", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "release-engineering"}}},
		{Name: "to be found", Scene: scene(t, "\nowner: TBD", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Fail, Remedy: "write the name of a person or a team in owner"}}},
		{Name: "nobody", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Fail}}},
	})
}

func TestVendorContact(t *testing.T) {
	vendors := func(list string) guard.Scene { return rostered(t, "vendors: "+list) }
	checktest.Run(t, vendorContact, []checktest.Case{
		{Name: "a phone", Scene: vendors(`[{name: PayCo, reach: [{phone: "+44 808 157 0123"}, {email: noc@payco.test}]}]`), Want: []guard.Finding{{
			Subject: "PayCo", Verdict: guard.Pass, Title: "PayCo can be reached by phone", Observed: "email, phone",
		}}},
		{Name: "mail only", Scene: vendors(`[{name: PayCo, reach: [{email: noc@payco.test}]}]`), Want: []guard.Finding{{
			Subject: "PayCo", Verdict: guard.Fail, Observed: "email",
			Reason: "the roster has no phone number of PayCo",
			Remedy: "write {phone: NUMBER} into reach of roster.vendors[0]",
		}}},
		{Name: "a placeholder", Scene: vendors(`[{name: PayCo, reach: [{phone: "tbd"}]}]`), Want: []guard.Finding{{
			Subject: "PayCo", Verdict: guard.Fail, Observed: "no way to reach anybody", Reason: "phone is a placeholder",
		}}},
		{Name: "a good number and a bad address", Scene: vendors(`[{name: PayCo, reach: [{phone: "+44 808 157 0123"}, {email: noc@example.com}]}]`), Want: []guard.Finding{{
			Subject: "PayCo", Verdict: guard.Fail, Reason: "email is a placeholder: nobody has an address there", Remedy: "write the right address into reach of roster.vendors[0]",
		}}},
		{Name: "nobody yet", Scene: vendors(`[{name: TODO, reach: [{phone: "+44 808 157 0123"}]}]`), Want: []guard.Finding{{
			Subject: "TODO", Verdict: guard.Fail, Reason: "the vendor has no name",
			Remedy: "write its name and {phone: NUMBER} in roster.vendors[0], or write vendors: [] if there are none",
		}}},
		{Name: "one of two", Scene: vendors(`[{name: PayCo, reach: [{phone: "+44 808 157 0123"}]}, {name: Net}]`), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "PayCo"},
			{Verdict: guard.Fail, Subject: "Net"},
		}},
		{Name: "nothing about vendors", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "the plan does not say on whom else the service depends",
			Remedy: "list the vendors in roster.vendors, or write vendors: [] if there are none",
		}}},
		{Name: "no vendors", Scene: vendors("[]"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "the plan says that there is nobody"}}},
		{Name: "no vendors, but the clause", Scene: of(vendors("[]"), guard.Standard, guard.ThirdParty), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "not configured: the plan has the clause third_party, and names no vendor",
		}}},
	})
}

func TestVendorContract(t *testing.T) {
	// The launch takes 50 minutes at most.
	until := func(day, now string) guard.Scene {
		return at(rostered(t, "vendors: [{name: PayCo, contract: {id: C-118, until: "+day+"}}]"), now)
	}
	checktest.Run(t, vendorContract, []checktest.Case{
		{Name: "next year", Scene: until("2027-12-31", "2026-11-24T03:00:00Z"), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "PayCo", Observed: "C-118 until 2027-12-31"}}},
		{Name: "its last day", Scene: until("2026-11-24", "2026-11-24T23:10:00Z"), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "PayCo"}}},
		{Name: "ends a second before the launch does", Scene: until("2026-11-24", "2026-11-24T23:10:01Z"), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "PayCo", Reason: "it ends before the launch does, which may last until Wed 2026-11-25 00:00 UTC",
			Remedy: "renew the contract, and write contract: {id: NUMBER, until: DAY} in roster.vendors[0]",
		}}},
		{Name: "a leap day", Scene: until("2028-02-29", "2028-02-29T23:10:00Z"), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "PayCo"}}},
		{Name: "no end", Scene: rostered(t, "vendors: [{name: PayCo, contract: {id: C-118}}]"), Want: []guard.Finding{{Verdict: guard.Fail, Subject: "PayCo", Observed: "no number, or no end"}}},
		{Name: "no number", Scene: rostered(t, "vendors: [{name: PayCo, contract: {until: 2027-12-31}}]"), Want: []guard.Finding{{Verdict: guard.Fail, Subject: "PayCo"}}},
		{Name: "no vendors", Scene: rostered(t, "vendors: []"), Want: []guard.Finding{{Verdict: guard.Pass}}},
	})
}

func TestVendorSLA(t *testing.T) {
	sla := func(rto, text string) guard.Scene {
		return scene(t, "\nobjectives: {rto: "+rto+"}\nroster: {vendors: [{name: PayCo, sla: {"+text+"}}]}", guard.Answer{})
	}
	checktest.Run(t, vendorSLA, []checktest.Case{
		{Name: "as soon as it has to be", Scene: sla("15m", "respond: 15m, hours: 24x7"), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "PayCo", Observed: "within 15m, 24x7"}}},
		{Name: "too late", Scene: sla("15m", "respond: 16m, hours: 24x7"), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "PayCo", Reason: "it may take 1m longer to respond than the service may be away",
			Expected: "a response within 15m, from Tue 2026-11-24 03:00 UTC to 03:50 UTC",
		}}},
		{Name: "an hour in any case", Scene: sla("8h", "respond: 61m, hours: 24x7"), Want: []guard.Finding{{Verdict: guard.Fail, Subject: "PayCo"}}},
		{Name: "an hour without objective", Scene: sla("0", "respond: 1h, hours: 24x7"), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "PayCo"}}},
		{Name: "hours that just suffice", Scene: sla("1h", `respond: 15m, hours: "Tue 03:00-03:50 UTC"`), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "PayCo"}}},
		{Name: "hours that end too soon", Scene: sla("1h", `respond: 15m, hours: "Mon-Fri 08:00-22:45 America/New_York"`), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "PayCo",
			Reason: "nobody answers there from Mon 2026-11-23 22:45 EST to 22:50 EST in America/New_York, Tue 2026-11-24 03:45 UTC to 03:50 UTC",
		}}},
		{Name: "hours nowhere", Scene: sla("1h", `respond: 15m, hours: "Mon-Fri 08:00-22:00 Europe/Atlantis"`), Want: []guard.Finding{{
			Verdict: guard.Unknown, Subject: "PayCo", Reason: `there is no time zone "Europe/Atlantis"`,
		}}},
		{Name: "no promise", Scene: sla("1h", "hours: 24x7"), Want: []guard.Finding{{Verdict: guard.Fail, Subject: "PayCo", Remedy: "write sla: {respond: TIME, hours: 24x7} in roster.vendors[0]"}}},
		{Name: "no hours", Scene: sla("1h", "respond: 15m"), Want: []guard.Finding{{Verdict: guard.Fail, Subject: "PayCo"}}},
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
		"+44 20 7946 0001":  false,
		"noc@example.com":   false, // of that, readMail knows
		"xxxl-shirts":       false,
		"Mastodon: @todo42": false,
	} {
		if got := placeholder(text); got != want {
			t.Errorf("placeholder(%q) = %t, want %t", text, got, want)
		}
	}
}

// TestOnDuty asks who is on duty at one moment, by the plan and by a file.
func TestOnDuty(t *testing.T) {
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	const people = "people: [{name: Mei Lin, role: on_duty, tz: Asia/Shanghai}, {name: Ada Obi, role: deputy}]"
	listed := rostered(t, people, `shifts: [{name: Mei Lin, when: "Mon-Fri 22:00-06:00 Asia/Shanghai"}, {name: Ada Obi, from: "2026-11-24T20:00:00Z", to: "2026-11-24T22:00:00Z"}]`)
	filed := rostered(t, people, "shifts: {file: rota.ics}")
	const rota = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261101T000000Z\r\nDTSTART:20261124T200000Z\r\nDTEND:20261124T220000Z\r\nSUMMARY:Ada Obi\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	for _, tt := range []struct {
		name  string
		scene guard.Scene
		at    string
		want  string
	}{
		{"before midnight in Shanghai", listed, "2026-11-24T15:00:00Z", "Mei Lin"},
		{"both", listed, "2026-11-24T21:00:00Z", "Mei Lin, Ada Obi"},
		{"the first moment of a shift", listed, "2026-11-24T20:00:00Z", "Mei Lin, Ada Obi"},
		{"the moment after one", listed, "2026-11-24T22:00:00Z", ""},
		{"by day", listed, "2026-11-24T09:00:00Z", ""},
		{"by a file", filed, "2026-11-24T21:59:59Z", "Ada Obi"},
		{"by a file, later", filed, "2026-11-24T22:00:00Z", ""},
		{"nobody says", rostered(t, people), "2026-11-24T21:00:00Z", "error: not configured: the plan does not say who is on duty when"},
		{"a file that is not there", rostered(t, people, "shifts: {file: lost.ics}"), "2026-11-24T21:00:00Z", "error: no such file"},
	} {
		names, err := OnDuty(t.Context(), tt.scene.Plan, at(tt.at), func(_ context.Context, name string) (string, error) {
			if name != "rota.ics" {
				return "", errors.New("no such file")
			}
			return rota, nil
		})
		got := strings.Join(names, ", ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
