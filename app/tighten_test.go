//go:build unix

package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDirectoriesOfAnEarlierRelease: directories of the data directory that others may read, as earlier releases made them, are closed
// to them at the start.
func TestDirectoriesOfAnEarlierRelease(t *testing.T) {
	dir := t.TempDir()
	names := []string{"metadata", "rating", "broker"}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o755); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	p := run(t, testConfig(dir))
	for _, name := range names {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		if !strings.Contains(p.log.String(), "removed other users' access to the data directory") || !strings.Contains(p.log.String(), path) {
			t.Errorf("the log does not say that %s was open to others", path)
		}
	}
}
