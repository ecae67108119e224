package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // not every machine knows the time zones of the world

	"github.com/golive-dev/golive/guard"
)

// zone looks up a time zone; without a name it is UTC.
func zone(name string) (*time.Location, error) {
	in, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %q", brief(name))
	}
	return in, nil
}

// zoneRemedy mends a name that is none.
const zoneRemedy = "write the name of a time zone as IANA spells it, such as Asia/Shanghai, in "

// zonesOf are those in which some people live, in order, and UTC at last; names that are none are left out.
func zonesOf(people []guard.Person) (zones []*time.Location) {
	var names []string
	for _, p := range people {
		names = append(names, p.TZ)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if in, err := zone(name); err == nil && in != time.UTC {
			zones = append(zones, in)
		}
	}
	return append(zones, time.UTC)
}

const (
	moment  = "Mon 2006-01-02 15:04 MST"
	sameDay = "15:04 MST"
)

// clocks says what clocks in several places show from the beginning to the end of a period.
func clocks(p guard.Period, zones []*time.Location) string {
	var all []string
	for _, in := range zones {
		from, to := p.From.In(in), p.To.In(in)
		end := to.Format(moment)
		if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
			end = to.Format(sameDay)
		}
		text := from.Format(moment) + " to " + end
		if in != time.UTC {
			text += " in " + in.String()
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// launch is the time that a launch takes which begins now: at least, and at most.
func launch(s guard.Scene) (least, most guard.Period) {
	quick, slow := s.Plan.Rollout.Takes()
	return guard.Period{From: s.Now, To: s.Now.Add(quick)}, guard.Period{From: s.Now, To: s.Now.Add(slow)}
}

// age is how many whole days have gone by since a day that the plan names. It is today for as long as it is
// today anywhere in the world; a day later than that is yet to come.
func age(s guard.Scene, day guard.Date) (days int, err error) {
	const aheadOfUTC = 14 * time.Hour
	if day.After(s.Now.Add(aheadOfUTC + skew)) {
		return 0, fmt.Errorf("clock skew: %s is yet to come", day)
	}
	return max(0, int(s.Now.Sub(day.Time)/(24*time.Hour))), nil
}

// fresh is the finding about a day on which somebody looked at a part of the plan. At most days it may be ago;
// from soft days on there is a warning.
func fresh(s guard.Scene, path string, day guard.Date, soft, most int) guard.Finding {
	today := s.Now.UTC().Format(time.DateOnly)
	f := guard.Finding{Expected: fmt.Sprintf("at most %s ago", count(soft, "day"))}
	f.Remedy = fmt.Sprintf("go through it, mend what is wrong, then write %s in %s", today, place(s.Plan, path))
	if day.IsZero() {
		f.Verdict, f.Observed = guard.Fail, "no day"
		f.Reason = "not configured: the plan does not say when somebody last went through it"
		return f
	}
	days, err := age(s, day)
	f.Observed = fmt.Sprintf("%s, %s ago", day, count(days, "day"))
	switch {
	case err != nil:
		f.Observed = day.String()
		return unknown(f, err, "set the clock of this machine, or the day in "+place(s.Plan, path))
	case days > most:
		f.Verdict = guard.Fail
		f.Reason = fmt.Sprintf("nobody has looked at it for %s", count(days, "day"))
	case days > soft:
		f.Verdict = guard.Warn
		f.Reason = fmt.Sprintf("nobody has looked at it for %s; it will fail in %s", count(days, "day"), count(most-days+1, "day"))
	default:
		f.Verdict, f.Remedy = guard.Pass, ""
	}
	return f
}
