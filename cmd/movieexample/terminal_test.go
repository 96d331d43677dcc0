//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal opens a pseudo-terminal: what is typed into and shown on keyboard is the user's side, the program gets screen.
func openTerminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	conn, err := keyboard.SyscallConn() // Fd would make reads block forever
	if err != nil {
		t.Fatal(err)
	}
	var n uint32
	var ioctl error
	if err := conn.Control(func(fd uintptr) {
		if ioctl = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); ioctl == nil {
			n, ioctl = unix.IoctlGetUint32(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || ioctl != nil {
		t.Fatal(err, ioctl)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	return keyboard, screen
}

// startOnTerminal starts the program on its own terminal; what it shows goes to stdout.
func startOnTerminal(t *testing.T, env []string, args ...string) (p *program, keyboard *os.File) {
	t.Helper()
	keyboard, screen := openTerminal(t)
	p = &program{cmd: prepare(os.Args[0], env, args...), exited: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = screen, screen, screen
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := screen.Close(); err != nil { // so that the program's end is the end of what is shown
		t.Fatal(err)
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		buf := make([]byte, 4096)
		for {
			n, err := keyboard.Read(buf)
			_, _ = p.stdout.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is asked of ProcessState
		<-shown
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails only when it has ended
		<-p.exited
		if t.Failed() {
			t.Logf("on the terminal: %q", p.stdout.String())
		}
	})
	return p, keyboard
}

// TestDemoOnATerminal: the load has a bar that is drawn over itself, without colours; Ctrl-C, as typed, ends it.
func TestDemoOnATerminal(t *testing.T) {
	tmp := t.TempDir()
	p, keyboard := startOnTerminal(t, []string{"TMPDIR=" + tmp}, append([]string{"demo"}, freePorts()...)...)
	bar := regexp.MustCompile(`\rratings +\[#+\.*\] +\d+ %  [\d,]+ ratings  [\d,]+/s`)
	p.await(t, "a bar of the ratings", func() bool { return bar.MatchString(p.stdout.String()) })
	if _, err := keyboard.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	<-p.exited
	text := p.stdout.String()
	if code := p.cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(text, "\nmovieexample: interrupted while loading the demo") {
		t.Errorf("exit code %d", code)
	}
	// The one sequence that is used erases to the end of the line.
	if rest := strings.ReplaceAll(text, "\x1b[K", ""); strings.Contains(rest, "\x1b") {
		t.Error("other escape sequences than those of the bar")
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

// TestDumbTerminal gets lines instead of a bar.
func TestDumbTerminal(t *testing.T) {
	p, keyboard := startOnTerminal(t, []string{"TMPDIR=" + t.TempDir(), "TERM=dumb"}, append([]string{"demo"}, freePorts()...)...)
	p.await(t, "the load", func() bool { return strings.Contains(p.stdout.String(), "the demo: ") })
	if _, err := keyboard.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if text := p.stdout.String(); strings.Contains(text, "\x1b") || bytes.Contains([]byte(strings.ReplaceAll(text, "\r\n", "\n")), []byte("\r")) {
		t.Error("a bar on a terminal that cannot draw one")
	}
}
