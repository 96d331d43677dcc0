package client_test

import (
	"context"
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	_ "modernc.org/sqlite" // to tamper with a database behind the service's back

	"movieexample.com/client"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/metadata"
	"movieexample.com/rating"
)

// system is what a client needs of a running system: two services on the network, and a broker.
type system struct {
	addresses client.Addresses
	broker    *kafka.Broker
	ratingDB  *sqldb.DB
	ratingSQL string // its file
	metadata  metadatav1.MetadataServiceClient
	ratings   ratingv1.RatingServiceClient
	admin     ratingv1.RatingAdminServiceClient
}

// startSystem runs a system until the test ends.
func startSystem(t testing.TB) *system {
	t.Helper()
	broker := startBroker(t)
	s := &system{broker: broker, ratingSQL: filepath.Join(t.TempDir(), "rating.db")}
	films, err := metadata.New(t.Context(), metadata.DefaultConfig(), metadata.Deps{DB: openDB(t, filepath.Join(t.TempDir(), "metadata.db"))})
	if err != nil {
		t.Fatal(err)
	}
	s.ratingDB = openDB(t, s.ratingSQL)
	cfg := rating.DefaultConfig()
	cfg.Brokers = []string{broker.Addr()}
	cfg.ChartMaxAge = 10 * time.Millisecond // totals are waited for
	ratings, err := rating.New(t.Context(), cfg, rating.Deps{DB: s.ratingDB})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := ratings.Run(ctx); err != nil {
			t.Errorf("ingestion: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	filmsAddr, filmsConn := serve(t, "metadata", films.Register)
	ratingsAddr, ratingsConn := serve(t, "rating", ratings.Register)
	s.addresses = client.Addresses{Metadata: filmsAddr, Rating: ratingsAddr, Brokers: []string{broker.Addr()}}
	s.metadata = metadatav1.NewMetadataServiceClient(filmsConn)
	s.ratings = ratingv1.NewRatingServiceClient(ratingsConn)
	s.admin = ratingv1.NewRatingAdminServiceClient(ratingsConn)
	makeTopic(t, broker.Addr())
	return s
}

func startBroker(t testing.TB) *kafka.Broker {
	t.Helper()
	broker, err := kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Errorf("close broker: %v", err)
		}
	})
	return broker
}

func openDB(t testing.TB, path string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+path, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return db
}

// serve puts a service on a free port.
func serve(t testing.TB, name string, register func(grpc.ServiceRegistrar)) (addr string, conn grpc.ClientConnInterface) {
	t.Helper()
	srv, err := rpc.NewServer(rpc.ServerConfig{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	register(srv)
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(ln); err != nil {
			t.Errorf("serve %s: %v", name, err)
		}
	})
	srv.SetServing(true)
	t.Cleanup(func() {
		if err := srv.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("shut %s down: %v", name, err)
		}
		serving.Wait()
	})
	return ln.Addr().String(), srv.Conn()
}

// serveUntilStopped puts a service on a free port that it leaves at once when it is stopped.
func serveUntilStopped(t testing.TB, register func(grpc.ServiceRegistrar)) (addr string, stop func()) {
	t.Helper()
	srv, err := rpc.NewServer(rpc.ServerConfig{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	register(srv)
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(ln); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	srv.SetServing(true)
	stop = sync.OnceFunc(func() {
		now, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel()
		_ = srv.Shutdown(now) // it complains that it was given no time
		serving.Wait()
	})
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

// connect returns a client that is closed at the test's end.
func connect(t testing.TB, a client.Addresses) *client.Client {
	t.Helper()
	c, err := client.Connect(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close client: %v", err)
		}
	})
	return c
}

// tamper changes the rating database behind the service's back.
func (s *system) tamper(t testing.TB, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", s.ratingSQL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	result, err := db.ExecContext(t.Context(), statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, error %v", statement, n, err)
	}
}

func (s *system) summary(t testing.TB, id string) *ratingv1.RatingSummary {
	t.Helper()
	resp, err := s.ratings.GetRatingSummary(t.Context(), &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: id})
	if err != nil {
		t.Fatalf("summary of %s: %v", id, err)
	}
	return resp.GetSummary()
}

// writeFiles makes a directory of files.
func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
