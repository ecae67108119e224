package report

import (
	"fmt"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// Asks is the first sentence of what a check says about itself.
func Asks(c guard.Check) string {
	text := oneLine(clean(c.Doc))
	if end := strings.Index(text, ". "); end >= 0 {
		text = text[:end+1]
	}
	return text
}

// Checks is the catalogue of checks as a table of Markdown.
func Checks(all []guard.Check) string {
	var b strings.Builder
	b.WriteString("| code | check | what it asks |\n|---|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", code(c.Code), code(c.ID), cell(Asks(c)))
	}
	return b.String()
}

// code is a name as a piece of code in a cell.
func code(name string) string {
	return "`" + strings.NewReplacer("`", "'", "|", `\|`).Replace(oneLine(clean(name))) + "`"
}
