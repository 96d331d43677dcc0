package connlimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config configures a [Limiter]. The zero value works.
type Config struct {
	// Descriptors is the number of file descriptors that the process may have; 0 means
	// the system's limit, if it has one.
	Descriptors int
	// Logger gets a line when connections are closed to make room, every ten seconds at
	// most; nil discards them.
	Logger *slog.Logger
	// Metrics gets the metrics; nil discards them.
	Metrics prometheus.Registerer
}

// Listener configures one listener.
type Listener struct {
	// Name is the listener's in metrics and logs, e.g. "rating".
	Name string
	// Max is the number of connections at a time, and MaxPerAddress of those from one
	// IP address. Both are above 0.
	Max, MaxPerAddress int
	// Reserved marks the listener that has to answer when all others are full.
	Reserved bool
}

// Limiter bounds the connections of a process. Use [New].
type Limiter struct {
	log    *slog.Logger
	open   *prometheus.GaugeVec
	closed *prometheus.CounterVec
	// ceiling is the first descriptor that connections of listeners that are not
	// reserved must not have; 0 means that there is none.
	ceiling int

	mu     sync.Mutex
	conns  map[*conn]struct{}
	logged time.Time
	silent int // closed since logged
}

// New returns a limiter.
func New(cfg Config) (*Limiter, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Limiter{
		log: cfg.Logger, conns: make(map[*conn]struct{}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "movieexample_server_connections", Help: "Connections that are open, by the listener that accepted them.",
		}, []string{"listener"}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "movieexample_server_connections_evicted_total",
			Help: "Connections closed to make room for others, by what was full: listener, address (one peer's share) or descriptors (of the process).",
		}, []string{"listener", "reason"}),
	}
	if cfg.Metrics != nil {
		for _, c := range []prometheus.Collector{l.open, l.closed} {
			if err := cfg.Metrics.Register(c); err != nil {
				return nil, fmt.Errorf("register connection metrics: %w", err)
			}
		}
	}
	limit := cfg.Descriptors
	if limit == 0 {
		limit = descriptorLimit()
	}
	if limit > 0 {
		l.ceiling = limit - min(limit/3, maxReserve)
	}
	return l, nil
}

// maxReserve is the most descriptors that are kept from connections: two databases with 32 connections each, Kafka,
// files and the listener for operators need a good hundred.
const maxReserve = 256

// Listen bounds what ln accepts. Closing it closes ln; connections that were accepted stay.
func (l *Limiter) Listen(ln net.Listener, of Listener) net.Listener {
	for _, reason := range []string{full, crowded, scarce} {
		l.closed.WithLabelValues(of.Name, reason)
	}
	return &listener{Listener: ln, limiter: l, of: of, open: l.open.WithLabelValues(of.Name)}
}

// The limits that may be reached.
const (
	full    = "listener"
	crowded = "address"
	scarce  = "descriptors"
)

type listener struct {
	net.Listener
	limiter *Limiter
	of      Listener
	open    prometheus.Gauge
}

// Accept implements net.Listener.
func (ln *listener) Accept() (net.Conn, error) {
	for {
		inner, err := ln.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, listener: ln, from: address(inner.RemoteAddr()), number: descriptor(inner)}
		c.last.Store(time.Now().UnixNano())
		if ln.limiter.admit(c) {
			return c, nil
		}
	}
}

// address is the peer's address without its port; zero for what has none, a pipe for example.
func address(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	return ip.Unmap()
}

// admit accepts the connection, evicts another one for it if necessary, or closes it.
func (l *Limiter) admit(c *conn) bool {
	l.mu.Lock()
	var victims []*conn
	total, same, high := 0, 0, l.scarce(c) // of the listener, of the peer; whether there are many descriptors
	for other := range l.conns {
		high = high || l.scarce(other)
		if other.listener == c.listener {
			total++
			if other.from == c.from {
				same++
			}
		}
	}
	makeRoom := func(reason string, among func(*conn) bool) bool {
		victim := l.evictable(among)
		if victim == nil {
			victim = c
		} else {
			delete(l.conns, victim)
		}
		victims = append(victims, victim)
		l.count(victim, reason)
		return victim != c
	}
	of := c.listener.of
	ok := true
	switch {
	case same >= of.MaxPerAddress:
		ok = makeRoom(crowded, func(o *conn) bool { return o.listener == c.listener && o.from == c.from })
	case total >= of.Max:
		ok = makeRoom(full, func(o *conn) bool { return o.listener == c.listener })
	}
	if high && !of.Reserved {
		for over := l.used() - len(victims) - l.ceiling; ok && over > 0; over-- {
			ok = makeRoom(scarce, func(o *conn) bool { return !o.listener.of.Reserved })
		}
	}
	if ok {
		l.conns[c] = struct{}{}
		c.listener.open.Inc()
	}
	l.mu.Unlock()
	for _, v := range victims {
		_ = v.Conn.Close() // the connection is being dropped: its error does not matter
		if v != c {
			v.left()
		}
	}
	return ok
}

// scarce reports whether the connection shows that descriptors may be scarce: those below its own were in use when it came.
func (l *Limiter) scarce(c *conn) bool {
	return l.ceiling > 0 && c.number >= l.ceiling && !c.listener.of.Reserved
}

// used returns how many descriptors the process has in use, or one too many if the number is unknown. It is slow, and called only
// when descriptors may be scarce.
func (l *Limiter) used() int {
	dir, err := os.Open("/dev/fd")
	if err != nil {
		return l.ceiling + 1
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return l.ceiling + 1
	}
	return len(names) - 1 // without dir
}

// evictable returns the connection to close, or nil. Connections without an answered request and those with one have half of the
// places each: a flood of the first cannot evict the clients being served, and idle clients cannot keep out new ones.
func (l *Limiter) evictable(among func(*conn) bool) *conn {
	var newest, proven idlest
	for c := range l.conns {
		switch {
		case !among(c):
		case c.answered.Load():
			proven.add(c)
		default:
			newest.add(c)
		}
	}
	if newest.n > proven.n {
		return newest.longest
	}
	return proven.longest
}

// idlest is the connection of a group that has been silent for longest.
type idlest struct {
	n       int
	longest *conn
	last    int64
}

func (s *idlest) add(c *conn) {
	s.n++
	if last := c.last.Load(); s.longest == nil || last < s.last {
		s.longest, s.last = c, last
	}
}

// logEvery is the least time between two lines about closed connections.
const logEvery = 10 * time.Second

// count counts and logs a connection that is closed to make room. It is called with l.mu held.
func (l *Limiter) count(c *conn, reason string) {
	l.closed.WithLabelValues(c.listener.of.Name, reason).Inc()
	l.silent++
	now := time.Now()
	if now.Sub(l.logged) < logEvery {
		return
	}
	l.log.LogAttrs(context.Background(), slog.LevelWarn, "connections evicted",
		slog.String("listener", c.listener.of.Name), slog.String("full", reason), slog.String("peer", c.from.String()),
		slog.Int("closed", l.silent), slog.Int("open", len(l.conns)))
	l.logged, l.silent = now, 0
}

// conn is a connection that was accepted.
type conn struct {
	net.Conn
	listener *listener
	from     netip.Addr
	number   int          // of its descriptor
	last     atomic.Int64 // when something was read or written, in nanoseconds
	asked    atomic.Bool  // something was read since it was last written
	answered atomic.Bool  // something that was read was ever answered
	gone     sync.Once
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.last.Store(time.Now().UnixNano())
		c.asked.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.last.Store(time.Now().UnixNano())
		if c.asked.Swap(false) { // a server may greet before it is asked anything, which is no answer
			c.answered.Store(true)
		}
	}
	return n, err
}

// CloseWrite ends the writing side, where the connection can: HTTP servers do so before they close a connection whose
// request they have not read.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements net.Conn.
func (c *conn) Close() error {
	l := c.listener.limiter
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	err := c.Conn.Close()
	c.left()
	return err
}

func (c *conn) left() { c.gone.Do(func() { c.listener.open.Dec() }) }

// descriptor is a connection's file descriptor; -1 where it has none.
func descriptor(c net.Conn) int {
	sys, ok := c.(syscall.Conn)
	if !ok {
		return -1
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return -1
	}
	number := -1
	if err := raw.Control(func(fd uintptr) { number = int(fd) }); err != nil {
		return -1
	}
	return number
}
