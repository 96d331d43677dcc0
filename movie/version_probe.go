package movie

import (
	"context"
	"time"

	"movieexample.com/internal/cache"
)

const (
	// probeEvery is how often the catalogue's version is read while requests come.
	probeEvery = 200 * time.Millisecond
	// confirmedFor is how long a version is trusted after the probe began. It bounds how late a film shows that another process
	// wrote: this, and half a second in the caches of our callers, are within the two seconds that we promise.
	confirmedFor = time.Second
	// probePatience is how long after a probe began requests wait for it. None needs it: without a version, entries are used for a
	// second only.
	probePatience = 500 * time.Millisecond
	// probeRetry is the pause after a version could not be read: the metadata service cannot be reached, or is older than versions.
	probeRetry = time.Second
	// indexLag is how far behind the catalogue a search may answer; the metadata service promises it.
	indexLag = 2 * time.Second
)

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

// versions is an answer of the metadata service.
type versions struct{ movies, votes, indexedMovies, indexedVotes int64 }

// reading is the result of a probe.
type reading struct {
	version version // not known: the probe failed
	// since is when this version was first read by a probe that found the index at it; zero: the index is not.
	since time.Time
}

// versionProbe knows the catalogue's version. It reads it only while requests come.
type versionProbe struct {
	cache *cache.Cache[struct{}, reading, time.Time]
	ask   func(context.Context) (versions, error)
	now   func() time.Time
	runs  uint64 // written by one load at a time
}

func newVersionProbe(g *cache.Group, spec cache.Spec, timeout time.Duration, ask func(context.Context) (versions, error)) (*versionProbe, error) {
	p := &versionProbe{ask: ask, now: g.Now}
	var err error
	p.cache, err = cache.New(g, spec, cache.Options[struct{}, reading, time.Time]{
		// After a failure no request waits for the next probe.
		Fresh: func(e *cache.Entry[reading, time.Time], now time.Time) bool {
			return !e.Value.version.known() || now.Sub(e.Read) <= confirmedFor
		},
		RefreshDue: func(e *cache.Entry[reading, time.Time], now time.Time) bool {
			age := now.Sub(e.Read)
			return age > probeRetry || e.Value.version.known() && age > probeEvery
		},
		Load:    p.read,
		Timeout: timeout,
	})
	return p, err
}

// read makes a probe. A failure is a reading, too.
func (p *versionProbe) read(ctx context.Context, _ struct{}) (reading, error) {
	began := p.now()
	v, err := p.ask(ctx)
	if err != nil {
		return reading{}, nil
	}
	var last reading
	if e, ok := p.cache.Last(struct{}{}); ok {
		last = e.Value
	}
	if !last.version.known() || v.movies < last.version.movies || v.votes < last.version.votes {
		p.runs++
	}
	r := reading{version: version{run: p.runs, movies: v.movies, votes: v.votes}}
	switch {
	case v.indexedMovies != v.movies || v.indexedVotes != v.votes:
	case last.version == r.version && !last.since.IsZero():
		r.since = last.since
	default:
		r.since = began
	}
	return r, nil
}

// view returns what is known now, but for the epoch and the demands. It waits for a probe if no reading is new enough.
func (p *versionProbe) view(ctx context.Context) readView {
	now := p.now()
	pending := p.cache.Start(ctx, now, struct{}{}, nil)
	if began, loads := pending.Loading(); loads {
		bounded, cancel := cache.Within(ctx, probePatience-now.Sub(began))
		defer cancel()
		if r := pending.Wait(bounded); r.Err != nil { // the last reading is too old, but its version may still be the current one
			e, ok := p.cache.Last(struct{}{})
			if !ok {
				return readView{at: p.now()}
			}
			return e.Value.view(p.now(), e.Read)
		}
		now = p.now()
	}
	r := pending.Wait(ctx)
	return r.Value.view(now, r.Read())
}

// view is what is known now by a reading of the time read.
func (r *reading) view(now, read time.Time) readView {
	return readView{
		at: now, version: r.version,
		confirmed: now.Sub(read) <= confirmedFor,
		settled:   !r.since.IsZero() && read.Sub(r.since) >= indexLag,
	}
}

// view is what a request knows when it begins.
func (s *Service) view(ctx context.Context) readView {
	v := s.probe.view(ctx)
	v.epoch = s.films.Epoch()
	v.ratingsAfter, v.filmsAfter = demands(ctx)
	return v
}
