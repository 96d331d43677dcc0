package lockfile_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/lockfile"
)

// TestMain lets the test start itself as another process that holds a lock until its input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCKFILE_TEST_HOLD"); dir != "" {
		if _, err := lockfile.Lock(dir); err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString("held\n")
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "directory")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "LOCKFILE_TEST_HOLD="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 8)); err != nil {
		t.Fatalf("the other process did not get the lock: %v", err)
	}
	_, err = lockfile.Lock(dir)
	if fault.KindOf(err) != fault.KindPrecondition || !strings.Contains(err.Error(), "process "+strconv.Itoa(cmd.Process.Pid)) ||
		!strings.Contains(err.Error(), dir) {
		t.Fatalf("while another process holds it: %v; want a Precondition that names process and directory", err)
	}
	// However the owner ends, the lock ends with it.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	_ = stdin.Close()
	release, err := lockfile.Lock(dir)
	if err != nil {
		t.Fatalf("after the owner's end: %v", err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s can be used by others: %v, %v", d, info.Mode(), err)
		}
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if release, err = lockfile.Lock(dir); err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lockfile.Lock(filepath.Join(file, "below")); err == nil || !strings.Contains(err.Error(), "create data directory") {
		t.Fatalf("below a file: %v", err)
	}
}
