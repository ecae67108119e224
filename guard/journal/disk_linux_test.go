package journal_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/golive-dev/golive/guard/journal"
)

// A full disk is an error for ever, and the file can be gone on with once there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("golive-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("only root can make a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	freeAgain(t, dir)
}

// The power fails: what was acknowledged is there, and what was not even written is an error. A killed process
// shows less, for the kernel still writes what the process had given it.
func TestPowerCut(t *testing.T) {
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	mount := func() error { return exec.CommandContext(t.Context(), "mount", "-o", "loop", image, dir).Run() }
	err := os.WriteFile(image, nil, 0o600)
	err = errors.Join(err, os.Truncate(image, 8<<20))
	err = errors.Join(err, exec.CommandContext(t.Context(), "mkfs.ext4", "-q", image).Run())
	if err = errors.Join(err, mount()); err != nil {
		t.Skipf("only root can make a disk to cut the power of, with mkfs.ext4 and a loop device: %v", err)
	}
	unmount := func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}

	path := filepath.Join(dir, "a", "b", "r1.jsonl")
	j, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []journal.Record
	for range 20 {
		want = append(want, mustAppend(t, j, "counted", nil))
	}
	order, err := journal.Post(path, "order", noon, nil)
	if err != nil {
		t.Fatal(err)
	}
	cutPower(t, dir)
	for range 2 {
		if _, err := j.Append("counted", noon, nil); !errors.Is(err, syscall.EIO) {
			t.Errorf("without power Append says %v, want EIO", err)
		}
	}
	mustClose(t, j)
	unmount()

	if err := mount(); err != nil {
		t.Fatal(err)
	}
	defer unmount()
	j = mustOpen(t, path)
	if diff := cmp.Diff(want, collect(t, j.Records())); diff != "" {
		t.Errorf("(-acknowledged +kept):\n%s", diff)
	}
	mustAppend(t, j, "resumed", nil)
	mustClose(t, j)
	inbox := journal.Inbox{Path: path}
	if got, ok, err := inbox.Take(); !ok || err != nil || got.Hash != order.Hash {
		t.Errorf("took %v, %v, %v; want the order that was acknowledged", got, ok, err)
	}
}

// cutPower makes ext4 forget what is not on the disk, and refuse everything from then on.
func cutPower(t *testing.T, dir string) {
	t.Helper()
	const shutdown, noLogFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := unix.IoctlSetPointerInt(int(d.Fd()), shutdown, noLogFlush); err != nil {
		t.Fatal(err)
	}
}
