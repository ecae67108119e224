package report

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard"
)

// A discretion takes phone numbers and e-mail addresses out of texts. It would rather take too much: a number
// that was none costs a reader a look at the terminal, and one that was stays published.
type discretion struct {
	off     bool           // the plan says that contacts may leave the machine
	numbers *regexp.Regexp // those of the roster, however they are written; nil: none
}

const (
	gap   = `[ \t().\-/\x{a0}\x{2010}-\x{2015}]{0,3}` // what people write between digits
	digit = `\p{Nd}`
)

var (
	address = regexp.MustCompile(`(?i)(?:"[^"\s]{1,64}"|[\p{L}\p{N}\p{M}._%+'~-]+)(?:@|%40)` +
		`(?:[\p{L}\p{N}\p{M}-]+\.)+(?:xn--[a-z0-9-]+|\p{L}[\p{L}\p{M}]+)`)

	// phone knows numbers by how they begin, so that times, versions, counts and digests stay what they are.
	phone = regexp.MustCompile(strings.Join([]string{
		`[+＋]` + gap + digit + `(?:` + gap + digit + `){6,20}`,                                             // +44 20 7946 0001
		`\(?0(?:[ \t()\-/\x{a0}\x{2010}-\x{2015}]{0,3}\p{Nd}){8,20}`,                                       // 020 7946 0001, (030) 1234567, 0044 20 ...
		`\(?\p{Nd}{3}\)?[ .\-\x{a0}\x{2010}-\x{2015}]{1,2}\p{Nd}{3}[ .\-\x{a0}\x{2010}-\x{2015}]\p{Nd}{4}`, // (555) 010-0199
		`1[3-9]\p{Nd}[ -]?\p{Nd}{4}[ -]?\p{Nd}{4}`,                                                         // 138 1234 5678
	}, "|"))
)

// discretion is what the plan of an assessment asks for. A plan that could not be read asks for all of it.
func (a Assessment) discretion() discretion { return discretionOf(a.Plan) }

func discretionOf(p *guard.Plan) discretion {
	var d discretion
	if p == nil {
		return d
	}
	d.off = p.Roster.Publish
	var numbers []string
	reach := func(ways []guard.Reach) {
		for _, way := range ways {
			for _, to := range way {
				if n := number(to); n != "" {
					numbers = append(numbers, n)
				}
			}
		}
	}
	for _, person := range p.Roster.People {
		reach(person.Reach)
	}
	for _, vendor := range p.Roster.Vendors {
		reach(vendor.Reach)
	}
	if len(numbers) > 0 {
		d.numbers = regexp.MustCompile(`[+＋(]*(?:` + digit + gap + `){0,7}(?:` + strings.Join(numbers, "|") + `)`)
	}
	return d
}

// number is a pattern for the last eight digits of a phone number, which no two ways of writing it disagree
// about; empty if the text is none.
func number(text string) string {
	found := digits(text)
	if len(found) < fewestDigits {
		return ""
	}
	return strings.Join(found[max(0, len(found)-8):], gap)
}

// fewestDigits are those of the shortest phone numbers.
const fewestDigits = 7

// digits are all digits of a text.
func digits(text string) (found []string) {
	for _, r := range text {
		if unicode.IsDigit(r) {
			found = append(found, string(r))
		}
	}
	return found
}

// text is a text that can be written down.
func (d discretion) text(text string) string {
	text = clean(text)
	if d.off {
		return text
	}
	if strings.ContainsAny(text, "@%") {
		text = address.ReplaceAllString(text, "[e-mail]")
	}
	if len(digits(text)) < fewestDigits {
		return text
	}
	text = withoutPhones(text)
	if d.numbers != nil {
		text = d.numbers.ReplaceAllString(text, "[phone]")
	}
	return text
}

// withoutPhones replaces what looks like a phone number and stands by itself.
func withoutPhones(text string) string {
	var b strings.Builder
	for at := 0; ; {
		found := phone.FindStringIndex(text[at:])
		if found == nil {
			if b.Len() == 0 {
				return text
			}
			return b.String() + text[at:]
		}
		from, to := at+found[0], at+found[1]
		if alone(text, from, to) {
			b.WriteString(text[at:from] + "[phone]")
			at = to
			continue
		}
		_, size := utf8.DecodeRuneInString(text[from:])
		b.WriteString(text[at : from+size])
		at = from + size
	}
}

// alone says that text[from:to] is not a piece of a word, of a longer number, or of a fraction.
func alone(text string, from, to int) bool {
	after, _ := utf8.DecodeRuneInString(text[to:])
	if unicode.IsDigit(after) {
		return false
	}
	if text[from] == '+' {
		return true
	}
	if digest.MatchString(text[from:]) {
		return false
	}
	before, size := utf8.DecodeLastRuneInString(text[:from])
	if before == '.' || before == ',' {
		before, _ = utf8.DecodeLastRuneInString(text[:from-size])
		return !unicode.IsDigit(before)
	}
	return !unicode.IsLetter(before) && !unicode.IsDigit(before) && before != '_'
}

// digest knows the beginning of one, which may be made of digits for a long way.
var digest = regexp.MustCompile(`^[0-9]+[a-f][0-9a-f]*(?:[^0-9\pL]|$)`)

// finding is a finding that can be written down.
func (d discretion) finding(f guard.Finding) guard.Finding {
	for _, text := range []*string{&f.Code, &f.ID, &f.Subject, &f.Title, &f.Reason, &f.Remedy, &f.Expected, &f.Observed, &f.Path} {
		*text = d.text(*text)
	}
	f.Verdict = known(f.Verdict)
	if f.Waived != nil {
		w := *f.Waived
		for _, text := range []*string{&w.Check, &w.Subject, &w.Reason, &w.By, &w.ApprovedBy} {
			*text = d.text(*text)
		}
		f.Waived = &w
	}
	evidence := f.Evidence
	f.Evidence = nil
	for _, e := range evidence {
		e.Asked, e.Answer = d.text(e.Asked), d.text(e.Answer)
		if !hexadecimal.MatchString(e.Digest) {
			e.Digest = d.text(e.Digest)
		}
		f.Evidence = append(f.Evidence, e)
	}
	return f
}

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Discreet takes phone numbers and e-mail addresses out of findings, unless the plan says that they may leave the
// machine.
func Discreet(p *guard.Plan) func(guard.Finding) guard.Finding { return discretionOf(p).finding }

// DiscreetText does the same to a text.
func DiscreetText(p *guard.Plan) func(string) string { return discretionOf(p).text }
