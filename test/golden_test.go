package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"movieexample.com/gen/book"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/test/system"
)

// movieLensDir is where the real data set is. CI sets it and fails without it; elsewhere it may be missing, because its
// licence keeps it out of the repository.
func movieLensDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("MOVIELENS_DIR")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("MOVIELENS_DIR is not set, and this is CI")
		}
		t.Skip("MOVIELENS_DIR is not set: put GroupLens' ml-latest-small there to check the golden values")
	}
	return dir
}

// golden is what one film must come out as.
type golden struct {
	movieLens string
	votes     int
	mean      float64
	histogram map[int]int
}

func goldenFilms() []golden {
	return []golden{
		{"318", 317, 8.858044, map[int]int{2: 2, 4: 2, 6: 24, 7: 15, 8: 72, 9: 49, 10: 153}},
		{"1", 215, 7.841860, map[int]int{1: 1, 3: 1, 4: 6, 5: 8, 6: 34, 7: 18, 8: 82, 9: 18, 10: 47}},
	}
}

// place in a chart: MovieLens id and, where given, the weighted score.
type ranked struct {
	movieLens string
	score     float64
}

// TestMovieLensGolden imports the real data set through the binary, by address, and compares with known values over REST,
// the own gRPC API and the book API.
func TestMovieLensGolden(t *testing.T) {
	dir := movieLensDir(t)
	bin, data := system.Build(t), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	p := system.Start(t, bin, data)

	imported := importMovieLens(ctx, t, p, dir)
	t.Logf("import took %.1f s", imported.Seconds.Total)
	if imported.Films.Created != 9742 || imported.Ratings.Published != 100_836 || imported.Rejected != 0 || imported.NothingChanged {
		t.Errorf("first import: %+v", imported)
	}
	checkTotals(ctx, t, p)
	checkGolden(ctx, t, p)
	checkCatalogueSize(ctx, t, p)
	checkTop(ctx, t, p, []ranked{
		{"318", 8.7224},
		{"858", 8.3967},
		{"2959", 8.3872},
		{"260", 8.3300},
		{"50", 8.3148},
		{"527", 8.3024},
		{"296", 8.2894},
		{"1196", 8.2800},
		{"1221", 8.2732},
		{"2571", 8.2709},
	})

	again := importMovieLens(ctx, t, p, dir)
	if !again.NothingChanged || again.Films.Created != 0 || again.Films.Updated != 0 || again.Films.Unchanged != 9742 {
		t.Errorf("second import: %+v", again)
	}
	checkTotals(ctx, t, p)
	checkGolden(ctx, t, p)
	if r := system.Run(ctx, t, bin, "audit", "--addresses", p.File); r.Code != 0 {
		t.Errorf("audit: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	} else {
		t.Logf("audit: %s", r.Stdout)
	}
	if _, err := p.Terminate(10 * time.Second); err != nil {
		t.Error(err)
	}

	p = system.Start(t, bin, data, "--rating-chart-min-votes", "50")
	checkTop(ctx, t, p, []ranked{
		{"318", 8.6053}, {"2959", 8.2580}, {"858", 8.2527}, {"260", 0}, {"296", 0}, {"50", 0}, {"527", 0}, {"2571", 0}, {"1196", 0}, {"356", 0},
	})
}

type importSummary struct {
	Films struct {
		Read, Created, Updated, Unchanged, Refused int64
	}
	Ratings struct {
		Read, Published int64
	}
	Rejected       int64
	NothingChanged bool
	Seconds        struct{ Total float64 }
}

func importMovieLens(ctx context.Context, t *testing.T, p *system.Process, dir string) (s importSummary) {
	t.Helper()
	r := system.Run(ctx, t, p.Binary(), "import", "movielens", dir, "--addresses", p.File, "-o", "json")
	if r.Code != 0 {
		t.Fatalf("import: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		t.Fatalf("the import's summary: %v\n%s", err, r.Stdout)
	}
	return s
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func near(a, b, within float64) bool { return math.Abs(a-b) <= within }

func checkTotals(ctx context.Context, t *testing.T, p *system.Process) {
	t.Helper()
	got, err := ratingv1.NewRatingServiceClient(dial(t, p.Rating)).GetTotals(ctx, &ratingv1.GetTotalsRequest{RecordType: "movie"})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetRatings() != 100_836 || got.GetRecords() != 9_724 || got.GetSum() != 706_166 || !near(got.GetGlobalMean(), 7.0031140, 5e-8) {
		t.Errorf("totals: %v", got)
	}
}

// restMovie is a film as the REST API shows it.
type restMovie struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	ExternalIDs struct {
		IMDb      string `json:"imdb"`
		MovieLens string `json:"movielens"`
	} `json:"externalIds"`
	RatingSummary struct {
		Mean      float64 `json:"mean"`
		Votes     int     `json:"votes"`
		Weighted  float64 `json:"weighted"`
		Histogram []int   `json:"histogram"`
	} `json:"ratingSummary"`
	RatingStatus string `json:"ratingStatus"`
}

func restGet(ctx context.Context, t *testing.T, address string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s\n%s", address, resp.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v\n%s", address, err, body)
	}
}

func checkGolden(ctx context.Context, t *testing.T, p *system.Process) {
	t.Helper()
	movies := moviev1.NewMovieServiceClient(dial(t, p.Movie))
	bookMovies := book.NewMovieServiceClient(dial(t, p.Movie))
	bookRatings := book.NewRatingServiceClient(dial(t, p.Rating))
	for _, want := range goldenFilms() {
		var m restMovie
		restGet(ctx, t, p.Gateway+"/v1/movies:lookup?movielens_id="+want.movieLens, &m)
		s := m.RatingSummary
		if s.Votes != want.votes || !near(s.Mean, want.mean, 5e-7) || m.RatingStatus != "fresh" || len(s.Histogram) != 10 {
			t.Errorf("REST, MovieLens %s: %+v", want.movieLens, m)
			continue
		}
		for value := 1; value <= 10; value++ {
			if s.Histogram[value-1] != want.histogram[value] {
				t.Errorf("REST, MovieLens %s: %d ratings of %d, want %d", want.movieLens, s.Histogram[value-1], value, want.histogram[value])
			}
		}
		var direct restMovie
		restGet(ctx, t, p.Gateway+"/v1/movies/"+m.ID, &direct)
		if direct.Title != m.Title || direct.RatingSummary.Votes != want.votes {
			t.Errorf("REST, by id %s: %+v", m.ID, direct)
		}
		got, err := movies.GetMovie(ctx, &moviev1.GetMovieRequest{Id: m.ID})
		if err != nil {
			t.Fatal(err)
		}
		if sum := got.GetMovie().GetRatingSummary(); int(sum.GetVotes()) != want.votes || !near(sum.GetMean(), want.mean, 5e-7) {
			t.Errorf("gRPC, %s: %v", m.ID, sum)
		}
		aggregated, err := bookRatings.GetAggregatedRating(ctx, &book.GetAggregatedRatingRequest{RecordId: m.ID, RecordType: "movie"})
		if err != nil {
			t.Fatal(err)
		}
		details, err := bookMovies.GetMovieDetails(ctx, &book.GetMovieDetailsRequest{MovieId: m.ID})
		if err != nil {
			t.Fatal(err)
		}
		if !near(aggregated.GetRatingValue(), want.mean, 5e-7) || !near(details.GetMovieDetails().GetRating(), want.mean, 5e-7) ||
			details.GetMovieDetails().GetMetadata().GetTitle() != m.Title {
			t.Errorf("book API, %s: %v, %v", m.ID, aggregated, details)
		}
	}
}

// checkCatalogueSize walks the whole list over REST.
func checkCatalogueSize(ctx context.Context, t *testing.T, p *system.Process) {
	t.Helper()
	seen := map[string]bool{}
	for token := ""; ; {
		var page struct {
			Movies        []restMovie `json:"movies"`
			NextPageToken string      `json:"nextPageToken"`
		}
		restGet(ctx, t, p.Gateway+"/v1/movies?page_size=200&page_token="+url.QueryEscape(token), &page)
		for _, m := range page.Movies {
			if seen[m.ID] {
				t.Errorf("%s is listed twice", m.ID)
			}
			seen[m.ID] = true
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if len(seen) != 9742 {
		t.Errorf("%d films are listed, want 9742", len(seen))
	}
}

func checkTop(ctx context.Context, t *testing.T, p *system.Process, want []ranked) {
	t.Helper()
	var chart struct {
		Entries []struct {
			Score float64   `json:"score"`
			Movie restMovie `json:"movie"`
		} `json:"entries"`
	}
	restGet(ctx, t, p.Gateway+"/v1/charts/top?page_size="+fmt.Sprint(len(want)), &chart)
	if len(chart.Entries) != len(want) {
		t.Fatalf("the chart has %d entries, want %d", len(chart.Entries), len(want))
	}
	overGRPC, err := moviev1.NewMovieServiceClient(dial(t, p.Movie)).ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", PageSize: int32(len(want))})
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		e := chart.Entries[i]
		if e.Movie.ExternalIDs.MovieLens != w.movieLens || w.score != 0 && !near(e.Score, w.score, 5e-5) || e.Score != e.Movie.RatingSummary.Weighted {
			t.Errorf("place %d: MovieLens %s with %.4f (weighted %.4f), want %s with %.4f",
				i+1, e.Movie.ExternalIDs.MovieLens, e.Score, e.Movie.RatingSummary.Weighted, w.movieLens, w.score)
		}
		if g := overGRPC.GetEntries()[i]; g.GetMovie().GetId() != e.Movie.ID || g.GetScore() != e.Score || g.GetRank() != int32(i+1) {
			t.Errorf("place %d over gRPC: %v", i+1, g)
		}
	}
}
