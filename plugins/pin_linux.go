package plugins

import (
	"os"
	"os/exec"
	"syscall"
)

// aim makes cmd start the open file. The program sees it as its descriptor 3, and its name in its arguments.
func (p *pin) aim(cmd *exec.Cmd) {
	cmd.Path, cmd.ExtraFiles = "/proc/self/fd/3", []*os.File{p.file}
}

// now is what was started.
func (p *pin) now() (os.FileInfo, error) { return p.file.Stat() }

// changed is when a file was last changed, in any way: nobody can set this time back.
func changed(info os.FileInfo) syscall.Timespec { return info.Sys().(*syscall.Stat_t).Ctim }
