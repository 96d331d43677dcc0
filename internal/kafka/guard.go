package kafka

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"movieexample.com/internal/telemetry"
)

// guard stands between the network and the broker library, which was written for tests: it trusts what clients send, and
// panics, blocks or fills the memory on input that no client library would send. The guard accepts connections, reads whole
// requests, refuses useless and harmful ones, and hands on the others. To the library it is a listener.
type guard struct {
	listener   net.Listener
	advertised net.Addr
	logger     *slog.Logger
	throttles  telemetry.Throttles // by message
	limits     Limits
	requests   *budget
	answers    *budget
	decoding   chan struct{} // one for each batch that may be decompressed at once
	inside     *insideClient
	pulse      *insideClient // only to see whether the library answers
	answered   atomic.Int64  // answers of the library
	admission  *admission
	topics     chan struct{} // held from the count of topics to the answer of what changes it

	conns  chan net.Conn // to the library
	done   chan struct{} // closed by Close
	once   sync.Once
	err    error // of Close
	served sync.WaitGroup

	mu    sync.Mutex
	open  map[*guardConn]struct{}
	hosts map[string]int
}

func newGuard(listener net.Listener, advertised net.Addr, limits Limits, logger *slog.Logger) *guard {
	g := &guard{
		listener:   listener,
		advertised: advertised,
		logger:     logger,
		limits:     limits,
		requests:   newBudget(limits.RequestBytes, smallRequest, 2*time.Second),
		answers:    newBudget(limits.AnswerBytes, smallRequest, 0),
		decoding:   make(chan struct{}, 4),
		admission:  newAdmission(limits.Groups, time.Now),
		topics:     make(chan struct{}, 1),
		conns:      make(chan net.Conn),
		done:       make(chan struct{}),
		open:       make(map[*guardConn]struct{}),
		hosts:      make(map[string]int),
	}
	g.inside = &insideClient{guard: g, turn: make(chan struct{}, 1)}
	g.pulse = &insideClient{guard: g, turn: make(chan struct{}, 1)}
	return g
}

// start accepts connections. The library begins to accept before it is ready for them.
func (g *guard) start() {
	g.served.Go(g.accept)
	g.served.Go(g.sweep)
}

// Addr is the advertised address, to which clients connect.
func (g *guard) Addr() net.Addr { return g.advertised }

// Accept is called by the library, which stops listening forever on an error. Accept returns none before Close.
func (g *guard) Accept() (net.Conn, error) {
	select {
	case c := <-g.conns:
		return c, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}

// Close stops listening and closes all connections.
func (g *guard) Close() error {
	g.once.Do(func() {
		close(g.done)
		g.err = g.listener.Close()
		for _, c := range g.list() {
			_ = c.Close()
		}
	})
	return g.err
}

// wait waits for the guard's goroutines. Call it after Close.
func (g *guard) wait() { g.served.Wait() }

// accept runs until Close and ignores errors of Accept: without file descriptors it closes idle connections, and retries after
// a pause.
func (g *guard) accept() {
	const first, last = 5 * time.Millisecond, time.Second
	pause := first
	for {
		c, err := g.listener.Accept()
		if err == nil {
			pause = first
			g.admit(c)
			continue
		}
		select {
		case <-g.done:
			return
		default:
		}
		g.log("cannot accept connections to the embedded Kafka broker; retrying", "error", err)
		g.evictIdle("")
		select {
		case <-g.done:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, last)
	}
}

// admit hands a connection to the library, if there is room for one more.
func (g *guard) admit(c net.Conn) {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		host = c.RemoteAddr().String()
	}
	for {
		g.mu.Lock()
		all, of := len(g.open), g.hosts[host]
		if all < g.limits.Connections && of < g.limits.PerAddress {
			break
		}
		g.mu.Unlock()
		msg, from, limit := "connection limit of the embedded Kafka broker reached; closing the connection that was idle longest", "", g.limits.Connections
		if of >= g.limits.PerAddress {
			msg, from, limit = "connection limit per address of the embedded Kafka broker reached; closing the connection that was idle longest", host, g.limits.PerAddress
		}
		g.log(msg, "remote", c.RemoteAddr().String(), "limit", limit)
		if !g.evictIdle(from) {
			g.log("connection to the embedded Kafka broker refused: limit reached, and none is idle", "remote", c.RemoteAddr().String(), "limit", limit)
			_ = c.Close()
			return
		}
	}
	gc := &guardConn{Conn: c, guard: g, host: host, since: time.Now(), closed: make(chan struct{}), answered: make(chan struct{}, 1)}
	g.open[gc] = struct{}{}
	g.hosts[host]++
	g.mu.Unlock()
	select {
	case g.conns <- gc:
	case <-g.done:
		_ = gc.Close()
	}
}

// evictIdle closes the connection that has been idle longest, of one host or of all; those that never sent a request come
// first. It returns false if none is idle.
func (g *guard) evictIdle(host string) bool {
	var oldest *guardConn
	var since time.Time
	var spoke bool
	for _, c := range g.list() {
		if host != "" && c.host != host {
			continue
		}
		s, idle, spoken := c.idleSince()
		if idle && (oldest == nil || spoke && !spoken || spoke == spoken && s.Before(since)) {
			oldest, since, spoke = c, s, spoken
		}
	}
	if oldest == nil {
		return false
	}
	_ = oldest.Close()
	return true
}

// sweep closes connections that are idle for too long, and those that wait for an answer that will never come.
func (g *guard) sweep() {
	t := time.NewTicker(min(g.limits.Idle/10, 10*time.Second))
	defer t.Stop()
	for {
		select {
		case <-g.done:
			return
		case now := <-t.C:
			for _, c := range g.list() {
				since, idle, _ := c.idleSince()
				if idle && now.Sub(since) >= g.limits.Idle || !idle && now.Sub(since) >= parkedRequest+g.limits.Answer {
					_ = c.Close()
				}
			}
		}
	}
}

func (g *guard) list() []*guardConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]*guardConn, 0, len(g.open))
	for c := range g.open {
		list = append(list, c)
	}
	return list
}

// forget is called once for each connection, when it is closed.
func (g *guard) forget(c *guardConn) {
	g.mu.Lock()
	delete(g.open, c)
	if g.hosts[c.host]--; g.hosts[c.host] == 0 {
		delete(g.hosts, c.host)
	}
	g.mu.Unlock()
	g.requests.releaseAll(c)
	g.answers.releaseAll(c)
}

// log logs a warning, each message at most once in [telemetry.RepeatAfter], since clients cause these lines.
func (g *guard) log(msg string, args ...any) {
	skipped, ok := g.throttles.TakeRepeated(msg, time.Now())
	if !ok {
		return
	}
	if skipped > 0 {
		args = append(args, "repeated", skipped)
	}
	g.logger.Warn(msg, args...)
}

// insideClient sends requests to the library as a client would, on an internal connection.
type insideClient struct {
	guard *guard
	turn  chan struct{}
	conn  net.Conn
	corr  int32
}

var errNoAnswer = errors.New("the broker does not answer")

// ask sends a request and returns the answer. ctx bounds the wait.
func (i *insideClient) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return nil, errNoAnswer
	}
	if i.conn == nil {
		near, far := net.Pipe()
		select {
		case i.guard.conns <- far:
			i.conn = near
		case <-i.guard.done:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, errNoAnswer
		}
	}
	resp, err := i.exchange(ctx, req)
	if err != nil {
		_ = i.conn.Close()
		i.conn = nil
	}
	return resp, err
}

func (i *insideClient) exchange(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	conn := i.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	i.corr++
	if _, err := conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("guard")).AppendRequest(nil, req, i.corr)); err != nil {
		return nil, errors.Join(errNoAnswer, err)
	}
	body, err := readFrame(conn)
	if err != nil {
		return nil, errors.Join(errNoAnswer, err)
	}
	resp := req.ResponseKind()
	head := 4
	if resp.IsFlexible() {
		head = 5
	}
	if len(body) < head {
		return nil, errNoAnswer
	}
	return resp, resp.ReadFrom(body[head:])
}

// close is called when the guard is closed.
func (i *insideClient) close() {
	i.turn <- struct{}{}
	defer func() { <-i.turn }()
	if i.conn != nil {
		_ = i.conn.Close()
		i.conn = nil
	}
}
