package movie

import (
	"slices"
	"sync/atomic"
	"time"
)

// listKey is a [listQuery].
type listKey struct {
	filter filterKey
	order  order
	size   int32
	token  string
}

// chartKey is a [chartQuery].
type chartKey struct {
	chart  chart
	filter filterKey
	size   int
	token  string
}

// searchKey is a [searchQuery].
type searchKey struct {
	q, genre  string
	decade    int32
	hasDecade bool
	size      int32
	token     string
}

// picksKey is a window, whatever its numbers, and a filter.
type picksKey struct {
	shape  *shape
	filter filterKey
}

// listPage is a page of the catalogue.
type listPage struct {
	films []*Movie
	next  string // empty on the last page
}

// bytes is about what the page takes in memory if no other has its films.
func (p *listPage) bytes() uint32 {
	n := 300
	for _, m := range p.films {
		n += m.bytes()
	}
	return uint32(n)
}

// searchPage is a page of hits without the films' ratings.
type searchPage struct {
	*found
	films []*Movie // of the hits

	// The wire form of all that does not depend on ratings, once per page.
	rendered atomic.Value
}

// render returns the form that make gives the page, made once or a few times.
func (p *searchPage) render(make func(*found) any) any {
	if wire := p.rendered.Load(); wire != nil {
		return wire
	}
	wire := make(p.found)
	p.rendered.Store(wire)
	return wire
}

func (p *searchPage) bytes() uint32 {
	n := 1000
	for _, h := range p.hits {
		n += h.film.bytes() + 50
		for _, pieces := range [][]piece{h.title, h.matchedName} {
			for _, p := range pieces {
				n += 150 + len(p.text) // here and in the rendering
			}
		}
	}
	return uint32(n + 100*(len(p.genres)+len(p.decades)))
}

// chartPage is a page of a chart.
type chartPage struct {
	rows  []chartRow
	next  string // empty on the last page
	prior prior
	basis basis

	read readView // of the oldest that is known of its films
	age  boardAge // of the oldest numbers

	windows []windowKey // that it was made of
}

// fresh reports whether the page may be served now.
func (p *chartPage) fresh(now readView, ttl time.Duration) bool {
	return sameEpoch(p.read, now) && p.age.fresh(now.at, ttl) && (now.within(p.read, pageTTL) || now.sameMovies(p.read))
}

// chartRow is a place in a chart. Its numbers are those that the chart was made of, so that they explain the order.
type chartRow struct {
	rank    int64
	score   float64
	film    *Movie
	ratings *ratingPair
}

// lastKnown returns the page as one whose films may have changed since it was read.
func (p *chartPage) lastKnown() *chartPage {
	stale := *p
	stale.rows = slices.Clone(p.rows)
	for i := range stale.rows {
		stale.rows[i].film = p.rows[i].film.lastKnown()
	}
	return &stale
}

// bytes is about what the page takes in memory if no other has its films.
func (p *chartPage) bytes() uint32 {
	n := 500
	for i := range p.rows {
		n += p.rows[i].film.bytes() + 500
	}
	return uint32(n)
}
