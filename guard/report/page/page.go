// Package page puts paperwork on paper: a document is a value, and every form of it, Markdown, self-contained HTML that
// prints well, JSON, says the same. It is pure, knows nothing of what the paperwork is about, and escapes whatever it is
// given, so that a text that comes from elsewhere means itself and nothing more.
package page

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Document is a piece of paperwork. Its texts are plain.
type Document struct {
	Title    string    `json:"title"`
	Language string    `json:"language"` // en or zh: of the words that a form adds by itself
	Subtitle string    `json:"subtitle,omitempty"`
	Cover    []Fact    `json:"cover,omitempty"`
	Notes    []string  `json:"notes,omitempty"` // what a reader has to know first; on the cover
	Sign     []string  `json:"sign,omitempty"`  // who signs on the cover: a line for each
	Chapters []Chapter `json:"chapters"`
	Compact  bool      `json:"compact,omitempty"` // it is short: chapters follow each other, without a cover of its own
	Footer   string    `json:"footer,omitempty"`  // at the end of the last page
}

// A Chapter begins on a page of its own, unless its document is compact. Its ID is for links and programs, and does not depend on the language.
type Chapter struct {
	ID     string  `json:"id"`
	Title  string  `json:"title"`
	Blocks []Block `json:"blocks,omitempty"`
}

// A Block is one piece of a chapter. Exactly one field is set.
type Block struct {
	Heading string   `json:"heading,omitempty"`
	Text    string   `json:"text,omitempty"`
	Missing string   `json:"missing,omitempty"` // what should stand here, and does not
	List    []string `json:"list,omitempty"`
	Facts   []Fact   `json:"facts,omitempty"`
	Table   *Table   `json:"table,omitempty"`
	Picture *Picture `json:"picture,omitempty"`
}

// A Fact is a name and what it stands for.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Table has a head, and rows that are as long as it. A row is never broken between two pages.
type Table struct {
	Head []string   `json:"head"`
	Rows [][]string `json:"rows"`
	Tone []Tone     `json:"tone,omitempty"` // of each row; empty: all are calm
	// Wide is how wide each column is, in per cent, so that tables of one kind look alike; empty: as their texts need it.
	Wide []int `json:"wide,omitempty"`
}

// A Picture is drawn by whoever makes the document. SVG is trusted, and has to come from a program, not from a text.
type Picture struct {
	SVG string `json:"svg"`
	Alt string `json:"alt"` // what it shows, for forms without pictures
}

// A Tone says how a row of a table looks. It is never all that says so: who cannot see colours misses nothing.
type Tone string

const (
	Calm  Tone = ""
	Good  Tone = "good"
	Doubt Tone = "doubt"
	Bad   Tone = "bad"
)

// forms is the table of the forms.
var forms = []struct {
	name  string
	write func(io.Writer, Document) error
}{
	{"markdown", writeMarkdown},
	{"html", writeHTML},
	{"json", writeJSON},
}

// Forms names the forms that Write knows.
func Forms() []string {
	var names []string
	for _, f := range forms {
		names = append(names, f.name)
	}
	return names
}

// Write writes a document in one of the Forms.
func Write(w io.Writer, form string, d Document) error {
	for _, f := range forms {
		if f.name == form {
			return f.write(w, d)
		}
	}
	return fmt.Errorf("%q is not a form of a document; there are %s", form, strings.Join(Forms(), ", "))
}

func writeJSON(w io.Writer, d Document) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

//go:embed page.css
var style string

//go:embed *.html
var sources embed.FS

// tag is a language as HTML names it, which lets the reader's machine choose the right letters.
func tag(language string) string {
	if language == "zh" {
		return "zh-CN"
	}
	return "en"
}

// writeHTML writes a whole page: the style sheet is in it, and it asks nothing of any network.
func writeHTML(w io.Writer, d Document) error {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, "document.html", d); err != nil {
		return fmt.Errorf("write %s: %w", d.Title, err)
	}
	return pages.ExecuteTemplate(w, "frame.html", struct {
		Title, Language string
		Style           template.CSS
		Body            template.HTML
	}{d.Title, tag(d.Language), template.CSS(style), template.HTML(body.String())})
}

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"word":  word,
	"svg":   func(p *Picture) template.HTML { return template.HTML(p.SVG) },
	"soft":  soft,
	"nth":   func(i int) string { return strconv.Itoa(i + 1) },
	"class": class,
}).ParseFS(sources, "*.html"))

// longCell is from how many characters of a cell on its row may be broken over two pages: held together, so much text would
// leave most of a page empty.
const longCell = 600

// class is how a row of a table is shown.
func class(t *Table, row int) string {
	var names []string
	if row < len(t.Tone) && t.Tone[row] != Calm {
		names = append(names, string(t.Tone[row]))
	}
	if slices.ContainsFunc(t.Rows[row], func(cell string) bool { return utf8.RuneCountInString(cell) >= longCell }) {
		names = append(names, "long")
	}
	return strings.Join(names, " ")
}

// unbroken is what HTML needs help with: a word that may have to be broken (a digest, a selector, an address), and a date,
// which may not, though a browser would.
var unbroken = regexp.MustCompile(`[!-~]{25,}|\b\d{4}-\d{2}-\d{2}\b`)

// soft is a text in which long words may be broken, and only those. What is copied from it is unchanged.
func soft(text string) template.HTML {
	const piece = 12 // characters that stay together
	var b strings.Builder
	at := 0
	for _, found := range unbroken.FindAllStringIndex(text, -1) {
		b.WriteString(template.HTMLEscapeString(text[at:found[0]]))
		word := text[found[0]:found[1]]
		if len(word) == len(time.DateOnly) {
			b.WriteString(`<span class="date">` + word + `</span>`)
			word = ""
		}
		for i := 0; i < len(word); i += piece {
			if i > 0 {
				b.WriteString("<wbr>")
			}
			b.WriteString(template.HTMLEscapeString(word[i:min(i+piece, len(word))]))
		}
		at = found[1]
	}
	b.WriteString(template.HTMLEscapeString(text[at:]))
	return template.HTML(b.String())
}

// words are what a form says by itself, in each language.
var words = map[string]map[string]string{
	"en": {"contents": "Contents", "approval": "Approval", "signature": "Signature", "date": "Date", "missing": "Missing", "note": "Note", "name": "Name"},
	"zh": {"contents": "目录", "approval": "批准", "signature": "签字", "date": "日期", "missing": "缺失", "note": "注意", "name": "姓名/职务"},
}

// word is a word of words; a language that is not known is English.
func word(language, key string) string {
	if in, known := words[language]; known {
		return in[key]
	}
	return words["en"][key]
}

// Map is the document with f applied to each of its texts. Pictures stay as they are but for what they are said to show.
func (d Document) Map(f func(string) string) Document {
	texts := func(all []string) []string {
		var mapped []string
		for _, text := range all {
			mapped = append(mapped, f(text))
		}
		return mapped
	}
	facts := func(all []Fact) []Fact {
		var mapped []Fact
		for _, fact := range all {
			mapped = append(mapped, Fact{f(fact.Name), f(fact.Value)})
		}
		return mapped
	}
	d.Title, d.Subtitle, d.Footer = f(d.Title), f(d.Subtitle), f(d.Footer)
	d.Cover, d.Notes, d.Sign = facts(d.Cover), texts(d.Notes), texts(d.Sign)
	var chapters []Chapter
	for _, c := range d.Chapters {
		c.Title = f(c.Title)
		var blocks []Block
		for _, b := range c.Blocks {
			b.Heading, b.Text, b.Missing, b.List, b.Facts = f(b.Heading), f(b.Text), f(b.Missing), texts(b.List), facts(b.Facts)
			if b.Table != nil {
				t := Table{Head: texts(b.Table.Head), Tone: b.Table.Tone, Wide: b.Table.Wide}
				for _, row := range b.Table.Rows {
					t.Rows = append(t.Rows, texts(row))
				}
				b.Table = &t
			}
			if b.Picture != nil {
				b.Picture = &Picture{SVG: b.Picture.SVG, Alt: f(b.Picture.Alt)}
			}
			blocks = append(blocks, b)
		}
		c.Blocks = blocks
		chapters = append(chapters, c)
	}
	d.Chapters = chapters
	return d
}
