package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"movieexample.com/app"
	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestBookWritesAreSeen: who writes to the rating service's or the metadata service's port, by either API, reads at once at the movie
// service's port what was written, although that one keeps what it read. It is the sequence of the teaching system's integration program.
func TestBookWritesAreSeen(t *testing.T) {
	p := run(t, testConfig(t.TempDir()))
	metadataConn, ratingConn, movieConn := dial(t, p.Metadata), dial(t, p.Rating), dial(t, p.Movie)
	metadata, ratings, movies := book.NewMetadataServiceClient(metadataConn), book.NewRatingServiceClient(ratingConn), book.NewMovieServiceClient(movieConn)
	ownMetadata, ownRatings, ownMovies := metadatav1.NewMetadataServiceClient(metadataConn), ratingv1.NewRatingServiceClient(ratingConn), moviev1.NewMovieServiceClient(movieConn)
	ctx := t.Context()
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	stale := 0
	for i := range 1000 {
		title, value := fmt.Sprint("Film ", i), int32(1+i%10)
		if i%2 == 0 {
			_, err := metadata.PutMetadata(ctx, &book.PutMetadataRequest{Metadata: &book.Metadata{Id: "tt1", Title: title}})
			check("put metadata", err)
			_, err = ratings.PutRating(ctx, &book.PutRatingRequest{UserId: "u", RecordId: "tt1", RecordType: "movie", RatingValue: value})
			check("put rating", err)
		} else {
			_, err := ownMetadata.BatchPutMovies(ctx, &metadatav1.BatchPutMoviesRequest{
				Movies: []*metadatav1.Movie{{Id: "tt1", Title: title}}, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE,
			})
			check("put movies", err)
			_, err = ownRatings.PutRating(ctx, &ratingv1.PutRatingRequest{UserId: "u", RecordId: "tt1", RecordType: "movie", Value: &value})
			check("put rating", err)
		}
		got, err := movies.GetMovieDetails(ctx, &book.GetMovieDetailsRequest{MovieId: "tt1"})
		check("get details", err)
		own, err := ownMovies.GetMovie(ctx, &moviev1.GetMovieRequest{Id: "tt1"})
		check("get movie", err)
		if d := got.GetMovieDetails(); d.GetRating() != float64(value) || d.GetMetadata().GetTitle() != title ||
			own.GetMovie().GetRatingSummary().GetMean() != float64(value) || own.GetMovie().GetTitle() != title {
			stale++
		}
	}
	if stale > 0 {
		t.Errorf("%d of 1000 reads did not show the write before them", stale)
	}
	_, err := ownRatings.DeleteRating(ctx, &ratingv1.DeleteRatingRequest{UserId: "u", RecordId: "tt1", RecordType: "movie"})
	check("delete rating", err)
	got, err := movies.GetMovieDetails(ctx, &book.GetMovieDetailsRequest{MovieId: "tt1"})
	check("get details", err)
	if r := got.GetMovieDetails().GetRating(); r != 0 {
		t.Errorf("the deleted rating shows as %v", r)
	}
	_, err = ownMetadata.DeleteMovie(ctx, &metadatav1.DeleteMovieRequest{Id: "tt1"})
	check("delete movie", err)
	if _, err := movies.GetMovieDetails(ctx, &book.GetMovieDetailsRequest{MovieId: "tt1"}); status.Code(err) != codes.NotFound {
		t.Errorf("the deleted film: %v, want NOT_FOUND", err)
	}
}

// TestWalkingChartsWhileOthersAreRated: who walks a chart page by page, unfiltered or of one genre, while other films are rated, sees
// each film whose own ratings stay the same exactly once; in one process, and where two movie services answer in turn.
func TestWalkingChartsWhileOthersAreRated(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Rating.ChartMinVotes, cfg.Rating.ChartMaxAge = 2, 20*time.Millisecond
	cfg.Movie.RatingTTL = 50 * time.Millisecond
	all := run(t, cfg)
	movieCfg := testConfig("")
	movieCfg.Movie.RatingTTL = 50 * time.Millisecond
	movieCfg.Connect = app.Connect{Metadata: all.Metadata, Rating: all.Rating}
	other := run(t, movieCfg, "movie")
	services := []moviev1.MovieServiceClient{moviev1.NewMovieServiceClient(dial(t, all.Movie)), moviev1.NewMovieServiceClient(dial(t, other.Movie))}
	metadata, ratings := metadatav1.NewMetadataServiceClient(dial(t, all.Metadata)), ratingv1.NewRatingServiceClient(dial(t, all.Rating))
	rate := func(ctx context.Context, film, user string, value int32) error {
		_, err := ratings.PutRating(ctx, &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: film, UserId: user, Value: &value})
		return err
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	const quiet, busy = 60, 5
	var movies []*metadatav1.Movie
	for i := range quiet + busy {
		id := fmt.Sprint("quiet", i)
		if i >= quiet {
			id = fmt.Sprint("busy", i-quiet)
		}
		movies = append(movies, &metadatav1.Movie{Id: id, Title: "Film " + id, Genres: []string{[]string{"Drama", "War"}[i%2]}})
	}
	if _, err := metadata.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{Movies: movies, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE}); err != nil {
		t.Fatal(err)
	}
	for i := range quiet {
		for u := range 2 + rnd.IntN(6) {
			if err := rate(t.Context(), fmt.Sprint("quiet", i), fmt.Sprint("u", u), int32(1+rnd.IntN(10))); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Others rate all the time: the mean of all goes up and down.
	ctx, stop := context.WithCancel(t.Context())
	var rated atomic.Int64
	var raters sync.WaitGroup
	defer raters.Wait()
	defer stop()
	raters.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := rate(ctx, fmt.Sprint("busy", i%busy), fmt.Sprint("u", i%200), int32(1+9*(i/200%2))); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			rated.Add(1)
		}
	})
	await(t, "ratings of others", func() bool { return rated.Load() > 200 })
	for _, chart := range []string{"top", "popular", "trending"} {
		for _, genre := range []string{"", "Drama"} {
			for processes := 1; processes <= 2; processes++ {
				t.Run(fmt.Sprintf("%s/%s/%d", chart, genre, processes), func(t *testing.T) {
					seen, charts := map[string]int{}, map[string]bool{}
					req := &moviev1.ListChartRequest{Chart: chart, Genre: genre, PageSize: 5}
					for n := 0; ; n++ {
						resp, err := services[n%processes].ListChart(t.Context(), req)
						if err != nil {
							t.Fatal(err)
						}
						charts[resp.GetAsOfTime().String()] = true
						for _, e := range resp.GetEntries() {
							seen[e.GetMovie().GetId()]++
						}
						if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
							break
						}
						first := proto.CloneOf(req)
						first.PageToken = ""
						await(t, "another chart", func() bool {
							r, err := services[(n+1)%processes].ListChart(t.Context(), first)
							return err == nil && r.GetAsOfTime().AsTime().After(resp.GetAsOfTime().AsTime())
						})
					}
					if len(charts) < 5 {
						t.Fatalf("the walk saw %d charts: this tests nothing", len(charts))
					}
					for i, m := range movies[:quiet] {
						want := 1
						if genre != "" && i%2 == 1 {
							want = 0
						}
						if seen[m.GetId()] != want {
							t.Errorf("%s was shown %d times, want %d", m.GetId(), seen[m.GetId()], want)
						}
					}
				})
			}
		}
	}
}

// TestManyGenres: however many genres films have, statistics and searches are answered, with those that most films have and a count
// of the others.
func TestManyGenres(t *testing.T) {
	p := run(t, testConfig(t.TempDir()))
	metadata, movies := metadatav1.NewMetadataServiceClient(dial(t, p.Metadata)), moviev1.NewMovieServiceClient(dial(t, p.Movie))
	const films = 1000
	long := strings.Repeat("x", 30)
	for from := 0; from < films; from += 200 {
		var batch []*metadatav1.Movie
		for i := from; i < from+200; i++ {
			m := &metadatav1.Movie{Id: fmt.Sprint("m", i), Title: fmt.Sprint("Film ", i), Genres: []string{"Drama"}}
			for g := range 19 {
				m.Genres = append(m.Genres, fmt.Sprint(long, i, "-", g))
			}
			batch = append(batch, m)
		}
		if _, err := metadata.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{Movies: batch, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE}); err != nil {
			t.Fatal(err)
		}
	}
	const others = 1 + films*19 - 100
	var last string
	await(t, "statistics of all films", func() bool {
		s, err := movies.GetStats(t.Context(), &moviev1.GetStatsRequest{})
		last = fmt.Sprint(err)
		return err == nil && s.GetMovies() == films && len(s.GetGenres()) == 100 && s.GetOtherGenres() == others &&
			s.GetGenres()[0].GetGenre() == "Drama" && s.GetGenres()[0].GetCount() == films
	})
	r, err := movies.SearchMovies(t.Context(), &moviev1.SearchMoviesRequest{Q: "film"})
	if err != nil {
		t.Fatalf("search: %v (statistics: %s)", err, last)
	}
	if r.GetTotal() != films || len(r.GetGenres()) != 100 || r.GetOtherGenres() != others || r.GetGenres()[0].GetCount() != films {
		t.Errorf("search: %d films, %d genres and %d others; want %d, 100 and %d", r.GetTotal(), len(r.GetGenres()), r.GetOtherGenres(), films, others)
	}
	if got := mustAsk(t, "GET", p.Gateway+"/v1/stats", ""); !strings.Contains(got, fmt.Sprintf(`"otherGenres":%d`, others)) {
		t.Errorf("/v1/stats does not say how many genres it leaves out: %.300s", got)
	}
}
