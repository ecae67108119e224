package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

func testPlan(t *testing.T) *guard.Plan {
	t.Helper()
	source, err := os.ReadFile("testdata/golive.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := guard.ParsePlan("golive.yaml", append(source, "\nnotify: [{use: stdout}]\n"...))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

var testRelease = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}

// TestStory tells a rollout in which much goes wrong: each thing is told once, with its reason.
func TestStory(t *testing.T) {
	plan := testPlan(t)
	percent, shifts, ticks, verified, notices := 0, 0, 0, 0, 0
	world := func(s guard.State, task guard.Task) (guard.Fact, time.Duration) {
		switch d := task.Deed.(type) {
		case guard.RunChecks:
			return guard.Checked{Findings: []guard.Finding{
				{Code: "GL102", ID: "backup.age", Title: "the backup is young", Verdict: guard.Pass},
				{Code: "GL308", ID: "vendor.contact", Title: "PayCo can be reached", Verdict: guard.Warn, Reason: "no phone", Remedy: "write it down"},
			}}, time.Second
		case guard.Inspect:
			return guard.Inspected{Standing: guard.Standing{Percent: percent, Undo: guard.Undo{Open: true}}}, 0
		case guard.Shift:
			if shifts++; shifts == 1 {
				return guard.Failed{Error: "connection refused"}, 0
			}
			percent = d.Percent
			return guard.Shifted{Percent: percent}, 0
		case guard.Measure:
			ticks++
			return guard.Measured{Ruling: testRuling(ticks, s.At), Standing: &guard.Standing{Percent: percent}}, 0
		case guard.Verify:
			if verified++; verified < 3 {
				return guard.Verified{Standing: guard.Standing{Percent: 5}}, 0
			}
			return guard.Verified{Standing: guard.Standing{Percent: percent}}, 0
		case guard.Tell:
			if notices++; notices == 1 {
				return guard.Failed{Error: "no route to host"}, 0
			}
			return guard.Told{}, 0
		case guard.Wait:
			return guard.Elapsed{}, 0
		}
		return nil, 0
	}
	start := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	history := guard.Rehearse(plan, guard.Opened{Release: testRelease, Purpose: guard.ToRollout, Mode: guard.Enforce}, start, world)
	teller, s := story{plan: plan, call: (&program{env: envconfig.MapLookuper(nil), settings: settings{Plan: "golive.yaml", Journal: ".golive"}}).call}, guard.State{}
	var got []string
	for _, e := range history {
		s = guard.Next(plan, s, e)
		for _, l := range teller.tell(e, s) {
			got = append(got, fmt.Sprintf("%ds %s", int(e.At.Sub(start).Seconds()), l.text))
		}
	}
	want := []string{
		"0s rollout of shop (test): v1 -> v2",
		"0s checking whether v2 may go on",
		"1s !! PayCo can be reached (GL308)\n    no phone\n    -> write it down",
		"1s checks: go: 1 warning, 1 passed",
		"1s step 1 of 2: giving v2 20 % of the traffic",
		"1s trouble: connection refused",
		"2s step 1 of 2: v2 has 20 % of the traffic; watching for 2s to 5s",
		"4s holding: both suffer at tick 3",
		"6s gathering evidence again: tick 5",
		"7s not yet, holding until 03:00:17Z, then back: tick 6",
		"7s could not tell stdout: no route to host",
		"8s told stdout: holding",
		"11s INCIDENT, begun at 03:00:11Z: golive ack r1 takes it on",
		"11s it is of level 3: true",
		"11s errors: 47 of 480",
		"11s GOING BACK to v1",
		"11s told stdout: shop test: incident opened, level 3 (moderate)",
		"11s verifying that v2 has no traffic any more",
		"11s trouble: v2 still has 5 % of the traffic",
		"13s over: rolled back; the incident is open until somebody stands it down",
		"13s told stdout: shop test: service recovered, level 3 (moderate)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the story (-want +got):\n%s", diff)
	}
}

// testRuling is what the judge says at a tick of TestStory.
func testRuling(tick int, at time.Time) judge.Ruling {
	r := judge.Ruling{At: at, Call: judge.Continue, Rule: judge.Collecting, Why: fmt.Sprintf("tick %d", tick), Limit: math.Log(100)}
	switch {
	case tick == 3 || tick == 4:
		r.Call, r.Rule, r.Why = judge.Hold, judge.BothDegraded, fmt.Sprintf("both suffer at tick %d", tick)
	case tick == 10:
		r.Call, r.Rule, r.Why, r.LogOdds = judge.Regressed, judge.Odds, "errors: 47 of 480", math.Log(640)
	}
	return r
}

// watched is a state in the middle of a step, with everything that a block can show.
func watched(now time.Time) guard.State {
	counts := judge.Counts{
		Canary:   judge.Tally{Requests: 1204, Bad: 3, Rate: 3. / 1204},
		Baseline: judge.Tally{Requests: 9310, Bad: 20, Rate: 20. / 9310},
	}
	return guard.State{
		Release: testRelease, Purpose: guard.ToRollout, Mode: guard.Enforce, Phase: guard.Watching,
		Since: now.Add(-12 * time.Second), Until: now.Add(time.Minute), Began: now.Add(-12 * time.Second), Seen: 20, Aim: 20,
		Held: "ada ordered hold: waiting for the batch job", Asked: true, Trouble: "the backend gave no answer in time",
		Ruling: judge.Ruling{
			At: now.Add(-2 * time.Second), Call: judge.Continue, Rule: judge.Leaning, Why: "errors lean towards harm",
			LogOdds: math.Log(10), Limit: math.Log(100), Remain: 20,
			Missing: "about 800 more canary requests to exclude +1 pp of errors",
			Signals: []judge.Sight{{Signal: "errors", Step: counts}, {Signal: "latency", Slower: .25, Step: counts}},
		},
	}
}

func TestBlock(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	plan, s := testPlan(t), watched(now)
	for name, c := range map[string]struct {
		width int
		ink   ink
		want  string
	}{
		"wide": {100, ink{unicode: true}, `
shop  v1 → v2  step 1 of 2  20 %
watching for 12s
                    canary               baseline
  errors            3 of 1,204 (0.25 %)  20 of 9,310 (0.21 %)
  latency > 250 ms  3 of 1,204 (0.25 %)  20 of 9,310 (0.21 %)
  harm    ██████████░░░░░░░░░░  odds 10:1, back at 100:1
  missing about 800 more canary requests to exclude +1 pp of errors
  held    ada ordered hold: waiting for the batch job
  asked   errors lean towards harm
  trouble the backend gave no answer in time`},
		"narrow, and ASCII": {40, ink{}, `
shop  v1 -> v2  step 1 of 2  20 %
watching for 12s
  errors
    canary 3 of 1,204 (0.25 %)
    baseline 20 of 9,310 (0.21 %)
  latency > 250 ms
    canary 3 of 1,204 (0.25 %)
    baseline 20 of 9,310 (0.21 %)
  harm    ##..  odds 10:1, back at 100:1
  missing about 800 more canary requests
          to exclude +1 pp of errors
  held    ada ordered hold: waiting for
          the batch job
  asked   errors lean towards harm
  trouble the backend gave no answer in
          time`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, l := range block(plan, s, now, c.width, c.ink) {
				got += "\n" + l.text
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the block (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBlockFits(t *testing.T) {
	now := time.Now()
	s := watched(now)
	s.Trouble = strings.Repeat("unbreakable", 30)
	for width := 1; width < 150; width++ {
		for _, l := range block(testPlan(t), s, now, width, ink{unicode: true}) {
			if n := utf8.RuneCountInString(l.text); n > width || strings.Contains(l.text, "\n") {
				t.Fatalf("at width %d a line has %d runes: %q", width, n, l.text)
			}
		}
	}
}
