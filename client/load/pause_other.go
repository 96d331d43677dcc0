//go:build !linux

package load

import "time"

// finePause waits, as exactly as the runtime can.
func finePause(d time.Duration) { time.Sleep(d) }
