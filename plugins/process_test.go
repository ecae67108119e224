//go:build unix

package plugins_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// process makes the bad plugin say a number: that of its own process, or of a child that it starts.
func process(t *testing.T, b guard.Backend, id string) int {
	t.Helper()
	s, err := b.Inspect(t.Context(), guard.Release{ID: id, To: "300"})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(s.Detail)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

// TestChildrenEndWithTheirPlugin has a plugin start a process that holds its output open, as a shell command in the
// background does, and ends the plugin in every way that there is.
func TestChildrenEndWithTheirPlugin(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, b guard.Backend, stop func()){
		"stopped": func(_ *testing.T, _ guard.Backend, stop func()) { stop() },
		"crashed": func(t *testing.T, b guard.Backend, _ func()) {
			if got, want := says(t, b, "exit"), "plugin bad: it ended during the call"; !strings.HasPrefix(got, want) {
				t.Errorf("exit: %q, want %q", got, want)
			}
		},
		"killed": func(t *testing.T, b guard.Backend, _ func()) {
			if err := syscall.Kill(process(t, b, "pid"), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		},
		"given up": func(t *testing.T, b guard.Backend, _ func()) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if err := b.Shift(ctx, guard.Order{Release: guard.Release{ID: "deaf"}}, 50); err == nil {
				t.Error("Shift that was given up: no error")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			plugintest.Install(t, "bad")
			kit, stop, err := plugins.Open(t.Context(), "bad", plugins.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			b := plugintest.Make(t, kit.Backends["bad"], nil)
			child := process(t, b, "child")
			if gone(child) {
				t.Fatal("the child does not run")
			}
			began := time.Now()
			end(t, b, stop)
			eventually(t, "the child ends with its plugin", func() bool { return gone(child) })
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the end took %v", took)
			}
		})
	}
}

// TestOutputHeldOpen has a process leave the group of its plugin with the plugin's output, so that nothing ends it:
// golive waits for neither.
func TestOutputHeldOpen(t *testing.T) {
	plugintest.Install(t, "bad")
	kit, stop, err := plugins.Open(t.Context(), "bad", plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	child := process(t, b, "daemon")
	for group := 0; group != child; { // it has to have left before its plugin ends
		time.Sleep(time.Millisecond)
		if group, err = syscall.Getpgid(child); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := says(t, b, "exit"), "plugin bad: it ended during the call"; !strings.HasPrefix(got, want) {
		t.Errorf("exit: %q, want %q", got, want)
	}
	if got := says(t, b, "pid"); strings.Contains(got, "plugin bad") {
		t.Errorf("the next call says %s", got)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stop took %v", took)
	}
	if gone(child) {
		t.Error("a process that has left the group of its plugin was ended")
	}
}

// TestSignalsToAll sends a plugin what a terminal and systemd send to all processes around golive, which needs the
// plugin to go back.
func TestSignalsToAll(t *testing.T) {
	kit := plugintest.Open(t, "bad", plugins.Options{})
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	pid := process(t, b, "pid")
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // for a signal that ends it
		if now := process(t, b, "pid"); now != pid {
			t.Errorf("after %v another process answers", s)
			pid = now
		}
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("the plugin is in the group %d, error %v, want its own: a Ctrl-C would reach it", group, err)
	}
}

// script installs a shell script as the program of a plugin.
func script(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "golive-plugin-"+name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return path
}

// TestPinHoldsTheProgram changes a program between its check and its start.
func TestPinHoldsTheProgram(t *testing.T) {
	const (
		text    = "#!/bin/sh\necho the right one\n"
		changed = "it was changed or replaced while it was being started"
	)
	digest := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	for name, c := range map[string]struct {
		between func(path string) error
		err     string
	}{
		"untouched": {func(string) error { return nil }, ""},
		"replaced": {func(path string) error {
			if err := os.WriteFile(path+".new", []byte("#!/bin/sh\necho another\n"), 0o755); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, changed},
		"written to": {func(path string) error { return os.WriteFile(path, []byte("#!/bin/sh\necho another\n"), 0o755) }, changed},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "program")
			if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // the clock of a file system is coarse
			cmd := exec.CommandContext(t.Context(), path)
			var output strings.Builder
			cmd.Stdout = &output
			err := plugins.StartPinned(cmd, digest, func() {
				if err := c.between(path); err != nil {
					t.Fatal(err)
				}
			})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("start: error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil || output.String() != "the right one\n" {
				t.Errorf("it says %q, error %v", output.String(), err)
			}
		})
	}
}

// TestHandshakes has programs shake hands in ways that golive must not accept.
func TestHandshakes(t *testing.T) {
	for name, c := range map[string]struct{ script, err string }{
		"future":    {"echo '1|7|unix|/nowhere|grpc|'; sleep 60", "it speaks version 7 of the protocol and later ones, and this golive version 1: upgrade golive"},
		"past":      {"echo '1|0|unix|/nowhere|grpc|'; sleep 60", "it speaks version 0 of the protocol, and this golive version 1: upgrade the plugin"},
		"no-tls":    {"echo '1|1|tcp|127.0.0.1:9|grpc|'; sleep 60", "it listens on tcp 127.0.0.1:9 without TLS: that takes a unix socket in the directory that PLUGIN_UNIX_SOCKET_DIR names"},
		"elsewhere": {"echo '1|1|unix|/tmp/socket|grpc|'; sleep 60", "it listens on unix /tmp/socket without TLS"},
		"bad-cert":  {"echo '1|1|unix|/nowhere|grpc|'$(printf %060d 0); sleep 60", "error parsing server cert"},
		"no-number": {"echo '1|one|unix|/tmp/socket|grpc|'; sleep 60", `its handshake has "one" in the place of the version`},
		"endless":   {"head -c 200000 /dev/zero; sleep 60", "is no plugin of golive"},
	} {
		t.Run(name, func(t *testing.T) {
			path := script(t, name, "echo $$ >$0.pid; "+c.script)
			_, _, err := plugins.Open(t.Context(), name, plugins.Options{})
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("Open: error %v, want %q", err, c.err)
			}
			text, err := os.ReadFile(path + ".pid")
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the program ends", func() bool { return gone(pid) })
		})
	}
}

// TestVersions starts plugins of other times, and makes golive one of another time.
func TestVersions(t *testing.T) {
	for _, c := range []struct {
		plugin string // past speaks 1 and 2, future 3 and 4
		golive plugins.Versions
		agreed int
		err    string
	}{
		{"past", plugins.Versions{Oldest: 1, Newest: 1}, 1, ""},
		{"past", plugins.Versions{Oldest: 2, Newest: 3}, 2, ""},
		{"past", plugins.Versions{Oldest: 1, Newest: 9}, 2, ""},
		{"past", plugins.Versions{Oldest: 3, Newest: 4}, 0, "this plugin speaks only versions 1 to 2 of the protocol, and this golive versions 3 to 4: upgrade the plugin"},
		{"future", plugins.Versions{Oldest: 1, Newest: 2}, 0, "this plugin speaks versions 3 to 4 of the protocol, and this golive only versions 1 to 2: upgrade golive"},
		{"future", plugins.Versions{Oldest: 2, Newest: 3}, 3, ""},
	} {
		t.Run(fmt.Sprintf("%s with %v", c.plugin, c.golive), func(t *testing.T) {
			plugintest.Install(t, c.plugin)
			defer plugins.Speak(c.golive)()
			about, err := plugins.Describe(t.Context(), c.plugin, plugins.Options{})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("Describe: error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || about.Protocol != c.agreed || about.KitName != "good" {
				t.Errorf("Describe = %+v, error %v, want version %d", about, err, c.agreed)
			}
		})
	}
}

// TestNewerPlugin has a plugin say more than this golive understands.
func TestNewerPlugin(t *testing.T) {
	plugintest.Install(t, "newer")
	var heard []string
	kit, stop, err := plugins.Open(t.Context(), "newer", plugins.Options{Log: func(line plugins.Line) { heard = append(heard, line.String()) }})
	if err != nil {
		t.Fatal(err)
	}
	plugintest.Backend(t, plugintest.Make(t, kit.Backends["memory"], nil), plugintest.BackendCase{})
	stop()
	if want := "warn: this golive does not know oracle delphi, oracle dodona (upgrade golive to use it)"; len(heard) != 1 || heard[0] != want {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

// TestOlderPlugin calls what a plugin does not know.
func TestOlderPlugin(t *testing.T) {
	kit := plugintest.Open(t, "older", plugins.Options{})
	n := plugintest.Make(t, kit.Notifiers["memory"], nil)
	_, err := n.Notify(t.Context(), guard.Notice{})
	if want := "plugin older: it does not know the call Notify: it was built for another golive than this one (upgrade the plugin)"; err == nil || err.Error() != want {
		t.Errorf("Notify: error %v, want %s", err, want)
	}
}
