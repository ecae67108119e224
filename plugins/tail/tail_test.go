package tail

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

func TestCollect(t *testing.T) {
	now := time.Now()
	at := func(ago time.Duration, layout string) string { return now.Add(-ago).Format(layout) }
	local := "2006-01-02 15:04:05"
	for name, c := range map[string]struct{ log, want string }{
		"RFC 3339":            {at(time.Hour, time.RFC3339) + " old\n" + at(time.Minute, time.RFC3339) + " new\n", "new\n"},
		"with a comma":        {at(time.Hour, local) + ",123 old\n" + at(time.Minute, local) + ",123 new\n", "new\n"},
		"in the zone of here": {at(time.Hour, local) + " old\n" + at(time.Minute, local) + " new\n", "new\n"},
		"JSON":                {`{"ts":"` + at(time.Hour, time.RFC3339Nano) + `","m":"old"}` + "\n" + `{"ts":"` + at(time.Minute, time.RFC3339Nano) + `","m":"new"}` + "\n", `"new"}` + "\n"},
		"an access log": {`1.2.3.4 - - [` + at(time.Hour, "02/Jan/2006:15:04:05 -0700") + `] "GET /old"` + "\n" +
			`1.2.3.4 - - [` + at(time.Minute, "02/Jan/2006:15:04:05 -0700") + `] "GET /new"` + "\n", `"GET /new"` + "\n"},
		"a trace of its own lines": {at(time.Hour, time.RFC3339) + " old\n at main.go:1\n" + at(time.Minute, time.RFC3339) + " new\n at main.go:2\n", "new\n at main.go:2\n"},
		"no times":                 {"one\ntwo\n", "one\ntwo\n"},
		"nothing new":              {at(time.Hour, time.RFC3339) + " old\n more of it\n", ""},
		"nothing":                  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.log")
			write(t, path, c.log)
			got, err := collect(t, guard.With{"path": path})
			if err != nil || !strings.HasSuffix(got, c.want) || strings.Contains(got, "old") {
				t.Errorf("collected %q (%v), want the end %q", got, err, c.want)
			}
		})
	}
}

func TestCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.log")
	write(t, path, strings.Repeat("a line of ten\n", 100)+"the last line\n")
	got, err := collect(t, guard.With{"path": path, "bytes": 40})
	if err != nil || len(got) > 40 || !strings.HasSuffix(got, "\nthe last line\n") || !strings.HasPrefix(got, "a line") {
		t.Errorf("collected %q (%v), want whole lines", got, err)
	}
}

func TestSeveral(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.log"), "of a\n")
	write(t, filepath.Join(dir, "b.log"), "of b\n")
	if err := syscall.Mkfifo(filepath.Join(dir, "c.log"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := collect(t, guard.With{"path": filepath.Join(dir, "*.log")})
	if !strings.Contains(got, "a.log\nof a\n") || !strings.Contains(got, "b.log\nof b\n") {
		t.Errorf("collected %q, want both under their names", got)
	}
	if err == nil || !strings.Contains(err.Error(), "c.log is no regular file") {
		t.Errorf("the error is %v, want one about c.log", err)
	}
}

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	pattern := filepath.Join(dir, "*.log")
	if _, err := collect(t, guard.With{"path": pattern}); err == nil || !strings.Contains(err.Error(), "no file fits") {
		t.Errorf("the error is %v, want one that says that no file fits", err)
	}
	release := guard.Release{ID: "1", Service: "shop", From: "v1", To: "v2"}
	plugintest.Probe(t, plugintest.Make(t, NewProbe, guard.With{"path": pattern}), release, guard.Fail)
	write(t, filepath.Join(dir, "a.log"), "of a\n")
	plugintest.Probe(t, plugintest.Make(t, NewProbe, guard.With{"path": pattern}), release, guard.Pass)
}

func TestConfig(t *testing.T) {
	for want, with := range map[string]guard.With{
		"path: missing": {},
		"last:":         {"path": "/x", "last": "0s"},
		"bytes:":        {"path": "/x", "bytes": 0},
		"is not a patt": {"path": "["},
	} {
		if _, err := NewCollector(with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: the error is %v, want one with %q", with, err, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func collect(t *testing.T, with guard.With) (string, error) {
	t.Helper()
	got, err := plugintest.Make(t, NewCollector, with).Collect(t.Context(), guard.Release{})
	return string(got), err
}
