package guard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// staff is a roster whose people hold one role each, but for Ada, who holds two.
const staff = `
  people:
    - {name: Mei, role: on_duty, reach: [{phone: "+8613800000001"}, {email: mei@shop.test}]}
    - {name: Ada, role: deputy, reach: [{email: ada@shop.test}]}
    - {name: Ada, role: comms, reach: [{email: ada@shop.test}, {slack: "@ada"}]}
    - {name: Wang, role: commander, reach: [{email: wang@shop.test}]}
    - {name: Bo, role: commander, reach: [{email: bo@shop.test}]}
    - {name: TODO, role: expert, reach: [{email: todo@shop.test}]}
    - {name: Acme Buyer, role: customer, reach: [{email: buyer@acme.test}]}
  vendors:
    - {name: cloudy, reach: [{phone: "+442079460001"}]}`

// manned is a plan with a roster.
func manned(t *testing.T, roster string) *Plan {
	t.Helper()
	const rest = `
service: shop
rollout: {backend: {use: command, with: {inspect: "true", shift: "true"}}, steps: [100]}
watch:
  source: {use: scrape, with: {canary: ["http://c"], stable: ["http://s"]}}
  signals: [{name: errors, preset: promhttp}]
`
	p, err := ParsePlan("shop.yaml", []byte(rest+"roster:"+roster+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRecipients(t *testing.T) {
	team := func(roles ...string) Notice { return Notice{Audience: "team", Roles: roles} }
	for _, tt := range []struct {
		name   string
		roster string
		notice Notice
		serves []string // Channel.For
		duty   []string
		want   string
		remark string
	}{
		{"a notice of no incident is for nobody by name", staff, Notice{}, nil, []string{"Mei"}, "", ""},
		{"whoever is on duty", staff, team("on_duty"), nil, []string{"Bo"}, "Bo/commander/email", ""},
		{"everybody who is on duty, each once", staff, team("on_duty"), nil, []string{"Mei", "Ada"}, "Mei/on_duty/phone+email Ada/deputy/email+slack", ""},
		{"a notice for the team without a role", staff, team(), nil, []string{"Wang"}, "Wang/commander/email", ""},
		{"nobody is on duty", staff, team("on_duty"), nil, nil, "Mei/on_duty/phone+email", "nobody is on duty, so that the role on_duty hears it"},
		{"a name on duty that the roster does not have", staff, team("on_duty"), nil, []string{"Eve"}, "Mei/on_duty/phone+email", "nobody is on duty, so that the role on_duty hears it"},
		{"nobody is on duty, and there is a deputy", ` {people: [{name: Wang, role: commander}, {name: Ada, role: deputy}]}`, team("on_duty"), nil, nil, "Ada/deputy/", "nobody is on duty, so that the role deputy hears it"},
		{"nobody is on duty, and there is a commander", ` {people: [{name: Bo, role: cook}, {name: Wang, role: commander}]}`, team("on_duty"), nil, nil, "Wang/commander/", "nobody is on duty, so that the role commander hears it"},
		{"nobody is on duty, and there are others", ` {people: [{name: Bo, role: cook}, {name: Li, role: guide}]}`, team("on_duty"), nil, nil, "Bo/cook/ Li/guide/", "nobody is on duty, so that everyone in the roster hears it"},
		{"a roster without people", ` {people: []}`, team("on_duty"), nil, nil, "", "nobody is on duty, and the roster names no people"},
		{"of a role, who is on duty", staff, team("commander"), nil, []string{"Bo", "Mei"}, "Bo/commander/email", ""},
		{"of a role that nobody on duty has, all", staff, team("commander"), nil, []string{"Mei"}, "Wang/commander/email Bo/commander/email", ""},
		{"an unknown role", staff, team("wizard"), nil, []string{"Mei"}, "Mei/on_duty/phone+email", "nobody in the roster has the role wizard, so that whoever is on duty hears it"},
		{"a role whose holder is still to be named", staff, team("expert"), nil, nil, "Mei/on_duty/phone+email", "nobody in the roster has the role expert, so that the role on_duty hears it"},
		{"two roles of one person", staff, team("deputy", "comms"), nil, nil, "Ada/deputy/email+slack", ""},
		{"one remark for each reason", staff, team("wizard", "wizard"), nil, []string{"Mei"}, "Mei/on_duty/phone+email", "nobody in the roster has the role wizard, so that whoever is on duty hears it"},
		{"everyone but customers", staff, team("everyone"), nil, []string{"Bo"}, "Mei/on_duty/phone+email Ada/deputy/email+slack Wang/commander/email Bo/commander/email", ""},
		{"a vendor", staff, Notice{Audience: "vendor", Roles: []string{"cloudy"}}, []string{"vendor"}, nil, "cloudy/vendor/phone", ""},
		{"a customer whom the roster names", staff, Notice{Audience: "customer", Roles: []string{"customer"}}, []string{"customer"}, nil, "Acme Buyer/customer/email", ""},
		{"customers whom the channel knows", ` {people: [{name: Bo, role: cook}]}`, Notice{Audience: "customer", Roles: []string{"customer"}}, []string{"customer"}, []string{"Bo"}, "", ""},
		{"management that the channel knows", staff, Notice{Audience: "management", Roles: []string{"management"}}, []string{"management"}, []string{"Mei"}, "", ""},
		{"an executive whom the channel for management knows", staff, Notice{Audience: "management", Roles: []string{"executive"}}, []string{"management"}, []string{"Mei"}, "", ""},
		{"management that nobody knows", staff, team("management"), nil, []string{"Mei"}, "Mei/on_duty/phone+email", "nobody in the roster has the role management, so that whoever is on duty hears it"},
		{"only the roles that the channel is for", staff, team("on_duty", "commander"), []string{"commander"}, []string{"Mei"}, "Wang/commander/email Bo/commander/email", ""},
		{"a channel for the whole team", staff, team("on_duty", "commander"), []string{"team"}, []string{"Mei"}, "Mei/on_duty/phone+email Wang/commander/email Bo/commander/email", ""},
		{"only who has not got it, although others are on duty by now", staff, Notice{Audience: "team", Roles: []string{"on_duty"}, Only: []string{"Ada"}}, nil, []string{"Mei"}, "Ada/deputy/email+slack", ""},
		{"only a vendor", staff, Notice{Audience: "vendor", Roles: []string{"cloudy"}, Only: []string{"cloudy"}}, nil, nil, "cloudy/vendor/phone", ""},
		{"only an address that the channel knows", staff, Notice{Audience: "team", Roles: []string{"on_duty"}, Only: []string{"to[0]"}}, nil, []string{"Mei"}, "", ""},
		{"a channel for others, because there is no better one", staff, team("on_duty"), []string{"customer"}, []string{"Mei"}, "Mei/on_duty/phone+email", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := manned(t, tt.roster)
			before := fmt.Sprint(p.Roster)
			to, remark := p.Recipients(tt.notice, Channel{For: tt.serves}, tt.duty)
			var told []string
			for _, r := range to {
				var ways []string
				for _, way := range r.Reach {
					for kind := range way {
						ways = append(ways, kind)
					}
				}
				told = append(told, r.Name+"/"+r.Role+"/"+strings.Join(ways, "+"))
			}
			if diff := cmp.Diff(tt.want, strings.Join(told, " ")); diff != "" {
				t.Errorf("recipients (-want +got):\n%s", diff)
			}
			if remark != tt.remark {
				t.Errorf("the remark is %q, want %q", remark, tt.remark)
			}
			if after := fmt.Sprint(p.Roster); after != before {
				t.Errorf("the roster has changed:\n%s\n%s", before, after)
			}
		})
	}
}

// TestHandedIsKept writes what became of a notice for each recipient, and reads it again.
func TestHandedIsKept(t *testing.T) {
	told := Told{Receipt{Detail: "nobody is on duty", Handed: []Handed{
		{Name: "Mei", Role: "on_duty", Way: "email"}, {Name: "Ada", Role: "deputy", Way: "email", Problem: "mailbox full"},
	}}}
	e := Event{Task: 7, Fact: told}
	kind, data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(e.At, kind, data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, again); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}
