//go:build linux

// Package usertest lets tests that root runs do something as another user, to whom files can be closed.
package usertest

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// Dir is a temporary directory that is a user's, and that everybody may come by.
func Dir(t *testing.T, user int) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chown(dir, user, user); err != nil {
		t.Fatal(err)
	}
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// As does something as a user and the group of the same number, and in no other group. What it starts in goroutines of
// its own is still root's.
func As(user int, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Only this thread is another user's, and it ends with the goroutine, which never unlocks it.
		runtime.LockOSThread()
		for _, call := range [][4]uintptr{
			{syscall.SYS_SETGROUPS, 0, 0, 0},
			{syscall.SYS_SETRESGID, uintptr(user), uintptr(user), uintptr(user)},
			{syscall.SYS_SETRESUID, uintptr(user), uintptr(user), uintptr(user)},
		} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				panic(errno)
			}
		}
		do()
	}()
	<-done
}
