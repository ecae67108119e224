package disk

import "golang.org/x/sys/unix"

// blockBytes is the unit in which blocks are counted, which is not always the one in which they are best read.
func blockBytes(s *unix.Statfs_t) uint64 {
	if s.Frsize > 0 {
		return uint64(s.Frsize)
	}
	return uint64(s.Bsize)
}
