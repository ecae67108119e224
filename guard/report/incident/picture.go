package incident

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-analyze/charts/chartdraw"
	"github.com/go-analyze/charts/chartdraw/drawing"

	"github.com/golive-dev/golive/guard/judge"
)

// This file draws, for each signal, the share of bad requests on both versions over time, with the moments of the decision.
// Lines are told apart by their pattern as well as by their colour, since reports are printed in grey.

// A trail is what was counted of one signal, reading by reading. Counts are since the watch began.
type trail struct {
	signal string
	slower float64
	points []spot
}

type spot struct {
	at    time.Time
	all   judge.Counts
	after bool // of the old version alone, after the way back
}

// trail keeps what a ruling says of each signal. The first sight of a signal is the one that is followed, until one that
// says more decides: of a latency signal each bound has a sight of its own.
func (b *builder) trail(r judge.Ruling, after bool) {
	for _, s := range r.Signals {
		key := fmt.Sprintf("%s %g", s.Signal, s.Slower)
		t := b.trails[key]
		if t == nil {
			t = &trail{signal: s.Signal, slower: s.Slower}
			b.trails[key] = t
		}
		all := s.All
		if after {
			all = judge.Counts{Baseline: s.All.Canary}
		}
		t.points = append(t.points, spot{r.At, all, after})
	}
}

// A part of a line: the share of bad requests in a span of time.
type dot struct {
	at    time.Time
	share float64
}

// mostDots are as many as can be told apart on paper.
const mostDots = 60

// lines makes shares of counts: one list for each stretch in which there were requests. Readings that are too close to each
// other to be told apart are counted together.
func (t *trail) lines(of func(judge.Counts) judge.Tally) (all [][]dot) {
	var line []dot
	flush := func() {
		if len(line) > 0 {
			all = append(all, line)
		}
		line = nil
	}
	stride := max(1, (len(t.points)+mostDots-1)/mostDots)
	before := judge.Tally{}
	began := false
	for i, p := range t.points {
		now := of(p.all)
		if i > 0 && (p.after != t.points[i-1].after || now.Requests < before.Requests) {
			before, began = judge.Tally{}, false // the counts began anew
		}
		if i%stride != 0 && i != len(t.points)-1 && began {
			continue
		}
		began = true
		requests, bad := now.Requests-before.Requests, now.Bad-before.Bad
		before = now
		if requests <= 0 {
			flush()
			continue
		}
		line = append(line, dot{p.at, min(1, math.Max(0, bad/requests))})
	}
	flush()
	return all
}

// mark is a moment that is drawn as a vertical line.
type mark struct {
	name string
	at   time.Time
}

const (
	pictureWidth  = 900
	pictureHeight = 330
	mostTicks     = 7
)

// colours of the picture. Their greys differ, too.
var (
	dark   = drawing.Color{R: 163, G: 32, B: 29, A: 255}
	light  = drawing.Color{R: 60, G: 110, B: 170, A: 255}
	ink    = drawing.Color{R: 29, G: 35, B: 41, A: 255}
	faint  = drawing.Color{R: 93, G: 104, B: 115, A: 255}
	rule   = drawing.Color{R: 211, G: 217, B: 222, A: 255}
	hollow = drawing.Color{R: 255, G: 255, B: 255, A: 0}
)

// trailOf is the trail to draw of a signal: that of the sight that says most; nil: nothing was counted.
func (r *Report) trailOf(signal string, sights []judge.Sight) *trail {
	for _, s := range counted(sights) {
		if s.Signal == signal {
			if t := r.trails[fmt.Sprintf("%s %g", s.Signal, s.Slower)]; t != nil {
				return t
			}
		}
	}
	var keys []string
	for key, t := range r.trails {
		if t.signal == signal {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return r.trails[slices.Min(keys)]
}

// picture draws one signal; empty if there is nothing to draw. The id tells it from others on the same page.
func (r *Report) picture(w language, id int, t *trail) (svg, alt string, err error) {
	canary := t.lines(func(c judge.Counts) judge.Tally { return c.Canary })
	baseline := t.lines(func(c judge.Counts) judge.Tally { return c.Baseline })
	if len(canary)+len(baseline) == 0 {
		return "", "", nil
	}
	var marks []mark
	for _, name := range []string{"introduced", "detected", "decided", "contained", "verified"} {
		if at := r.moment(name); !at.IsZero() {
			marks = append(marks, mark{name, at})
		}
	}
	from, to, top := span(append(slices.Clone(canary), baseline...), marks)
	title := w.say("picture_title", t.name(w))
	alt = w.say("picture_alt", t.name(w), r.clock(from), r.clock(to), highest(w, canary), highest(w, baseline), r.markWords(w, marks))
	x := &chartdraw.ContinuousRange{Min: chartdraw.TimeToFloat64(from), Max: chartdraw.TimeToFloat64(to)}
	y := &chartdraw.ContinuousRange{Min: 0, Max: top}
	text := chartdraw.FontStyle{FontSize: 9, FontColor: faint}
	c := chartdraw.Chart{
		Width: pictureWidth, Height: pictureHeight,
		Background: chartdraw.Style{Padding: chartdraw.NewBox(36, 8, 16, 8), FillColor: hollow, StrokeColor: hollow},
		Canvas:     chartdraw.Style{FillColor: hollow, StrokeColor: hollow},
		XAxis:      chartdraw.XAxis{Range: x, Style: chartdraw.Style{FontStyle: text, StrokeColor: faint, StrokeWidth: 1}, Ticks: r.ticks(from, to), GridMajorStyle: chartdraw.Hidden(), GridMinorStyle: chartdraw.Hidden()},
		YAxis:      chartdraw.YAxis{Style: chartdraw.Hidden(), Range: &chartdraw.ContinuousRange{Max: 1}},
		YAxisSecondary: chartdraw.YAxis{ // the one on the left
			Range: y, Style: chartdraw.Style{FontStyle: text, StrokeColor: faint, StrokeWidth: 1}, Ticks: shares(top),
			GridMajorStyle: chartdraw.Style{StrokeColor: rule, StrokeWidth: 1}, GridMinorStyle: chartdraw.Style{StrokeColor: rule, StrokeWidth: 1},
		},
	}
	for _, line := range baseline {
		c.Series = append(c.Series, series(line, chartdraw.Style{StrokeColor: light, StrokeWidth: 2, StrokeDashArray: []float64{7, 4}}))
	}
	for _, line := range canary {
		c.Series = append(c.Series, series(line, chartdraw.Style{StrokeColor: dark, StrokeWidth: 3}))
	}
	c.Elements = []chartdraw.Renderable{r.legend(w), r.moments(w, marks, x)}
	var out bytes.Buffer
	if err := c.Render(chartdraw.SVG, &out); err != nil {
		return "", "", fmt.Errorf("draw %s: %w", t.signal, err)
	}
	return described(out.String(), id, title, alt), alt, nil
}

// described gives a picture a title and a description, for who cannot see it, and the letters of the page around it.
func described(svg string, id int, title, alt string) string {
	head := fmt.Sprintf(`<svg role="img" aria-labelledby="picture-%d-title picture-%d-desc" `, id, id)
	svg = head + strings.TrimPrefix(svg, "<svg ")
	end := strings.Index(svg, ">") + 1
	says := fmt.Sprintf(`<title id="picture-%d-title">%s</title><desc id="picture-%d-desc">%s</desc>`, id, html.EscapeString(title), id, html.EscapeString(alt))
	svg = svg[:end] + says + svg[end:]
	return strings.ReplaceAll(svg, "font-family:'Roboto Medium',sans-serif", "font-family:inherit")
}

// name is what a trail counts.
func (t *trail) name(w language) string {
	if t.slower > 0 {
		return w.say("slower_than", t.signal, seconds(t.slower))
	}
	return t.signal
}

func series(line []dot, style chartdraw.Style) chartdraw.Series {
	s := chartdraw.TimeSeries{Style: style, YAxis: chartdraw.YAxisSecondary}
	for _, d := range line {
		s.XValues, s.YValues = append(s.XValues, d.at), append(s.YValues, d.share)
	}
	if len(line) == 1 { // a single reading has no length to be seen
		s.XValues, s.YValues = append(s.XValues, line[0].at.Add(time.Second)), append(s.YValues, line[0].share)
	}
	return s
}

// span is what has to be in the picture. Above the highest share there is room for the names of the moments.
func span(lines [][]dot, marks []mark) (from, to time.Time, top float64) {
	see := func(at time.Time) {
		if from.IsZero() || at.Before(from) {
			from = at
		}
		if at.After(to) {
			to = at
		}
	}
	for _, line := range lines {
		for _, d := range line {
			see(d.at)
			top = max(top, d.share)
		}
	}
	for _, m := range marks {
		see(m.at)
	}
	if !to.After(from.Add(time.Second)) {
		to = from.Add(time.Second)
	}
	for _, nice := range []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5} {
		if top*1.1 <= nice {
			return from, to, nice
		}
	}
	return from, to, 1
}

// ticks are round times, at most mostTicks of them.
func (r *Report) ticks(from, to time.Time) (all []chartdraw.Tick) {
	step := time.Second
	for _, s := range []time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 604800} {
		if step = s * time.Second; to.Sub(from) <= mostTicks*step {
			break
		}
	}
	format := time.TimeOnly
	if step >= time.Minute {
		format = "15:04"
	}
	if to.Sub(from) > 24*time.Hour {
		format = "01-02 15:04"
	}
	// The first and the last tick say how far the picture reaches, and have no words.
	all = append(all, chartdraw.Tick{Value: chartdraw.TimeToFloat64(from)})
	for at := from.Truncate(step); !at.After(to); at = at.Add(step) {
		if !at.Before(from) {
			all = append(all, chartdraw.Tick{Value: chartdraw.TimeToFloat64(at), Label: at.In(r.place()).Format(format)})
		}
	}
	return append(all, chartdraw.Tick{Value: chartdraw.TimeToFloat64(to)})
}

// shares are the ticks from nothing to top.
func shares(top float64) (all []chartdraw.Tick) {
	for i := range 6 {
		share := top * float64(i) / 5
		all = append(all, chartdraw.Tick{Value: share, Label: fmt.Sprintf("%g %%", math.Round(share*1e5)/1e3)})
	}
	return all
}

// legend says which line is which, above the picture.
func (r *Report) legend(w language) chartdraw.Renderable {
	return func(to chartdraw.Renderer, box chartdraw.Box, defaults chartdraw.Style) {
		at := box.Left
		for _, l := range []struct {
			name  string
			style chartdraw.Style
		}{
			{w.say("arm_new", r.Release.To), chartdraw.Style{StrokeColor: dark, StrokeWidth: 3}},
			{w.say("arm_old", r.Release.From), chartdraw.Style{StrokeColor: light, StrokeWidth: 2, StrokeDashArray: []float64{7, 4}}},
		} {
			if l.name == "" {
				continue
			}
			l.style.GetStrokeOptions().WriteDrawingOptionsToRenderer(to)
			to.MoveTo(at, 14)
			to.LineTo(at+34, 14)
			to.Stroke()
			chartdraw.Style{FontStyle: chartdraw.FontStyle{FontSize: 9, FontColor: ink, Font: defaults.Font}}.WriteToRenderer(to)
			to.Text(l.name, at+42, 18)
			at += 330
		}
	}
}

// moments draws the vertical lines, and then their names: what comes at the same time has one line. Names stand below each
// other, since moments may be close to each other, and those of the right end to the left of their line.
func (r *Report) moments(w language, marks []mark, x chartdraw.Range) chartdraw.Renderable {
	return func(to chartdraw.Renderer, box chartdraw.Box, defaults chartdraw.Style) {
		var names []string
		var places []int
		for _, m := range marks {
			share := (chartdraw.TimeToFloat64(m.at) - x.GetMin()) / x.GetDelta()
			at, name := box.Left+int(math.Round(share*float64(box.Width()))), w.say("moment_"+m.name)
			if n := len(places); n > 0 && places[n-1] == at {
				names[n-1] += w.say("comma") + name
				continue
			}
			names, places = append(names, name), append(places, at)
			chartdraw.Style{StrokeColor: ink, StrokeWidth: 1, StrokeDashArray: []float64{2, 2}}.WriteDrawingOptionsToRenderer(to)
			to.MoveTo(at, box.Top)
			to.LineTo(at, box.Bottom)
			to.Stroke()
		}
		for i, name := range names {
			left, wide, top := places[i]+4, width(name), box.Top+4+15*i
			if places[i] > box.Left+box.Width()*6/10 {
				left = places[i] - wide - 6
			}
			chartdraw.Style{FillColor: drawing.ColorWhite}.WriteDrawingOptionsToRenderer(to)
			to.MoveTo(left-1, top)
			to.LineTo(left+wide, top)
			to.LineTo(left+wide, top+13)
			to.LineTo(left-1, top+13)
			to.Close()
			to.Fill()
			chartdraw.Style{FontStyle: chartdraw.FontStyle{FontSize: 8, FontColor: ink, Font: defaults.Font}}.WriteToRenderer(to)
			to.Text(name, left, top+10)
		}
	}
}

// width is about how wide a name is drawn: the letters of Chinese are as wide as they are high.
func width(text string) (pixels int) {
	for _, r := range text {
		if r > 0x2e80 {
			pixels += 11
			continue
		}
		pixels += 6
	}
	return pixels
}

// highest says the highest share of some lines.
func highest(w language, lines [][]dot) string {
	most := -1.
	for _, line := range lines {
		for _, d := range line {
			most = max(most, d.share)
		}
	}
	if most < 0 {
		return w.say("unknown")
	}
	return percent(most)
}

func (r *Report) markWords(w language, marks []mark) string {
	var words []string
	for _, m := range marks {
		words = append(words, w.say("moment_"+m.name)+" "+r.clock(m.at))
	}
	return strings.Join(words, w.say("comma"))
}
