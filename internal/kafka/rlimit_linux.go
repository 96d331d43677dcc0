package kafka

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// limitData has the kernel refuse more than so many bytes of memory besides what there is: the process then ends at once,
// whatever allocates them. Where the limit cannot be set, watchMemory is the only one.
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
