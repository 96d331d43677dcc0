// Package system runs the real binary as tests see it: built once, started on free loopback ports with its own data
// directory, stopped by the pid it was started with.
package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Addresses is what the process writes with --addresses.
type Addresses struct {
	Gateway  string `json:"gateway"`
	Metadata string `json:"metadata"`
	Rating   string `json:"rating"`
	Movie    string `json:"movie"`
	Kafka    string `json:"kafka"`
	Admin    string `json:"admin"`
	Data     string `json:"data"`
	PID      int    `json:"pid"`
}

// Build builds the binary into a directory that is removed after the test, and returns its path.
func Build(t testing.TB) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "movieexample")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./cmd/movieexample")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	return bin
}

// moduleRoot is the directory with go.mod above the test's.
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
			return "", errors.New("no go.mod above the test")
		}
		dir = parent
	}
}

// Process is one life of the binary.
type Process struct {
	Addresses
	// File is the JSON file with the addresses, for commands that take --addresses.
	File string

	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{}
	err    error // of Wait; read after exited
}

// anyPort makes every listener choose a free port.
func anyPort() []string {
	var args []string
	for _, l := range []string{"gateway", "metadata", "rating", "movie", "kafka", "admin"} {
		args = append(args, "--listen-"+l, "127.0.0.1:0")
	}
	return args
}

// Start runs `bin serve` on dataDir with further arguments and waits until it is ready. The test's end kills it if it is
// still there.
func Start(t testing.TB, bin, dataDir string, args ...string) *Process {
	t.Helper()
	p, err := TryStart(t, bin, append([]string{"serve", "--data", dataDir}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// readyTimeout is generous: it is a bound for a hung start, not a measurement.
const readyTimeout = 60 * time.Second

// TryStart is Start for any command that serves, and returns the error of a process that ends before it is ready.
func TryStart(t testing.TB, bin string, args ...string) (*Process, error) {
	t.Helper()
	p := &Process{
		File:   filepath.Join(t.TempDir(), "addresses.json"),
		log:    &logBuffer{},
		exited: make(chan struct{}),
	}
	p.cmd = exec.Command(bin, append(append(args, "--addresses", p.File), anyPort()...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(cleanEnv(), "MOVIEEXAMPLE_LOG_LEVEL=info")
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("log of pid %d:\n%s", p.cmd.Process.Pid, p.log.tail(60))
		}
	})
	deadline := time.NewTimer(readyTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.exited:
			return nil, fmt.Errorf("the process ended before it was ready: %w\n%s", p.err, p.log.tail(60))
		case <-deadline.C:
			p.Kill()
			return nil, fmt.Errorf("not ready within %s\n%s", readyTimeout, p.log.tail(60))
		case <-tick.C:
		}
		text, err := os.ReadFile(p.File)
		if err != nil {
			continue
		}
		if err := json.Unmarshal(text, &p.Addresses); err != nil {
			p.Kill()
			return nil, fmt.Errorf("read %s: %w", p.File, err)
		}
		return p, nil
	}
}

// cleanEnv is the test's environment without settings for the program.
func cleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MOVIEEXAMPLE_") {
			env = append(env, v)
		}
	}
	return env
}

// Kill ends the process with SIGKILL, if it still runs, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.exited
}

// Terminate sends SIGTERM and waits for an orderly end; it returns how long that took.
func (p *Process) Terminate(within time.Duration) (time.Duration, error) {
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("terminate: %w", err)
	}
	select {
	case <-p.exited:
	case <-time.After(within):
		p.Kill()
		return time.Since(began), fmt.Errorf("still running %s after SIGTERM\n%s", within, p.log.tail(60))
	}
	if p.err != nil {
		return time.Since(began), fmt.Errorf("ended with %w after SIGTERM\n%s", p.err, p.log.tail(60))
	}
	return time.Since(began), nil
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Binary is the path of the program.
func (p *Process) Binary() string { return p.cmd.Path }

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log returns what the process has written so far.
func (p *Process) Log() string { return p.log.String() }

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command of the binary to its end.
func Run(ctx context.Context, t testing.TB, bin string, args ...string) Result {
	t.Helper()
	cmd := exec.CommandContext(ctx, bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = cleanEnv()
	err := cmd.Run()
	r := Result{Stdout: out.String(), Stderr: errs.String()}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		r.Code = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("run %s %s: %v", bin, strings.Join(args, " "), err)
	}
	return r
}

// logBuffer keeps what a process writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
