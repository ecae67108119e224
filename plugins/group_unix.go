//go:build unix

package plugins

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// headGroup makes a program the head of a process group of its own. Then a Ctrl-C at the terminal reaches golive
// alone, which may need the plugin to go back.
func headGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
}

// endGroup ends what there is of a program's group.
func endGroup(head *os.Process) {
	_ = syscall.Kill(-head.Pid, syscall.SIGKILL) // an error means that nobody is left
}

// endOwnGroup ends a plugin with all that it started, if golive has made it the head of a group.
func endOwnGroup() {
	if syscall.Getpgrp() == os.Getpid() {
		_ = syscall.Kill(0, syscall.SIGKILL) // which has no time to fail
	}
}

// surviveSignals makes a plugin outlive the signals that ask everything around golive to end, as a terminal or
// systemd sends them: golive decides when it needs its plugins no more.
func surviveSignals() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}
