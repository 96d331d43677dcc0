package pages_test

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"movieexample.com/gateway/internal/pages"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// What failed is named, not guessed.
func TestHomeNamesWhatIsAway(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	s.movie.down = errMetadataAway
	said := mainText(t, s.page(t, "/", http.StatusOK))
	if !strings.Contains(said, "The metadata service cannot be reached") || strings.Contains(said, "rating service") || strings.Contains(said, "counts ratings") {
		t.Errorf("home says: %s", said)
	}
	if strings.Contains(said, "secret of the log") {
		t.Error("home tells the log's secret")
	}
}

// Every page says which of its scores and numbers are not current.
func TestOldNumbersAreStated(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration // since the numbers were read
		films string        // rating_status
		old   bool
	}{
		{"of this moment", 5 * time.Second, "fresh", false},
		{"away for ten minutes", 10 * time.Minute, "stale", true},
	} {
		films := demoFilms(t)
		for _, m := range films {
			m.RatingStatus = c.films
		}
		s := newSite(t, films, func(d *pages.Deps) { d.Now = func() time.Time { return asOf.Add(c.after) } })
		for _, path := range []string{"/", "/search?q=the", "/about", "/charts/top"} {
			said := mainText(t, s.page(t, path, http.StatusOK))
			if got := strings.Contains(said, "the last known, as of 2 January 2026, 03:04 UTC") || strings.Contains(said, "the last numbers known, as of 2 January 2026, 03:04 UTC"); got != c.old {
				t.Errorf("%s, %s: said to be old: %v, want %v\n%s", path, c.name, got, c.old, said)
			}
		}
		if said := mainText(t, s.page(t, "/", http.StatusOK)); !strings.Contains(said, "Numbers as of 2 January 2026, 03:04 UTC") {
			t.Errorf("home does not say as of when its numbers are: %s", said)
		}
	}
}

// A service that hangs costs one request a second its wait, and the others nothing; and pages have it again soon after.
func TestHangingServiceCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, demoFilms(t), nil)
		s.rating.hangs, s.movie.hangs = true, true
		took := func(path string, status int) time.Duration {
			t.Helper()
			start := time.Now()
			s.page(t, path, status)
			return time.Since(start)
		}
		for _, c := range []struct {
			path        string
			status      int
			first, next time.Duration
		}{
			{"/", 200, 400 * time.Millisecond, 0},
			{"/about", 200, 400 * time.Millisecond, 0},
			{"/users/u1", 503, 2 * time.Second, 0},
		} {
			time.Sleep(1100 * time.Millisecond) // in the bubble: the breakers that the page before opened let a call through
			if got := took(c.path, c.status); got > c.first {
				t.Errorf("%s took %v, want at most %v", c.path, got, c.first)
			}
			if got := took(c.path, c.status); got > c.next {
				t.Errorf("%s took %v again, want %v", c.path, got, c.next)
			}
		}
		if w := s.get(t, "/users/u1"); w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "rating service did not answer in time") {
			t.Errorf("without ratings: %v %s", w.Header(), w.Body)
		}
		s.rating.hangs, s.movie.hangs = false, false
		time.Sleep(1100 * time.Millisecond)
		if said := mainText(t, s.page(t, "/", 200)); strings.Contains(said, "unavailable just now") {
			t.Errorf("a second later home says: %s", said)
		}
		s.page(t, "/users/u1", 200)
	})
}

// A client that leaves shuts nothing for the others.
func TestGatesIgnoreClientsThatLeave(t *testing.T) {
	s := newSite(t, demoFilms(t), nil)
	s.movie.hangs = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.getWith(ctx, "/")
	s.movie.hangs = false
	if said := mainText(t, s.page(t, "/", 200)); strings.Contains(said, "unavailable just now") {
		t.Errorf("home says: %s", said)
	}
}

// A film's poster has an address, and is a separate document.
func TestPosterDocument(t *testing.T) {
	evil := &moviev1.Movie{Id: hostile("id"), Title: hostile("title"), Director: hostile("director"), RatingStatus: "unrated", Genres: []string{"Drama"}}
	s := newSite(t, append(demoFilms(t), evil), nil)
	doc := s.page(t, "/movies/tt0068646", http.StatusOK)
	const address = "https://films.example.org/movies/tt0068646/poster.svg"
	if meta(doc, "og:image") != address || meta(doc, "og:image:type") != "image/svg+xml" || meta(doc, "og:image:alt") != "Poster of The Godfather (1972)" {
		t.Errorf("og:image %q, %q, %q", meta(doc, "og:image"), meta(doc, "og:image:type"), meta(doc, "og:image:alt"))
	}
	if got := structured(t, doc)["image"]; got != address {
		t.Errorf("JSON-LD image %q", got)
	}
	for _, path := range []string{"/movies/tt0068646/poster.svg", "/movies/" + escaped(hostile("id")) + "/poster.svg"} {
		w := s.get(t, path)
		h := w.Header()
		if w.Code != 200 || h.Get("Content-Type") != "image/svg+xml" || h.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Fatalf("GET %s: %d %v", path, w.Code, h)
		}
		d := xml.NewDecoder(w.Body)
		var names []string
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("GET %s: not well formed: %v", path, err)
			}
			if e, ok := token.(xml.StartElement); ok {
				names = append(names, e.Name.Local)
				if e.Name.Space != "http://www.w3.org/2000/svg" {
					t.Errorf("%s is of the namespace %q", e.Name.Local, e.Name.Space)
				}
			}
		}
		if !slices.Contains(names, "text") || slices.Contains(names, "script") {
			t.Errorf("GET %s: the elements %v", path, names)
		}
	}
	s.movie.down = errMetadataAway
	if w := s.get(t, "/movies/tt0068646/poster.svg"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("while the catalogue is down: %d", w.Code)
	}
}

// Every page that shows the last known data of films says so.
func TestLastKnownFilmsAreStated(t *testing.T) {
	for status, want := range map[string]bool{"fresh": false, "stale": true} {
		films := demoFilms(t)
		for _, m := range films {
			m.MetadataStatus = status
		}
		s := newSite(t, films, nil)
		for _, path := range []string{"/", "/search?q=the", "/charts/top", "/movies/" + films[0].GetId()} {
			if said := mainText(t, s.page(t, path, http.StatusOK)); strings.Contains(said, "This page shows the last known data") != want {
				t.Errorf("%s, metadata %s: said to be the last known: %v, want %v", path, status, !want, want)
			}
		}
	}
}
