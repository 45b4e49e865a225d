//go:build !linux

package redistest

import "syscall"

// endWithParent has no counterpart here: a process whose test dies on a timeout stays.
func endWithParent() *syscall.SysProcAttr { return nil }
