//go:build unix

package connlimit

import (
	"math"
	"syscall"
)

// descriptorLimit is the number of file descriptors that the process may have, 0 where there is no limit to speak of.
func descriptorLimit() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || uint64(r.Cur) > math.MaxInt32 {
		return 0
	}
	return int(r.Cur)
}
