package accesslog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:    "accesslog",
	Sources: map[string]func(guard.With) (guard.Source, error){"log": NewSource},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

var (
	release   = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}
	errorRate = guard.Signal{Name: "errors", Total: "log_requests_total", Bad: `log_requests_total{status=~"5.."}`}
	latency   = guard.Signal{Name: "latency", Histogram: "log_request_duration_seconds", Never: guard.Ceiling{P99: guard.Duration(800 * time.Millisecond)}}
	garbage   = guard.Signal{Name: "garbage", Value: "log_unreadable_lines"}
)

// A logFile is written as a server would.
type logFile struct {
	t    *testing.T
	path string
	file *os.File
}

func newLog(t *testing.T, name string) *logFile {
	l := &logFile{t: t, path: filepath.Join(t.TempDir(), name)}
	l.reopen()
	t.Cleanup(func() { l.file.Close() })
	return l
}

func (l *logFile) reopen() {
	l.t.Helper()
	if l.file != nil {
		l.file.Close()
	}
	var err error
	if l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *logFile) write(text string) {
	l.t.Helper()
	if _, err := l.file.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
}

// line is one request, as the set-up byVersion reads it.
func line(version string, status int, seconds float64) string {
	return fmt.Sprintf(`{"v":%q,"status":%d,"request_time":%.3f}`+"\n", version, status, seconds)
}

func byVersion(path string) guard.With {
	return guard.With{"files": []any{path}, "format": "json", "fields": map[string]any{"arm": "v", "seconds": "request_time"}}
}

func newSource(t *testing.T, with guard.With) guard.Source {
	t.Helper()
	s, err := NewSource(with)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counts reads, and returns "total/bad" of each arm and instance.
func counts(t *testing.T, s guard.Source) map[string]string {
	t.Helper()
	q := guard.Query{Release: release, Signals: []guard.Signal{errorRate}}
	r, err := s.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.CheckReading(q, r); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, series := range r.Series {
		got[fmt.Sprint(series.Arm, " ", series.Instance)] = fmt.Sprintf("%v/%v", series.Total, series.Bad)
	}
	return got
}

func wantCounts(t *testing.T, s guard.Source, canary, baseline string) {
	t.Helper()
	want := map[string]string{}
	if canary != "" {
		want["canary v2"] = canary
	}
	if baseline != "" {
		want["baseline v1"] = baseline
	}
	if diff := cmp.Diff(want, counts(t, s)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRead(t *testing.T) {
	log := newLog(t, "access.log")
	log.write(line("v1", 200, .1) + line("v1", 500, .1) + line("v0", 200, .1)) // before golive was there
	s := newSource(t, byVersion(log.path))
	q := guard.Query{Release: release, Signals: []guard.Signal{errorRate, latency, garbage}}
	if _, err := s.Read(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	log.write(line("v1", 200, .0004) + line("v1", 503, .75) + line("v2", 200, .801) + line("v2", 200, 99) + line("v3", 200, 1) + strings.Repeat(line("v1", 200, .02), 20) + "{\n")
	got, err := s.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.CheckReading(q, got); err != nil {
		t.Error(err)
	}
	within := func(s guard.Series, bound float64) float64 {
		for i, b := range s.Bounds {
			if b == bound {
				return s.Buckets[i]
			}
		}
		t.Errorf("there is no bound %v in %v", bound, s.Bounds)
		return 0
	}
	one := 1.
	want := []guard.Series{
		{Signal: "errors", Arm: guard.Canary, Instance: "v2", Total: 2},
		{Signal: "errors", Arm: guard.Baseline, Instance: "v1", Total: 22, Bad: 1},
		{Signal: "latency", Arm: guard.Canary, Instance: "v2", Total: 2, Sum: 99.801},
		{Signal: "latency", Arm: guard.Baseline, Instance: "v1", Total: 22, Sum: 1.15},
		{Signal: "garbage", Arm: guard.Canary, Instance: log.path, Value: &one},
		{Signal: "garbage", Arm: guard.Baseline, Instance: log.path, Value: &one},
	}
	for i, s := range got.Series {
		if s.Signal != "latency" {
			continue
		}
		if at := within(s, .8); s.Arm == guard.Canary && at != 0 || s.Arm == guard.Baseline && at != 22 { // the limit of the plan
			t.Errorf("%v requests of the %s took less than 0.8 s", at, s.Arm)
		}
		if at := within(s, .001); s.Arm == guard.Baseline && at != 1 {
			t.Errorf("%v requests of the old version took less than 1 ms", at)
		}
		got.Series[i].Bounds, got.Series[i].Buckets = nil, nil
	}
	if diff := cmp.Diff(want, got.Series, cmpopts.IgnoreFields(guard.Series{}, "At"), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// A golive that was started again counts from 0: what its predecessor has counted must not be counted twice.
func TestBeginsAtTheEnd(t *testing.T) {
	log := newLog(t, "access.log")
	log.write(strings.Repeat(line("v1", 500, 1), 50_000) + line("v2", 200, 1)[:10]) // more than lookBack
	s := newSource(t, byVersion(log.path))
	wantCounts(t, s, "", "0/0")
	log.write(line("v2", 200, 1)[10:] + line("v1", 200, 1))
	wantCounts(t, s, "1/0", "1/0") // the line was finished after golive had begun
	wantCounts(t, newSource(t, byVersion(log.path)), "0/0", "0/0")
}

func TestPartialLine(t *testing.T) {
	log := newLog(t, "access.log")
	s := newSource(t, byVersion(log.path))
	counts(t, s)
	whole := line("v2", 500, 1)
	for i := range whole {
		log.write(whole[i : i+1])
		want := ""
		if i == len(whole)-1 {
			want = "1/1"
		}
		wantCounts(t, s, want, "")
	}
}

// TestRotation has four lines, two of which were read, rotates in a way, and writes one more.
func TestRotation(t *testing.T) {
	for name, c := range map[string]struct {
		rotate           func(t *testing.T, l *logFile)
		canary, baseline string
	}{
		"rename": {func(t *testing.T, l *logFile) {
			if err := os.Rename(l.path, l.path+".1"); err != nil {
				t.Fatal(err)
			}
			l.write(line("v1", 500, 1)) // by a server that does not know yet
			l.reopen()
		}, "", "6/2"},
		"copytruncate": {func(t *testing.T, l *logFile) { // what was not read is lost
			if err := l.file.Truncate(0); err != nil {
				t.Fatal(err)
			}
		}, "", "3/1"},
		"copytruncate, and longer than before": {func(t *testing.T, l *logFile) {
			if err := l.file.Truncate(0); err != nil {
				t.Fatal(err)
			}
			l.write(strings.Repeat(line("v2", 200, 2), 4))
		}, "4/0", "3/1"},
		"removed": {func(t *testing.T, l *logFile) {
			if err := os.Remove(l.path); err != nil {
				t.Fatal(err)
			}
			l.reopen()
		}, "", "5/1"},
		"a link to another": {func(t *testing.T, l *logFile) {
			target := l.path + ".2"
			if err := errors.Join(os.Rename(l.path, l.path+".1"), os.WriteFile(target, nil, 0o600), os.Symlink(target, l.path)); err != nil {
				t.Fatal(err)
			}
			l.reopen()
		}, "", "5/1"},
	} {
		t.Run(name, func(t *testing.T) {
			log := newLog(t, "access.log")
			s := newSource(t, byVersion(log.path))
			counts(t, s)
			log.write(line("v1", 200, 1) + line("v1", 500, 1))
			wantCounts(t, s, "", "2/1")
			log.write(line("v1", 200, 1) + line("v1", 200, 1))
			c.rotate(t, log)
			log.write(line("v1", 200, 1))
			wantCounts(t, s, c.canary, c.baseline)
			log.write(line("v1", 200, 1))
			counts(t, s)
			log.write(line("v1", 200, 1))
			if got := counts(t, s)["baseline v1"]; got == c.baseline {
				t.Error("after the rotation nothing is read any more")
			}
		})
	}
}

// A file that was renamed is read on, for a worker may still write to it, but not for ever.
func TestOldFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t, "access.log")
		s := newSource(t, byVersion(log.path))
		old := log.file
		counts(t, s)
		if err := os.Rename(log.path, log.path+".1"); err != nil {
			t.Fatal(err)
		}
		log.file = nil
		log.reopen()
		late := func(want string) {
			t.Helper()
			if _, err := old.WriteString(line("v1", 200, 1)); err != nil {
				t.Fatal(err)
			}
			got, err := readAt(s)
			if err != nil || got != want {
				t.Errorf("%s requests, error %v, want %s", got, err, want)
			}
		}
		late("1")
		time.Sleep(30 * time.Second)
		late("2")
		time.Sleep(time.Minute)
		late("3") // the last look
		late("3")
		old.Close()

		if err := os.Remove(log.path); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"", "", "no log can be read: open "} {
			_, err := readAt(s)
			if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
				t.Errorf("without a file: error %v, want %q", err, want)
			}
			time.Sleep(50 * time.Second)
		}
	})
}

// A lateContext is over after it was asked a number of times whether it is.
type lateContext struct {
	context.Context
	left int
}

func (c *lateContext) Err() error {
	c.left--
	if c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestLateOldFile lets the time for a reading run out at every place of it, when a file that was renamed is looked at
// for the last time: the next reading goes on, and no line is lost or counted twice.
func TestLateOldFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := 0
		for left := range 12 {
			log := newLog(t, "access.log")
			s := newSource(t, byVersion(log.path))
			counts(t, s)
			old := log.file
			if err := os.Rename(log.path, log.path+".1"); err != nil {
				t.Fatal(err)
			}
			log.file = nil
			log.reopen()
			if _, err := readAt(s); err != nil { // from here on the old file is one that was replaced
				t.Fatal(err)
			}
			time.Sleep(linger + time.Second)
			if _, err := old.WriteString(line("v1", 200, 1) + line("v1", 200, 1)); err != nil {
				t.Fatal(err)
			}
			old.Close()
			log.write(line("v1", 200, 1) + line("v1", 200, 1))
			if _, err := s.(*Source).logs[0].read(&lateContext{t.Context(), left}, time.Now()); err != nil {
				failed++
			}
			for range 2 {
				if got, err := readAt(s); err != nil || got != "4" {
					t.Errorf("late after %d looks at the clock: %s requests, error %v, want 4", left, got, err)
				}
			}
			if files := s.(*Source).logs[0].files; len(files) != 1 {
				t.Errorf("late after %d looks at the clock: %d files are read on, want 1", left, len(files))
			}
		}
		if failed < 5 || failed == 12 {
			t.Errorf("%d of 12 readings failed, want some that do and some that do not", failed)
		}
	})
}

// readAt returns how many requests the old version had, by a clock that a file system does not have.
func readAt(s guard.Source) (string, error) {
	source := s.(*Source)
	source.mu.Lock()
	defer source.mu.Unlock()
	l := source.logs[0]
	_, err := l.read(context.Background(), time.Now())
	if err != nil {
		return "", fmt.Errorf("no log can be read: %w", err)
	}
	total := 0.
	for _, c := range l.counts {
		total += c.total
	}
	return fmt.Sprint(total), nil
}

func TestMissingFile(t *testing.T) {
	dir := t.TempDir()
	with := guard.With{"canary_files": []any{dir + "/{{.To}}.log"}, "stable_files": []any{dir + "/{{.From}}.log"}, "format": "json"}
	s := newSource(t, with)
	q := guard.Query{Release: release, Signals: []guard.Signal{errorRate}}
	if _, err := s.Read(t.Context(), q); err == nil || strings.Count(err.Error(), "no such file") != 2 {
		t.Errorf("Read without logs: error %v", err)
	}
	write := func(version string) {
		if err := os.WriteFile(filepath.Join(dir, version+".log"), []byte(line("x", 200, 1)+line("x", 500, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("v1")
	if diff := cmp.Diff(map[string]string{"baseline " + dir + "/v1.log": "2/1"}, counts(t, s)); diff != "" { // all of it is new
		t.Errorf("(-want +got)\n%s", diff)
	}
	write("v2")
	if diff := cmp.Diff(map[string]string{"baseline " + dir + "/v1.log": "2/1", "canary " + dir + "/v2.log": "2/1"}, counts(t, s)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	first := guard.Release{Service: "shop", To: "v2"}
	r, err := s.Read(t.Context(), guard.Query{Release: first, Signals: []guard.Signal{errorRate}})
	if err != nil || len(r.Series) != 1 || r.Series[0].Arm != guard.Canary || r.Series[0].Total != 0 {
		t.Errorf("the first release: %+v, error %v", r, err) // it begins anew, at the end
	}
}

// A log that nobody writes to is no sign of health.
func TestQuietLogIsNoData(t *testing.T) {
	log := newLog(t, "access.log")
	log.write(line("v1", 200, 1))
	s := newSource(t, byVersion(log.path))
	wantCounts(t, s, "", "0/0")
	old := time.Now().Add(-6 * time.Minute)
	if err := os.Chtimes(log.path, old, old); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, s, "", "")
	log.write(line("v1", 200, 1))
	wantCounts(t, s, "", "1/0")
}

func TestGarbledLog(t *testing.T) {
	log := newLog(t, "access.log")
	s := newSource(t, byVersion(log.path))
	counts(t, s)
	log.write(strings.Repeat(line("v1", 200, 1), 18) + `{"v":"v1","token":"hunter2"}` + "\n")
	q := guard.Query{Release: release, Signals: []guard.Signal{errorRate}}
	_, err := s.Read(t.Context(), q)
	if want := log.path + ": 1 of 19 new lines are not understood, the last because it has no field status (look at format and fields)"; err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	wantCounts(t, s, "", "18/0")
	log.write(strings.Repeat("x", 2*lineBytes) + "\n" + strings.Repeat(line("v1", 200, 1), 20))
	wantCounts(t, s, "", "38/0") // one in twenty may be odd
	log.write(strings.Repeat("x", 2*lineBytes))
	wantCounts(t, s, "", "38/0")
	log.write("\n")
	if _, err := s.Read(t.Context(), q); err == nil || !strings.Contains(err.Error(), "it is longer than 65536 bytes") {
		t.Errorf("error %v", err)
	}

	with := byVersion(log.path)
	with["labels"] = []any{"path"}
	s = newSource(t, with)
	log.file.Truncate(0)
	counts(t, s)
	for i := range mostCounts + 200 {
		log.write(fmt.Sprintf(`{"v":"v1","status":200,"request_time":1,"path":"/%d"}`+"\n", i))
	}
	if _, err := s.Read(t.Context(), q); err == nil || !strings.Contains(err.Error(), "it is of more than 2000 kinds of requests (let labels say less)") {
		t.Errorf("error %v", err)
	}
}

// TestTwoLogs keeps apart what two proxies say of one instance: when one of them is quiet, the other must not look as
// if it had fallen.
func TestTwoLogs(t *testing.T) {
	one, two := newLog(t, "one.log"), newLog(t, "two.log")
	with := byVersion(one.path)
	with["files"] = []any{one.path, two.path}
	s := newSource(t, with)
	counts(t, s)
	one.write(line("v1", 200, 1))
	two.write(line("v1", 200, 1) + line("v1", 503, 1))
	if diff := cmp.Diff(map[string]string{"baseline v1 in " + one.path: "1/0", "baseline v1 in " + two.path: "2/1"}, counts(t, s)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestConfig(t *testing.T) {
	change := func(change func(guard.With)) guard.With {
		w := byVersion("/var/log/access.log")
		change(w)
		return w
	}
	fields := func(f map[string]any) guard.With { return change(func(w guard.With) { w["fields"] = f }) }
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":         {guard.With{}, "format: \"\" is none (json, common, combined, or regexp in its place)\nfiles: write either files, or both canary_files and stable_files"},
		"both":            {change(func(w guard.With) { w["canary_files"], w["stable_files"] = []any{"a"}, []any{"b"} }), "files: write either files, or both canary_files and stable_files"},
		"half":            {guard.With{"format": "json", "canary_files": []any{"a"}}, "files: write either files, or both canary_files and stable_files"},
		"no arm":          {fields(map[string]any{}), "fields.arm: missing (the field that tells the versions apart, such as upstream_addr)"},
		"arm twice":       {guard.With{"format": "json", "canary_files": []any{"a"}, "stable_files": []any{"b"}, "fields": map[string]any{"arm": "v"}}, "fields.arm: the files tell the versions apart already (remove it, canary and stable)"},
		"a pattern":       {change(func(w guard.With) { w["files"] = []any{"/var/log/*.log"} }), `files[0]: "/var/log/*.log" is a pattern, and has to be one file`},
		"no pattern":      {change(func(w guard.With) { w["canary"] = []any{"a", "[b"} }), `canary[1]: "[b" is neither a name nor a pattern like 10.0.0.7:*`},
		"twice":           {change(func(w guard.With) { w["files"] = []any{"/a", "/a"} }), "files[1]: /a is listed twice"},
		"template":        {change(func(w guard.With) { w["stable"] = []any{"{{.Form}}"} }), "stable[0]: {{.Form}} means nothing here (did you mean From?)"},
		"two durations":   {fields(map[string]any{"arm": "v", "seconds": "a", "milliseconds": "b"}), "fields: a request has one duration (write one of seconds, milliseconds, microseconds and nanoseconds)"},
		"no status":       {fields(map[string]any{"arm": "v", "status": ""}), "fields.status: missing (the field that holds the status)"},
		"slip":            {fields(map[string]any{"arm": "v", "second": "t"}), "fields.second: there is no such key (did you mean seconds?)"},
		"label":           {change(func(w guard.With) { w["labels"] = []any{"method", "status"} }), `labels: "status" cannot be a label (letters, digits and underscores; status and instance are there already)`},
		"format":          {change(func(w guard.With) { w["format"] = "jsonl" }), `format: "jsonl" is none (json, common, combined, or regexp in its place)`},
		"format, regexp":  {change(func(w guard.With) { w["regexp"] = "(?P<v>.)(?P<status>.)(?P<request_time>.)" }), "regexp: takes the place of format (write one of them)"},
		"common, no time": {change(func(w guard.With) { w["format"] = "common" }), "fields: the lines have no request_time (regexp needs a group (?P<request_time>...), which common and combined may lack)\nfields: the lines have no v (regexp needs a group (?P<v>...), which common and combined may lack)"},
		"regexp":          {guard.With{"files": []any{"/a"}, "regexp": "(", "fields": map[string]any{"arm": "v"}}, "regexp: error parsing regexp: missing closing ): `(`"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewSource(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
}

func TestContract(t *testing.T) {
	log := newLog(t, "access.log")
	log.write(line("v1", 200, .1) + line("v2", 200, .1))
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		source := plugintest.Make(t, kit.Sources["log"], byVersion(log.path))
		plugintest.Source(t, source, plugintest.SourceCase{Query: guard.Query{Release: release, Signals: []guard.Signal{errorRate, latency}}})
	})
}
