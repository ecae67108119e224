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

// All are the checks that can be asked again: ours, and after them those of plugins, which repeat what they said. So
// do those of ours whose findings do not follow from the answers. An error says which check cannot be.
func (b Bundle) All(ours []guard.Check) ([]guard.Check, error) {
	all := slices.Clone(ours)
	for _, told := range b.Checks {
		c := told.Check
		at := slices.IndexFunc(all, func(other guard.Check) bool { return other.ID == c.ID })
		taken := at >= 0 || slices.ContainsFunc(all, func(other guard.Check) bool { return other.Code == c.Code })
		switch {
		case told.Foreign && (taken || c.ID == "" || c.Code == "" || strings.HasPrefix(c.Code, "GL")):
			return nil, fmt.Errorf("the check %q with the code %q is none of a plugin", guard.Line(c.ID, 100), guard.Line(c.Code, 100))
		case told.Foreign:
			for _, text := range []*string{&c.ID, &c.Code, &c.Title, &c.Path} {
				*text = guard.Line(*text, 1000)
			}
			c.Run = told.again
			all = append(all, c)
		case at < 0:
			return nil, fmt.Errorf("this golive has no check %q", guard.Line(c.ID, 100))
		default:
			all[at].Run = told.again
		}
	}
	return all, guard.CheckNeeds(all)
}

// again says what the check said.
func (t Told) again(context.Context, guard.Scene) ([]guard.Finding, error) {
	if len(t.Findings) == 0 {
		return nil, errors.New("the bundle has no findings of this check, which was not asked")
	}
	return slices.Clone(t.Findings), nil
}
