//go:build linux

package servers

import "sync/atomic"

// RoundTrips counts round trips through a [Proxy] that one client at a time uses: how often it sends something after
// the server has answered, however many packets that takes.
type RoundTrips struct {
	n        atomic.Int64
	answered atomic.Bool
}

// Count is how many there were since Reset, or since the proxy got the counter.
func (r *RoundTrips) Count() int { return int(r.n.Load()) }

// Reset begins to count, while nothing is under way.
func (r *RoundTrips) Reset() {
	r.n.Store(0)
	r.answered.Store(true)
}

// Watch is the proxy's [Watcher].
func (r *RoundTrips) Watch(d Direction, _ []byte) Verdict {
	if d == ToClient {
		r.answered.Store(true)
	} else if r.answered.Swap(false) {
		r.n.Add(1)
	}
	return Forward
}
