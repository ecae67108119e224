package checks

import (
	"context"

	"github.com/golive-dev/golive/guard"
)

var rollbackDryRun = guard.Check{
	Code:       "GL202",
	ID:         "rollback.dry_run",
	Title:      "the way back is open",
	Unwaivable: true,
	S:          []int{19},
	Doc: `
It asks the backend to try the way back without going it, with the very credentials that going back will use,
and whether the way is open. A backend that does not say so has not said so: the gate stays shut.

A token that may read but not write looks healthy all day, and fails at the one moment for which it was
made. The same holds for a load balancer whose admin socket belongs to another user, and for a script that
was never tried from this machine. The exit has to be tried before the audience is let in.

To mend it, read what the backend says about the way back, give the credentials the missing right, then check
again. With a backend of shell commands it is the inspect command that tries, and prints what it found:

    {"percent": 0, "undo": {"open": true, "detail": "admin socket is writable"}}

It cannot be waived: the way back is what makes every other waiver bearable.

It answers S19.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		const title = "the way back is open"
		if s.Release.First() {
			return firstRelease(s, title, "there is no way back that could be tried"), nil
		}
		backend := s.Plan.Rollout.Backend
		f := guard.Finding{
			Title:    title,
			Expected: "open, tried with the credentials that going back will use",
			Path:     "rollout.backend",
		}
		answer, err := standing(ctx, s)
		if err != nil {
			return []guard.Finding{unknown(f, err, "mend the backend that is set up in "+place(s.Plan, "rollout.backend"))}, nil
		}
		undo := answer.Standing.Undo
		detail := brief(undo.Detail)
		if undo.Open {
			f.Verdict, f.Observed = guard.Pass, "open"
		} else {
			f.Verdict, f.Observed = guard.Fail, "shut"
			f.Reason = "the backend " + backend.Use + " could not take the traffic back"
			f.Remedy = "give what is set up in " + place(s.Plan, "rollout.backend") + " the right to move the traffic, then check again"
		}
		if detail != "" {
			f.Observed += ": " + detail
		}
		f.Evidence = evidence("the backend "+backend.Use, f.Observed, answer)
		return []guard.Finding{f}, nil
	},
}
