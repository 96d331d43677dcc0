package metadata_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// catalogue is a metadata service as its callers see it, on its own database.
type catalogue struct {
	metadatav1.MetadataServiceClient
	book  book.MetadataServiceClient
	svc   *metadata.Service
	db    *sqldb.DB
	clock *clock
}

// clock is a clock that moves only when a test advances it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newCatalogue(t testing.TB) *catalogue {
	t.Helper()
	c := openCatalogue(t, sqltest.URL(t), nil)
	c.run(t)
	return c
}

// run runs the service in the background until the test ends.
func (c *catalogue) run(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.svc.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// until waits for something that happens in the background.
func until(t testing.TB, what string, happened func() error) {
	t.Helper()
	ticker, timeout := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer ticker.Stop()
	for {
		err := happened()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// openCatalogue opens the catalogue in a database, without background work; wrap may wrap its
// driver.
func openCatalogue(t testing.TB, url string, wrap func(driver.Connector) driver.Connector) *catalogue {
	t.Helper()
	return openWith(t, url, wrap, metadata.Config{}, metadata.Deps{})
}

// openWith is openCatalogue with a configuration, and with a logger and metrics.
func openWith(t testing.TB, url string, wrap func(driver.Connector) driver.Connector, cfg metadata.Config, deps metadata.Deps) *catalogue {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url, sqldb.Options{Wrap: wrap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	c := serve(t, db, cfg, deps)
	c.load(t)
	return c
}

// load completes the load of the search index, which New may not have finished on a busy machine.
func (c *catalogue) load(t testing.TB) {
	t.Helper()
	if c.svc.SearchReady(t.Context()) == nil {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.svc.Run(ctx) }()
	until(t, "the index is loaded", func() error { return c.svc.SearchReady(ctx) })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// settle waits until the index has all earlier writes. The service must run, with quick.
func (c *catalogue) settle(t testing.TB) {
	t.Helper()
	c.clock.advance(time.Second)
	until(t, "the index is up to date", func() error {
		resp, err := c.GetCatalogueStats(t.Context(), &metadatav1.GetCatalogueStatsRequest{})
		if err == nil && !resp.GetAsOfTime().AsTime().Equal(c.clock.Now()) {
			err = fmt.Errorf("as of %v, now is %v", resp.GetAsOfTime().AsTime(), c.clock.Now())
		}
		return err
	})
}

// serve starts the service on a database.
func serve(t testing.TB, db *sqldb.DB, cfg metadata.Config, deps metadata.Deps) *catalogue {
	t.Helper()
	c := &clock{now: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)}
	deps.DB, deps.Now = db, c.Now
	svc, err := metadata.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.ServerConfig{Name: "metadata"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	svc.Register(server)
	return &catalogue{
		MetadataServiceClient: metadatav1.NewMetadataServiceClient(server.Conn()),
		book:                  book.NewMetadataServiceClient(server.Conn()),
		svc:                   svc,
		db:                    db,
		clock:                 c,
	}
}

// put writes a movie that must be accepted and returns it as stored.
func (c *catalogue) put(t testing.TB, m *metadatav1.Movie) *metadatav1.Movie {
	t.Helper()
	resp, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: m})
	if err != nil {
		t.Fatalf("put %v: %v", m.GetId(), err)
	}
	return resp.GetMovie()
}

func (c *catalogue) get(t testing.TB, id string) *metadatav1.Movie {
	t.Helper()
	resp, err := c.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: id})
	if err != nil {
		t.Fatalf("get %v: %v", id, err)
	}
	return resp.GetMovie()
}

// fill and replace write a batch that must be accepted as a whole.
func (c *catalogue) fill(t testing.TB, movies ...*metadatav1.Movie) []*metadatav1.BatchPutMoviesResponse_Result {
	t.Helper()
	return c.batch(t, metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL, movies)
}

func (c *catalogue) replace(t testing.TB, movies ...*metadatav1.Movie) []*metadatav1.BatchPutMoviesResponse_Result {
	t.Helper()
	return c.batch(t, metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE, movies)
}

func (c *catalogue) batch(t testing.TB, mode metadatav1.BatchPutMode, movies []*metadatav1.Movie) []*metadatav1.BatchPutMoviesResponse_Result {
	t.Helper()
	resp, err := c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{Movies: movies, Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.GetResults()) != len(movies) {
		t.Fatalf("batch of %d movies has %d results", len(movies), len(resp.GetResults()))
	}
	return resp.GetResults()
}

// matrix is a valid movie with every field set, of which tests change one.
func matrix() *metadatav1.Movie {
	return &metadatav1.Movie{
		Id:                "tt0133093",
		Title:             "Matrix",
		OriginalTitle:     "The Matrix",
		AlternativeTitles: []string{"La matrice"},
		Year:              proto.Int32(1999),
		Genres:            []string{"Action", "Sci-Fi"},
		Director:          "Lana Wachowski, Lilly Wachowski",
		Description:       "A hacker learns what the world is made of.\nIt is not what he thought.",
		RuntimeMinutes:    proto.Int32(136),
		ExternalIds:       &metadatav1.ExternalIds{Imdb: "tt0133093", Tmdb: "603", Movielens: "2571"},
	}
}

// film is a movie with the required fields only.
func film(id, title string) *metadatav1.Movie { return &metadatav1.Movie{Id: id, Title: title} }

// with returns m after change.
func with(m *metadatav1.Movie, change func(*metadatav1.Movie)) *metadatav1.Movie {
	change(m)
	return m
}

// wantMovie compares all fields that a caller sets.
func wantMovie(t testing.TB, got, want *metadatav1.Movie) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&metadatav1.Movie{}, "etag", "create_time", "update_time")); diff != "" {
		t.Errorf("movie (-want +got):\n%s", diff)
	}
}

// wantError checks code and message; the message must also name every field of the details.
func wantError(t testing.TB, err error, code codes.Code, parts ...string) {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code {
		t.Fatalf("got %v %q, want %v", st.Code(), st.Message(), code)
	}
	for _, part := range parts {
		if !strings.Contains(st.Message(), part) {
			t.Errorf("message %q does not contain %q", st.Message(), part)
		}
	}
	if code == codes.InvalidArgument && len(fieldsOf(err)) == 0 {
		t.Errorf("%q names no field in its details", st.Message())
	}
}

// fieldsOf are the names of the fields in an error.
func fieldsOf(err error) []string {
	var names []string
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				names = append(names, v.GetField())
			}
		}
	}
	return names
}

// wantConflict checks that a conflict names its one field in its details, and not in its text: the services in front of this
// one have another name for it.
func wantConflict(t testing.TB, err error, code codes.Code, field string, parts ...string) {
	t.Helper()
	wantError(t, err, code, append(parts, field+": ")...)
	if got := fieldsOf(err); len(got) != 1 || got[0] != field {
		t.Errorf("%v names the fields %q, want %q", err, got, field)
	}
	if n := strings.Count(status.Convert(err).Message(), field); n != 1 {
		t.Errorf("%q names %s %d times, want once", status.Convert(err).Message(), field, n)
	}
}

func wantOutcomes(t testing.TB, results []*metadatav1.BatchPutMoviesResponse_Result, want ...metadatav1.BatchPutMoviesResponse_Outcome) {
	t.Helper()
	var got []metadatav1.BatchPutMoviesResponse_Outcome
	for _, r := range results {
		got = append(got, r.GetOutcome())
		if refused := r.GetOutcome() == metadatav1.BatchPutMoviesResponse_OUTCOME_REFUSED; refused != (r.GetCode() != 0) || refused != (r.GetReason() != "") {
			t.Errorf("outcome %v has code %d and reason %q", r.GetOutcome(), r.GetCode(), r.GetReason())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

const (
	created   = metadatav1.BatchPutMoviesResponse_OUTCOME_CREATED
	updated   = metadatav1.BatchPutMoviesResponse_OUTCOME_UPDATED
	unchanged = metadatav1.BatchPutMoviesResponse_OUTCOME_UNCHANGED
	refused   = metadatav1.BatchPutMoviesResponse_OUTCOME_REFUSED
)

func ids(movies []*metadatav1.Movie) []string {
	out := []string{}
	for _, m := range movies {
		out = append(out, m.GetId())
	}
	return out
}
