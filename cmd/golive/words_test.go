package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard/judge"
)

func TestWords(t *testing.T) {
	for name, c := range map[string]struct{ got, want string }{
		"tally":        {tally(judge.Tally{Requests: 9800, Bad: 47, Rate: 47. / 9800}), "47 of 9,800 (0.48 %)"},
		"nobody came":  {tally(judge.Tally{}), "none"},
		"errors":       {nameOf(judge.Sight{Signal: "errors"}), "errors"},
		"milliseconds": {nameOf(judge.Sight{Signal: "latency", Slower: .25}), "latency > 250 ms"},
		"seconds":      {nameOf(judge.Sight{Signal: "latency", Slower: 2.5}), "latency > 2.5 s"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		width int
		want  []string
	}{
		"short":                  {"one two", 7, []string{"one two"}},
		"long":                   {"one two three", 7, []string{"one two", "three"}},
		"a word that is longer":  {"unbelievable but true", 5, []string{"unbelievable", "but", "true"}},
		"indented":               {"head\n    one two three", 11, []string{"head", "    one two", "    three"}},
		"no terminal":            {"one two three", 0, []string{"one two three"}},
		"runes, not bytes":       {"für übel ä", 10, []string{"für übel ä"}},
		"columns stay as is":     {"a    b", 10, []string{"a    b"}},
		"an empty line stays so": {"a\n\nb", 10, []string{"a", "", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, wrap(c.text, c.width)); diff != "" {
				t.Errorf("wrap(%q, %d) (-want +got):\n%s", c.text, c.width, diff)
			}
		})
	}
}

func TestTable(t *testing.T) {
	rows := [][]string{{"", "canary", "baseline"}, {"errors", "1 of 10", "none"}, {"latency", "2", "3"}}
	for name, c := range map[string]struct {
		width int
		want  string
	}{
		"wide": {0, `
         canary   baseline
errors   1 of 10  none
latency  2        3`},
		"as wide as it takes": {26, `
         canary   baseline
errors   1 of 10  none
latency  2        3`},
		"narrow": {25, `
errors
  canary 1 of 10
  baseline none
latency
  canary 2
  baseline 3`},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, "\n"+strings.Join(table(rows, c.width), "\n")); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"v1.2.3": "v1.2.3", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(reboot)": "'$(reboot)'",
	} {
		if got := quote(word); got != want {
			t.Errorf("quote(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestReflow(t *testing.T) {
	const text = "one two three four\nfive six\n\n    a line that is to be copied as it is\n\nThe end"
	for width, want := range map[int]string{
		0:  text,
		14: "one two three\nfour five six\n\n    a line that is to be copied as it is\n\nThe end",
	} {
		if diff := cmp.Diff(want, reflow(text, width)); diff != "" {
			t.Errorf("reflow to %d (-want +got):\n%s", width, diff)
		}
	}
}
