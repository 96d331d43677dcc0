package pages

import (
	"time"

	"movieexample.com/internal/cache"
)

const (
	// A cached movie page is served while the film and its numbers are those it was made of, which are read for every request. The
	// rest is at most this old: the history, which does not change while the numbers do not (but for a rating that is given again),
	// the similar films, and the prior in the explanation of the score. A page that lacks a part is made again sooner.
	readyFor      = 5 * time.Minute
	incompleteFor = 2 * time.Second
)

// asOfMark is a placeholder in a cached page for the time of its numbers, the only part that differs each time. No text of a
// film can contain it, because those are escaped.
const asOfMark = `<time datetime="AS-OF">AS-OF</time>`

// filmKey is all that a movie page is made of, but for what readyFor bounds.
type filmKey struct {
	etag, status, base string
	votes              int
	mean, weighted     float64
	histogram          [10]int32
}

// filmStamp is what a movie page was made of, and when.
type filmStamp struct {
	key filmKey
	at  time.Time
}

// filmPage is a movie page that was rendered.
type filmPage struct {
	servable time.Duration
	before   []byte // up to the time of the numbers
	after    []byte // empty if the page does not show the time
}

type filmCache = cache.Cache[string, *filmPage, filmStamp]

func newFilmCache(g *cache.Group, bytes int) (*filmCache, error) {
	return cache.New(g, cache.Spec{
		Name: "gateway_movie_pages", Holds: "a movie's rendered web page", Bytes: bytes,
		MaxAge: "as the film; history, similar films and prior 5 min", Fresh: "another version or rating of the film", Away: "parts that fail are left out",
	}, cache.Options[string, *filmPage, filmStamp]{
		Fresh: func(e *cache.Entry[*filmPage, filmStamp], now filmStamp) bool {
			return e.Read.key == now.key && now.at.Before(e.Read.at.Add(e.Value.servable))
		},
		Weigh: func(id string, page *filmPage) uint32 {
			return uint32(len(id) + len(page.before) + len(page.after) + 256)
		},
	})
}
