package guard

import (
	"regexp"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		text string
		want time.Duration
		back string // how String writes it
	}{
		{"0", 0, "0s"},
		{"0s", 0, "0s"},
		{"90s", 90 * time.Second, "1m30s"},
		{"10m", 10 * time.Minute, "10m"},
		{"2h", 2 * time.Hour, "2h"},
		{"1h30m", 90 * time.Minute, "1h30m"},
		{"1h0m1s", time.Hour + time.Second, "1h0m1s"},
		{"1.5h", 90 * time.Minute, "1h30m"},
		{"500ms", 500 * time.Millisecond, "500ms"},
		{"48h", 2 * day, "2d"},
		{"7d", 7 * day, "7d"},
		{"2w", 14 * day, "14d"},
		{"1w1d1h", 8*day + time.Hour, "8d1h"},
		{"1d12h", 36 * time.Hour, "1d12h"},
		{"4095w", 4095 * 7 * day, "28665d"},
	} {
		got, err := ParseDuration(test.text)
		if err != nil || got.Std() != test.want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", test.text, got.Std(), err, test.want)
		}
		if got.String() != test.back {
			t.Errorf("%q is written as %q, want %q", test.text, got, test.back)
		}
	}
	for _, text := range []string{"", "5", "-5s", "+5s", "5 s", " 5s", "5s ", "s", "1d1w", "1w1w", "1.5d", "1h1d", "99999w", "106752d", "15250w2000h", "1e3s", "∞"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestShare(t *testing.T) {
	for _, test := range []struct {
		text string
		want Share
		back string
	}{
		{"0%", 0, "0%"},
		{"25%", 0.25, "25%"},
		{"7%", 0.07, "7%"},
		{"0.5 %", 0.005, "0.5%"},
		{"0.02pp", 0.0002, "0.02%"},
		{"0.2 pp", 0.002, "0.2%"},
		{"99.99%", 0.9999, "99.99%"},
		{"1000000%", 10000, "1000000%"},
		{"0.0000001%", 1e-9, "0.0000001%"},
	} {
		got, err := ParseShare(test.text)
		if err != nil || got.String() != test.want.String() {
			t.Errorf("ParseShare(%q) = %v, %v, want %v", test.text, got, err, test.want)
		}
		if got.String() != test.back {
			t.Errorf("%q is written as %q, want %q", test.text, got, test.back)
		}
	}
	for _, text := range []string{"", "5", "0.05", "%", "-1%", "+1%", "1e2%", "0x1p2%", "Inf%", "NaN%", "1_0%", "5%%", "5pp%", "5%pp", "5p", "5  %", "1000001%", ".5%", "5.%"} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("ParseShare(%q) = %v, want an error", text, got)
		}
	}
}

func TestDate(t *testing.T) {
	got, err := ParseDate("2026-11-24")
	if want := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC); err != nil || !got.Equal(want) || got.String() != "2026-11-24" {
		t.Errorf("ParseDate = %v, %v, want %v", got, err, want)
	}
	for _, text := range []string{"", "2026-02-30", "24.11.2026", "2026-11-24T00:00:00Z"} {
		if got, err := ParseDate(text); err == nil {
			t.Errorf("ParseDate(%q) = %v, want an error", text, got)
		}
	}
}

// FuzzQuantities holds the parsers to the patterns that editors check by, and to what String writes.
func FuzzQuantities(f *testing.F) {
	for _, seed := range []string{"1w2d3h4m5.6s", "0", "12.5%", "0.02 pp", "2026-11-24", "9223372036854775807ns", "0.1µs"} {
		f.Add(seed)
	}
	duration, share, date := regexp.MustCompile(DurationPattern), regexp.MustCompile(SharePattern), regexp.MustCompile(DatePattern)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); err == nil {
			if again, err := ParseDuration(d.String()); err != nil || again != d || d < 0 || !duration.MatchString(text) {
				t.Errorf("duration %q: %d, written %q, read %d, %v", text, d, d, again, err)
			}
		}
		if s, err := ParseShare(text); err == nil {
			if again, err := ParseShare(s.String()); err != nil || again.String() != s.String() || !share.MatchString(text) {
				t.Errorf("share %q: %g, written %q, read %g, %v", text, float64(s), s, float64(again), err)
			}
		}
		if d, err := ParseDate(text); err == nil {
			if again, err := ParseDate(d.String()); err != nil || again != d || !date.MatchString(text) {
				t.Errorf("date %q: written %q, read %v, %v", text, d, again, err)
			}
		}
	})
}
