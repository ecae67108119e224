package checks

import (
	"context"
	"fmt"

	"github.com/golive-dev/golive/guard"
)

var rollbackTarget = guard.Check{
	Code:       "GL201",
	ID:         "rollback.target",
	Title:      "there is a version to go back to",
	Unwaivable: true,
	S:          []int{19, 20},
	Doc: `
It asks whether there is a version to go back to: one that is named, that is not the new version itself, and
that the backend says is still in place. A first release has none, which is said as a warning; then only the
absolute limits of the plan (never) guard it, and a first release whose plan sets none is refused, for nothing
at all would.

"We deploy the old one again" is a hope and no way back: the artefact may be gone, the build may be broken,
and whoever knows how is asleep. golive goes back by giving the traffic to a version that is already running,
so it has to be running before the launch. If the new version has all of the traffic already, the launch has
happened without a guard, and there is nothing left for this one to decide.

To mend it, name both versions, and keep the old one running until golive says that it may be retired:

    golive check --from v1 --to v2

It cannot be waived: a launch without a way back is not the risk that two people think they take, but one without an
end.

It answers S19 and S20.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		r := s.Release
		if r.First() {
			return firstTarget(s), nil
		}
		f := guard.Finding{
			Title:    r.From + " is in place to go back to",
			Expected: "another version than " + r.To + " that can take the traffic",
			Path:     "rollout.backend",
		}
		if r.From == r.To {
			f.Verdict, f.Observed = guard.Fail, r.From
			f.Reason = "the old version and the new one are the same, so going back would change nothing"
			f.Remedy = "name the version that serves now: golive check --from VERSION --to " + r.To
			return []guard.Finding{f}, nil
		}
		answer, err := standing(ctx, s)
		if err != nil {
			return []guard.Finding{unknown(f, err, "mend the backend that is set up in "+place(s.Plan, "rollout.backend"))}, nil
		}
		at := answer.Standing
		f.Observed = fmt.Sprintf("%d%% of the traffic is on %s, %d%% on %s", 100-at.Percent, r.From, at.Percent, r.To)
		f.Evidence = evidence("the backend "+s.Plan.Rollout.Backend.Use, f.Observed, answer)
		switch {
		case at.Percent == 100:
			f.Verdict = guard.Fail
			f.Reason = r.To + " has all of the traffic already, and nothing shows that " + r.From + " still works"
			f.Remedy = "give the traffic back before launching again: golive rollback --from " + r.From + " --to " + r.To
		case !at.Undo.Open:
			f.Verdict = guard.Unknown
			f.Reason = "the backend does not vouch for " + r.From + " while the way back is shut"
			f.Remedy = "mend GL202 first: golive explain GL202"
		default:
			f.Verdict = guard.Pass
		}
		return []guard.Finding{f}, nil
	},
}

// firstTarget says what guards a release that cannot be taken back to anything.
func firstTarget(s guard.Scene) []guard.Finding {
	findings := firstRelease(s, "there is a version to go back to",
		"there is nothing to go back to, and only the absolute limits of the plan guard it")
	for _, signal := range s.Plan.Watch.Signals {
		if signal.Never != (guard.Ceiling{}) {
			return findings
		}
	}
	f := &findings[0]
	f.Verdict = guard.Fail
	f.Reason = "this is a first release: there is nothing to go back to, and the plan has no absolute limit that would guard it"
	f.Remedy = "give a signal a limit, such as never: 5% for errors, in " + place(s.Plan, "watch.signals")
	f.Expected, f.Observed = "a version that serves now, or at least one limit", "neither"
	f.Path = "watch.signals"
	return findings
}
