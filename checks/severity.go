package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// everyone, customer and management can be told without a role of theirs.
const (
	everyone   = "everyone"
	customer   = "customer"
	management = "management"
)

// filled says whether somebody in the roster has a role.
func filled(p *guard.Plan, role string) bool { return len(holding(p, role)) > 0 }

var severityDefined = row(guard.Check{
	Code: "GL501", ID: "severity.defined", Title: "it is agreed how bad it can be, and who leads then", Path: "severity",
	Reads: []string{"least"}, S: []int{72, 73, 74, 75, 76, 83, 86},
},
	`Without levels every alarm is argued about first: whether it is bad, who may wake whom, who leads. That takes the ten
	minutes in which it could have been over. This version of golive sees that the levels are complete; it is people who
	read them and act.`,
	lint{
		whether: "whether the plan has at least three levels of severity, the worst first and the last for everything else, each with a time by which " +
			"somebody leads, which is no later for a worse one, a role that leads and roles that are called, all of them filled",
		write: "agree on the levels:\n\n    severity:\n" +
			"      - {level: 1, when: \"errors > 20%\", activate: 10m, lead: commander, page: everyone}\n" +
			"      - {level: 2, when: \"errors > 5%\", activate: 15m, lead: technical_lead, page: [commander, on_duty]}\n" +
			"      - {level: 3, when: \"true\", activate: 30m, lead: on_duty, page: on_duty}",
		want: "three levels, for each who leads, by when, and who is called",
		look: func(s guard.Scene) (string, []gap) {
			levels := s.Plan.Severity
			if len(levels) == 0 {
				return unset("severity", "how bad it can be, and who leads then",
					`[{level: 1, when: CONDITION, lead: commander, page: everyone}, {level: 2, when: CONDITION, lead: technical_lead, page: on_duty}, {level: 3, when: "true", lead: on_duty, page: on_duty}]`)
			}
			var gaps []gap
			least := cmp.Or(s.Plan.Checks.Settings["severity.defined"].Least, 3)
			if len(levels) < least {
				gaps = append(gaps, gap{path: "severity", about: "how many", why: fmt.Sprintf("there are %d of at least %d levels", len(levels), least), remedy: "add a level to"})
			}
			for i, l := range levels {
				gaps = append(gaps, flaws(s.Plan, i, l)...)
			}
			gaps = append(gaps, unnamedLead(s.Plan)...)
			return count(len(levels), "level"), gaps
		},
	})

// unnamedLead is the gap that levels name roles that stand in the roster without a name; nil if none does. It is one for all
// of them, for it is mended in one place.
func unnamedLead(p *guard.Plan) []gap {
	var open []string
	for _, l := range p.Severity {
		for _, role := range append([]string{l.Lead}, l.Page...) {
			if !filled(p, role) && unnamed(p, role) != "" && !slices.Contains(open, role) {
				open = append(open, role)
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	return []gap{{
		path: unnamed(p, open[0]), about: strings.Join(open, ", "), why: "nobody is named in the roster as " + list(open, "or"),
		remedy: "write who is " + open[0] + " in",
	}}
}

// flaws are what is missing about the level at a place of the list.
func flaws(p *guard.Plan, i int, l guard.Level) (gaps []gap) {
	path := fmt.Sprintf("severity[%d]", i)
	add := func(key, why, remedy string) {
		gaps = append(gaps, gap{path: path + "." + key, about: fmt.Sprintf("level %d, %s", l.Level, key), why: why, remedy: remedy})
	}
	switch always, last := strings.TrimSpace(l.When) == "true", i == len(p.Severity)-1; {
	case placeholder(l.When):
		add("when", "it does not say when it holds", "write a condition in")
	case last && !always:
		add("when", "what fits none of the levels has none", `write "true" in`)
	case always && !last:
		add("when", "it always holds, so that no level after it ever does", "write a condition in")
	}
	if l.Activate <= 0 {
		add("activate", "it does not say by when somebody leads", "write a time such as 30m in")
	}
	if i > 0 {
		before := p.Severity[i-1]
		if before.Level > l.Level {
			add("level", fmt.Sprintf("it is worse than level %d, which is asked first", before.Level), "list the worst level first, by the numbers in")
		}
		if before.Activate > l.Activate && l.Activate > 0 {
			add("activate", fmt.Sprintf("it is led sooner than level %d, which is worse", before.Level), "allow at least "+before.Activate.String()+" in")
		}
	}
	known := func(role string) bool { return filled(p, role) || unnamed(p, role) != "" }
	if !known(l.Lead) {
		add("lead", fmt.Sprintf("nobody in the roster is %s", orElse(brief(l.Lead), "named to lead")), "write a role that somebody has in")
	}
	if len(l.Page) == 0 {
		add("page", "nobody is called", "write roles, or everyone, in")
	}
	if strangers := slices.DeleteFunc(slices.Clone(l.Page), func(role string) bool { return role == everyone || known(role) }); len(strangers) > 0 {
		add("page", "nobody in the roster is "+brief(list(strangers, "or")), "write roles that somebody has, or everyone, in")
	}
	return gaps
}

// toldWithin is when vendors and customers have to know of trouble that goes on.
var toldWithin = guard.Duration(time.Hour)

var escalationDefined = row(guard.Check{
	Code: "GL502", ID: "escalation.defined", Title: "it is agreed who is told when it goes on", Path: "escalate",
	Reads: []string{"within"}, S: []int{45, 50, 78, 79, 103, 114},
},
	`Whoever is busy with an outage believes to be done in ten minutes, for two hours. The vendor who could have helped,
	the customers who could have waited and the management that could have decided learn of it last. This version of
	golive sees that it is agreed; it is people who call.`,
	lint{
		whether: "whether the plan says who is told of trouble that goes on: a vendor (if the roster has any) and the customer within an hour, and " +
			"management or the executive at some time, all of whom there are",
		write: "agree on it:\n\n    escalate:\n      - {after: 15m, to: commander, unless: acknowledged}\n      - {after: 60m, to: [PayCo, customer, management], unless: cause_known}",
		want:  "a vendor and the customer told within an hour, and management",
		look: func(s guard.Scene) (string, []gap) {
			p := s.Plan
			within := cmp.Or(s.Plan.Checks.Settings["escalation.defined"].Within, toldWithin)
			var vendors []string
			for _, v := range p.Roster.Vendors {
				vendors = append(vendors, v.Name)
			}
			if len(p.Escalate) == 0 {
				told := strings.Join(append(slices.Clone(vendors), customer, management), ", ")
				return unset("escalate", "who is told when trouble goes on", fmt.Sprintf("[{after: %s, to: [%s]}]", within, told))
			}
			var gaps []gap
			told := func(by guard.Duration, names ...string) bool {
				return slices.ContainsFunc(p.Escalate, func(e guard.Escalation) bool {
					return e.After <= by && slices.ContainsFunc(e.To, func(to string) bool { return slices.Contains(names, to) })
				})
			}
			need := func(ok bool, whom, when string) {
				if !ok {
					gaps = append(gaps, gap{
						path: "escalate", about: whom, why: "nobody tells " + whom + when, remedy: fmt.Sprintf("add {after: TIME, to: %s} to", whom),
					})
				}
			}
			need(len(vendors) == 0 || told(within, vendors...), orElse(strings.Join(vendors, " or "), "a vendor"), " within "+within.String())
			need(told(within, customer), customer, " within "+within.String())
			need(told(guard.Duration(1<<62), management, "executive"), management, "")
			for i, e := range p.Escalate {
				for j, to := range e.To {
					if placeholder(to) {
						path := fmt.Sprintf("escalate[%d].to[%d]", i, j)
						gaps = append(gaps, gap{
							path: path, about: path, why: "it is not said who is told",
							remedy: "write the name of the vendor (or nothing, if there is none) in",
						})
						continue
					}
					if to == everyone || to == customer || to == management || slices.Contains(vendors, to) || filled(p, to) {
						continue
					}
					path := fmt.Sprintf("escalate[%d].to", i)
					gaps = append(gaps, gap{
						path: path, about: fmt.Sprintf("%s in %s", to, path), why: fmt.Sprintf("there is nobody whose role is %s, and no such vendor", brief(to)),
						remedy: "write a role that somebody has, a vendor, customer, management or everyone in",
					})
				}
			}
			return count(len(p.Escalate), "step"), gaps
		},
	})
