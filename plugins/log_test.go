//go:build unix

package plugins_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// A diary keeps what a plugin says.
type diary struct {
	mu    sync.Mutex
	lines []plugins.Line
}

func (d *diary) write(line plugins.Line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) read() []plugins.Line {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// TestLogLevels has a plugin log with slog and with hclog.
func TestLogLevels(t *testing.T) {
	var d diary
	kit := plugintest.Open(t, "bad", plugins.Options{Log: d.write})
	if got := says(t, plugintest.Make(t, kit.Backends["bad"], nil), "json"); got != "" {
		t.Fatal(got)
	}
	eventually(t, "both lines arrive", func() bool { return len(d.read()) == 2 })
	want := []plugins.Line{
		{Level: "warn", Text: `flagd is slow attempt=3 where="port 8013"`},
		{Level: "error", Text: "gone\nfor good @module=inner code=7"},
	}
	if diff := cmp.Diff(want, d.read()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if got := want[0].String(); got != `warn: flagd is slow attempt=3 where="port 8013"` {
		t.Errorf("String = %s", got)
	}
}

// TestFlood has a plugin write more than anybody can read. It is heard in part, told what was left out, and waits for
// nobody.
func TestFlood(t *testing.T) {
	var d diary
	plugintest.Install(t, "bad")
	kit, stop, err := plugins.Open(t.Context(), "bad", plugins.Options{Log: d.write})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	began := time.Now()
	if got := says(t, b, "flood"); got != "" {
		t.Fatal(got)
	}
	if got := says(t, b, "pid"); strings.Contains(got, "plugin bad") {
		t.Fatal(got)
	}
	stop()
	seconds := int(time.Since(began).Seconds()) + 1
	lines := d.read()
	if most := seconds * (plugins.LinesPerSecond + 1); len(lines) > most {
		t.Errorf("%d lines in %d seconds, want %d at most", len(lines), seconds, most)
	}
	left := func(l plugins.Line) bool { return strings.Contains(l.Text, "lines of its log are left out here") }
	if !slices.ContainsFunc(lines, left) {
		t.Errorf("nothing says that lines are left out; the last is %v", lines[len(lines)-1])
	}
	if !slices.Contains(lines, plugins.Line{Text: "line 0"}) {
		t.Errorf("the first line is missing: %v", lines[:min(3, len(lines))])
	}
}

// TestRawOutput has a plugin write to its standard output, past the stream that go-plugin gives it, a line that is too
// long for go-plugin: it must not wait, and is heard.
func TestRawOutput(t *testing.T) {
	var d diary
	kit := plugintest.Open(t, "bad", plugins.Options{Log: d.write})
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	for range 2 {
		if got := says(t, b, "raw"); got != "" {
			t.Fatal(got)
		}
	}
	eventually(t, "what is printed is heard", func() bool { return slices.Contains(d.read(), plugins.Line{Text: "printed"}) })
	long := d.read()[0].Text
	if len(long) > plugins.TextBytes+len("…") || !strings.HasSuffix(long, "y…") {
		t.Errorf("a line of 300 KiB is told in %d bytes that end in %q", len(long), long[max(0, len(long)-10):])
	}
}
