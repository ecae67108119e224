package guard

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Calendar says when a launch may be.
type Calendar struct {
	Allowed []Window `json:"allowed,omitempty"` // a launch has to fit into one; [24x7] for a service that may launch at any time
	Freezes []Freeze `json:"freezes,omitempty"` // no launch may run into one
}

// A Freeze is a run of days on which nothing is launched.
type Freeze struct {
	From   Date   `json:"from"`            // the first day
	To     Date   `json:"to"`              // the last day; it is frozen too
	TZ     string `json:"tz,omitempty"`    // where these days begin and end; default UTC
	Reason string `json:"reason"`          // why, for whoever is stopped by it
	Owner  string `json:"owner,omitempty"` // who may lift it
}

// WindowPattern is a regular expression for how a Window is written.
const WindowPattern = `^(24x7|(` + daysPattern + `) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2}) (` + zonePattern + `))$`

const (
	dayPattern  = `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)`
	daysPattern = dayPattern + `(?:-` + dayPattern + `)?(?:,` + dayPattern + `(?:-` + dayPattern + `)?)*`
	zonePattern = `UTC|[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z0-9_+-]+){1,2}`
)

var windowShape = regexp.MustCompile(WindowPattern)

// A Window is a time of day on some days of each week, by the clocks of a time zone. It is written
// "Mon-Thu 09:00-16:00 Asia/Shanghai"; one that ends at or before its beginning ends on the next day, and 24x7
// is always.
type Window struct {
	Days     [7]bool // on which it begins, from Sunday as time.Weekday counts
	From, To int     // minutes since midnight by the clock; 24:00 is 1440
	Zone     string  // an IANA name
}

// always is what 24x7 means.
var always = Window{[7]bool{true, true, true, true, true, true, true}, 0, 24 * 60, "UTC"}

var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// ParseWindow reads what Window.String writes.
func ParseWindow(s string) (Window, error) {
	if s == "24x7" {
		return always, nil
	}
	wrong := fmt.Errorf("%q is not a weekly time (try 24x7, or Mon-Thu 09:00-16:00 Asia/Shanghai)", s)
	part := windowShape.FindStringSubmatch(s)
	if part == nil {
		return Window{}, wrong
	}
	w := Window{Zone: part[7]}
	for days := range strings.SplitSeq(part[2], ",") {
		first, last, several := strings.Cut(days, "-")
		if !several {
			last = first
		}
		day, end := slices.Index(weekdays, first), slices.Index(weekdays, last)
		for w.Days[day] = true; day != end; w.Days[day] = true {
			day = (day + 1) % 7
		}
	}
	var ok, also bool
	w.From, ok = minuteOf(part[3], part[4])
	w.To, also = minuteOf(part[5], part[6])
	if !ok || !also || w.From == w.To || w.From == 24*60 {
		return Window{}, wrong
	}
	return w, nil
}

// minuteOf is a time of day, up to 24:00, in minutes.
func minuteOf(hours, minutes string) (int, bool) {
	h, err := strconv.Atoi(hours)
	m, wrong := strconv.Atoi(minutes)
	return 60*h + m, err == nil && wrong == nil && m < 60 && 60*h+m <= 24*60
}

// String is the shortest way to write the window.
func (w Window) String() string {
	switch w {
	case Window{}:
		return ""
	case always:
		return "24x7"
	}
	var days []string
	on := func(i int) bool { return i < 7 && w.Days[(i+1)%7] } // from Monday, as people count
	for i := 0; i < 7; i++ {
		if !on(i) {
			continue
		}
		first := i
		for on(i + 1) {
			i++
		}
		days = append(days, weekdays[(first+1)%7])
		if i > first {
			days[len(days)-1] += "-" + weekdays[(i+1)%7]
		}
	}
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d %s", strings.Join(days, ","), w.From/60, w.From%60, w.To/60, w.To%60, w.Zone)
}

func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

func (w *Window) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWindow(string(text))
	return err
}

// Periods are the times of the window that have to do with a period, in order, whole, in the zone it names, which
// the caller looks up. Where clocks are put forward over its beginning or end, the moment of that is taken; where
// they are put back and show a time twice, the first.
func (w Window) Periods(in *time.Location, during Period) (all []Period) {
	year, month, day := during.From.In(in).Date()
	overnight := 0
	if w.To <= w.From {
		overnight = 1
	}
	for day--; ; day++ { // what began yesterday may last until now
		p := Period{wall(year, month, day, w.From, in), wall(year, month, day+overnight, w.To, in)}
		if !p.From.Before(during.To) {
			return all
		}
		weekday := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday()
		if w.Days[weekday] && p.From.Before(p.To) && p.To.After(during.From) {
			all = append(all, p)
		}
	}
}

// Period is the time of the freeze, in the zone it names, which the caller looks up.
func (f Freeze) Period(in *time.Location) Period {
	day := func(d Date, after int) time.Time { return wall(d.Year(), d.Month(), d.Day()+after, 0, in) }
	return Period{day(f.From, 0), day(f.To, 1)}
}

// wall is the first moment at which clocks in a place show a time of day, or have gone past it.
func wall(year int, month time.Month, day, minute int, in *time.Location) time.Time {
	shown := time.Date(year, month, day, 0, minute, 0, 0, time.UTC)
	t := time.Date(year, month, day, 0, minute, 0, 0, in)
	began, ends := t.ZoneBounds()
	_, offset := t.Zone()
	switch off := t.Add(time.Duration(offset) * time.Second).Compare(shown); {
	case off > 0: // no clock shows it, and Go went on by the clocks from before
		return began.UTC()
	case off < 0: // the same, and Go went back by the clocks from after
		return ends.UTC()
	case !began.IsZero():
		_, before := began.Add(-time.Second).Zone()
		if first := shown.Add(-time.Duration(before) * time.Second); first.Before(began) {
			return first.UTC()
		}
	}
	return t.UTC()
}

// A Period lasts from a moment until just before another.
type Period struct{ From, To time.Time }

// Has says whether a moment belongs to the period.
func (p Period) Has(t time.Time) bool { return !t.Before(p.From) && t.Before(p.To) }

// Join puts periods in order, and makes one of those that touch.
func Join(periods []Period) (joined []Period) {
	for _, p := range slices.SortedFunc(slices.Values(periods), func(a, b Period) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To))
	}) {
		if last := len(joined) - 1; last >= 0 && !p.From.After(joined[last].To) {
			if p.To.After(joined[last].To) {
				joined[last].To = p.To
			}
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

// Without is what is left of the period after others are taken from it, in order.
func (p Period) Without(others []Period) (gaps []Period) {
	at := p.From
	for _, o := range Join(others) {
		if from := earlier(o.From, p.To); at.Before(from) {
			gaps = append(gaps, Period{at, from})
		}
		if o.To.After(at) {
			at = o.To
		}
	}
	if at.Before(p.To) {
		gaps = append(gaps, Period{at, p.To})
	}
	return gaps
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Takes is how long a launch is expected to take from its first step to the end of its bake: at least, when the
// evidence suffices at once, and at most, when no step is decided before its time is over.
func (r Rollout) Takes() (least, most time.Duration) {
	for _, s := range r.Steps {
		least += s.AtLeast.Std()
		most += s.AtMost.Std()
	}
	return least + r.Bake.For.Std(), most + r.Bake.For.Std()
}
