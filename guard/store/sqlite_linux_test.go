package store

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A full disk keeps a record waiting and costs nobody the rollout: once there is room, it is repeated.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("golive-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("only root can make a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := open(t, filepath.Join(dir, "golive.db"))
	defer s.Close() // before the disk goes away
	mustAccept(t, s, "r1", "shop/prod")
	l := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
	mustAppend(t, l, "before")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk takes 2 MiB: %v", err)
	}
	large := json.RawMessage(`"` + strings.Repeat("x", 200<<10) + `"`)
	wantIs(t, l.Append(noon, "during", large), ErrAway)
	must(t, os.Remove(ballast))
	must(t, l.Append(noon, "during", large))
	mustAppend(t, l, "after")
	if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened before during after" {
		t.Errorf("the records are %s", got)
	}
}

// The numbers are those of the kernel, as far as it publishes them.
func TestNetworkFileSystems(t *testing.T) {
	for magic, want := range map[int64]string{
		unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "CIFS", unix.SMB2_SUPER_MAGIC: "SMB2",
		unix.V9FS_MAGIC: "9p", unix.CEPH_SUPER_MAGIC: "Ceph", unix.AFS_SUPER_MAGIC: "AFS", unix.EXT4_SUPER_MAGIC: "", unix.TMPFS_MAGIC: "",
	} {
		if got := networkMagic[magic]; got != want {
			t.Errorf("%#x is %q, want %q", magic, got, want)
		}
	}
	if kind, err := networkFileSystem(t.TempDir()); kind != "" || err != nil {
		t.Errorf("the directory of tests lies on %q, %v", kind, err)
	}
}
