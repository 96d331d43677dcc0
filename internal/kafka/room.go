package kafka

import (
	"sync"
	"time"
)

// room is memory that connections share.
type room struct {
	limit int64
	// free is what a connection may have that does not count: small ones are bounded by the number of connections.
	free int64
	wait time.Duration // before a connection is closed to free memory

	mu      sync.Mutex
	used    int64
	held    map[*guardConn]int64
	changed chan struct{} // closed when something was given back
}

func newRoom(limit, free int64, wait time.Duration) *room {
	return &room{limit: limit, free: free, wait: wait, held: make(map[*guardConn]int64), changed: make(chan struct{})}
}

// take waits for n bytes. Where there are none for a while, it closes the connection that holds most, which may be c itself;
// then it returns false.
func (r *room) take(c *guardConn, n int64) bool {
	if n <= r.free {
		return true
	}
	late := time.NewTimer(r.wait)
	defer late.Stop()
	waited := false
	for {
		r.mu.Lock()
		if c.isClosed() { // what is taken after leave would never be given back
			r.mu.Unlock()
			return false
		}
		if r.used+n <= r.limit {
			r.used += n
			r.held[c] += n
			r.mu.Unlock()
			return true
		}
		changed := r.changed
		var most *guardConn
		if waited {
			for o, size := range r.held {
				if most == nil || size > r.held[most] {
					most = o
				}
			}
			if most == nil || r.held[most] < n {
				most = c
			}
		}
		r.mu.Unlock()
		if most != nil {
			most.refuse("pending requests and responses exceed the broker's memory limit", "bytes", n, "limit", r.limit)
			_ = most.Close()
			if most == c {
				return false
			}
			continue
		}
		select {
		case <-changed:
		case <-late.C:
			waited = true
		case <-c.closed:
			return false
		}
	}
}

// give gives n bytes back.
func (r *room) give(c *guardConn, n int64) {
	if n <= r.free {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	had, ok := r.held[c]
	if !ok {
		return // given back by leave
	}
	r.change(c, had-n, n)
}

// leave gives everything back that the connection has.
func (r *room) leave(c *guardConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if had, ok := r.held[c]; ok {
		r.change(c, 0, had)
	}
}

func (r *room) change(c *guardConn, left, given int64) {
	r.used -= given
	if left > 0 {
		r.held[c] = left
	} else {
		delete(r.held, c)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}
