//go:build unix

package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user without rights; root runs the tests here and there, and root may write everything.
const nobody = 65534

// asNobody prepares a data directory and a copy of the program that such a user can use, and returns how it is started with it.
func asNobody(t *testing.T) (dir string, serve func(t *testing.T) *program) {
	t.Helper()
	base := t.TempDir()
	if err := os.Chmod(filepath.Dir(base), 0o755); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(base, "program")
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(bin, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(base, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, func(t *testing.T) *program {
		t.Helper()
		cmd := prepare(bin, []string{"HOME=" + base, "TMPDIR=" + dir}, append([]string{"serve", "--data", dir}, freePorts()...)...)
		cmd.Dir = dir
		if os.Geteuid() == 0 {
			give(t, nobody, dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		return startCommand(t, cmd)
	}
}

// give gives everything in dir to a user.
func give(t *testing.T, user int, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, "-shm") {
			return err
		}
		return os.Chown(path, user, user)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Data that cannot be written ends the start with one line that names the file and what to do, instead of a process that says it
// is ready and refuses every write.
func TestDataThatCannotBeWritten(t *testing.T) {
	dir, serve := asNobody(t)
	p := serve(t)
	p.await(t, "ready", func() bool { return strings.Contains(p.stdout.String(), "is ready") })
	p.signal(t, os.Interrupt)
	if o := p.wait(t); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	rating, metadata := filepath.Join(dir, "rating", "rating.db"), filepath.Join(dir, "metadata", "metadata.db")
	mode := func(m fs.FileMode, files ...string) func() error {
		return func() error {
			for _, f := range files {
				if err := os.Chmod(f, m); err != nil {
					return err
				}
			}
			return nil
		}
	}
	locked := func(file string) func() error { // of another user, or immutable where the tests cannot create one
		return func() error {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				return err
			}
			if os.Geteuid() != 0 {
				return os.Chmod(file, 0)
			}
			return os.Chown(file, 0, 0)
		}
	}
	for name, tc := range map[string]struct {
		spoil, mend func() error
		file        string
	}{
		"both files":          {mode(0o444, rating, metadata), mode(0o644, rating, metadata), metadata},
		"one of two files":    {mode(0o444, rating), mode(0o644, rating), rating},
		"another user's log":  {locked(rating + "-wal"), func() error { return os.Remove(rating + "-wal") }, rating + "-wal"},
		"another user's -shm": {locked(rating + "-shm"), func() error { return os.Remove(rating + "-shm") }, rating + "-shm"},
		"a directory":         {mode(0o555, filepath.Dir(rating)), mode(0o755, filepath.Dir(rating)), filepath.Dir(rating)},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.spoil(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := tc.mend(); err != nil {
					t.Fatal(err)
				}
			}()
			o := serve(t).wait(t)
			last := o.stderr[strings.LastIndex(strings.TrimSuffix(o.stderr, "\n"), "\n")+1:]
			if o.code != exitFailed || strings.Contains(o.stdout, "is ready") || !strings.Contains(last, tc.file+" ") || !strings.Contains(last, "chown") {
				t.Errorf("exit code %d, %q; want one line that names %s and says what to do:\n%s", o.code, o.stdout, tc.file, o.stderr)
			}
		})
	}
	p = serve(t)
	p.await(t, "ready again", func() bool { return strings.Contains(p.stdout.String(), "is ready") })
}
