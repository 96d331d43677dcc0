package pages

import (
	"context"
	"net/http"
	"time"
)

const (
	// titlesTimeout bounds the wait for the titles of a person's films, without which that page is hardly one.
	titlesTimeout = time.Second
	// ratingTimeout bounds the wait for a person's ratings, without which there is no page.
	ratingTimeout = 2 * time.Second
)

const siteName = "MovieExample"

// head starts a page's head.
func (p *Pages) head(title, description string) head {
	return head{Title: title, Description: description, Assets: p.assets}
}

// homePage is what home.html shows. A part that could not be had is nil.
type homePage struct {
	Head          head
	Stats         *stats
	Top, Trending *chart
	// Missing says of "top", "trending" and "stats" why they could not be had.
	Missing  map[string]string
	Stale    *time.Time // of the oldest score or number that is not of this moment
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

// old is the moment before which numbers are older than they would be if every service answered: charts and statistics are
// made anew within seconds.
func (p *Pages) old() time.Time { return p.now().Add(-time.Minute) }

// absolute returns the address of a path of this site, or "" where the request's host is none.
func (p *Pages) absolute(r *http.Request, path string) string {
	base := p.baseOf(r)
	if base == "" {
		return ""
	}
	return base + path
}
