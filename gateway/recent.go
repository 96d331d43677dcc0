package gateway

import (
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// What a film's ratings come to is kept by the movie service, for a moment that nobody minds but who has just rated: they would be told
// that nothing happened. So the gateway remembers which films were rated through it, and tells the movie service with each call that
// names one of them how old its numbers may be (readAfterKey). Whoever else asks for the film in that time sees them as early.

// seenWithin is how long a rating is remembered: as long as the system takes at most to show one by itself.
const seenWithin = 2 * time.Second

// recent remembers when films were rated last. It is safe for concurrent use.
type recent struct {
	clock func() time.Time
	// Microseconds since 1970, by the hash of the film's id. Two films that share a place cost a call to the rating service, and
	// nothing else; with a place for every id, whoever rates fast enough would choose how much memory we use.
	places [1 << 14]atomic.Int64
}

func newRecent(clock func() time.Time) *recent {
	if clock == nil {
		clock = time.Now
	}
	return &recent{clock: clock}
}

// rated is called after each write of a rating, whatever came of it, and before it is answered.
func (r *recent) rated(id string) {
	place, now := r.place(id), r.clock().UnixMicro()
	for {
		last := place.Load()
		if now <= last || place.CompareAndSwap(last, now) {
			return
		}
	}
}

// last returns when the last of the films that were rated within [seenWithin] was, in microseconds since 1970; 0 where none was.
func (r *recent) last(ids ...string) int64 {
	var last int64
	for _, id := range ids {
		last = max(last, r.place(id).Load())
	}
	if last == 0 || r.clock().UnixMicro()-last >= seenWithin.Microseconds() {
		return 0
	}
	return last
}

func (r *recent) place(id string) *atomic.Int64 {
	return &r.places[xxhash.Sum64String(id)%uint64(len(r.places))]
}
