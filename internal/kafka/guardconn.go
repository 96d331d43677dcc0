package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// guardConn reads whole requests, and passes them to the library if the guard accepts them. The library has one request of a
// connection at a time. Read is called by one goroutine at a time, and Write by another.
type guardConn struct {
	net.Conn
	guard *guard
	host  string

	frame []byte // what the library has not read of the request it reads now

	closed    chan struct{}
	closeOnce sync.Once
	answered  chan struct{} // has an element when an answer was written
	writing   sync.Mutex    // of the library's answers and the guard's own

	mu      sync.Mutex
	since   time.Time // when a request last began or ended
	reading bool      // a request has begun, and is not with the library yet
	spoken  bool      // a request came
	waiting *handed   // the request that the library has, nil: none that is answered
}

// handed is a request that the library answers.
type handed struct {
	amend func(answer []byte) ([]byte, error) // changes the answer; nil: it stays
	after func()                              // when it is answered, or the connection closed; nil: nothing
	held  int64
}

var errRefused = errors.New("refused")

// refuse logs why the connection is closed.
func (c *guardConn) refuse(why string, args ...any) {
	c.guard.log("connection to the embedded Kafka broker closed: "+why, append([]any{"remote", c.RemoteAddr().String()}, args...)...)
}

func (c *guardConn) idleSince() (since time.Time, idle, spoken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since, !c.reading && c.waiting == nil, c.spoken
}

func (c *guardConn) setReading(reading bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.reading = time.Now(), reading
	c.spoken = true
}

func (c *guardConn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// Close may be called from anywhere and more than once.
func (c *guardConn) Close() error {
	c.closeOnce.Do(func() {
		close(c.closed)
		_ = c.Conn.Close()
		c.finish()
		c.guard.forget(c)
	})
	return nil
}

// finish ends the request that the library had.
func (c *guardConn) finish() {
	c.mu.Lock()
	was := c.waiting
	c.waiting = nil
	c.since = time.Now()
	c.mu.Unlock()
	if was == nil {
		return
	}
	if was.after != nil {
		was.after()
	}
	c.guard.requests.releaseBytes(c, was.held)
}

// Read gives the library the next accepted request.
func (c *guardConn) Read(b []byte) (int, error) {
	for len(c.frame) == 0 {
		if err := c.next(); err != nil {
			_ = c.Close()
			return 0, io.EOF // the library has nothing to say about it
		}
	}
	n := copy(b, c.frame)
	if c.frame = c.frame[n:]; len(c.frame) == 0 {
		c.frame = nil
	}
	return n, nil
}

// next reads one request, and leaves it in frame for the library, or answers it.
func (c *guardConn) next() error {
	var size [4]byte
	if _, err := io.ReadFull(c.Conn, size[:1]); err != nil {
		return err
	}
	c.setReading(true)
	defer c.setReading(false)
	_ = c.SetReadDeadline(time.Now().Add(c.guard.limits.Request))
	if _, err := io.ReadFull(c.Conn, size[1:]); err != nil {
		return c.unfinished(err, 4)
	}
	n := int64(binary.BigEndian.Uint32(size[:]))
	var head [8]byte // kind, version and correlation
	if n < int64(len(head)) {
		return c.notKafka(n, -1, -1)
	}
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return c.unfinished(err, n)
	}
	r := &request{
		kind:        int16(binary.BigEndian.Uint16(head[0:])),
		version:     int16(binary.BigEndian.Uint16(head[2:])),
		correlation: int32(binary.BigEndian.Uint32(head[4:])),
	}
	if !isKafka(r.kind, r.version) {
		return c.notKafka(n, r.kind, r.version)
	}
	rule, ok := ruleOf(r.kind)
	if !ok {
		c.refuse("this broker does not serve requests of that kind", "kind", kindName(r.kind), "version", r.version)
		return errRefused
	}
	limit := rule.limit
	if r.kind == kindProduce {
		limit = c.guard.limits.ProduceBytes
	}
	if n > limit {
		c.refuse("a request is larger than one of its kind may be", "kind", kindName(r.kind), "size", n, "limit", limit)
		return errRefused
	}
	cost := n * rule.cost
	if !c.guard.requests.acquire(c, cost) {
		return errRefused
	}
	keep := false
	defer func() {
		if !keep {
			c.guard.requests.releaseBytes(c, cost)
		}
	}()
	_ = c.SetReadDeadline(time.Now().Add(withBytes(c.guard.limits.Request, n)))
	r.frame = make([]byte, 4+n)
	copy(r.frame, size[:])
	copy(r.frame[4:], head[:])
	if _, err := io.ReadFull(c.Conn, r.frame[12:]); err != nil {
		return c.unfinished(err, n)
	}
	_ = c.SetReadDeadline(time.Time{})
	verdict, err := c.decide(r, rule)
	if err != nil {
		return err
	}
	if err := c.awaitAnswer(); err != nil { // of the request before
		if verdict.after != nil {
			verdict.after()
		}
		return err
	}
	if verdict.answer != nil {
		if verdict.after != nil {
			verdict.after()
		}
		return c.write(verdict.answer)
	}
	keep = true
	c.mu.Lock()
	c.waiting = &handed{amend: verdict.amend, after: verdict.after, held: cost}
	c.mu.Unlock()
	if c.isClosed() { // Close may have run before waiting was set
		c.finish()
		return net.ErrClosed
	}
	c.frame = r.frame
	if verdict.silent {
		c.finish()
	}
	return nil
}

// decide returns the verdict on a request. A panic in a decoder refuses it.
func (c *guardConn) decide(r *request, rule rule) (v verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.guard.logger.Error("panic while checking a request to the embedded Kafka broker", "kind", kindName(r.kind), "version", r.version,
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			v, err = verdict{}, errRefused
		}
	}()
	if r.kind != kindAPIVersions && (r.version < rule.min || r.version > rule.max) {
		c.refuse("this broker does not serve that version of a request", "kind", kindName(r.kind), "version", r.version, "from", rule.min, "to", rule.max)
		return verdict{}, errRefused
	}
	if err := r.readHead(); err == nil {
		v, err = c.guard.check(c, r, rule)
		if err == nil {
			return v, nil
		}
		if errors.Is(err, errRefused) {
			return verdict{}, err
		}
		c.refuse("a request is not as Kafka's protocol has it", "kind", kindName(r.kind), "version", r.version, "error", err)
		return verdict{}, errRefused
	}
	c.refuse("the head of a request is not as Kafka's protocol has it", "kind", kindName(r.kind), "version", r.version)
	return verdict{}, errRefused
}

// awaitAnswer waits until the library has no request of this connection. The library drops a connection only when it reads from
// it, and its goroutine that waits to hand over a second request would wait forever.
func (c *guardConn) awaitAnswer() error {
	late := time.NewTimer(parkedRequest)
	defer late.Stop()
	for {
		c.mu.Lock()
		waiting := c.waiting != nil
		c.mu.Unlock()
		if !waiting {
			return nil
		}
		select {
		case <-c.answered:
		case <-c.closed:
			return net.ErrClosed
		case <-late.C:
			return errRefused
		}
	}
}

// Write sends an answer of the library, which writes each in one piece.
func (c *guardConn) Write(b []byte) (int, error) {
	c.guard.answered.Add(1)
	c.mu.Lock()
	waiting := c.waiting
	c.mu.Unlock()
	answer := b
	if waiting != nil && waiting.amend != nil {
		changed, err := waiting.amend(b)
		if err != nil {
			_ = c.Close()
			return 0, err
		}
		answer = changed
	}
	if err := c.write(answer); err != nil {
		_ = c.Close()
		return 0, err
	}
	c.finish()
	select {
	case c.answered <- struct{}{}:
	default:
	}
	return len(b), nil
}

// write sends an answer, in a bounded time and with a bounded share of the memory for answers that clients do not read.
func (c *guardConn) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	n := int64(len(b))
	if !c.guard.answers.acquire(c, n) {
		return net.ErrClosed
	}
	defer c.guard.answers.releaseBytes(c, n)
	_ = c.SetWriteDeadline(time.Now().Add(withBytes(c.guard.limits.Answer, n)))
	_, err := c.Conn.Write(b)
	return err
}

// withBytes returns a time limit plus one second for each 4 MiB.
func withBytes(limit time.Duration, bytes int64) time.Duration {
	return limit + time.Duration(bytes>>22)*time.Second
}

func (c *guardConn) notKafka(size int64, kind, version int16) error {
	c.refuse("what came is not Kafka's protocol", "size", size, "kind", kind, "version", version)
	return errRefused
}

func (c *guardConn) unfinished(err error, size int64) error {
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		c.refuse("a request was begun and not finished in time", "size", size)
	}
	return err
}

// readFrame reads what follows a size.
func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r, body)
	return body, err
}
