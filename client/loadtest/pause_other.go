//go:build !linux

package loadtest

import "time"

// finePause waits, as exactly as the runtime can.
func finePause(d time.Duration) { time.Sleep(d) }
