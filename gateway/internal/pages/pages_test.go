package pages_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"movieexample.com/gateway/internal/pages"
	"movieexample.com/internal/fault"
)

// entrances are addresses of every kind of page that there is.
func entrances() map[string]int {
	return map[string]int{
		"/": 200, "/search": 200, "/search?q=the": 200, "/search?q=the&genre=Drama&decade=1990": 200, "/search?q=zzzz": 200,
		"/search?q=the&page_token=20": 200, "/search?q=godfahtxx": 200, "/search?q=godfathxx": 200,
		"/charts/top": 200, "/charts/popular": 200, "/charts/trending": 200, "/charts/top?genre=drama&decade=1990": 200,
		"/charts/top?genre=Nothing": 404, "/charts/top?genre=Western&decade=1900": 200, "/charts/top?page_token=30": 200, "/charts/top?page_token=100000": 200, "/charts/top?utm_source=x": 200,
		"/movies/tt0068646": 200, "/movies/unrated": 200, "/movies/unavailable": 200, "/movies/stale": 200, "/movies/one": 200,
		"/movies/a%2Fb%20c%25%3F%23%C3%A9": 200, "/users/u1": 200, "/users/u1?page_token=50": 200, "/about": 200,
		"/problems": 200, "/problems/not-found": 200, "/problems/invalid-argument": 200,
		"/movies/tt9": 404, "/movies/": 404, "/movies/a/b": 404, "/movies": 404, "/users/nobody": 404, "/charts/best": 404, "/problems/none": 404,
		"/nothing/The-Godfather.html": 404, "/assets/style.css": 404, "/%ff": 404, "/sitemap-0.xml": 404,
		"/charts/top?decade=nineties": 400, "/search?q=a&decade=x": 400, "/search?q=%ff": 400, "/search?q=a&genre=%ff": 400, "/search?q=a&page_token=%ff": 400, "/search?%ff=a": 400, "/charts/top?genre=%ff": 400,
		"/charts/top?page_token=%ff": 400, "/users/u1?page_token=%ff": 400, "/about?utm_source=%ff": 400, "/movies/%ff": 404, "/users/%ff": 404,
		"/movies/%ff/poster.svg": 404, "/charts/%ff": 404, "/problems/%ff": 404, "/sitemap-%ff.xml": 404, "/users/u1/poster.svg": 404, "/movies/tt9/poster.svg": 404,
		"/search/suggest?q=%ff": 400, "/search?q=" + strings.Repeat("x", 201): 400,
		"/movies/" + strings.Repeat("x", 200): 400,
	}
}

func TestEveryPage(t *testing.T) {
	s := newSite(t, append(demoFilms(t), specialFilms()...), nil)
	for path, status := range entrances() {
		s.page(t, path, status)
	}
}

// Links never lead to an error.
func TestLinksResolve(t *testing.T) {
	s := newSite(t, append(demoFilms(t), specialFilms()...), nil)
	seen, pagesSeen := map[string]bool{"/docs": true, "/openapi.json": true}, 0
	queue := []string{"/", "/search?q=god", "/users/u1", "/nothing"}
	for len(queue) > 0 && pagesSeen < 150 {
		path := queue[0]
		queue = queue[1:]
		pagesSeen++
		w := s.get(t, path)
		if w.Code != http.StatusOK && path != "/nothing" {
			t.Errorf("GET %s: %d", path, w.Code)
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		status := w.Code
		for _, a := range elements(s.page(t, path, status), "a", "link") {
			href, _, _ := strings.Cut(attr(a, "href"), "#")
			if strings.HasPrefix(href, "/") && !seen[href] {
				seen[href] = true
				queue = append(queue, href)
			}
		}
	}
	if pagesSeen < 150 {
		t.Errorf("only %d pages were reached", pagesSeen)
	}
}

func zipped(t *testing.T, b []byte) int {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}

// A first visit costs at most 100 KB and 6 requests: the page, and all that it and its stylesheet name.
func TestFirstLoad(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	fonts := regexp.MustCompile(`url\(([^)]+)\)`)
	for _, path := range []string{"/", "/charts/top", "/search?q=the", "/movies/tt0068646", "/about"} {
		page := s.get(t, path)
		size, requests := zipped(t, page.Body.Bytes()), 1
		wanted := map[string]bool{}
		for _, n := range elements(s.page(t, path, 200), "link", "script") {
			switch rel := attr(n, "rel"); {
			case rel == "stylesheet" || rel == "icon" || rel == "preload":
				wanted[attr(n, "href")] = true
			case attr(n, "src") != "":
				wanted[attr(n, "src")] = true
			}
		}
		for address := range wanted {
			w := s.get(t, address)
			if w.Code != 200 {
				t.Fatalf("GET %s: %d", address, w.Code)
			}
			if strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
				for _, m := range fonts.FindAllStringSubmatch(w.Body.String(), -1) {
					wanted[m[1]] = true
				}
			}
		}
		for address := range wanted {
			w := s.get(t, address)
			if w.Code != 200 {
				t.Fatalf("GET %s: %d", address, w.Code)
			}
			requests++
			if strings.HasPrefix(w.Header().Get("Content-Type"), "font/") {
				size += w.Body.Len()
			} else {
				size += zipped(t, w.Body.Bytes())
			}
		}
		t.Logf("%s: %d requests, %d bytes, of them %d the page (%d plain)", path, requests, size, zipped(t, page.Body.Bytes()), page.Body.Len())
		if requests > 6 || size > 100_000 {
			t.Errorf("%s: %d requests, %d bytes; want at most 6 and 100,000", path, requests, size)
		}
	}
}

func TestAssetsAreKeptForEver(t *testing.T) {
	s := newSite(t, nil, nil)
	found := 0
	for _, n := range elements(s.page(t, "/", 200), "link", "script") {
		for _, address := range []string{attr(n, "href"), attr(n, "src")} {
			if !strings.HasPrefix(address, "/assets/") {
				continue
			}
			found++
			w := s.get(t, address)
			if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
				t.Errorf("%s: Cache-Control %q", address, got)
			}
			if !regexp.MustCompile(`\.[0-9a-f]{12}\.`).MatchString(address) {
				t.Errorf("%s has no hash in its name", address)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d assets, want 3", found)
	}
	if got := s.get(t, "/").Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("a page: Cache-Control %q", got)
	}
	for _, name := range []string{"/favicon.svg", "/favicon.ico"} {
		if w := s.get(t, name); w.Code != 200 || w.Header().Get("Content-Type") != "image/svg+xml" {
			t.Errorf("%s: %d %s", name, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

func TestOnlyForReading(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/search?q=x", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestErrorPagesHelp(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	says := func(path string, status int, want ...string) {
		t.Helper()
		got := mainText(t, s.page(t, path, status))
		for _, text := range append(want, "request-1") {
			if !strings.Contains(got, text) {
				t.Errorf("GET %s does not say %q:\n%s", path, text, got)
			}
		}
		if strings.Contains(got, "secret of the log") {
			t.Errorf("GET %s tells the log's secret", path)
		}
	}
	says("/film/the-godfather.html", 404, "There is no page at this address.", "Perhaps one of these", "The Godfather Part II")
	says("/movies/godfather", 404, `No movie has the id "godfather".`, "The Godfather Part II")
	says("/reviews/of/the/godfather/by/a-critic", 404, "There is no page")
	says("/charts/top?decade=nineties", 400, "The decade in this address must be the first year of one, such as 1990.")
	says("/search?q="+strings.Repeat("x", 201), 400, "up to 200 characters, and this one has 201")

	if got := elements(s.page(t, "/the-godfather", 404), "input"); len(got) != 1 || attr(got[0], "value") != "the godfather" {
		t.Error("the search box of a page that is missing does not hold the words of its address")
	}

	s.movie.down = errMetadataAway
	says("/movies/tt0068646", 503, "The metadata service cannot be reached", "reload the page in a moment")
	says("/search?q=x", 503, "The metadata service cannot be reached")
	if got := s.get(t, "/charts/top").Header().Get("Retry-After"); got == "" {
		t.Error("503 without Retry-After")
	}
	if got := s.get(t, "/charts/top").Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("an error may be kept: %q", got)
	}
	says("/nothing/the-godfather", 404, "There is no page at this address.") // without a guess

	w := httptest.NewRecorder()
	s.Error(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil), fault.ToProblem(fault.Status(fault.Internal(nil, "secret of the log"))))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "defect of ours") || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("Error: %d %s", w.Code, w.Body)
	}
}

func TestNewRefuses(t *testing.T) {
	nothing := func(grpc.ServiceRegistrar) {}
	for _, address := range []string{"films.example.org", "ftp://x", "https://", "https://x/?q", "://"} {
		_, err := pages.New(pages.Config{}, pages.Deps{Movie: inProcess(t, nothing), Rating: inProcess(t, nothing), PublicURL: address})
		if err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("the public URL %q: %v", address, err)
		}
	}
	if _, err := pages.New(pages.Config{}, pages.Deps{}); err == nil {
		t.Error("accepted without connections")
	}
}
