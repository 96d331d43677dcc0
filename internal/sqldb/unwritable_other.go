//go:build !unix

package sqldb

import (
	"errors"
	"io/fs"
	"os"
)

// unwritable says which file of the database this user cannot write, and what to do; "" if there is none.
func unwritable(path string) string {
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err == nil {
			_ = f.Close() // nothing was written
		}
		if errors.Is(err, fs.ErrPermission) {
			return "no permission: " + file + " cannot be read and written by this user: give the user that runs the service the right to, then restart"
		}
	}
	return ""
}
