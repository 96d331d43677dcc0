//go:build linux

package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// Program is another program that is handled like the servers of this package: it ends when this program dies, in any way; it can
// be killed, paused and restarted with the same arguments. The system under test is one.
type Program struct {
	// Name is for messages.
	Name string
	// Path is the program, Args are its arguments, and Dir is where it runs; empty is this program's directory.
	Path string
	Args []string
	Dir  string
	// Env is its whole environment; nil is this program's.
	Env []string
	// Log is the file that gets what it writes, behind what is there.
	Log string
	// Ready returns nil when it answers; until then it is called again. It is called in each life.
	Ready func(context.Context) error
}

// NewProcess returns the program's process, which does not run yet: Start starts it and waits, Launch only starts it.
func NewProcess(p Program) *Process {
	return &Process{program: program{name: p.Name, path: p.Path, args: p.Args, env: p.Env, dir: p.Dir, log: p.Log, ready: p.Ready}}
}

// Launch starts the process and does not wait until it answers. One that runs is an error.
func (p *Process) Launch() error { return p.launch() }

// AwaitReady waits until the process answers, for two minutes at most. The error has the end of its log; the process is
// left as it is. A paused process is waited for as well.
func (p *Process) AwaitReady(ctx context.Context) error { return p.awaitReady(ctx) }

// SetPath makes the next life one of another program with the same arguments: of another version, for example.
func (p *Process) SetPath(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.path = path
}

// Signal sends a signal to the process alone. One that does not run is an error.
func (p *Process) Signal(s syscall.Signal) error {
	return p.signalled("signal", func(l *life) error { return syscall.Kill(l.pid, s) })
}

// End is how a life ended.
type End struct {
	// Code is the exit code, or -1 when a signal ended the process.
	Code int
	// Signal is that signal; 0 when it was not signalled.
	Signal syscall.Signal
	// Took is the time between asking and the end.
	Took time.Duration
}

func (e End) String() string {
	took := e.Took.Round(time.Millisecond)
	if e.Signal != 0 {
		return fmt.Sprintf("signal %s after %s", e.Signal, took)
	}
	return fmt.Sprintf("exit code %d after %s", e.Code, took)
}

// Terminate asks the process to end (SIGTERM), resumes it where it was paused, and tells how it did. It is an error when it
// does not run, or still does when the time is over; it is not killed then.
func (p *Process) Terminate(within time.Duration) (End, error) {
	began := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return End{}, err
	}
	_ = p.Signal(syscall.SIGCONT) // fails only when it has ended
	return p.AwaitEnd(began, within)
}

// AwaitEnd waits until the life that is running has ended, and tells how; Took counts from since. Still running when the
// time is over is an error.
func (p *Process) AwaitEnd(since time.Time, within time.Duration) (End, error) {
	l := p.current()
	if l == nil {
		return End{}, fmt.Errorf("%s was never started", p.name)
	}
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	select {
	case <-l.exited:
	case <-timeout.C:
		return End{Took: time.Since(since)}, fmt.Errorf("%s, pid %d, still runs after %s%s", p.name, l.pid, within, p.logTail())
	}
	end := End{Took: time.Since(since)}
	if l.err == nil {
		return end, nil
	}
	exit := (*exec.ExitError)(nil)
	if !errors.As(l.err, &exit) {
		return end, fmt.Errorf("%s: %w", p.name, l.err)
	}
	end.Code = exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		end.Signal = status.Signal()
	}
	return end, nil
}

// Room is a directory and loopback ports that belong to no other program until it is closed. Where the program that has it dies, the
// next program that makes one removes the directory.
type Room struct{ room *room }

// NewRoom makes a room. With a dir that is not empty the room is that directory, which is made where it is missing and
// stays when the room is closed.
func NewRoom(what, dir string) (*Room, error) {
	r, err := newRoom(what, dir)
	if err != nil {
		return nil, err
	}
	return &Room{room: r}, nil
}

// Dir is the directory.
func (r *Room) Dir() string { return r.room.dir }

// Address reserves a port and returns its address, 127.0.0.1:PORT. It lies outside the range that the kernel takes the ports
// of outgoing connections from, so that a server can come back to it.
func (r *Room) Address() (string, error) {
	port, err := r.room.port()
	if err != nil {
		return "", err
	}
	return address(port), nil
}

// Close frees the ports and removes a directory that was made. It may be called twice.
func (r *Room) Close() error { return r.room.close() }
