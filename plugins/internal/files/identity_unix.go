//go:build unix

package files

import (
	"io/fs"
	"syscall"
)

// identity tells files apart, whatever their names.
type identity struct{ device, inode uint64 }

func identify(info fs.FileInfo) (id identity, known bool) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return id, false
	}
	return identity{uint64(stat.Dev), stat.Ino}, true
}
