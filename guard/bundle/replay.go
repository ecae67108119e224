package bundle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// Scene is what checks of a plan look at when they are asked again. A question that was not asked before has no
// answer.
func (b Bundle) Scene(plan *guard.Plan) guard.Scene {
	answers := make(map[string]Testimony, len(b.Answers))
	for _, t := range b.Answers {
		answers[key(t.Question)] = t
	}
	release := b.Release
	release.Service, release.Environment = plan.Service, plan.Environment
	return guard.Scene{Plan: plan, Release: release, Now: b.At, Remembers: b.Remembers, BreakGlass: b.BreakGlass,
		Ask: func(ctx context.Context, q guard.Question) (guard.Answer, error) {
			t, known := answers[key(q)]
			switch {
			case !known:
				return guard.Answer{}, errors.New("the bundle has no answer to " + guard.Line(key(q), 200))
			case t.Error != "":
				return guard.Answer{}, errors.New(t.Error)
			}
			return t.Answer, nil
		},
	}
}

// All are the checks that can be asked again: ours, and after them those of plugins, which repeat what they said. An
// error says which check cannot be. The checks of a plan's own are not among them: the plan of the replay brings its.
func (b Bundle) All(ours []guard.Check) ([]guard.Check, error) {
	all := slices.Clone(ours)
	for _, told := range b.Checks {
		c := told.Check
		if !told.Foreign {
			continue
		}
		taken := slices.ContainsFunc(all, func(other guard.Check) bool { return other.ID == c.ID || other.Code == c.Code })
		if taken || c.ID == "" || c.Code == "" || strings.HasPrefix(c.Code, "GL") {
			return nil, fmt.Errorf("the check %q with the code %q is none of a plugin", guard.Line(c.ID, 100), guard.Line(c.Code, 100))
		}
		for _, text := range []*string{&c.ID, &c.Code, &c.Title, &c.Path} {
			*text = guard.Line(*text, 1000)
		}
		c.Run = told.again
		all = append(all, c)
	}
	return all, guard.CheckNeeds(all)
}

// Repeat lets those of all checks repeat what they said whose findings do not follow from the answers. What they said
// was about the plan of the bundle, so it is nothing for a replay with another plan: there they judge by the answers.
// An error says which check there is none of.
func (b Bundle) Repeat(all []guard.Check) error {
	for _, told := range b.Checks {
		if told.Foreign {
			continue
		}
		at := slices.IndexFunc(all, func(c guard.Check) bool { return c.ID == told.Check.ID })
		if at < 0 {
			return fmt.Errorf("this golive has no check %q", guard.Line(told.Check.ID, 100))
		}
		all[at].Run = told.again
	}
	return nil
}

// again says what the check said.
func (t Told) again(context.Context, guard.Scene) ([]guard.Finding, error) {
	if len(t.Findings) == 0 {
		return nil, errors.New("the bundle has no findings of this check, which was not asked")
	}
	return slices.Clone(t.Findings), nil
}
