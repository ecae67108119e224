//go:build unix

package journal_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard/journal"
)

func init() { children["fill"] = fill }

// fill is a process that may not write files longer than 10,000 bytes. It appends until that hurts.
func fill(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 10_000, Max: 10_000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	for {
		r, err := j.Append("counted", noon, strings.Repeat("x", 3000))
		if err != nil {
			if !errors.Is(err, syscall.EFBIG) {
				return err
			}
			break
		}
		fmt.Println(r.Seq)
	}
	if _, err := j.Append("small enough", noon, nil); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("after a failed append another one says: %w", err)
	}
	return j.Close()
}

// A write that stops half-way is an error for ever, and the file can be gone on with.
func TestShortWrite(t *testing.T) {
	j, path := create(t)
	mustClose(t, j)
	cmd, out := startChild(t, "fill", path)
	acknowledged := 0
	for out.Scan() {
		acknowledged++
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if acknowledged != 3 {
		t.Errorf("%d records were acknowledged, want 3", acknowledged)
	}
	j = mustOpen(t, path)
	defer mustClose(t, j)
	if sum := j.Summary(); sum.Records != acknowledged || sum.Torn != 0 {
		t.Errorf("%d records are left and %d bytes torn, want %d and 0", sum.Records, sum.Torn, acknowledged)
	}
	if r := mustAppend(t, j, "resumed", nil); r.Seq != int64(acknowledged+1) {
		t.Errorf("the next record is number %d, want %d", r.Seq, acknowledged+1)
	}
}

// freeAgain fills the disk under dir with a file, appends until there is no more room, and goes on after the
// file was removed.
func freeAgain(t *testing.T, dir string) {
	t.Helper()
	ballast := dir + "/ballast"
	if err := os.WriteFile(ballast, make([]byte, 32<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := dir + "/r1.jsonl"
	j, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []journal.Record
	for err == nil {
		var r journal.Record
		if r, err = j.Append("counted", noon, strings.Repeat("x", 5000)); err == nil {
			want = append(want, r)
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error is %v, want ENOSPC", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append("counted", noon, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("with room again, a journal that has failed says %v; want what it said before", err)
	}
	mustClose(t, j)
	j = mustOpen(t, path)
	want = append(want, mustAppend(t, j, "resumed", nil))
	mustClose(t, j)
	if diff := cmp.Diff(want, collect(t, journal.Read(path))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
