package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var rosterDepth = guard.Check{
	Code:  "GL302",
	ID:    "roster.depth",
	Title: "nobody in the roster is the only one who can act",
	Path:  "roster.people",
	S:     []int{39, 146},
	Doc: `
It asks whether the roster stands when one person falls out: the deputy has to be somebody else than the commander,
and in a critical service every role needs two people, as the project_office of a large upgrade does in any. Whoever
holds more than two roles is warned about; five things cannot be done at once.

A roster whose deputy is the commander looks complete and is not: when that person is on a plane, nobody decides.
The same holds for the one engineer who can restore the database.

To mend it, name a second person, and list both with the role:

    roster:
      people:
        - {name: Wang Fang, role: commander, reach: [{phone: "+44 20 7946 0005"}, {email: wf@shop.test}]}
        - {name: Ada Obi, role: deputy, reach: [{phone: "+44 20 7946 0001"}, {email: ada@shop.test}]}

It answers S39 and S146.
`,
	Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		findings := []guard.Finding{deputised(s.Plan)}
		switch {
		case s.Plan.Tier != guard.Standard:
			findings = append(findings, doubled(s.Plan, rolesOf(s.Plan)))
		case slices.Contains(s.Plan.Clauses, guard.LargeUpgrade):
			findings = append(findings, doubled(s.Plan, []string{projectOffice}))
		}
		people := s.Plan.Roster.People
		for _, name := range names(people) {
			var held []string
			for _, p := range people {
				if p.Name == name {
					held = append(held, p.Role)
				}
			}
			if len(held) > 2 && !placeholder(name) {
				findings = append(findings, guard.Finding{
					Subject:  brief(name),
					Verdict:  guard.Warn,
					Title:    brief(name) + " can do what is asked at once",
					Reason:   "one person has " + count(len(held), "role"),
					Remedy:   "give a role of theirs to somebody else in " + place(s.Plan, "roster.people"),
					Expected: "at most 2 roles for each",
					Observed: brief(strings.Join(held, ", ")),
				})
			}
		}
		return findings, nil
	},
}

// deputised says whether somebody decides when the commander cannot be reached.
func deputised(p *guard.Plan) guard.Finding {
	commanders, deputies := names(holding(p, "commander")), names(holding(p, "deputy"))
	others := slices.DeleteFunc(slices.Clone(deputies), func(name string) bool { return slices.Contains(commanders, name) })
	f := guard.Finding{
		Verdict:  guard.Pass,
		Title:    "the deputy is somebody else than the commander",
		Expected: "two people",
		Observed: fmt.Sprintf("commander %s, deputy %s", brief(said(commanders)), brief(said(deputies))),
	}
	if len(commanders) == 0 || len(others) == 0 {
		f.Verdict = guard.Fail
		f.Reason = "nobody decides when the commander cannot be reached"
		f.Remedy = "name another person with role: deputy in " + place(p, "roster.people")
		if path := unnamed(p, "deputy"); path != "" {
			f.Path = path
			f.Remedy = "write somebody else than the commander in " + place(p, path)
		}
	}
	return f
}

// doubled says whether every role has a second person.
func doubled(p *guard.Plan, needed []string) guard.Finding {
	var single []string
	for _, role := range needed {
		if len(names(holding(p, role))) < 2 {
			single = append(single, role)
		}
	}
	f := guard.Finding{
		Subject:  "every role",
		Verdict:  guard.Pass,
		Title:    "every role is held by two people",
		Expected: "two people for each of " + strings.Join(needed, ", "),
		Observed: count(len(needed), "role") + " with two or more",
	}
	if len(single) > 0 {
		f.Verdict = guard.Fail
		f.Observed = "fewer than two as " + strings.Join(single, ", ")
		f.Reason = "when one person falls out, nobody is left as " + strings.Join(single, ", ")
		f.Remedy = fmt.Sprintf("name a second person with role: %s in %s", single[0], place(p, "roster.people"))
	}
	return f
}
