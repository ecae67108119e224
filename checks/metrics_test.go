package checks

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

// watching is the chapter watch with these signals, each 10 s.
func watching(signals string) string {
	return "\nwatch:\n  source: {use: scrape}\n  every: 10s\n  signals: [" + signals + "]"
}

const (
	errorsSignal  = "{name: errors, total: requests, bad: failures, never: 5%}"
	latencySignal = "{name: latency, histogram: seconds, never: {p90: 400ms}}"
)

// reading holds these series at this time; samples without a time are as old as the reading.
func reading(at time.Time, series ...guard.Series) guard.Reading {
	for i := range series {
		if series[i].At.IsZero() {
			series[i].At = at
		}
	}
	return guard.Reading{At: at, Series: series}
}

// read is a scene in which the source gives these readings.
func read(t *testing.T, chapters string, readings ...guard.Reading) guard.Scene {
	t.Helper()
	return scene(t, chapters, guard.Answer{Readings: readings})
}

func TestMetricsLive(t *testing.T) {
	old := func(arm guard.Arm, age time.Duration) guard.Series {
		return guard.Series{Signal: "errors", Arm: arm, Instance: age.String(), At: now.Add(-age), Total: 9}
	}
	depth := 3.
	const fix = "compare watch.signals[0] with the metrics that v1 shows after a first request"
	one := watching(errorsSignal)
	neighbours := watching("{name: neighbours, total: requests, bad: failures, compare: before}")
	checktest.Run(t, metricsLive, []checktest.Case{
		{Name: "both arms", Scene: read(t, one, reading(now, old(guard.Baseline, 3*time.Second), old(guard.Canary, time.Second))), Want: []guard.Finding{{
			Verdict:  guard.Pass,
			Subject:  "errors",
			Title:    "errors can be read",
			Expected: "a sample of v1 at most 20s old",
			Observed: "v1: 1 series, newest 3s old; v2: 1 series, newest 1s old",
		}}},
		{Name: "no canary yet", Scene: read(t, one, reading(now, old(guard.Baseline, 0))), Want: []guard.Finding{{
			Verdict: guard.Pass, Observed: "v1: 1 series, newest 0s old; v2: no samples",
		}}},
		{Name: "the newest counts", Scene: read(t, one, reading(now, old(guard.Baseline, time.Hour), old(guard.Baseline, time.Second))), Want: []guard.Finding{{
			Verdict: guard.Pass, Observed: "v1: 2 series, newest 1s old; v2: no samples",
		}}},
		{Name: "two ticks old", Scene: read(t, one, reading(now, old(guard.Baseline, 20*time.Second))), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "a moment older", Scene: read(t, one, reading(now, old(guard.Baseline, 20*time.Second+1))), Want: []guard.Finding{{Verdict: guard.Fail}}},
		{Name: "old", Scene: read(t, one, reading(now, old(guard.Baseline, time.Minute), old(guard.Canary, 0))), Want: []guard.Finding{{
			Verdict: guard.Fail,
			Reason:  "the newest sample of v1 is 40s older than it may be",
			Remedy:  "scrape v1 at least every 10s, or raise watch.every",
		}}},
		{Name: "the canary alone", Scene: read(t, one, reading(now, old(guard.Canary, 0))), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "the source has no sample of v1", Remedy: fix,
			Observed: "v1: no samples; v2: 1 series, newest 0s old",
		}}},
		{Name: "a past that nobody keeps", Scene: read(t, watching("{name: queue, value: depth, like: 1d}"), reading(now, guard.Series{Signal: "queue", Arm: guard.Canary, Value: &depth})),
			Want: []guard.Finding{{
				Verdict: guard.Fail,
				Reason:  "its bound is to be learned from its past (like: 1d), and the source scrape keeps no history",
				Remedy:  "use a source with a history, such as prometheus, or write never in place of like in watch.signals[0]",
			}}},
		{Name: "nothing", Scene: read(t, one, reading(now)), Want: []guard.Finding{{Verdict: guard.Fail, Reason: "the source has no sample of v1"}}},
		{Name: "a little ahead", Scene: read(t, one, reading(now, old(guard.Baseline, -5*time.Minute))), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "too far ahead", Scene: read(t, one, reading(now, old(guard.Baseline, -5*time.Minute-time.Second))), Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: "clock skew: the newest sample of v1 is 5m1s from now",
		}}},
		{Name: "a histogram without buckets", Scene: read(t, watching(latencySignal), reading(now, guard.Series{Signal: "latency", Arm: guard.Baseline, Total: 9})),
			Want: []guard.Finding{{Verdict: guard.Fail, Reason: "the source has no sample of v1"}}},
		{Name: "a gauge of the whole service, which is read once", Scene: read(t, watching("{name: queue, value: depth, never: {above: 9}}"), reading(now, guard.Series{Signal: "queue", Arm: guard.Canary, At: now, Value: &depth})),
			Want: []guard.Finding{{Verdict: guard.Pass, Subject: "queue"}}},
		{Name: "a gauge of each version", Scene: read(t, watching("{name: heap, value: 'heap{version=\"$version\"}', never: {above: 9}}"), reading(now, guard.Series{Signal: "heap", Arm: guard.Canary, At: now, Value: &depth})),
			Want: []guard.Finding{{Verdict: guard.Fail, Reason: "the source has no sample of v1"}}},
		{Name: "a gauge without a value", Scene: read(t, watching("{name: queue, value: depth, never: {above: 1}}"), reading(now, guard.Series{Signal: "queue", Arm: guard.Baseline})),
			Want: []guard.Finding{{Verdict: guard.Fail, Reason: "the source has no sample of v1"}}},
		{Name: "a signal that nobody asked for", Scene: read(t, one, reading(now, old(guard.Baseline, 0), guard.Series{Signal: "rumours", Arm: guard.Baseline})),
			Want: []guard.Finding{{Verdict: guard.Unknown, Title: "every signal can be read"}}},
		{Name: "one of two signals", Scene: read(t, watching(errorsSignal+","+latencySignal), reading(now, old(guard.Baseline, 0))), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "errors"},
			{Verdict: guard.Fail, Subject: "latency"},
		}},
		{Name: "a signal with a past of its own", Scene: read(t, neighbours, reading(now, guard.Series{Signal: "neighbours", Arm: guard.Canary})),
			Want: []guard.Finding{{Verdict: guard.Pass, Observed: "neighbours: 1 series, newest 0s old"}}},
		{Name: "the same on the other arm", Scene: read(t, neighbours, reading(now, guard.Series{Signal: "neighbours", Arm: guard.Baseline})),
			Want: []guard.Finding{{Verdict: guard.Pass, Observed: "neighbours: 1 series, newest 0s old"}}},
		{Name: "a source with remarks", Scene: read(t, one, guard.Reading{At: now, Series: []guard.Series{old(guard.Baseline, 0)}, Remarks: []string{"this is odd", "so is that"}}), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "errors"},
			{
				Verdict: guard.Warn, Title: "the source scrape answers without a remark", Reason: "this is odd; so is that",
				Remedy: "look whether it means the selectors in watch.signals, or how the source is set up", Observed: "2 remarks", Path: "watch.source",
			},
		}},
		{Name: "a first release that shows itself", Scene: release(read(t, one, reading(now, old(guard.Canary, 0))), "", "v1"), Want: []guard.Finding{{
			Verdict: guard.Pass, Observed: "v1: 1 series, newest 0s old",
		}}},
		{Name: "a first release in the dark", Scene: release(read(t, one, reading(now)), "", "v1"), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "the source has no sample of v1", Remedy: fix,
		}}},
	})
}

func TestMetricsGolden(t *testing.T) {
	const foreign = "{name: neighbours, total: requests, bad: failures, compare: before}"
	checktest.Run(t, metricsGolden, []checktest.Case{
		{Name: "both", Scene: scene(t, watching(errorsSignal+","+latencySignal), guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Pass, Title: "errors and latency are watched", Observed: "errors, latency",
		}}},
		{Name: "no latency", Scene: scene(t, watching(errorsSignal), guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Observed: "errors", Reason: "the plan watches no latency",
			Remedy: "add {name: latency, preset: promhttp} to watch.signals, or write selectors of your own",
		}}},
		{Name: "errors of somebody else", Scene: scene(t, watching(foreign+","+latencySignal), guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Observed: "latency", Reason: "the plan watches no errors",
		}}},
		{Name: "neither", Scene: scene(t, watching("{name: queue, value: depth, never: {above: 1}}"), guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Observed: "neither", Reason: "the plan watches no errors and no latency",
		}}},
	})
}

func TestMetricsBaselineGreen(t *testing.T) {
	later := now.Add(10 * time.Second)
	// counted is a scene in which v1 answered total requests between the readings, bad of them badly.
	counted := func(total, bad float64) guard.Scene {
		return read(t, watching(errorsSignal),
			reading(now, guard.Series{Signal: "errors", Arm: guard.Baseline, Total: 1e6, Bad: 5e5}),
			reading(later, guard.Series{Signal: "errors", Arm: guard.Baseline, Total: 1e6 + total, Bad: 5e5 + bad}))
	}
	// series of one histogram with these cumulative buckets.
	histogram := func(s guard.Series, total float64, buckets ...float64) guard.Series {
		s.Signal, s.Arm, s.Total, s.Buckets = "latency", guard.Baseline, total, buckets
		return s
	}
	timed := func(s guard.Series, total float64, buckets ...float64) guard.Scene {
		return read(t, watching(latencySignal), reading(now, histogram(s, 0, make([]float64, len(buckets))...)), reading(later, histogram(s, total, buckets...)))
	}
	classic, native := guard.Series{Bounds: []float64{0.1, 0.5, 5}}, guard.Series{Bounds: []float64{0.1, 0.5, 5}, Native: true}
	// measured is a scene with a gauge of two instances.
	measured := func(never string, before, after float64) guard.Scene {
		at := func(at time.Time, v float64) guard.Reading {
			low, high := v-1, v+1
			return reading(at,
				guard.Series{Signal: "queue", Arm: guard.Baseline, Instance: "a", Value: &low},
				guard.Series{Signal: "queue", Arm: guard.Baseline, Instance: "b", Value: &high})
		}
		return read(t, watching("{name: queue, value: depth, never: "+never+"}"), at(now, before), at(later, after))
	}
	errorsOf := func(instance string, total, bad float64) guard.Series {
		return guard.Series{Signal: "errors", Arm: guard.Baseline, Instance: instance, Total: total, Bad: bad}
	}
	const trouble = "v1 may be in trouble already, or it is chance among so few requests"

	checktest.Run(t, metricsBaselineGreen, []checktest.Case{
		{Name: "healthy", Scene: counted(1000, 2), Want: []guard.Finding{{
			Verdict:  guard.Pass,
			Subject:  "errors",
			Title:    "errors of v1 stays below 5%",
			Expected: "below 5%",
			Observed: "2 of 1000 requests, 0.2%",
		}}},
		{Name: "just below", Scene: counted(1000, 49), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "49 of 1000 requests, 4.9%"}}},
		{Name: "at the limit", Scene: counted(1000, 50), Want: []guard.Finding{{Verdict: guard.Warn, Reason: trouble, Remedy: "check again when more requests have come"}}},
		{Name: "in trouble", Scene: counted(1000, 80), Want: []guard.Finding{{
			Verdict:  guard.Fail,
			Reason:   "v1 is in trouble already",
			Remedy:   "find out what ails v1 before launching, or change never in watch.signals[0]",
			Observed: "80 of 1000 requests, 8%",
		}}},
		{Name: "all of them", Scene: counted(10, 10), Want: []guard.Finding{{Verdict: guard.Fail, Observed: "10 of 10 requests, 100%"}}},
		{Name: "three of twenty", Scene: counted(20, 3), Want: []guard.Finding{{Verdict: guard.Warn, Reason: trouble}}},
		{Name: "one of three", Scene: counted(3, 1), Want: []guard.Finding{{Verdict: guard.Warn, Reason: trouble}}},
		{Name: "nobody asked", Scene: counted(0, 0), Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: "nobody asked v1 for anything within 10s", Remedy: "check again while v1 has traffic",
		}}},
		{Name: "a restart counts from nothing, a new instance not at all",
			Scene: read(t, watching(errorsSignal), reading(now, errorsOf("a", 1000, 0)), reading(later, errorsOf("a", 100, 2), errorsOf("b", 500, 500))),
			Want:  []guard.Finding{{Verdict: guard.Pass, Observed: "2 of 100 requests, 2%"}}},
		{Name: "the canary does not count",
			Scene: read(t, watching(errorsSignal),
				reading(now, errorsOf("a", 0, 0), guard.Series{Signal: "errors", Arm: guard.Canary, Instance: "a"}),
				reading(later, errorsOf("a", 100, 0), guard.Series{Signal: "errors", Arm: guard.Canary, Instance: "a", Total: 100, Bad: 100})),
			Want: []guard.Finding{{Verdict: guard.Pass, Observed: "0 of 100 requests, 0%"}}},
		{Name: "gone in the second reading", Scene: read(t, watching(errorsSignal), reading(now, errorsOf("a", 1, 0)), reading(later)), Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: "the source has no samples of v1", Remedy: "mend GL401 first: golive explain GL401",
		}}},
		{Name: "nothing new in the second reading",
			Scene: read(t, watching(errorsSignal),
				reading(now, guard.Series{Signal: "errors", Arm: guard.Baseline, At: now.Add(-time.Second), Total: 9}),
				reading(later, guard.Series{Signal: "errors", Arm: guard.Baseline, At: now.Add(-time.Second), Total: 9})),
			Want: []guard.Finding{{
				Verdict: guard.Unknown, Reason: "the source had nothing new of v1 within 10s",
				Remedy: "raise watch.every to the scrape interval, then check again", Observed: "the same sample twice",
			}}},
		{Name: "not the same instance, only the same name",
			Scene: read(t, watching("{name: mail, total: a, bad: b, compare: before, never: 5%}"),
				reading(now, guard.Series{Signal: "mail", Arm: guard.Baseline}),
				reading(later, guard.Series{Signal: "mail", Arm: guard.Canary, Total: 100})),
			Want: []guard.Finding{{Verdict: guard.Unknown, Observed: "no requests"}}},
		{Name: "not yet in the first reading", Scene: read(t, watching(errorsSignal), reading(now), reading(later, errorsOf("a", 1, 0))), Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: "the source has no samples of v1",
		}}},
		{Name: "bad counts that fall, and that outrun all requests",
			Scene: read(t, watching(errorsSignal),
				reading(now, errorsOf("a", 100, 50), errorsOf("b", 100, 0)),
				reading(later, errorsOf("a", 200, 10), errorsOf("b", 101, 90))),
			Want: []guard.Finding{{Verdict: guard.Pass, Observed: "1 of 101 requests, 0.99%"}}},
		{Name: "quick enough", Scene: timed(classic, 1000, 100, 950, 1000), Want: []guard.Finding{{
			Subject: "latency p90", Verdict: guard.Pass, Title: "latency p90 of v1 stays below 400ms", Observed: "50 of 1000 requests, 5%",
		}}},
		{Name: "too slow", Scene: timed(classic, 1000, 100, 800, 1000), Want: []guard.Finding{{Verdict: guard.Fail, Observed: "200 of 1000 requests, 20%"}}},
		{Name: "a native histogram takes no bound for another", Scene: timed(native, 1000, 950, 1000, 1000), Want: []guard.Finding{{
			Verdict: guard.Pass, Observed: "50 of 1000 requests, 5%",
		}}},
		{Name: "a queue", Scene: measured("{above: 10}", 9, 10), Want: []guard.Finding{{
			Verdict: guard.Pass, Title: "queue of v1 stays at most 10", Observed: "9, then 10",
		}}},
		{Name: "a queue that is too long", Scene: measured("{above: 10}", 9, 10.5), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "it is outside its limit already", Observed: "9, then 10.5",
		}}},
		{Name: "a queue that was too long", Scene: measured("{above: 10}", 11, 10), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "a queue that may be too long for a moment", Scene: measured("{above: 10, for: 1m}", 9, 11), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "and is for longer", Scene: measured("{above: 10, for: 1m}", 11, 11), Want: []guard.Finding{{Verdict: guard.Fail}}},
		{Name: "too few workers", Scene: measured("{below: 3}", 3, 2), Want: []guard.Finding{{Verdict: guard.Fail, Expected: "at least 3"}}},
		{Name: "just enough workers", Scene: measured("{below: 3}", 9, 3), Want: []guard.Finding{{Verdict: guard.Pass}}},
		{Name: "no limits", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "the plan does not say what would be too bad whatever the old version does",
			Remedy: "give a signal a limit, such as never: 5% for errors, in watch.signals",
		}}},
		{Name: "a first release", Scene: release(scene(t, limited, guard.Answer{}), "", "v1"), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "this is a first release: no version serves yet that could be in trouble",
		}}},
	})
}

func TestLimitsOf(t *testing.T) {
	plan := parse(t, watching("{name: errors, total: a, bad: b, never: 0.1%}, {name: half, histogram: c, never: {p50: 1s}}, {name: most, histogram: c, never: {p90: 2s}}, {name: nearly, histogram: c, never: {p95: 3s}}, {name: latency, histogram: c, never: {p99: 4s}}, {name: free, total: a, bad: b}"))
	type row struct {
		name, bound string
		share       float64
	}
	var got []row
	for _, signal := range plan.Watch.Signals {
		for _, l := range limitsOf(signal, "here") {
			got = append(got, row{l.name, l.bound, l.share})
		}
	}
	want := []row{
		{"errors", "below 0.1%", 0.001},
		{"half p50", "below 1s", 0.5},
		{"most p90", "below 2s", 0.1},
		{"nearly p95", "below 3s", 0.05},
		{"latency p99", "below 4s", 0.01},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

func TestSlower(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bound  float64
		native bool
		want   float64
	}{
		{"below all bounds", 0.05, false, 90},
		{"on a bound", 0.1, false, 90},
		{"almost on a bound", 0.1 + 1e-12, false, 90},
		{"between bounds the next one counts", 0.6, false, 60},
		{"above all bounds the last one counts", 9, false, 5},
		{"native, below all bounds", 0.05, true, 100},
		{"native, on a bound", 0.1, true, 90},
		{"native, between bounds the last one counts", 0.6, true, 75},
		{"native, above all bounds", 9, true, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := guard.Series{Total: 100, Bounds: []float64{0.1, 0.5, 1, 5}, Buckets: []float64{10, 25, 40, 95}, Native: tc.native}
			if got := slower(s, tc.bound); got != tc.want {
				t.Errorf("slower(%v) = %v, want %v", tc.bound, got, tc.want)
			}
		})
	}
}
