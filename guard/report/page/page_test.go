package page

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// nasty is a text with everything that some form takes for its own.
const nasty = "50% of \"orders\" & <b>'x'</b> | `y`\n](http://evil.test) \\ {0} {{.}} @ops #12 *z* _w_ ~v~ $u$ </style><script>alert(1)</script> é 日本 end"

// full is a document that has everything, each with a nasty text in it.
func full(language string) Document {
	return Document{
		Title: "Plan of " + nasty, Language: language, Subtitle: "1. " + nasty,
		Cover: []Fact{{"Reviewed", "on 2026-11-24, or so"}, {nasty, nasty}}, Notes: []string{"read this: " + nasty}, Sign: []string{"Ada Obi, deputy", nasty},
		Chapters: []Chapter{
			{ID: "purpose", Title: "Purpose", Blocks: []Block{{Text: "- " + nasty}, {Heading: "Head " + nasty}, {List: []string{"one", nasty}}}},
			{ID: "people", Title: "People " + nasty, Blocks: []Block{
				{Facts: []Fact{{"RTO", "10m"}}},
				{Table: &Table{Head: []string{"who", nasty}, Rows: [][]string{{"Ada", nasty}, {"Bo", "\"<" + strings.Repeat("0123456789abcdef", 4)}}, Tone: []Tone{Bad}, Wide: []int{20, 80}}},
				{Missing: "nobody " + nasty},
			}},
			{ID: "proof", Title: "Proof", Blocks: []Block{{Picture: &Picture{SVG: `<svg viewBox="0 0 1 1"></svg>`, Alt: "one square " + nasty}}}},
		},
		Footer: "written by golive; " + nasty,
	}
}

func TestForms(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		for _, form := range Forms() {
			name := language + "." + form
			t.Run(name, func(t *testing.T) {
				var got bytes.Buffer
				if err := Write(&got, form, full(language)); err != nil {
					t.Fatal(err)
				}
				golden := filepath.Join("testdata", name)
				if *update {
					if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got.String()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

// No text may become markup, nor may a page ask for anything from a network.
func TestTextIsText(t *testing.T) {
	var html, markdown bytes.Buffer
	if err := writeHTML(&html, full("en")); err != nil {
		t.Fatal(err)
	}
	if err := writeMarkdown(&markdown, full("en")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<b>", "<link", "src=", "@import", "url("} {
		if strings.Contains(html.String(), bad) {
			t.Errorf("the HTML holds %q", bad)
		}
	}
	for _, bad := range []string{"<script", "<b>", "](", "`", "@ops", "*z*"} {
		if strings.Contains(markdown.String(), bad) {
			t.Errorf("the Markdown holds %q", bad)
		}
	}
	// Each row of a table is one line with as many cells as its head.
	for _, line := range strings.Split(markdown.String(), "\n") {
		if strings.HasPrefix(line, "| Ada |") && strings.Count(line, "|") != 3 {
			t.Errorf("the row has %d cells: %s", strings.Count(line, "|")-1, line)
		}
	}
}

// Only a row with a long text may be broken over two pages.
func TestLongRows(t *testing.T) {
	table := &Table{Tone: []Tone{Good}, Rows: [][]string{
		{"a", strings.Repeat("字", longCell)}, {"b", strings.Repeat("字", longCell-1)}, {"c", strings.Repeat("x", longCell)},
	}}
	for row, want := range []string{"good long", "", "long"} {
		if got := class(table, row); got != want {
			t.Errorf("row %d is %q, want %q", row, got, want)
		}
	}
}

func TestJSONIsWhole(t *testing.T) {
	var text bytes.Buffer
	if err := writeJSON(&text, full("zh")); err != nil {
		t.Fatal(err)
	}
	var got Document
	if err := json.Unmarshal(text.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full("zh"), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestUnknownForm(t *testing.T) {
	err := Write(&bytes.Buffer{}, "pdf", full("en"))
	if err == nil || !strings.Contains(err.Error(), "markdown, html, json") {
		t.Errorf("Write as pdf: %v", err)
	}
}
