// Package lockfile makes one process the owner of a directory.
//
// The lock is the kernel's (flock, or LockFileEx on Windows): it ends with the process, in whatever way that ends, so there
// is never a stale lock to remove by hand. The process id in the file is only for the message.
package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"movieexample.com/internal/fault"
)

// Name is the lock's file in the directory it is about.
const Name = "movieexample.lock"

// errTaken is the error of lock when another process has it.
var errTaken = errors.New("taken")

// Lock makes the directory if it is missing, for this user alone, and this process its only owner until release is called. While another
// process owns it, Lock fails at once with a fault of kind Precondition that names that process.
func Lock(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	path := filepath.Join(dir, Name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	err = lock(f)
	switch {
	case errors.Is(err, errTaken):
		owner := "another process"
		if b, err := os.ReadFile(path); err == nil {
			if pid, err := strconv.Atoi(string(bytes.TrimSpace(b))); err == nil {
				owner = "process " + strconv.Itoa(pid)
			}
		}
		_ = f.Close()
		return nil, fault.Precondition("data directory %s is in use by %s: stop that one, or choose another data directory", dir, owner)
	case err != nil:
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	// The file stays: removing it would let a third process lock a new file of the same name while a second one still
	// holds the old.
	return f.Close, nil
}
