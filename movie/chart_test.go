package movie_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// walk reads a chart from first to last page, and fails when an empty page says that there is more.
func walk(t *testing.T, w *world, req *moviev1.ListChartRequest) []*moviev1.ListChartResponse_Entry {
	t.Helper()
	var all []*moviev1.ListChartResponse_Entry
	for pages := 0; ; pages++ {
		if pages > 10_000 {
			t.Fatal("the chart does not end")
		}
		r, err := w.client.ListChart(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.GetEntries()...)
		req.PageToken = r.GetNextPageToken()
		if req.PageToken == "" {
			return all
		}
		if len(r.GetEntries()) == 0 {
			t.Fatalf("page %d is empty and has a next page", pages)
		}
	}
}

func ids(entries []*moviev1.ListChartResponse_Entry) []string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.GetMovie().GetId()
	}
	return list
}

func TestChartOrdersTiesByTitle(t *testing.T) {
	w := newWorld(t, movie.Config{})
	for _, f := range []struct {
		id, title string
		votes     int32
	}{
		{"1", "zebra", 40},
		{"2", "Apple", 40},
		{"3", "The Apple", 40},
		{"4", "Best", 50},
		{"5", "Last", 30},
		{"6", "Mango", 40},
	} {
		w.film(f.id, f.title, 2000)
		w.rating.set(f.id, f.votes, 5)
	}
	w.rating.set("gone", 45, 5) // has ratings, but no film in the catalogue
	want := []string{"4", "2", "3", "6", "1", "5"}
	for size := int32(1); size <= 7; size++ {
		got := walk(t, w, &moviev1.ListChartRequest{Chart: "popular", PageSize: size})
		if !slices.Equal(ids(got), want) {
			t.Errorf("page size %d: got %v, want %v", size, ids(got), want)
		}
		for i, e := range got {
			if e.GetRank() != int32(i+1) {
				t.Errorf("page size %d: entry %d has rank %d", size, i, e.GetRank())
			}
		}
	}
	first, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	e := first.GetEntries()[0]
	if e.GetScore() != 50 || e.GetMovie().GetRatingStatus() != "fresh" || e.GetMovie().GetRatingSummary().GetVotes() != 50 ||
		first.GetMinVotes() != 25 || first.GetGlobalMean() != 7 || first.GetAsOfTime().GetSeconds() != 1_700_000_000 {
		t.Errorf("first page is %v", first)
	}
}

// A chart of 7,000 records whose ties are of very different sizes, walked with several page sizes and filters,
// must show every film exactly once and in one order.
func TestChartWalksEveryFilmOnce(t *testing.T) {
	w := newWorld(t, movie.Config{})
	var drama int
	const records = 7000
	for i := range records {
		votes := int32(1)
		switch {
		case i < 200:
			votes = int32(1000 - i) // no ties
		case i < 1000:
			votes = int32(100 - i%16) // sixteen groups of fifty
		case i < 1500:
			votes = 10 // one great group; the other 5,500 are greater than a window
		}
		id := fmt.Sprintf("m%05d", (i*7919)%records)
		if i%13 != 0 {
			genre := "Comedy"
			if i%400 == 1 {
				genre = "Drama"
				drama++
			}
			w.film(id, fmt.Sprintf("%sTitle %d", []string{"", "The "}[i%2], i*31%977), 1990+int32(i%20), genre)
		}
		w.rating.set(id, votes, 5)
	}
	all := walk(t, w, &moviev1.ListChartRequest{Chart: "popular", PageSize: 200})
	if want := records - records/13 - 1; len(all) != want {
		t.Fatalf("%d entries, want %d", len(all), want)
	}
	seen := map[string]bool{}
	for i, e := range all {
		m := e.GetMovie()
		if seen[m.GetId()] {
			t.Fatalf("%s is there twice", m.GetId())
		}
		seen[m.GetId()] = true
		if i == 0 {
			continue
		}
		before := all[i-1].GetMovie()
		if e.GetScore() > all[i-1].GetScore() {
			t.Fatalf("entry %d has score %v after %v", i, e.GetScore(), all[i-1].GetScore())
		}
		if e.GetScore() == all[i-1].GetScore() && e.GetScore() > 1 &&
			sortKey(before.GetTitle())+"\x00"+before.GetId() >= sortKey(m.GetTitle())+"\x00"+m.GetId() {
			t.Fatalf("tie: %q (%s) comes after %q (%s)", m.GetTitle(), m.GetId(), before.GetTitle(), before.GetId())
		}
	}
	other := walk(t, w, &moviev1.ListChartRequest{Chart: "popular", PageSize: 171})
	if !slices.Equal(ids(all), ids(other)) {
		t.Error("the order depends on the page size")
	}
	narrow := walk(t, w, &moviev1.ListChartRequest{Chart: "popular", PageSize: 7, Genre: "dRaMa"})
	var want []string
	for _, e := range all {
		if e.GetMovie().GetGenres()[0] == "Drama" {
			want = append(want, e.GetMovie().GetId())
		}
	}
	if !slices.Equal(ids(narrow), want) || len(want) == 0 {
		t.Errorf("filtered by genre: %d entries, want the same %d as in the whole chart (%d drama films)", len(narrow), len(want), drama)
	}
	decade := walk(t, w, &moviev1.ListChartRequest{Chart: "popular", PageSize: 200, Decade: ptr(int32(2000))})
	want = nil
	for _, e := range all {
		if e.GetMovie().GetYear() >= 2000 {
			want = append(want, e.GetMovie().GetId())
		}
	}
	if !slices.Equal(ids(decade), want) {
		t.Errorf("filtered by decade: %d entries, want %d", len(decade), len(want))
	}
}

func TestCallsPerPage(t *testing.T) {
	w := newWorld(t, movie.Config{})
	var many []string
	for i := range 300 {
		id := fmt.Sprintf("m%03d", i)
		w.film(id, id, 2000, "Drama")
		w.rating.set(id, int32(i+1), 5)
		many = append(many, id)
	}
	token := ""
	for _, c := range []struct {
		name             string
		call             func() (int, error)
		metadata, rating map[string]int
		films            int
	}{
		{"list", func() (int, error) {
			r, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{PageSize: 500})
			return len(r.GetMovies()), err
		}, map[string]int{"ListMovies": 1}, map[string]int{"BatchGetRatingSummaries": 1}, 200},
		{"batch", func() (int, error) {
			r, err := w.client.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: many[:200]})
			return len(r.GetMovies()), err
		}, map[string]int{"BatchGetMovies": 1}, map[string]int{"BatchGetRatingSummaries": 1}, 200},
		{"chart", func() (int, error) {
			r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", PageSize: 100})
			token = r.GetNextPageToken()
			return len(r.GetEntries()), err
		}, map[string]int{"SelectMovies": 1, "BatchGetMovies": 1}, map[string]int{"ListChart": 1}, 100},
		{"chart, second page", func() (int, error) {
			r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", PageSize: 100, PageToken: token})
			return len(r.GetEntries()), err
		}, map[string]int{"SelectMovies": 1, "BatchGetMovies": 1}, map[string]int{"ListChart": 1}, 100},
		{"chart with a filter", func() (int, error) {
			r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "trending", Genre: "drama"})
			return len(r.GetEntries()), err
		}, map[string]int{"SelectMovies": 1, "BatchGetMovies": 1}, map[string]int{"ListChart": 1}, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := token
			w.advance(2 * time.Second)                                                                     // nothing is cached
			for _, want := range []struct{ metadata, rating map[string]int }{{c.metadata, c.rating}, {}} { // cold, then warm
				token = before
				w.metadataConn.take()
				w.ratingConn.take()
				n, err := c.call()
				if err != nil || n != c.films {
					t.Fatalf("%d films, %v; want %d", n, err, c.films)
				}
				if got := fmt.Sprint(w.metadataConn.take()); got != fmt.Sprint(want.metadata) {
					t.Errorf("metadata calls %v, want %v", got, want.metadata)
				}
				if got := fmt.Sprint(w.ratingConn.take()); got != fmt.Sprint(want.rating) {
					t.Errorf("rating calls %v, want %v", got, want.rating)
				}
			}
		})
	}
}

// A filter that matches almost nothing reads at most four windows per page, and continues from there on the next.
func TestChartScanLimit(t *testing.T) {
	w := newWorld(t, movie.Config{})
	for i := range 26_000 {
		id := fmt.Sprintf("m%05d", i)
		if i == 25_999 {
			w.film(id, "The one", 1990, "Western")
		}
		w.rating.set(id, int32(26_000-i), 5)
	}
	first, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", Genre: "western"})
	if err != nil {
		t.Fatal(err)
	}
	if calls := w.ratingConn.take()["ListChart"]; calls != 4 || len(first.GetEntries()) != 0 || first.GetNextPageToken() == "" {
		t.Errorf("first page: %d calls, %d entries, token %q; want 4 calls, no entry, a token", calls, len(first.GetEntries()), first.GetNextPageToken())
	}
	second, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", Genre: "western", PageToken: first.GetNextPageToken()})
	if err != nil {
		t.Fatal(err)
	}
	if got := second.GetEntries(); len(got) != 1 || got[0].GetRank() != 1 || second.GetNextPageToken() != "" {
		t.Errorf("second page: %v, want the one film with rank 1 and no token", second)
	}
}

func TestChartNeedsRating(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.rating.before.set(down)
	_, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top"})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "rating service") {
		t.Errorf("got %v, want UNAVAILABLE that names the rating service", err)
	}
}

// TestChartSaysItsAge: the rating service computes the charts of a large catalogue less often; then their numbers are
// called stale.
func TestChartSaysItsAge(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 1990)
	w.rating.set("a", 30, 8)
	for _, step := range []struct {
		advance time.Duration
		want    string
	}{
		{1400 * time.Millisecond, "fresh"},
		{time.Millisecond, "stale"},
	} {
		w.advance(step.advance)
		r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top"})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.GetEntries()[0].GetMovie().GetRatingStatus(); got != step.want {
			t.Errorf("status %q, want %q", got, step.want)
		}
	}
}

// While a busy rating service computes newer numbers of a chart, the old ones are served and called stale.
func TestChartDoesNotWaitForNewerNumbers(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 1990, "Drama")
	w.rating.set("a", 30, 8)
	shown := func() string {
		r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", Genre: "Drama"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetEntries()[0].GetMovie().GetRatingStatus()
	}
	w.advance(1300 * time.Millisecond) // the fake's chart is as of the beginning
	if got := shown(); got != "fresh" {
		t.Errorf("after 1.3 s: %q, want fresh", got)
	}
	held, release := hold(t)
	w.rating.before.set(func(context.Context, string) error {
		<-held
		return nil
	})
	w.ratingConn.take()
	for _, d := range []time.Duration{300, 300, 300} {
		w.advance(d * time.Millisecond)
		if got := shown(); got != "stale" {
			t.Errorf("while the rating service computes: %q, want stale", got)
		}
	}
	until(t, "the rating service is asked", func() bool { return w.ratingConn.count("ListChart") > 0 })
	if n := w.ratingConn.count("ListChart"); n != 1 {
		t.Errorf("%d requests for newer numbers, want one", n)
	}
	release()
	w.advance(time.Second) // the cached chart is too old now: the next request waits for the rating service, which answers
	if got := shown(); got != "stale" {
		t.Errorf("with the chart of 3.2 s ago: %q, want stale", got)
	}
}
