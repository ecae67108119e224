package files

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/golive-dev/golive/plugins/internal/usertest"
)

// A file stays that of its user and its group, so that whoever reads it still can.
func TestReplaceKeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := usertest.Dir(t, 65533)
	path := filepath.Join(dir, "flags.json")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 65533, 65532); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	same := func(content string) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		got, err := os.ReadFile(path)
		if stat.Uid != 65533 || stat.Gid != 65532 || info.Mode().Perm() != 0o640 || string(got) != content || err != nil {
			t.Errorf("the file is of %d:%d, %v, and holds %q, %v", stat.Uid, stat.Gid, info.Mode(), got, err)
		}
	}
	if err := Replaceable(path); err != nil {
		t.Error(err)
	}
	same("old")
	if err := Replace(path, []byte("new")); err != nil {
		t.Error(err)
	}
	same("new")
	// The directory is this user's, but not the group of the file, which no new file could have.
	usertest.As(65533, func() {
		for what, try := range map[string]func() error{
			"Replace":     func() error { return Replace(path, []byte("newer")) },
			"Replaceable": func() error { return Replaceable(path) },
		} {
			if err := try(); err == nil || !strings.Contains(err.Error(), "flags.json cannot be replaced: it would not belong to the user 65533 and the group 65532") {
				t.Errorf("%s of a file that cannot keep its group: %v", what, err)
			}
		}
	})
	same("new")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("beside the file there are %v, %v", left, err)
	}
}

// A new file is for its owner only.
func TestReplaceNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has %v, %v", info.Mode(), err)
	}
}
