//go:build linux

package servers

import (
	"math"
	"sync/atomic"
)

// RoundTrips counts round trips through a [Proxy] that one client at a time uses: how often it sends something after
// the server has answered, however many packets that takes.
type RoundTrips struct {
	n        atomic.Int64
	answered atomic.Bool
}

// Least runs f with 0 to 4 and returns the fewest round trips that a run took. What else uses the proxy meanwhile, such as a
// background job of the program under test, can only add to a run.
func (r *RoundTrips) Least(f func(run int)) int {
	least := math.MaxInt
	for run := range 5 {
		r.n.Store(0)
		r.answered.Store(true)
		f(run)
		least = min(least, int(r.n.Load()))
	}
	return least
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
