package checks

import (
	"testing"
	"time"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestMetricsTraffic(t *testing.T) {
	const compared = `
rollout: {backend: {use: http}, steps: [1, 25, 100]}
watch: {source: {use: scrape}, signals: [{name: errors, total: requests, bad: failures, never: 5%}, {name: queue, value: depth, never: {above: 9}}]}`
	const limitless = `
rollout: {backend: {use: http}, steps: [5, 100]}
watch: {source: {use: scrape}, signals: [{name: errors, total: requests, bad: failures}]}`
	// counted is a world that has served n requests, one in 500 of them badly, and serves rate more each second.
	counted := func(n, rate float64, readings int, apart time.Duration) guard.Answer {
		var a guard.Answer
		for i := range readings {
			at := now.Add(time.Duration(i) * apart)
			total := n + rate*apart.Seconds()*float64(i)
			a.Readings = append(a.Readings, guard.Reading{At: at, Series: []guard.Series{
				{Signal: "errors", Arm: guard.Baseline, At: at, Total: total, Bad: float64(int(total / 500))},
			}})
		}
		return a
	}
	remembering := func(s guard.Scene) guard.Scene { s.Remembers = true; return s }
	gone := counted(50_000, 0, 31, time.Minute)
	for i := range gone.Readings {
		gone.Readings[i].Series = nil
	}
	checktest.Run(t, metricsTraffic, []checktest.Case{
		{Name: "two readings", Scene: scene(t, compared, counted(50_000, 100, 2, 10*time.Second)), Want: []guard.Finding{
			{Verdict: guard.Warn, Subject: "errors at 1%",
				Title:    "errors at 1%: harm is excluded within 10m",
				Reason:   "the step ends undecided: with 1 request/s on v2, 10m are too few to exclude harm",
				Remedy:   "2% of the traffic would do in rollout.steps[0], or more time (at_most)",
				Observed: "100 requests/s, 1 of them on v2"},
			{Verdict: guard.Pass, Subject: "errors at 25%",
				Title: "errors at 25%, 25 requests/s on v2: harm is excluded in about 5m, and a rise from 0.2% to 1% is seen in about 1m58s"},
		}},
		{Name: "a history", Scene: remembering(scene(t, compared, counted(0, 3000, 31, time.Minute))), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "errors at 1%", Observed: "3000 requests/s, 30 of them on v2"},
			{Verdict: guard.Pass, Subject: "errors at 25%"},
		}},
		{Name: "a history without requests", Scene: remembering(scene(t, compared, counted(50_000, 0, 31, time.Minute))), Want: []guard.Finding{
			{Title: "every step can be decided by errors", Subject: "errors", Reason: "the source shows no requests to v1, or nothing new of them"},
		}},
		{Name: "a history without data", Scene: remembering(scene(t, compared, gone)), Want: []guard.Finding{
			{Title: "every step can be decided by errors", Subject: "errors"},
		}},
		{Name: "no requests now", Scene: scene(t, compared, counted(50_000, 0, 2, 10*time.Second)), Want: []guard.Finding{
			{Verdict: guard.Warn, Subject: "errors at 1%", Reason: "there are no requests now, so nothing can be seen", Observed: "no requests, 0 of them on v2"},
			{Verdict: guard.Warn, Subject: "errors at 25%"},
		}},
		{Name: "the same sample twice", Scene: scene(t, compared, counted(50_000, 300, 2, 0)), Want: []guard.Finding{
			{Title: "every step can be decided by errors", Subject: "errors"},
		}},
		{Name: "nothing measures the rate", Scene: scene(t, limitless, counted(50_000, 300, 1, 0)), Want: []guard.Finding{
			{Verdict: guard.Warn, Title: "every step can be decided by the traffic that there is",
				Observed: "not measured; errors at 5% needs 251 requests/s",
				Reason:   "how many requests there are was not measured: the source keeps no history, and no signal has a limit"},
		}},
	})
}
