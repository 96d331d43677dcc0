package kafka

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// limitData limits the memory that the process may allocate from now on: above the limit, the kernel refuses any allocation and
// the process ends at once. If the limit cannot be set, only watchMemory bounds the memory.
func limitData(more int64) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kib int64
		if rest, ok := strings.CutPrefix(s.Text(), "VmData:"); ok {
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				var was syscall.Rlimit
				if syscall.Getrlimit(syscall.RLIMIT_DATA, &was) == nil {
					most := min(uint64(kib<<10+more), was.Max)
					_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: most, Max: was.Max})
				}
			}
		}
	}
}
