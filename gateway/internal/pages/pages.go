package pages

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/maypok86/otter/v2"
	"google.golang.org/grpc"
)

// Config tunes the pages. New takes a zero field for its default, so the zero value works.
type Config struct {
	// ExtrasTimeout bounds the wait for what a page can do without: history, similar films, counts.
	ExtrasTimeout time.Duration
	// CacheBytes bounds the movie pages kept ready.
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
	// Logger gets what went wrong while a page was made; nil discards.
	Logger *slog.Logger
	// Movie reaches the movie service, Rating the rating service. Required.
	Movie, Rating grpc.ClientConnInterface
	// Problems are the problem types that /problems explains, in this order.
	Problems []Problem
	// Endpoints are the other addresses of the system, for the about page, in this order.
	Endpoints []Endpoint
	// PublicURL is the address that the world reaches the site by, such as "https://films.example.org"; canonical addresses
	// and sitemaps begin with it. Empty takes the Host header of each request and plain HTTP.
	PublicURL string
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// Problem is a problem type of the API and its explanation.
type Problem struct {
	// Slug is the last element of the type's address, /problems/{slug}.
	Slug string
	// Title is the problem's title, the same as in the API's answers.
	Title string
	// Status is the HTTP status it comes with.
	Status int
	// Meaning says what happened, Remedy what to do about it; plain text, paragraphs parted by an empty line.
	Meaning, Remedy string
	// Example is an answer of that type, or empty.
	Example string
}

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
	films     *otter.Cache[string, *filmPage]
	sitemap   *sitemap
	gates     *gates
}

// New parses the templates and returns the pages. It makes no call yet. An error means that Deps are incomplete or that
// PublicURL is not an absolute http or https address.
func New(cfg Config, deps Deps) (*Pages, error) {
	if deps.Movie == nil || deps.Rating == nil {
		return nil, errors.New("the pages need a connection to the movie and to the rating service")
	}
	p := &Pages{
		cfg:       cfg.withDefaults(),
		log:       deps.Logger,
		movies:    newMovieSource(deps.Movie),
		ratings:   newRatingSource(deps.Rating),
		problems:  deps.Problems,
		endpoints: deps.Endpoints,
		base:      strings.TrimRight(deps.PublicURL, "/"),
		now:       deps.Now,
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.base != "" {
		u, err := url.Parse(p.base)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("public URL: must be an absolute http or https address such as https://films.example.org, got %q", deps.PublicURL)
		}
	}
	var err error
	if p.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("load the pages' assets: %w", err)
	}
	if p.templates, err = parseTemplates(); err != nil {
		return nil, fmt.Errorf("parse the pages' templates: %w", err)
	}
	if p.films, err = newFilmCache(p.cfg.CacheBytes); err != nil {
		return nil, err
	}
	p.sitemap = &sitemap{}
	p.gates = &gates{now: p.now, last: make(map[string]*shut)}
	return p, nil
}

// ServeHTTP implements http.Handler: every address that is a page, an asset, robots.txt or a sitemap, and a page for
// those that are nothing.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		p.refuse(w, r, http.StatusMethodNotAllowed, "Pages are only for reading: this address answers GET and HEAD.")
		return
	}
	if !utf8.ValidString(r.URL.Path) { // no name here is such bytes, and no service takes them
		p.nowhere(w, r, "The address is not valid UTF-8, so there is no page at it.")
		return
	}
	if name, ok := strangeParameter(r.URL); ok {
		p.refuse(w, r, http.StatusBadRequest, "The parameter “"+shortened(name)+"” of this address is not valid UTF-8: it is mistyped or cut off.")
		return
	}
	switch path := r.URL.EscapedPath(); path {
	case "/":
		p.home(w, r)
	case "/search":
		p.search(w, r)
	case "/search/suggest":
		p.suggest(w, r)
	case "/about":
		p.about(w, r)
	case "/problems":
		p.problemList(w, r)
	case "/robots.txt":
		p.robots(w, r)
	case "/sitemap.xml":
		p.sitemapIndex(w, r)
	case "/favicon.ico", "/favicon.svg":
		p.assets.favicon(w)
	default:
		p.route(w, r, path)
	}
}

// strangeParameter returns the name of a parameter that is no valid UTF-8.
func strangeParameter(u *url.URL) (string, bool) {
	if u.RawQuery == "" {
		return "", false
	}
	for name, values := range u.Query() {
		for _, v := range append(values, name) {
			if !utf8.ValidString(v) {
				return name, true
			}
		}
	}
	return "", false
}

// route answers the addresses with a variable part: one segment, decoded once, so that every id works.
func (p *Pages) route(w http.ResponseWriter, r *http.Request, path string) {
	if n, ok := sitemapNumber(path); ok {
		p.sitemapPage(w, r, n)
		return
	}
	area, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	rest, isPoster := strings.CutSuffix(rest, posterSuffix)
	value, err := url.PathUnescape(rest)
	if rest == "" || err != nil || strings.Contains(rest, "/") || isPoster && area != "movies" {
		p.nowhere(w, r, "There is no page at this address.")
		return
	}
	switch area {
	case "movies":
		if isPoster {
			p.poster(w, r, value)
			return
		}
		p.film(w, r, value)
	case "charts":
		p.chart(w, r, value)
	case "users":
		p.user(w, r, value)
	case "problems":
		p.problem(w, r, value)
	case "assets":
		p.asset(w, r, value)
	default:
		p.nowhere(w, r, "There is no page at this address.")
	}
}

// baseOf returns scheme and host for absolute addresses.
func (p *Pages) baseOf(r *http.Request) string {
	if p.base != "" {
		return p.base
	}
	// Whoever sends a strange Host gets strange addresses back, but nobody else does: without PublicURL nothing that
	// contains the host is kept for another host. It must still be a host, because it stands in URLs.
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

// FontURL is the address of the typeface of headings, for pages that others make.
func (p *Pages) FontURL() string { return p.assets.Font }
