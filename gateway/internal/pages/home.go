package pages

import (
	"context"
	"net/http"
	"time"
)

const (
	// titlesTimeout bounds the wait for the titles of a person's films, without which the page says little.
	titlesTimeout = time.Second
	// ratingTimeout bounds the wait for a person's ratings, which the page cannot do without.
	ratingTimeout = 2 * time.Second
)

// homePage is what home.html shows. A part that could not be had is nil.
type homePage struct {
	Head          head
	Stats         *stats
	Top, Trending *chart
	// Missing says of "top", "trending" and "stats" why they could not be had.
	Missing  map[string]string
	Stale    *time.Time // of the oldest score or number that is not current
	Outdated bool       // some films are shown as they were last known
}

func (p *Pages) home(w http.ResponseWriter, r *http.Request) {
	page := homePage{Head: p.head(siteName, "A catalogue of films and what people think of them. Search it, typos and all, or leaf through the charts.")}
	page.Head.Canonical = p.absolute(r, "/")
	page.Head.Bare = true
	page.Missing = p.together(r.Context(), p.cfg.ExtrasTimeout,
		part{"top", func(ctx context.Context) error { return keep(&page.Top)(p.movies.chart(ctx, "top", filter{}, 10, "")) }},
		part{"trending", func(ctx context.Context) error {
			return keep(&page.Trending)(p.movies.chart(ctx, "trending", filter{}, 6, ""))
		}},
		part{"stats", func(ctx context.Context) error { return keep(&page.Stats)(p.movies.stats(ctx)) }},
	)
	var films []film
	for _, c := range []*chart{page.Top, page.Trending} {
		if c != nil {
			films = append(films, c.films()...)
		}
	}
	page.Stale, page.Outdated = stale(films, p.old()), outdated(films)
	if page.Stats != nil && page.Stats.AsOf.Before(p.old()) && (page.Stale == nil || page.Stats.AsOf.Before(*page.Stale)) {
		page.Stale = &page.Stats.AsOf
	}
	p.show(w, r, http.StatusOK, "home", page)
}
