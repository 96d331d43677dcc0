//go:build linux

package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout bounds a start where the context does not. It is meant for a start that hangs, on a slow machine.
	startTimeout = 2 * time.Minute
	// stopTimeout is how long a server may take to stop when asked.
	stopTimeout = time.Minute
	// pollEvery is how often a start asks whether the server answers.
	pollEvery = 50 * time.Millisecond
	// readyPatience bounds one such question.
	readyPatience = 3 * time.Second
	// tailBytes is how much of a log an error shows.
	tailBytes = 4 << 10
)

// program says how a server is run, each time it is.
type program struct {
	name string // for messages
	path string
	args []string
	env  []string // nil: this program's
	dir  string   // where it runs
	log  string   // the file that gets what it writes
	user *syscall.Credential
	// ready returns nil when the server answers; until then it is called again.
	ready func(context.Context) error
}

// Process is one server as the operating system sees it: a program that is started, ended and started again, with the
// same arguments each time. Its methods may be called from several goroutines.
type Process struct {
	program
	mu   sync.Mutex
	life *life // the latest; nil before the first
}

// life is one run of the program.
type life struct {
	pid    int
	exited chan struct{}
	err    error // of Wait; read after exited
}

func (l *life) running() bool {
	if l == nil {
		return false
	}
	select {
	case <-l.exited:
		return false
	default:
		return true
	}
}

// launch starts the program and does not wait until it answers.
func (p *Process) launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.running() {
		return fmt.Errorf("start %s: it runs already, with pid %d", p.name, p.life.pid)
	}
	log, err := os.OpenFile(p.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir = p.dir
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = log, log
	// A separate process group, so that Ctrl-C in a terminal does not reach the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: p.user}
	l := &life{exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the parent-death signal when the thread that forked ends, not the program. So a thread is kept
		// for the life of the server.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		l.pid = cmd.Process.Pid
		started <- nil
		l.err = cmd.Wait()
		close(l.exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.life = l
	return nil
}

// awaitReady waits until the server answers. Where it does not, the error has the end of its log; the server is left as
// it is.
func (p *Process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	l := p.current()
	if l == nil {
		return fmt.Errorf("%s was never started", p.name)
	}
	began := time.Now()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		answer := p.ready(ctx)
		if answer == nil {
			return nil
		}
		select {
		case <-l.exited:
			return fmt.Errorf("%s ended before it answered: %w%s", p.name, l.end(), p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer after %s: %w%s", p.name, time.Since(began).Round(time.Millisecond), answer, p.logTail())
		case <-tick.C:
		}
	}
}

func (l *life) end() error {
	if l.err == nil {
		return errors.New("exit status 0")
	}
	return l.err
}

func (p *Process) current() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// Start starts the server again after it was killed, stopped or has exited, and returns when it answers. A server that is
// running is an error.
func (p *Process) Start(ctx context.Context) error {
	if err := p.launch(); err != nil {
		return err
	}
	if err := p.awaitReady(ctx); err != nil {
		return errors.Join(err, p.end())
	}
	return nil
}

// Restart is Stop, then Start.
func (p *Process) Restart(ctx context.Context) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.Start(ctx)
}

// Kill ends the server with SIGKILL, paused or not, and returns when it is gone. A server that is not running is an error:
// the fault did not happen.
func (p *Process) Kill() error {
	return p.signalled("kill", func(l *life) error {
		if err := syscall.Kill(-l.pid, syscall.SIGKILL); err != nil {
			return err
		}
		<-l.exited
		return nil
	})
}

// Stop asks the server to end (SIGTERM), resumes it where it was paused, and returns when it is gone. One that takes more
// than a minute is killed, and that is an error.
func (p *Process) Stop() error {
	return p.signalled("stop", func(l *life) error {
		if err := syscall.Kill(l.pid, syscall.SIGTERM); err != nil {
			return err
		}
		if err := syscall.Kill(l.pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		timeout := time.NewTimer(stopTimeout)
		defer timeout.Stop()
		select {
		case <-l.exited:
			return nil
		case <-timeout.C:
			_ = syscall.Kill(-l.pid, syscall.SIGKILL) // fails only when it has just ended
			<-l.exited
			return fmt.Errorf("it still ran after %s and was killed%s", stopTimeout, p.logTail())
		}
	})
}

// Pause freezes the server (SIGSTOP): its connections stay and nothing answers. It returns when it is frozen.
func (p *Process) Pause() error {
	return p.signalled("pause", func(l *life) error {
		if err := syscall.Kill(l.pid, syscall.SIGSTOP); err != nil {
			return err
		}
		return l.awaitState("T")
	})
}

// Resume thaws a paused server; it continues as if no time had passed.
func (p *Process) Resume() error {
	return p.signalled("resume", func(l *life) error {
		if err := syscall.Kill(l.pid, syscall.SIGCONT); err != nil {
			return err
		}
		return l.awaitState("SRD")
	})
}

// signalled runs a fault on the life that is running; it is an error where there is none.
func (p *Process) signalled(what string, fault func(*life) error) error {
	l := p.current()
	if !l.running() {
		return fmt.Errorf("%s %s: it is not running", what, p.name)
	}
	if err := fault(l); err != nil {
		return fmt.Errorf("%s %s, pid %d: %w", what, p.name, l.pid, err)
	}
	return nil
}

// awaitState waits until the kernel shows the process in one of the states, letters of proc(5).
func (l *life) awaitState(states string) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.pid))
		if err != nil {
			return err
		}
		// The state follows the program's name, which is in parentheses and may hold some itself.
		after := stat[bytes.LastIndexByte(stat, ')')+1:]
		if fields := bytes.Fields(after); len(fields) > 0 && strings.Contains(states, string(fields[0])) {
			return nil
		}
		select {
		case <-l.exited:
			return fmt.Errorf("it ended: %w", l.end())
		case <-timeout.C:
			return fmt.Errorf("the kernel shows %q after ten seconds, want a state of %q", bytes.TrimSpace(after), states)
		case <-tick.C:
		}
	}
}

// end kills the server if it still runs.
func (p *Process) end() error {
	if !p.Running() {
		return nil
	}
	if err := p.Kill(); err != nil && p.Running() {
		return err
	}
	return nil
}

// Running reports whether the process exists, frozen or not.
func (p *Process) Running() bool { return p.current().running() }

// PID is the id of the process, or of the latest one when none is running.
func (p *Process) PID() int {
	if l := p.current(); l != nil {
		return l.pid
	}
	return 0
}

// Exited is closed when the process that is running now has ended, in any way.
func (p *Process) Exited() <-chan struct{} { return p.current().exited }

// LogFile is the file with all that the server wrote, in all its lives.
func (p *Process) LogFile() string { return p.log }

// Log returns what the server wrote, in all its lives.
func (p *Process) Log() (string, error) {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return "", fmt.Errorf("read the log of %s: %w", p.name, err)
	}
	return string(text), nil
}

// errorLine matches what servers write about a failure; a Java exception has its own line.
var errorLine = regexp.MustCompile(`ERROR|^(Caused by: )?[A-Za-z.]+(Exception|Error): `)

// logTail is what of the log belongs into an error's message: the last lines that say ERROR, and the end. A server that
// fails continues to report each step of its shutdown, and the reason is far above the end.
func (p *Process) logTail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return "\nits log cannot be read: " + err.Error()
	}
	var errs [][]byte
	for line := range bytes.Lines(text) {
		if errorLine.Match(line) {
			errs = append(errs, line)
		}
	}
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	message := ""
	if len(errs) > 0 {
		message = fmt.Sprintf("\nerrors in %s:\n%s", p.log, bytes.Join(errs[max(0, len(errs)-10):], nil))
	}
	return message + fmt.Sprintf("\nthe end of %s:\n%s", p.log, text)
}

// runTool runs a program to its end, in dir, and returns what it printed. The error has that too.
func runTool(ctx context.Context, user *syscall.Credential, dir, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: user}
	// The programs are scripts, in part: what they started goes as well.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("run %s: %w\n%s", filepath.Base(path), err, out)
	}
	return string(out), nil
}
