package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/bundle"
	"github.com/golive-dev/golive/guard/engine"
)

// An inquiry puts the checks of one call to the world, once or until they pass.
type inquiry struct {
	checks  []guard.Check
	scene   func(context.Context) guard.Scene // the world as it is now
	timeout time.Duration                     // of one round
	strict  bool                              // a warning blocks
	pending *pending
	record  *bundle.Recorder // of the last round that counts; nil: nobody saves it
}

// once asks all checks, and tells each finding to found as soon as all before it are there. The error says why it
// ended before all had an answer.
func (q *inquiry) once(ctx context.Context, found func(guard.Finding)) ([]guard.Finding, error) {
	return q.round(ctx, q.checks, q.record, found)
}

// round asks these checks. Known is what others have found before.
func (q *inquiry) round(ctx context.Context, checks []guard.Check, record *bundle.Recorder, found func(guard.Finding), known ...guard.Finding) ([]guard.Finding, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, q.timeout, fail(exitDeadline, "the checks were not over after %s", spell(q.timeout)))
	defer cancel()
	scene := q.scene(ctx)
	scene.Found = known
	if record != nil {
		scene = record.Scene(scene)
	}
	var listened []guard.Check
	for _, c := range checks {
		if record != nil {
			c = record.Check(c)
		}
		listened = append(listened, q.pending.check(c))
	}
	findings := engine.RunChecks(ctx, scene, listened, func(f guard.Finding) {
		q.pending.answered(f.ID)
		q.pending.told(func() { found(f) })
	})
	return findings, context.Cause(ctx)
}

const (
	firstPause   = 2 * time.Second // between two rounds; each is half as long again as the one before
	longestPause = 30 * time.Second
)

// until asks all checks, and then again and again those that block, until nothing does or the time is over. A round
// that is cut short does not count: what was found before it stays.
func (q *inquiry) until(ctx context.Context, limit time.Duration) ([]guard.Finding, error) {
	ends := time.Now().Add(limit)
	patience, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	findings, over := q.round(ctx, q.checks, q.record, func(guard.Finding) {})
	for pause := firstPause; ; pause = min(pause*3/2, longestPause) {
		again := q.again(findings)
		if len(again) == 0 || ctx.Err() != nil {
			break
		}
		who, why := q.blocked(findings)
		q.pending.wait(who, why, ends)
		select {
		case <-time.After(pause):
		case <-patience.Done():
		}
		if patience.Err() != nil {
			break
		}
		var record *bundle.Recorder
		if q.record != nil {
			record = q.record.Next()
		}
		fresh, cut := q.round(patience, again, record, func(guard.Finding) {}, without(findings, again)...)
		if patience.Err() != nil {
			break
		}
		findings, over, q.record = merge(q.checks, findings, fresh), cut, record
	}
	if ctx.Err() != nil {
		over = context.Cause(ctx)
	}
	q.pending.wait("", "", ends)
	return findings, over
}

// again are the checks to ask in the next round: those that block, what they need if that is not as it should be, and
// what needs one of them.
func (q *inquiry) again(findings []guard.Finding) []guard.Check {
	came := byCheck(findings)
	asked := map[string]bool{}
	for id, its := range came {
		asked[id] = q.blocks(guard.Worst(its))
	}
	for grows := true; grows; {
		grows = false
		include := func(id string) {
			if _, on := came[id]; on && !asked[id] {
				asked[id], grows = true, true
			}
		}
		for _, c := range q.checks {
			for _, need := range c.Needs {
				if asked[need] {
					include(c.ID)
				}
				if asked[c.ID] && guard.Worst(came[need]) != guard.Pass {
					include(need)
				}
			}
		}
	}
	var again []guard.Check
	for _, c := range q.checks {
		if _, on := came[c.ID]; asked[c.ID] || c.Last && on && anyOf(asked) {
			again = append(again, c)
		}
	}
	return again
}

func (q *inquiry) blocks(v guard.Verdict) bool {
	return v != guard.Pass && (v != guard.Warn || q.strict)
}

// blocked are the checks that block, and why the first of them does.
func (q *inquiry) blocked(findings []guard.Finding) (checks, why string) {
	var ids []string
	for _, f := range findings {
		if !q.blocks(guard.Worst([]guard.Finding{f})) {
			continue
		}
		if len(ids) == 0 {
			why = guard.Line(f.Reason, 200)
		}
		if !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
		}
	}
	return strings.Join(ids, ", "), why
}

func anyOf(asked map[string]bool) bool {
	for _, yes := range asked {
		if yes {
			return true
		}
	}
	return false
}

// without leaves out what these checks found.
func without(findings []guard.Finding, checks []guard.Check) []guard.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f guard.Finding) bool {
		return slices.ContainsFunc(checks, func(c guard.Check) bool { return c.ID == f.ID })
	})
}

// merge puts fresh findings in the place of those that the same checks had before, in the order in which
// engine.RunChecks gives them.
func merge(checks []guard.Check, before, fresh []guard.Finding) (merged []guard.Finding) {
	old, latest := byCheck(before), byCheck(fresh)
	ordered := slices.Clone(checks)
	slices.SortStableFunc(ordered, func(a, b guard.Check) int {
		switch {
		case a.Last == b.Last:
			return 0
		case b.Last:
			return -1
		}
		return 1
	})
	for _, c := range ordered {
		if its, asked := latest[c.ID]; asked {
			merged = append(merged, its...)
			continue
		}
		merged = append(merged, old[c.ID]...)
	}
	return merged
}

func byCheck(findings []guard.Finding) map[string][]guard.Finding {
	all := map[string][]guard.Finding{}
	for _, f := range findings {
		all[f.ID] = append(all[f.ID], f)
	}
	return all
}
