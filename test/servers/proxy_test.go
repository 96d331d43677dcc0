//go:build linux

package servers_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"movieexample.com/test/servers"
)

// patience bounds a wait for bytes that should come.
const patience = 10 * time.Second

// echo answers each line with itself, in capitals, and sends what it reads and how connections end to the channels.
type echo struct {
	net.Listener
	lines chan string
	ends  chan error
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	e := &echo{Listener: l, lines: make(chan string, 100), ends: make(chan error, 100)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						e.ends <- err
						return
					}
					e.lines <- strings.TrimSuffix(line, "\n")
					_, _ = io.WriteString(conn, strings.ToUpper(line))
				}
			}()
		}
	}()
	return e
}

// wait returns what comes next.
func wait[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("no %s within %s", what, patience)
	}
	return v
}

// client is a connection that speaks in lines.
type client struct {
	net.Conn
	r *bufio.Reader
}

func connect(t *testing.T, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{Conn: conn, r: bufio.NewReader(conn)}
}

// say sends a line and returns the answer.
func (c *client) say(line string) (string, error) {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	answer, err := c.r.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

func (c *client) expect(t *testing.T, line, want string) {
	t.Helper()
	if got, err := c.say(line); err != nil || got != want {
		t.Fatalf("%q is answered with %q, %v; want %q", line, got, err, want)
	}
}

func newProxy(t *testing.T, target string) *servers.Proxy {
	t.Helper()
	p, err := servers.NewProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close the proxy: %v", err)
		}
	})
	return p
}

func TestProxyForwards(t *testing.T) {
	e := newEcho(t)
	p := newProxy(t, e.Addr().String())
	c := connect(t, p.Address())
	c.expect(t, "one", "ONE")
	// An end in good order is one at the other side too.
	_ = c.Close()
	if err := wait(t, "end", e.ends); !errors.Is(err, io.EOF) {
		t.Errorf("the server sees %v, want the end of the file", err)
	}
	other := newEcho(t)
	p.SetTarget(other.Addr().String())
	connect(t, p.Address()).expect(t, "two", "TWO")
	if got := wait(t, "line", other.lines); got != "two" || p.Accepted() != 2 {
		t.Errorf("the new target got %q, %d connections", got, p.Accepted())
	}
}

func TestProxyCut(t *testing.T) {
	e := newEcho(t)
	p := newProxy(t, e.Addr().String())
	if n := p.Cut(); n != 0 {
		t.Errorf("%d connections cut before there was one", n)
	}
	c := connect(t, p.Address())
	c.expect(t, "one", "ONE")
	if n := p.Cut(); n != 1 {
		t.Errorf("%d connections cut, want 1", n)
	}
	if _, err := c.r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v, want a reset", err)
	}
	if err := wait(t, "end", e.ends); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server sees %v, want a reset", err)
	}
	connect(t, p.Address()).expect(t, "two", "TWO")
}

func TestProxyRefuse(t *testing.T) {
	p := newProxy(t, newEcho(t).Addr().String())
	c := connect(t, p.Address())
	c.expect(t, "one", "ONE")
	p.Refuse()
	if conn, err := net.Dial("tcp", p.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			_ = conn.Close()
		}
		t.Errorf("a new connection: %v, want refused", err)
	}
	c.expect(t, "two", "TWO")
	if err := p.Accept(); err != nil {
		t.Fatal(err)
	}
	connect(t, p.Address()).expect(t, "three", "THREE")
}

func TestProxyPause(t *testing.T) {
	for _, tc := range []struct {
		name    string
		d       servers.Direction
		arrives bool
	}{
		{"to the server", servers.ToServer, false},
		{"to the client", servers.ToClient, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEcho(t)
			p := newProxy(t, e.Addr().String())
			c := connect(t, p.Address())
			c.expect(t, "one", "ONE")
			wait(t, "line", e.lines)
			p.Pause(tc.d)
			if _, err := io.WriteString(c, "two\n"); err != nil {
				t.Fatal(err)
			}
			if tc.arrives {
				wait(t, "line", e.lines)
			}
			if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client reads something: %v", err)
			}
			if len(e.lines) != 0 {
				t.Error("the server got the line")
			}
			p.Resume(tc.d)
			if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if got, err := c.r.ReadString('\n'); err != nil || got != "TWO\n" {
				t.Errorf("after the pause comes %q, %v", got, err)
			}
			// A connection that is paused can be cut, and the proxy be closed.
			p.Pause(tc.d)
			if _, err := io.WriteString(c, "three\n"); err != nil {
				t.Fatal(err)
			}
			if n := p.Cut(); n != 1 {
				t.Errorf("%d connections cut, want 1", n)
			}
		})
	}
}

// TestProxyWatch resets a connection when a word passes, before and after it reached the server.
func TestProxyWatch(t *testing.T) {
	for _, tc := range []struct {
		name    string
		verdict servers.Verdict
		arrives bool
	}{
		{"before", servers.ResetBefore, false},
		{"after", servers.ResetAfter, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEcho(t)
			p := newProxy(t, e.Addr().String())
			p.Watch(func(d servers.Direction, b []byte) servers.Verdict {
				if d == servers.ToServer && strings.Contains(string(b), "commit") {
					return tc.verdict
				}
				return servers.Forward
			})
			c := connect(t, p.Address())
			c.expect(t, "one", "ONE")
			wait(t, "line", e.lines)
			if answer, err := c.say("commit"); !errors.Is(err, syscall.ECONNRESET) || answer != "" {
				t.Errorf("the client sees %q, %v; want a reset and no answer", answer, err)
			}
			if err := wait(t, "end", e.ends); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the server sees %v, want a reset", err)
			}
			if p.Resets() != 1 {
				t.Errorf("%d resets counted, want 1", p.Resets())
			}
			if arrived := len(e.lines) == 1; arrived != tc.arrives {
				t.Errorf("the server got the line: %t, want %t", arrived, tc.arrives)
			}
			p.Watch(nil)
			connect(t, p.Address()).expect(t, "commit", "COMMIT")
			if p.Resets() != 1 {
				t.Errorf("%d resets counted, want 1 still", p.Resets())
			}
		})
	}
}

// TestProxyWithoutServer connects without a listener behind the proxy.
func TestProxyWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := l.Addr().String()
	_ = l.Close()
	conn, err := net.Dial("tcp", newProxy(t, target).Address())
	if err == nil { // the reset may be faster than the handshake
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v, want a reset", err)
	}
}
