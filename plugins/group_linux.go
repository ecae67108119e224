package plugins

import "syscall"

// endWithParent sends SIGTERM to a program whose golive has died. It is for those that do not watch their standard
// input; a plugin that does heeds no SIGTERM, and ends its whole group.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGTERM }
