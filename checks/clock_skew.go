package checks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

// How far the clock of the source may be from ours.
const (
	skewWarns = 2 * time.Second
	skewFails = 5 * time.Second
)

var clockSkew = guard.Check{
	Code:  "GL411",
	ID:    "clock.skew",
	Title: "the clock of the source is at most 2s from ours",
	Path:  "watch.source",
	S:     []int{55},
	Doc: `
It asks the source of the metrics what time it is there, and compares that with the clock of this machine. Up to
2 s apart, all is well; beyond, there is a warning, and beyond 5 s the gate is shut. The source tells the time
in whole seconds, and its answer is under way for a while, so the comparison has a margin, which is said and
never counted in favour: what may be beyond 5 s and cannot be told is not known. A source that does not
tell the time at all, such as one of a plugin, is a warning.

A rollout decides by the age of samples. If the clock of the source is behind, fresh samples look old, and a
rollout that sees nothing stops; if it is ahead, old samples look fresh, and the rollout goes on blindly.
Ages of backups, shifts and freezes are judged by the clock of this machine too.

To mend it, let both machines set their clocks by the network: "timedatectl set-ntp true", or chronyd, and look
with "chronyc tracking" which of the two is wrong.

It answers S55.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		source := "the source " + s.Plan.Watch.Source.Use
		f := guard.Finding{
			Title:    "the clock of the source is at most 2s from ours",
			Expected: fmt.Sprintf("at most %s from ours, and never more than %s", skewWarns, skewFails),
			Path:     "watch.source",
		}
		answer, err := s.Ask(ctx, guard.Question{Clock: true})
		if err == nil {
			err = answer.Clock.Check()
		}
		if err != nil {
			return []guard.Finding{unknown(f, err, mendSource(s.Plan))}, nil
		}
		f = compareClocks(f, answer.Clock)
		f.Evidence = evidence(source+", for its time", f.Observed, answer)
		if answer.Clock.NoClock {
			f.Reason = source + " does not tell the time"
			f.Remedy = "compare the clock of " + source + " with this one by hand: date -u on both"
		}
		return []guard.Finding{f}, nil
	},
}

// compareClocks judges a skew that can be. The margin never counts in favour.
func compareClocks(f guard.Finding, skew guard.Skew) guard.Finding {
	const remedy = "set the clocks of this machine and of the source by the network (NTP), then check again"
	off := skew.Ahead.Abs()
	f.Observed = skewText(skew)
	switch {
	case skew.NoClock:
		f.Verdict, f.Observed = guard.Warn, "no clock"
	case off-skew.Within > skewFails:
		f.Verdict, f.Reason, f.Remedy = guard.Fail, fmt.Sprintf("it is more than %s from ours", skewFails), remedy
	case off > skewFails-skew.Within:
		return unknown(f, errors.New("it may be more than "+skewFails.String()+" from ours, and cannot be told more exactly"), remedy)
	case off > skewWarns-skew.Within:
		f.Verdict, f.Reason, f.Remedy = guard.Warn, fmt.Sprintf("it is more than %s from ours, or cannot be told from that", skewWarns), remedy
	default:
		f.Verdict = guard.Pass
	}
	return f
}

// skewText says how a clock compares with ours, to the tenth of a second.
func skewText(skew guard.Skew) string {
	const exactly = 100 * time.Millisecond
	direction := "ahead"
	if skew.Ahead < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("%s %s, give or take %s", skew.Ahead.Abs().Round(exactly), direction, skew.Within.Round(exactly))
}
