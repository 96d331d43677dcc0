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

// TestOwnWritesAreSeen: a client that writes, deletes or creates a film through a gateway sees its write at once, in a single read,
// in a batch and on the film's page, whichever of two movie services answers. Both have the old film in their caches.
func TestOwnWritesAreSeen(t *testing.T) {
	all := run(t, testConfig(t.TempDir())) // of which only metadata and rating are used
	cfg := testConfig("")
	cfg.Connect = app.Connect{Metadata: all.Metadata, Rating: all.Rating}
	movies := []*process{run(t, cfg, "movie"), run(t, cfg, "movie")}
	file := filepath.Join(t.TempDir(), "instances.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "movie: [%s, %s]\n", movies[0].Movie, movies[1].Movie), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Connect.Metadata, cfg.Discovery = "", "static:"+file
	for name, bytes := range map[string]int{"answers kept": cfg.Gateway.AnswerCacheBytes, "none kept": 0} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.Gateway.AnswerCacheBytes = bytes
			url := run(t, cfg, "gateway").Gateway
			// shown asks each movie service twice: the gateway sends calls to them in turn, and keeps no answer to a POST.
			shown := func(text string) {
				t.Helper()
				for range 4 {
					if got := mustAsk(t, http.MethodPost, url+"/v1/movies:batchGet", `{"ids": ["tt1"]}`); !strings.Contains(got, text) {
						t.Fatalf("the batch shows %s, want %s", got, text)
					}
				}
			}
			await(t, "both movie services to be asked", func() bool {
				before := []int{batches(t, movies[0]), batches(t, movies[1])}
				shown("")
				return batches(t, movies[0]) == before[0]+2 && batches(t, movies[1]) == before[1]+2
			})
			for round := range 5 {
				for _, write := range []struct {
					method, body string
					status       int
					text         string
				}{
					{http.MethodPut, fmt.Sprintf(`{"title": "Film %d"}`, round), http.StatusOK, fmt.Sprintf("Film %d", round)},
					{http.MethodPut, fmt.Sprintf(`{"title": "Again %d"}`, round), http.StatusOK, fmt.Sprintf("Again %d", round)},
					{http.MethodDelete, "", http.StatusNotFound, ""},
				} {
					shown("")
					mustAsk(t, write.method, url+"/v1/movies/tt1", write.body)
					for range 4 {
						for _, path := range []string{"/v1/movies/tt1", "/movies/tt1"} {
							if got := ask(t, http.MethodGet, url+path, ""); got.status != write.status || !strings.Contains(got.body, write.text) {
								t.Fatalf("round %d, after %s %s: %s answers %d, want %d: %s", round, write.method, write.body, path, got.status, write.status, got.body)
							}
						}
					}
					if write.status == http.StatusNotFound {
						shown(`"missingIds":["tt1"]`)
					} else {
						shown(write.text)
					}
				}
			}
		})
	}
}

// batches is how many batches of films a movie service has answered.
func batches(t *testing.T, movie *process) int {
	t.Helper()
	const series = `movieexample_grpc_server_handled_total{code="OK",method="BatchGetMovies",service="movieexample.movie.v1.MovieService"} `
	_, rest, found := strings.Cut(mustAsk(t, http.MethodGet, movie.Admin+"/metrics", ""), series)
	n := 0
	if found {
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
