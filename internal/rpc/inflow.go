package rpc

import (
	"encoding/binary"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/telemetry"
)

// This file bounds the memory of requests while their calls run, above all of incomplete
// messages. gRPC limits the size of a message and the calls of a connection; their product,
// times the number of connections, is far more memory than a process should give to
// unknown clients, and gRPC has no limit for all of them together. So the frames of HTTP/2
// are counted as they arrive.

// inflow counts the bytes that the unfinished calls to a server have sent.
type inflow struct {
	limit  int64
	log    *slog.Logger
	lines  telemetry.Throttle
	cut    prometheus.Counter
	total  atomic.Int64
	mu     sync.Mutex
	opened map[*inflowConn]struct{}
}

// Costs beside the payload, in bytes: what gRPC keeps for a call, and for each frame of
// a message until the message is whole (a buffer with its header, so that a message in
// frames of one byte takes many times its size).
const (
	callCost  = 2 << 10
	frameCost = 96
)

// listen counts what arrives through ln.
func (f *inflow) listen(ln net.Listener) net.Listener { return inflowListener{ln, f} }

type inflowListener struct {
	net.Listener
	inflow *inflow
}

// Accept implements net.Listener.
func (ln inflowListener) Accept() (net.Conn, error) {
	inner, err := ln.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &inflowConn{Conn: inner, inflow: ln.inflow, calls: make(map[uint32]int64), in: frames{skip: len(clientPreface)}}
	ln.inflow.mu.Lock()
	defer ln.inflow.mu.Unlock()
	ln.inflow.opened[c] = struct{}{}
	return c, nil
}

// clientPreface is what an HTTP/2 client sends before its frames (RFC 9113 §3.4).
const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// inflowConn counts for each call that has begun and not ended on a connection. It sees
// plain frames: with encrypted connections, it must be above the encryption.
type inflowConn struct {
	net.Conn
	inflow *inflow
	held   atomic.Int64

	mu      sync.Mutex
	calls   map[uint32]int64 // by stream
	in, out frames
	closed  bool
}

// Read implements net.Conn.
func (c *inflowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.received(p[:n]) {
		c.inflow.relieve()
	}
	return n, err
}

// Write implements net.Conn.
func (c *inflowConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.read(p[:n], func(h frameHeader) {
		switch {
		case h.kind == frameReset, (h.kind == frameHeaders || h.kind == frameData) && h.flags&flagEndStream != 0:
			c.release(h.stream)
		}
	})
	return n, err
}

// received counts what a client sent, and reports whether that is too much.
func (c *inflowConn) received(p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.in.read(p, func(h frameHeader) {
		switch h.kind {
		case frameHeaders:
			c.add(h.stream, callCost+int64(h.length))
		case frameData, frameContinuation:
			if _, open := c.calls[h.stream]; open { // what is sent to a call that has ended is dropped
				c.add(h.stream, frameCost+int64(h.length))
			}
		case frameReset:
			c.release(h.stream)
		}
	})
	return c.inflow.total.Load() > c.inflow.limit
}

func (c *inflowConn) add(stream uint32, n int64) {
	c.calls[stream] += n
	c.held.Add(n)
	c.inflow.total.Add(n)
}

func (c *inflowConn) release(stream uint32) {
	n := c.calls[stream]
	delete(c.calls, stream)
	c.held.Add(-n)
	c.inflow.total.Add(-n)
}

// Close implements net.Conn.
func (c *inflowConn) Close() error {
	err := c.Conn.Close()
	c.forget()
	return err
}

// forget takes the connection out of the count.
func (c *inflowConn) forget() {
	c.mu.Lock()
	c.closed = true
	clear(c.calls)
	c.inflow.total.Add(-c.held.Swap(0))
	c.mu.Unlock()
	c.inflow.mu.Lock()
	defer c.inflow.mu.Unlock()
	delete(c.inflow.opened, c)
}

// relieve closes connections until the rest is within the limit, first those that hold
// most: only the client that sends too much at once loses its calls.
func (f *inflow) relieve() {
	for f.total.Load() > f.limit {
		var most *inflowConn
		f.mu.Lock()
		for c := range f.opened {
			if most == nil || c.held.Load() > most.held.Load() {
				most = c
			}
		}
		f.mu.Unlock()
		if most == nil {
			return
		}
		held := most.held.Load()
		_ = most.Close() // the connection is being dropped: its error does not matter
		f.cut.Inc()
		if skipped, ok := f.lines.Take(time.Now()); ok {
			f.log.Warn("closing a connection: its unfinished requests hold too much memory",
				"peer", most.RemoteAddr().String(), "bytes", held, "limit", f.limit, "suppressed", skipped)
		}
	}
}

// The types and flags of frames that count (RFC 9113 §6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameContinuation = 0x9
	flagEndStream     = 0x1

	frameHeaderBytes = 9
)

// frameHeader is the head of a frame.
type frameHeader struct {
	length      int
	kind, flags byte
	stream      uint32
}

// frames finds the heads of frames in one direction of a connection.
type frames struct {
	skip int // bytes until the next head
	head [frameHeaderBytes]byte
	have int // of head
}

// read takes the next bytes and calls found for each head that is complete.
func (f *frames) read(p []byte, found func(frameHeader)) {
	for len(p) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(p))
			f.skip -= n
			p = p[n:]
			continue
		}
		n := copy(f.head[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have < len(f.head) {
			return
		}
		f.have = 0
		h := frameHeader{
			length: int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2]),
			kind:   f.head[3], flags: f.head[4],
			stream: binary.BigEndian.Uint32(f.head[5:]) & (1<<31 - 1),
		}
		f.skip = h.length
		found(h)
	}
}
