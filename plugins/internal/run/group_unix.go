//go:build unix

package run

import (
	"os/exec"
	"syscall"
)

// group makes cmd the head of its own process group, so that it can be ended with all its children, and so
// that a Ctrl-C at the terminal reaches golive alone. The end of cmd's context asks the whole group to end.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// killGroup ends whatever is left of cmd's group.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an error means that nobody is left
	}
}
