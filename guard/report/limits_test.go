package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
)

// many is an assessment with so many failures, and as many passes, each of a long text.
func many(t testing.TB, n int, text string) Assessment {
	a := Assessment{Plan: plan(t, planText), Verdict: guard.Fail}
	for i := range n {
		a.Findings = append(a.Findings,
			guard.Finding{Code: "A", ID: "a.b", Subject: fmt.Sprint(i), Verdict: guard.Pass, Title: text},
			guard.Finding{Code: "B", ID: "b.c", Subject: fmt.Sprint(i), Verdict: guard.Fail, Title: text, Reason: text, Remedy: text})
	}
	return a
}

// What is too long for GitHub is cut between rows, the failures stay before the passes, and what is left out is
// counted.
func TestMarkdownIsCutBetweenRows(t *testing.T) {
	for _, c := range []struct {
		n    int
		text string
		cut  bool
	}{
		{10, "short", false},
		{60, strings.Repeat("@ü", 3000), true},
		{115, strings.Repeat("x", 3000), true}, // the cut is among the passes
		{5000, "short and many, short and many, short and many", true},
	} {
		a := many(t, c.n, c.text)
		a.Skipped = []string{strings.Repeat("@", 5000)}
		got := write(t, "markdown", a)
		readMarkdown(t, got, a)
		if len(got) > 900<<10 || c.cut && len(got) < 880<<10 {
			t.Errorf("%d of %.10q: %d bytes", c.n, c.text, len(got))
		}
		if c.cut != strings.Contains(got, "more do not fit here: `golive check -o json` has them all.") {
			t.Errorf("%d of %.10q: what is left out is not counted:\n%s", c.n, c.text, got[len(got)-200:])
		}
		if last, first := strings.LastIndex(got, "| ❌"), strings.Index(got, "| ✅"); first >= 0 && first < last {
			t.Errorf("%d of %.10q: a pass comes before a failure", c.n, c.text)
		}
	}
}

func TestAnnotationsAreCapped(t *testing.T) {
	for _, c := range []struct {
		n, commands int
		last        string
	}{
		{8, 8, ""}, {9, 9, ""},
		{10, 10, "::error title=golive::and 1 more: golive check -o short lists them all"},
		{300, 10, "::error title=golive::and 291 more: golive check -o short lists them all"},
	} {
		lines := strings.Split(write(t, "github", many(t, c.n, strings.Repeat("long ", 2000))), "\n")
		lines = lines[:len(lines)-2] // the summary, and the end of its line
		if len(lines) != c.commands {
			t.Errorf("%d failures: %d commands, want %d", c.n, len(lines), c.commands)
		}
		if c.last != "" && lines[len(lines)-1] != c.last {
			t.Errorf("%d failures: the last command is %q", c.n, lines[len(lines)-1])
		}
		for _, line := range lines {
			if len(line) > 5000 {
				t.Errorf("a command of %d bytes", len(line))
			}
		}
	}
}

// An alert is the same one as long as its code and its subject are, wherever its line moves.
func TestFingerprints(t *testing.T) {
	fingerprint := func(f guard.Finding, text string) string {
		f.Verdict = guard.Fail
		_, rest, _ := strings.Cut(write(t, "sarif", Assessment{Plan: plan(t, text), Findings: []guard.Finding{f}}), `"primaryLocationLineHash": "`)
		hash, _, _ := strings.Cut(rest, `"`)
		return hash
	}
	one := fingerprint(guard.Finding{Code: "GL1", Subject: "a", Path: "data", Reason: "x"}, planText)
	if len(one) != 64 {
		t.Fatalf("fingerprint %q", one)
	}
	if moved := fingerprint(guard.Finding{Code: "GL1", Subject: "a", Path: "roster", Reason: "y"}, "# moved\n"+planText); moved != one {
		t.Error("another line is another alert")
	}
	for _, f := range []guard.Finding{{Code: "GL1", Subject: "b"}, {Code: "GL2", Subject: "a"}, {Code: "GL1a"}} {
		if fingerprint(f, planText) == one {
			t.Errorf("%+v is the same alert", f)
		}
	}
}

// A place is a URI, relative as the file is.
func TestFileURI(t *testing.T) {
	for file, want := range map[string]string{
		"golive.yaml":         "golive.yaml",
		"deploy/my plan.yaml": "deploy/my%20plan.yaml",
		`deploy\\x.yaml`:      "deploy//x.yaml",
		"/srv/ü%.yaml":        "/srv/%C3%BC%25.yaml",
		"a:b.yaml":            "./a:b.yaml",
		"x#y?z":               "x%23y%3Fz",
	} {
		if got := fileURI(file); got != want {
			t.Errorf("fileURI(%q) = %q, want %q", file, got, want)
		}
	}
}

func TestAsks(t *testing.T) {
	for doc, want := range map[string]string{
		"\nIt asks\nwhether. Why.\n": "It asks whether.",
		"It asks v1.2.3":             "It asks v1.2.3",
		"":                           "",
	} {
		if got := Asks(guard.Check{Doc: doc}); got != want {
			t.Errorf("Asks(%q) = %q, want %q", doc, got, want)
		}
	}
}
