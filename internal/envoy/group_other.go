//go:build !unix

package envoy

import "syscall"

// ownGroup keeps a terminal's Ctrl-C from the process where groups are known.
func ownGroup() *syscall.SysProcAttr { return nil }
