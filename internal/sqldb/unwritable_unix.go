//go:build unix

package sqldb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unwritable says which file or directory of the database this user cannot write, and what to do; "" if there is none.
func unwritable(path string) string {
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		err := unix.Access(file, unix.R_OK|unix.W_OK)
		switch {
		case errors.Is(err, unix.EROFS):
			return file + " is on a file system that is mounted read-only: mount it to be written, or choose another directory"
		case errors.Is(err, unix.EPERM):
			return "no permission: " + file + " is marked as immutable: take the mark away (chattr -i " + file + ")"
		case errors.Is(err, unix.EACCES):
			return "no permission: " + file + " cannot be read and written by this user: " + ownersRemedy(file)
		}
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "" // that is another mistake
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) {
		return "no permission: the directory " + dir + " cannot be written by this user, and SQLite makes files beside the database: " + ownersRemedy(dir)
	}
	return ""
}

// ownersRemedy is what gives this process's user a file.
func ownersRemedy(file string) string {
	return fmt.Sprintf("give it to the user that runs the service (chown %d %s; chmod u+rw %s), then restart", os.Geteuid(), file, file)
}
