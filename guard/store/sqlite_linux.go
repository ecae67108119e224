package store

import (
	"time"

	"golang.org/x/sys/unix"
)

// Values of f_type that statfs(2) names, of file systems whose locks or syncs end at the network.
var networkMagic = map[int64]string{
	0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x01021997: "9p", 0x00c36400: "Ceph",
	0x5346414f: "AFS", 0x0bd00bd0: "Lustre",
}

// networkFileSystem names the network file system on which a file lies; empty if it is on another one. What lies behind
// FUSE cannot be told.
func networkFileSystem(path string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return "", err
	}
	return networkMagic[int64(stat.Type)&0xffffffff], nil //nolint:unconvert // Type has 32 bits on some systems
}

// elapsed is the time since the machine started, with the time that it slept: what a suspended machine drove may have
// another owner when it wakes up, and Go's own monotonic clock would not know.
func elapsed() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // the clock is there since Linux 2.6.39
	}
	return time.Duration(now.Nano())
}
