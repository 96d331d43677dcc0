package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"movieexample.com/app"
)

// TestWaitsForDatabase: a database server that is not there is waited for, in words; the admin listener says in the meantime that the
// process lives and is not ready, and the wait ends with the context.
func TestWaitsForDatabase(t *testing.T) {
	addr := freeAddress(t)
	admin := freeAddress(t)
	cfg := testConfig(t.TempDir())
	cfg.Listen.Admin = admin
	cfg.Database, cfg.Rating.Brokers = "mysql://rating:secret@"+addr+"/rating", []string{"127.0.0.1:1"}
	log := &syncBuffer{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	built := make(chan error, 1)
	go func() {
		_, err := app.New(ctx, cfg, app.Options{Services: []string{"rating"}, Logger: slog.New(slog.NewTextHandler(log, nil))})
		built <- err
	}()
	await(t, "the wait to be logged", func() bool { return strings.Contains(log.String(), "waiting for the database of rating") })
	if got := ask(t, http.MethodGet, "http://"+admin+"/livez", ""); got.status != http.StatusOK {
		t.Errorf("livez answers %+v while the database is waited for", got)
	}
	if got := ask(t, http.MethodGet, "http://"+admin+"/readyz", ""); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "start:") {
		t.Errorf("readyz answers %+v while the database is waited for", got)
	}
	if text := log.String(); !strings.Contains(text, addr) || strings.Contains(text, "secret") {
		t.Errorf("the log must say where the database was looked for, and no password:\n%s", text)
	}
	cancel()
	select {
	case err := <-built:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the wait ends with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the wait does not end with the context")
	}
}

// freeAddress is one that no one listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// TestDrainDelay: with a delay, a process that stops says that it is not ready and not healthy, and serves on; an answer then
// ends its connection, so that clients go elsewhere before anything is closed.
func TestDrainDelay(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.DrainDelay = 3 * time.Second
	p := run(t, cfg)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	closing := func() bool {
		resp, err := client.Get(p.Gateway + "/v1/stats")
		if err != nil {
			t.Fatalf("the gateway does not answer: %v", err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the gateway answers %s", resp.Status)
		}
		return resp.Close
	}
	if closing() {
		t.Error("the gateway closes connections before it stops")
	}
	began := time.Now()
	p.cancel()
	awaitDraining(t, p)
	await(t, "NOT_SERVING", func() bool {
		return health(t, p.Rating, time.Minute) == healthpb.HealthCheckResponse_NOT_SERVING
	})
	if !closing() {
		t.Error("the gateway keeps connections open although it stops")
	}
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the process does not end")
	}
	if took := time.Since(began); took < cfg.DrainDelay {
		t.Errorf("it ended after %s, before the delay of %s was over", took, cfg.DrainDelay)
	}
}

// TestMigrate: what 'migrate' shows and does, with the services' own files.
func TestMigrate(t *testing.T) {
	cfg := testConfig(t.TempDir())
	before, err := app.ReadMigrations(t.Context(), cfg, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range before {
		if len(m.List) != 0 {
			t.Errorf("%s has migrations before there is a database: %+v", m.Service, m.List)
		}
	}
	if files, err := filepath.Glob(filepath.Join(cfg.DataDir, "*", "*.db")); err != nil || len(files) > 0 {
		t.Errorf("looking made files: %v, %v", files, err)
	}
	after, err := app.Migrate(t.Context(), cfg, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != 2 || after[0].Service != "metadata" || after[1].Service != "rating" {
		t.Fatalf("migrated %+v, want metadata and rating", after)
	}
	for _, m := range after {
		if len(m.List) == 0 || m.Pending() != 0 {
			t.Errorf("%s after the migration: %+v", m.Service, m.List)
		}
	}
	one, err := app.ReadMigrations(t.Context(), cfg, app.Options{Services: []string{"rating"}})
	if err != nil || len(one) != 1 || one[0].Pending() != 0 {
		t.Errorf("rating alone: %+v, %v", one, err)
	}
	if _, err := app.Migrate(t.Context(), cfg, app.Options{Services: []string{"movie"}}); err == nil || !strings.Contains(err.Error(), "keeps no data") {
		t.Errorf("a service without data: %v", err)
	}
	run(t, cfg)
	if _, err := app.Migrate(t.Context(), cfg, app.Options{}); err == nil {
		t.Error("a file that a running process owns was migrated beside it")
	}
}
