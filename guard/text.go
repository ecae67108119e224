package guard

import (
	"slices"
	"strconv"
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

// EscapeMarkdown makes a text mean itself: no markup, no HTML, no cell, nobody who is called, no issue that is
// linked (as #12, GH-12 or by its address), and no other address either. An underscore within a word has no other
// meaning, and stays. What a reader would find in the text as it is shown is parted by an empty comment.
func EscapeMarkdown(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '\n':
			b.WriteString("<br>")
		case c == '\t':
			b.WriteByte(' ')
		case c == '@' || c == '#':
			b.WriteString(string(c) + apart)
		case c == ':' && strings.HasPrefix(text[i:], "://"), c == '-' && endsIn(text[:i], "GH") && i < len(text)-1 && alphanumeric(text[i+1]):
			b.WriteString(string(c) + apart)
		case c == '.' && endsIn(text[:i], "www"):
			b.WriteString(apart + ".")
		case c == '_' && i > 0 && i < len(text)-1 && alphanumeric(text[i-1]) && alphanumeric(text[i+1]):
			b.WriteByte(c)
		case strings.IndexByte("\\`*_[]<>&|~$!{}", c) >= 0:
			b.WriteString("&#" + strconv.Itoa(int(c)) + ";")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// apart parts what would mean more together. A reference to a character does not, where links are looked for in what is shown.
const apart = "<!-- -->"

// endsIn says whether a text ends in some letters, large or small.
func endsIn(text, end string) bool {
	return len(text) >= len(end) && strings.EqualFold(text[len(text)-len(end):], end)
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
