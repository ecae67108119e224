package checks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/golive-dev/golive/guard"
)

var metricsBaselineGreen = guard.Check{
	Code:  "GL404",
	ID:    "metrics.baseline_green",
	Title: "the version that serves now stays below every limit",
	S:     []int{55},
	Needs: []string{"metrics.live"},
	Doc: `
It reads every signal twice, one tick (watch.every) apart, and asks whether the version that serves now stays
below what the plan forbids (never). Between the two readings a share of bad or slow requests is counted; if it
reaches the limit beyond doubt the gate is shut, and if so few requests were counted that chance can explain
it there is a warning. Without a single request nothing can be said, and the gate stays shut.

A release into an incident helps nobody. Both versions do badly then, the comparison between them is blunt,
the people who would have to watch the launch are busy, and afterwards nobody can tell which of the two did
the damage. First put out the fire, then launch, unless the launch is what puts it out.

To mend it, look at why the version that serves now does badly. If the limit is what is wrong, change it:

    watch:
      signals:
        - {name: errors, preset: promhttp, never: 5%}
        - {name: latency, preset: promhttp, never: {p99: 800ms}}

It answers S55.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		f := guard.Finding{
			Title:    "the version that serves now stays below every limit",
			Expected: "each signal below what it may never reach",
		}
		if s.Release.First() {
			return firstRelease(s, f.Title, "no version serves yet that could be in trouble"), nil
		}
		all := limits(s.Plan)
		if len(all) == 0 {
			f.Verdict, f.Observed = guard.Warn, "no signal has a limit"
			f.Reason = "the plan does not say what would be too bad whatever the old version does"
			f.Remedy = "give a signal a limit, such as never: 5% for errors, in " + place(s.Plan, "watch.signals")
			f.Path = "watch.signals"
			return []guard.Finding{f}, nil
		}
		answer, err := readings(ctx, s, 2)
		if err != nil {
			f.Path = "watch.source"
			return []guard.Finding{unknown(f, err, mendSource(s.Plan))}, nil
		}
		var findings []guard.Finding
		for _, l := range all {
			f := l.hold(s, answer.Readings)
			f.Evidence = evidence("the source "+s.Plan.Watch.Source.Use+", for "+l.signal.Name, f.Observed, answer)
			findings = append(findings, f)
		}
		return findings, nil
	},
}

// A limit is one thing that a signal may never do.
type limit struct {
	signal guard.Signal
	path   string // of the signal in the plan
	name   string // "errors", "latency p99"
	bound  string // "below 5%"
	share  float64
	bad    func(guard.Series) float64 // how many of Total are bad; nil for a gauge
}

// limits lists what the signals of a plan may never do.
func limits(p *guard.Plan) (all []limit) {
	for i, signal := range p.Watch.Signals {
		all = append(all, limitsOf(signal, fmt.Sprintf("watch.signals[%d]", i))...)
	}
	return all
}

// limitsOf lists what a signal may never do.
func limitsOf(signal guard.Signal, path string) []limit {
	never := signal.Never
	var limits []limit
	if never.Rate > 0 {
		limits = append(limits, limit{signal, path, signal.Name, "below " + never.Rate.String(), float64(never.Rate),
			func(s guard.Series) float64 { return s.Bad }})
	}
	for _, q := range []struct {
		name string
		slow float64
		most guard.Duration
	}{{"p50", 0.5, never.P50}, {"p90", 0.1, never.P90}, {"p95", 0.05, never.P95}, {"p99", 0.01, never.P99}} {
		if q.most > 0 {
			limits = append(limits, limit{signal, path, signal.Name + " " + q.name, "below " + q.most.String(), q.slow,
				func(s guard.Series) float64 { return slower(s, q.most.Std().Seconds()) }})
		}
	}
	if never.Above != nil || never.Below != nil {
		limits = append(limits, limit{signal: signal, path: path, name: signal.Name, bound: within(never)})
	}
	return limits
}

// within says where a gauge has to stay.
func within(never guard.Ceiling) string {
	if never.Below != nil {
		return fmt.Sprintf("at least %g", *never.Below)
	}
	return fmt.Sprintf("at most %g", *never.Above)
}

// hold judges whether the version that serves now holds the limit in these two readings.
func (l limit) hold(s guard.Scene, readings []guard.Reading) guard.Finding {
	who := whose(l.signal, s.Release)
	before, after := serving(readings[0], l.signal, s.Release), serving(readings[1], l.signal, s.Release)
	f := guard.Finding{
		Subject:  l.name,
		Title:    fmt.Sprintf("%s of %s stays %s", l.name, who, l.bound),
		Expected: l.bound,
		Remedy:   "find out what ails " + who + " before launching, or change never in " + place(s.Plan, l.path),
		Path:     l.path,
	}
	if len(before) == 0 || len(after) == 0 {
		f.Observed = "no samples in one of two readings"
		return unknown(f, errors.New("the source has no samples of "+who), "mend GL401 first: golive explain GL401")
	}
	if l.bad == nil {
		return l.holdGauge(f, mean(before), mean(after))
	}
	total, bad := increase(before, after, l.bad)
	f.Observed = fmt.Sprintf("%.0f of %.0f requests, %.3g%%", bad, total, 100*bad/max(1, total))
	switch {
	case !newest(after).After(newest(before)):
		f.Observed = "the same sample twice"
		return unknown(f, fmt.Errorf("the source had nothing new of %s within %s", who, span(readings[1].At.Sub(readings[0].At))),
			"raise "+place(s.Plan, "watch.every")+" to the scrape interval, then check again")
	case total == 0:
		f.Observed = "no requests"
		return unknown(f, fmt.Errorf("nobody asked %s for anything within %s", who, span(readings[1].At.Sub(readings[0].At))),
			"check again while "+who+" has traffic")
	case bad < l.share*total:
		f.Verdict, f.Remedy = guard.Pass, ""
	case proven(bad, total, l.share):
		f.Verdict = guard.Fail
		f.Reason = who + " is in trouble already"
	default:
		f.Verdict = guard.Warn
		f.Reason = fmt.Sprintf("%s may be in trouble already, or it is chance among so few requests", who)
		f.Remedy = "check again when more requests have come"
	}
	return f
}

// holdGauge judges a plain value. One that has to last before it counts must be wrong in both readings.
func (l limit) holdGauge(f guard.Finding, before, after float64) guard.Finding {
	never := l.signal.Never
	outside := func(v float64) bool {
		return never.Above != nil && v > *never.Above || never.Below != nil && v < *never.Below
	}
	f.Observed = fmt.Sprintf("%g, then %g", before, after)
	if outside(after) && (never.For == 0 || outside(before)) {
		f.Verdict = guard.Fail
		f.Reason = "it is outside its limit already"
		return f
	}
	f.Verdict, f.Remedy = guard.Pass, ""
	return f
}

// increase adds up what happened on the instances that both readings hold. A counter that fell began anew.
func increase(before, after []guard.Series, count func(guard.Series) float64) (total, bad float64) {
	type instance struct {
		arm  guard.Arm
		name string
	}
	past := map[instance]guard.Series{}
	for _, series := range before {
		past[instance{series.Arm, series.Instance}] = series
	}
	for _, series := range after {
		from, known := past[instance{series.Arm, series.Instance}]
		if !known {
			continue
		}
		totalBefore, badBefore := from.Total, count(from)
		if series.Total < from.Total {
			totalBefore, badBefore = 0, 0
		}
		more := series.Total - totalBefore
		total += more
		bad += min(more, max(0, count(series)-badBefore))
	}
	return total, bad
}

// slower counts the requests of a histogram that took longer than bound seconds. A bound that is none of the
// histogram's stands for the next one up, as it does for the judge. In a native histogram any bound may have
// been left out, so there whatever is not surely below counts.
func slower(s guard.Series, bound float64) float64 {
	const alike = 1 + 1e-9
	at := slices.IndexFunc(s.Bounds, func(b float64) bool { return b*alike >= bound })
	if at < 0 {
		at = len(s.Bounds) - 1
	}
	if s.Native && s.Bounds[at] > bound*alike {
		at--
	}
	if at < 0 {
		return s.Total
	}
	return max(0, s.Total-s.Buckets[at])
}

// proven says that a true share below most would show so many bad ones less than once in twenty times, by
// the bound of Chernoff.
func proven(bad, total, most float64) bool {
	seen := bad / total
	information := seen * math.Log(seen/most)
	if seen < 1 {
		information += (1 - seen) * math.Log((1-seen)/(1-most))
	}
	return total*information >= math.Log(20)
}

// mean averages a gauge over its instances.
func mean(found []guard.Series) float64 {
	sum := 0.
	for _, series := range found {
		sum += *series.Value
	}
	return sum / float64(len(found))
}
