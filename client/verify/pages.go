package verify

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// pageScenarios are about what a viewer sees in a browser.
func pageScenarios() []Scenario {
	return []Scenario{
		{Area: AreaPages, Door: Gateway, Promise: "A film's page shows title, year, director, the numbers of its ratings and their time.", ask: pageFilm},
		{Area: AreaPages, Door: Gateway, Promise: "A film without ratings has a page that shows no numbers.", ask: pageUnrated},
		{Area: AreaPages, Door: Gateway, Promise: "User input is text on a page, never markup.", ask: pageEscapes},
		{Area: AreaPages, Door: Gateway, Promise: "The search page finds a film within 2 s, with a typo too.", ask: pageSearch},
		{Area: AreaPages, Door: Gateway, Promise: "The page of the top chart says its rule, with the m and C of the API, and its time.", ask: pageChart},
		{Area: AreaPages, Door: Gateway, Promise: "The home page and everything that it loads answer, all from this host.", ask: pageHome},
		{Area: AreaPages, Door: Gateway, Promise: "A person's page lists what they rated.", ask: pagePerson},
		{Area: AreaPages, Door: Gateway, Promise: "A missing page is 404, as HTML for browsers and as a problem for programs.", ask: pageMissing},
		{Area: AreaPages, Door: Gateway, Promise: "robots.txt names the sitemap, which is XML and leads to existing pages.", ask: pageSitemap},
		{Area: AreaPages, Door: Gateway, Promise: "The API's reference page exists and loads nothing from foreign hosts.", ask: pageReference},
		{Area: AreaPages, Door: Gateway, Promise: "A page has an ETag, and is answered with 304 while it is the same.", ask: pageNotModified},
	}
}

func pagePath(id string) string { return "/movies/" + segment(id) }

func pageFilm(t *trial) {
	id, title := t.name("film"), word(10)
	t.putFilm(id, t.filmBody(title)).is(http.StatusOK)
	t.rateHTTP(id, t.name("user"), 9)
	t.rateHTTP(id, t.name("user"), 4)
	t.within(visible, func() {
		t.page(pagePath(id)).has("<h1>"+title+"</h1>", "1994", "Verify Director", "2 ratings", "6.50", "As of <time datetime=")
	})
	poster := t.get(pagePath(id) + "/poster.svg")
	t.has("the poster's Content-Type", poster.header.Get("Content-Type"), "image/svg+xml")
}

func pageUnrated(t *trial) {
	id, title := t.name("film"), word(10)
	t.putFilm(id, t.filmBody(title)).is(http.StatusOK)
	a := t.page(pagePath(id)).has("<h1>" + title + "</h1>")
	for _, no := range []string{"of 10, weighted", "<dt>Mean</dt>", `class="histogram"`} {
		t.must(!strings.Contains(string(a.body), no), "no numbers", "the page has %q", no)
	}
}

func pageEscapes(t *trial) {
	id := t.name("film")
	t.putFilm(id, `{"title":"<script>alert(1)</script> & \"Co\"","description":"<b>bold</b>"}`).is(http.StatusOK)
	text := string(t.page(pagePath(id)).body)
	for _, no := range []string{"<script>alert", "<b>bold"} {
		t.must(!strings.Contains(text, no), "escaped text", "the page has %s", no)
	}
	t.has("the page", text, "&lt;script&gt;alert(1)")
}

func pageSearch(t *trial) {
	id, title := t.name("film"), word(11)
	t.putFilm(id, t.filmBody(title)).is(http.StatusOK)
	for _, q := range []string{title, title[:4] + "q" + title[5:]} {
		t.within(findable, func() { t.page("/search?q=" + url.QueryEscape(q)).has(`href="` + pagePath(id) + `"`) })
	}
}

func pageChart(t *trial) {
	var c struct {
		MinVotes   int
		GlobalMean float64
	}
	t.get("/v1/charts/top?page_size=1&fields=minVotes,globalMean").decode(&c)
	// The page may be of a moment in which C was otherwise by a digit.
	t.page("/charts/top").has(fmt.Sprintf("at least %d rating", c.MinVotes), "Ties go by number of ratings, then by title", fmt.Sprintf("%.1f", c.GlobalMean-0.05)[:1], "As of <time datetime=")
	t.page("/charts/popular")
	t.page("/charts/trending")
}

// assetOf finds what a page loads.
var assetOf = regexp.MustCompile(`<(?:link[^>]* rel="(?:stylesheet|icon|preload)"[^>]* href|link[^>]* href|script[^>]* src|img[^>]* src)="([^"]+)"`)

// loads ends the trial unless everything that a page loads is there and from the same host.
func (t *trial) loads(a *answer) {
	found := assetOf.FindAllStringSubmatch(string(a.body), -1)
	t.must(len(found) > 0, "a style sheet at least", "nothing is loaded")
	for _, m := range found {
		if strings.HasPrefix(m[1], "data:") || strings.Contains(m[0], `rel="canonical"`) || strings.Contains(m[0], `rel="next"`) || strings.Contains(m[0], `rel="prev"`) {
			continue
		}
		t.must(strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "//"), "everything from this host", "%s", m[1])
		t.get(strings.ReplaceAll(m[1], "&amp;", "&"))
	}
}

func pageHome(t *trial) {
	a := t.page("/")
	a.has(`action="/search"`)
	t.loads(a)
}

func pagePerson(t *trial) {
	id, title, user := t.name("film"), word(10), t.name("user")
	t.putFilm(id, t.filmBody(title)).is(http.StatusOK)
	t.rateHTTP(id, user, 7)
	t.within(visible, func() { t.page("/users/"+segment(user)).has(title, pagePath(id)) })
}

func pageMissing(t *trial) {
	path := pagePath(t.name("none"))
	a := t.send(http.MethodGet, path, "", "Accept: text/html").is(http.StatusNotFound)
	t.has("Content-Type", a.header.Get("Content-Type"), "text/html")
	t.send(http.MethodGet, path, "", "Accept: application/json").refuses(http.StatusNotFound)
}

func pageSitemap(t *trial) {
	robots := string(t.get("/robots.txt").has("User-agent: *").body)
	_, address, found := strings.Cut(robots, "Sitemap: ")
	t.must(found, "a line that begins with Sitemap:", "%s", shorten(robots))
	type list struct {
		XMLName  xml.Name
		Sitemaps []string `xml:"sitemap>loc"`
		Pages    []string `xml:"url>loc"`
	}
	// The addresses are the public ones; from here the same paths are asked.
	read := func(address string) (l list) {
		u, err := url.Parse(strings.TrimSpace(address))
		t.must(err == nil && u.IsAbs(), "an absolute address", "%q", address)
		a := t.get(u.EscapedPath())
		if err := xml.Unmarshal(a.body, &l); err != nil {
			t.fail("XML", "%v: %s", err, shorten(string(a.body)))
		}
		return l
	}
	index := read(address)
	same(t, "the root element", index.XMLName.Local, "sitemapindex")
	if len(index.Sitemaps) == 0 {
		return
	}
	first := read(index.Sitemaps[0])
	same(t, "the root element", first.XMLName.Local, "urlset")
	for _, address := range first.Pages[:min(3, len(first.Pages))] {
		u, err := url.Parse(address)
		t.must(err == nil && u.IsAbs(), "an absolute address", "%q", address)
		if a := t.send(http.MethodGet, u.EscapedPath(), "", "Accept: text/html"); a.status != http.StatusNotFound { // deleted since
			a.is(http.StatusOK)
		}
	}
}

func pageReference(t *trial) {
	a := t.page("/docs")
	t.loads(a)
	t.has("Content-Security-Policy", a.header.Get("Content-Security-Policy"), "default-src 'none'")
}

func pageNotModified(t *trial) {
	id := t.name("film")
	t.putFilm(id, t.filmBody(word(10))).is(http.StatusOK)
	a := t.page(pagePath(id))
	not := t.send(http.MethodGet, pagePath(id), "", "Accept: text/html", "If-None-Match: "+a.tag()).is(http.StatusNotModified)
	same(t, "the length of the body", len(not.body), 0)
}
