package disk

import "golang.org/x/sys/unix"

func blockBytes(s *unix.Statfs_t) uint64 { return uint64(s.Bsize) }
