//go:build unix

package kafka_test

import (
	"os"
	"strconv"
	"syscall"
)

// filesEnv is how many files a broker process may have open.
const filesEnv = "KAFKA_TEST_BROKER_FILES"

func lowerFileLimit() {
	n, err := strconv.ParseUint(os.Getenv(filesEnv), 10, 64)
	if err != nil {
		return // not asked for
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		panic(err)
	}
}
