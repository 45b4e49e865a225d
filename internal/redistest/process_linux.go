package redistest

import "syscall"

// endWithParent has the kernel kill the child when the test's process dies without having cleaned up, as on a timeout.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
