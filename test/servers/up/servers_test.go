//go:build servers

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds a wait for what should happen.
const patience = time.Minute

// build builds the command.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "up")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// start runs a command line that starts up with a MariaDB, and returns it with the addresses it printed.
func start(t *testing.T, path string, args ...string) (*exec.Cmd, addresses) {
	t.Helper()
	cmd := exec.Command(path, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("no line: %v\n%s", err, complaints.String())
	}
	var a addresses
	if err := json.Unmarshal(line, &a); err != nil || a.MariaDB == nil || !alive(a.MariaDB.PID) {
		t.Fatalf("the line is %q: %v; want a MariaDB that runs", line, err)
	}
	return cmd, a
}

// alive reports whether a process runs. A zombie that was not waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !condition() {
		select {
		case <-late:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

func missing(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err != nil
}

// TestTerminate stops the servers and leaves nothing.
func TestTerminate(t *testing.T) {
	cmd, a := start(t, build(t), "mariadb")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if alive(a.MariaDB.PID) || !missing(t, filepath.Dir(a.MariaDB.Log)) {
		t.Errorf("the server runs: %t; its directory is gone: %t", alive(a.MariaDB.PID), missing(t, filepath.Dir(a.MariaDB.Log)))
	}
}

// TestKilled gives the command no chance to stop its servers.
func TestKilled(t *testing.T) {
	bin := build(t)
	cmd, a := start(t, bin, "mariadb")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
	until(t, "the server ends with the program that started it", func() bool { return !alive(a.MariaDB.PID) })
	dir := filepath.Dir(a.MariaDB.Log)
	if missing(t, dir) {
		t.Error("the directory is gone: there is nothing to sweep, and the rest shows nothing")
	}
	start(t, bin, "mariadb")
	if !missing(t, dir) {
		t.Errorf("the next start leaves %s, which is unused", dir)
	}
}

// TestParentEnds kills the shell that started the command.
func TestParentEnds(t *testing.T) {
	cmd, a := start(t, "bash", "-c", build(t)+" mariadb --stop-with-parent & wait")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	until(t, "the server stops with the shell", func() bool { return !alive(a.MariaDB.PID) })
	until(t, "its directory is removed", func() bool { return missing(t, filepath.Dir(a.MariaDB.Log)) })
}

// TestKeepsData starts twice in one directory. It is not the test's own, which user mysql could not reach.
func TestKeepsData(t *testing.T) {
	bin := build(t)
	dir, err := os.MkdirTemp("", "up-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// Where others may not pass, the error says so.
	if os.Getuid() == 0 {
		if err := run(t.Context(), []string{"mariadb", "--dir", dir}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "chmod o+x") {
			t.Errorf("a directory that the server cannot reach: %v", err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mysql := func(a addresses, statements string) string {
		t.Helper()
		host, port, _ := strings.Cut(a.MariaDB.Address, ":")
		out, err := exec.CommandContext(t.Context(), "mariadb", "--no-defaults", "-uroot", "-h"+host, "-P"+port, "-Ne", statements).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	cmd, a := start(t, bin, "mariadb", "--dir", dir)
	mysql(a, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (7)")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	_, a = start(t, bin, "mariadb", "--dir", dir)
	if got := mysql(a, "SELECT id FROM d.t"); got != "7" {
		t.Errorf("after the second start the row is %q, want 7", got)
	}
}
