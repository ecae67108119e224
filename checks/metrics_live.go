package checks

import (
	"context"
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var metricsLive = guard.Check{
	Code:       "GL401",
	ID:         "metrics.live",
	Title:      "every signal can be read",
	Unwaivable: true,
	S:          []int{55},
	Doc: `
It reads every signal once, now, the way it will be read during the rollout, and asks whether there is a
sample of the old version and whether the newest is at most two ticks (watch.every) old. The new version need
not have samples yet, since it may have had no traffic; what there is of it is said. A first release has
no old version, so there the new one has to show its metrics before it gets traffic.

This is the check that prevents a blind rollout. A selector with a label that was renamed, a scrape target
that is gone, a metrics server that has stopped writing: all of them look like silence, and silence looks like
a release without errors. A canary on which nobody sees anything is no canary.

What the source remarks on its answers, although they are whole, is told as a warning: Prometheus has infos and
warnings on queries that may not mean what they seem to. A warning that a part of the data is missing is none of
these, and no answer.

A gauge whose bound is to be learned from its past (like) needs a source that keeps a history, and fails without.

To mend it, compare the selectors of the signal with what the service shows at its address for metrics. A
counter often appears only after the first request, so send one. If samples are there but old, scrape more
often or make watch.every longer. If the source cannot be asked, look at its address and its credentials.

It cannot be waived: a launch that nobody can watch cannot be taken back in time either.

It answers S55.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		source := "the source " + s.Plan.Watch.Source.Use
		answer, err := readings(ctx, s, 1)
		if err != nil {
			f := guard.Finding{Title: "every signal can be read", Expected: "an answer of " + source, Path: "watch.source"}
			return []guard.Finding{unknown(f, err, mendSource(s.Plan))}, nil
		}
		var findings []guard.Finding
		for i, signal := range s.Plan.Watch.Signals {
			f := live(s, answer.Readings[0], signal, fmt.Sprintf("watch.signals[%d]", i))
			f.Evidence = evidence(source+", for "+signal.Name, f.Observed, answer)
			findings = append(findings, f)
		}
		if remarks := answer.Readings[0].Remarks; len(remarks) > 0 {
			findings = append(findings, remarked(s.Plan, source, remarks))
		}
		return findings, nil
	},
}

// remarked tells what the source remarks on a reading that lacks nothing.
func remarked(p *guard.Plan, source string, remarks []string) guard.Finding {
	return guard.Finding{
		Verdict:  guard.Warn,
		Title:    source + " answers without a remark",
		Reason:   strings.Join(remarks, "; "),
		Remedy:   "look whether it means the selectors in " + place(p, "watch.signals") + ", or how the source is set up",
		Expected: "no warning and no info beside the answers",
		Observed: count(len(remarks), "remark"),
		Path:     "watch.source",
	}
}

// live judges what one reading holds of one signal, which stands at path in the plan.
func live(s guard.Scene, reading guard.Reading, signal guard.Signal, path string) guard.Finding {
	var (
		found = serving(reading, signal, s.Release)
		who   = whose(signal, s.Release)
		age   = reading.At.Sub(newest(found))
		limit = 2 * s.Plan.Watch.Every.Std()
	)
	f := guard.Finding{
		Subject:  signal.Name,
		Title:    signal.Name + " can be read",
		Expected: fmt.Sprintf("a sample of %s at most %s old", who, span(limit)),
		Observed: who + ": " + inventory(reading, found),
		Path:     path,
	}
	if who == s.Release.From {
		f.Observed += "; " + s.Release.To + ": " + inventory(reading, samples(reading, signal, guard.Canary))
	}
	switch {
	case len(found) == 0:
		f.Verdict = guard.Fail
		f.Reason = "the source has no sample of " + who
		f.Remedy = "compare " + place(s.Plan, path) + " with the metrics that " + who + " shows after a first request"
	case age < -skew:
		return unknown(f, fmt.Errorf("clock skew: the newest sample of %s is %s from now", who, span(-age)),
			"set the clocks of this machine and of the source, then check again")
	case age > limit:
		f.Verdict = guard.Fail
		f.Reason = fmt.Sprintf("the newest sample of %s is %s older than it may be", who, span(age-limit))
		f.Remedy = fmt.Sprintf("scrape %s at least every %s, or raise %s", who, s.Plan.Watch.Every, place(s.Plan, "watch.every"))
	case signal.Like != 0 && !s.Remembers:
		f.Verdict = guard.Fail
		f.Reason = fmt.Sprintf("its bound is to be learned from its past (like: %s), and the source %s keeps no history", signal.Like, s.Plan.Watch.Source.Use)
		f.Remedy = "use a source with a history, such as prometheus, or write never in place of like in " + place(s.Plan, path)
	default:
		f.Verdict = guard.Pass
	}
	return f
}
