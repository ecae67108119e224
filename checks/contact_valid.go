package checks

import (
	"context"
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var contactValid = guard.Check{
	Code:  "GL303",
	ID:    "contact.valid",
	Title: "everybody in the roster can be reached in two ways",
	Path:  "roster.people",
	S:     []int{43, 52},
	Doc: `
It asks whether everybody in the roster can be reached in at least two ways of different kinds, and whether each
address can be right. A telephone number (phone, mobile, sms, which count as one kind) needs its country code and
has to be one that the country has given out; an e-mail address has to be one, and a url, web or webhook has to
begin with http. Placeholders are refused: TODO, TBD, xxx, changeme, addresses at example.com, American numbers
with 555-01. Other kinds, such as slack, may be written as one likes. Addresses are never printed.

A way to reach somebody is tried for the first time on the night on which it matters. The mail server may be what
is down, and a phone may lie in another room: with two ways of different kinds, one trouble leaves the other. A
number without its country code works from the office, and not for a colleague in another country.

To mend it, write down both, and try them:

    roster:
      people:
        - {name: Ada Obi, role: deputy, reach: [{phone: "+44 20 7946 0001"}, {email: ada@shop.test}]}

It answers S43 and S52.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		const expected = "two ways of different kinds, each with an address that can be right"
		var findings []guard.Finding
		people := names(s.Plan.Roster.People)
		if f, ok := unnamedReach(s.Plan); ok {
			f.Expected = expected
			findings = append(findings, f)
		}
		for _, name := range people {
			if placeholder(name) {
				continue // the same for all of them, above
			}
			var reach []guard.Reach
			path := ""
			for i, p := range s.Plan.Roster.People {
				if p.Name == name {
					reach = append(reach, p.Reach...)
					if path == "" {
						path = fmt.Sprintf("roster.people[%d].reach", i)
					}
				}
			}
			kinds, wrong := ways(reach)
			if len(kinds) > 1 && len(wrong) == 0 {
				continue
			}
			f := guard.Finding{
				Subject:  brief(name),
				Verdict:  guard.Fail,
				Title:    brief(name) + " can be reached in two ways",
				Reason:   brief(strings.Join(wrong, ", ")),
				Remedy:   "write {phone: NUMBER} and a way of another kind, such as {email: ADDRESS}, in " + place(s.Plan, path),
				Expected: expected,
				Observed: said(kinds),
				Path:     path,
			}
			if len(wrong) == 0 {
				f.Reason = "one way is not enough: what is broken may be that very way"
				if len(kinds) == 0 {
					f.Reason = "the roster has no way to reach this person"
				}
			}
			findings = append(findings, f)
		}
		if len(findings) > 0 {
			return findings, nil
		}
		f := guard.Finding{
			Verdict:  guard.Pass,
			Expected: expected,
			Observed: count(len(people), "name") + " with good addresses",
		}
		if len(people) == 0 {
			f.Verdict, f.Observed = guard.Fail, "nobody"
			f.Reason = "not configured: the roster is empty"
			f.Remedy = "add {name: NAME, role: commander, reach: [{phone: NUMBER}, {email: ADDRESS}]} to " + place(s.Plan, "roster.people")
		}
		return []guard.Finding{f}, nil
	},
}

// unnamedReach is the finding about all entries whose name is still to be written and that lack an address; false if
// there are none.
func unnamedReach(p *guard.Plan) (guard.Finding, bool) {
	var who, lacks []string
	f := guard.Finding{Verdict: guard.Fail, Observed: "none"}
	for i, person := range p.Roster.People {
		kinds, wrong := ways(person.Reach)
		if !placeholder(person.Name) || len(kinds) > 1 && len(wrong) == 0 {
			continue
		}
		who = append(who, person.Role)
		if len(who) > 1 {
			continue
		}
		f.Path = fmt.Sprintf("roster.people[%d].reach", i)
		f.Observed = said(kinds)
		if lacks = wrong; len(lacks) == 0 {
			lacks = []string{"two ways are not there"}
		}
	}
	if len(who) == 0 {
		return f, false
	}
	f.Subject = brief(strings.Join(who, ", "))
	f.Reason = brief(fmt.Sprintf("of the %s: %s", who[0], strings.Join(lacks, ", ")))
	f.Remedy = "write {phone: NUMBER} and a way of another kind, such as {email: ADDRESS}, in " + place(p, f.Path)
	if len(who) > 1 {
		f.Reason = brief(fmt.Sprintf("of the %s: %s; the same goes for %s", who[0], strings.Join(lacks, ", "), list(who[1:], "and")))
		f.Remedy += ", and the same for the other roles"
	}
	return f, true
}

// said lists what there is, or says that there is none.
func said(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
