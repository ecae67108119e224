package main

import (
	"os"
	"path/filepath"
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
	file := newFile(t)
	b, err := newBackend(plugins.With{"file": file})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(`{"version": {"v1"`), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := b.Inspect(t.Context(), plugins.Release{To: "v2"}); err == nil {
		t.Errorf("Inspect of half a file = %+v", s)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if s, err := b.Inspect(t.Context(), plugins.Release{To: "v2"}); err == nil {
		t.Errorf("Inspect without file = %+v", s)
	}
}
