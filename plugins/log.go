package plugins

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// A Line is what a plugin wrote to its log. It is as the plugin wrote it: whoever shows it takes out the secrets, and
// what a terminal obeys.
type Line struct {
	Level string // trace, debug, info, warn or error; empty: the plugin did not say
	Text  string // the message, and its attributes as key=value; it may hold line breaks if the plugin logs JSON
}

// String is the line for a person: "warn: flagd does not answer attempt=3".
func (l Line) String() string {
	if l.Level == "" {
		return l.Text
	}
	return l.Level + ": " + l.Text
}

// How much of a plugin's log is heard. What goes beyond is read and thrown away, so that no plugin ever waits for
// golive, fills its memory, or drowns what golive itself has to say.
const (
	lineBytes      = 16 << 10 // of a line as it is written
	textBytes      = 2000     // of a line as it is told
	linesPerSecond = 100
)

// A listener takes what a plugin writes, and keeps its last words. The zero value hears nothing.
type listener struct {
	tell func(Line) // nil: nobody listens

	mu    sync.Mutex // held while somebody is told, so that lines come one by one
	since time.Time  // the beginning of the second that is counted
	told  int        // in that second
	left  int        // out, since the last time that this was told
	words string     // last line, or the first of a panic
	panic bool
}

// hear takes one line as it was written.
func (l *listener) hear(raw string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := parseLine(raw)
	if !l.panic && strings.TrimSpace(line.Text) != "" {
		l.words = line.Text
		l.panic = strings.HasPrefix(raw, "panic: ") || strings.HasPrefix(raw, "fatal error: ")
	}
	if now := time.Now(); now.Sub(l.since) >= time.Second {
		l.since, l.told = now, 0
		l.confess()
	}
	if l.told >= linesPerSecond {
		l.left++
		return
	}
	l.told++
	l.say(line)
}

// say tells a line, whoever wrote it.
func (l *listener) say(line Line) {
	if l.tell != nil {
		l.tell(line)
	}
}

// confess tells how many lines were left out.
func (l *listener) confess() {
	if l.left > 0 {
		l.say(Line{"warn", fmt.Sprintf("%d lines of its log are left out here (it writes more than %d a second)", l.left, linesPerSecond)})
		l.left = 0
	}
}

// close says what is left to say.
func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confess()
}

// lastWords are the last words of a plugin, as the end of a sentence.
func (l *listener) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.words == "" {
		return ""
	}
	return fmt.Sprintf(" (its last words: %s)", cut(l.words, 300))
}

// parseLine understands the JSON of log/slog and hclog, and of others that name things alike. Any other line is text.
func parseLine(raw string) Line {
	var fields map[string]any
	if !strings.HasPrefix(raw, "{") || json.Unmarshal([]byte(raw), &fields) != nil {
		return Line{Text: cut(raw, textBytes)}
	}
	take := func(keys ...string) (text string) {
		for _, key := range keys {
			if found, ok := fields[key].(string); ok && text == "" {
				text = found
				delete(fields, key)
			}
		}
		return text
	}
	level := levelOf(take("@level", "level"))
	text := take("@message", "msg", "message")
	if level == "" || text == "" {
		return Line{Text: cut(raw, textBytes)}
	}
	for _, when := range []string{"@timestamp", "timestamp", "time", "ts"} { // golive is told at once
		delete(fields, when)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		text += " " + key + "=" + attribute(fields[key])
	}
	return Line{level, cut(text, textBytes)}
}

// levelOf is the level that a word means; slog writes INFO+1 for what lies between two. Empty: it is none.
func levelOf(word string) string {
	word, _, _ = strings.Cut(strings.ToLower(word), "+")
	switch word {
	case "trace", "debug", "info", "warn", "error":
		return word
	case "warning":
		return "warn"
	case "err", "fatal", "panic", "critical":
		return "error"
	}
	return ""
}

func attribute(value any) string {
	text, ok := value.(string)
	if !ok {
		asJSON, err := json.Marshal(value)
		if err != nil {
			return "?" // nothing that was read as JSON is this
		}
		return string(asJSON)
	}
	if text == "" || strings.ContainsAny(text, " =\"\n\t") {
		return strconv.Quote(text)
	}
	return text
}

// cut makes a text no longer than so many bytes; the dots at its end say that it was longer.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

// lines cuts what is written into lines. Of a line that is too long it keeps the beginning.
type lines struct {
	each func(string)
	rest []byte // of a line that has not ended
}

func (l *lines) Write(p []byte) (int, error) {
	for written := p; len(written) > 0; {
		piece, after, ended := bytes.Cut(written, []byte("\n"))
		l.rest = append(l.rest, piece[:min(len(piece), lineBytes+1-len(l.rest))]...)
		if ended {
			l.each(cut(strings.TrimSuffix(string(l.rest), "\r"), lineBytes))
			l.rest = l.rest[:0]
		}
		written = after
	}
	return len(p), nil
}
