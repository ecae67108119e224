package checks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

// handOver is how long before a hand-over a launch should be over.
const handOver = 30 * time.Minute

var windowAllowed = guard.Check{
	Code:  "GL010",
	ID:    "window.allowed",
	Title: "now is a time for launches",
	Path:  "calendar.allowed",
	S:     []int{27},
	Doc: `
It asks the calendar three things about a launch that begins now: whether it fits into a time that is allowed,
whether it stays clear of every freeze, and whether somebody who is on duty now is there until half an hour after
its end. A launch takes as long as its steps and its bake, at least (at_least of each step) and at most (at_most).
What does not hold even for the shortest fails, what may not hold for the longest is a warning. Weekly times and
days are those of clocks in the zone that is named, whatever is done to clocks. A plan without allowed times fails:
for a service that may launch at any time, they are [24x7].

A launch on Friday evening is watched by whoever happens to be there, and one that runs into a hand-over is watched
by nobody: who goes takes along what was seen, and who comes has seen nothing. A freeze is there because somebody
cannot bear trouble on that day; that the launch began an hour earlier does not help them.

To mend it, wait until the time that golive prints, or make the launch shorter. A calendar looks like this:

    calendar:
      allowed: ["Mon-Thu 09:00-16:00 Asia/Shanghai"]
      freezes:
        - {from: 2026-12-20, to: 2027-01-03, tz: Asia/Shanghai, reason: year-end closing, owner: Wang Fang}

It answers S27.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		findings := append([]guard.Finding{inWindow(s)}, clearOfFreezes(s)...)
		if f, asked := beforeHandOver(ctx, s); asked {
			findings = append(findings, f)
		}
		return findings, nil
	},
}

// inWindow says whether the launch fits into a time that is allowed.
func inWindow(s guard.Scene) guard.Finding {
	const horizon = 15 * 24 * time.Hour // in which every weekly time comes round, on the worst of days too
	f := guard.Finding{Expected: "an allowed time"}
	where := place(s.Plan, "calendar.allowed")
	if len(s.Plan.Calendar.Allowed) == 0 {
		f.Verdict, f.Observed = guard.Fail, "none"
		f.Reason = "not configured: the plan does not say when a launch is allowed"
		f.Remedy = `write [24x7], or times such as ["Mon-Thu 09:00-16:00 Asia/Shanghai"], in ` + where
		return f
	}
	_, most := launch(s)
	ahead := guard.Period{From: s.Now, To: most.To.Add(horizon)}
	var open []guard.Period
	var zones []*time.Location
	for i, w := range s.Plan.Calendar.Allowed {
		in, err := zone(w.Zone)
		if err != nil {
			f.Path = fmt.Sprintf("calendar.allowed[%d]", i)
			return unknown(f, err, zoneRemedy+place(s.Plan, f.Path))
		}
		open, zones = append(open, w.Periods(in, ahead)...), append(zones, in)
	}
	next := "" // when to begin instead
	for _, p := range guard.Join(open) {
		switch {
		case p.Has(s.Now):
			f = fits(f, s, p.To, "the allowed time is over", zones[0])
		case next == "" && p.From.After(s.Now) && p.To.Sub(p.From) >= most.To.Sub(most.From):
			next = "wait until " + p.From.In(zones[0]).Format(moment) + ", or "
		}
	}
	if f.Observed == "" {
		f.Verdict, f.Observed = guard.Fail, "none: it is "+s.Now.In(zones[0]).Format(moment)
		f.Reason = "no launch is allowed now"
	}
	if f.Verdict != guard.Pass {
		f.Remedy = next + "change " + where
	}
	return f
}

// clearOfFreezes says whether the launch stays clear of all of them: a finding for each of which it does not, as each
// has an owner and a reason of its own.
func clearOfFreezes(s guard.Scene) (findings []guard.Finding) {
	clear := guard.Finding{
		Subject:  "freezes",
		Verdict:  guard.Pass,
		Title:    "the launch is clear of every freeze",
		Expected: "no freeze until its end",
		Observed: "none is planned",
	}
	for i, freeze := range s.Plan.Calendar.Freezes {
		path := fmt.Sprintf("calendar.freezes[%d]", i)
		because := "the freeze for " + brief(freeze.Reason)
		f := guard.Finding{Path: path, Subject: brief(freeze.From.String() + " " + freeze.Reason), Title: clear.Title, Expected: clear.Expected}
		in, err := zone(freeze.TZ)
		if err != nil {
			findings = append(findings, unknown(f, err, zoneRemedy+place(s.Plan, path)))
			continue
		}
		frozen := freeze.Period(in)
		switch {
		case frozen.Has(s.Now):
			f.Verdict, f.Observed = guard.Fail, "frozen "+clocks(frozen, []*time.Location{in})
			f.Reason = because + " is on"
		case frozen.To.After(s.Now):
			f = fits(f, s, frozen.From, because+" begins", in)
			clear.Observed = f.Observed
		}
		if f.Verdict == guard.Unknown || f.Verdict == guard.Pass {
			continue // it is over, or far away
		}
		f.Remedy = "wait until " + frozen.To.In(in).Format(moment) + ", or change " + place(s.Plan, path)
		if freeze.Owner != "" {
			f.Remedy = "wait until " + frozen.To.In(in).Format(moment) + ", or ask " + brief(freeze.Owner) + " to lift it in " + place(s.Plan, path)
		}
		findings = append(findings, f)
	}
	if len(findings) == 0 {
		findings = append(findings, clear)
	}
	return findings
}

// beforeHandOver says whether somebody stays on duty for the whole launch. It is not asked where nobody is on duty
// now, or nobody says who: that is what roster.coverage asks.
func beforeHandOver(ctx context.Context, s guard.Scene) (f guard.Finding, asked bool) {
	f = guard.Finding{
		Subject:  "hand-over",
		Title:    "the launch is over well before the next hand-over",
		Path:     "roster.shifts",
		Expected: "somebody on duty who stays until " + span(handOver) + " after its end",
	}
	_, most := launch(s)
	r, err := duty(ctx, s, guard.Period{From: s.Now, To: most.To.Add(handOver)})
	switch {
	case errors.Is(err, noShifts):
		return f, false
	case err != nil:
		return unknown(f, err, "mend "+place(s.Plan, "roster.shifts")), true
	}
	holders := holding(s.Plan, "on_duty")
	var until time.Time
	for _, name := range names(holders) {
		for _, p := range r.of(name) {
			if p.Has(s.Now) && p.To.After(until) {
				until = p.To
			}
		}
	}
	if until.IsZero() {
		return f, false
	}
	f = fits(f, s, until.Add(-handOver), "there are "+span(handOver)+" left before the hand-over", zonesOf(holders)[0])
	f.Evidence = r.evidence
	if f.Verdict == guard.Pass {
		f.Observed = "one who stays until " + until.In(zonesOf(holders)[0]).Format(moment) + " at least"
	} else {
		f.Remedy = "wait until the next shift has begun, or let a shift of roster.shifts last until the end of the launch"
	}
	return f, true
}

// fits says whether a launch that begins now ends before something happens.
func fits(f guard.Finding, s guard.Scene, until time.Time, happens string, in *time.Location) guard.Finding {
	least, most := launch(s)
	when := until.In(in).Format(moment)
	f.Observed = fmt.Sprintf("a launch takes %s to %s, and at %s %s", span(least.To.Sub(s.Now)), span(most.To.Sub(s.Now)), when, happens)
	switch {
	case until.Before(least.To):
		f.Verdict = guard.Fail
		f.Reason = fmt.Sprintf("even the shortest launch is not over at %s, when %s", when, happens)
	case until.Before(most.To):
		f.Verdict = guard.Warn
		f.Reason = fmt.Sprintf("a launch that needs all its time is not over at %s, when %s", when, happens)
	default:
		f.Verdict = guard.Pass
	}
	return f
}
