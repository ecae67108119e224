package guard

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// onDuty stands for whoever of the roster is on duty at that minute.
const onDuty = "on_duty"

// instead are the roles that hear it when nobody is on duty, or has the role that is asked for; after them, everybody does.
var instead = []string{onDuty, "deputy", "commander"}

// Recipients are those whom a notice is for, through one channel, and how they can be reached: the people behind its roles,
// given the names of those who are on duty at this minute, and vendors. Of a role its holders on duty come before all
// others, and on_duty is whoever is on duty. A notice for the team never has nobody: where a role has nobody, others hear
// it, and the remark says so. Customers and management can be served by the channel itself, which then knows whom to tell.
// A notice that is about no incident has no recipients. What is only for some is for those whom Notice.Only names. It is pure.
func (p *Plan) Recipients(n Notice, c Channel, duty []string) (to []Recipient, remark string) {
	if len(n.Only) > 0 {
		return p.only(n.Only), ""
	}
	roles := n.Roles
	switch {
	case len(roles) == 0 && n.Audience == "":
		return nil, ""
	case len(roles) == 0:
		roles = []string{orElse(audienceRole[n.Audience], n.Audience)}
	}
	var remarks []string
	for _, role := range roles {
		if !c.hears(n.Audience, role) && slices.ContainsFunc(roles, func(other string) bool { return c.hears(n.Audience, other) }) {
			continue // another channel is for that role
		}
		found, why := p.behind(role, c, duty)
		if why != "" && !slices.Contains(remarks, why) {
			remarks = append(remarks, why)
		}
		for _, r := range found {
			to = join(to, r)
		}
	}
	return to, strings.Join(remarks, "; ")
}

// only are those of the roster who have these names, whoever is on duty by now.
func (p *Plan) only(names []string) (to []Recipient) {
	to = p.named(func(person Person) bool { return slices.Contains(names, person.Name) })
	for _, v := range p.Roster.Vendors {
		if slices.Contains(names, v.Name) {
			to = append(to, Recipient{Name: v.Name, Role: "vendor", Reach: slices.Clone(v.Reach)})
		}
	}
	return to
}

// audienceRole is the role that a notice is for that names none.
var audienceRole = map[string]string{"team": onDuty}

// hears says whether a channel is for a role, in a notice to an audience.
func (c Channel) hears(audience, role string) bool {
	return len(c.For) == 0 || slices.Contains(c.For, audience) || slices.Contains(c.For, role) || role == "everyone"
}

// behind are those behind one role, and a remark if they are not those that were asked for.
func (p *Plan) behind(role string, c Channel, duty []string) (to []Recipient, remark string) {
	switch {
	case role == onDuty:
		if to = p.people(func(person Person) bool { return slices.Contains(duty, person.Name) }); len(to) > 0 {
			return to, ""
		}
		return p.others("nobody is on duty", duty)
	case role == "everyone":
		if to = p.people(func(Person) bool { return true }); len(to) > 0 {
			return to, ""
		}
		return p.others("everyone is to hear it", duty)
	case p.Roster.vendor(role):
		for _, v := range p.Roster.Vendors {
			if v.Name == role {
				to = append(to, Recipient{Name: v.Name, Role: "vendor", Reach: slices.Clone(v.Reach)})
			}
		}
		return to, ""
	}
	for _, also := range []func(Person) bool{
		func(person Person) bool { return slices.Contains(duty, person.Name) },
		func(Person) bool { return true },
	} {
		to = p.holders(role, also)
		if len(to) > 0 {
			return to, ""
		}
	}
	served := slices.Contains(c.For, role) || role == "executive" && slices.Contains(c.For, "management")
	if served && (role == "customer" || role == "management" || role == "executive") {
		return nil, ""
	}
	return p.others(fmt.Sprintf("nobody in the roster has the role %s", role), duty)
}

// others are those who hear it because of why: whoever is on duty, else the first of the roles in instead that somebody
// holds, else everybody.
func (p *Plan) others(why string, duty []string) (to []Recipient, remark string) {
	if to = p.people(func(person Person) bool { return slices.Contains(duty, person.Name) }); len(to) > 0 {
		return to, why + ", so that whoever is on duty hears it"
	}
	for _, role := range instead {
		if to = p.holders(role, func(Person) bool { return true }); len(to) > 0 {
			return to, fmt.Sprintf("%s, so that the role %s hears it", why, role)
		}
	}
	if to = p.people(func(Person) bool { return true }); len(to) > 0 {
		return to, why + ", so that everyone in the roster hears it"
	}
	return nil, why + ", and the roster names no people"
}

// people are those of the roster of whom something is true. Customers among them hear only what is for customers.
func (p *Plan) people(is func(Person) bool) (to []Recipient) {
	return p.named(func(person Person) bool { return person.Role != "customer" && is(person) })
}

// holders are the people with a role of whom something else is true as well.
func (p *Plan) holders(role string, also func(Person) bool) []Recipient {
	return p.named(func(person Person) bool { return person.Role == role && also(person) })
}

// named are the people of the roster of whom something is true, each once. A name that is still to be written is nobody's.
func (p *Plan) named(is func(Person) bool) (to []Recipient) {
	for _, person := range p.Roster.People {
		if !Placeholder(person.Name) && is(person) {
			to = join(to, Recipient{Name: person.Name, Role: person.Role, Reach: slices.Clone(person.Reach)})
		}
	}
	return to
}

// join adds a recipient. Whoever holds two roles is listed twice in the roster, and is told once, in every way there is.
func join(to []Recipient, r Recipient) []Recipient {
	i := slices.IndexFunc(to, func(known Recipient) bool {
		return known.Name == r.Name && (known.Role == "vendor") == (r.Role == "vendor")
	})
	if i < 0 {
		return append(to, r)
	}
	for _, way := range r.Reach {
		if !slices.ContainsFunc(to[i].Reach, func(known Reach) bool { return maps.Equal(known, way) }) {
			to[i].Reach = append(to[i].Reach, way)
		}
	}
	return to
}
