package movie

import (
	"slices"
	"sync/atomic"
	"time"
)

// Movie is a film as the metadata service knows it. A Movie that left the constructor's hands is never changed:
// many requests share it.
type Movie struct {
	ID                string
	Title             string
	OriginalTitle     string
	AlternativeTitles []string
	Year              *int32 // nil where not known
	Genres            []string
	Director          string
	Description       string
	RuntimeMinutes    *int32 // nil where not known
	External          ExternalIDs
	ETag              string
	// Stale: this is the last known, because the metadata service cannot be reached. It is a copy then.
	Stale bool
}

// lastKnown returns the movie as one that may have changed since it was read.
func (m *Movie) lastKnown() *Movie {
	stale := *m
	stale.Stale = true
	return &stale
}

// lastKnown returns the films as such if they are stale.
func lastKnown(films []*Movie, stale bool) []*Movie {
	if !stale {
		return films
	}
	films = slices.Clone(films)
	for i, m := range films {
		films[i] = m.lastKnown()
	}
	return films
}

// ExternalIDs are a film's ids in other catalogues; empty where not known.
type ExternalIDs struct{ IMDb, TMDb, MovieLens string }

// Summary is the aggregate of a film's ratings.
type Summary struct {
	Mean      float64 // 1–10
	Votes     int32
	Weighted  float64 // Bayesian estimate, 1–10
	Histogram []int32 // ten counters: ratings of value 1 … 10
	AsOf      time.Time
}

// freshFor is the age up to which we call a summary fresh. A summary called fresh has every rating that was acknowledged
// two seconds before; the rest of the two seconds is for the network and for half a second in our callers' caches.
const freshFor = 1400 * time.Millisecond

// Status says how good a film's summary is.
type Status string

// The statuses.
const (
	Fresh       Status = "fresh"       // read within two seconds
	Stale       Status = "stale"       // the last known: the rating service cannot be reached, or its charts are older
	Unavailable Status = "unavailable" // no summary: the rating service cannot be reached and none is known
	Unrated     Status = "unrated"     // no summary: the film has no ratings
)

// Rating is a film's rating summary and how good it is. Like a Movie it is shared and never changed.
type Rating struct {
	Summary *Summary // nil where Status is Unavailable or Unrated
	Status  Status

	// The answer made of this rating and a movie, by service definition, so that a film that is read often is put into its wire form
	// once and not per request. It is a function of two immutable values and cannot be outdated.
	rendered [apis]atomic.Pointer[rendering]
}

// rendering is a movie and a rating in the form of one service definition.
type rendering struct {
	movie *Movie
	wire  any
}

// The service definitions that keep a rendering.
const (
	apiOwn = iota
	apiBook
	apis
)

// Details is the answer for one film.
type Details struct {
	Movie  *Movie
	Rating *Rating
}

// render returns the form that make gives d for one of the service definitions, made at most once while both halves stay the same.
func (d Details) render(api int, make func(Details) any) any {
	slot := &d.Rating.rendered[api]
	if r := slot.Load(); r != nil && r.movie == d.Movie {
		return r.wire
	}
	wire := make(d)
	slot.Store(&rendering{movie: d.Movie, wire: wire})
	return wire
}

// bytes is about what the film takes in memory.
func (m *Movie) bytes() int {
	n := 300 + len(m.ID) + len(m.Title) + len(m.OriginalTitle) + len(m.Director) + len(m.Description)
	for _, list := range [][]string{m.AlternativeTitles, m.Genres} {
		for _, text := range list {
			n += 16 + len(text)
		}
	}
	return n
}

// sameMovie reports whether a and b are the same version of a film. An etag says so whatever happened in between: a movie
// never has one with other content.
func sameMovie(a, b *Movie) bool { return a.ETag != "" && a.ETag == b.ETag }
