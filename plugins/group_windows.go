package plugins

import (
	"os"
	"os/exec"
)

// Windows has no process groups: only the program itself is ended.

func headGroup(*exec.Cmd) {}

func endGroup(head *os.Process) { _ = head.Kill() } // an error means that it has ended

func endOwnGroup() {}

func surviveSignals() {}
