package guard

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrintable(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":           {"über 3 €: all is well", "über 3 €: all is well"},
		"lines and tabs":  {"one\r\n\ttwo\n", "one\n\ttwo\n"},
		"window title":    {"a\x1b]0;owned\ab", "a?]0;owned?b"},
		"C1 controls":     {"\u009b2Jx", "?2Jx"},
		"overwriting":     {"failed\rpassed\b\b", "failed?passed??"},
		"right to left":   {"v1\u202e2v", "v1?2v"},
		"invisible":       {"v\u200b1\u00ad", "v?1?"},
		"unusual spaces":  {"10\u00a0%\u202f", "10 % "},
		"line separators": {"a\u2028b", "a?b"},
		"not text":        {"a\xffb", "a?b"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Printable(c.text)); diff != "" {
				t.Errorf("Printable(%q) (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

func TestLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"one line":      {"all is well", "all is well"},
		"several lines": {"exit status 1:\n\tno such host\n", "exit status 1: no such host"},
		"a colour":      {"\x1b[31mred", "?[31mred"},
		"just fits":     {strings.Repeat("ü", 30), strings.Repeat("ü", 30)},
		"long":          {strings.Repeat("ü", 31), strings.Repeat("ü", 29) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Line(c.text, 30)); diff != "" {
				t.Errorf("Line(%q) (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"short", 5, "short"}, {"longer", 5, "lo…"}, {"影响范围", 12, "影响范围"}, {"影响范围", 11, "影响…"}, {"影响范围", 8, "影…"}, {"影响", 3, "…"},
	} {
		if got := Shorten(c.text, c.most); got != c.want {
			t.Errorf("Shorten(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

// TestEscapeMarkdown: nothing that GitHub makes a link or a mention of is left whole, neither in the source nor in what is shown.
func TestEscapeMarkdown(t *testing.T) {
	for text, want := range map[string]string{
		"all is well: 3 - 2, a_b":             "all is well: 3 - 2, a_b",
		"_a_ `b`":                             "&#95;a&#95; &#96;b&#96;",
		"<b>|\n":                              "&#60;b&#62;&#124;<br>",
		"@ann, acme/shop#12":                  "@<!-- -->ann, acme/shop#<!-- -->12",
		"fixes GH-12, gh-7":                   "fixes GH-<!-- -->12, gh-<!-- -->7",
		"GH- and mph-12":                      "GH- and mph-12",
		"see https://github.com/o/r/issues/1": "see https:<!-- -->//github.com/o/r/issues/1",
		"HTTP://a.test, ftp://b.test":         "HTTP:<!-- -->//a.test, ftp:<!-- -->//b.test",
		"www.evil.test, Www.evil.test":        "www<!-- -->.evil.test, Www<!-- -->.evil.test",
		"http:/a, a.www, :":                   "http:/a, a.www, :",
		"":                                    "",
		"w. ww. GH":                           "w. ww. GH",
		"&#72; is no H, and \\# is no escape": "&#38;#<!-- -->72; is no H, and &#92;#<!-- --> is no escape",
	} {
		if diff := cmp.Diff(want, EscapeMarkdown(text)); diff != "" {
			t.Errorf("EscapeMarkdown(%q) (-want +got):\n%s", text, diff)
		}
	}
}
