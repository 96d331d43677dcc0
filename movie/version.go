package movie

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"movieexample.com/internal/guard"
)

const (
	// confirmEvery is how often the catalogue's version is asked for while requests come.
	confirmEvery = 200 * time.Millisecond
	// confirmedFor is how long a version is trusted after the question began. It bounds how late a film shows that another
	// process wrote: this, and half a second in the caches of those who ask us, are within the two seconds that we promise.
	confirmedFor = time.Second
	// confirmPatience is how long after a question began others wait for its answer. Nobody needs it: without a version things
	// are kept for a moment only.
	confirmPatience = 500 * time.Millisecond
	// confirmRetry is the pause after the metadata service could not be reached, and after a version could not be had: because the metadata service cannot be reached, or is from
	// before it had versions.
	confirmRetry = time.Second
	// indexLag is how far behind the catalogue a search may answer; the metadata service promises it.
	indexLag = 2 * time.Second
)

// version is a state of the catalogue: two readings that are equal have the same films and the same numbers of votes between
// them. The zero version is not known, and equal to none, not even to itself.
type version struct {
	// run counts the times that the version was lost: the numbers of a database that came back from a backup say nothing about
	// those from before.
	run           uint64
	movies, votes int64
}

func (v version) known() bool { return v.run > 0 }

// moment is what a request knows of the world when it begins: it decides what of the things kept it may use, and it is what is
// written on the things that are read then.
//
// Why what is kept can be told from its label: the label is made before the call that brings the thing. So whatever is written
// after the label was made, before or while or after the call, gives the catalogue another version (or, through this service,
// another epoch) than the label says. The thing may be newer than its label, and is thrown away too early then; it is never
// older. A thing whose version was confirmed by a question that began at a time is therefore right as of that time at least.
type moment struct {
	at time.Time
	// after is the time before which no rating may have been read, for this caller, and filmsAfter that before which no film may
	// (readafter.go).
	after, filmsAfter time.Time
	// epoch counts the writes through this service, which are seen at once.
	epoch   uint64
	version version
	// confirmed: the version was asked for at most confirmedFor ago.
	confirmed bool
	// settled: search answers as of version, whichever of several metadata processes is asked. The process that told the version
	// has an index that had reached it indexLag ago already, and so every other process has by now.
	settled bool
}

// sameMovies reports whether no film changed since from, as far as that can be known.
func (now moment) sameMovies(from moment) bool {
	v, w := now.version, from.version
	return now.confirmed && v.known() && v.run == w.run && v.movies == w.movies
}

// sameFinds reports whether search and similarity answer as they did at from. Unlike a read of the catalogue, an answer from an
// index that had not reached its label's version would be older than its label.
func (now moment) sameFinds(from moment) bool {
	return from.settled && now.sameMovies(from) && now.version.votes == from.version.votes
}

// within reports whether from was at most d ago.
func (now moment) within(from moment, d time.Duration) bool { return now.at.Sub(from.at) <= d }

// oldest is the label of something that is made of two things with labels.
func oldest(a, b moment) moment {
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

// versions is an answer of the metadata service.
type versions struct{ movies, votes, indexedMovies, indexedVotes int64 }

// watch knows the catalogue's version. It asks for it only while requests come, at most one question is under way, and nobody waits
// for one unless the last is confirmedFor old.
type watch struct {
	ask        func(context.Context) (versions, error)
	now        func() time.Time
	timeout    time.Duration
	background *background

	last atomic.Pointer[reading]

	mu   sync.Mutex
	call *flight[struct{}] // nil: none is under way
	runs uint64
}

// reading is what the last question brought.
type reading struct {
	version version // not known: the question failed
	at      time.Time
	// since is when this version was first read by a question that found the index at it; zero: it is not.
	since time.Time
}

func newWatch(cfg Config, ask func(context.Context) (versions, error), b *background, now func() time.Time) *watch {
	return &watch{ask: ask, now: now, timeout: cfg.MetadataTimeout, background: b}
}

// moment returns what is known now, but for the epoch. It waits for the version if there is none that is new enough, unless the
// last question failed: then the next is nobody's to wait for.
func (w *watch) moment(ctx context.Context) moment {
	now, last := w.now(), w.last.Load()
	var age time.Duration
	if last != nil {
		age = now.Sub(last.at)
	}
	switch {
	case last == nil || last.version.known() && age > confirmedFor:
		call := w.start(ctx)
		bounded, cancel := hop(ctx, confirmPatience-now.Sub(call.read.at))
		defer cancel()
		_, _ = call.wait(bounded) // what it brought, or did not, is in last
		now, last = w.now(), w.last.Load()
	case last.version.known() && age > confirmEvery, !last.version.known() && age > confirmRetry:
		w.start(ctx)
	}
	if last == nil {
		return moment{at: now}
	}
	return moment{
		at: now, version: last.version,
		confirmed: now.Sub(last.at) <= confirmedFor,
		settled:   !last.since.IsZero() && last.at.Sub(last.since) >= indexLag,
	}
}

// start returns the question under way, or asks.
func (w *watch) start(ctx context.Context) *flight[struct{}] {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.call == nil {
		call := &flight[struct{}]{done: make(chan struct{}), read: moment{at: w.now()}}
		w.call = call
		w.background.start(ctx, func(ctx context.Context) { w.check(ctx, call) })
	}
	return w.call
}

func (w *watch) check(ctx context.Context, call *flight[struct{}]) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	v, err := guard.Catch("read the catalogue's version", func() (versions, error) { return w.ask(ctx) })
	w.mu.Lock()
	defer w.mu.Unlock()
	defer close(call.done)
	w.call = nil
	w.last.Store(w.read(call.read.at, v, err))
}

// read makes a reading of an answer. It is called with mu held.
func (w *watch) read(at time.Time, v versions, err error) *reading {
	if err != nil {
		return &reading{at: at}
	}
	now := &reading{at: at, version: version{movies: v.movies, votes: v.votes}}
	last := w.last.Load()
	if last == nil || !last.version.known() || v.movies < last.version.movies || v.votes < last.version.votes {
		w.runs++
	}
	now.version.run = w.runs
	switch {
	case v.indexedMovies != v.movies || v.indexedVotes != v.votes:
	case last != nil && last.version == now.version && !last.since.IsZero():
		now.since = last.since
	default:
		now.since = at
	}
	return now
}

// moment is what a request knows when it begins.
func (s *Service) moment(ctx context.Context) moment {
	m := s.watch.moment(ctx)
	m.epoch = s.films.epoch()
	m.after, m.filmsAfter = readAfter(ctx), filmReadAfter(ctx)
	return m
}
