package pages_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// next returns the address of the next page, or "".
func next(doc *html.Node) string {
	for _, a := range elements(doc, "a") {
		if attr(a, "rel") == "next" {
			return attr(a, "href")
		}
	}
	return ""
}

// byClass returns the elements with a class.
func byClass(doc *html.Node, class string) []*html.Node {
	var list []*html.Node
	for _, n := range elements(doc) {
		for one := range strings.FieldsSeq(attr(n, "class")) {
			if one == class {
				list = append(list, n)
			}
		}
	}
	return list
}

// current returns the labels of the links that are marked as where one is, within an element.
func current(n *html.Node) []string {
	var list []string
	for _, a := range elements(n, "a") {
		if hasAttr(a, "aria-current") {
			list = append(list, text(a))
		}
	}
	return list
}

func TestChartPages(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	seen := map[string]bool{}
	pagesSeen := 0
	for path := "/charts/top"; path != ""; pagesSeen++ {
		doc := s.page(t, path, http.StatusOK)
		wall := byClass(doc, "ranked")[0]
		if ranks := byClass(wall, "rank"); pagesSeen == 1 && (attr(wall, "start") != "31" || text(ranks[0]) != "31.") {
			t.Errorf("page 2 starts at %s, %s", attr(wall, "start"), text(ranks[0]))
		}
		for _, li := range elements(wall, "li") {
			href := attr(elements(li, "a")[0], "href")
			if seen[href] {
				t.Errorf("%s is there twice", href)
			}
			seen[href] = true
		}
		noindex := strings.Contains(s.get(t, path).Body.String(), `content="noindex, follow"`)
		if noindex != (pagesSeen > 0) {
			t.Errorf("page %d: noindex is %v", pagesSeen+1, noindex)
		}
		path = next(doc)
	}
	if len(seen) != 320 || pagesSeen != 11 {
		t.Errorf("%d films on %d pages", len(seen), pagesSeen)
	}

	doc := s.page(t, "/charts/top?genre=film-noir&decade=1950", http.StatusOK)
	if got := strings.Join(current(elements(doc, "main")[0]), ", "); !strings.Contains(got, "Film-Noir,") || !strings.Contains(got, "1950s") || !strings.Contains(got, "Top films") {
		t.Errorf("where one is: %s", got)
	}
	said := mainText(t, doc)
	for _, want := range []string{"now 6.93", "now 25", "How is this computed?", "As of 2 January 2026, 03:04 UTC"} {
		if !strings.Contains(said, want) {
			t.Errorf("the chart does not say %q", want)
		}
	}
	if !strings.Contains(s.get(t, "/charts/popular?genre=Sci-Fi").Body.String(), `href="/charts/popular?genre=Sci-Fi&amp;decade=1950"`) {
		t.Error("a decade's link loses the genre")
	}
}

func TestSearchPage(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	doc := s.page(t, "/search?q=GODF", http.StatusOK)
	if marks := elements(doc, "mark"); len(marks) != 2 || text(marks[0]) != "Godf" {
		t.Errorf("marked: %d", len(marks))
	}
	if input := elements(doc, "input"); attr(input[0], "value") != "GODF" {
		t.Error("the box does not hold the query")
	}
	if hrefs := byClass(doc, "choices"); len(hrefs) != 2 || !strings.Contains(text(hrefs[0]), "Crime 2") {
		t.Errorf("filters: %d", len(hrefs))
	}

	// A director who matched is marked in the director's place.
	doc = s.page(t, "/search?q=kurosawa", http.StatusOK)
	if got := strings.Count(mainText(t, doc), "Akira Kurosawa"); got != len(byClass(doc, "result")) {
		t.Errorf("the director is named %d times for %d films", got, len(byClass(doc, "result")))
	}

	for query, want := range map[string]string{
		"godfathxx": "Nothing is spelled like that; this comes close",
		"zzzz":      "Nothing found for “zzzz”",
		"":          "How to search",
	} {
		if said := mainText(t, s.page(t, "/search?q="+query, 200)); !strings.Contains(said, want) {
			t.Errorf("%q does not say %q:\n%s", query, want, said)
		}
	}
	if said := mainText(t, s.page(t, "/search?q=godfather&genre=Western", 200)); !strings.Contains(said, "with this filter") || !strings.Contains(said, "Search in all genres and decades") {
		t.Errorf("nothing with a filter says: %s", said)
	}

	seen := 0
	first := s.page(t, "/search?q=the", 200)
	for path := "/search?q=the"; path != ""; {
		doc := s.page(t, path, http.StatusOK)
		seen += len(byClass(doc, "result"))
		path = next(doc)
	}
	if got := text(elements(first, "h2")[0]); got != fmt.Sprint(seen, " films") {
		t.Errorf("%d results on the pages, the heading says %q", seen, got)
	}
}

func TestSuggestions(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	w := s.get(t, "/search/suggest?q=godf")
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	options := elements(doc, "a")
	if len(options) != 2 || attr(options[0], "role") != "option" || attr(options[0], "href") != "/movies/tt0068646" || attr(options[0], "id") == attr(options[1], "id") ||
		text(options[0]) != "The Godfather 1972 · Francis Ford Coppola" {
		t.Errorf("got %s", w.Body)
	}
	for _, q := range []string{"", "   ", strings.Repeat("x", 201)} {
		if w := s.get(t, "/search/suggest?q="+url.QueryEscape(q)); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "" {
			t.Errorf("%q: %d %s", q, w.Code, w.Body)
		}
	}
}

func TestPersonPages(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	seen := 0
	for path := "/users/u1"; path != ""; {
		doc := s.page(t, path, http.StatusOK)
		seen += len(elements(elements(doc, "tbody")[0], "tr"))
		if !strings.Contains(s.get(t, path).Body.String(), "noindex") {
			t.Errorf("%s may be indexed", path)
		}
		path = next(doc)
	}
	if seen != 321 {
		t.Errorf("%d ratings, want 321", seen)
	}
	said := mainText(t, s.page(t, "/users/u1", 200))
	for _, want := range []string{"2 Jan 2026A Trip to the Moon 190210", "gone no longer in the catalogue"} {
		if !strings.Contains(said, want) {
			t.Errorf("the page does not say %q:\n%s", want, said)
		}
	}
	if said := mainText(t, s.page(t, "/users/nobody", 404)); !strings.Contains(said, "No user by the name “nobody” has rated a film here.") {
		t.Errorf("nobody: %s", said)
	}
	s.movie.extras = errMetadataAway
	if said := mainText(t, s.page(t, "/users/u1", 200)); !strings.Contains(said, "their ids are shown instead") || !strings.Contains(said, "tt0000417") {
		t.Errorf("without titles: %s", said)
	}
	s.rating.down = errRatingAway
	if said := mainText(t, s.page(t, "/users/u1", 503)); !strings.Contains(said, "The rating service cannot be reached") {
		t.Errorf("without ratings: %s", said)
	}
}
