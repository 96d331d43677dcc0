package movie

import (
	"time"

	"movieexample.com/internal/cache"
)

// pageTTL is how long a page is used where the catalogue's version is not known or has changed, so that a film which another
// process wrote is in lists within two seconds.
const pageTTL = time.Second

// version is a state of the catalogue: two readings that are equal have the same films and the same numbers of votes between
// them. The zero version is not known, and equal to none, not even to itself.
type version struct {
	// run counts the times that the version was lost: the numbers of a database restored from a backup say nothing about those
	// from before.
	run           uint64
	movies, votes int64
}

func (v version) known() bool { return v.run > 0 }

// readView is what a request knows when it begins: it is the stamp with which it reads the caches and which its loads leave there.
//
// The stamp of an entry can be trusted because it is taken before the call that loads the entry. Whatever is written after the
// stamp was taken, before, during or after the call, gives the catalogue another version (or, through this service, another epoch)
// than the stamp has. The entry may be newer than its stamp, and is then evicted too early; it is never older. An entry whose
// version a probe confirmed is therefore right as of the beginning of that probe.
type readView struct {
	at time.Time
	// ratingsAfter and filmsAfter are the demands of the request, in microseconds since 1970 (read_your_writes.go).
	ratingsAfter, filmsAfter int64
	// epoch counts the writes through this service, which show at once.
	epoch   uint64
	version version
	// confirmed: a probe that began at most confirmedFor ago read the version.
	confirmed bool
	// settled: search answers as of version, whichever metadata process is asked. The process that answered the probe has an index
	// that had reached the version indexLag ago, and so has every other by now.
	settled bool
}

// sameMovies reports whether no film changed since from, as far as that can be known.
func (now readView) sameMovies(from readView) bool {
	v, w := now.version, from.version
	return now.confirmed && v.known() && v.run == w.run && v.movies == w.movies
}

// sameFinds reports whether search and similarity answer as they did at from. Unlike a read of the catalogue, an answer from an
// index that had not reached its stamp's version would be older than its stamp.
func (now readView) sameFinds(from readView) bool {
	return from.settled && now.sameMovies(from) && now.version.votes == from.version.votes
}

// within reports whether from was at most d ago.
func (now readView) within(from readView, d time.Duration) bool { return now.at.Sub(from.at) <= d }

func (now readView) newer(from readView) bool { return now.at.After(from.at) }

// oldest is the stamp of a value made from two entries.
func oldest(a, b readView) readView {
	if b.at.Before(a.at) {
		a, b = b, a
	}
	a.epoch = min(a.epoch, b.epoch)
	if a.version != b.version {
		a.version = version{}
	}
	a.settled = a.settled && b.settled
	return a
}

// entry is an entry of the caches that are read with a [readView].
type entry[V any] = cache.Entry[V, readView]

// ratingsMeet and filmsMeet report whether ratings or films read at read meet the demand of the caller. They only ever refuse: an
// entry also has to be fresh otherwise, so that a caller whose clock is behind ours, and demands too little, sees what it would see
// without a demand.
func (now readView) ratingsMeet(read readView) bool { return read.since(now.ratingsAfter) }
func (now readView) filmsMeet(read readView) bool   { return read.since(now.filmsAfter) }

func (now readView) since(µs int64) bool { return µs == 0 || now.at.UnixMicro() >= µs }

// sameEpoch lets requests join loads that began after the last write.
func sameEpoch(read, now readView) bool { return read.epoch == now.epoch }

// readFromCatalogue and readFromIndex are when a value is fresh that was read from the catalogue or from its index.
func readFromCatalogue[V any](e *entry[V], now readView) bool {
	return sameEpoch(e.Read, now) && (now.within(e.Read, pageTTL) || now.sameMovies(e.Read))
}

func readFromIndex[V any](e *entry[V], now readView) bool {
	return sameEpoch(e.Read, now) && (now.within(e.Read, pageTTL) || now.sameFinds(e.Read))
}
