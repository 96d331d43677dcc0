//go:build linux

package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A room is a directory of one server and the ports it listens on, both its own for as long as this program lives or
// until it is closed.
//
// Rooms lie in one directory per user. Who holds the lock of a room owns it; the kernel frees the lock when the owner dies,
// so the next program sees which rooms are unused and removes them.
type room struct {
	dir   string
	made  bool // by us, and ours to remove
	locks []*os.File
}

// newRoom makes a room. If dir is not empty, the room is that directory; it is created if it is missing, and
// stays when the room is closed.
func newRoom(what, dir string) (*room, error) {
	base, err := roomsDir()
	if err != nil {
		return nil, err
	}
	r := &room{dir: dir}
	if dir != "" {
		if r.dir, err = filepath.Abs(dir); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(r.dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a directory for %s: %w", what, err)
		}
		return r, nil
	}
	// Between a room and its lock no process may sweep.
	doorway, err := lock(filepath.Join(base, "lock"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer doorway.Close()
	sweep(base)
	if r.dir, err = os.MkdirTemp(base, what+"-"); err != nil {
		return nil, fmt.Errorf("make a directory for %s: %w", what, err)
	}
	r.made = true
	// Servers that run as another user have to get in.
	if err := os.Chmod(r.dir, 0o755); err != nil {
		return nil, errors.Join(err, r.close())
	}
	held, err := lock(r.dir+".owner", syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.locks = append(r.locks, held)
	return r, nil
}

// roomsDir is the directory of this user's rooms.
func roomsDir() (string, error) {
	dir := filepath.Join(os.TempDir(), "movieexample-servers-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(filepath.Join(dir, "ports"), 0o755); err != nil {
		return "", fmt.Errorf("make the directory of test servers: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("make the directory of test servers: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is needed for test servers, and belongs to someone else: remove it or set TMPDIR", dir)
	}
	return dir, nil
}

// sweep removes the rooms whose owners are dead. What cannot be removed stays for the next one: it is not an error.
func sweep(base string) {
	owners, _ := filepath.Glob(filepath.Join(base, "*.owner")) // fails only for a bad pattern
	for _, owner := range owners {
		held, err := lock(owner, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue
		}
		dir := strings.TrimSuffix(owner, ".owner")
		_ = syscall.Unmount(dir, syscall.MNT_DETACH) // a SmallDisk; other rooms are not mount points
		if os.RemoveAll(dir) == nil {
			_ = os.Remove(owner)
		}
		_ = held.Close()
	}
}

// lock opens a file, makes it where it is missing, and locks it until it is closed.
func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// port reserves a port of 127.0.0.1 without a listener, for the life of the room.
//
// It lies outside the range from which the kernel takes the ports of outgoing connections. Otherwise a client that dials a
// server while it is down gets that very port for its own end sooner or later, is connected to itself, and the server
// cannot come back.
func (r *room) port() (int, error) {
	base, err := roomsDir()
	if err != nil {
		return 0, err
	}
	low, high, err := portRange()
	if err != nil {
		return 0, err
	}
	for range 1000 {
		n := low + rand.IntN(high-low)
		held, err := lock(filepath.Join(base, "ports", strconv.Itoa(n)), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // another test's
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n)))
		if err != nil {
			_ = held.Close()
			continue
		}
		_ = l.Close()
		r.locks = append(r.locks, held)
		return n, nil
	}
	return 0, fmt.Errorf("a thousand ports between %d and %d were tried, and each is in use", low, high)
}

// ports reserves n of them.
func (r *room) ports(n int) ([]int, error) {
	out := make([]int, n)
	for i := range out {
		var err error
		if out[i], err = r.port(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// portRange returns the ports [low, high) that the kernel does not assign.
func portRange() (low, high int, err error) {
	const file = "/proc/sys/net/ipv4/ip_local_port_range"
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, fmt.Errorf("find a free port: %w", err)
	}
	var first, last int
	if _, err := fmt.Sscan(string(text), &first, &last); err != nil {
		return 0, 0, fmt.Errorf("find a free port: read %s: %w", file, err)
	}
	switch {
	case first >= 12_000:
		return 10_000, first, nil
	case last <= 63_000:
		return last + 1, 65_536, nil
	}
	return 0, 0, fmt.Errorf("find a free port: the kernel uses %d to %d for outgoing connections (%s) and leaves too few for servers", first, last, file)
}

// close frees the ports and removes a directory that was made.
func (r *room) close() error {
	var errs []error
	if r.made {
		errs = append(errs, os.RemoveAll(r.dir), os.RemoveAll(r.dir+".owner"))
	}
	for _, l := range r.locks {
		errs = append(errs, l.Close())
	}
	r.locks = nil
	return errors.Join(errs...)
}

// address is the address of a port.
func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// kept returns the text of a file, which is written with what first returns where there is none.
func kept(file string, first func() string) (string, error) {
	text, err := os.ReadFile(file)
	if err == nil {
		return string(text), nil
	}
	value := first()
	if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
		return "", err
	}
	return value, nil
}
