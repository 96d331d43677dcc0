//go:build unix

package kafka

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// canInherit: the supervisor opens the port once and hands it to each process, so that clients that connect during a restart wait
// for the next process.
const canInherit = true

func listenerFile(l net.Listener) (*os.File, error) {
	t, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.New("it is no TCP port")
	}
	return t.File()
}

func inheritedListener() (net.Listener, error) {
	f := os.NewFile(3, "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("inherit the port for Kafka clients: %w", err)
	}
	return l, nil
}
