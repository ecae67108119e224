package main

import (
	"fmt"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
)

// fits refuses a plan whose chapter checks names what is not there: a check, or the probe of an extra one. It is
// asked before something begins, and never of what has begun: that has to go on, or back, by the plan that it has.
func (p *program) fits(plan *guard.Plan, parts engine.Parts) error {
	brought := parts.Checks[:len(parts.Checks)-len(plan.Checks.Extra)] // the plan's own come last
	if err := plan.Fits(brought); err != nil {
		return fail(exitUsage, "%w", err)
	}
	for i, x := range plan.Checks.Extra {
		if _, err := parts.Probe(x.Part); err != nil {
			return fail(exitUsage, "%s%w", at(plan, fmt.Sprintf("checks.extra[%d]", i)), err)
		}
	}
	return nil
}
