package pages_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gateway/internal/pages"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// structured returns the JSON-LD of a page.
func structured(t *testing.T, doc *html.Node) map[string]any {
	t.Helper()
	for _, n := range elements(doc, "script") {
		if attr(n, "type") == "application/ld+json" {
			var m map[string]any
			if err := json.Unmarshal([]byte(n.FirstChild.Data), &m); err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	t.Fatal("no JSON-LD")
	return nil
}

func TestMoviePage(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	m := s.movie.find("tt0068646")
	doc := s.page(t, "/movies/tt0068646", http.StatusOK)
	said := mainText(t, doc)
	for _, want := range []string{
		"The Godfather", "Francis Ford Coppola", "1972", "2 h 55 min", "Crime", "1,960",
		fmt.Sprintf("%.1f", m.GetRatingSummary().GetWeighted()), fmt.Sprintf("%.2f", m.GetRatingSummary().GetMean()),
		"As of 2 January 2026, 03:04 UTC", "6.93 when last looked at", "m is 25", "In the same vein", "2014", "IMDb", "TMDB",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the page does not say %q:\n%s", want, said)
		}
	}
	for _, want := range []string{"Highest mean8.50 in 2017", "Lowest7.50 in 2014", "Most ratings125 in 2019", "Every year, as a table"} {
		if !strings.Contains(said, want) {
			t.Errorf("the page does not say %q:\n%s", want, said)
		}
	}
	tables := elements(doc, "table")
	if len(tables) != 2 {
		t.Fatalf("%d tables, want the histogram and the history", len(tables))
	}
	if rows := elements(elements(tables[0], "tbody")[0], "tr"); len(rows) != 10 || text(elements(rows[0], "th")[0]) != "10" ||
		!strings.HasSuffix(text(rows[0]), fmt.Sprint(m.GetRatingSummary().GetHistogram()[9])) {
		t.Errorf("the histogram has %d rows, the first says %q", len(rows), text(rows[0]))
	}
	if rows := elements(elements(tables[1], "tbody")[0], "tr"); len(rows) != 12 || text(rows[0]) != "20147.5040" {
		t.Errorf("the history has %d rows, the first says %q", len(rows), text(rows[0]))
	}

	ld := structured(t, doc)
	rating, _ := ld["aggregateRating"].(map[string]any)
	if ld["@type"] != "Movie" || ld["name"] != "The Godfather" || ld["dateCreated"] != "1972" || ld["duration"] != "PT175M" ||
		ld["url"] != "https://films.example.org/movies/tt0068646" {
		t.Errorf("JSON-LD: %v", ld)
	}
	if rating["ratingCount"] != 1960.0 || rating["bestRating"] != 10.0 || rating["worstRating"] != 1.0 || rating["ratingValue"].(float64) < 8 {
		t.Errorf("JSON-LD rating: %v", rating)
	}
	for _, n := range elements(doc, "link", "meta") {
		if attr(n, "rel") == "canonical" && attr(n, "href") != "https://films.example.org/movies/tt0068646" {
			t.Errorf("canonical is %s", attr(n, "href"))
		}
		if attr(n, "property") == "og:type" && attr(n, "content") != "video.movie" {
			t.Errorf("og:type is %s", attr(n, "content"))
		}
	}
}

// What is not known is said in words, and never as a number.
func TestFreshnessInWords(t *testing.T) {
	s := newSite(t, specialFilms(), nil)
	for id, want := range map[string]string{
		"unrated":     "No ratings of this film yet.",
		"unavailable": "whether and how people rated this film is not known just now",
		"stale":       "These are the last numbers known, as of 2 January 2026, 03:04 UTC",
		"one":         "As of 2 January 2026, 03:04 UTC.",
	} {
		doc := s.page(t, "/movies/"+id, http.StatusOK)
		if got := mainText(t, doc); !strings.Contains(got, want) {
			t.Errorf("%s does not say %q:\n%s", id, want, got)
		}
		_, rated := structured(t, doc)["aggregateRating"]
		if known := id == "stale" || id == "one"; rated != known || (len(elements(doc, "table")) > 0) != known {
			t.Errorf("%s: has a rating for machines: %v, tables: %d", id, rated, len(elements(doc, "table")))
		}
	}
}

// The form of a history depends on its length: one year is a sentence, a few are a table, many are a plot and its peaks.
func TestHistoriesOfEachLength(t *testing.T) {
	for _, c := range []struct {
		years, tables, details, plots int
		want                          string
	}{
		{1, 1, 1, 0, "All 40 ratings were given in 2014; their mean is 7.50."},
		{2, 2, 1, 1, "Ratings by the year they were given in"},
		{9, 2, 1, 1, "Ratings by the year they were given in"},
		{10, 2, 2, 1, "Every year, as a table"},
	} {
		s := newSite(t, demoFilms(t), nil)
		s.rating.years = history()[:c.years]
		doc := s.page(t, "/movies/tt0068646", http.StatusOK)
		if tables, details, plots := len(elements(doc, "table")), len(elements(doc, "details")), len(byClass(doc, "plot")); tables != c.tables || details != c.details || plots != c.plots {
			t.Errorf("%d years: %d tables, %d details, %d plots", c.years, tables, details, plots)
		}
		if said := mainText(t, doc); !strings.Contains(said, c.want) {
			t.Errorf("%d years: the page does not say %q", c.years, c.want)
		}
	}
}

// A page goes without what it can do without, says so, and has it again when it is back.
func TestMissingParts(t *testing.T) {
	now := asOf
	s := newSite(t, demoFilms(t), func(d *pages.Deps) { d.Now = func() time.Time { return now } })
	s.movie.extras, s.rating.down = errRatingAway, errRatingAway
	missing := []string{"The history of the ratings is unavailable just now.", "Similar films are unavailable just now.", "Their current values are unavailable."}
	said := mainText(t, s.page(t, "/movies/tt0068646", http.StatusOK))
	for _, want := range append(missing, "1,960") {
		if !strings.Contains(said, want) {
			t.Errorf("the page does not say %q:\n%s", want, said)
		}
	}
	if said := mainText(t, s.page(t, "/charts/top", http.StatusOK)); !strings.Contains(said, "The Shawshank Redemption") {
		t.Errorf("no chart without counts: %s", said)
	}
	if said := mainText(t, s.page(t, "/about", http.StatusOK)); !strings.Contains(said, "The numbers are unavailable just now.") {
		t.Errorf("about: %s", said)
	}
	s.movie.extras, s.rating.down = nil, nil
	now = now.Add(3 * time.Second)
	said = mainText(t, s.page(t, "/movies/tt0068646", http.StatusOK))
	for _, gone := range missing {
		if strings.Contains(said, gone) {
			t.Errorf("3 s later the page still says %q", gone)
		}
	}

	s.movie.down = errRatingAway
	said = mainText(t, s.page(t, "/", http.StatusOK))
	for _, want := range []string{"The chart is unavailable just now", "What is trending is unavailable just now", "Title, director or year"} {
		if !strings.Contains(said, want) {
			t.Errorf("home does not say %q:\n%s", want, said)
		}
	}
}

// A ready page is used again, but never past a change of the film or its numbers.
func TestReadyPagesStayTrue(t *testing.T) {
	now := asOf
	films := demoFilms(t)
	s := newSite(t, films, func(d *pages.Deps) { d.Now = func() time.Time { return now } })
	m := s.movie.find("tt0068646")
	votes := func() string { return text(elements(s.page(t, "/movies/tt0068646", 200), "dl")[1]) }
	shared := func(change func(*moviev1.Movie)) { // messages that were handed out do not change
		c := proto.Clone(m).(*moviev1.Movie)
		change(c)
		for i := range films {
			if films[i].GetId() == c.GetId() {
				films[i] = c
			}
		}
		m = c
	}
	before := votes()
	s.rating.years = nil
	if got := votes(); got != before || s.movie.gets.Load() != 2 {
		t.Errorf("%q became %q; the film was requested %d times", before, got, s.movie.gets.Load())
	}
	if len(elements(s.page(t, "/movies/tt0068646", 200), "table")) != 2 {
		t.Error("the page was made again although nothing changed")
	}
	shared(func(m *moviev1.Movie) { m.RatingSummary.Votes++; m.RatingSummary.Histogram[9]++ })
	if got := votes(); !strings.Contains(got, "1,961") {
		t.Errorf("a new rating does not show: %s", got)
	}
	shared(func(m *moviev1.Movie) { m.Title, m.Etag = "The Godfather!", "v2" })
	if got := text(elements(s.page(t, "/movies/tt0068646", 200), "h1")[0]); got != "The Godfather!" {
		t.Errorf("a new title does not show: %s", got)
	}
	shared(func(m *moviev1.Movie) { m.RatingStatus = "stale" })
	if got := mainText(t, s.page(t, "/movies/tt0068646", 200)); !strings.Contains(got, "last numbers known") {
		t.Error("that the numbers are stale does not show")
	}
	shared(func(m *moviev1.Movie) { m.RatingSummary.AsOfTime = timestamppb.New(asOf.Add(time.Minute)) })
	if got := mainText(t, s.page(t, "/movies/tt0068646", 200)); !strings.Contains(got, "03:05 UTC") {
		t.Error("the new time does not show")
	}
	s.rating.years = history()
	now = now.Add(301 * time.Second)
	if len(elements(s.page(t, "/movies/tt0068646", 200), "table")) != 2 {
		t.Error("a history that came does not show after 301 s")
	}
}

// Without a public address pages take the host of the request, and one host's page is not another's.
func TestHostOfTheRequest(t *testing.T) {
	s := newSite(t, demoFilms(t), func(d *pages.Deps) { d.PublicURL = "" })
	for _, host := range []string{"one.example", "two.example:8080"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/movies/tt0068646", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `<link rel="canonical" href="http://`+host+`/movies/tt0068646">`) {
			t.Errorf("%s: not canonical", host)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/movies/tt0068646", nil)
	r.Host = `evil"><script>`
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "evil") {
		t.Error("a host that is none is repeated")
	}
}

// hostile is a text that becomes an element or an attribute wherever it is not escaped, identified by name.
func hostile(name string) string {
	return `</script><xss-` + name + `>"'><xss-` + name + ` onx="1" style=x><!--<script>x</script>` + "`${1}`" + `{{.}}\u003c&lt;` + name
}

func TestHostileTexts(t *testing.T) {
	year := int32(1999)
	evil := &moviev1.Movie{
		Id: hostile("id"), Title: hostile("title"), OriginalTitle: hostile("original"), AlternativeTitles: []string{hostile("alternative")},
		Director: hostile("director") + ", javascript:alert(1)", Description: hostile("description"), Genres: []string{hostile("genre"), "javascript:alert(1)"},
		Year: &year, ExternalIds: &moviev1.ExternalIds{Imdb: hostile("imdb"), Tmdb: "javascript:alert(1)"}, Etag: hostile("etag"),
		RatingStatus: "fresh", RatingSummary: ratingsAround("x", 7, 300),
	}
	s := newSite(t, []*moviev1.Movie{evil, proto.Clone(evil).(*moviev1.Movie)}, func(d *pages.Deps) {
		d.Endpoints = []pages.Endpoint{{Name: hostile("endpoint"), Addr: hostile("address")}}
		d.Problems = []pages.Problem{{Slug: "s", Title: hostile("problem"), Status: 400, Meaning: hostile("meaning"), Remedy: hostile("remedy"), Example: hostile("example")}}
	})
	s.rating.years = []*ratingv1.ListRatingHistoryResponse_Year{{Year: 2000, Votes: 1, Mean: 7}, {Year: 2001, Votes: 1, Mean: 7}}
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	// What every page must say as text, by address.
	for path, fields := range map[string][]string{
		"/": {"title", "genre"}, "/charts/top": {"title", "genre"}, "/charts/popular?genre=" + escape(hostile("genre")): {"title", "genre"},
		"/search?q=xss": {"title"}, "/search?q=" + escape(hostile("title")): {"title"}, "/search?q=" + escape(hostile("query")): {"query"},
		"/search?q=a&genre=" + escape(hostile("filter")): nil, "/search?q=xss-dir&page_token=0": {"director"},
		"/movies/" + escape(hostile("id")):  {"title", "original", "alternative", "director", "description", "genre"},
		"/users/" + escape(hostile("user")): {"user", "title"}, "/users/nobody" + escape(hostile("user")): nil,
		"/movies/" + escape(hostile("nope")): nil, "/" + escape(hostile("path")): nil,
		"/about": {"endpoint", "address"}, "/problems": {"problem"}, "/problems/s": {"problem", "meaning", "remedy", "example"},
	} {
		w := s.get(t, path)
		doc := s.page(t, path, w.Code)
		if w.Code != 200 && w.Code != 404 && w.Code != 400 {
			t.Errorf("GET %s: %d", path, w.Code)
		}
		said := text(doc)
		for _, field := range fields {
			if want := strings.Join(strings.Fields(hostile(field)), " "); !strings.Contains(said, want) {
				t.Errorf("GET %s does not say %s as text", path, want)
			}
		}
		harmless(t, path, doc)
	}

	w := s.get(t, "/search/suggest?q=xss-ti")
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	harmless(t, "suggestions", doc)
	if !strings.Contains(text(doc), hostile("title")) {
		t.Errorf("the suggestion is not its title: %s", w.Body)
	}

	ld := structured(t, s.page(t, "/movies/"+escape(hostile("id")), 200))
	director := ld["director"].([]any)[0].(map[string]any)["name"]
	if ld["name"] != hostile("title") || ld["description"] != hostile("description") || director != hostile("director") ||
		ld["genre"].([]any)[0] != hostile("genre") || ld["alternateName"].([]any)[1] != hostile("alternative") {
		t.Errorf("JSON-LD does not parse back: %v", ld)
	}
	if _, ok := ld["sameAs"]; ok {
		t.Errorf("links to elsewhere from ids that are none: %v", ld["sameAs"])
	}
}

// harmless checks that no text became markup.
func harmless(t *testing.T, path string, doc *html.Node) {
	t.Helper()
	for n := range doc.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("%s: a comment: %s", path, n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		if strings.HasPrefix(n.Data, "xss") {
			t.Errorf("%s: a text became the element %s", path, n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "xss") || a.Key == "style" {
				t.Errorf("%s: a text became the attribute %s of %s", path, a.Key, n.Data)
			}
			if strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:") && (a.Key == "href" || a.Key == "src" || a.Key == "action") {
				t.Errorf("%s: %s=%q", path, a.Key, a.Val)
			}
		}
	}
}

func BenchmarkMoviePage(b *testing.B) {
	s := newSite(b, demoFilms(b), nil)
	run := func(b *testing.B, path func(int) string) {
		for i := 0; b.Loop(); i++ {
			if w := s.get(b, path(i)); w.Code != 200 {
				b.Fatal(w.Code)
			}
		}
	}
	b.Run("ready", func(b *testing.B) { run(b, func(int) string { return "/movies/tt0068646" }) })
	b.Run("made", func(b *testing.B) {
		cold := newSite(b, demoFilms(b), func(d *pages.Deps) {
			var at time.Duration
			d.Now = func() time.Time { at += time.Hour; return asOf.Add(at) }
		})
		for b.Loop() {
			if w := cold.get(b, "/movies/tt0068646"); w.Code != 200 {
				b.Fatal(w.Code)
			}
		}
	})
	b.Run("chart", func(b *testing.B) { run(b, func(int) string { return "/charts/top" }) })
	b.Run("search", func(b *testing.B) { run(b, func(int) string { return "/search?q=the" }) })
	b.Run("home", func(b *testing.B) { run(b, func(int) string { return "/" }) })
}
