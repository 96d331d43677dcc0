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

// A request continues where an earlier one failed; and pages are divided again after their time.
func TestSitemapGoesOn(t *testing.T) {
	now := asOf
	s := newSite(t, manyFilms(25_000), func(d *pages.Deps) { d.Now = func() time.Time { return now } })
	s.addresses(t, "/sitemap-1.xml")
	before := s.movie.lists.Load()
	s.movie.down = errMetadataAway
	if w := s.get(t, "/sitemap-2.xml"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("while the catalogue is down: %d", w.Code)
	}
	s.movie.down = nil
	s.addresses(t, "/sitemap-2.xml")
	if calls := s.movie.lists.Load() - before; calls > 55 {
		t.Errorf("page 2 took %d lists, want about 50", calls)
	}
	s.movie.films = manyFilms(100)
	now = now.Add(31 * time.Second)
	if got := len(s.addresses(t, "/sitemap-1.xml")); got != 105 {
		t.Errorf("half a minute later page 1 lists %d addresses, want 105", got)
	}
	if w := s.get(t, "/sitemap-2.xml"); w.Code != http.StatusNotFound {
		t.Errorf("half a minute later page 2: %d", w.Code)
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

// The index and the pages are of one division. When films are added and deleted, every page in the index exists, and within
// half a minute every film is on a page and no deleted film is.
func TestSitemapsFollowTheCatalogue(t *testing.T) {
	now := asOf
	s := newSite(t, nil, func(d *pages.Deps) { d.Now = func() time.Time { return now } })
	films := manyFilms(31_000)
	check := func(what string) {
		t.Helper()
		now = now.Add(31 * time.Second)
		before := s.movie.lists.Load()
		listed := map[string]bool{}
		for range 2 { // the second time the division is known to its end
			index := s.addresses(t, "/sitemap.xml")
			clear(listed)
			for _, address := range index {
				for _, a := range s.addresses(t, strings.TrimPrefix(address, "https://films.example.org")) {
					if name, ok := strings.CutPrefix(a, "https://films.example.org/movies/"); ok {
						listed[name] = true
					}
				}
			}
			if most := len(s.movie.films)/10_000 + 2; len(index) > most {
				t.Errorf("%s: the index lists %d pages of %d films", what, len(index), len(s.movie.films))
			}
		}
		if len(listed) != len(s.movie.films) {
			t.Errorf("%s: %d of %d films are listed", what, len(listed), len(s.movie.films))
		}
		for _, m := range s.movie.films {
			if !listed[m.GetId()] {
				t.Errorf("%s: %s is not listed", what, m.GetId())
				break
			}
		}
		if calls := int(s.movie.lists.Load() - before); calls > 2*len(films)/200+20 {
			t.Errorf("%s: %d lists were read", what, calls)
		}
	}
	check("nothing")
	s.movie.films = films[:9_000]
	check("9,000 films")
	s.movie.films = films[:10_500] // as was reported: the index had a second page, and there was none
	check("10,500 films")
	s.movie.films = films[:25_000]
	check("25,000 films")
	s.movie.films = films[:16_000] // the third page's films are gone, and half of the second's
	check("16,000 films")
	s.movie.films = films[:100]
	check("100 films")
	s.movie.films = films
	check("31,000 films")
	s.movie.films = slices.Concat(films[:9_990], films[10_250:]) // the films by which the second page's beginning is known
	check("260 films less")
}
