package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"movieexample.com/app"
	"movieexample.com/internal/kafka"
)

// asProgram makes the test binary be the program: what tests start is main as it is, signals and exit codes included.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(execute())
	}
	if kafka.IsBrokerProcess() {
		os.Exit(kafka.RunBrokerProcess())
	}
	os.Exit(m.Run())
}

// program is a process of the program.
type program struct {
	cmd            *exec.Cmd
	stdout, stderr output
	exited         chan struct{}
}

// output is what a process writes, read while it writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// prepare makes the command, in an environment that has nothing of ours but env and asks for colours.
func prepare(bin string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(bin, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MOVIEEXAMPLE_") && !strings.HasPrefix(v, "NO_COLOR=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, asProgram+"=1", "TERM=xterm-256color", "CLICOLOR_FORCE=1", "FORCE_COLOR=1")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// start starts the program. The test's end kills it if it still runs.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	return startBinary(t, os.Args[0], env, args...)
}

func startBinary(t *testing.T, bin string, env []string, args ...string) *program {
	t.Helper()
	return startCommand(t, prepare(bin, env, args...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{cmd: cmd, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is asked of ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails only when it has ended
		<-p.exited
		if t.Failed() {
			t.Logf("movieexample %s: %s\nstandard output:\n%s\nstandard error:\n%s", strings.Join(cmd.Args[1:], " "), p.cmd.ProcessState, &p.stdout, &p.stderr)
		}
	})
	return p
}

// patience bounds waiting in tests; it is no measurement.
const patience = time.Minute

// await waits until the condition holds, and fails when the program ends before.
func (p *program) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		select {
		case <-p.exited:
			if holds() {
				return
			}
			t.Fatalf("ended (%s) before: %s", p.cmd.ProcessState, what)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (p *program) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end. Whatever was written to something that is no terminal has no escape sequences.
func (p *program) wait(t *testing.T) outcome {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("still running after %s", patience)
	}
	o := outcome{p.cmd.ProcessState.ExitCode(), p.stdout.String(), p.stderr.String()}
	if strings.ContainsAny(o.stdout+o.stderr, "\x1b\r") {
		t.Errorf("escape sequences without a terminal: %q %q", o.stdout, o.stderr)
	}
	return o
}

// freePorts are the flags that make every listener take a free port.
func freePorts() []string {
	var args []string
	for _, name := range []string{"gateway", "metadata", "rating", "movie", "kafka", "admin"} {
		args = append(args, "--listen-"+name, "127.0.0.1:0")
	}
	return args
}

// startSystemProcess starts serve or demo on free ports and returns it with its addresses when it is ready.
func startSystemProcess(t *testing.T, env []string, args ...string) (*program, app.Addresses) {
	t.Helper()
	return startSystemBinary(t, os.Args[0], env, args...)
}

func startSystemBinary(t *testing.T, bin string, env []string, args ...string) (*program, app.Addresses) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "addresses.json")
	p := startBinary(t, bin, env, slices.Concat(args, freePorts(), []string{"--addresses", file})...)
	var a app.Addresses
	p.await(t, "the file with the addresses", func() bool {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &a); err != nil { // it is there whole or not at all
			t.Fatalf("%v in %s", err, text)
		}
		return true
	})
	return p, a
}
