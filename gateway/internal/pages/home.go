package pages

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"movieexample.com/internal/rpc"
)

// partTimeout bounds the wait for a part that makes most of a page but is not all of it.
const partTimeout = 2 * time.Second

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
}

func (p *Pages) home(w http.ResponseWriter, r *http.Request) {
	page := homePage{Head: p.head(siteName, "A catalogue of films and what people think of them. Search it, typos and all, or leaf through the charts.")}
	page.Head.Canonical = p.absolute(r, "/")
	page.Head.Bare = true
	p.together(r.Context(), partTimeout,
		part{"the chart top", func(ctx context.Context) error { return keep(&page.Top)(p.movies.chart(ctx, "top", filter{}, 10, "")) }},
		part{"the chart trending", func(ctx context.Context) error {
			return keep(&page.Trending)(p.movies.chart(ctx, "trending", filter{}, 6, ""))
		}},
		part{"the statistics", func(ctx context.Context) error { return keep(&page.Stats)(p.movies.stats(ctx)) }},
	)
	p.show(w, r, http.StatusOK, "home", page)
}

// absolute returns the address of a path of this site, or "" where the request's host is none.
func (p *Pages) absolute(r *http.Request, path string) string {
	base := p.baseOf(r)
	if base == "" {
		return ""
	}
	return base + path
}

// part is something that a page can do without.
type part struct {
	name string
	load func(context.Context) error
}

// together loads parts side by side. What fails is logged and stays as it was.
func (p *Pages) together(ctx context.Context, timeout time.Duration, parts ...part) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var wait sync.WaitGroup
	for _, one := range parts {
		wait.Go(func() {
			if err := one.load(ctx); err != nil {
				p.log.LogAttrs(ctx, slog.LevelInfo, "page goes without a part",
					slog.String("part", one.name), slog.Any("error", err), slog.String("request_id", rpc.RequestID(ctx)))
			}
		})
	}
	wait.Wait()
}

// keep stores a value behind the pointer unless there is an error, and passes the error on.
func keep[T any](to **T) func(T, error) error {
	return func(v T, err error) error {
		if err == nil {
			*to = &v
		}
		return err
	}
}
