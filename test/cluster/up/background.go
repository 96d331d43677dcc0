//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// stopPatience is how long a stop may take: each step of it is bounded, the longest by a minute.
const stopPatience = 3 * time.Minute

func lockFile(dir string) string { return filepath.Join(dir, "lock") }
func logFile(dir string) string  { return filepath.Join(dir, "cluster.log") }

// lock takes the lock that a running cluster holds; nil where it is held. The kernel frees it when its holder dies, so that an
// old pid misleads no one.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(lockFile(dir), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil //nolint:nilnil // held by a running cluster, as the comment says
	}
	return nil, fmt.Errorf("lock %s: %w", lockFile(dir), err)
}

// running reports whether a cluster has the directory.
func running(dir string) (bool, error) {
	if _, err := os.Stat(lockFile(dir)); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	free, err := lock(dir)
	if err != nil || free == nil {
		return err == nil, err
	}
	return false, free.Close()
}

// start runs this program again, in the background, and waits until its cluster is ready.
func start(ctx context.Context, o options, args []string, stdout io.Writer) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	up, err := running(o.dir)
	if err != nil {
		return err
	}
	if up {
		s, err := readState(o.dir)
		if err != nil {
			return fmt.Errorf("a cluster is being started or stopped in %s: try again in a moment (%w)", o.dir, err)
		}
		fmt.Fprintf(stdout, "It runs already, with pid %d.\n\n", s.PID)
		return s.print(stdout, o.dir)
	}
	if err := os.Remove(stateFile(o.dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(logFile(o.dir))
	if err != nil {
		return err
	}
	defer log.Close()
	args = slices.Clone(args)
	args[slices.Index(args, "start")] = "run"
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives the terminal
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if s, err := readState(o.dir); err == nil {
			return s.print(stdout, o.dir)
		}
		select {
		case <-tick.C:
		case err := <-ended:
			text, _ := os.ReadFile(logFile(o.dir)) // what it says, where it can be read
			return fmt.Errorf("the cluster did not start: %w\n%s", err, text)
		case <-ctx.Done():
			return errors.Join(errors.New("interrupted; nothing is left running"), cmd.Process.Signal(syscall.SIGTERM), <-ended)
		}
	}
}

// stop ends the cluster of the directory and says what did not end well.
func stop(ctx context.Context, o options, stdout io.Writer) error {
	up, err := running(o.dir)
	if err != nil {
		return err
	}
	if !up {
		fmt.Fprintf(stdout, "No cluster runs in %s.\n", o.dir)
		return nil
	}
	s, err := readState(o.dir)
	if err != nil {
		return fmt.Errorf("a cluster is being started or stopped in %s: try again in a moment (%w)", o.dir, err)
	}
	before, err := os.ReadFile(logFile(o.dir))
	if err != nil {
		return err
	}
	if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the cluster, pid %d: %w", s.PID, err)
	}
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for up {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if up, err = running(o.dir); err != nil {
			return err
		}
		if time.Since(began) > stopPatience {
			return fmt.Errorf("it still runs %s after it was asked to stop: pid %d; its log is %s", stopPatience, s.PID, logFile(o.dir))
		}
	}
	var left []string
	for _, p := range s.Processes {
		if p.lives() {
			left = append(left, fmt.Sprintf("%s, pid %d", p.Name, p.PID))
		}
	}
	after, err := os.ReadFile(logFile(o.dir))
	if err != nil {
		return err
	}
	if said := after[min(len(before), len(after)):]; len(said) > 0 {
		fmt.Fprintf(stdout, "%s", said)
	}
	if len(left) > 0 {
		return fmt.Errorf("these still run: %v", left)
	}
	fmt.Fprintf(stdout, "Stopped after %s. The data are in %s: remove it to start over.\n", time.Since(began).Round(time.Millisecond), o.dir)
	return nil
}
