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
	var taken []box
	for _, d := range dots {
		taken = append(taken, box{x(d.Alarms) - 8, y(d.Harm) - 8, 16, 16})
	}
	for _, d := range dots {
		colour, weight, radius := "#8a8f98", "400", 5.
		if d.Name == "golive" {
			colour, weight, radius = "#0a7d33", "700", 7
		}
		l := place(x(d.Alarms), y(d.Harm), 6.6*float64(len(d.Name)), taken)
		taken = append(taken, l)
		if middle := l.y + l.height/2; math.Abs(middle-y(d.Harm)) > l.height {
			fmt.Fprintf(&b, `<path d="M%.1f %.1f L%.1f %.1f" stroke="#bbb"/>`+"\n", x(d.Alarms), y(d.Harm), l.nearest(x(d.Alarms)), middle)
		}
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/><text x="%.1f" y="%.1f" font-weight="%s">%s</text>`+"\n",
			x(d.Alarms), y(d.Harm), radius, colour, l.x, l.y+11, weight, html.EscapeString(d.Name))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(to, b.String())
	return err
}

// A box is a part of the picture that something covers.
type box struct{ x, y, width, height float64 }

func (b box) meets(o box) bool {
	return b.x < o.x+o.width && o.x < b.x+b.width && b.y < o.y+o.height && o.y < b.y+b.height
}

// nearest is the end of the box that is nearer to x.
func (b box) nearest(x float64) float64 {
	if x < b.x+b.width/2 {
		return b.x
	}
	return b.x + b.width
}

// place finds room for the label of a dot: beside it, and else as near as it can.
func place(x, y, wide float64, taken []box) box {
	for away := 0.; ; away += 2 {
		for _, l := range []box{
			{x + 11, y - 7 - away, wide, 14}, {x - 11 - wide, y - 7 - away, wide, 14},
			{x + 11, y - 7 + away, wide, 14}, {x - 11 - wide, y - 7 + away, wide, 14},
		} {
			if l.x > left && l.x+l.width < width && (away > height || !slices.ContainsFunc(taken, l.meets)) {
				return l
			}
		}
	}
}
