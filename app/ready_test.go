package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"movieexample.com/app"
)

// metricOf is a line of /metrics without its name; "" where there is none.
func metricOf(t *testing.T, admin, series string) string {
	t.Helper()
	got := ask(t, http.MethodGet, admin+"/metrics", "")
	for line := range strings.Lines(got.body) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// TestReadyWithItsCallees: processes that are started in the worst order become ready in the order of who calls whom. A
// gateway whose movie processes are all gone is not ready, and says which service it lacks, although the registry goes on
// listing two of them; without rating it is ready and says what is missing.
func TestReadyWithItsCallees(t *testing.T) {
	file := filepath.Join(t.TempDir(), "services.yaml")
	metadataAddr, movieAddr, other := freeAddress(t), freeAddress(t), freeAddress(t)
	text := fmt.Sprintf("metadata: [%s]\nmovie: [%s, %s]\nrating: [%s]\n", metadataAddr, movieAddr, other, freeAddress(t))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(dir string) app.Config {
		cfg := testConfig(dir)
		cfg.Discovery = "static:" + file
		if dir != "" {
			cfg.Database = "embedded"
		}
		return cfg
	}
	readyz := func(p *process) answer { return ask(t, http.MethodGet, p.Admin+"/readyz", "") }
	not := func(p *process, service, what string) {
		t.Helper()
		await(t, what, func() bool {
			got := readyz(p)
			return got.status == http.StatusServiceUnavailable && strings.Contains(got.body, service+": no usable instance of the "+service+" service")
		})
	}

	gateway := launch(t, config(""), "gateway")
	not(gateway, "movie", "a gateway without movie not to be ready")
	cfg := config("")
	cfg.Listen.Movie = movieAddr
	movie := launch(t, cfg, "movie")
	await(t, "movie to say what it waits for", func() bool { return strings.Contains(movie.log.String(), "waiting for the metadata service") })
	if got := readyz(movie); got.status != http.StatusServiceUnavailable {
		t.Errorf("movie is ready before metadata: %+v", got)
	}
	cfg = config(t.TempDir())
	cfg.Listen.Metadata = metadataAddr
	metadata := launch(t, cfg, "metadata")
	for _, p := range []*process{metadata, movie, gateway} {
		<-p.ready
	}
	got := readyz(gateway)
	if got.status != http.StatusOK || !strings.Contains(got.body, "movie: ok\n") || !strings.Contains(got.body, "rating: degraded: no usable instance of the rating service") {
		t.Errorf("a gateway without rating answers %+v, want ready and what is missing", got)
	}
	if n := metricOf(t, gateway.Admin, `movieexample_grpc_client_usable_instances{callee="movie"}`); n != "1" {
		t.Errorf("%q usable instances of movie, want 1", n)
	}

	// Metadata goes: movie serves what it knows, so it stays ready, and so does the gateway.
	if err := metadata.stop(); err != nil {
		t.Fatal(err)
	}
	await(t, "movie to notice that metadata is gone", func() bool {
		return metricOf(t, movie.Admin, `movieexample_grpc_client_usable_instances{callee="metadata"}`) == "0"
	})
	if got := readyz(movie); got.status != http.StatusOK || !strings.Contains(got.body, "metadata: degraded: no usable instance") {
		t.Errorf("movie that has lost metadata answers %+v", got)
	}
	if got := readyz(gateway); got.status != http.StatusOK {
		t.Errorf("a failure two services away makes the gateway unready: %+v", got)
	}

	// Movie goes.
	if err := movie.stop(); err != nil {
		t.Fatal(err)
	}
	not(gateway, "movie", "a gateway that has lost movie not to be ready")
	if n := metricOf(t, gateway.Admin, `movieexample_grpc_client_usable_instances{callee="movie"}`); n != "0" {
		t.Errorf("%q usable instances of movie, want 0", n)
	}
	if n := metricOf(t, gateway.Admin, `movieexample_discovery_instances{service="movie"}`); n != "2" {
		t.Errorf("the registry knows %q instances of movie, want 2", n)
	}

	// And comes back.
	cfg = config(t.TempDir())
	cfg.Listen.Metadata = metadataAddr
	launch(t, cfg, "metadata")
	cfg = config("")
	cfg.Listen.Movie = other
	launch(t, cfg, "movie")
	await(t, "the gateway to be ready again", func() bool { return readyz(gateway).status == http.StatusOK })
}

// TestOneProcessCountsItsServices: in one process a callee is there while it serves.
func TestOneProcessCountsItsServices(t *testing.T) {
	p := run(t, testConfig(t.TempDir()))
	for _, callee := range []string{"metadata", "rating", "movie"} {
		if n := metricOf(t, p.Admin, fmt.Sprintf("movieexample_grpc_client_usable_instances{callee=%q}", callee)); n != "1" {
			t.Errorf("%q usable instances of %s, want 1", n, callee)
		}
	}
}
