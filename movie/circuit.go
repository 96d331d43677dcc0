package movie

import (
	"sync"
	"time"
)

// circuit remembers that a service could not be reached, so that not every request has to find out by waiting for a timeout.
// While it is open one caller per pause goes through to see whether the service is back.
type circuit struct {
	pause time.Duration
	now   func() time.Time

	mu      sync.Mutex
	open    bool
	retryAt time.Time
}

// allow reports whether to make a call. A caller that makes one must say how it went, with succeeded or failed;
// saying nothing counts as failed.
func (c *circuit) allow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		return true
	}
	now := c.now()
	if now.Before(c.retryAt) {
		return false
	}
	c.retryAt = now.Add(c.pause) // this caller is the probe; the others keep away meanwhile
	return true
}

// isOpen reports whether the service could not be reached when it was called last.
func (c *circuit) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// succeeded closes the circuit and reports whether it was open.
func (c *circuit) succeeded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.open
	c.open = false
	return was
}

// failed opens the circuit for a pause and reports whether it was closed.
func (c *circuit) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := !c.open
	c.open = true
	c.retryAt = c.now().Add(c.pause)
	return was
}
