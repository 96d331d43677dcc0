package metadata_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

func TestNewSaysWhatIsMissing(t *testing.T) {
	if _, err := metadata.New(t.Context(), metadata.Config{}, metadata.Deps{}); err == nil || !strings.Contains(err.Error(), "Deps.DB is nil") {
		t.Errorf("got %v", err)
	}
}

func TestCatalogueSurvivesARestart(t *testing.T) {
	url := sqltest.URL(t)
	var stored *metadatav1.Movie
	t.Run("before", func(t *testing.T) {
		stored = openCatalogue(t, url, nil).put(t, matrix())
	})
	t.Run("after", func(t *testing.T) {
		c := openCatalogue(t, url, nil)
		if got := c.get(t, "tt0133093"); !proto.Equal(got, stored) {
			t.Errorf("got %v, want %v", got, stored)
		}
		checkTables(t, c.db)
	})
}

func TestMetricsCountMoviesByOutcome(t *testing.T) {
	registry := prometheus.NewRegistry()
	db, err := sqldb.Open(t.Context(), sqltest.URL(t), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	svc, err := metadata.New(t.Context(), metadata.Config{}, metadata.Deps{DB: db, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Check(t.Context()); err != nil {
		t.Error(err)
	}
	m := metadata.Movie{ID: "x", Title: "X"}
	for range 3 {
		if _, _, err := svc.Put(t.Context(), m, ""); err != nil {
			t.Fatal(err)
		}
	}
	m.Title = "Y"
	if _, outcome, err := svc.Put(t.Context(), m, ""); err != nil || outcome != metadata.Updated {
		t.Errorf("got %v, %v", outcome, err)
	}
	if _, outcome, err := svc.Put(t.Context(), metadata.Movie{}, ""); err == nil || outcome != metadata.Refused {
		t.Errorf("got %v, %v", outcome, err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "movieexample_metadata_movies_written_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{"created": 1, "unchanged": 2, "updated": 1, "refused": 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A canceled call fails as such, and stores nothing.
func TestCanceledCalls(t *testing.T) {
	c := newCatalogue(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.PutMovie(ctx, &metadatav1.PutMovieRequest{Movie: matrix()})
	wantError(t, err, codes.Canceled)
	_, err = c.ListMovies(ctx, &metadatav1.ListMoviesRequest{})
	wantError(t, err, codes.Canceled)
	if left := snapshot(t, c); len(left) != 0 {
		t.Errorf("stored: %v", left)
	}
}

// A closed database is an internal error, and its text does not reach the caller.
func TestInternalErrorsStayInside(t *testing.T) {
	c := newCatalogue(t)
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"get": func() error {
			_, err := c.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: "x"})
			return err
		},
		"put": func() error {
			_, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: matrix()})
			return err
		},
		"list": func() error {
			_, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{})
			return err
		},
	} {
		err := call()
		wantError(t, err, codes.Internal)
		if strings.Contains(err.Error(), "sql") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Both APIs are registered under the names that their clients call.
func TestRegisteredMethods(t *testing.T) {
	server, err := rpc.NewServer(rpc.ServerConfig{Name: "metadata"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Shutdown(context.WithoutCancel(t.Context())) }()
	got := map[string]bool{}
	new(metadata.Service).Register(registrar{server, got})
	if diff := cmp.Diff(map[string]bool{"movieexample.metadata.v1.MetadataService": true, "MetadataService": true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

type registrar struct {
	next  grpc.ServiceRegistrar
	names map[string]bool
}

func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	r.names[desc.ServiceName] = true
	r.next.RegisterService(desc, impl)
}
