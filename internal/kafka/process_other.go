//go:build !unix

package kafka

import (
	"errors"
	"net"
	"os"
	"os/exec"
)

// canInherit: on this system a process cannot inherit an open port, and opens it itself.
const canInherit = false

func separate(*exec.Cmd) {}

func listenerFile(net.Listener) (*os.File, error) { return nil, errors.ErrUnsupported }

func inheritedListener() (net.Listener, error) { return nil, errors.ErrUnsupported }
