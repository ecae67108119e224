package guard

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes a text from outside fit to be shown: what a terminal would obey, and what the eye cannot see,
// becomes a question mark. Lines and tabs stay.
func Printable(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r), r == '\n', r == '\t':
			return r
		case unicode.Is(unicode.Zs, r): // a space that is wider, narrower or firmer than others
			return ' '
		}
		return '?'
	}, text)
}

// placeholders are what people write where they mean to write something later.
var placeholders = []string{"todo", "tbd", "xxx", "changeme"}

// Placeholder says that a text stands for one that is still missing.
func Placeholder(text string) bool {
	words := strings.Fields(strings.ToLower(text))
	return len(words) == 0 || slices.ContainsFunc(words, func(word string) bool {
		return slices.Contains(placeholders, strings.Trim(word, `<>()[]{}"'.,:;!?`))
	})
}

// Line is Printable for where only one line fits: lines are joined by spaces, and what goes beyond so many
// characters is cut off.
func Line(text string, most int) string {
	text = strings.Join(strings.Fields(Printable(text)), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// Shorten cuts a text to so many bytes, and never within a character.
func Shorten(text string, most int) string {
	const gone = "…"
	if len(text) <= most {
		return text
	}
	end := most - len(gone)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:max(0, end)] + gone
}
