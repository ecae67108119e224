package main

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/golive-dev/golive/guard"
)

// ink is what a stream can show. The zero value is plain ASCII, which every stream can.
type ink struct {
	colour, unicode bool
	width           int // of the terminal; 0: it is none, and lines may be as long as they are
}

// ink finds out what may be written to w. Nothing that golive says depends on colour alone.
func (p *program) ink(w io.Writer) ink {
	i := ink{unicode: p.unicode()}
	if file := p.terminal(w); file != nil {
		i.colour = p.settings.NoColor == ""
		i.width, _ = size(file)
	}
	return i
}

// terminal is w if it is a terminal that can do more than print, and nil otherwise.
func (p *program) terminal(w io.Writer) *os.File {
	if v, ok := w.(*voice); ok {
		w = v.to
	}
	file, ok := w.(*os.File)
	if !ok || p.lookup("TERM") == "dumb" || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return file
}

// size is that of a terminal, or what terminals usually have.
func size(terminal *os.File) (width, height int) {
	width, height, err := term.GetSize(int(terminal.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// unicode says whether the locale can show more than ASCII.
func (p *program) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := p.lookup(name); locale != "" {
			locale = strings.ToUpper(locale)
			return strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
		}
	}
	return runtime.GOOS == "windows" // where there are no locales of this kind
}

func (p *program) lookup(name string) string {
	value, _ := p.env.Lookup(name)
	return value
}

// A tone is how something sounds.
type tone string

const (
	calm  tone = ""
	faint tone = "\x1b[2m"
	loud  tone = "\x1b[1m"
	good  tone = "\x1b[32m"
	doubt tone = "\x1b[33m"
	bad   tone = "\x1b[31m"
)

// paint gives a text its tone, if there is colour.
func (i ink) paint(t tone, text string) string {
	if !i.colour || t == calm || text == "" {
		return text
	}
	return string(t) + text + "\x1b[0m"
}

// either picks the ASCII form where there is nothing else.
func (i ink) either(unicode, ascii string) string {
	if i.unicode {
		return unicode
	}
	return ascii
}

func (i ink) arrow() string { return i.either("→", "->") }

// marks say how a verdict looks.
var marks = map[guard.Verdict]struct {
	unicode, ascii string
	tone           tone
}{
	guard.Unknown: {"?", "?", bad},
	guard.Waiting: {"…", ".", doubt},
	guard.Pass:    {"√", "ok", good},
	guard.Warn:    {"‼", "!!", doubt},
	guard.Fail:    {"×", "x", bad},
}

func (i ink) mark(v guard.Verdict) string {
	m := marks[v]
	return i.paint(m.tone, i.either(m.unicode, m.ascii))
}

// bar fills a share of a width.
func (i ink) bar(share float64, width int) string {
	full := int(max(0, min(1, share))*float64(width) + .5)
	return strings.Repeat(i.either("█", "#"), full) + strings.Repeat(i.either("░", "."), width-full)
}

// change is what a release brings: v1 → v2.
func (i ink) change(r guard.Release) string {
	if r.First() {
		return r.To + " (the first release)"
	}
	return r.From + " " + i.arrow() + " " + r.To
}
