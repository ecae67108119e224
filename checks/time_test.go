package checks

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

// at is a scene at another time.
func at(s guard.Scene, now string) guard.Scene {
	s.Now = instant(now)
	return s
}

func instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// Every plan here has a launch of 31 to 50 minutes: two steps of 30 s to 10 min, and a bake of 30 min.

func TestWindowAllowed(t *testing.T) {
	calendar := func(now, chapter string) guard.Scene {
		return at(scene(t, "\ncalendar:\n  "+chapter, guard.Answer{}), now)
	}
	shanghai := func(now string) guard.Scene {
		return calendar(now, `allowed: ["Mon-Thu 09:00-16:00 Asia/Shanghai"]`)
	}
	frozen := func(now string) guard.Scene {
		return calendar(now, "allowed: [24x7]\n  freezes: [{from: 2026-12-20, to: 2027-01-03, tz: Asia/Shanghai, reason: year-end closing, owner: Wang Fang}, {from: 2026-01-01, to: 2026-01-02, reason: it is over}]")
	}
	clear := guard.Finding{Verdict: guard.Pass, Subject: "freezes"}
	open := guard.Finding{Verdict: guard.Pass}
	const next = "wait until Wed 2026-11-25 09:00 CST, or change calendar.allowed"
	checktest.Run(t, windowAllowed, []checktest.Case{
		{Name: "nothing is allowed", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "not configured: the plan does not say when a launch is allowed",
			Remedy: `write [24x7], or times such as ["Mon-Thu 09:00-16:00 Asia/Shanghai"], in calendar.allowed`,
		}, clear}},
		{Name: "at any time", Scene: calendar("2026-11-24T03:00:00Z", "allowed: [24x7]"), Want: []guard.Finding{open, {Verdict: guard.Pass, Subject: "freezes", Observed: "none is planned"}}},
		{Name: "as soon as it opens", Scene: shanghai("2026-11-24T01:00:00Z"), Want: []guard.Finding{
			{Verdict: guard.Pass, Observed: "a launch takes 31m to 50m, and at Tue 2026-11-24 16:00 CST the allowed time is over"}, clear}},
		{Name: "a second too early", Scene: shanghai("2026-11-24T00:59:59Z"), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "no launch is allowed now", Observed: "none: it is Tue 2026-11-24 08:59 CST", Remedy: "wait until Tue 2026-11-24 09:00 CST, or change calendar.allowed",
		}, clear}},
		{Name: "just in time", Scene: shanghai("2026-11-24T07:10:00Z"), Want: []guard.Finding{open, clear}},
		{Name: "a second late for a long launch", Scene: shanghai("2026-11-24T07:10:01Z"), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "a launch that needs all its time is not over at Tue 2026-11-24 16:00 CST, when the allowed time is over", Remedy: next,
		}, clear}},
		{Name: "just in time for a short launch", Scene: shanghai("2026-11-24T07:29:00Z"), Want: []guard.Finding{{Verdict: guard.Warn}, clear}},
		{Name: "a second late for any launch", Scene: shanghai("2026-11-24T07:29:01Z"), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "even the shortest launch is not over at Tue 2026-11-24 16:00 CST, when the allowed time is over", Remedy: next,
		}, clear}},
		{Name: "over", Scene: shanghai("2026-11-24T08:00:00Z"), Want: []guard.Finding{{Verdict: guard.Fail, Reason: "no launch is allowed now", Remedy: next}, clear}},
		{Name: "the weekend", Scene: shanghai("2026-11-27T03:00:00Z"), Want: []guard.Finding{{Verdict: guard.Fail, Remedy: "wait until Mon 2026-11-30 09:00 CST, or change calendar.allowed"}, clear}},
		{Name: "two that touch", Scene: calendar("2026-11-24T07:59:00Z", `allowed: ["Tue 07:00-08:00 UTC", "Tue 16:00-17:00 Asia/Shanghai"]`), Want: []guard.Finding{open, clear}},
		{Name: "two that overlap in summer, and not in winter", Scene: calendar("2026-11-24T11:30:00Z", `allowed: ["Mon-Fri 09:00-12:00 UTC", "Mon-Fri 14:00-18:00 Europe/Berlin"]`),
			Want: []guard.Finding{{Verdict: guard.Fail, Observed: "a launch takes 31m to 50m, and at Tue 2026-11-24 12:00 UTC the allowed time is over"}, clear}},
		{Name: "and in summer", Scene: calendar("2026-06-23T11:30:00Z", `allowed: ["Mon-Fri 09:00-12:00 UTC", "Mon-Fri 14:00-18:00 Europe/Berlin"]`), Want: []guard.Finding{open, clear}},
		{Name: "the hour that clocks leave out", Scene: calendar("2027-03-28T00:30:00Z", `allowed: ["Sun 00:00-02:30 Europe/Berlin"]`),
			Want: []guard.Finding{{Verdict: guard.Fail, Observed: "a launch takes 31m to 50m, and at Sun 2027-03-28 03:00 CEST the allowed time is over"}, clear}},
		{Name: "the hour that clocks show twice", Scene: calendar("2027-10-31T00:40:00Z", `allowed: ["Sun 00:00-03:00 Europe/Berlin"]`), Want: []guard.Finding{open, clear}},
		{Name: "nowhere", Scene: calendar("2026-11-24T03:00:00Z", `allowed: [24x7, "Mon 00:00-24:00 Europe/Atlantis"]`), Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: `there is no time zone "Europe/Atlantis"`,
			Remedy: "write the name of a time zone as IANA spells it, such as Asia/Shanghai, in calendar.allowed[1]",
		}, clear}},

		{Name: "long before the freeze", Scene: frozen("2026-11-24T03:00:00Z"), Want: []guard.Finding{open, clear}},
		{Name: "just before the freeze", Scene: frozen("2026-12-19T15:10:00Z"), Want: []guard.Finding{open, clear}},
		{Name: "a long launch runs into the freeze", Scene: frozen("2026-12-19T15:10:01Z"), Want: []guard.Finding{open, {
			Verdict: guard.Warn, Subject: "2026-12-20 year-end closing",
			Reason: "a launch that needs all its time is not over at Sun 2026-12-20 00:00 CST, when the freeze for year-end closing begins",
			Remedy: "wait until Mon 2027-01-04 00:00 CST, or ask Wang Fang to lift it in calendar.freezes[0]",
		}}},
		{Name: "any launch runs into the freeze", Scene: frozen("2026-12-19T15:29:01Z"), Want: []guard.Finding{open, {Verdict: guard.Fail, Subject: "2026-12-20 year-end closing"}}},
		{Name: "the freeze begins", Scene: frozen("2026-12-19T16:00:00Z"), Want: []guard.Finding{open, {
			Verdict: guard.Fail, Subject: "2026-12-20 year-end closing", Reason: "the freeze for year-end closing is on",
			Observed: "frozen Sun 2026-12-20 00:00 CST to Mon 2027-01-04 00:00 CST in Asia/Shanghai",
		}}},
		{Name: "its last second", Scene: frozen("2027-01-03T15:59:59Z"), Want: []guard.Finding{open, {Verdict: guard.Fail, Subject: "2026-12-20 year-end closing"}}},
		{Name: "it is over", Scene: frozen("2027-01-03T16:00:00Z"), Want: []guard.Finding{open, {Verdict: guard.Pass, Subject: "freezes", Observed: "none is planned"}}},
		{Name: "each of several", Scene: calendar("2026-12-24T12:00:00Z", "allowed: [24x7]\n  freezes: [{from: 2027-02-01, to: 2027-02-02, reason: a}, {from: 2026-12-24, to: 2026-12-24, reason: b}, {from: 2026-12-23, to: 2026-12-24, reason: c}]"),
			Want: []guard.Finding{open, {Verdict: guard.Fail, Subject: "2026-12-24 b", Reason: "the freeze for b is on"}, {Verdict: guard.Fail, Subject: "2026-12-23 c"}}},
		{Name: "a freeze nowhere", Scene: calendar("2026-12-24T12:00:00Z", "allowed: [24x7]\n  freezes: [{from: 2027-02-01, to: 2027-02-02, tz: Mars/Olympus, reason: a}]"),
			Want: []guard.Finding{open, {Verdict: guard.Unknown, Subject: "2027-02-01 a", Reason: `there is no time zone "Mars/Olympus"`}}},
	})
}

// onDuty is a plan that may launch at any time, with these shifts of Ada and of Mei, who is on_duty too.
func onDuty(t *testing.T, now string, shifts ...string) guard.Scene {
	t.Helper()
	return at(scene(t, `
calendar: {allowed: [24x7]}
roster:
  people:
    - {name: Ada Obi, role: on_duty, tz: Europe/Berlin}
    - {name: Mei Lin, role: on_duty, tz: Asia/Shanghai}
    - {name: Wang Fang, role: commander, tz: Asia/Shanghai}
  shifts:
    - `+strings.Join(shifts, "\n    - "), guard.Answer{}), now)
}

func TestHandOver(t *testing.T) {
	fine := guard.Finding{Verdict: guard.Pass, Subject: "hand-over"}
	want := func(f guard.Finding) []guard.Finding {
		f.Subject = "hand-over"
		return []guard.Finding{{Verdict: guard.Pass}, {Verdict: guard.Pass, Subject: "freezes"}, f}
	}
	ada, mei := `{name: Ada Obi, when: "Mon-Fri 06:00-14:00 UTC"}`, `{name: Mei Lin, when: "Mon-Fri 14:00-22:00 UTC"}`
	checktest.Run(t, windowAllowed, []checktest.Case{
		{Name: "80 minutes before", Scene: onDuty(t, "2026-11-24T12:40:00Z", ada, mei), Want: want(guard.Finding{Verdict: guard.Pass, Observed: "one who stays until Tue 2026-11-24 22:00 CST at least"})},
		{Name: "a second later", Scene: onDuty(t, "2026-11-24T12:40:01Z", ada, mei), Want: want(guard.Finding{
			Verdict: guard.Warn, Reason: "a launch that needs all its time is not over at Tue 2026-11-24 21:30 CST, when there are 30m left before the hand-over",
		})},
		{Name: "61 minutes before", Scene: onDuty(t, "2026-11-24T12:59:00Z", ada, mei), Want: want(guard.Finding{Verdict: guard.Warn})},
		{Name: "too late for any launch", Scene: onDuty(t, "2026-11-24T12:59:01Z", ada, mei), Want: want(guard.Finding{Verdict: guard.Fail})},
		{Name: "the next one has begun", Scene: onDuty(t, "2026-11-24T14:00:00Z", ada, mei), Want: want(fine)},
		{Name: "somebody else stays", Scene: onDuty(t, "2026-11-24T13:30:00Z", ada, mei, `{name: Mei Lin, when: "Mon-Fri 12:00-14:00 UTC"}`), Want: want(fine)},
		{Name: "somebody stays who is not on_duty", Scene: onDuty(t, "2026-11-24T13:30:00Z", ada, mei, "{name: Wang Fang, when: 24x7}"), Want: want(guard.Finding{Verdict: guard.Fail})},
		{Name: "nobody is there, which is another check's business", Scene: onDuty(t, "2026-11-24T23:30:00Z", ada, mei), Want: want(fine)[:2]},
		{Name: "shifts nowhere", Scene: onDuty(t, "2026-11-24T12:00:00Z", `{name: Ada Obi, when: "Mon-Fri 06:00-14:00 Europe/Atlantis"}`), Want: want(guard.Finding{
			Verdict: guard.Unknown, Reason: `roster.shifts.list[0]: there is no time zone "Europe/Atlantis"`, Remedy: "mend roster.shifts",
		})},
	})
}

func TestRosterCoverage(t *testing.T) {
	whole := guard.Finding{Verdict: guard.Pass, Subject: "on_duty"}
	gap := func(reason string) []guard.Finding {
		return []guard.Finding{{Verdict: guard.Fail, Subject: "on_duty", Reason: reason}}
	}
	// Written by offset, as if clocks never changed: one ends at two, and the next begins at what was two.
	spring := []string{"{name: Ada Obi, from: 2027-03-27T18:00:00+01:00, to: 2027-03-28T01:30:00+01:00}", "{name: Mei Lin, from: 2027-03-28T04:00:00+02:00, to: 2027-03-28T12:00:00+02:00}"}
	autumn := []string{`{name: Ada Obi, when: "Sat 18:00-02:00 Europe/Berlin"}`, `{name: Mei Lin, when: "Sun 09:00-17:00 Asia/Shanghai"}`}
	checktest.Run(t, rosterCoverage, []checktest.Case{
		{Name: "one who is always there", Scene: onDuty(t, "2026-11-24T03:00:00Z", "{name: Ada Obi, when: 24x7}"), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "on_duty", Observed: "no gap, by 1 shift in the plan", Expected: "shifts from Tue 2026-11-24 03:00 UTC to 03:50 UTC"}}},
		{Name: "two who meet", Scene: onDuty(t, "2026-11-24T13:30:00Z", `{name: Ada Obi, when: "Tue 06:00-14:00 UTC"}`, `{name: Mei Lin, when: "Tue 22:00-23:00 Asia/Shanghai"}`), Want: []guard.Finding{whole}},
		{Name: "until the last second", Scene: onDuty(t, "2026-11-24T13:10:00Z", `{name: Ada Obi, when: "Tue 06:00-14:00 UTC"}`), Want: []guard.Finding{whole}},
		{Name: "all but the last second", Scene: onDuty(t, "2026-11-24T13:10:01Z", `{name: Ada Obi, when: "Tue 06:00-14:00 UTC"}`),
			Want: gap("nobody is there as on_duty for 1s, from Tue 2026-11-24 22:00 CST to 22:00 CST in Asia/Shanghai, Tue 2026-11-24 15:00 CET to 15:00 CET in Europe/Berlin, Tue 2026-11-24 14:00 UTC to 14:00 UTC")},
		{Name: "another's shift", Scene: onDuty(t, "2026-11-24T03:00:00Z", "{name: Wang Fang, when: 24x7}"), Want: []guard.Finding{{Verdict: guard.Fail, Subject: "on_duty"}}},
		{Name: "nobody's shift", Scene: rostered(t, "people: [{name: TODO, role: on_duty}]", "shifts: [{name: TODO, when: 24x7}]"), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "on_duty", Remedy: "write who of the roster is there as on_duty in roster.shifts.list[0].name",
		}}},
		{Name: "clocks go forward, and it was written by offset", Scene: onDuty(t, "2027-03-28T00:10:00Z", spring...),
			Want: gap("nobody is there as on_duty for 30m, from Sun 2027-03-28 08:30 CST to 09:00 CST in Asia/Shanghai, Sun 2027-03-28 01:30 CET to 03:00 CEST in Europe/Berlin, Sun 2027-03-28 00:30 UTC to 01:00 UTC")},
		{Name: "clocks go back, and it was written by clocks of two countries", Scene: onDuty(t, "2027-10-30T23:50:00Z", autumn...),
			Want: gap("nobody is there as on_duty for 40m, from Sun 2027-10-31 08:00 CST to 08:40 CST in Asia/Shanghai, Sun 2027-10-31 02:00 CEST to 02:40 CEST in Europe/Berlin, Sun 2027-10-31 00:00 UTC to 00:40 UTC")},
		{Name: "a week later there is none", Scene: onDuty(t, "2027-11-07T00:30:00Z", autumn...), Want: []guard.Finding{whole}},
		{Name: "no shifts", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "on_duty", Reason: "not configured: the plan does not say who is on duty when",
			Remedy: `write [{name: NAME, when: 24x7}], weekly times such as "Mon-Fri 09:00-17:00 Europe/London", or {file: oncall.ics} in roster.shifts`,
		}}},
		{Name: "no commander of a critical service", Scene: of(onDuty(t, "2026-11-24T03:00:00Z", "{name: Ada Obi, when: 24x7}"), guard.Critical), Want: []guard.Finding{
			whole, {Verdict: guard.Fail, Subject: "commander"}}},
		{Name: "a commander of a critical service", Scene: of(onDuty(t, "2026-11-24T03:00:00Z", "{name: Ada Obi, when: 24x7}", "{name: Wang Fang, when: 24x7}"), guard.Critical), Want: []guard.Finding{
			whole, {Verdict: guard.Pass, Subject: "commander"}}},
	})
}

func TestRosterStaffing(t *testing.T) {
	two := func(shifts ...string) guard.Scene {
		s := onDuty(t, "2026-11-24T13:30:00Z", shifts...)
		s.Plan.Roster.MinOnDuty = 2
		return s
	}
	checktest.Run(t, rosterStaffing, []checktest.Case{
		{Name: "one is enough", Scene: onDuty(t, "2026-11-24T13:30:00Z", "{name: Ada Obi, when: 24x7}"), Want: []guard.Finding{{Verdict: guard.Pass, Expected: "at least 1", Observed: "1, by 1 shift in the plan"}}},
		{Name: "two", Scene: two("{name: Ada Obi, when: 24x7}", "{name: Wang Fang, when: 24x7}"), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "2, by 2 shifts in the plan"}}},
		{Name: "one twice", Scene: two("{name: Ada Obi, when: 24x7}", "{name: Ada Obi, when: 24x7}"), Want: []guard.Finding{{Verdict: guard.Fail}}},
		{Name: "for a while only one", Scene: two("{name: Ada Obi, when: 24x7}", `{name: Mei Lin, when: "Tue 00:00-14:00 UTC"}`, `{name: Wang Fang, when: "Tue 14:10-15:00 UTC"}`), Want: []guard.Finding{{
			Verdict: guard.Fail,
			Reason:  "only 1 on duty from Tue 2026-11-24 22:00 CST to 22:10 CST in Asia/Shanghai, Tue 2026-11-24 15:00 CET to 15:10 CET in Europe/Berlin, Tue 2026-11-24 14:00 UTC to 14:10 UTC",
		}}},
		{Name: "no shifts", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Fail, Observed: "no shifts"}}},
	})
}

func TestRosterTimezones(t *testing.T) {
	people := func(now string, lines ...string) guard.Scene {
		return at(rostered(t, append([]string{"people:"}, lines...)...), now)
	}
	ada, wang := "- {name: Ada Obi, role: deputy, tz: Europe/London}", "- {name: Wang Fang, role: commander, tz: Asia/Shanghai}"
	checktest.Run(t, rosterTimezones, []checktest.Case{
		{Name: "morning and afternoon", Scene: people("2026-11-24T09:00:00Z", ada, wang), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "Europe/London", Observed: "Tue 2026-11-24 09:00 GMT to 09:50 GMT in Europe/London"},
			{Verdict: guard.Pass, Subject: "Asia/Shanghai"}}},
		{Name: "from seven", Scene: people("2026-11-24T07:00:00Z", ada), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "Europe/London"}}},
		{Name: "a second before seven", Scene: people("2026-11-24T06:59:59Z", ada), Want: []guard.Finding{{Verdict: guard.Fail, Subject: "Europe/London"}}},
		{Name: "from seven, in summer", Scene: people("2026-06-23T06:00:00Z", ada), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "Europe/London"}}},
		{Name: "until eleven", Scene: people("2026-11-24T22:10:00Z", ada), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "Europe/London"}}},
		{Name: "longer than that", Scene: people("2026-11-24T22:10:01Z", ada), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "Europe/London",
			Reason: "it is night there, nobody of Ada Obi is on duty all the time, and nobody may be called",
			Remedy: "write on_call: true for somebody there in roster.people, or launch at another hour",
		}}},
		{Name: "on call", Scene: people("2026-11-24T03:00:00Z", "- {name: Ada Obi, role: deputy, tz: Europe/London, on_call: true}"), Want: []guard.Finding{{
			Verdict: guard.Pass, Subject: "Europe/London", Observed: "Tue 2026-11-24 03:00 GMT to 03:50 GMT in Europe/London; somebody is on call"}}},
		{Name: "on duty", Scene: onDuty(t, "2026-11-24T00:00:00Z", "{name: Ada Obi, when: 24x7}"), Want: []guard.Finding{
			{Verdict: guard.Pass, Subject: "Europe/Berlin"}, {Verdict: guard.Pass, Subject: "Asia/Shanghai"}}},
		{Name: "nowhere", Scene: people("2026-11-24T09:00:00Z", "- {name: Ada Obi, role: deputy, tz: Europe/Atlantis}"), Want: []guard.Finding{{
			Verdict: guard.Unknown, Subject: "Europe/Atlantis", Reason: `there is no time zone "Europe/Atlantis"`}}},
		{Name: "unsaid", Scene: people("2026-11-24T09:00:00Z", "- {name: Ada Obi, role: deputy}", wang), Want: []guard.Finding{
			{Verdict: guard.Fail, Observed: "none of Ada Obi"}, {Verdict: guard.Pass, Subject: "Asia/Shanghai"}}},
		{Name: "nobody", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Fail, Observed: "none of anybody"}}},
	})
}

func TestReadRota(t *testing.T) {
	people := []guard.Person{
		{Name: "Ada Obi", Role: "deputy", TZ: "Europe/Berlin", Reach: []guard.Reach{{"email": "ada@shop.test"}}},
		{Name: "Ada Obi", Role: "on_duty", TZ: "Europe/Berlin"},
		{Name: "Mei Lin", Role: "on_duty", TZ: "Asia/Shanghai"},
	}
	const berlin = ";TZID=Europe/Berlin:"
	for _, test := range []struct {
		name, from, to string
		lines          []string
		want           []string
	}{
		{"once", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z",
			[]string{"SUMMARY:Mei Lin", "DTSTART:20261124T060000Z", "DTEND:20261124T140000Z"}, []string{"Mei Lin 2026-11-24T06:00:00Z 2026-11-24T14:00:00Z"}},
		{"before it counts", "2026-11-24T14:00:00Z", "2026-11-25T00:00:00Z",
			[]string{"SUMMARY:Mei Lin", "DTSTART:20261124T060000Z", "DTEND:20261124T140000Z"}, nil},
		{"of two", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z",
			[]string{"SUMMARY:On call: ada obi\\, MEI LIN", "DTSTART:20261124T060000Z", "DURATION:PT8H"}, []string{"Ada Obi 2026-11-24T06:00:00Z 2026-11-24T14:00:00Z", "Mei Lin 2026-11-24T06:00:00Z 2026-11-24T14:00:00Z"}},
		{"by invitation", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z",
			[]string{"SUMMARY:Primary", "ATTENDEE;CN=Ada:MAILTO:Ada@shop.test", "DTSTART:20261124T060000Z", "DURATION:PT8H"}, []string{"Ada Obi 2026-11-24T06:00:00Z 2026-11-24T14:00:00Z"}},
		{"called off", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z",
			[]string{"SUMMARY:Mei Lin", "STATUS:CANCELLED", "DTSTART:20261124T060000Z", "DURATION:PT8H"}, nil},
		{"without zone, so by her own clock", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z",
			[]string{"SUMMARY:Mei Lin", "DTSTART:20261124T090000", "DURATION:PT8H"}, []string{"Mei Lin 2026-11-24T01:00:00Z 2026-11-24T09:00:00Z"}},
		{"a day", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z",
			[]string{"SUMMARY:Ada Obi", "DTSTART;VALUE=DATE:20261124"}, []string{"Ada Obi 2026-11-23T23:00:00Z 2026-11-24T23:00:00Z"}},
		{"a day of 25 hours, as each day", "2027-10-31T00:00:00Z", "2027-10-31T12:00:00Z",
			[]string{"SUMMARY:Ada Obi", "DTSTART;VALUE=DATE:20261124", "DTEND;VALUE=DATE:20261125", "RRULE:FREQ=DAILY"}, []string{"Ada Obi 2027-10-30T22:00:00Z 2027-10-31T23:00:00Z"}},
		{"each day since years, before clocks go forward", "2027-03-27T12:00:00Z", "2027-03-27T13:00:00Z",
			[]string{"SUMMARY:Ada Obi", "DTSTART" + berlin + "20200101T080000", "DURATION:PT8H", "RRULE:FREQ=DAILY"}, []string{"Ada Obi 2027-03-27T07:00:00Z 2027-03-27T15:00:00Z"}},
		{"and after", "2027-03-28T12:00:00Z", "2027-03-28T13:00:00Z",
			[]string{"SUMMARY:Ada Obi", "DTSTART" + berlin + "20200101T080000", "DURATION:PT8H", "RRULE:FREQ=DAILY"}, []string{"Ada Obi 2027-03-28T06:00:00Z 2027-03-28T14:00:00Z"}},
		{"weekly, on a leap day", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z",
			[]string{"SUMMARY:Ada Obi", "DTSTART" + berlin + "20261124T080000", "DURATION:PT8H", "RRULE:FREQ=WEEKLY;BYDAY=TU"}, []string{"Ada Obi 2028-02-29T07:00:00Z 2028-02-29T15:00:00Z"}},
		{"until", "2026-11-24T00:00:00Z", "2026-11-27T00:00:00Z",
			[]string{"SUMMARY:Ada Obi", "DTSTART:20261124T080000Z", "DURATION:PT8H", "RRULE:FREQ=DAILY;UNTIL=20261125T080000Z"}, []string{"Ada Obi 2026-11-24T08:00:00Z 2026-11-24T16:00:00Z", "Ada Obi 2026-11-25T08:00:00Z 2026-11-25T16:00:00Z"}},
		{"but for some, and some more", "2026-11-24T00:00:00Z", "2026-11-27T12:00:00Z",
			[]string{"SUMMARY:Ada Obi", "DTSTART:20261124T080000Z", "DURATION:PT2H", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20261124T080000Z,20261125T080000Z", "RDATE:20261127T090000Z"},
			[]string{"Ada Obi 2026-11-26T08:00:00Z 2026-11-26T10:00:00Z", "Ada Obi 2026-11-27T09:00:00Z 2026-11-27T11:00:00Z"}},
		{"one is moved, and given away", "2026-11-24T00:00:00Z", "2026-11-26T00:00:00Z",
			[]string{"SUMMARY:Ada Obi", "DTSTART:20261124T080000Z", "DURATION:PT2H", "RRULE:FREQ=DAILY", "END:VEVENT",
				"BEGIN:VEVENT", "UID:1", "SUMMARY:Mei Lin", "RECURRENCE-ID:20261125T080000Z", "DTSTART:20261125T090000Z", "DURATION:PT2H"},
			[]string{"Ada Obi 2026-11-24T08:00:00Z 2026-11-24T10:00:00Z", "Mei Lin 2026-11-25T09:00:00Z 2026-11-25T11:00:00Z"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			turns, strangers, err := readRota(t.Context(), calendar(test.lines...), people, guard.Period{From: instant(test.from), To: instant(test.to)})
			if err != nil || strangers != 0 {
				t.Fatalf("%d strangers, error %v", strangers, err)
			}
			var got []string
			for _, turn := range turns {
				got = append(got, turn.name+" "+turn.From.Format(time.RFC3339)+" "+turn.To.Format(time.RFC3339))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// What is no rota must not be taken for one in which nobody has a shift, or somebody has.
func TestReadRotaRefuses(t *testing.T) {
	people := []guard.Person{{Name: "Ada Obi", Role: "on_duty"}}
	good := calendar("SUMMARY:Ada Obi", "DTSTART:20261124T080000Z", "DURATION:PT2H")
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "this is not a whole iCalendar file"},
		{"a web page", "<html>", "this is not iCalendar"},
		{"half a file", good[:len(good)-20], "this is not"},
		{"broken", calendar("SUMMARY;X=1"), "this is not iCalendar"},
		{"no beginning", calendar("SUMMARY:Ada Obi"), `the shift "Ada Obi": it does not end after it begins`},
		{"no end", calendar("SUMMARY:Ada Obi", "DTSTART:20261124T080000Z"), "it does not end after it begins"},
		{"ends before it begins", calendar("SUMMARY:Ada Obi", "DTSTART:20261124T080000Z", "DTEND:20261124T070000Z"), "it does not end after it begins"},
		{"zone nowhere", calendar("SUMMARY:Ada Obi", "DTSTART;TZID=Europe/Atlantis:20261124T080000", "DURATION:PT2H"), "unknown time zone Europe/Atlantis"},
		{"every second", calendar("SUMMARY:Ada Obi", "DTSTART:19700101T080000Z", "DURATION:PT2H", "RRULE:FREQ=SECONDLY"), "more often than every day"},
		{"no rule", calendar("SUMMARY:Ada Obi", "DTSTART:19700101T080000Z", "DURATION:PT2H", "RRULE:FREQ=SOMETIMES"), "SOMETIMES"},
	} {
		t.Run(test.name, func(t *testing.T) {
			turns, _, err := readRota(t.Context(), test.text, people, guard.Period{From: instant("2026-11-24T00:00:00Z"), To: instant("2026-11-25T00:00:00Z")})
			if err == nil || !strings.Contains(err.Error(), test.want) || turns != nil {
				t.Errorf("turns %v, error %v, want one that says %q", turns, err, test.want)
			}
		})
	}
}

// The rota of a real tool: two countries share the day, by clocks that agree on most days of the year.
func TestRotaGapInTheNightInWhichClocksChange(t *testing.T) {
	// Ada's night lasts nine hours, exactly; when clocks go back, it ends an hour early by the clock.
	const rota = "SUMMARY:Ada Obi\r\nDTSTART;TZID=Europe/Berlin:20261001T180000\r\nDTEND;TZID=Europe/Berlin:20261002T030000\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\n" +
		"BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Mei Lin\r\nDTSTART;TZID=Europe/Berlin:20261001T030000\r\nDTEND;TZID=Europe/Berlin:20261001T180000\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\n" +
		"BEGIN:VEVENT\r\nUID:3\r\nSUMMARY:Somebody Else\r\nDTSTART:20261025T000000Z\r\nDURATION:P1D"
	night := func(now string) guard.Scene {
		return at(scene(t, `
roster:
  people:
    - {name: Ada Obi, role: on_duty, tz: Europe/Berlin}
    - {name: Mei Lin, role: on_duty, tz: Europe/Berlin}
  shifts: {file: oncall.ics}`, guard.Answer{Text: calendar(rota)}), now)
	}
	checktest.Run(t, rosterCoverage, []checktest.Case{
		{Name: "the night before", Scene: night("2026-10-24T00:30:00Z"), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "on_duty", Observed: "no gap, by 2 shifts in oncall.ics, and 1 of people who are not in the roster"}}},
		{Name: "the night", Scene: night("2026-10-25T00:30:00Z"), Want: []guard.Finding{{
			Verdict: guard.Fail, Subject: "on_duty",
			Reason: "nobody is there as on_duty for 20m, from Sun 2026-10-25 02:00 CET to 02:20 CET in Europe/Berlin, Sun 2026-10-25 01:00 UTC to 01:20 UTC",
		}}},
		{Name: "the night after", Scene: night("2026-10-26T01:30:00Z"), Want: []guard.Finding{{Verdict: guard.Pass, Subject: "on_duty"}}},
	})
}
