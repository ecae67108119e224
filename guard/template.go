package guard

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A Template is a text with holes for words: {{.To}}. A part that fills a text of its set-up gives the field this
// type; then Decode keeps apart the braces of the plan, which make holes, and those of the environment, which
// never do.
type Template string

// literalBrace stands in a Template, and in an expanded With, for a brace that opens no hole. Nothing else can
// stand for it: the environment holds no NUL.
const literalBrace = "\x00"

func plain(text string) string { return strings.ReplaceAll(text, literalBrace, "{") }

// Words are what a template can say of a release.
func (r Release) Words() map[string]string {
	return map[string]string{
		"ID":          r.ID,
		"Service":     r.Service,
		"Environment": r.Environment,
		"From":        r.From,
		"To":          r.To,
	}
}

// Words are what a template can say of an order.
func (o Order) Words() map[string]string {
	words := o.Release.Words()
	words["Fence"] = strconv.FormatInt(o.Fence, 10)
	words["Seq"] = strconv.FormatInt(o.Seq, 10)
	words["Key"] = o.Key
	return words
}

// Fill replaces every {{.Word}} in a template. A word that there is not is an error, also in a text that would
// never be used: makers fill every template once, so that a slip of the pen is found before the launch.
func Fill(template Template, words map[string]string) (string, error) {
	var b strings.Builder
	for text := string(template); ; {
		before, after, found := strings.Cut(text, "{{")
		b.WriteString(plain(before))
		if !found {
			return b.String(), nil
		}
		inside, rest, closed := strings.Cut(after, "}}")
		if !closed {
			return "", errors.New("{{ has no }}")
		}
		name, dotted := strings.CutPrefix(strings.TrimSpace(inside), ".")
		word, known := words[name]
		if !dotted || !known {
			return "", fmt.Errorf("{{%s}} means nothing here%s", plain(inside), suggest(name, words))
		}
		b.WriteString(word)
		text = rest
	}
}

// FillURL is Fill for an address: whatever a word holds, it stays one part of the path or of the query.
func FillURL(template Template, words map[string]string) (string, error) {
	escaped := make(map[string]string, len(words))
	for name, word := range words {
		escaped[name] = strings.ReplaceAll(url.QueryEscape(word), "+", "%20")
	}
	return Fill(template, escaped)
}
