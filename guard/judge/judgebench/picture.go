package judgebench

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// The picture, in pixels.
const (
	width, height           = 760., 470.
	left, right, top, under = 70., 30., 46., 62.
)

// Picture draws harm against false alarms, one dot per rule: the nearer to the lower left corner, the better.
// Both axes are roots, so that small differences near zero can be seen.
func (r *Results) Picture(to io.Writer) error {
	most := Dot{Alarms: .01, Harm: .01}
	for _, d := range r.Dots {
		most.Alarms, most.Harm = max(most.Alarms, d.Alarms), max(most.Harm, d.Harm)
	}
	x := func(v float64) float64 { return left + (width-left-right)*math.Sqrt(v/most.Alarms/1.15) }
	y := func(v float64) float64 { return height - under - (height-top-under)*math.Sqrt(v/most.Harm/1.1) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="system-ui, sans-serif" font-size="12" fill="#333">
<title>Harm against false alarms, one dot per rule</title>
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="%g" y="24" font-size="15" font-weight="600">What a release rule costs: harm let through against false alarms</text>
`, width, height, left)
	for _, v := range []float64{0, .01, .05, .1, .2, .4, .6, .8} {
		if v <= most.Alarms*1.15 {
			fmt.Fprintf(&b, `<path d="M%.1f %g V%g" stroke="#ddd"/><text x="%.1f" y="%g" text-anchor="middle">%g %%</text>`+"\n",
				x(v), top, height-under, x(v), height-under+18, 100*v)
		}
		if v <= most.Harm*1.1 {
			fmt.Fprintf(&b, `<path d="M%g %.1f H%g" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%g %%</text>`+"\n",
				left, y(v), width-right, left-8, y(v)+4, 100*v)
		}
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">harmless releases taken back within an hour</text>
<text transform="translate(18 %g) rotate(-90)" text-anchor="middle">harm done, of what bad releases could do</text>
`, (left+width-right)/2, height-18, (top+height-under)/2)
	dots := slices.Clone(r.Dots)
	slices.SortStableFunc(dots, func(a, b Dot) int { return cmp.Compare(y(a.Harm), y(b.Harm)) })
	var labels []label
	for _, d := range dots {
		colour, weight, radius := "#8a8f98", "400", 5.
		if d.Name == "golive" {
			colour, weight, radius = "#0a7d33", "700", 7
		}
		l := label{x(d.Alarms) + 10, y(d.Harm) + 4, 6.3 * float64(len(d.Name))}
		if l.x+l.width > width {
			l.x = x(d.Alarms) - 10 - l.width
		}
		for slices.ContainsFunc(labels, l.hides) {
			l.y++
		}
		labels = append(labels, l)
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/><text x="%.1f" y="%.1f" font-weight="%s">%s</text>`+"\n",
			x(d.Alarms), y(d.Harm), radius, colour, l.x, l.y, weight, html.EscapeString(d.Name))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(to, b.String())
	return err
}

// A label is a line of text in the picture, from x on and above y.
type label struct{ x, y, width float64 }

func (l label) hides(o label) bool {
	return l.x < o.x+o.width && o.x < l.x+l.width && math.Abs(l.y-o.y) < 13
}
