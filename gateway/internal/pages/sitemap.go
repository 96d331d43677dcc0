package pages

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"

	"movieexample.com/internal/fault"
)

// sitemapPage answers with a page of the sitemap. A page that the index lists, or lately listed, is never missing: deleted
// films are removed from it. If none is left, it has the address of the first page, because a sitemap must not be empty.
func (p *Pages) sitemapPage(w http.ResponseWriter, r *http.Request, n int) {
	films := countUnknown
	if counts, err := p.movies.stats(r.Context()); err == nil {
		films = counts.Films
	}
	d := p.sitemap.division(films, p.now())
	ids, err := p.sitemapIDs(r.Context(), d, n)
	divided, _ := d.pages()
	switch {
	case err != nil && fault.KindOf(err) == fault.KindDeadline:
		// The places found so far are kept: the next request gets further.
		err = fault.Unavailable(err, "the sitemaps are being made: ask again")
		fallthrough
	case err != nil:
		p.fail(w, r, err)
		return
	case n > max(divided, pagesFor(films)):
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
	switch {
	case n == 1 && len(ids) <= sitemapMost-5:
		for _, path := range []string{"/", "/charts/top", "/charts/popular", "/charts/trending", "/about"} {
			address(path)
		}
	case len(ids) == 0:
		address("/")
	}
	for _, id := range ids {
		address(filmHref(id))
	}
	b.WriteString("</urlset>\n")
	sendXML(w, b.Bytes())
}

// sitemapIndex lists the pages of the division that holds. As long as it is not known to its end (to read a million films
// takes several requests) it lists as many more as the number of films allows, of which the last may turn out not to be
// needed; a request for it gets an address that is on the first page too.
func (p *Pages) sitemapIndex(w http.ResponseWriter, r *http.Request) {
	films := countUnknown
	counts, err := p.movies.stats(r.Context())
	if err == nil {
		films = counts.Films
	}
	pages, all := p.sitemap.division(films, p.now()).pages()
	switch {
	case all:
	case err != nil:
		p.fail(w, r, err)
		return
	default:
		pages = max(pages, pagesFor(films))
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + `<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">` + "\n")
	for n := range pages {
		b.WriteString("<sitemap><loc>")
		_ = xml.EscapeText(&b, []byte(p.baseOf(r)+"/sitemap-"+strconv.Itoa(n+1)+".xml"))
		b.WriteString("</loc></sitemap>\n")
	}
	b.WriteString("</sitemapindex>\n")
	sendXML(w, b.Bytes())
}

func sendXML(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/xml; charset=utf-8")
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(sitemapFresh/time.Second)))
	h.Set("Content-Security-Policy", inertPolicy)
	_, _ = w.Write(body) // a client that is gone misses nothing
}

// robots allows all crawlers everything but the API.
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
