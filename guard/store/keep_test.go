package store

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard/journal"
)

func TestArchive(t *testing.T) {
	each(t, func(t *testing.T, address string) { testArchive(t, open(t, address)) })
}

func testArchive(t *testing.T, s *Store) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "archive")
	a := mustJoin(t, s, "a")
	finished := map[string]int64{}
	for i, name := range []string{"r1", "r2", "r3", "open"} {
		o := opening(name, []string{"x", "y", "z", "w"}[i])
		o.Records[0].At = noon.Add(time.Duration(i) * time.Hour)
		_, _, err := s.Accept(ctx, delivery("open "+name), o)
		must(t, err)
		l := mustClaim(t, s, a, name)[0]
		if name == "open" {
			continue
		}
		must(t, l.Append(noon.Add(time.Duration(i)*time.Hour), "over", nil))
		_, err = s.Tell(ctx, delivery("tell "+name), name, o.Records[0])
		must(t, err)
		must(t, l.Finish(ctx, math.MaxInt64))
		finished[name] = l.Fence
	}
	// An earlier archive was interrupted after it wrote the file.
	want := map[string]string{"r1": exported(t, s, "r1"), "r2": exported(t, s, "r2")}
	must(t, mkdir(dir))
	_, err := s.pack(ctx, "r1", filepath.Join(dir, "r1"+ArchiveExtension))
	must(t, err)
	// The clock went back since.
	exec1(t, s.db, `UPDATE golive_rollouts SET fence = fence + 100000000000 WHERE id = 'r1'`)

	moved, err := s.Archive(ctx, noon.Add(2*time.Hour), dir)
	if moved != 2 || err != nil {
		t.Fatalf("archived %d, %v; want 2", moved, err)
	}
	if diff := cmp.Diff(want, unpacked(t, dir)); diff != "" {
		t.Errorf("(-exported +archived):\n%s", diff)
	}
	for name, there := range map[string]bool{"r1": false, "r2": false, "r3": true, "open": true} {
		_, err := s.Find(ctx, name)
		_, _, opened, keptErr := s.Kept(ctx, "open "+name)
		must(t, keptErr)
		if (err == nil) != there || opened != there {
			t.Errorf("%s: found %v, its delivery %v; want %v", name, err == nil, opened, there)
		}
	}
	moved, err = s.Archive(ctx, noon.Add(2*time.Hour), dir)
	if moved != 0 || err != nil {
		t.Errorf("archived %d, %v; want none", moved, err)
	}
	// The fence of the target goes on where it was.
	mustAccept(t, s, "r4", "x")
	if l := mustClaim(t, s, a, "r4")[0]; l.Fence <= finished["r1"]+100000000000 {
		t.Errorf("after the archive, fence %d follows %d", l.Fence, finished["r1"]+100000000000)
	}
	// A file that is something else is not written over, and nothing is lost.
	must(t, writePacked(filepath.Join(dir, "r3"+ArchiveExtension), "another"))
	if moved, err := s.Archive(ctx, noon.Add(24*time.Hour), dir); moved != 0 || err == nil {
		t.Errorf("over another file: archived %d, %v", moved, err)
	}
	if got := kinds(mustLoad(t, s, "r3", 0)); got != "opened over" {
		t.Errorf("r3 holds %s", got)
	}
}

func mkdir(dir string) error { return os.MkdirAll(dir, 0o700) }

func exported(t *testing.T, s *Store, rollout string) string {
	t.Helper()
	var b bytes.Buffer
	must(t, s.Export(t.Context(), rollout, &b))
	return b.String()
}

func writePacked(path, text string) error {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, err := io.WriteString(zip, text)
	return errors.Join(err, zip.Close(), os.WriteFile(path, b.Bytes(), 0o600))
}

// unpacked is what the files of an archive hold, each of which is a journal.
func unpacked(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	all := map[string]string{}
	for _, f := range files {
		file, err := os.Open(filepath.Join(dir, f.Name()))
		must(t, err)
		zip, err := gzip.NewReader(file)
		must(t, err)
		text, err := io.ReadAll(zip)
		must(t, errors.Join(err, file.Close()))
		plain := filepath.Join(t.TempDir(), "j.jsonl")
		must(t, os.WriteFile(plain, text, 0o600))
		if _, err := journal.Verify(plain); err != nil {
			t.Error(err)
		}
		all[strings.TrimSuffix(f.Name(), ArchiveExtension)] = string(text)
	}
	return all
}
