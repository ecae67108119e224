//go:build unix

// Package python tests the plugin that is written in Python as plugins of other people are tested: as a program that is
// there already.
package python

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const program = "golive-plugin-pyflags"

// withPython puts a Python that has grpcio first on PATH, or skips the test; in CI it has to be there.
func withPython(t *testing.T) {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		python, err := exec.LookPath(name)
		if err != nil || exec.CommandContext(t.Context(), python, "-c", "import grpc").Run() != nil {
			continue
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "python3"), []byte("#!/bin/sh\nexec "+python+" \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		return
	}
	const missing = "there is no Python with grpcio here: apt-get install python3-grpcio, or pip install -r requirements.txt"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// newFile is a flag that is there before the first rollout, and gives all traffic to v1.
func newFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "flags.json")
	if err := os.WriteFile(file, []byte(`{"version": {"v1": 100}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPlugin(t *testing.T) {
	withPython(t)
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]plugins.Options{
		"by name": {},
		"pinned":  {SHA256: fmt.Sprintf("%x", sha256.Sum256(text))},
	} {
		t.Run(name, func(t *testing.T) {
			kit := plugintest.Program(t, program, options)
			t.Run("backend", func(t *testing.T) {
				file := newFile(t)
				b := plugintest.Make(t, kit.Backends["pyflags"], plugins.With{"file": file})
				plugintest.Backend(t, b, plugintest.BackendCase{})
				if text, err := os.ReadFile(file); err != nil || string(text) != `{"version": {"v1": 0, "v2": 100}}` {
					t.Errorf("the file is %s, %v", text, err)
				}
				v2 := plugins.Release{From: "v1", To: "v2"}
				for _, text := range []string{
					`{"version": {"v1"`, `{}`, `{"version": {}}`, `{"colour": {"v1": 100}}`, `{"version": {"v0": 100}}`,
					`{"version": {"v1": 50}}`, `{"version": {"v1": 50, "v3": 50}}`, `{"version": {"v1": 100, "v2": 100}}`,
				} {
					if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
					if s, err := b.Inspect(t.Context(), v2); err == nil {
						t.Errorf("Inspect of %s = %+v", text, s)
					}
				}
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
				if s, err := b.Inspect(t.Context(), v2); err == nil || !strings.Contains(err.Error(), "plugin pyflags: FileNotFoundError: ") {
					t.Errorf("Inspect without file = %+v, error %v", s, err)
				}
			})
			t.Run("no way back", func(t *testing.T) {
				if runtime.GOOS != "linux" {
					t.Skip("only Linux shows open files in a directory, where nobody can make another")
				}
				f, err := os.Open(newFile(t))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				b := plugintest.Make(t, kit.Backends["pyflags"], plugins.With{"file": fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())})
				s, err := b.Inspect(t.Context(), plugins.Release{From: "v1", To: "v2"})
				if err != nil || s.Undo.Open || !strings.HasPrefix(s.Undo.Detail, "no file can be made beside /proc/") {
					t.Errorf("Inspect = %+v, %v, want the way back closed", s, err)
				}
			})
			t.Run("check", func(t *testing.T) {
				for version, want := range map[string]plugins.Verdict{"v2": plugins.Pass, "": plugins.Fail, "release 2": plugins.Fail} {
					scene := plugins.Scene{Plan: &plugins.Plan{}, Release: plugins.Release{To: version}}
					if got := plugintest.Check(t, kit.Checks[0], scene); got[0].Verdict != want {
						t.Errorf("version %q: %v, want %v", version, got[0].Verdict, want)
					}
				}
			})
			t.Run("set-up with a mistake", func(t *testing.T) {
				if _, err := kit.Backends["pyflags"](plugins.With{"fiel": "f"}); err == nil || !strings.Contains(err.Error(), "fiel") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestStartedByHand(t *testing.T) {
	withPython(t)
	said, err := exec.CommandContext(t.Context(), "./"+program).CombinedOutput()
	if err == nil || !bytes.Contains(said, []byte("name it under plugins: in golive.yaml")) {
		t.Errorf("by hand: %s, error %v", said, err)
	}
}
