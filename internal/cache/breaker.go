package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// Breaker is a circuit breaker. It remembers that a source could not be reached, so that not every request has to wait for a
// timeout to find out. While it is open, one caller per pause may try.
type Breaker struct {
	pause time.Duration
	now   func() time.Time

	open    atomic.Bool // written under mu
	mu      sync.Mutex
	retryAt time.Time
}

// NewBreaker returns a closed breaker.
func NewBreaker(pause time.Duration, now func() time.Time) *Breaker {
	return &Breaker{pause: pause, now: now}
}

// Allow reports whether to make a call. A caller that makes one reports the result with Succeeded or Failed; no report counts as
// a failure.
func (b *Breaker) Allow() bool {
	if !b.open.Load() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.open.Load() && now.Before(b.retryAt) {
		return false
	}
	b.retryAt = now.Add(b.pause) // this caller probes; others are refused meanwhile
	return true
}

// IsOpen reports whether the last call failed.
func (b *Breaker) IsOpen() bool { return b.open.Load() }

// Succeeded closes the breaker and reports whether it was open.
func (b *Breaker) Succeeded() bool {
	if !b.open.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open.Swap(false)
}

// Failed opens the breaker for a pause and reports whether it was closed.
func (b *Breaker) Failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retryAt = b.now().Add(b.pause)
	return !b.open.Swap(true)
}
