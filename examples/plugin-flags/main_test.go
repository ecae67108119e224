package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

// newFile is a flag that is there before the first rollout, and gives all traffic to v1.
func newFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "flags.json")
	if err := os.WriteFile(file, []byte(`{"version": {"v1": 100}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBackend(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		file := newFile(t)
		plugintest.Backend(t, plugintest.Make(t, kit.Backends["flags"], plugins.With{"file": file}), plugintest.BackendCase{})
		if text, err := os.ReadFile(file); err != nil || string(text) != `{"version":{"v1":0,"v2":100}}` {
			t.Errorf("the file is %s, %v", text, err)
		}
	})
}

func TestCheck(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		for version, want := range map[string]plugins.Verdict{"v2": plugins.Pass, "": plugins.Fail, "release 2": plugins.Fail} {
			scene := plugins.Scene{Plan: &plugins.Plan{}, Release: plugins.Release{To: version}}
			if got := plugintest.Check(t, kit.Checks[0], scene); got[0].Verdict != want {
				t.Errorf("version %q: %v, want %v", version, got[0].Verdict, want)
			}
		}
	})
}

// TestNotKnown holds Inspect to saying so when it cannot know.
func TestNotKnown(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		file := newFile(t)
		b := plugintest.Make(t, kit.Backends["flags"], plugins.With{"file": file})
		release := plugins.Release{From: "v1", To: "v2"}
		for _, text := range []string{
			`{"version": {"v1"`, `{}`, `{"version": {}}`, `{"colour": {"v1": 100}}`, `{"version": {"v0": 100}}`,
			`{"version": {"v1": 50}}`, `{"version": {"v1": 50, "v3": 50}}`, `{"version": {"v1": 100, "v2": 100}}`,
		} {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if s, err := b.Inspect(t.Context(), release); err == nil {
				t.Errorf("Inspect of %s = %+v", text, s)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if s, err := b.Inspect(t.Context(), release); err == nil {
			t.Errorf("Inspect without file = %+v", s)
		}
	})
}

// TestNoWayBack has the file where nobody, not even root, can make another: Linux shows open files in such a directory.
func TestNoWayBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows open files in a directory")
	}
	f, err := os.Open(newFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := plugintest.Make(t, newBackend, plugins.With{"file": fmt.Sprintf("/proc/self/fd/%d", f.Fd())})
	s, err := b.Inspect(t.Context(), plugins.Release{From: "v1", To: "v2"})
	if err != nil || s.Undo.Open || !strings.HasPrefix(s.Undo.Detail, "no file can be made beside /proc/self/fd/") {
		t.Errorf("Inspect = %+v, %v, want the way back closed", s, err)
	}
}
