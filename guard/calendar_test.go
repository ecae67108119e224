package guard_test

import (
	"encoding/json"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

func TestWindowText(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"24x7", "24x7"},
		{"Mon-Thu 09:00-16:00 Asia/Shanghai", "Mon-Thu 09:00-16:00 Asia/Shanghai"},
		{"Mon,Tue,Wed 09:00-16:00 UTC", "Mon-Wed 09:00-16:00 UTC"},
		{"Fri-Mon 22:00-02:00 America/Argentina/Ushuaia", "Mon,Fri-Sun 22:00-02:00 America/Argentina/Ushuaia"},
		{"Sun,Wed 00:00-24:00 UTC", "Wed,Sun 00:00-24:00 UTC"},
		{"Mon-Sun 00:00-24:00 UTC", "24x7"},
		{"Mon-Sun 00:00-24:00 Europe/London", "Mon-Sun 00:00-24:00 Europe/London"},
	} {
		t.Run(test.text, func(t *testing.T) {
			w, err := guard.ParseWindow(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := w.String(); got != test.want {
				t.Errorf("String() = %q, want %q", got, test.want)
			}
			text, err := json.Marshal(w)
			var far guard.Window
			if err := json.Unmarshal(text, &far); err != nil || far != w {
				t.Errorf("%s came back as %v, error %v", text, far, err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWindowPeriods looks at the clocks' worst days. Times are UTC, so that what is wanted says itself what a
// clock on the wall would show.
func TestWindowPeriods(t *testing.T) {
	for _, test := range []struct {
		name, window, from, to string
		want                   []string
	}{
		{"an hour of a day", "Tue 09:00-16:00 Asia/Shanghai", "2026-11-24T02:00Z", "2026-11-24T03:00Z", []string{"2026-11-24T01:00Z/2026-11-24T08:00Z"}},
		{"ends where it begins to count", "Tue 09:00-16:00 UTC", "2026-11-24T16:00Z", "2026-11-25T00:00Z", nil},
		{"begins where it ends to count", "Tue 09:00-16:00 UTC", "2026-11-24T08:00Z", "2026-11-24T09:00Z", nil},
		{"not that day", "Mon,Wed 09:00-16:00 UTC", "2026-11-24T00:00Z", "2026-11-24T23:00Z", nil},
		{"the day is that of the zone", "Wed 08:00-12:00 Pacific/Auckland", "2026-11-24T00:00Z", "2026-11-25T00:00Z", []string{"2026-11-24T19:00Z/2026-11-24T23:00Z"}},
		{"since yesterday", "Mon 22:00-02:00 UTC", "2026-11-24T01:00Z", "2026-11-24T03:00Z", []string{"2026-11-23T22:00Z/2026-11-24T02:00Z"}},
		{"a week", "Sat-Sun 10:00-11:00 UTC", "2026-11-23T00:00Z", "2026-11-30T00:00Z", []string{"2026-11-28T10:00Z/2026-11-28T11:00Z", "2026-11-29T10:00Z/2026-11-29T11:00Z"}},
		{"a leap day", "Tue 09:00-10:00 UTC", "2028-02-29T00:00Z", "2028-03-01T00:00Z", []string{"2028-02-29T09:00Z/2028-02-29T10:00Z"}},
		{"overnight from a leap day", "Tue 23:00-01:00 UTC", "2028-03-01T00:30Z", "2028-03-01T00:40Z", []string{"2028-02-29T23:00Z/2028-03-01T01:00Z"}},
		{"no leap day", "Sun 23:00-01:00 UTC", "2027-03-01T00:30Z", "2027-03-01T00:40Z", []string{"2027-02-28T23:00Z/2027-03-01T01:00Z"}},

		{"before clocks go forward", "Sat-Sun 09:00-10:00 Europe/Berlin", "2027-03-27T00:00Z", "2027-03-29T00:00Z", []string{"2027-03-27T08:00Z/2027-03-27T09:00Z", "2027-03-28T07:00Z/2027-03-28T08:00Z"}},
		{"begins in the hour that is not there", "Sun 02:30-05:00 Europe/Berlin", "2027-03-28T00:00Z", "2027-03-28T12:00Z", []string{"2027-03-28T01:00Z/2027-03-28T03:00Z"}},
		{"ends in the hour that is not there", "Sun 00:00-02:30 Europe/Berlin", "2027-03-28T00:00Z", "2027-03-28T12:00Z", []string{"2027-03-27T23:00Z/2027-03-28T01:00Z"}},
		{"is the hour that is not there", "Sun 02:00-03:00 Europe/Berlin", "2027-03-28T00:00Z", "2027-03-28T12:00Z", nil},
		{"begins in the hour that comes twice", "Sun 02:30-05:00 Europe/Berlin", "2027-10-31T00:00Z", "2027-10-31T12:00Z", []string{"2027-10-31T00:30Z/2027-10-31T04:00Z"}},
		{"ends in the hour that comes twice", "Sun 00:00-02:30 Europe/Berlin", "2027-10-31T00:00Z", "2027-10-31T12:00Z", []string{"2027-10-30T22:00Z/2027-10-31T00:30Z"}},
		{"the day of 25 hours", "Sun 00:00-24:00 Europe/Berlin", "2027-10-31T12:00Z", "2027-10-31T13:00Z", []string{"2027-10-30T22:00Z/2027-10-31T23:00Z"}},
		{"forward in New York", "Sun 02:30-04:00 America/New_York", "2027-03-14T00:00Z", "2027-03-14T12:00Z", []string{"2027-03-14T07:00Z/2027-03-14T08:00Z"}},
		{"twice in New York", "Sun 01:30-04:00 America/New_York", "2027-11-07T00:00Z", "2027-11-07T12:00Z", []string{"2027-11-07T05:30Z/2027-11-07T09:00Z"}},
		{"half an hour forward on Lord Howe", "Sun 02:10-03:00 Australia/Lord_Howe", "2026-10-03T12:00Z", "2026-10-04T00:00Z", []string{"2026-10-03T15:30Z/2026-10-03T16:00Z"}},
		{"half an hour twice on Lord Howe", "Sun 01:40-03:00 Australia/Lord_Howe", "2027-04-03T12:00Z", "2027-04-04T00:00Z", []string{"2027-04-03T14:40Z/2027-04-03T16:30Z"}},
		{"the day that Samoa left out", "Fri 09:00-17:00 Pacific/Apia", "2011-12-29T12:00Z", "2011-12-31T12:00Z", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, err := guard.ParseWindow(test.window)
			if err != nil {
				t.Fatal(err)
			}
			in, err := time.LoadLocation(w.Zone)
			if err != nil {
				t.Fatal(err)
			}
			got := w.Periods(in, guard.Period{From: at(test.from), To: at(test.to)})
			if diff := cmp.Diff(test.want, written(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestWindowsMeet has two turns of a night that follow each other on every clock of the world, whatever is done
// to the clocks while they meet: no moment belongs to both or to none.
func TestWindowsMeet(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "UTC"} {
		in, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		year := guard.Period{From: at("2027-01-01T00:00Z"), To: at("2028-03-02T00:00Z")}
		for minute := 0; minute < 24*60; minute += 30 {
			early := guard.Window{Days: [7]bool{true, true, true, true, true, true, true}, From: (minute + 12*60) % (24 * 60), To: minute, Zone: zone}
			late := guard.Window{Days: early.Days, From: early.To, To: early.From, Zone: zone}
			turns := append(early.Periods(in, year), late.Periods(in, year)...)
			if gaps := year.Without(turns); gaps != nil {
				t.Fatalf("%s at minute %d: gaps %v", zone, minute, written(gaps))
			}
			var sum time.Duration
			for _, turn := range turns {
				sum += turn.To.Sub(turn.From)
			}
			whole := guard.Join(turns)
			if len(whole) != 1 || whole[0].To.Sub(whole[0].From) != sum {
				t.Fatalf("%s at minute %d: %v overlap", zone, minute, written(whole))
			}
		}
	}
}

func TestFreezePeriod(t *testing.T) {
	for _, test := range []struct{ name, from, to, zone, want string }{
		{"a day", "2026-12-24", "2026-12-24", "UTC", "2026-12-24T00:00Z/2026-12-25T00:00Z"},
		{"over New Year, in Shanghai", "2026-12-20", "2027-01-03", "Asia/Shanghai", "2026-12-19T16:00Z/2027-01-03T16:00Z"},
		{"until a leap day", "2028-02-28", "2028-02-29", "UTC", "2028-02-28T00:00Z/2028-03-01T00:00Z"},
		{"a day of 23 hours", "2027-03-28", "2027-03-28", "Europe/Berlin", "2027-03-27T23:00Z/2027-03-28T22:00Z"},
		{"a day without midnight", "2027-09-05", "2027-09-05", "America/Santiago", "2027-09-05T04:00Z/2027-09-06T03:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, err := time.LoadLocation(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			from, err := guard.ParseDate(test.from)
			if err != nil {
				t.Fatal(err)
			}
			to, err := guard.ParseDate(test.to)
			if err != nil {
				t.Fatal(err)
			}
			got := guard.Freeze{From: from, To: to}.Period(in)
			if diff := cmp.Diff([]string{test.want}, written([]guard.Period{got})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWithout(t *testing.T) {
	hours := func(pairs ...int) (all []guard.Period) {
		for i := 0; i < len(pairs); i += 2 {
			hour := func(n int) time.Time { return at("2026-11-24T00:00Z").Add(time.Duration(n) * time.Hour) }
			all = append(all, guard.Period{From: hour(pairs[i]), To: hour(pairs[i+1])})
		}
		return all
	}
	day := hours(8, 16)[0]
	for _, test := range []struct {
		name         string
		others, want []guard.Period
	}{
		{"nothing", nil, hours(8, 16)},
		{"all", hours(8, 16), nil},
		{"more than all", hours(0, 23), nil},
		{"the beginning", hours(7, 9), hours(9, 16)},
		{"the end", hours(15, 17), hours(8, 15)},
		{"the middle", hours(10, 12), hours(8, 10, 12, 16)},
		{"two that touch, in disorder", hours(12, 16, 8, 12), nil},
		{"one within another", hours(8, 14, 9, 10), hours(14, 16)},
		{"what lies outside", hours(0, 8, 16, 20), hours(8, 16)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(written(test.want), written(day.Without(test.others))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPeriodHas(t *testing.T) {
	p := guard.Period{From: at("2026-11-24T09:00Z"), To: at("2026-11-24T10:00Z")}
	for moment, want := range map[string]bool{
		"2026-11-24T08:59Z": false, "2026-11-24T09:00Z": true, "2026-11-24T09:59Z": true, "2026-11-24T10:00Z": false,
	} {
		if got := p.Has(at(moment)); got != want {
			t.Errorf("Has(%s) = %t", moment, got)
		}
	}
}

func TestTakes(t *testing.T) {
	least, most := parse(t, readPlan(t, "full")).Rollout.Takes()
	// at_least: 2m and three times 1m; at_most: 30m and three times 20m; bake 1h
	if least != 65*time.Minute || most != 150*time.Minute {
		t.Errorf("Takes() = %s to %s, want 1h5m to 2h30m", least, most)
	}
}

// at is a moment, written shortly.
func at(text string) time.Time {
	t, err := time.Parse("2006-01-02T15:04Z", text)
	if err != nil {
		panic(err)
	}
	return t
}

func written(periods []guard.Period) (all []string) {
	for _, p := range periods {
		all = append(all, p.From.Format("2006-01-02T15:04Z")+"/"+p.To.Format("2006-01-02T15:04Z"))
	}
	return all
}
