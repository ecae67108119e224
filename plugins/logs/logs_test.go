package logs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var release = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}

// write makes a log that was written to so long ago.
func write(t *testing.T, path, text string, ago time.Duration) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-ago)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestCollect(t *testing.T) {
	now := time.Now()
	at := func(ago time.Duration, layout string) string { return now.Add(-ago).Format(layout) }
	old, young := 30*time.Minute, 2*time.Minute
	for name, layout := range map[string]string{
		"RFC 3339": time.RFC3339Nano, "with a space": "2006-01-02 15:04:05.000", "nginx": "2006/01/02 15:04:05",
		"syslog": "Jan _2 15:04:05", "access log": `10.0.0.7 - - [02/Jan/2006:15:04:05 -0700] "GET / HTTP/1.1"`, "Java": "2006-01-02 15:04:05,000",
		"JSON": `{"level":"info","time":"2006-01-02T15:04:05Z07:00"}`, "offset": "2006-01-02 15:04:05 -0700", "offset without a space": "2006-01-02T15:04:05-0700",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.log")
			want := at(young, layout) + " young\n  its stack\n"
			write(t, path, at(old, layout)+" old\n  its stack\n"+want, 0)
			content, err := plugintest.Make(t, NewCollector, guard.With{"path": path}).Collect(t.Context(), release)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("==> "+path+" <==\n"+want, string(content)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("seconds since 1970", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "shop.log")
		write(t, path, fmt.Sprintf("{\"ts\":%d.5,\"m\":\"old\"}\n{\"ts\":%d,\"m\":\"young\"}\n", now.Add(-old).Unix(), now.Add(-young).UnixMilli()), 0)
		content, err := plugintest.Make(t, NewCollector, guard.With{"path": path}).Collect(t.Context(), release)
		if err != nil || strings.Contains(string(content), "old") || !strings.Contains(string(content), "young") {
			t.Errorf("%s, error %v", content, err)
		}
	})
}

// TestCollectFiles reads several logs, of which one was not written to for long, and one does not tell any times.
func TestCollectFiles(t *testing.T) {
	dir := t.TempDir()
	stamp := time.Now().Add(-time.Minute).Format(time.RFC3339)
	write(t, filepath.Join(dir, "v2.1.log"), stamp+" rotated\n", 5*time.Minute)
	write(t, filepath.Join(dir, "v2.log"), stamp+" latest", 0)
	write(t, filepath.Join(dir, "v2.2.log"), stamp+" of yesterday\n", 24*time.Hour)
	write(t, filepath.Join(dir, "v2.plain.log"), "no time at all\n", 3*time.Minute)
	write(t, filepath.Join(dir, "v1.log"), stamp+" of another version\n", 0)
	c := plugintest.Make(t, NewCollector, guard.With{"path": filepath.Join(dir, "{{.To}}*.log"), "last": "10m"})
	content, err := c.Collect(t.Context(), release)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, piece := range [][2]string{{"v2.1.log", stamp + " rotated\n"}, {"v2.plain.log", "no time at all\n"}, {"v2.log", stamp + " latest\n"}} {
		want += "==> " + filepath.Join(dir, piece[0]) + " <==\n" + piece[1]
	}
	if diff := cmp.Diff(want, string(content)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plugintest.Collector(t, c, release, "latest")
}

// TestCollectLarge keeps the end of what is too large, in whole lines, and says so.
func TestCollectLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.log")
	stamp := time.Now().Format(time.RFC3339)
	write(t, path, strings.Repeat(stamp+" a line of the log\n", 300_000)+stamp+" the last\n", 0)
	content, err := plugintest.Make(t, NewCollector, guard.With{"path": path}).Collect(t.Context(), release)
	if !errors.Is(err, guard.ErrCut) {
		t.Errorf("error %v, want ErrCut", err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(content) > guard.ExhibitBytes || len(content) < guard.ExhibitBytes-1000 || !strings.HasSuffix(lines[len(lines)-1], "the last") || !strings.HasPrefix(lines[1], stamp) {
		t.Errorf("%d bytes from %.100q to %q", len(content), lines[1], lines[len(lines)-1])
	}
	write(t, path, strings.Repeat("a line without a time\n", 100_000), 0)
	content, err = plugintest.Make(t, NewCollector, guard.With{"path": path}).Collect(t.Context(), release)
	if err != nil || len(content) > undated+1000 || len(content) < undated-1000 {
		t.Errorf("of lines without a time %d bytes, error %v", len(content), err)
	}
}

// TestCollectOtherZone does not lose a log whose times are those of another zone.
func TestCollectOtherZone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.log")
	write(t, path, time.Now().Add(-8*time.Hour).Format("2006-01-02 15:04:05")+" young, elsewhere\n", 0)
	content, err := plugintest.Make(t, NewCollector, guard.With{"path": path}).Collect(t.Context(), release)
	if err != nil || !strings.Contains(string(content), "young, elsewhere") {
		t.Errorf("%s, error %v", content, err)
	}
}

func TestCollectNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := plugintest.Make(t, NewCollector, guard.With{"path": filepath.Join(dir, "*.log")}).Collect(t.Context(), release); err == nil {
		t.Error("no file fits, and that is no error")
	}
	for name, with := range map[string]guard.With{
		"no path": {}, "no pattern": {"path": "/var/[log"}, "an unknown word": {"path": "/var/{{.Version}}"}, "no time": {"path": "/x", "last": "0s"},
		"an unknown key": {"path": "/x", "lines": 5},
	} {
		if _, err := NewCollector(with); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestNewYear reads times without a year on both sides of a new year.
func TestNewYear(t *testing.T) {
	eve := time.Date(2026, 12, 31, 23, 55, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"Dec 31 23:54:59 host shop: x": time.Date(2026, 12, 31, 23, 54, 59, 0, time.Local),
		"Jan  1 00:01:00 host shop: x": time.Date(2027, 1, 1, 0, 1, 0, 0, time.Local),
	} {
		if got, known := timeOf([]byte(text), eve); !known || !got.Equal(want) {
			t.Errorf("%s is %v (%v), want %v", text, got, known, want)
		}
	}
}
