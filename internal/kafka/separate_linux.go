package kafka

import (
	"os/exec"
	"syscall"
)

// separate protects the process from the signals of a terminal (Ctrl-C), and makes the kernel kill it when its parent ends, so that
// it releases the port and the directory then.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
