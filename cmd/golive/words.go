package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report"
)

// How golive writes numbers and times for people: as the judge does in its sentences, and a server on its page.
var (
	number  = report.Number
	percent = report.Percent
	points  = report.Points
	odds    = report.Odds
	spell   = report.Span
	clock   = report.Clock
	moment  = report.Moment
	plural  = report.Plural
)

// tally is how many of an arm's requests were bad.
func tally(t judge.Tally) string {
	if t.Requests == 0 {
		return "none"
	}
	return fmt.Sprintf("%s of %s (%s)", number(t.Bad), number(t.Requests), percent(t.Rate))
}

// nameOf is what a sight is about.
func nameOf(s judge.Sight) string {
	switch {
	case s.Slower == 0:
		return s.Signal
	case s.Slower < 1:
		return fmt.Sprintf("%s > %.3g ms", s.Signal, 1000*s.Slower)
	}
	return fmt.Sprintf("%s > %.3g s", s.Signal, s.Slower)
}

// seconds is a number of seconds as a time span.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// wrap breaks a text between words into lines that are no wider than width, where the words allow it. A line
// that was indented goes on indented. Width 0 breaks nothing.
func wrap(text string, width int) []string {
	paragraphs := strings.Split(text, "\n")
	if width <= 0 {
		return paragraphs
	}
	var lines []string
	for _, paragraph := range paragraphs {
		if utf8.RuneCountInString(paragraph) <= width {
			lines = append(lines, paragraph)
			continue
		}
		indent := paragraph[:len(paragraph)-len(strings.TrimLeft(paragraph, " "))]
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			switch {
			case line == "":
				line = indent + word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
				lines = append(lines, line)
				line = indent + word
			default:
				line += " " + word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// reflow breaks the paragraphs of a text anew. Those with lines that are indented stay as they are, for what is in them
// is to be copied.
func reflow(text string, width int) string {
	if width <= 0 {
		return text
	}
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, " ") && !strings.Contains(p, "\n ") {
			paragraphs[i] = strings.Join(wrap(strings.ReplaceAll(p, "\n", " "), width), "\n")
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// hang wraps a text whose first line begins at a column, and begins the others there too.
func hang(column int, text string, width int) string {
	if width > 0 {
		width = max(20, width-column)
	}
	return strings.Join(wrap(text, width), "\n"+strings.Repeat(" ", column))
}

// table writes rows below their headings, and where that is wider than width each row as a list. Width 0 is as
// wide as it takes.
func table(rows [][]string, width int) (lines []string) {
	var widest []int
	for _, row := range rows {
		for c, cell := range row {
			if c == len(widest) {
				widest = append(widest, 0)
			}
			widest[c] = max(widest[c], utf8.RuneCountInString(cell))
		}
	}
	all := -2
	for _, w := range widest {
		all += w + 2
	}
	if width > 0 && all > width {
		return list(rows)
	}
	for _, row := range rows {
		text := ""
		for c, cell := range row {
			text += fmt.Sprintf("%-*s  ", widest[c], cell)
		}
		lines = append(lines, strings.TrimRight(text, " "))
	}
	return lines
}

// list writes each cell of a table on a line of its own, after its heading.
func list(rows [][]string) (lines []string) {
	heads := rows[0]
	if heads[0] != "" {
		lines = append(lines, heads[0])
	}
	for _, row := range rows[1:] {
		lines = append(lines, row[0])
		for c, cell := range row[1:] {
			lines = append(lines, "  "+heads[c+1]+" "+cell)
		}
	}
	return lines
}

// cut shortens a line to width.
func cut(line string, width int) string {
	runes := []rune(line)
	if len(runes) <= width {
		return line
	}
	return string(runes[:max(0, width)])
}
