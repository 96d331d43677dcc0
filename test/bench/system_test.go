package bench_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/metadata"
	"movieexample.com/movie"
	"movieexample.com/rating"
)

// film is the one requested, with the text of a usual length.
const film = "tt0111161"

// movieProcess is metadata, rating and movie wired as one process wires them: movie calls the others in process.
type movieProcess struct {
	server *rpc.Server // of the movie service
}

// registrar is what every service has.
type registrar interface {
	Register(grpc.ServiceRegistrar)
}

// newMovieProcess starts the services on empty data and puts one rated film in.
func newMovieProcess(t testing.TB, cfg movie.Config) *movieProcess {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	open := func(name string) *sqldb.DB {
		db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, name+".db"), sqldb.Options{})
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
	serve := func(name string, svc registrar, err error) *rpc.Server {
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
		return srv
	}
	catalogue, err := metadata.New(ctx, metadata.Config{}, metadata.Deps{DB: open("metadata")})
	films := serve("metadata", catalogue, err)
	opinions, err := rating.New(ctx, rating.Config{}, rating.Deps{DB: open("rating")})
	ratings := serve("rating", opinions, err)
	composer, err := movie.New(ctx, cfg, movie.Deps{Metadata: films.Conn(), Rating: ratings.Conn()})
	p := &movieProcess{server: serve("movie", composer, err)}
	t.Cleanup(func() {
		if err := composer.Close(); err != nil {
			t.Error(err)
		}
	})
	putFilm(t, films.Conn(), ratings.Conn())
	return p
}

// putFilm writes the film and some ratings.
func putFilm(t testing.TB, films, ratings grpc.ClientConnInterface) {
	t.Helper()
	year, minutes := int32(1994), int32(142)
	_, err := metadatav1.NewMetadataServiceClient(films).PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{
		Id: film, Title: "The Shawshank Redemption", Year: &year, RuntimeMinutes: &minutes, Genres: []string{"Crime", "Drama"},
		Director:    "Frank Darabont",
		Description: "A banker sentenced to life keeps a small hammer, a long plan and a friend who can get things.",
		ExternalIds: &metadatav1.ExternalIds{Imdb: film, Tmdb: "278", Movielens: "318"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	client := ratingv1.NewRatingServiceClient(ratings)
	for i, user := range []string{"a", "b", "c", "d", "e"} {
		if _, err := client.PutRating(t.Context(), &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: film, UserId: user, Value: proto.Int32(int32(6 + i))}); err != nil {
			t.Fatal(err)
		}
	}
}

// dial is the client of both sides of a comparison: grpc-go as it comes.
func dial(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}
