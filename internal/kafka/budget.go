package kafka

import (
	"sync"
	"time"
)

// budget is memory that connections share.
type budget struct {
	limit int64
	// free is the size up to which a connection's memory does not count: the number of connections bounds that.
	free int64
	wait time.Duration // before a connection is closed to free memory

	mu      sync.Mutex
	used    int64
	held    map[*guardConn]int64
	changed chan struct{} // closed when something was given back
}

func newBudget(limit, free int64, wait time.Duration) *budget {
	return &budget{limit: limit, free: free, wait: wait, held: make(map[*guardConn]int64), changed: make(chan struct{})}
}

// acquire waits for n bytes. If none become free for a while, it closes the connection that holds most, which may be c itself;
// then it returns false.
func (b *budget) acquire(c *guardConn, n int64) bool {
	if n <= b.free {
		return true
	}
	late := time.NewTimer(b.wait)
	defer late.Stop()
	waited := false
	for {
		b.mu.Lock()
		if c.isClosed() { // what is acquired after releaseAll would never be released
			b.mu.Unlock()
			return false
		}
		if b.used+n <= b.limit {
			b.used += n
			b.held[c] += n
			b.mu.Unlock()
			return true
		}
		changed := b.changed
		var most *guardConn
		if waited {
			for o, size := range b.held {
				if most == nil || size > b.held[most] {
					most = o
				}
			}
			if most == nil || b.held[most] < n {
				most = c
			}
		}
		b.mu.Unlock()
		if most != nil {
			most.refuse("pending requests and responses exceed the broker's memory limit", "bytes", n, "limit", b.limit)
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

// releaseBytes returns n bytes.
func (b *budget) releaseBytes(c *guardConn, n int64) {
	if n <= b.free {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	had, ok := b.held[c]
	if !ok {
		return // released by releaseAll
	}
	b.change(c, had-n, n)
}

// releaseAll returns all bytes that the connection holds.
func (b *budget) releaseAll(c *guardConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if had, ok := b.held[c]; ok {
		b.change(c, 0, had)
	}
}

func (b *budget) change(c *guardConn, left, given int64) {
	b.used -= given
	if left > 0 {
		b.held[c] = left
	} else {
		delete(b.held, c)
	}
	close(b.changed)
	b.changed = make(chan struct{})
}
