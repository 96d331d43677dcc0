package client_test

import (
	"math"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/client"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/movielens"
	"movieexample.com/rating"
)

// TestImportRealData imports ml-latest-small, which may be tested with but not passed on, so MOVIELENS_DIR says where it is.
// Without it, the same numbers of a made-up data set are compared with what a reader of its files computes.
func TestImportRealData(t *testing.T) {
	dir := os.Getenv("MOVIELENS_DIR")
	if dir == "" {
		t.Log("MOVIELENS_DIR is not set: golden values of ml-latest-small were not checked")
		importGenerated(t)
		return
	}
	s := startSystem(t)
	c := connect(t, s.addresses)
	var l listed
	got, err := c.ImportMovieLens(t.Context(), dir, l.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("import took %+v s", got.Seconds)
	want := client.ImportSummary{
		Films:   client.FilmCounts{Read: 9742, Created: 9742},
		Ratings: client.RatingCounts{Read: 100_836, Published: 100_836},
		Noted:   1,
		Before:  &client.Totals{},
		After:   &client.Totals{Records: 9724, Ratings: 100_836, Sum: 706_166, GlobalMean: 706_166.0 / 100_836},
		Waited:  true,
	}
	if diff := cmp.Diff(want, got, timeless()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if len(l.rejected) > 0 || len(l.noted) != 1 {
		t.Errorf("rejected %q, noted %q", l.rejected, l.noted)
	}
	s.wantSummary(t, "318", 317, 8.858044, map[int]int32{2: 2, 4: 2, 6: 24, 7: 15, 8: 72, 9: 49, 10: 153})
	s.wantSummary(t, "1", 215, 7.841860, map[int]int32{1: 1, 3: 1, 4: 6, 5: 8, 6: 34, 7: 18, 8: 82, 9: 18, 10: 47})
	s.wantTop(t, s.ratings, []string{"318", "858", "2959", "260", "50", "527", "296", "1196", "1221", "2571"},
		[]float64{8.7224, 8.3967, 8.3872, 8.3300, 8.3148, 8.3024, 8.2894, 8.2800, 8.2732, 8.2709})

	cfg := rating.DefaultConfig()
	cfg.ChartMinVotes = 50
	m50, err := rating.New(t.Context(), cfg, rating.Deps{DB: s.ratingDB})
	if err != nil {
		t.Fatal(err)
	}
	_, conn := serve(t, "rating", m50.Register)
	s.wantTop(t, ratingv1.NewRatingServiceClient(conn), []string{"318", "2959", "858", "260", "296", "50", "527", "2571", "1196", "356"},
		[]float64{8.6053, 8.2580, 8.2527})

	if n := s.countFilms(t); n != 9742 {
		t.Errorf("the catalogue has %d films, want 9742", n)
	}
	again, err := c.ImportMovieLens(t.Context(), dir, client.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !again.NothingChanged || again.Films.Unchanged != 9742 {
		t.Errorf("second import: %+v", again)
	}
	again, err = c.ImportMovieLens(t.Context(), saved(t, dir, floats), client.ImportOptions{})
	if err != nil || !again.NothingChanged || again.Films.Created != 0 || again.Rejected != 0 {
		t.Errorf("saved again by pandas: %+v, error %v", again, err)
	}
	unreadable := func(imdb, _ string) (string, string) { return imdb, "7.7E+04" }
	again, err = c.ImportMovieLens(t.Context(), saved(t, dir, unreadable), client.ImportOptions{})
	if err != nil || again.Films.Created != 0 || again.Noted != 9742 {
		t.Errorf("with unreadable TMDb ids: %+v, error %v", again, err)
	}
	if audited, err := c.Audit(t.Context(), func(d client.Difference) { t.Errorf("difference %+v", d) }); err != nil || audited != (client.AuditSummary{Aggregates: 9724, Ratings: 100_836}) {
		t.Errorf("audit %+v, error %v", audited, err)
	}
}

// importGenerated compares every aggregate with one computed from the file.
func importGenerated(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	dir, n, sum := generated(t, 4_000)
	got, err := c.ImportMovieLens(t.Context(), dir, client.ImportOptions{})
	if err != nil || got.After == nil || got.After.Ratings != n || got.After.Sum != sum {
		t.Fatalf("import %+v, error %v; want %d ratings with the sum %d", got, err, n, sum)
	}
	d, err := movielens.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[int64]string{}
	for film, err := range d.Catalogue(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids[film.ID] = film.ImportID()
	}
	want := map[string][]int32{}
	for r, err := range d.Ratings(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		id := ids[r.MovieID]
		if want[id] == nil {
			want[id] = make([]int32, 10)
		}
		want[id][r.Value-1]++
	}
	for id, histogram := range want {
		if diff := cmp.Diff(histogram, s.summary(t, id).GetHistogram()); diff != "" {
			t.Errorf("histogram of %s (-want +got):\n%s", id, diff)
		}
	}
	if films := s.countFilms(t); films != len(ids) {
		t.Errorf("the catalogue has %d films, want %d", films, len(ids))
	}
}

// id returns the id of the film that MovieLens knows by another one.
func (s *system) id(t testing.TB, movielensID string) string {
	t.Helper()
	resp, err := s.metadata.LookupMovie(t.Context(), &metadatav1.LookupMovieRequest{
		ExternalId: &metadatav1.LookupMovieRequest_MovielensId{MovielensId: movielensID},
	})
	if err != nil {
		t.Fatalf("look up MovieLens film %s: %v", movielensID, err)
	}
	return resp.GetMovie().GetId()
}

func (s *system) wantSummary(t testing.TB, movielensID string, votes int32, mean float64, counters map[int]int32) {
	t.Helper()
	got := s.summary(t, s.id(t, movielensID))
	histogram := make([]int32, 10)
	for value, n := range counters {
		histogram[value-1] = n
	}
	if got.GetVotes() != votes || math.Abs(got.GetMean()-mean) > 0.0000005 {
		t.Errorf("film %s: %d votes with mean %.7f, want %d with %.6f", movielensID, got.GetVotes(), got.GetMean(), votes, mean)
	}
	if diff := cmp.Diff(histogram, got.GetHistogram()); diff != "" {
		t.Errorf("film %s: histogram (-want +got):\n%s", movielensID, diff)
	}
}

// wantTop checks the ids, and as many scores as are given.
func (s *system) wantTop(t testing.TB, ratings ratingv1.RatingServiceClient, ids []string, scores []float64) {
	t.Helper()
	resp, err := ratings.ListChart(t.Context(), &ratingv1.ListChartRequest{RecordType: "movie", Chart: ratingv1.Chart_CHART_TOP, PageSize: int32(len(ids))})
	if err != nil {
		t.Fatal(err)
	}
	entries := resp.GetEntries()
	if len(entries) < len(ids) {
		t.Fatalf("the chart has %d entries, want %d", len(entries), len(ids))
	}
	for i, id := range ids {
		if got, want := entries[i].GetSummary().GetRecordId(), s.id(t, id); got != want {
			t.Errorf("m = %d, place %d: %s, want %s (%s)", resp.GetMinVotes(), i+1, got, want, id)
		}
		if i < len(scores) && math.Abs(entries[i].GetScore()-scores[i]) > 0.00005 {
			t.Errorf("m = %d, place %d: score %.5f, want %.4f", resp.GetMinVotes(), i+1, entries[i].GetScore(), scores[i])
		}
	}
}

func (s *system) countFilms(t testing.TB) (n int) {
	t.Helper()
	for token := ""; ; {
		resp, err := s.metadata.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{PageSize: 200, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		n += len(resp.GetMovies())
		if token = resp.GetNextPageToken(); token == "" {
			return n
		}
	}
}
