//go:build linux

package servers

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Direction says which way bytes go through a Proxy.
type Direction int

// The two ways.
const (
	ToServer Direction = iota
	ToClient
)

// Verdict is what becomes of bytes that a Watcher was shown.
type Verdict int

const (
	// Forward passes them on.
	Forward Verdict = iota
	// ResetBefore drops them and resets the connection: they never reach the other side, and both sides see a reset.
	ResetBefore
	// ResetAfter passes them on, waits until the other side answers, drops the answer and resets the connection: the
	// other side has done what it was told, and who told it does not know.
	ResetAfter
)

// Watcher is shown bytes before they are passed on, as the kernel delivered them: a message may come in pieces, and several
// in one. One call runs at a time. The bytes are valid during the call only.
type Watcher func(d Direction, b []byte) Verdict

// Proxy is a TCP proxy on loopback between clients and one server. It forwards until a test says otherwise. Its methods
// may be called at any time, from several goroutines.
type Proxy struct {
	address string
	room    *room
	pumps   sync.WaitGroup
	watched sync.Mutex // one call of the watcher at a time

	mu       sync.Mutex
	target   string
	listener net.Listener // nil while connections are refused
	closed   bool
	watcher  Watcher
	gates    [2]chan struct{} // of each direction: closed while bytes flow
	links    map[*link]struct{}
	accepted int
	resets   int // by verdicts
}

// link is one client's connection and ours to the server.
type link struct {
	client, server *net.TCPConn
	ended          chan struct{}
	end            sync.Once
	// doomed directions reset the connection with their next bytes.
	doomed [2]atomic.Bool
}

// NewProxy starts a proxy to the address target, host:port, where a server need not listen yet.
func NewProxy(target string) (*Proxy, error) {
	p := &Proxy{room: &room{}, target: target, links: map[*link]struct{}{}}
	for d := range p.gates {
		p.gates[d] = make(chan struct{})
		close(p.gates[d])
	}
	port, err := p.room.port()
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p.address = address(port)
	if err := p.Accept(); err != nil {
		return nil, errors.Join(err, p.room.close())
	}
	return p, nil
}

// Address is where clients connect; it stays the same while connections are refused.
func (p *Proxy) Address() string { return p.address }

// SetTarget sends new connections to another server. Those that are open stay where they are.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Accept takes new connections again after Refuse. A proxy that takes them already stays as it is.
func (p *Proxy) Accept() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("the proxy is closed")
	}
	if p.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	p.listener = l
	p.pumps.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed by Refuse or Close
			}
			p.pumps.Go(func() { p.serve(conn.(*net.TCPConn)) })
		}
	})
	return nil
}

// Refuse makes new connections fail as without a listener. Those that are open stay.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// Cut resets all open connections, at both ends, and returns how many there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
	n := len(p.links)
	clear(p.links)
	return n
}

// Pause holds back the bytes of one direction, on open connections and new ones, until Resume. Nothing is lost.
func (p *Proxy) Pause(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gates[d]:
		p.gates[d] = make(chan struct{})
	default: // it is paused
	}
}

// Resume lets the bytes of a direction flow again.
func (p *Proxy) Resume(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gates[d]:
	default:
		close(p.gates[d])
	}
}

// Watch shows all bytes to w from now on; nil ends that.
func (p *Proxy) Watch(w Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watcher = w
}

// Resets is how many connections were reset by a Watcher's verdict so far.
func (p *Proxy) Resets() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resets
}

// Accepted is how many connections were taken so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Close ends the proxy and resets what is open. It may be called twice.
func (p *Proxy) Close() error {
	p.Refuse()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut()
	p.pumps.Wait()
	return p.room.close()
}

// reset ends both halves so that the peers get a reset instead of an end of file.
func (l *link) reset() {
	l.end.Do(func() {
		close(l.ended)
		for _, c := range []*net.TCPConn{l.client, l.server} {
			_ = c.SetLinger(0) // makes Close send a reset; fails only on a connection that is gone
			_ = c.Close()
		}
	})
}

// close ends both halves in good order.
func (l *link) close() {
	l.end.Do(func() {
		close(l.ended)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// serve connects a client to the server and copies until one of them ends.
func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	target := p.target
	p.accepted++
	p.mu.Unlock()
	conn, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.SetLinger(0)
		_ = client.Close()
		return
	}
	l := &link{client: client, server: conn.(*net.TCPConn), ended: make(chan struct{})}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		l.reset()
		return
	}
	p.links[l] = struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, ToServer, l.client, l.server) })
	both.Go(func() { p.pump(l, ToClient, l.server, l.client) })
	both.Wait()
	l.close()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pump copies one direction of a link until it ends.
func (p *Proxy) pump(l *link, d Direction, from, to *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.pass(l, d, to, buf[:n]) {
			return
		}
		switch {
		case errors.Is(err, io.EOF):
			if !p.open(l, d) {
				return
			}
			_ = to.CloseWrite() // the other direction may still have something to say
			return
		case err != nil:
			l.reset()
			return
		}
	}
}

// open waits while the direction is paused, and reports whether the link is still there.
func (p *Proxy) open(l *link, d Direction) bool {
	for {
		p.mu.Lock()
		gate := p.gates[d]
		p.mu.Unlock()
		select {
		case <-l.ended:
			return false
		case <-gate:
		}
		// It may have been paused again in between, by a test that then relies on it.
		p.mu.Lock()
		same := gate == p.gates[d]
		p.mu.Unlock()
		if same {
			return true
		}
	}
}

// pass hands on the bytes that were read, as the watcher wants it. It reports whether the link continues.
func (p *Proxy) pass(l *link, d Direction, to *net.TCPConn, b []byte) bool {
	if !p.open(l, d) {
		return false
	}
	if l.doomed[d].Load() {
		p.condemn(l)
		return false
	}
	p.mu.Lock()
	watcher := p.watcher
	p.mu.Unlock()
	if watcher != nil {
		p.watched.Lock()
		verdict := watcher(d, b)
		p.watched.Unlock()
		switch verdict {
		case ResetBefore:
			p.condemn(l)
			return false
		case ResetAfter:
			l.doomed[1-d].Store(true) // before the bytes leave: the answer may be quick
		case Forward:
		}
	}
	if _, err := to.Write(b); err != nil {
		l.reset()
		return false
	}
	return true
}

// condemn resets a link by a verdict. It is counted before the peers see it, for a test that sees an error and asks.
func (p *Proxy) condemn(l *link) {
	p.mu.Lock()
	p.resets++
	p.mu.Unlock()
	l.reset()
}
