//go:build !linux

package plugins

import (
	"os"
	"os/exec"
	"time"
)

// aim leaves cmd as it is: a program is started by its name.
func (p *pin) aim(*exec.Cmd) {}

// now is what the name means.
func (p *pin) now() (os.FileInfo, error) { return os.Stat(p.path) }

// changed is when a file was last written to.
func changed(info os.FileInfo) time.Time { return info.ModTime() }
