package pages

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"movieexample.com/internal/cache"
)

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
	if deps.Caches == nil {
		deps.Caches = cache.NewGroup(nil, p.now)
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
	if p.films, err = newFilmCache(deps.Caches, p.cfg.CacheBytes); err != nil {
		return nil, err
	}
	p.sitemap = &sitemap{}
	p.breakers = &breakers{now: p.now, byName: map[string]*breaker{}}
	return p, nil
}

// ServeHTTP implements http.Handler: pages, assets, robots.txt and sitemaps, and an error page for other addresses.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		p.refuse(w, r, http.StatusMethodNotAllowed, "Pages are only for reading: this address answers GET and HEAD.")
		return
	}
	if !utf8.ValidString(r.URL.Path) { // no name here has such bytes, and no service accepts them
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

// strangeParameter returns the name of a parameter that is not valid UTF-8.
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

// asset answers with the file of that name.
func (p *Pages) asset(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := p.assets.byName[name]
	if !ok {
		p.nowhere(w, r, "There is no such file. A newer version of the site may have replaced it: reload the page that asked for it.")
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Security-Policy", inertPolicy)
	_, _ = w.Write(a.body) // a client that is gone misses nothing
}
