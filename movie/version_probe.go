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

// reading is the result of a probe.
type reading struct {
	version version // not known: the probe failed
	// since is when this version was first read by a probe that found the index at it; zero: the index is not.
	since   time.Time
	settled bool // the probe began at least indexLag after since
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
		r.since, r.settled = last.since, began.Sub(last.since) >= indexLag
	default:
		r.since = began
	}
	return r, nil
}

// view returns what is known now, but for the epoch and the demands. It waits for a probe if no reading is new enough.
func (p *versionProbe) view(ctx context.Context) readView {
	now := p.now()
	if e, ok := p.cache.Hit(ctx, now, struct{}{}); ok {
		return e.Value.view(now, true)
	}
	pending := p.cache.Start(ctx, now, struct{}{}, nil)
	if began, loads := pending.Loading(); loads {
		bounded, cancel := cache.Within(ctx, probePatience-now.Sub(began))
		defer cancel()
		ctx = bounded
	}
	r := pending.Wait(ctx)
	now = p.now()
	if r.Err == nil {
		return r.Value.view(now, now.Sub(r.Read()) <= confirmedFor)
	}
	if e, ok := p.cache.Last(struct{}{}); ok { // too old, but its version may still be the current one
		return e.Value.view(now, now.Sub(e.Read) <= confirmedFor)
	}
	return readView{at: now}
}

// view is what is known at now by a reading that is confirmed or not.
func (r *reading) view(now time.Time, confirmed bool) readView {
	return readView{at: now, version: r.version, confirmed: confirmed, settled: r.settled}
}
