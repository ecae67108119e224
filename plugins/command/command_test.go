//go:build unix

package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

var release = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}

func order(seq int64) guard.Order {
	return guard.Order{Release: release, Fence: 3, Seq: seq, Key: "r7/" + strconv.FormatInt(seq, 10)}
}

func TestConfig(t *testing.T) {
	backend := func(with guard.With) error { _, err := NewBackend(with); return err }
	probe := func(with guard.With) error { _, err := NewProbe(with); return err }
	vault := func(with guard.With) error { _, err := NewVault(with); return err }
	for name, c := range map[string]struct {
		make func(guard.With) error
		with guard.With
		err  string
	}{
		"backend, nothing": {backend, nil, "inspect: missing (a shell command)\nshift: missing (a shell command)"},
		"backend, slip":    {backend, guard.With{"inspect": "i", "shfit": "s"}, "shfit: there is no such key (did you mean shift?)\nshift: missing (a shell command)"},
		"backend, timeout": {backend, guard.With{"inspect": "i", "shift": "s", "timeout": "0s"}, "timeout: must be longer than nothing"},
		"probe, nothing":   {probe, nil, "run: missing (a shell command)"},
		"probe, contains":  {probe, guard.With{"run": "r", "contains": "{{.Form}}"}, "contains: {{.Form}} means nothing here (did you mean From?)"},
		"vault, blank":     {vault, guard.With{"list": " "}, "list: missing (a shell command)"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.make(c.with)
			if err == nil || err.Error() != c.err {
				t.Errorf("got %v, want %s", err, c.err)
			}
		})
	}
}

// TestEnvironment lets commands say what they know.
func TestEnvironment(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	say := "env | grep ^GOLIVE_ | sort > " + said
	b, err := NewBackend(guard.With{"inspect": say + `; echo '{"percent":0}'`, "shift": say, "finish": say})
	if err != nil {
		t.Fatal(err)
	}
	const known = "GOLIVE_ENVIRONMENT=test\nGOLIVE_FENCE=3\nGOLIVE_FROM=v1\nGOLIVE_KEY=r7/4\n"
	for _, c := range []struct {
		verb string
		call func() error
		want string
	}{
		{"inspect", func() error { _, err := b.Inspect(t.Context(), release); return err },
			"GOLIVE_ENVIRONMENT=test\nGOLIVE_FROM=v1\nGOLIVE_RELEASE=r7\nGOLIVE_SERVICE=shop\nGOLIVE_TO=v2\n"},
		{"shift", func() error { return b.Shift(t.Context(), order(4), 10) },
			known + "GOLIVE_PERCENT=10\nGOLIVE_RELEASE=r7\nGOLIVE_SEQ=4\nGOLIVE_SERVICE=shop\nGOLIVE_TO=v2\n"},
		{"finish", func() error { return b.Finish(t.Context(), order(4)) },
			known + "GOLIVE_RELEASE=r7\nGOLIVE_SEQ=4\nGOLIVE_SERVICE=shop\nGOLIVE_TO=v2\n"},
	} {
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.verb, err)
		}
		got, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.verb, diff)
		}
	}
}

func TestInspectBelievesNoNonsense(t *testing.T) {
	for name, c := range map[string]struct {
		inspect string
		want    guard.Standing
		err     string
	}{
		"a standing": {
			inspect: `echo '{"percent":10,"undo":{"open":true,"detail":"v1 answers"},"shares":[0,10,100],"detail":"d"}'; echo noise >&2`,
			want: guard.Standing{Percent: 10, Undo: guard.Undo{Open: true, Detail: "v1 answers"},
				Shares: []int{0, 10, 100}, Detail: "d"},
		},
		"no percent":       {inspect: `echo '{"undo":{"open":true}}'`, err: "has no percent"},
		"percent too high": {inspect: `echo '{"percent":400}'`, err: "a share of 400% cannot be"},
		"percent too low":  {inspect: `echo '{"percent":-1}'`, err: "a share of -1% cannot be"},
		"shares too high":  {inspect: `echo '{"percent":1,"shares":[0,101]}'`, err: "a share of 101% cannot be"},
		"unknown key":      {inspect: `echo '{"percent":1,"open":true}'`, err: `unknown field "open"`},
		"text":             {inspect: `echo ten`, err: `"ten\n" is not a standing like {"percent":10,"undo":{"open":true}}`},
		"nothing":          {inspect: `true`, err: `"" is not a standing`},
		"two":              {inspect: `echo '{"percent":1}{"percent":2}'`, err: "goes on after the standing"},
		"too much":         {inspect: `yes | head -c 3000000`, err: "it printed more than 1048576 bytes"},
		"exit status":      {inspect: `echo '{"percent":1}'; echo denied >&2; exit 3`, err: "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := NewBackend(guard.With{"inspect": c.inspect, "shift": "true"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.Inspect(t.Context(), release)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("Inspect = %v, error %v, want an error with %q", got, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Inspect (-want +got):\n%s", diff)
			}
		})
	}
}

// TestErrorsTellTheEnd holds errors to the last 4 KiB of the output, and to silence about the script.
func TestErrorsTellTheEnd(t *testing.T) {
	b, err := NewBackend(guard.With{"inspect": "true", "shift": ": hunter2; yes | head -c 100000; echo the end; exit 9"})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Shift(t.Context(), order(1), 10)
	if err == nil {
		t.Fatal("exit status 9 is no error")
	}
	text := err.Error()
	if !strings.HasPrefix(text, "the shift command: exit status 9: ...") || !strings.HasSuffix(text, "the end") {
		t.Errorf("error begins %.80q and ends %q", text, text[max(0, len(text)-20):])
	}
	if len(text) > 4<<10+100 {
		t.Errorf("error has %d bytes", len(text))
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("error tells the script: %s", text)
	}
}

// TestWholeGroupEnds starts a command whose grandchild is deaf to SIGTERM, and ends it by timeout and by hand.
func TestWholeGroupEnds(t *testing.T) {
	for name, c := range map[string]struct {
		timeout string
		end     func(cancel context.CancelCauseFunc, started func())
		err     string
	}{
		"timeout": {"300ms", func(context.CancelCauseFunc, func()) {}, "not done after 300ms"},
		"cancel": {"1m", func(cancel context.CancelCauseFunc, started func()) {
			started()
			cancel(errors.New("the aim has changed"))
		}, "the aim has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			script := `sh -c 'trap "" TERM; echo $$ > ` + file + `.part; mv ` + file + `.part ` + file + `; while :; do sleep 0.05; done'; true`
			b, err := NewBackend(guard.With{"inspect": "true", "shift": script, "timeout": c.timeout})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := make(chan error)
			go func() { done <- b.Shift(ctx, order(1), 10) }()
			c.end(cancel, func() { eventually(t, func() bool { _, err := os.Stat(file); return err == nil }) })
			if err := <-done; err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("Shift: error %v, want %q", err, c.err)
			}
			eventually(t, func() bool { return gone(pidFrom(t, file)) })
		})
	}
}

func pidFrom(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone says that a process runs no more; one that nobody waited for yet is gone too.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// eventually waits for another process, which no synctest bubble can hold.
func eventually(t *testing.T, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !true(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come true within 10s")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestLeftBehind(t *testing.T) {
	b, err := NewBackend(guard.With{"inspect": "true", "shift": "sleep 60 & echo $! > pid; true", "finish": "sleep 60 >/dev/null 2>&1 & echo $! > pid; true"})
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	err = b.Shift(t.Context(), order(1), 10)
	if err == nil || !strings.Contains(err.Error(), "left a process behind") {
		t.Errorf("Shift: error %v, want one about the process left behind", err)
	}
	eventually(t, func() bool { return gone(pidFrom(t, "pid")) })
	if err := b.Finish(t.Context(), order(2)); err != nil {
		t.Errorf("Finish with a daemon that closed its output: %v", err)
	}
	pid := pidFrom(t, "pid")
	if gone(pid) {
		t.Error("the daemon that the command meant to leave was ended")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		with    guard.With
		release guard.Release
		want    guard.Verdict
		reason  string
		err     string
	}{
		"yes":                  {with: guard.With{"run": "true"}, want: guard.Pass},
		"no":                   {with: guard.With{"run": "echo down; exit 1"}, want: guard.Fail, reason: "the command ended with exit status 1: down"},
		"no, and mute":         {with: guard.With{"run": "exit 1"}, want: guard.Fail, reason: "the command ended with exit status 1, without any output"},
		"contains":             {with: guard.With{"run": "echo it is $GOLIVE_FROM", "contains": "is {{.From}}"}, want: guard.Pass},
		"contains not":         {with: guard.With{"run": "echo it is $GOLIVE_TO", "contains": "is {{.From}}"}, want: guard.Fail, reason: `the command does not print "is v1"`},
		"contains on stderr":   {with: guard.With{"run": "echo v1 >&2", "contains": "v1"}, want: guard.Fail, reason: `the command does not print "v1"`},
		"no such program":      {with: guard.With{"run": "no-such-program-here"}, err: "exit status 127"},
		"not a program":        {with: guard.With{"run": "/"}, err: "exit status 126"},
		"killed":               {with: guard.With{"run": "kill -9 $$"}, err: "signal: killed"},
		"too slow":             {with: guard.With{"run": "exec sleep 60", "timeout": "50ms"}, err: "not done after 50ms"},
		"contains with a hole": {with: guard.With{"run": "true", "contains": "{{.From}}"}, release: guard.Release{To: "v1"}, err: "{{.From}} is empty in this release"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewProbe(c.with)
			if err != nil {
				t.Fatal(err)
			}
			if c.release.To == "" {
				c.release = release
			}
			got, err := p.Probe(t.Context(), c.release)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("Probe = %v, error %v, want an error with %q", got, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Verdict != c.want || got.Reason != c.reason {
				t.Errorf("Probe = %v because %q, want %v because %q", got.Verdict, got.Reason, c.want, c.reason)
			}
		})
	}
}

func TestVault(t *testing.T) {
	night := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		list string
		want []guard.Backup
		err  string
	}{
		"none":            {list: "true"},
		"none, as JSON":   {list: "echo '[]'", want: []guard.Backup{}},
		"JSON":            {list: `echo '[{"id":"a","ended":"2026-11-24T03:00:00Z","bytes":5}]'`, want: []guard.Backup{{ID: "a", Ended: night, Bytes: 5}}},
		"lines":           {list: `printf '2026-11-24T03:00:00Z full 1\n\n2026-11-24T04:00:00Z\n'`, want: []guard.Backup{{ID: "full 1", Ended: night}, {ID: "2026-11-24T04:00:00Z", Ended: night.Add(time.Hour)}}},
		"not ended":       {list: `echo '[{"id":"a"}]'`, err: `backup "a" has not ended`},
		"unknown key":     {list: `echo '[{"id":"a","end":"2026-11-24T03:00:00Z"}]'`, err: `unknown field "end"`},
		"another line":    {list: `echo yesterday`, err: `"yesterday\n" does not begin with a time`},
		"an object":       {list: `echo '{}'`, err: "does not begin with a time"},
		"failed mid-list": {list: `echo 2026-11-24T03:00:00Z; exit 1`, err: "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := NewVault(guard.With{"list": c.list})
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Backups(t.Context())
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("Backups = %v, error %v, want an error with %q", got, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Backups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCollect(t *testing.T) {
	release := guard.Release{ID: "1", Service: "shop", From: "v1", To: "v2"}
	for name, c := range map[string]struct {
		with      guard.With
		want, err string
	}{
		"both outputs":                  {with: guard.With{"run": "echo of $GOLIVE_TO; echo wrong >&2"}, want: "of v2\nwrong\n"},
		"more than a story":             {with: guard.With{"run": "seq 1 20000 | tail -c 100000"}, want: "19999\n20000\n"},
		"what came before it":           {with: guard.With{"run": "echo begun; exit 3"}, want: "begun\n", err: "exit status 3"},
		"what came before it timed out": {with: guard.With{"run": "echo begun; exec sleep 60", "timeout": "200ms"}, want: "begun\n", err: "not done after 200ms"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newCollector(t, c.with).Collect(t.Context(), release)
			if !strings.HasSuffix(string(got), c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("collected %.200q, error %v; want %q, error %q", got, err, c.want, c.err)
			}
		})
	}
}

func newCollector(t *testing.T, with guard.With) guard.Collector {
	t.Helper()
	c, err := NewCollector(with)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
