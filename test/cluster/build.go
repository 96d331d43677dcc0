//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"movieexample.com/test/servers"
)

// BinaryVariable names an environment variable with the path of a program to run instead of building one: of one that was
// built for several test programs, or another version.
const BinaryVariable = "MOVIEEXAMPLE_TEST_BINARY"

// Build builds the binary of this tree, once in the life of the program, and returns its path. It stays until the program
// has ended: the next one that makes a room removes it. Where BinaryVariable is set, its value is the path.
func Build() (string, error) {
	if path := os.Getenv(BinaryVariable); path != "" {
		return filepath.Abs(path)
	}
	b, err := build()
	return b.path, err
}

// built is a binary, and the room it is in: the room's lock ends with the room, and then the next program removes it.
type built struct {
	path string
	room interface{ Dir() string }
}

var build = sync.OnceValues(func() (built, error) {
	root, err := moduleRoot()
	if err != nil {
		return built{}, err
	}
	room, err := servers.NewRoom("binary", "")
	if err != nil {
		return built{}, err
	}
	path := filepath.Join(room.Dir(), "movieexample")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/movieexample")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return built{}, errors.Join(fmt.Errorf("build the binary: %w\n%s", err, out), room.Close())
	}
	return built{path: path, room: room}, nil
})

// moduleRoot is the directory with go.mod at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("build the binary: there is no go.mod at or above the working directory")
		}
		dir = parent
	}
}
