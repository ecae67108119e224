//go:build linux || darwin

package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// measure asks the file system in which a path lies.
func measure(path string) (room, error) {
	var s unix.Statfs_t
	for {
		err := unix.Statfs(path, &s)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return room{}, err
		}
		break
	}
	return counts{blockBytes(&s), s.Blocks, s.Bfree, s.Bavail, s.Files, s.Ffree}.room()
}
