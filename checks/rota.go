package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-ical"
	"github.com/teambition/rrule-go"

	"github.com/golive-dev/golive/guard"
)

// readRota reads shifts from the text of an iCalendar file, as rota tools export it. A shift belongs to each person
// whom its summary names, or whom it invites by an address of the roster; the shifts of others are counted. Repeats
// follow the clocks of the zone in which the first one is written, and each lasts as long as the first, as RFC 5545
// has it: so a shift of eight hours in the night in which clocks change ends an hour off. A time without a zone is
// one of the person's own.
func readRota(ctx context.Context, text string, people []guard.Person, during guard.Period) (turns []turn, strangers int, err error) {
	defer func() {
		if p := recover(); p != nil { // the library does so on some broken lines
			turns, strangers, err = nil, 0, errors.New("this is not iCalendar")
		}
	}()
	events, err := eventsOf(text)
	if err != nil {
		return nil, 0, err
	}
	moved := map[string][]ical.Event{} // by UID: repeats that have events of their own
	for _, e := range events {
		if e.Props.Get(ical.PropRecurrenceID) != nil {
			moved[uid(e)] = append(moved[uid(e)], e)
		}
	}
	for _, e := range events {
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		status, err := e.Status()
		if err != nil {
			return nil, 0, err
		}
		if status == ical.EventCancelled {
			continue
		}
		known := false
		for _, p := range people {
			if !isFor(e, p) {
				continue
			}
			known = true
			periods, err := repeats(e, moved[uid(e)], p, during)
			if err != nil {
				return nil, 0, fmt.Errorf("the shift %q: %w", brief(summary(e)), err)
			}
			for _, period := range periods {
				if t := (turn{p.Name, period}); !slices.Contains(turns, t) { // who has two roles is listed twice
					turns = append(turns, t)
				}
			}
		}
		if !known {
			strangers++
		}
	}
	return turns, strangers, nil
}

// eventsOf are the events of all calendars in a text, which has to be whole.
func eventsOf(text string) (events []ical.Event, err error) {
	decoder := ical.NewDecoder(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	for calendars := 0; ; calendars++ {
		c, err := decoder.Decode()
		switch {
		case errors.Is(err, io.EOF) && calendars > 0 && strings.HasSuffix(strings.TrimSpace(text), "END:VCALENDAR"):
			return events, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("this is not a whole iCalendar file: it does not end in END:VCALENDAR")
		case err != nil:
			return nil, fmt.Errorf("this is not iCalendar: %w", err)
		}
		events = append(events, c.Events()...)
	}
}

func uid(e ical.Event) string {
	id, _ := e.Props.Text(ical.PropUID) // one without is related to none
	return id
}

func summary(e ical.Event) string {
	text, _ := e.Props.Text(ical.PropSummary) // one without names nobody
	return text
}

// isFor says whether an event is a shift of a person.
func isFor(e ical.Event, p guard.Person) bool {
	if mentions(summary(e), p.Name) {
		return true
	}
	for _, guest := range e.Props.Values(ical.PropAttendee) {
		scheme, address, _ := strings.Cut(guest.Value, ":")
		for _, way := range p.Reach {
			if strings.EqualFold(scheme, "mailto") && way["email"] != "" && strings.EqualFold(address, way["email"]) {
				return true
			}
		}
	}
	return false
}

// mentions says whether a text holds a name as words of their own.
func mentions(text, name string) bool {
	const edge = `[^\pL\pN]`
	name = strings.TrimSpace(name)
	whole := regexp.MustCompile(`(?i)(^|` + edge + `)` + regexp.QuoteMeta(name) + `(` + edge + `|$)`)
	return name != "" && whole.MatchString(text)
}

// clockChange is the most by which a day can be longer than another.
const clockChange = 3 * time.Hour

// repeats are the times of an event of a person that have to do with a period.
func repeats(e ical.Event, moved []ical.Event, p guard.Person, during guard.Period) (periods []guard.Period, err error) {
	home, err := zone(p.TZ)
	if err != nil {
		return nil, err
	}
	from, err := e.DateTimeStart(home)
	if err != nil {
		return nil, err
	}
	to, err := e.DateTimeEnd(home)
	if err != nil {
		return nil, err
	}
	lasts := to.Sub(from)
	if from.IsZero() || lasts <= 0 {
		return nil, errors.New("it does not end after it begins")
	}
	end := func(start time.Time) time.Time { return start.Add(lasts) }
	if len(e.Props.Get(ical.PropDateTimeStart).Value) == len("20261124") { // whole days are as long as they are
		days := int(lasts.Round(24*time.Hour) / (24 * time.Hour))
		end = func(start time.Time) time.Time { return start.AddDate(0, 0, days) }
	}
	var set rrule.Set
	set.DTStart(from)
	rule, err := e.Props.RecurrenceRule()
	if err != nil {
		return nil, err
	}
	if rule == nil || e.Props.Get(ical.PropRecurrenceID) != nil {
		set.RDate(from)
	} else {
		if rule.Freq > rrule.DAILY {
			return nil, fmt.Errorf("it is repeated more often than every day (%s)", rule.Freq)
		}
		rule.Dtstart = from
		each, err := rrule.NewRRule(*rule)
		if err != nil {
			return nil, err
		}
		set.RRule(each)
	}
	if e.Props.Get(ical.PropRecurrenceID) == nil {
		if err := dates(e, ical.PropRecurrenceDates, home, set.RDate); err != nil {
			return nil, err
		}
		if err := dates(e, ical.PropExceptionDates, home, set.ExDate); err != nil {
			return nil, err
		}
		for _, other := range moved {
			if err := dates(other, ical.PropRecurrenceID, home, set.ExDate); err != nil {
				return nil, err
			}
		}
	}
	for _, start := range set.Between(during.From.Add(-lasts-clockChange), during.To, true) {
		p := guard.Period{From: start.UTC(), To: end(start).UTC()}
		if p.To.After(during.From) && p.From.Before(during.To) {
			periods = append(periods, p)
		}
	}
	return periods, nil
}

// dates tells each moment of a property, which may stand several times and hold several moments each time.
func dates(e ical.Event, property string, home *time.Location, tell func(time.Time)) error {
	for _, prop := range e.Props.Values(property) {
		for value := range strings.SplitSeq(prop.Value, ",") {
			one := prop
			one.Value = value
			t, err := one.DateTime(home)
			if err != nil {
				return err
			}
			tell(t)
		}
	}
	return nil
}
