//go:build unix && !linux

package plugins

import "syscall"

// endWithParent is Linux's alone; elsewhere a program has to watch its standard input.
func endWithParent(*syscall.SysProcAttr) {}
