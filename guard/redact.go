package guard

import (
	"regexp"
	"slices"
	"strings"
)

// Redacted stands in a text where Redact has taken something out.
const Redacted = "[secret]"

// Redact takes out of a text what looks like a secret by the words around it: the value of a password, a token or a key, what
// stands behind Bearer or in a header Authorization, the user and the password in an address, and private keys in PEM, also
// where one was cut. It would rather take too much. What is a secret of the plan it cannot know; the name of one, as in
// ${TOKEN}, stays. It may be repeated: what was redacted stays as it is.
func Redact(text string) string {
	if strings.Contains(text, "PRIVATE KEY") {
		text = privateKey.ReplaceAllString(text, Redacted)
	}
	text = credentials.ReplaceAllStringFunc(text, func(found string) string {
		user := strings.TrimSuffix(strings.TrimPrefix(found, "://"), "@")
		name, password, both := strings.Cut(user, ":")
		switch {
		case harmless(user), user == "git", both && harmless(password): // anybody may be git
			return found
		case both:
			return "://" + name + ":" + Redacted + "@"
		}
		return "://" + Redacted + "@"
	})
	var b strings.Builder
	for line := range strings.Lines(text) {
		lower := strings.ToLower(line)
		for _, p := range patterns {
			if slices.ContainsFunc(p.words, func(word string) bool { return strings.Contains(lower, word) }) {
				line = p.redact(line)
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// value is what follows the name of a secret: up to the quote that ends it, also in JSON within JSON, or else to the next space.
const value = `(\\"[^"\\\n]*\\"|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\\?["']?[^\s"'&]+)`

// A pattern finds secrets in a line: its first group stays, and its second is one. Evidence is long and patterns are slow, so
// that it is asked only about lines with one of its words.
type pattern struct {
	words []string
	*regexp.Regexp
}

var patterns = []pattern{
	{[]string{"authorization"}, regexp.MustCompile(`(?i)(authorization\\?["']?[ \t]*[=:][ \t]*\\?["']?)` +
		`((?:digest|hmac|signature|aws4-hmac-sha256)[ \t][^\r\n]+|(?:(?:basic|bearer|token|apikey|negotiate|ntlm)[ \t]+)?[^\s"'\\]+)`)},
	{[]string{"bearer"}, regexp.MustCompile(`(?i)(\bbearer[ \t]+)([A-Za-z0-9._~+/=-]{6,})`)},
	{[]string{"pass", "secret", "token", "key", "密", "口令"}, regexp.MustCompile(
		`(?i)((?:password|passwd|passphrase|secret|token|(?:api|access|private|secret)[-_ ]?key|密码|口令|密钥)` +
			`\\?["']?[ \t]*(?:=>|:=|[=:：])[ \t]*)` + value)},
	{[]string{"--"}, regexp.MustCompile(`(?i)(--[\w-]*(?:password|passwd|passphrase|secret|token|api-?key)[ \t]+)([^\s"'&-][^\s"'&]{5,})`)},
}

// What is found in a whole text.
var (
	credentials = regexp.MustCompile(`://[^\s/"'<>]+@`)

	// privateKey is a key from its first line to its last, or as much of it as is there.
	privateKey = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----` +
		`|-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s]|\\[nr])*` +
		`|(?:[A-Za-z0-9+/=\s]|\\[nr])*-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----`)
)

// redact takes out what the pattern finds, and leaves the quotes around it.
func (p pattern) redact(text string) string {
	var b strings.Builder
	at := 0
	for _, found := range p.FindAllStringSubmatchIndex(text, -1) {
		from, to := found[4], found[5]
		for _, quote := range []string{`\"`, `"`, `'`} {
			if strings.HasPrefix(text[from:to], quote) {
				from += len(quote)
				to -= len(quote) * min(1, strings.Count(text[from:to], quote))
				break
			}
		}
		if harmless(text[from:to]) {
			continue
		}
		b.WriteString(text[at:from] + Redacted)
		at = to
	}
	if at == 0 {
		return text
	}
	return b.String() + text[at:]
}

// named is the name of a variable, alone or behind the way in which it is sent.
var named = regexp.MustCompile(`(?i)^(?:(?:basic|bearer|token|apikey) +)?\$\{\w+\}[.,;)]*$`)

// plainWords say how it is with a secret, and are none.
var plainWords = map[string]bool{
	"": true, "true": true, "false": true, "null": true, "nil": true, "none": true, "yes": true, "no": true, "not": true, "is": true, "was": true, "the": true,
	"unknown": true, "missing": true, "expired": true, "invalid": true, "required": true, "denied": true, "wrong": true, "empty": true, "ok": true, "failed": true,
	"refused": true, "rejected": true, "unauthorized": true, "forbidden": true, "redacted": true, "hidden": true, "granted": true, "revoked": true, "incorrect": true,
	"authentication": true, "authorization": true, "auth": true, "token": true, "tokens": true, "credentials": true, "scheme": true, "password": true,
}

// harmless says that a value is no secret: a word, a name of one, or what stands for one already.
func harmless(value string) bool {
	if strings.HasPrefix(value, Redacted) || named.MatchString(value) || strings.Trim(value, "*.…") == "" {
		return true
	}
	return plainWords[strings.ToLower(strings.Trim(value, ".,;:!?()"))]
}
