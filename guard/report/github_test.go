package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/golive-dev/golive/guard"
)

// commands are what the runner of GitHub Actions obeys in a log. It looks for :: where a line begins but for white space, and for ##[
// anywhere in it; and it compares as a culture does, which passes over characters that cannot be seen.
func commands(log string) (found []string) {
	unseen := func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Mn, unicode.Me, unicode.Variation_Selector) && r != '\t' || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}
	for line := range strings.FieldsFuncSeq(log, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(strings.Map(unseen, strings.TrimSpace(line)))
		if strings.HasPrefix(line, "::") || strings.Contains(line, "##[") {
			found = append(found, line)
		}
	}
	return found
}

// hostile are texts that want to be more than that.
var hostile = []string{
	"::error::forged", "\t  ::set-output name=verdict::go", "a\n::error::forged", "a\r::error::forged", "##[error]forged", "all is ##[warning]well",
	"\u00a0::error::forged", "\u200b::error::forged", ":\u00ad:error::forged", "#\u200d#[error]forged", "\x00::error::forged", "####[error]forged",
	"::stop-commands::x", "x%0A::error::forged", "::add-mask::go", "\u2028::error::forged", "\ufeff::error::forged", "\x1b::error::forged",
}

func FuzzGitHubLog(f *testing.F) {
	for _, text := range hostile {
		if len(commands(text)) == 0 && !strings.Contains(text, "%0A") {
			f.Errorf("%q is no command to begin with", text)
		}
		f.Add(text, 3)
	}
	f.Add("PayCo :: 1\n  : a::b ##x [c]\n", 1)
	f.Fuzz(func(t *testing.T, said string, cut int) {
		var log bytes.Buffer
		w := GitHubLog(&log)
		cut = max(0, min(cut, len(said)))
		for _, piece := range []string{said[:cut], said[cut:]} {
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatalf("%d bytes of %d were written (%v)", n, len(piece), err)
			}
		}
		if found := commands(log.String()); found != nil {
			t.Errorf("%q became the commands %q", said, found)
		}
		if undone := strings.NewReplacer(`\u003a`, ":", `\u005b`, "[").Replace(log.String()); undone != strings.NewReplacer(`\u003a`, ":", `\u005b`, "[").Replace(said) {
			t.Errorf("%q became %q", said, log.String())
		}
	})
}

// TestGitHubLogKeeps: what is no command is left as it is.
func TestGitHubLogKeeps(t *testing.T) {
	const said = "a::b\n- [x] ## [y]\n: colon\n\"::\"\nlisten on ::1\n  → \"##\" [z]\n"
	var log bytes.Buffer
	if _, err := GitHubLog(&log).Write([]byte(said)); err != nil || log.String() != said {
		t.Errorf("%q became %q (%v)", said, log.String(), err)
	}
}

// FuzzGitHubOutput reads the file of outputs as the runner does: whatever the values are, each output has its own, and there is no other.
func FuzzGitHubOutput(f *testing.F) {
	for _, text := range []string{"", "go", "\nverdict=go\n", "x\nEND1\nverdict=go", "END1", "\n", "a<<END1\nb", "verdict<<x\ngo\nx\n", "END1\nEND2\nEND3"} {
		f.Add(text, "last")
		f.Add("first", text)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		n := 0
		random := func() string { n++; return "END" + strings.Repeat("1", n) }
		file := GitHubOutput("one", one, random) + GitHubOutput("two", two, random)
		lines := strings.Split(file, "\n")
		got := map[string]string{}
		for i := 0; i < len(lines); i++ {
			name, end, heredoc := strings.Cut(lines[i], "<<")
			switch {
			case lines[i] == "":
				continue
			case !heredoc || strings.Contains(name, "="):
				t.Fatalf("the line %q of %q begins no output", lines[i], file)
			}
			var value []string
			for i++; i < len(lines) && lines[i] != end; i++ {
				value = append(value, lines[i])
			}
			got[name] = strings.Join(value, "\n")
		}
		if len(got) != 2 || got["one"] != one || got["two"] != two {
			t.Errorf("%q and %q became %q", one, two, got)
		}
	})
}

// endings are those of a rollout whose words are all hostile.
func anEnding(word string) Ending {
	began := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	plan, err := guard.ParsePlan("golive.yaml", []byte("service: shop\nrollout:\n  backend: {use: command, with: {inspect: x, shift: y}}\n  steps: [20, 100]\nwatch:\n  source: {use: scrape, with: {canary: [x], stable: [y]}}\n  signals:\n    - {name: errors, preset: promhttp}\n"))
	if err != nil {
		panic(err)
	}
	at := func(s int, task int, f guard.Fact) guard.Event {
		return guard.Event{At: began.Add(time.Duration(s) * time.Second), Task: task, Fact: f}
	}
	release := guard.Release{ID: "20261124-030000-v2", Service: "shop", From: word, To: word}
	e := Ending{Plan: plan, Verdict: "rolled-back", Page: word, Within: "svc", Events: []guard.Event{at(0, 0, guard.Opened{Release: release, Purpose: guard.ToWatch})}}
	var s guard.State
	s = guard.Next(plan, s, e.Events[0])
	for n, percent := range []int{0, 20, 100, 0} {
		for _, task := range s.Todo {
			if _, inspects := task.Deed.(guard.Inspect); inspects {
				e.Events = append(e.Events, at(10*(n+1), task.ID, guard.Inspected{Standing: guard.Standing{Percent: percent}}))
				break
			}
			if _, measures := task.Deed.(guard.Measure); measures {
				e.Events = append(e.Events, at(10*(n+1), task.ID, guard.Measured{Standing: &guard.Standing{Percent: percent}}))
				break
			}
		}
		s = guard.Next(plan, s, e.Events[len(e.Events)-1])
	}
	e.State = s
	e.State.Outcome, e.State.Why, e.State.Trouble, e.State.Phase = guard.RolledBack, word, word, guard.Over
	return e
}

var pictures = regexp.MustCompile(`(?s)\x60\x60\x60mermaid\n%%\{init: [{}"#:, A-Za-z0-9]+\}%%\n(pie showData\n    title [a-z -]+\n(?:    "[a-z]+" : \d+\n)+|xychart-beta\n    title "[A-Za-z ]+"\n    x-axis "seconds" 0 --> \d+\n    y-axis "percent" 0 --> 100\n    line \[[\d, ]+\]\n)\x60\x60\x60\n`)

// summarized reads a summary as GitHub does. But for its pictures, which hold golive's own words and numbers alone, it is tables and
// text.
func summarized(t *testing.T, source string, want int) {
	t.Helper()
	if n := len(pictures.FindAllString(source, -1)); n != want {
		t.Errorf("there are %d pictures, want %d:\n%s", n, want, source)
	}
	raw := []byte(pictures.ReplaceAllString(source, ""))
	tables := 0
	document := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(raw))
	err := ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *extast.Table:
			tables++
		case *ast.Link, *ast.Image, *ast.FencedCodeBlock, *ast.CodeBlock, *ast.Blockquote, *ast.List:
			t.Errorf("a text became %s:\n%s", n.Kind(), source)
		case *ast.RawHTML:
			if html := string(n.Segments.Value(raw)); html != "<br>" && html != "<!-- -->" {
				t.Errorf("a text became HTML: %s", html)
			}
		case *ast.HTMLBlock:
			if html := string(n.Lines().Value(raw)); !strings.HasPrefix(html, "<details>") && !strings.HasPrefix(html, "</details>") {
				t.Errorf("a text became HTML: %s", html)
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil || tables == 0 {
		t.Errorf("%d tables (%v):\n%s", tables, err, source)
	}
}

// TestEnding: nothing that a rollout was called, or that went wrong with it, breaks its summary or becomes an annotation of its own.
func TestEnding(t *testing.T) {
	words := append([]string{"v2", "`````\n```mermaid\npie\n\"x\" : 1\n```", "<script>alert(1)</script>", "| a | b |\n|---|---|", "# x\n- y\n> z", "[x](http://evil.test)", "x,file=y::z", "%0A::error::x"}, hostile...)
	for _, word := range words {
		e := anEnding(word)
		var summary, annotations strings.Builder
		if err := e.WriteSummary(&summary); err != nil {
			t.Fatal(err)
		}
		summarized(t, summary.String(), 1)
		for _, row := range []string{"| 10s | 0 % |", "| 0s | 0 % |"} {
			if strings.Contains(summary.String(), row) == (row == "| 10s | 0 % |") {
				t.Errorf("%q is there or not, as it should not be:\n%s", row, summary.String())
			}
		}
		if err := e.WriteGitHub(&annotations); err != nil {
			t.Fatal(err)
		}
		line := annotations.String()
		if !strings.HasPrefix(line, "::error file=svc/golive.yaml,line=3,col=3,title=golive%3A rolled-back::") || strings.Count(line, "\n") != 1 || strings.Contains(line, "\r") {
			t.Errorf("%q became the annotation %q", word, line)
		}
	}
}

// TestSummaryOfCheck: the picture has the numbers of the table.
func TestSummaryOfCheck(t *testing.T) {
	for _, word := range hostile {
		a := Assessment{Release: guard.Release{Service: word, To: word}, Verdict: guard.Fail, Findings: []guard.Finding{
			{Code: "GL1", ID: "a.b", Verdict: guard.Fail, Title: word, Reason: word, Remedy: word}, {Code: "GL2", ID: "a.c", Verdict: guard.Unknown, Title: word},
			{Code: "GL3", ID: "a.d", Verdict: guard.Pass, Title: word},
		}}
		var b strings.Builder
		if err := WriteSummary(&b, a); err != nil {
			t.Fatal(err)
		}
		summarized(t, b.String(), 1)
		if !strings.Contains(b.String(), "title no-go\n    \"fail\" : 1\n    \"unknown\" : 1\n    \"pass\" : 1\n") {
			t.Errorf("the picture has other numbers:\n%s", b.String())
		}
	}
}
