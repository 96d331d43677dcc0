package pages

import (
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"movieexample.com/gateway/internal/problem"
	"movieexample.com/internal/cache"
)

// Config tunes the pages. New takes a zero field for its default, so the zero value works.
type Config struct {
	// ExtrasTimeout bounds the wait for optional parts of a page: history, similar films, counts.
	ExtrasTimeout time.Duration
	// CacheBytes bounds the cache of movie pages.
	CacheBytes int
}

func (c Config) withDefaults() Config {
	if c.ExtrasTimeout <= 0 {
		c.ExtrasTimeout = 400 * time.Millisecond
	}
	if c.CacheBytes <= 0 {
		c.CacheBytes = 48 << 20
	}
	return c
}

// Deps is what the pages need from outside.
type Deps struct {
	// Logger gets errors that occur while a page is made; nil discards.
	Logger *slog.Logger
	// Movie reaches the movie service, Rating the rating service. Required.
	Movie, Rating grpc.ClientConnInterface
	// Problems are the problem types that /problems explains, in this order.
	Problems []Problem
	// Endpoints are the other addresses of the system, for the about page, in this order.
	Endpoints []Endpoint
	// PublicURL is the public address of the site, such as "https://films.example.org"; canonical addresses and sitemaps begin with
	// it. If it is empty, they begin with the Host header of each request and plain HTTP.
	PublicURL string
	// Caches is the group of the cache of movie pages; nil means a new one without metrics.
	Caches *cache.Group
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// Problem is a problem type of the API and its explanation.
type Problem = problem.Explanation

// Endpoint is an address for the about page: Name says what answers there, for example "metadata (gRPC)".
type Endpoint struct{ Name, Addr string }

// Pages answers requests for web pages. It is safe for concurrent use.
type Pages struct {
	cfg       Config
	log       *slog.Logger
	movies    movieSource
	ratings   ratingSource
	problems  []Problem
	endpoints []Endpoint
	base      string // PublicURL without a slash at its end; empty means the request's host
	now       func() time.Time

	assets    *assets
	templates map[string]*template.Template
	films     *filmCache
	sitemap   *sitemap
	breakers  *breakers
}

// baseOf returns scheme and host for absolute addresses.
func (p *Pages) baseOf(r *http.Request) string {
	if p.base != "" {
		return p.base
	}
	// A strange Host yields strange addresses for its own client only: without PublicURL nothing that contains the host is cached
	// for another host. It must still be a valid host, because it is used in URLs.
	for i := range len(r.Host) {
		c := r.Host[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == ':' || c == '[' || c == ']') {
			return ""
		}
	}
	if r.Host == "" {
		return ""
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// FontURL is the address of the typeface of headings, for pages of other packages.
func (p *Pages) FontURL() string { return p.assets.Font }

// old is the moment before which numbers are older than they would be if every service answered: charts and statistics are
// refreshed within seconds.
func (p *Pages) old() time.Time { return p.now().Add(-time.Minute) }

// absolute returns the address of a path of this site, or "" where the request's host is none.
func (p *Pages) absolute(r *http.Request, path string) string {
	base := p.baseOf(r)
	if base == "" {
		return ""
	}
	return base + path
}

const siteName = "MovieExample"

// head starts a page's head.
func (p *Pages) head(title, description string) head {
	return head{Title: title, Description: description, Assets: p.assets}
}
