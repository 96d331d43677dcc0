package pages_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// hrefs returns where the links of a page's main part lead.
func hrefs(doc *html.Node) []string {
	var list []string
	for _, a := range elements(elements(doc, "main")[0], "a") {
		list = append(list, attr(a, "href"))
	}
	return list
}

func robots(doc *html.Node) string { return meta(doc, "robots") }

func meta(doc *html.Node, name string) string {
	for _, n := range elements(doc, "meta") {
		if attr(n, "name") == name || attr(n, "property") == name {
			return attr(n, "content")
		}
	}
	return ""
}

func canonical(doc *html.Node) string {
	for _, n := range elements(doc, "link") {
		if attr(n, "rel") == "canonical" {
			return attr(n, "href")
		}
	}
	return ""
}

// A chart without a film leads on: to less of a filter, to the chart that takes least, to the films of the decade.
func TestEmptyChartLeadsOn(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	doc := s.page(t, "/charts/top?genre=Film-Noir&decade=1900", http.StatusOK)
	if said := mainText(t, doc); !strings.Contains(said, "No film with this filter is in the chart; it takes 25 ratings to be in.") {
		t.Errorf("an empty chart says: %s", said)
	}
	for _, want := range []string{
		"/charts/top?genre=Film-Noir", "/charts/top?decade=1900", "/charts/top", "/charts/popular?genre=Film-Noir&decade=1900", "/search?q=1904&genre=Film-Noir",
	} {
		if !slices.Contains(hrefs(doc), want) {
			t.Errorf("an empty chart does not lead to %s", want)
		}
	}
	if robots(doc) != "noindex, follow" {
		t.Error("an empty chart may be indexed")
	}
	for _, a := range hrefs(s.page(t, "/", http.StatusOK)) {
		if strings.Contains(a, "decade=") && !strings.HasPrefix(a, "/charts/popular?") {
			t.Errorf("home leads to %s, which may be empty where a decade has few ratings", a)
		}
	}
}

// Counts of the catalogue are not shown beside a chart's filters, where they would be mistaken for the chart's.
func TestChartFiltersAreNotCounted(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	for _, path := range []string{"/charts/top", "/charts/trending?genre=Drama"} {
		if n := len(byClass(s.page(t, path, http.StatusOK), "count")); n != 0 {
			t.Errorf("%s: %d numbers beside the filters", path, n)
		}
	}
	if len(byClass(s.page(t, "/search?q=the", http.StatusOK), "count")) == 0 {
		t.Error("the search does not count its films by filter")
	}
}

// Search engines see one page per chart, regardless of the spelling of its genre, and no page for an unknown genre.
func TestGenresHaveOneSpelling(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	for path, want := range map[string]string{
		"/charts/top?genre=dRAMA":                  "https://films.example.org/charts/top?genre=Drama",
		"/charts/top?genre=film-noir&decade=1950":  "https://films.example.org/charts/top?genre=Film-Noir&decade=1950",
		"/charts/top?genre=Drama&utm_source=sheet": "https://films.example.org/charts/top?genre=Drama",
		"/search?q=the":                            "https://films.example.org/search",
	} {
		doc := s.page(t, path, http.StatusOK)
		if got := canonical(doc); got != want || robots(doc) != "" {
			t.Errorf("%s: canonical %q, want %q; robots %q", path, got, want, robots(doc))
		}
	}
	for _, path := range []string{"/search?q=zzzz", "/search?q=the&genre=Drama", "/search?q=the&page_token=20"} {
		if doc := s.page(t, path, http.StatusOK); robots(doc) != "noindex, follow" || canonical(doc) != "" {
			t.Errorf("%s: robots %q, canonical %q", path, robots(doc), canonical(doc))
		}
	}
	doc := s.page(t, "/charts/trending?genre=Nope&decade=1990", http.StatusNotFound)
	if said := mainText(t, doc); !strings.Contains(said, "No film here has the genre “Nope”.") {
		t.Errorf("an unknown genre: %s", said)
	}
	for _, want := range []string{"/charts/trending?decade=1990", "/charts/trending?genre=Drama&decade=1990"} {
		if !slices.Contains(hrefs(doc), want) {
			t.Errorf("an unknown genre does not lead to %s", want)
		}
	}
}

// A link to a later page outlives its token. It says so in words, and leads to the list's beginning.
func TestStaleLinksLeadOn(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	for path, first := range map[string]string{
		"/charts/top?genre=Drama&page_token=bad":   "/charts/top?genre=Drama",
		"/charts/trending?page_token=bad":          "/charts/trending",
		"/search?q=a+b&decade=1990&page_token=bad": "/search?decade=1990&q=a+b",
		"/users/a%2Fb?page_token=bad":              "/users/a%2Fb",
	} {
		doc := s.page(t, path, http.StatusBadRequest)
		said := mainText(t, doc)
		if !strings.Contains(said, "good for three days") || strings.Contains(strings.ToLower(said), "token") {
			t.Errorf("%s says: %s", path, said)
		}
		if !slices.Contains(hrefs(doc), first) {
			t.Errorf("%s does not lead to %s", path, first)
		}
	}
	for path, want := range map[string]string{
		"/movies/" + strings.Repeat("x", 200): "The film’s id must", "/users/" + strings.Repeat("x", 200): "The person’s name must",
	} {
		if said := mainText(t, s.page(t, path, http.StatusBadRequest)); !strings.Contains(said, want) || strings.Contains(said, "user_id") || strings.Contains(said, " id: must") {
			t.Errorf("%s says: %s", path, said)
		}
	}
}

// The title of a page of a chart is unique, and so is the text that screen readers read for each film.
func TestPlacesAreSaid(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	doc := s.page(t, "/charts/top?page_token=30", http.StatusOK)
	if title, h1 := text(elements(doc, "title")[0]), text(elements(doc, "h1")[0]); title != "Top films, places 31–60 · MovieExample" || h1 != "Top films, places 31–60" {
		t.Errorf("title %q, h1 %q", title, h1)
	}
	link := elements(byClass(doc, "ranked")[0], "a")[0]
	if rank := byClass(link, "rank"); hasAttr(rank[0], "aria-hidden") || !strings.HasPrefix(text(rank[0]), "31.") {
		t.Error("the place of a film is not read out")
	}
}

func TestSimilarFilmsAreExplained(t *testing.T) {
	s := newSite(t, append(demoFilms(t), specialFilms()...), nil)
	for path, want := range map[string]string{
		"/movies/tt0068646":                "the more alike and the better rated, the further to the front",
		"/movies/unrated":                  "The film has no genres here to compare it by.",
		"/movies/a%2Fb%20c%25%3F%23%C3%A9": "The catalogue has no film like it.",
		"/movies/one":                      "weighted, from 1 rating",
	} {
		if said := mainText(t, s.page(t, path, http.StatusOK)); !strings.Contains(said, want) {
			t.Errorf("%s does not say %q: %s", path, want, said)
		}
	}
}
