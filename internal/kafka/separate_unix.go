//go:build unix && !linux

package kafka

import (
	"os/exec"
	"syscall"
)

// separate protects the process from the signals of a terminal (Ctrl-C). The process notices the end of its parent by the end of its
// standard input.
func separate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
