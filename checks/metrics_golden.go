package checks

import (
	"context"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var metricsGolden = guard.Check{
	Code:  "GL402",
	ID:    "metrics.golden",
	Title: "errors and latency are watched",
	S:     []int{56},
	Doc: `
It asks whether the plan watches at least one signal of errors and one of latency on both versions. A signal
that is compared with its own past (compare: before) does not count, for it watches somebody else.

A release can fail in two ways that users notice: it answers wrongly, or it answers late. A guard that sees
only errors lets a release through that makes everybody wait ten seconds, and a guard that sees only latency
is delighted by one that fails at once. Gauges such as a queue or the memory are welcome beside them; they
show the cause, and users feel the effect.

To mend it, add the missing signal, with a preset or with selectors of your own:

    watch:
      signals:
        - {name: errors, preset: promhttp, never: 5%}
        - {name: latency, preset: promhttp, never: {p99: 800ms}}

It answers S56.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		var errors, latency, missing []string
		for _, signal := range s.Plan.Watch.Signals {
			switch {
			case signal.Compare != "":
			case signal.Bad != "":
				errors = append(errors, signal.Name)
			case signal.Histogram != "":
				latency = append(latency, signal.Name)
			}
		}
		if len(errors) == 0 {
			missing = append(missing, "errors")
		}
		if len(latency) == 0 {
			missing = append(missing, "latency")
		}
		f := guard.Finding{
			Verdict:  guard.Pass,
			Title:    "errors and latency are watched",
			Expected: "at least one signal of each",
			Observed: strings.Join(append(errors, latency...), ", "),
			Path:     "watch.signals",
		}
		if len(missing) > 0 {
			f.Verdict = guard.Fail
			f.Reason = "the plan watches no " + strings.Join(missing, " and no ")
			f.Remedy = "add {name: " + missing[0] + ", preset: promhttp} to " + place(s.Plan, "watch.signals") + ", or write selectors of your own"
		}
		if f.Observed == "" {
			f.Observed = "neither"
		}
		return []guard.Finding{f}, nil
	},
}
