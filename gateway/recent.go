package gateway

import (
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// What a film is and what its ratings come to is kept by each instance of the movie service, for a moment that nobody minds but who has
// just written it: they would be told that nothing happened. So the gateway remembers which films were rated, and which were written
// or deleted, through it, and tells the movie service with each call that names one of them how old what it answers may be
// (readAfterKey, filmReadAfterKey). Whoever else asks for the film in that time sees it as early.

// seenWithin is how long a write is remembered: as long as the system takes at most to show one by itself.
const seenWithin = 2 * time.Second

// recent remembers when films were rated and written last. It is safe for concurrent use.
type recent struct {
	clock func() time.Time
	// By the hash of the film's id. Two films that share a place cost a call to a service, and nothing else; with a place for every
	// id, whoever writes fast enough would choose how much memory we use.
	places [1 << 14]writes
}

// writes are the times of last writes, in microseconds since 1970; 0: none.
type writes struct{ ofRatings, ofFilms atomic.Int64 }

func newRecent(clock func() time.Time) *recent {
	if clock == nil {
		clock = time.Now
	}
	return &recent{clock: clock}
}

// rated is called after each write of a rating, whatever came of it, and before it is answered.
func (r *recent) rated(id string) { r.note(&r.place(id).ofRatings) }

// written is rated for each write of a film itself, its deletion included.
func (r *recent) written(id string) { r.note(&r.place(id).ofFilms) }

func (r *recent) note(place *atomic.Int64) {
	now := r.clock().UnixMicro()
	for {
		last := place.Load()
		if now <= last || place.CompareAndSwap(last, now) {
			return
		}
	}
}

// demand is what is known of the films that a call names: when the last of them was rated and written, in microseconds since 1970;
// 0 where none was within [seenWithin].
type demand struct{ ratings, films int64 }

// last returns what is known of the films.
func (r *recent) last(ids ...string) demand {
	var d demand
	for _, id := range ids {
		place := r.place(id)
		d.ratings, d.films = max(d.ratings, place.ofRatings.Load()), max(d.films, place.ofFilms.Load())
	}
	if d == (demand{}) {
		return d // of most films: nobody need know what time it is
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

func (r *recent) place(id string) *writes {
	return &r.places[xxhash.Sum64String(id)%uint64(len(r.places))]
}
