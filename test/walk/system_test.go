package walk_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/metadata"
	"movieexample.com/movie"
	"movieexample.com/rating"
)

// services are the three services on empty data, joined in process.
type services struct {
	metadata metadatav1.MetadataServiceClient
	rating   ratingv1.RatingServiceClient
	movie    moviev1.MovieServiceClient
	handlers captured // the movie service's, without a transport

	// another is a second metadata process on the same database: the movie service is not told of writes through it.
	another metadatav1.MetadataServiceClient

	mu  sync.Mutex
	now time.Time // the movie service's clock
}

// captured keeps what Register registers.
type captured map[string]any

func (c captured) RegisterService(desc *grpc.ServiceDesc, impl any) { c[desc.ServiceName] = impl }

type registrar interface {
	Register(grpc.ServiceRegistrar)
}

func (s *services) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// advance moves the clock of the movie service's caches.
func (s *services) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// newServices starts the services. With realTime the movie service's caches live by the real clock, else by one that only
// advance moves.
func newServices(t testing.TB, realTime bool) *services {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *sqldb.DB {
		db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(dir, name+".db"), sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db
	}
	serve := func(name string, svc registrar, err error) grpc.ClientConnInterface {
		if err != nil {
			t.Fatal(err)
		}
		srv, err := rpc.NewServer(rpc.ServerConfig{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		svc.Register(srv)
		t.Cleanup(func() {
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return srv.Conn()
	}
	s := &services{now: time.Now(), handlers: captured{}}
	catalogue, err := metadata.New(t.Context(), metadata.Config{}, metadata.Deps{DB: open("metadata")})
	films := serve("metadata", catalogue, err)
	second, err := metadata.New(t.Context(), metadata.Config{}, metadata.Deps{DB: open("metadata")})
	s.another = metadatav1.NewMetadataServiceClient(serve("metadata", second, err))
	opinions, err := rating.New(t.Context(), rating.Config{ChartMinVotes: 1}, rating.Deps{DB: open("rating")})
	ratings := serve("rating", opinions, err)
	deps := movie.Deps{Metadata: films, Rating: ratings}
	if !realTime {
		deps.Now = s.clock
	}
	composer, err := movie.New(t.Context(), movie.Config{}, deps)
	composed := serve("movie", composer, err)
	composer.Register(s.handlers)
	t.Cleanup(func() {
		if err := composer.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	var jobs sync.WaitGroup
	for _, run := range []func(context.Context) error{catalogue.Run, composer.Run} {
		jobs.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); jobs.Wait() })
	s.metadata, s.rating, s.movie = metadatav1.NewMetadataServiceClient(films), ratingv1.NewRatingServiceClient(ratings), moviev1.NewMovieServiceClient(composed)
	return s
}

// put writes films that must be accepted.
func (s *services) put(t testing.TB, films []*metadatav1.Movie) {
	t.Helper()
	for len(films) > 0 {
		n := min(200, len(films))
		r, err := s.metadata.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{
			Movies: films[:n], Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, result := range r.GetResults() {
			if result.GetCode() != 0 {
				t.Fatalf("put %v: %s", films[i], result.GetReason())
			}
		}
		films = films[n:]
	}
}

// rate gives a film so many ratings.
func (s *services) rate(t testing.TB, id string, votes, value int32) {
	t.Helper()
	for i := range votes {
		_, err := s.rating.PutRating(t.Context(), &ratingv1.PutRatingRequest{
			RecordType: "movie", RecordId: id, UserId: string(rune('a'+i%26)) + string(rune('a'+i/26)), Value: &value,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// until waits for a condition that something in the background brings about.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within 30 seconds", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func isNotFound(err error) bool { return status.Code(err) == codes.NotFound }
