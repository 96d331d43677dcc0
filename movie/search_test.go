package movie_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/movie"
)

func TestSearch(t *testing.T) {
	w := newWorld(t, movie.Config{})
	for i, title := range []string{"Heat", "Red Heat", "Heat Wave", "White Heat", "Cold"} {
		id := fmt.Sprint("f", i)
		w.film(id, title, 1990+int32(i), "Drama")
		w.rating.set(id, int32(i+1), 6)
	}
	w.film("f9", "No Heat for the War", 1949, "War")
	req := &moviev1.SearchMoviesRequest{Q: "Heat", Genre: "drama", Decade: ptr(int32(1990)), PageSize: 4, PageToken: "t"}
	for range 2 { // cold, then warm
		r, err := w.client.SearchMovies(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range r.GetHits() {
			var title strings.Builder
			for _, p := range h.GetTitlePieces() {
				title.WriteString(p.GetText())
			}
			if title.String() != h.GetMovie().GetTitle() {
				t.Errorf("pieces %v are not the title %q", h.GetTitlePieces(), h.GetMovie().GetTitle())
			}
			got = append(got, fmt.Sprintf("%s %s %s %d", h.GetMovie().GetId(), h.GetMatch(), h.GetMovie().GetRatingStatus(), h.GetMovie().GetRatingSummary().GetVotes()))
		}
		want := []string{"f0 exact fresh 1", "f1 title fresh 2", "f2 director fresh 3", "f3 spelling fresh 4"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		first := r.GetHits()[1]
		first.Movie = nil
		wantHit := &moviev1.SearchMoviesResponse_Hit{
			Match:             "title",
			TitlePieces:       []*moviev1.TextPiece{{Text: "Red "}, {Text: "Heat", Matched: true}, {}},
			MatchedNamePieces: []*moviev1.TextPiece{{Text: "D", Matched: true}},
		}
		if diff := cmp.Diff(wantHit, first, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		r.Hits = nil
		wantRest := &moviev1.SearchMoviesResponse{
			NextPageToken: "after:t", Total: 4,
			Genres:  []*moviev1.GenreCount{{Genre: "Drama", Count: 2}, {Genre: "War", Count: 1}},
			Decades: []*moviev1.DecadeCount{{Decade: 1990, Count: 2}},
		}
		if diff := cmp.Diff(wantRest, r, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
	if got, want := fmt.Sprint(w.metadataConn.take(), w.ratingConn.take()), "map[SearchMovies:1] map[BatchGetRatingSummaries:1]"; got != want {
		t.Errorf("calls %v, want %v", got, want)
	}
}

func TestSearchWhileRatingIsDown(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("known", "Heat", 1995)
	w.film("other", "Heat 2", 1996)
	w.rating.set("known", 9, 8)
	w.get(t, "known")
	w.advance(time.Minute)
	w.rating.before.set(down)
	r, err := w.client.SearchMovies(t.Context(), &moviev1.SearchMoviesRequest{Q: "Heat"})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := r.GetHits()[0].GetMovie().GetRatingStatus(), r.GetHits()[1].GetMovie().GetRatingStatus(); a != "stale" || b != "unavailable" {
		t.Errorf("statuses %q and %q, want stale and unavailable", a, b)
	}
}

func TestSuggest(t *testing.T) {
	w := newWorld(t, movie.Config{})
	for i := range 30 {
		w.film(fmt.Sprintf("f%02d", i), fmt.Sprint("Heat ", i), 1990)
	}
	w.rating.before.set(down) // it has no part in suggestions
	for size, want := range map[int32]int{0: 8, 3: 3, 500: 20} {
		r, err := w.client.SuggestMovies(t.Context(), &moviev1.SuggestMoviesRequest{Q: "Hea", PageSize: size})
		if err != nil || len(r.GetSuggestions()) != want {
			t.Fatalf("page size %d: %d suggestions, %v; want %d", size, len(r.GetSuggestions()), err, want)
		}
		wantFirst := &moviev1.SuggestMoviesResponse_Suggestion{
			Id: "f00", Title: "Heat 0", Year: ptr(int32(1990)), Director: "D",
			TitlePieces: []*moviev1.TextPiece{{Text: "Hea", Matched: true}, {Text: "t 0"}},
		}
		if diff := cmp.Diff(wantFirst, r.GetSuggestions()[0], protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
	if got := fmt.Sprint(w.metadataConn.take(), w.ratingConn.take()); got != "map[SuggestMovies:3] map[]" {
		t.Errorf("calls %v, want one of metadata for each", got)
	}
}

// Errors of search name the fields of this service, also those that the metadata service found.
func TestSearchComplaints(t *testing.T) {
	w := newWorld(t, movie.Config{})
	search := func(r *moviev1.SearchMoviesRequest) error {
		_, err := w.client.SearchMovies(t.Context(), r)
		return err
	}
	for _, row := range []struct {
		name, want string
		err        error
	}{
		{"empty", "q: is required: 1 to 200 characters", search(&moviev1.SearchMoviesRequest{Q: " "})},
		{"long", "q: must be at most 200 characters, got 201", search(&moviev1.SearchMoviesRequest{Q: strings.Repeat("ä", 201)})},
		{"decade", "decade: must be the first year of a decade, 1870 to 2100, such as 1990, got 1991", search(&moviev1.SearchMoviesRequest{Q: "a", Decade: ptr(int32(1991))})},
		{"size", "page_size: must be between 0 and 2147483647, 0 meaning 50; got -1", search(&moviev1.SearchMoviesRequest{Q: "a", PageSize: -1})},
		{"suggest", "q: is required: 1 to 200 characters", func() error {
			_, err := w.client.SuggestMovies(t.Context(), &moviev1.SuggestMoviesRequest{})
			return err
		}()},
		{"similar", "id: is required: 1 to 128 bytes", func() error {
			_, err := w.client.ListSimilarMovies(t.Context(), &moviev1.ListSimilarMoviesRequest{})
			return err
		}()},
	} {
		if st := status.Convert(row.err); st.Code() != codes.InvalidArgument || st.Message() != row.want {
			t.Errorf("%s: got %v %q, want %q", row.name, st.Code(), st.Message(), row.want)
		}
	}
	w.metadata.before.set(func(context.Context, string) error {
		return fault.InvalidFields([]fault.Field{{Name: "query", Reason: "is odd"}, {Name: "page_token", Reason: "is old"}})
	})
	if got := status.Convert(search(&moviev1.SearchMoviesRequest{Q: "a"})).Message(); got != "q: is odd; page_token: is old" {
		t.Errorf("from metadata: %q", got)
	}
}

// A metadata service that still loads its index is reached and says so.
func TestSearchIndexIsLoading(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.metadata.before.set(func(context.Context, string) error {
		return fault.Unavailable(nil, "the search index is being loaded: retry in a moment")
	})
	_, err := w.client.SuggestMovies(t.Context(), &moviev1.SuggestMoviesRequest{Q: "a"})
	if st := status.Convert(err); st.Code() != codes.Unavailable || st.Message() != "the search index is being loaded: retry in a moment" {
		t.Errorf("got %v, want UNAVAILABLE in the metadata service's words", err)
	}
	w.metadata.before.set(down)
	_, err = w.client.SuggestMovies(t.Context(), &moviev1.SuggestMoviesRequest{Q: "a"})
	if st := status.Convert(err); st.Code() != codes.Unavailable || !strings.Contains(st.Message(), "metadata service") {
		t.Errorf("got %v, want UNAVAILABLE that names the metadata service", err)
	}
}

func TestSimilar(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("me", "Me", 1990)
	similar := func(id string, similarity float64) {
		w.metadata.similar = append(w.metadata.similar, &metadatav1.ListSimilarMoviesResponse_SimilarMovie{Id: id, Similarity: similarity})
	}
	// The fake's weighted score is the mean less a half.
	for _, f := range []struct {
		id         string
		similarity float64
		votes      int32
		mean       float64
	}{
		{"like", 1, 10, 6.5},       // 6
		{"good", 0.8, 10, 9.25},    // 7
		{"tie-few", 0.5, 1, 9.5},   // 4.5
		{"tie-many", 0.5, 20, 9.5}, // 4.5, with more votes
		{"unrated", 0.9, 0, 0},     // 0.9 × the mean of all
	} {
		w.film(f.id, f.id, 1990)
		similar(f.id, f.similarity)
		if f.votes > 0 {
			w.rating.set(f.id, f.votes, f.mean)
		}
	}
	similar("gone", 1) // deleted a moment ago
	list := func(size int32) (all []string) {
		t.Helper()
		r, err := w.client.ListSimilarMovies(t.Context(), &moviev1.ListSimilarMoviesRequest{Id: "me", PageSize: size})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.GetMovies() {
			all = append(all, fmt.Sprintf("%s %.1f %.2f %s", m.GetMovie().GetId(), m.GetSimilarity(), m.GetScore(), m.GetMovie().GetRatingStatus()))
		}
		return all
	}
	// The mean of all is (65 + 92.5 + 9.5 + 190) / 41 = 8.71.
	want := []string{"unrated 0.9 7.84 unrated", "good 0.8 7.00 fresh", "like 1.0 6.00 fresh", "tie-many 0.5 4.50 fresh", "tie-few 0.5 4.50 fresh"}
	if diff := cmp.Diff(want, list(0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[:3], list(3)); diff != "" {
		t.Errorf("three of them, although the best candidate is gone: %s", diff)
	}

	// Without the rating service: last known scores, and the last known mean for those without.
	w.advance(2 * time.Second)
	w.rating.before.set(down)
	want = []string{"unrated 0.9 7.84 unavailable", "good 0.8 7.00 stale", "like 1.0 6.00 stale", "tie-many 0.5 4.50 stale", "tie-few 0.5 4.50 stale"}
	if diff := cmp.Diff(want, list(0)); diff != "" {
		t.Error(diff)
	}
	_, err := w.client.ListSimilarMovies(t.Context(), &moviev1.ListSimilarMoviesRequest{Id: "missing"})
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), `"missing"`) {
		t.Errorf("got %v, want NOT_FOUND that names the id", err)
	}
}

// Where nothing was ever heard of the rating service, likeness alone orders.
func TestSimilarWithoutAnyRating(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.rating.before.set(down)
	w.film("me", "Me", 1990)
	for i, id := range []string{"b", "a", "c"} {
		w.film(id, id, 1990)
		w.metadata.similar = append(w.metadata.similar, &metadatav1.ListSimilarMoviesResponse_SimilarMovie{Id: id, Similarity: 1 / float64(1+i/2)})
	}
	r, err := w.client.ListSimilarMovies(t.Context(), &moviev1.ListSimilarMoviesRequest{Id: "me"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range r.GetMovies() {
		got = append(got, fmt.Sprintf("%s %.2f", m.GetMovie().GetId(), m.GetScore()))
	}
	if diff := cmp.Diff([]string{"a 5.50", "b 5.50", "c 2.75"}, got); diff != "" {
		t.Error(diff)
	}
}
