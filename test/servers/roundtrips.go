//go:build linux

package servers

import (
	"slices"
	"sync/atomic"
)

// RoundTrips counts round trips through a [Proxy] that one client at a time uses: how often it sends something after
// the server has answered, however many packets that takes.
type RoundTrips struct {
	n        atomic.Int64
	answered atomic.Bool
}

// Counts runs f with 0 to 4 and returns how many round trips each run took, fewest first. What else uses the proxy meanwhile, such as a
// background job of the program under test, adds to a run.
func (r *RoundTrips) Counts(f func(run int)) []int {
	counts := make([]int, 5)
	for run := range counts {
		r.n.Store(0)
		r.answered.Store(true)
		f(run)
		counts[run] = int(r.n.Load())
	}
	slices.Sort(counts)
	return counts
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
