package app_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"movieexample.com/app"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/telemetry"
	"movieexample.com/metadata"
)

// instancesFile says where the instances of metadata are.
func instancesFile(t *testing.T, path string, addrs ...string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte("metadata: ["+strings.Join(addrs, ", ")+"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// identityOf reads the identity of a service's database.
func identityOf(t *testing.T, dir, service string) string {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(dir, service, service+".db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	id, err := db.Identity(t.Context())
	if err != nil || len(id) != 36 {
		t.Fatalf("identity %q, %v", id, err)
	}
	return id
}

// A process that would serve from another database than the instances that are there refuses to; one that serves and sees a
// stranger says so and goes on.
func TestAStrangerRefusesToServe(t *testing.T) {
	t.Parallel()
	dir, strangerDir := t.TempDir(), t.TempDir()
	own, strange := freeAddress(t), freeAddress(t)
	config := func(data, listen, file string) app.Config {
		cfg := testConfig(data)
		cfg.Discovery, cfg.Database, cfg.Listen.Metadata = "static:"+file, "embedded", listen
		return cfg
	}
	all := filepath.Join(t.TempDir(), "services.yaml")
	instancesFile(t, all, own, strange)
	first := run(t, config(dir, own, all), "metadata")
	mine := identityOf(t, dir, "metadata")

	log := &syncBuffer{}
	cfg := config(strangerDir, strange, all)
	logger, err := telemetry.NewLogger(log, cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, app.Options{Services: []string{"metadata"}, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	err = a.Run(t.Context())
	select {
	case <-a.Ready():
		t.Error("the stranger was ready")
	default:
	}
	theirs := identityOf(t, strangerDir, "metadata")
	for _, want := range []string{mine, theirs, own, "--database"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the stranger ends with %v, want %q in it", err, want)
		}
	}

	// One that cannot know of the others comes all the same.
	alone := filepath.Join(t.TempDir(), "services.yaml")
	instancesFile(t, alone, strange)
	run(t, config(strangerDir, strange, alone), "metadata")
	await(t, "the stranger to be seen", func() bool {
		return strings.Contains(ask(t, http.MethodGet, first.Admin+"/metrics", "").body, `movieexample_discovery_foreign_instances{service="metadata"} 1`)
	})
	if text := first.log.String(); !strings.Contains(text, "instances of a service work on different databases") || !strings.Contains(text, theirs) {
		t.Errorf("nothing in the log of the first:\n%s", text)
	}
}

// Only one identity is made, however many begin at the same time, and a copy has that of its source.
func TestCopyKeepsTheIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := func(name string) string { return "sqlite:" + filepath.Join(dir, name, "metadata.db") }
	for _, name := range []string{"from", "to"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const processes = 8
	ids := make(chan string, processes)
	for range processes {
		go func() {
			db, err := sqldb.Open(context.WithoutCancel(t.Context()), url("from"), sqldb.Options{})
			if err != nil {
				ids <- err.Error()
				return
			}
			defer db.Close()
			if err := db.Migrate(context.WithoutCancel(t.Context()), metadata.Schema()); err != nil {
				ids <- err.Error()
				return
			}
			id, err := db.Identity(context.WithoutCancel(t.Context()))
			if err != nil {
				id = err.Error()
			}
			ids <- id
		}()
	}
	id := <-ids
	for range processes - 1 {
		if other := <-ids; other != id || len(id) != 36 {
			t.Errorf("identities %q and %q", id, other)
		}
	}
	if _, err := app.Copy(t.Context(), app.CopyOptions{From: url("from"), To: url("to")}); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), url("to"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got, err := db.Identity(t.Context()); got != id || err != nil {
		t.Errorf("the copy is %q, %v; want %q", got, err, id)
	}
}
