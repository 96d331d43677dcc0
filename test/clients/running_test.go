package clients_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"movieexample.com/test/system"
)

// TestRunning runs everything that needs the running system, the demo, once built and started.
func TestRunning(t *testing.T) {
	p := start(t)
	t.Run("links", func(t *testing.T) { testLinks(t, p.Gateway) }) // first: while everything is as shipped
	t.Run("examples", func(t *testing.T) { testExamples(t, p.Gateway) })
	t.Run("problems", func(t *testing.T) { testProblems(t, p.Gateway) })
	t.Run("headers", func(t *testing.T) { testHeaders(t, p.Gateway) })
	t.Run("no request", func(t *testing.T) { testNoRequest(t, p.Gateway) })
	t.Run("go", func(t *testing.T) { testGoClient(t, p.Gateway) })
	t.Run("writers", func(t *testing.T) { testWriters(t, p.Gateway) })
	t.Run("bounds", func(t *testing.T) { testBounds(t, p.Gateway) }) // last: it writes what it may
}

// films is how many the demo has.
const films = 320

// start starts the demo on free ports, in its own directory, and waits until search and numbers have followed the films.
func start(t *testing.T) *system.Process {
	t.Helper()
	p, err := system.TryStart(t, system.Build(t), "demo", "--data", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, text := ask(t, http.MethodGet, p.Gateway+"/v1/stats", nil, nil)
		var stats struct{ Movies, Users int }
		if err := json.Unmarshal(text, &stats); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if stats.Movies >= films && stats.Users > 0 {
			return p
		}
		select {
		case <-deadline:
			t.Fatalf("the numbers do not follow the demo's films and ratings: %s", text)
		case <-tick.C:
		}
	}
}
