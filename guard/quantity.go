package guard

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DurationPattern, SharePattern and DatePattern are regular expressions for how quantities are written, in the
// dialect that JSON Schema and Go share.
const (
	DurationPattern = `^(0|([0-9]+(\.[0-9]+)?(w|d|h|m|s|ms|us|µs|ns))+)$`
	SharePattern    = `^[0-9]+(\.[0-9]+)? ?(%|pp)$`
	DatePattern     = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
)

var (
	durationShape = regexp.MustCompile(DurationPattern)
	shareShape    = regexp.MustCompile(SharePattern)
)

// A Duration is a time.Duration that is written as in Go, with d for 24 hours and w for 7 days: "1d12h".
type Duration time.Duration

// ParseDuration reads what Duration.String writes, and what time.ParseDuration reads unless it has a sign.
func ParseDuration(s string) (Duration, error) {
	wrong := fmt.Errorf("%q is not a duration (try 30s, 10m, 2h, 7d)", s)
	if !durationShape.MatchString(s) {
		return 0, wrong
	}
	var days time.Duration
	rest := s
	for _, unit := range []struct {
		letter string
		length time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, after, found := strings.Cut(rest, unit.letter)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n > int64((math.MaxInt64-days)/unit.length) {
			return 0, wrong
		}
		days += time.Duration(n) * unit.length
		rest = after
	}
	if rest == "" {
		return Duration(days), nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || days+d < days {
		return 0, wrong
	}
	return Duration(days + d), nil
}

// String is the shortest way to write the duration: "90s" is "1m30s", "48h" is "2d".
func (d Duration) String() string {
	t := time.Duration(d)
	var b strings.Builder
	if days := t / (24 * time.Hour); days > 0 {
		fmt.Fprintf(&b, "%dd", days)
		t -= days * 24 * time.Hour
	}
	if t == 0 && b.Len() > 0 {
		return b.String()
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	b.WriteString(s)
	return b.String()
}

// Std is the duration for the standard library.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// A Share is a fraction, 0 to 1 for a part of a whole. It is written "25%" or, as a difference between two
// shares, "0.02pp".
type Share float64

// ParseShare reads "25%" and "0.02pp"; the unit has to be there.
func ParseShare(s string) (Share, error) {
	f, err := strconv.ParseFloat(strings.TrimRight(s, " %p"), 64)
	if !shareShape.MatchString(s) || err != nil || f > 1e6 {
		return 0, fmt.Errorf("%q is not a share (try 5%% or 0.02pp)", s)
	}
	return Share(f / 100), nil
}

// String has at most twelve digits that count, so that 0.07 is "7%".
func (s Share) String() string {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(float64(s)*100, 'e', 11, 64), 64)
	return strconv.FormatFloat(rounded, 'f', -1, 64) + "%"
}

func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Share) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShare(string(text))
	return err
}

// A Date is a day, written 2026-11-24. It begins and ends in UTC.
type Date struct{ time.Time }

// ParseDate reads a day.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is not a date (try 2026-11-24)", s)
	}
	return Date{t}, nil
}

func (d Date) String() string { return d.Format(time.DateOnly) }

func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}

// MarshalJSON writes the day: a moment, as time.Time would have it, is not when the day ends.
func (d Date) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

func (d *Date) UnmarshalJSON(text []byte) error {
	var day string
	if err := json.Unmarshal(text, &day); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(day))
}
