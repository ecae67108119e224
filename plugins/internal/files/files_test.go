package files

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestMeasure(t *testing.T) {
	dir, remove, err := Scratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"1": 10, "a/2": 0, "a/b/3": 5} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "windows" {
		if err := os.Link(filepath.Join(dir, "1"), filepath.Join(dir, "a", "1 again")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("1", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		if count, bytes, err := Measure(dir); count != 4 || bytes != 15 || err != nil {
			t.Errorf("Measure = %d files, %d bytes, error %v, want 4, 15", count, bytes, err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "a"), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if _, _, err := Measure(dir); err == nil {
		t.Error("the scratch directory is still there")
	}
}
