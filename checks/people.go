package checks

import (
	"fmt"
	"slices"

	"github.com/golive-dev/golive/guard"
)

// firstCalled are the people who see the alarm first.
func firstCalled(s guard.Scene) []string { return names(holding(s.Plan, "on_duty")) }

// nobodyOnDuty is a roster in which nobody is called first.
func nobodyOnDuty(s guard.Scene) []gap {
	if len(firstCalled(s)) > 0 {
		return nil
	}
	return []gap{{
		path: "roster.people", why: notConfigured + "the roster names nobody as on_duty",
		remedy: "add {name: NAME, role: on_duty, reach: [{phone: NUMBER}, {email: ADDRESS}]} to",
	}}
}

var contactReachable = row(guard.Check{
	Code: "GL307", ID: "contact.reachable", Title: "everybody in the roster is known to answer", Path: "roster.people",
	Standard: guard.Off, Critical: guard.Advisory, S: []int{43},
},
	`A number that is written correctly may ring on a desk, or on the phone of somebody who has silenced it for the
	night. Only a call that is answered shows that the next one will be.`,
	record{
		done:  "a test call to everybody in the roster",
		do:    "call them without warning, wait until they answer",
		about: func(s guard.Scene) []topic { return topics("contact.test", days(31), inRoster(s)...) },
		lacks: func(s guard.Scene) []gap {
			if len(inRoster(s)) > 0 {
				return nil
			}
			return []gap{{
				path: "roster.people", why: notConfigured + "the roster is empty",
				remedy: "add {name: NAME, role: commander, reach: [{phone: NUMBER}, {email: ADDRESS}]} to",
			}}
		},
	})

// inRoster are all people of the roster, each once, without those who are still to be named.
func inRoster(s guard.Scene) []string {
	return slices.DeleteFunc(names(s.Plan.Roster.People), placeholder)
}

// owned is what somebody has to answer for by name.
var owned = []string{"domain", "datacentre", "customers", "public_relations"}

var rosterOwners = row(guard.Check{
	Code: "GL312", ID: "roster.owners", Title: "whatever may fail is owned by somebody", Path: "roster.owners",
	Standard: guard.Advisory, Critical: guard.Advisory, S: []int{48},
},
	`A domain that expires, a data centre that loses power, a journalist on the phone: none of it is software, and each
	takes the service down or makes it worse. Whoever holds the password of the registrar is not found by asking around.`,
	lint{
		whether: "whether the plan says who answers for the domain, the datacentre, the customers and for public_relations: somebody of the roster, or a vendor",
		write:   "write down who does:\n\n    roster:\n      owners: {domain: Ada Obi, datacentre: Luis Vega, customers: Tom Reed, public_relations: Tom Reed}",
		want:    "an owner of the domain, the datacentre, the customers and of public_relations",
		look: func(s guard.Scene) (string, []gap) {
			roster := s.Plan.Roster
			if len(roster.Owners) == 0 {
				return unset("roster.owners", "who answers for the domain, the datacentre, the customers and for public_relations",
					"{domain: NAME, datacentre: NAME, customers: NAME, public_relations: NAME}")
			}
			known := inRoster(s)
			for _, v := range roster.Vendors {
				known = append(known, v.Name)
			}
			var gaps []gap
			for _, thing := range owned {
				switch owner := roster.Owners[thing]; {
				case placeholder(owner):
					gaps = append(gaps, gap{path: "roster.owners", about: thing, why: "nobody answers for it", remedy: "write " + thing + ": NAME in"})
				case !slices.Contains(known, owner):
					gaps = append(gaps, gap{
						path: "roster.owners." + thing, about: thing, why: brief(owner) + " is neither in the roster nor a vendor, so nobody has a number to call",
						remedy: "write the name as it stands in roster.people or roster.vendors in",
					})
				}
			}
			return count(len(roster.Owners), "owner"), gaps
		},
	})

var rosterSkills = row(guard.Check{
	Code: "GL313", ID: "roster.skills", Title: "every skill that may be needed is there", Path: "roster.skills",
	Standard: guard.Advisory, Critical: guard.Advisory, S: []int{47},
},
	`It is found out during an outage that only one person knew how the database fails over, and that this person has
	left. A list of what somebody has to know shows the hole on an ordinary day.`,
	lint{
		whether: "whether each skill that roster.skills lists is known by somebody in the roster",
		write:   "write down what somebody has to know, and who knows it:\n\n    roster:\n      skills: [postgres, network]\n      people:\n        - {name: Luis Vega, role: technical_lead, skills: [postgres, network]}",
		want:    "somebody for each skill",
		look: func(s guard.Scene) (string, []gap) {
			if len(s.Plan.Roster.Skills) == 0 {
				return unset("roster.skills", "what somebody has to know", "[SKILL]")
			}
			var gaps []gap
			for i, skill := range s.Plan.Roster.Skills {
				if !slices.ContainsFunc(s.Plan.Roster.People, func(p guard.Person) bool {
					return !placeholder(p.Name) && slices.Contains(p.Skills, skill)
				}) {
					gaps = append(gaps, gap{
						path: fmt.Sprintf("roster.skills[%d]", i), about: skill, why: "nobody in the roster knows it",
						remedy: "write it into the skills of whoever learns it, or remove it from",
					})
				}
			}
			return count(len(s.Plan.Roster.Skills), "skill"), gaps
		},
	})

var trainingFresh = row(guard.Check{
	Code: "GL314", ID: "training.fresh", Title: "whoever is on duty is trained", Path: "roster.people", Standard: guard.Advisory,
	Clauses: []guard.Clause{guard.NewTech}, S: []int{99, 156},
},
	`Under pressure people do what they have done before, and nothing else. What nobody has trained is looked up, and what
	is looked up at three in the morning is done in the wrong order.`,
	record{
		done: "a training of everybody whose role is on_duty",
		more: "Under the clause new_tech there has to be one in each skill that roster.skills lists, too",
		do:   "train them on this plan and on what is new",
		about: func(s guard.Scene) (wanted []topic) {
			for _, name := range firstCalled(s) {
				wanted = append(wanted, topic{"training", name, days(366)})
				if !slices.Contains(s.Plan.Clauses, guard.NewTech) {
					continue
				}
				for _, skill := range s.Plan.Roster.Skills {
					wanted = append(wanted, topic{"training", name + ": " + skill, days(366)})
				}
			}
			return wanted
		},
		lacks: nobodyOnDuty,
	})
