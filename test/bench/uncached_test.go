package bench_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/metadata"
	"movieexample.com/movie"
	"movieexample.com/rating"
)

// uncachedFilms is how many films are requested in turn from a movie service that caches almost none of them.
const uncachedFilms = 2000

// BenchmarkUncachedDetails reads movie details of films that are in no cache, with the services in one process and with a connection
// to each. The numbers for batches in ADR 016 come from it: calls is the number of calls per film, which is 2 without batches.
func BenchmarkUncachedDetails(b *testing.B) {
	servers, conns := map[string]*rpc.Server{}, map[string]grpc.ClientConnInterface{}
	serve := func(name string, svc registrar, err error) {
		if err != nil {
			b.Fatal(err)
		}
		srv, err := rpc.NewServer(rpc.ServerConfig{Name: name})
		if err != nil {
			b.Fatal(err)
		}
		svc.Register(srv)
		ln, served := listen(b), make(chan error, 1)
		go func() { served <- srv.Serve(ln) }()
		b.Cleanup(func() {
			if err := srv.Shutdown(context.Background()); err != nil {
				b.Error(err)
			}
			<-served
		})
		servers[name], conns[name] = srv, dial(b, ln.Addr().String())
	}
	open := func(name string) *sqldb.DB {
		db, err := sqldb.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), name+".db"), sqldb.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		return db
	}
	catalogue, err := metadata.New(b.Context(), metadata.Config{}, metadata.Deps{DB: open("metadata")})
	serve("metadata", catalogue, err)
	opinions, err := rating.New(b.Context(), rating.Config{}, rating.Deps{DB: open("rating")})
	serve("rating", opinions, err)
	fillUncached(b, servers["metadata"].Conn(), servers["rating"].Conn())

	for _, callers := range []int{1, 8, 32} {
		for name, connTo := range map[string]func(string) grpc.ClientConnInterface{
			"one-process": func(service string) grpc.ClientConnInterface { return servers[service].Conn() },
			"connections": func(service string) grpc.ClientConnInterface { return conns[service] },
		} {
			b.Run(fmt.Sprintf("%s/%d-callers", name, callers), func(b *testing.B) {
				films, ratings := &countingConn{ClientConnInterface: connTo("metadata")}, &countingConn{ClientConnInterface: connTo("rating")}
				composer, err := movie.New(b.Context(), movie.Config{CacheSize: 10, StaleSize: 10}, movie.Deps{Metadata: films, Rating: ratings})
				if err != nil {
					b.Fatal(err)
				}
				defer composer.Close()
				srv, err := rpc.NewServer(rpc.ServerConfig{Name: "movie"})
				if err != nil {
					b.Fatal(err)
				}
				composer.Register(srv)
				defer func() { _ = srv.Shutdown(context.Background()) }()
				client := moviev1.NewMovieServiceClient(srv.Conn())
				var asked, next atomic.Int64
				asked.Store(int64(b.N))
				var work sync.WaitGroup
				b.ResetTimer()
				for range callers {
					work.Go(func() {
						for asked.Add(-1) >= 0 {
							id := uncachedID(next.Add(1) % uncachedFilms)
							r, err := client.GetMovie(b.Context(), &moviev1.GetMovieRequest{Id: id})
							if err != nil || r.GetMovie().GetRatingStatus() != "fresh" {
								b.Errorf("film %s: %v, %v", id, r, err)
								return
							}
						}
					})
				}
				work.Wait()
				b.ReportMetric(float64(films.calls.Load()+ratings.calls.Load())/float64(b.N), "calls/op")
			})
		}
	}
}

type countingConn struct {
	grpc.ClientConnInterface
	calls atomic.Int64
}

// Invoke implements grpc.ClientConnInterface.
func (c *countingConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	c.calls.Add(1)
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// fillUncached writes the films, with a rating each.
func fillUncached(b *testing.B, films, ratings grpc.ClientConnInterface) {
	b.Helper()
	var work sync.WaitGroup
	var next atomic.Int64
	for range 32 {
		work.Go(func() {
			for n := next.Add(1) - 1; n < uncachedFilms; n = next.Add(1) - 1 {
				id := uncachedID(n)
				_, err := metadatav1.NewMetadataServiceClient(films).PutMovie(b.Context(), &metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{
					Id: id, Title: "Film " + strconv.FormatInt(n, 10), Genres: []string{"Drama"}, Description: "A film like many others.",
				}})
				if err == nil {
					_, err = ratingv1.NewRatingServiceClient(ratings).PutRating(b.Context(), &ratingv1.PutRatingRequest{
						RecordType: "movie", RecordId: id, UserId: "u", Value: proto.Int32(7),
					})
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}

func uncachedID(n int64) string { return "tt" + strconv.FormatInt(95_000_000+n, 10) }
