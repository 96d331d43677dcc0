package connlimit_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"movieexample.com/internal/connlimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// echo serves one listener: it sends back what it gets.
func echo(t *testing.T, l *connlimit.Limiter, of connlimit.Listener) string {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := l.Listen(inner, of)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close()
				_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		served.Wait()
	})
	return ln.Addr().String()
}

// client is a connection of a test.
type client struct{ net.Conn }

func dial(t *testing.T, addr, from string) client {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return client{c}
}

// works reports whether what is sent comes back.
func (c client) works() bool {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err == nil
}

// closed reports whether the other end has closed it; it waits for that.
func (c client) closed() bool {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func newLimiter(t *testing.T, descriptors int) (*connlimit.Limiter, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	l, err := connlimit.New(connlimit.Config{Descriptors: descriptors, Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	return l, reg
}

// value is a metric's value for a listener, and a reason where the metric has one.
func value(t *testing.T, reg *prometheus.Registry, name, listener, reason string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == name && labels["listener"] == listener && labels["reason"] == reason {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no %s of %s %s", name, listener, reason)
	return 0
}

// TestNewcomersAreServed: connections over the limit take the place of those that are missed least.
func TestNewcomersAreServed(t *testing.T) {
	for _, row := range []struct {
		name, reason string
		of           connlimit.Listener
		others       string // where the silent ones come from
	}{
		{"of one address", "address", connlimit.Listener{Name: "a", Max: 100, MaxPerAddress: 4}, "127.0.0.1"},
		{"in all", "listener", connlimit.Listener{Name: "a", Max: 4, MaxPerAddress: 100}, "127.0.0.2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, reg := newLimiter(t, 1<<20)
			addr := echo(t, l, row.of)
			used := dial(t, addr, "127.0.0.1")
			if !used.works() {
				t.Fatal("the first connection does not work")
			}
			var silent []client
			for range 40 {
				silent = append(silent, dial(t, addr, row.others))
				if !used.works() {
					t.Fatalf("a connection in use was closed for the %dth that is not", len(silent))
				}
			}
			for i, c := range silent[:37] {
				if !c.closed() {
					t.Errorf("silent connection %d of 40 is still open", i)
				}
			}
			if newcomer := dial(t, addr, "127.0.0.1"); !newcomer.works() {
				t.Error("a newcomer is not served")
			}
			if n := value(t, reg, "movieexample_server_connections_evicted_total", "a", row.reason); n != 38 {
				t.Errorf("%v connections are counted as closed, want 38", n)
			}
			if n := value(t, reg, "movieexample_server_connections", "a", ""); n != 4 {
				t.Errorf("%v connections are open, want 4", n)
			}
		})
	}
}

// TestOneAddressLeavesRoom: whoever has reached the limit of an address does not push out those from others.
func TestOneAddressLeavesRoom(t *testing.T) {
	l, _ := newLimiter(t, 1<<20)
	addr := echo(t, l, connlimit.Listener{Name: "a", Max: 8, MaxPerAddress: 4})
	idle := dial(t, addr, "127.0.0.2") // has never said anything, as the others
	for range 40 {
		dial(t, addr, "127.0.0.1")
	}
	if last := dial(t, addr, "127.0.0.1"); !last.works() {
		t.Error("a newcomer is not served")
	}
	if !idle.works() {
		t.Error("a connection from another address was closed")
	}
}

// TestDescriptorsAreLeft: with few descriptors left, connections of one listener give way to those of another, and those of
// the reserved listener are taken in and kept.
func TestDescriptorsAreLeft(t *testing.T) {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatalf("count descriptors: %v", err)
	}
	// The dialling ends are this process's too: all of them, and some forty accepted ones, fit below what is kept, a third.
	l, reg := newLimiter(t, (len(files)+112+40)*3/2)
	many := connlimit.Listener{Max: 1000, MaxPerAddress: 1000}
	gateway, rating, admin := many, many, many
	gateway.Name, rating.Name, admin.Name, admin.Reserved = "gateway", "rating", "admin", true
	street, inside, operators := echo(t, l, gateway), echo(t, l, rating), echo(t, l, admin)
	first := dial(t, operators, "127.0.0.1")
	for range 100 {
		dial(t, street, "127.0.0.1")
	}
	if c := dial(t, inside, "127.0.0.1"); !c.works() {
		t.Error("another listener's newcomer is not served")
	}
	for range 10 {
		if c := dial(t, operators, "127.0.0.1"); !c.works() {
			t.Error("the reserved listener does not answer")
		}
	}
	if !first.works() {
		t.Error("a connection of the reserved listener was closed")
	}
	for deadline := time.Now().Add(patience); ; runtime.Gosched() { // a dial ends before its connection is accepted
		closed, open := value(t, reg, "movieexample_server_connections_evicted_total", "gateway", "descriptors"), value(t, reg, "movieexample_server_connections", "gateway", "")
		if closed > 0 && closed+open == 100 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v connections closed and %v open of 100", closed, open)
		}
	}
}
