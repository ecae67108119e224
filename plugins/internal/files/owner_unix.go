//go:build unix

package files

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a new file to the user and the group that an old one belongs to.
func keepOwner(file *os.File, old fs.FileInfo) error {
	own, err := file.Stat()
	if err != nil {
		return err
	}
	is, known := own.Sys().(*syscall.Stat_t)
	be, alike := old.Sys().(*syscall.Stat_t)
	if !known || !alike || is.Uid == be.Uid && is.Gid == be.Gid {
		return nil
	}
	if err := file.Chown(int(be.Uid), int(be.Gid)); err != nil {
		return fmt.Errorf("it would not belong to the user %d and the group %d any more (let golive run as that user): %w", be.Uid, be.Gid, err)
	}
	return nil
}
