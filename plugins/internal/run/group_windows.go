package run

import "os/exec"

// Windows has no process groups: only the shell itself is ended.
func group(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
