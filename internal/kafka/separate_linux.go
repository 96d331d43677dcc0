package kafka

import (
	"os/exec"
	"syscall"
)

// separate keeps what a terminal sends to its foreground (Ctrl-C) from the process, and has the kernel end the process with
// the one that started it: it then has the port and the directory no longer than that one has its own.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
