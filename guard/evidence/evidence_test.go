package evidence

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestKeep(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "evidence"))
	for _, content := range [][]byte{nil, []byte("a"), bytes.Repeat([]byte("log\n"), 1<<18)} {
		first, err := d.Keep(content)
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.Keep(content)
		if err != nil || again != first {
			t.Errorf("the same content is %s, then %s (%v)", first, again, err)
		}
		f, err := d.Open(first)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil || !bytes.Equal(got, content) {
			t.Errorf("of %d bytes %d came back (%v)", len(content), len(got), err)
		}
		info, err := os.Stat(d.Path(first))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("it lies there as %v (%v)", info.Mode(), err)
		}
	}
	entries, err := os.ReadDir(string(d))
	if err != nil || len(entries) != 3 {
		t.Errorf("%d files (%v), want 3", len(entries), err)
	}
}

func TestChanged(t *testing.T) {
	d := Dir(t.TempDir())
	sha, err := d.Keep([]byte("the log of that night"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Path(sha), []byte("nothing happened"), 0o600); err != nil {
		t.Fatal(err)
	}
	var changed *ChangedError
	if _, err := d.Open(sha); !errors.As(err, &changed) {
		t.Errorf("the error is %v, want one that says that it was changed", err)
	}
	// Keeping the same again mends it.
	if _, err := d.Keep([]byte("the log of that night")); err != nil {
		t.Fatal(err)
	}
	f, err := d.Open(sha)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestMissing(t *testing.T) {
	d := Dir(t.TempDir())
	for _, sha := range []string{"", "../../etc/passwd", strings.Repeat("a", 63), strings.Repeat("A", 64), strings.Repeat("a", 64)} {
		if _, err := d.Open(sha); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: the error is %v, want one that says that there is none", sha, err)
		}
	}
}

// Several rollouts may keep the same at the same time.
func TestTogether(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "evidence"))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			sha, err := d.Keep([]byte("the same"))
			if err != nil {
				t.Error(err)
				return
			}
			f, err := d.Open(sha)
			if err != nil {
				t.Error(err)
				return
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
