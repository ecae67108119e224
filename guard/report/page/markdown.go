package page

import (
	"fmt"
	"io"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// writeMarkdown writes a document as GitHub and Gitea show it.
func writeMarkdown(w io.Writer, d Document) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", line(d.Title))
	if d.Subtitle != "" {
		fmt.Fprintf(&b, "\n%s\n", paragraph(d.Subtitle))
	}
	facts(&b, d.Cover)
	for _, note := range d.Notes {
		fmt.Fprintf(&b, "\n> **%s:** %s\n", word(d.Language, "note"), line(note))
	}
	if len(d.Sign) > 0 {
		rows := make([][]string, len(d.Sign))
		for i, who := range d.Sign {
			rows[i] = []string{who, "", ""}
		}
		fmt.Fprintf(&b, "\n**%s**\n", word(d.Language, "approval"))
		table(&b, []string{word(d.Language, "name"), word(d.Language, "signature"), word(d.Language, "date")}, rows)
	}
	for i, c := range d.Chapters {
		fmt.Fprintf(&b, "\n## %d. %s\n", i+1, line(c.Title))
		for _, block := range c.Blocks {
			block.markdown(&b, d.Language)
		}
	}
	if d.Footer != "" {
		fmt.Fprintf(&b, "\n---\n\n%s\n", paragraph(d.Footer))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (k Block) markdown(b *strings.Builder, language string) {
	switch {
	case k.Heading != "":
		fmt.Fprintf(b, "\n### %s\n", line(k.Heading))
	case k.Text != "":
		fmt.Fprintf(b, "\n%s\n", paragraph(k.Text))
	case k.Missing != "":
		fmt.Fprintf(b, "\n> **%s:** %s\n", word(language, "missing"), line(k.Missing))
	case len(k.List) > 0:
		b.WriteByte('\n')
		for _, item := range k.List {
			fmt.Fprintf(b, "- %s\n", line(item))
		}
	case len(k.Facts) > 0:
		facts(b, k.Facts)
	case k.Table != nil:
		table(b, k.Table.Head, k.Table.Rows)
	case k.Picture != nil:
		fmt.Fprintf(b, "\n*%s*\n", line(k.Picture.Alt))
	}
}

func facts(b *strings.Builder, all []Fact) {
	if len(all) == 0 {
		return
	}
	b.WriteByte('\n')
	for _, f := range all {
		fmt.Fprintf(b, "- %s: %s\n", line(f.Name), line(f.Value))
	}
}

func table(b *strings.Builder, head []string, rows [][]string) {
	row := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + line(c) + " ")
		}
		b.WriteString("|\n")
	}
	b.WriteByte('\n')
	row(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		row(r)
	}
}

// paragraph is a text that begins a line.
func paragraph(text string) string {
	text = line(text)
	// What begins a list, a heading or a rule means itself.
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") || strings.HasPrefix(text, "=") {
		return fmt.Sprintf("&#%d;%s", text[0], text[1:])
	}
	if i := strings.IndexAny(text, ".)"); i > 0 && strings.Trim(text[:i], "0123456789") == "" {
		return fmt.Sprintf("%s&#%d;%s", text[:i], text[i], text[i+1:])
	}
	return text
}

// line is guard.EscapeMarkdown for what holds no break.
func line(text string) string { return guard.EscapeMarkdown(strings.TrimSpace(text)) }
