package pages

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"movieexample.com/internal/fault"
)

const (
	// A sitemap may have 50,000 addresses (https://www.sitemaps.org/protocol.html). A page is meant to have fewer, so that
	// films that are added after the pages were divided have room, and so that it is made well within a request's time.
	sitemapFilms = 10_000
	sitemapMost  = 50_000
	// Pages are divided anew, and what is kept of them is dropped, after this time.
	sitemapAge = time.Hour
	// sitemapsKept bounds the pages whose ids are kept: some 4 MB.
	sitemapsKept = 16
)

// sitemap knows where its pages begin: the token of the list of films by title, and the first film behind it. A token
// names a place in the order of titles and keeps its meaning while films come and go, so page n is read from its own
// beginning. It is found by whoever asks for a page beyond those known, and what one request finds before its time is up
// the next one goes on from.
type sitemap struct {
	mu     sync.Mutex
	since  time.Time
	starts []sitemapStart // of page 1, 2, …; page 1 has no token
	ended  bool           // the last start is the last page's
	kept   map[int][]string
}

type sitemapStart struct{ token, firstID string }

// sitemapNumber reads the path of a sitemap's page.
func sitemapNumber(path string) (int, bool) {
	text, ok := strings.CutPrefix(path, "/sitemap-")
	if !ok {
		return 0, false
	}
	if text, ok = strings.CutSuffix(text, ".xml"); !ok || !digits(text) || text[0] == '0' || len(text) > 7 {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// start returns where page n begins and the first film of the page behind it, as far as that is known. Where page n is
// not known yet it returns the last page that is, and false.
func (s *sitemap) start(n int, now time.Time) (from sitemapStart, next string, number int, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.starts) == 0 || now.Sub(s.since) > sitemapAge {
		s.starts, s.ended, s.since, s.kept = []sitemapStart{{}}, false, now, nil
	}
	number = min(n, len(s.starts))
	if number < len(s.starts) {
		next = s.starts[number].firstID
	}
	return s.starts[number-1], next, number, s.ended
}

// found notes where page number begins, or that there is none.
func (s *sitemap) found(number int, at sitemapStart, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case number != len(s.starts)+1:
	case end:
		s.ended = true
	default:
		s.starts = append(s.starts, at)
	}
}

// keep keeps the films of page n, and those of as many others as it may.
func (s *sitemap) keep(n int, ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= sitemapsKept {
		s.kept = make(map[int][]string)
	}
	s.kept[n] = ids
}

func (s *sitemap) known(n int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[n]
}

// sitemapIDs returns the films of page n in the order of titles; none where there is no such page.
func (p *Pages) sitemapIDs(ctx context.Context, n int) ([]string, error) {
	for {
		from, next, number, ended := p.sitemap.start(n, p.now())
		if ids := p.sitemap.known(n); ids != nil {
			return ids, nil
		}
		if ended && number < n {
			return nil, nil
		}
		var ids []string
		token := from.token
		for {
			page, more, err := p.movies.ids(ctx, token)
			if err != nil {
				return nil, fmt.Errorf("read the films of sitemap %d: %w", number, err)
			}
			atNext := false
			for _, id := range page {
				if atNext = next != "" && id == next; atNext {
					break
				}
				ids = append(ids, id)
			}
			token = more
			if atNext || token == "" || len(ids) >= sitemapMost {
				break
			}
			if next == "" && len(ids) >= sitemapFilms {
				break
			}
		}
		if next == "" {
			if err := p.sitemapNext(ctx, number, token); err != nil {
				return nil, err
			}
		}
		ids = ids[:min(len(ids), sitemapMost)]
		p.sitemap.keep(number, ids)
		if number == n {
			return ids, nil
		}
	}
}

// sitemapNext notes what comes behind the page of that number: the films from token on, or nothing.
func (p *Pages) sitemapNext(ctx context.Context, number int, token string) error {
	if token == "" {
		p.sitemap.found(number+1, sitemapStart{}, true)
		return nil
	}
	first, _, err := p.movies.ids(ctx, token)
	if err != nil {
		return fmt.Errorf("read the films of sitemap %d: %w", number+1, err)
	}
	if len(first) == 0 {
		p.sitemap.found(number+1, sitemapStart{}, true)
		return nil
	}
	p.sitemap.found(number+1, sitemapStart{token: token, firstID: first[0]}, false)
	return nil
}

func (p *Pages) sitemapPage(w http.ResponseWriter, r *http.Request, n int) {
	ids, err := p.sitemapIDs(r.Context(), n)
	switch {
	case fault.KindOf(err) == fault.KindDeadline && err != nil:
		// What was found of the way is kept: the next request gets further.
		err = fault.Unavailable(err, "the sitemaps are being made: ask again")
		fallthrough
	case err != nil:
		p.fail(w, r, err)
		return
	case len(ids) == 0 && n > 1:
		p.nowhere(w, r, "There is no sitemap of that number. The sitemaps are listed in /sitemap.xml.")
		return
	}
	base := p.baseOf(r)
	var b bytes.Buffer
	b.Grow(80 * (len(ids) + 8))
	b.WriteString(xml.Header + `<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">` + "\n")
	address := func(path string) {
		b.WriteString("<url><loc>")
		_ = xml.EscapeText(&b, []byte(base+path)) // a buffer takes everything
		b.WriteString("</loc></url>\n")
	}
	if n == 1 && len(ids) <= sitemapMost-5 {
		for _, path := range []string{"/", "/charts/top", "/charts/popular", "/charts/trending", "/about"} {
			address(path)
		}
	}
	for _, id := range ids {
		address(filmHref(id))
	}
	b.WriteString("</urlset>\n")
	sendXML(w, b.Bytes())
}

// sitemapIndex lists the sitemaps. Their number follows from the number of films, so that nothing needs to be walked.
func (p *Pages) sitemapIndex(w http.ResponseWriter, r *http.Request) {
	counts, err := p.movies.stats(r.Context())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + `<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">` + "\n")
	for n := 1; n == 1 || (n-1)*sitemapFilms < counts.Films; n++ {
		b.WriteString("<sitemap><loc>")
		_ = xml.EscapeText(&b, []byte(p.baseOf(r)+"/sitemap-"+strconv.Itoa(n)+".xml"))
		b.WriteString("</loc></sitemap>\n")
	}
	b.WriteString("</sitemapindex>\n")
	sendXML(w, b.Bytes())
}

func sendXML(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/xml; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Content-Security-Policy", inertPolicy)
	_, _ = w.Write(body) // a client that is gone misses nothing
}

// robots lets everybody in, but not where programs talk to programs.
func (p *Pages) robots(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	b.WriteString("User-agent: *\nDisallow: /v1/\nDisallow: /search/suggest\n")
	if address := p.absolute(r, "/sitemap.xml"); address != "" {
		b.WriteString("\nSitemap: " + address + "\n")
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Content-Security-Policy", inertPolicy)
	_, _ = w.Write([]byte(b.String())) // a client that is gone misses nothing
}
