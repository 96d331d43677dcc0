package pages_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"movieexample.com/gateway/internal/pages"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

func manyFilms(n int) []*moviev1.Movie {
	films := make([]*moviev1.Movie, n)
	for i := range films {
		films[i] = &moviev1.Movie{Id: fmt.Sprintf("f%06d&", i), Title: fmt.Sprintf("Film %06d", i), RatingStatus: "unrated"}
	}
	return films
}

// addresses returns the addresses of a sitemap or of the index.
func (s *site) addresses(t *testing.T, path string) []string {
	t.Helper()
	w := s.get(t, path)
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/xml") {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
	}
	var set struct {
		URLs []struct {
			Loc string `xml:"loc"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(set.URLs))
	for i, u := range set.URLs {
		list[i] = u.Loc
	}
	return list
}

func TestSitemaps(t *testing.T) {
	const n = 23_456
	s := newSite(t, manyFilms(n), nil)
	index := s.addresses(t, "/sitemap.xml")
	if len(index) != 3 || index[2] != "https://films.example.org/sitemap-3.xml" {
		t.Fatalf("the index lists %v", index)
	}
	// The last page first: the way to it is walked once, and not again for the others.
	count := map[string]int{}
	slices.Reverse(index)
	for _, address := range index {
		list := s.addresses(t, strings.TrimPrefix(address, "https://films.example.org"))
		if len(list) > 50_000 {
			t.Errorf("%s lists %d addresses", address, len(list))
		}
		for _, a := range list {
			count[a]++
		}
	}
	for _, m := range s.movie.films {
		if c := count["https://films.example.org/movies/"+m.GetId()]; c != 1 {
			t.Fatalf("%s is listed %d times", m.GetId(), c)
		}
	}
	if count["https://films.example.org/"] != 1 || count["https://films.example.org/charts/top"] != 1 || len(count) != n+5 {
		t.Errorf("%d addresses", len(count))
	}
	if calls := s.movie.lists.Load(); calls > n/200+5 {
		t.Errorf("%d lists were read for %d films: the way was walked again", calls, n)
	}
	if w := s.get(t, "/sitemap-4.xml"); w.Code != http.StatusNotFound {
		t.Errorf("a page too far: %d", w.Code)
	}
	if w := s.get(t, "/robots.txt"); !strings.Contains(w.Body.String(), "Sitemap: https://films.example.org/sitemap.xml\n") {
		t.Errorf("robots.txt: %s", w.Body)
	}
}

// What one request finds of the way before it fails, the next goes on from; and pages are divided anew after their time.
func TestSitemapGoesOn(t *testing.T) {
	now := asOf
	s := newSite(t, manyFilms(25_000), func(d *pages.Deps) { d.Now = func() time.Time { return now } })
	s.addresses(t, "/sitemap-1.xml")
	before := s.movie.lists.Load()
	s.movie.down = errMetadataAway
	if w := s.get(t, "/sitemap-2.xml"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("while the catalogue is away: %d", w.Code)
	}
	s.movie.down = nil
	s.addresses(t, "/sitemap-2.xml")
	if calls := s.movie.lists.Load() - before; calls > 55 {
		t.Errorf("page 2 took %d lists, want about 50", calls)
	}
	s.movie.films = manyFilms(100)
	now = now.Add(2 * time.Hour)
	if got := len(s.addresses(t, "/sitemap-1.xml")); got != 105 {
		t.Errorf("two hours later page 1 lists %d addresses, want 105", got)
	}
	if w := s.get(t, "/sitemap-2.xml"); w.Code != http.StatusNotFound {
		t.Errorf("two hours later page 2: %d", w.Code)
	}
}

func TestSitemapOfNothing(t *testing.T) {
	s := newSite(t, nil, nil)
	if got := s.addresses(t, "/sitemap.xml"); len(got) != 1 {
		t.Errorf("the index lists %v", got)
	}
	if got := s.addresses(t, "/sitemap-1.xml"); len(got) != 5 {
		t.Errorf("page 1 lists %v", got)
	}
}
