package server

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report"
)

// This file draws: the odds of harm over time, and how long requests took.

// A plotter sees a history go by, and keeps what is drawn of it.
type plotter struct {
	points []point
	steps  []stepped
	first  guard.Reading // of the step
	latest guard.Reading
	began  time.Time // the step that first belongs to
}

type point struct {
	at    time.Time
	odds  float64 // their logarithm
	blind bool
}

type stepped struct {
	at      time.Time
	percent int
}

// see keeps of an event what is drawn.
func (d *plotter) see(e guard.Event, was, s guard.State) {
	watches := s.Phase == guard.Watching || s.Phase == guard.Baking
	if watches && s.Seen > 0 && !s.Began.Equal(was.Began) {
		d.steps = append(d.steps, stepped{s.Began, s.Seen})
	}
	m, measured := e.Fact.(guard.Measured)
	if !measured || s.Ruling.At.IsZero() || s.At != e.At {
		return
	}
	d.points = append(d.points, point{e.At, s.Ruling.LogOdds, s.Ruling.Call == judge.Blind || m.Problem != ""})
	if len(m.Reading.Series) == 0 {
		return
	}
	// A measurement that turned the rollout still belongs to the step that it was made in.
	if began := was.Began; !d.began.Equal(began) || d.first.At.IsZero() {
		d.began, d.first = began, m.Reading
	}
	d.latest = m.Reading
}

// A chart is the odds of harm over time, against the limit. Lengths are in a box of 1000 by 1000, whose origin is above
// and left; places of texts are in percent of it.
type chart struct {
	Lines   []string // of points, one for each stretch that was seen
	LimitAt float64
	EvenAt  float64
	Limit   string
	// Where the texts are that stand on the two lines, in percent.
	LimitText, EvenText float64
	Marks               []tickMark
	Gaps                []gap
	From                time.Time
	To                  time.Time
	Dot                 *dot
	Says                string
}

type tickMark struct {
	X    float64 // percent
	Text string  // empty: there is no room for it
	End  bool    // the text ends at X
}

type gap struct{ X, Width float64 }

type dot struct{ X, Y float64 } // percent

const (
	box        = 1000.
	mostPoints = 400 // what can be told apart on a screen
	labelTakes = 11. // percent of the width
	leastGap   = 8.  // so that one reading without an answer can be seen
)

// chart draws what was seen; nil if nothing was.
func (d *plotter) chart(s guard.State) *chart {
	limit := s.Ruling.Limit
	if len(d.points) == 0 || limit <= 0 {
		return nil
	}
	from, to := d.points[0].at, d.points[len(d.points)-1].at
	if len(d.steps) > 0 && d.steps[0].at.Before(from) {
		from = d.steps[0].at
	}
	span := max(to.Sub(from).Seconds(), 1)
	lowest, highest := -limit/4, limit*1.15
	for _, p := range d.points {
		lowest = max(min(lowest, p.odds*1.1), -limit)
		highest = min(max(highest, p.odds*1.1), 1.6*limit)
	}
	x := func(t time.Time) float64 { return round(min(max(t.Sub(from).Seconds(), 0)/span, 1) * box) }
	y := func(odds float64) float64 {
		return round((highest - min(max(odds, lowest), highest)) / (highest - lowest) * box)
	}
	c := &chart{LimitAt: y(limit), EvenAt: y(0), Limit: report.Odds(limit), From: from, To: to}
	c.LimitText, c.EvenText = round(c.LimitAt/10), round(c.EvenAt/10)
	var line []string
	most := d.points[0]
	flush := func() {
		if len(line) == 1 { // a point has no length to be seen
			line = append(line, line[0])
		}
		if len(line) > 0 {
			c.Lines = append(c.Lines, strings.Join(line, " "))
		}
		line = nil
	}
	unseen := false
	for _, p := range thin(d.points) {
		if p.odds > most.odds {
			most = p
		}
		switch at := x(p.at); {
		case !p.blind:
			line = append(line, fmt.Sprintf("%g,%g", at, y(p.odds)))
		case unseen:
			last := &c.Gaps[len(c.Gaps)-1]
			last.Width = round(at - last.X)
		default:
			flush()
			c.Gaps = append(c.Gaps, gap{max(0, at-leastGap), leastGap})
		}
		unseen = p.blind
	}
	flush()
	last := -labelTakes
	for _, step := range d.steps {
		m := tickMark{X: round(x(step.at) / 10), Text: fmt.Sprintf("%d %%", step.percent)}
		if m.X-last < labelTakes {
			m.Text = ""
		} else {
			last = m.X
		}
		m.End = m.X > 100-labelTakes
		c.Marks = append(c.Marks, m)
	}
	if end := d.points[len(d.points)-1]; !end.blind {
		c.Dot = &dot{x(end.at) / 10, y(end.odds) / 10}
	}
	c.Says = fmt.Sprintf("Odds of harm %s at %s; at %s the traffic is taken back. The highest so far were %s at %s.",
		report.Odds(d.points[len(d.points)-1].odds), report.Clock(to), c.Limit, report.Odds(most.odds), report.Clock(most.at))
	return c
}

// thin leaves out points that a screen cannot show; of neighbours it keeps the one that is closest to the limit.
func thin(points []point) []point {
	if len(points) <= mostPoints {
		return points
	}
	some := make([]point, 0, mostPoints)
	for i := range mostPoints {
		part := points[i*len(points)/mostPoints : (i+1)*len(points)/mostPoints]
		some = append(some, slices.MaxFunc(part, func(a, b point) int {
			switch {
			case a.odds < b.odds:
				return -1
			case a.odds > b.odds:
				return 1
			}
			return 0
		}))
	}
	some[0], some[len(some)-1] = points[0], points[len(points)-1]
	return some
}

func round(f float64) float64 { return math.Round(f*10) / 10 }

// A histogram is how long the requests of this step took, on both arms.
type histogram struct {
	Signal           string
	Canary, Baseline float64 // requests
	Bins             []bin
}

// A bin holds the requests of one range of latency, as shares of those of their arm.
type bin struct {
	low, high                  float64 // seconds
	Range                      string
	Canary, Baseline           float64
	CanaryWidth, BaselineWidth float64 // percent of the longest bar
	CanaryAt                   float64 // where the bar of the canary begins, which ends on the right
}

const mostBins = 14

// histograms are the latest buckets minus the first of the step, for each signal of latency.
func (d *plotter) histograms(plan *guard.Plan) (all []histogram) {
	for _, signal := range plan.Watch.Signals {
		if signal.Kind() != judge.Latency {
			continue
		}
		canary, baseline := d.rose(signal.Name, guard.Canary), d.rose(signal.Name, guard.Baseline)
		if h, ok := histogramOf(signal.Name, canary, baseline); ok {
			all = append(all, h)
		}
	}
	return all
}

// A rise is how many requests of an arm took at most so long, by bound in seconds; infinity is all.
type rise map[float64]float64

// rose is what was added to the buckets of an arm since the step began. A process that is new, or began anew, counts
// with all that it has. Of instances with different bounds only those count that all have; in a native histogram a
// bound is left out where nothing fell below it.
func (d *plotter) rose(signal string, arm guard.Arm) rise {
	before := map[string]guard.Series{}
	for _, s := range d.first.Series {
		if s.Signal == signal && s.Arm == arm {
			before[s.Instance] = s
		}
	}
	var parts []guard.Series
	bounds, has := map[float64]int{}, 0
	for _, s := range d.latest.Series {
		if s.Signal != signal || s.Arm != arm || len(s.Bounds) != len(s.Buckets) {
			continue
		}
		parts, has = append(parts, s), has+1
		for _, b := range s.Bounds {
			bounds[b]++
		}
	}
	if has == 0 {
		return nil
	}
	sum := rise{}
	for _, s := range parts {
		old := before[s.Instance]
		if len(old.Bounds) != len(old.Buckets) || old.Total > s.Total {
			old = guard.Series{}
		}
		for b, n := range bounds {
			if n == has || s.Native {
				sum[b] += max(0, below(s, b)-below(old, b))
			}
		}
		sum[math.Inf(1)] += max(0, s.Total-old.Total)
	}
	return sum
}

// below is how many requests of a series took at most so long.
func below(s guard.Series, bound float64) float64 {
	i, exact := slices.BinarySearch(s.Bounds, bound)
	switch {
	case exact:
		return s.Buckets[i]
	case i == 0:
		return 0
	}
	return s.Buckets[i-1]
}

func histogramOf(signal string, canary, baseline rise) (histogram, bool) {
	infinity := math.Inf(1)
	h := histogram{Signal: signal, Canary: canary[infinity], Baseline: baseline[infinity]}
	if h.Canary == 0 && h.Baseline == 0 {
		return h, false
	}
	all := maps.Clone(canary)
	if all == nil {
		all = rise{}
	}
	maps.Copy(all, baseline)
	bounds := slices.Sorted(maps.Keys(all))
	share := func(r rise, low, high float64) float64 {
		if r[infinity] == 0 {
			return 0
		}
		return max(0, r.at(high)-r.at(low)) / r[infinity]
	}
	low := math.Inf(-1)
	for _, high := range bounds {
		h.Bins = append(h.Bins, bin{low: low, high: high, Canary: share(canary, low, high), Baseline: share(baseline, low, high)})
		low = high
	}
	empty := func(b bin) bool { return b.Canary == 0 && b.Baseline == 0 }
	for len(h.Bins) > 1 && empty(h.Bins[len(h.Bins)-1]) {
		h.Bins = h.Bins[:len(h.Bins)-1]
	}
	for len(h.Bins) > 1 && empty(h.Bins[0]) {
		h.Bins = h.Bins[1:]
	}
	for len(h.Bins) > mostBins {
		h.Bins = paired(h.Bins)
	}
	longest := 0.
	for _, b := range h.Bins {
		longest = max(longest, b.Canary, b.Baseline)
	}
	if longest == 0 {
		return h, false
	}
	for i := range h.Bins {
		b := &h.Bins[i]
		b.Range = rangeWords(b.low, b.high)
		b.CanaryWidth, b.BaselineWidth = round(100*b.Canary/longest), round(100*b.Baseline/longest)
		b.CanaryAt = round(100 - b.CanaryWidth)
	}
	return h, true
}

// at is a rise at a bound that it may not have itself.
func (r rise) at(bound float64) float64 {
	most := 0.
	for b, n := range r {
		if b <= bound {
			most = max(most, n)
		}
	}
	return most
}

// paired makes one bin of two neighbours, from the end.
func paired(bins []bin) (some []bin) {
	for i := len(bins) - 1; i >= 0; i -= 2 {
		b := bins[i]
		if i > 0 {
			b.low = bins[i-1].low
			b.Canary, b.Baseline = b.Canary+bins[i-1].Canary, b.Baseline+bins[i-1].Baseline
		}
		some = append(some, b)
	}
	slices.Reverse(some)
	return some
}

func rangeWords(low, high float64) string {
	switch {
	case math.IsInf(high, 1) && math.IsInf(low, -1):
		return "all"
	case math.IsInf(high, 1):
		return "over " + latencyWords(low)
	}
	return "to " + latencyWords(high)
}
