package upstream

import (
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// The movie service caches films and their ratings for a moment. Only the client that has just written would notice: its write
// would seem lost. So the gateway remembers which films were rated, written or deleted through it, and tells the movie
// service with each call that names one of them how old its answer may be (readAfterKey, filmReadAfterKey).

// seenWithin is how long a write is remembered: the longest time that the system takes to show it otherwise.
const seenWithin = 2 * time.Second

// RecentWrites remembers when films were last rated and written. It is safe for concurrent use.
type RecentWrites struct {
	clock func() time.Time
	// By the hash of the film's id. Two films that share a place cost one more call to a service. A place for every id would let
	// clients choose how much memory is used.
	places [1 << 14]writes
}

// writes are the times of last writes, in microseconds since 1970; 0: none.
type writes struct{ ofRatings, ofFilms atomic.Int64 }

// NewRecentWrites returns an empty one. A nil clock means time.Now.
func NewRecentWrites(clock func() time.Time) *RecentWrites {
	if clock == nil {
		clock = time.Now
	}
	return &RecentWrites{clock: clock}
}

// Rated is called after each write of a rating, failed or not, and before it is answered.
func (r *RecentWrites) Rated(id string) { r.note(&r.place(id).ofRatings) }

// written is the same for writes and deletions of the film itself.
func (r *RecentWrites) written(id string) { r.note(&r.place(id).ofFilms) }

func (r *RecentWrites) note(place *atomic.Int64) {
	now := r.clock().UnixMicro()
	for {
		last := place.Load()
		if now <= last || place.CompareAndSwap(last, now) {
			return
		}
	}
}

// lastWrites are the times, in microseconds since 1970, when the last of some films was rated and written; 0 where that was more than
// [seenWithin] ago.
type lastWrites struct{ ratings, films int64 }

// last returns the last writes of the films.
func (r *RecentWrites) last(ids ...string) lastWrites {
	var d lastWrites
	for _, id := range ids {
		place := r.place(id)
		d.ratings, d.films = max(d.ratings, place.ofRatings.Load()), max(d.films, place.ofFilms.Load())
	}
	if d == (lastWrites{}) {
		return d // of most films, without reading the clock
	}
	over := r.clock().Add(-seenWithin).UnixMicro()
	if d.ratings <= over {
		d.ratings = 0
	}
	if d.films <= over {
		d.films = 0
	}
	return d
}

func (r *RecentWrites) place(id string) *writes {
	return &r.places[xxhash.Sum64String(id)%uint64(len(r.places))]
}
