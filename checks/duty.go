package checks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A turn is a time for which somebody is on duty.
type turn struct {
	name string
	guard.Period
}

// A rota is who is on duty when, and where that is written.
type rota struct {
	turns    []turn
	evidence []guard.Evidence
	said     string // what there is, in short
}

// noShifts is a plan that does not say who is on duty when.
var noShifts = errors.New("not configured: the plan does not say who is on duty when")

// shiftsRemedy mends a plan without shifts.
func shiftsRemedy(p *guard.Plan) string {
	return `write [{name: NAME, when: 24x7}], weekly times such as "Mon-Fri 09:00-17:00 Europe/London", or {file: oncall.ics} in ` +
		place(p, "roster.shifts")
}

// duty asks who is on duty during a period. Every turn that has to do with it is there, whole.
func duty(ctx context.Context, s guard.Scene, during guard.Period) (rota, error) {
	shifts := s.Plan.Roster.Shifts
	if shifts.File != "" {
		return dutyOfFile(ctx, s, shifts.File, during)
	}
	if len(shifts.List) == 0 {
		return rota{}, noShifts
	}
	r := rota{said: count(len(shifts.List), "shift") + " in the plan"}
	for i, d := range shifts.List {
		periods, err := periodsOf(d, during)
		if err != nil {
			return rota{}, fmt.Errorf("%s: %w", place(s.Plan, fmt.Sprintf("roster.shifts.list[%d]", i)), err)
		}
		for _, p := range periods {
			r.turns = append(r.turns, turn{d.Name, p})
		}
	}
	return r, nil
}

// OnDuty names those who are on duty at a moment by the plan, each once. Read returns the text of a file that the plan
// names. That the plan does not say who is on duty is an error.
func OnDuty(ctx context.Context, p *guard.Plan, at time.Time, read func(ctx context.Context, name string) (string, error)) (names []string, err error) {
	s := guard.Scene{Plan: p, Now: at, Ask: func(ctx context.Context, q guard.Question) (a guard.Answer, err error) {
		a.Text, err = read(ctx, q.File)
		return a, err
	}}
	r, err := duty(ctx, s, guard.Period{From: at, To: at.Add(time.Second)})
	if err != nil {
		return nil, err
	}
	for _, t := range r.turns {
		if t.Has(at) && !slices.Contains(names, t.name) {
			names = append(names, t.name)
		}
	}
	return names, nil
}

func periodsOf(d guard.Duty, during guard.Period) ([]guard.Period, error) {
	if d.When != (guard.Window{}) {
		in, err := zone(d.When.Zone)
		if err != nil {
			return nil, err
		}
		return d.When.Periods(in, during), nil
	}
	from, err := time.Parse(time.RFC3339, d.From)
	if err != nil {
		return nil, err
	}
	to, err := time.Parse(time.RFC3339, d.To)
	if err != nil {
		return nil, err
	}
	return []guard.Period{{From: from, To: to}}, nil
}

// dutyOfFile reads a rota from an iCalendar file.
func dutyOfFile(ctx context.Context, s guard.Scene, file string, during guard.Period) (rota, error) {
	answer, err := s.Ask(ctx, guard.Question{File: file})
	if err != nil {
		return rota{}, err
	}
	turns, strangers, err := readRota(ctx, answer.Text, s.Plan.Roster.People, during)
	if err != nil {
		return rota{}, fmt.Errorf("%s: %w", brief(file), err)
	}
	said := count(len(turns), "shift") + " in " + brief(file)
	if strangers > 0 {
		said += fmt.Sprintf(", and %d of people who are not in the roster", strangers)
	}
	return rota{turns, evidence(file, said, answer), said}, nil
}

// of is when any of these people are on duty.
func (r rota) of(names ...string) (periods []guard.Period) {
	for _, t := range r.turns {
		if slices.Contains(names, t.name) {
			periods = append(periods, t.Period)
		}
	}
	return guard.Join(periods)
}

// holding are the people with one of these roles, each entry once.
func holding(p *guard.Plan, roles ...string) (people []guard.Person) {
	for _, person := range p.Roster.People {
		if slices.Contains(roles, person.Role) && !placeholder(person.Name) {
			people = append(people, person)
		}
	}
	return people
}

// unnamed is the path of the name that is still to be written for somebody with this role; "" if there is none.
func unnamed(p *guard.Plan, role string) string {
	for i, person := range p.Roster.People {
		if person.Role == role && placeholder(person.Name) {
			return fmt.Sprintf("roster.people[%d].name", i)
		}
	}
	return ""
}

// names of people, each once, in the order of the plan.
func names(people []guard.Person) (all []string) {
	for _, p := range people {
		if !slices.Contains(all, p.Name) {
			all = append(all, p.Name)
		}
	}
	return all
}
