package flagd

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/golive-dev/golive/plugins/internal/usertest"
)

// The user that runs flagd, and another one.
const flagdUser, stranger = 65532, 65533

// owned is a file that flagd's user and its group may read, and nobody else.
func owned(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	file := filepath.Join(usertest.Dir(t, flagdUser), "flags.json")
	if err := os.WriteFile(file, []byte(written), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, flagdUser, flagdUser); err != nil {
		t.Fatal(err)
	}
	return file
}

// What root replaces, flagd can still read; and where root went before, the file's own user can go back.
func TestOwner(t *testing.T) {
	file := owned(t)
	b := backend(t, file)
	if err := b.Shift(t.Context(), order(1), 10); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != flagdUser || stat.Gid != flagdUser || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is of %d:%d, %v: flagd could not read it", stat.Uid, stat.Gid, info.Mode())
	}
	usertest.As(flagdUser, func() {
		if s, err := b.Inspect(t.Context(), release); err != nil || s.Percent != 10 || !s.Undo.Open {
			t.Errorf("Inspect as the file's user: %+v, %v", s, err)
		}
		if err := b.Shift(t.Context(), order(2), 0); err != nil {
			t.Errorf("Shift as the file's user: %v", err)
		}
	})
}

// What Shift would fail at bars the way back.
func TestWayBackOfAnotherUser(t *testing.T) {
	for name, c := range map[string]struct {
		close func(file string) error
		want  string
	}{
		"the lock":      {func(file string) error { return os.WriteFile(lockOf(file), nil, 0o600) }, ".flags.json.golive-lock may not be written"},
		"the group":     {func(file string) error { return os.Chown(file, flagdUser, stranger) }, "would not belong to the user 65532 and the group 65533"},
		"the directory": {func(file string) error { return os.Chown(filepath.Dir(file), 0, 0) }, "may not be written"},
	} {
		t.Run(name, func(t *testing.T) {
			file := owned(t)
			if err := c.close(file); err != nil {
				t.Fatal(err)
			}
			b := backend(t, file)
			usertest.As(flagdUser, func() {
				if s, err := b.Inspect(t.Context(), release); err != nil || s.Undo.Open || !strings.Contains(s.Undo.Detail, c.want) {
					t.Errorf("Inspect: %+v, %v, want %q", s, err, c.want)
				}
				if err := b.Shift(t.Context(), order(1), 10); err == nil {
					t.Error("the way back was said to be barred, and Shift goes")
				}
			})
		})
	}
}
