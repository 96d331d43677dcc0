package metadata

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// ownWait is how long a search waits for earlier writes of the same process. It bounds the time of a search during an import.
const ownWait = 100 * time.Millisecond

// ownWrites makes searches wait until the index has what their own process wrote before, so that a client that writes a film
// and then searches for it finds it (read your writes).
type ownWrites struct {
	// number is the greatest number of a write of this process, and look the first look at the feed that is sure to have seen it.
	number, look atomic.Int64
	// reached is how far the index was last known to be complete.
	reached atomic.Pointer[reach]
	// hurry has an element while a search waits for the next look.
	hurry chan struct{}

	mu     sync.Mutex
	looked chan struct{} // closed after the next look at the feed; nil if no search waits
}

// reach is how far the index came, and in which look.
type reach struct {
	numbers
	look int64
}

// add records that this process wrote to the catalogue, and with which number; looks is how many looks have started.
func (o *ownWrites) add(number, looks int64) {
	if at := o.reached.Load(); at != nil && at.movies >= number {
		// The look was faster than this call; or the database gave out the number twice, and the index has the first write. The
		// next look knows.
		raise(&o.look, looks+1)
	}
	raise(&o.number, number)
}

// raise makes v at least n.
func raise(v *atomic.Int64, n int64) {
	for {
		last := v.Load()
		if n <= last || v.CompareAndSwap(last, n) {
			return
		}
	}
}

// lower forgets writes that the database lost: no search waits for them.
func (o *ownWrites) lower(number int64) {
	if own := o.number.Load(); own > number {
		o.number.CompareAndSwap(own, number)
	}
}

// await waits until the index has what this process wrote before the call, for at most ownWait.
func (o *ownWrites) await(ctx context.Context) {
	if o.number.Load() == 0 {
		return
	}
	var timeout <-chan time.Time
	for {
		looked := o.nextLook()
		if at := o.reached.Load(); at != nil && at.movies >= o.number.Load() && at.look >= o.look.Load() {
			return
		}
		if timeout == nil {
			timer := time.NewTimer(ownWait)
			defer timer.Stop()
			timeout = timer.C
		}
		ring(o.hurry)
		select {
		case <-looked:
		case <-timeout:
			return
		case <-ctx.Done():
			return
		}
	}
}

// nextLook returns a channel that is closed after the next look at the feed.
func (o *ownWrites) nextLook() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.looked == nil {
		o.looked = make(chan struct{})
	}
	return o.looked
}

// ended wakes the searches that wait for a look at the feed.
func (o *ownWrites) ended() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.looked != nil {
		close(o.looked)
		o.looked = nil
	}
}

// ring puts an element into a channel with room for one.
func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // the element that is there already wakes the receiver
	}
}
