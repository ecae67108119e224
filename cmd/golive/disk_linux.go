package main

import "syscall"

// volatile are the file systems on which a journal may be gone when it is needed, by the numbers that Linux gives them.
var volatile = map[uint32]string{
	0x01021994: "memory (tmpfs)",
	0x858458f6: "memory (ramfs)",
	0x6969:     "a network file system (NFS)",
	0xff534d42: "a network file system (CIFS)",
	0xfe534d42: "a network file system (SMB)",
	0x794c7630: "a layer of a container (overlayfs)",
}

// fileSystem says what is doubtful about the file system of a directory, "" if nothing is, and how many bytes are free
// for this user; known says whether that could be found out.
func fileSystem(dir string) (doubt string, free uint64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "", 0, false
	}
	return volatile[uint32(s.Type)], s.Bavail * uint64(s.Bsize), true
}
