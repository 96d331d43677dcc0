//go:build unix && !linux

package kafka

import (
	"os/exec"
	"syscall"
)

// separate keeps what a terminal sends to its foreground (Ctrl-C) from the process. That the one which started it is gone it
// hears by the end of its standard input.
func separate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
