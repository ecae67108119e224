package checks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/golive-dev/golive/guard"
)

var metricsTraffic = guard.Check{
	Code:  "GL403",
	ID:    "metrics.traffic",
	Title: "enough traffic is there to see harm",
	S:     []int{56},
	Needs: []string{"metrics.live"},
	Doc: `
It foresees for each signal and each step of the rollout what the judge can see there, and how soon: with as many
requests as there are now, how long it takes until harm is excluded, and which rise is found within which time.
A step that cannot be decided within its at_most gets a warning, and the least share of the traffic that would do.
It takes the requests from the history of the source, if that keeps one, and else from two readings a tick
(watch.every) apart where limits (never) are measured anyway. Otherwise it says how many requests are needed.

A canary of 1 percent at 10 requests a second is asked once in ten seconds. Such a step sees nothing, however
long the plan calls it safe: it ends undecided, and people learn to press proceed. Better known before the
launch than at its fourth step.

To mend it, give the step a larger share of the traffic or more time, or launch when there is more traffic:

    watch:
      promote: {max_step: 30m}
      signals:
        - {name: errors, preset: promhttp, never: 5%}

It answers S56.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		f := guard.Finding{
			Title:    "every step can be decided by the traffic that there is",
			Expected: "enough requests for each step below 100%",
			Path:     "watch.signals",
		}
		if s.Release.First() {
			return firstRelease(s, f.Title, "how many requests it will get is not known"), nil
		}
		answer, measured, err := requests(ctx, s)
		if err != nil {
			f.Path = "watch.source"
			return []guard.Finding{unknown(f, err, mendSource(s.Plan))}, nil
		}
		prospects, err := s.Plan.Prospects(s.Release, answer.Readings)
		if err != nil {
			return nil, err
		}
		if !measured {
			return []guard.Finding{unmeasured(s, f, prospects, answer)}, nil
		}
		var findings []guard.Finding
		for _, signal := range s.Plan.Watch.Signals {
			if signal.OwnPast() || signal.Value != "" {
				continue
			}
			findings = append(findings, foreseen(s, signal, prospects, answer)...)
		}
		if len(findings) == 0 {
			f.Verdict, f.Observed = guard.Warn, "none that counts requests of both versions"
			f.Reason = "no signal compares the requests of the two versions, so traffic decides nothing"
			f.Remedy = "add signals of errors and latency in " + place(s.Plan, "watch.signals")
			findings = []guard.Finding{f}
		}
		return findings, nil
	},
}

// requests asks for readings that tell how many requests there are, if that takes no time of its own; measured says
// whether they do.
func requests(ctx context.Context, s guard.Scene) (answer guard.Answer, measured bool, err error) {
	if !s.Remembers {
		n := 1
		if len(limits(s.Plan)) > 0 {
			n = 2 // which metrics.baseline_green needs too
		}
		answer, err = readings(ctx, s, n)
		return answer, n > 1, err
	}
	answer, err = s.Ask(ctx, guard.Question{Past: true})
	if want := int(guard.Past/guard.PastStep) + 1; err == nil && len(answer.Readings) != want {
		err = fmt.Errorf("asked for the past in %d readings, the source gave %d", want, len(answer.Readings))
	}
	return answer, true, errors.Join(err, possible(s, answer))
}

// unmeasured says what the traffic has to be where nothing says what it is.
func unmeasured(s guard.Scene, f guard.Finding, prospects []guard.Prospect, answer guard.Answer) guard.Finding {
	if len(prospects) == 0 {
		return unknown(f, errors.New("nothing is known of "+s.Release.From+" yet"), "mend GL401 first: golive explain GL401")
	}
	most, where := 0., prospects[0]
	for _, p := range prospects {
		needs := p.Needs
		if needs == 0 {
			needs = math.Inf(1)
		}
		if needs > most {
			most, where = needs, p
		}
	}
	f.Verdict = guard.Warn
	needs := perSecond(where.Needs)
	if where.Needs == 0 {
		needs = "more time than it has, however many requests there are"
	}
	f.Observed = fmt.Sprintf("not measured; %s at %d%% needs %s", where.Signal, s.Plan.Rollout.Steps[where.Step].Percent, needs)
	f.Reason = "how many requests there are was not measured: the source keeps no history, and no signal has a limit"
	f.Remedy = "compare with your traffic, or give a signal a limit such as never: 5% in " + place(s.Plan, "watch.signals")
	f.Evidence = evidence("the source "+s.Plan.Watch.Source.Use, f.Observed, answer)
	return f
}

// foreseen are the findings about one signal, one for each step.
func foreseen(s guard.Scene, signal guard.Signal, prospects []guard.Prospect, answer guard.Answer) (findings []guard.Finding) {
	first, last := answer.Readings[0], answer.Readings[len(answer.Readings)-1]
	if at := newest(samples(first, signal, guard.Baseline)); !at.IsZero() && !newest(samples(last, signal, guard.Baseline)).After(at) {
		prospects = nil // the same sample, or none any more: that is not to say that there are no requests
	}
	for _, p := range prospects {
		if p.Signal == signal.Name {
			findings = append(findings, decided(s, p, answer))
		}
	}
	if len(findings) > 0 {
		return findings
	}
	f := guard.Finding{
		Subject:  signal.Name,
		Title:    "every step can be decided by " + signal.Name,
		Expected: "enough requests for each step below 100%",
		Observed: "nothing new",
		Path:     "watch.every",
	}
	if !steps(s.Plan) {
		f.Verdict, f.Observed, f.Path = guard.Warn, "no such step", "rollout.steps"
		f.Reason = "all of the traffic moves at once, so nothing is compared before everybody has the new version"
		f.Remedy = "begin with a small step in " + place(s.Plan, "rollout.steps")
		return []guard.Finding{f}
	}
	return []guard.Finding{unknown(f, errors.New("the source shows no requests to "+s.Release.From+", or nothing new of them"),
		"check again while "+s.Release.From+" has traffic, and raise "+place(s.Plan, "watch.every")+" to the scrape interval")}
}

// steps says whether there is one that compares.
func steps(p *guard.Plan) bool { return len(p.Rollout.Steps) > 0 && p.Rollout.Steps[0].Percent < 100 }

// decided judges what one signal shows on one step.
func decided(s guard.Scene, p guard.Prospect, answer guard.Answer) guard.Finding {
	step, path := s.Plan.Rollout.Steps[p.Step], fmt.Sprintf("rollout.steps[%d]", p.Step)
	onCanary := p.Rate * float64(step.Percent) / 100
	f := guard.Finding{
		Subject:  fmt.Sprintf("%s at %d%%", p.Signal, step.Percent),
		Expected: "a decision within " + step.AtMost.String(),
		Observed: fmt.Sprintf("%s, %s of them on %s", perSecond(p.Rate), number(onCanary), s.Release.To),
		Path:     path,
	}
	if p.Needs > 0 {
		f.Expected += ", which takes " + perSecond(p.Needs)
	}
	f.Title = f.Subject + ": harm is excluded within " + step.AtMost.String()
	if p.Decides > 0 {
		f.Verdict = guard.Pass
		f.Title = fmt.Sprintf("%s, %s on %s: harm is excluded in about %s", f.Subject, perSecond(onCanary), s.Release.To, roughly(p.Decides))
		if p.Harm > 0 {
			f.Title += fmt.Sprintf(", and %s is seen in about %s", rise(p), roughly(p.Found))
		}
	} else {
		f.Verdict = guard.Warn
		f.Reason = fmt.Sprintf("the step ends undecided: with %s on %s, %s are too few to exclude harm", perSecond(onCanary), s.Release.To, step.AtMost)
		f.Remedy = "launch when there is more traffic, or give the step more time (at_most) in " + place(s.Plan, path)
		switch {
		case p.Rate == 0:
			f.Reason = "there are no requests now, so nothing can be seen"
			f.Remedy = "launch while " + s.Release.From + " has traffic"
		case p.Larger > 0:
			f.Remedy = fmt.Sprintf("%d%% of the traffic would do in %s, or more time (at_most)", p.Larger, place(s.Plan, path))
		}
	}
	f.Evidence = evidence("the source "+s.Plan.Watch.Source.Use+", for "+p.Signal, f.Observed, answer)
	return f
}

// rise says which harm is found.
func rise(p guard.Prospect) string {
	what := "a rise"
	if p.Slower > 0 {
		what += " of requests over " + time.Duration(p.Slower*float64(time.Second)).String()
	}
	return fmt.Sprintf("%s from %s to %s", what, percent(p.Normal), percent(p.Harm))
}

func percent(share float64) string { return number(100*share) + "%" }

func perSecond(rate float64) string {
	switch n := number(rate); n {
	case "0":
		return "no requests"
	case "1":
		return "1 request/s"
	default:
		return n + " requests/s"
	}
}

// number has as many digits as matter.
func number(n float64) string {
	switch {
	case n >= 100:
		return fmt.Sprintf("%.0f", n)
	case n >= 1:
		return fmt.Sprintf("%.2g", n)
	}
	return fmt.Sprintf("%.1g", n)
}

// roughly is how long something takes, when nobody knows it to the second.
func roughly(d time.Duration) string {
	unit := time.Minute
	switch {
	case d < 2*time.Minute:
		unit = time.Second
	case d >= 3*time.Hour:
		unit = time.Hour
	}
	return guard.Duration(max(unit, d.Round(unit))).String()
}
