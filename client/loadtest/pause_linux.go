package loadtest

import (
	"syscall"
	"time"
)

// finePause waits for less than a few milliseconds. The runtime's timers are good to a millisecond where all goroutines
// sleep, which would be most of the latency of a fast answer; the kernel's are good to some 50 µs.
func finePause(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil) // a signal ends it early, and the caller looks at the clock again
}
