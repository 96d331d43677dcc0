//go:build servers

package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"movieexample.com/test/cluster"
)

// TestFilmsWhileTheDatabaseIsAway: MariaDB is frozen, and then killed, for 8 seconds, while films are read that were read before. At
// most one read in a hundred fails, films are marked as last known, and a write fails meanwhile: the database was away.
func TestFilmsWhileTheDatabaseIsAway(t *testing.T) {
	c := start(t, cluster.Config{Instances: small(), StaticDiscovery: true})
	gateway := c.Targets().Gateways[0]
	const films, away = 50, 8 * time.Second
	for i := range films {
		url := fmt.Sprintf("%s/v1/movies/film-%d", gateway, i)
		for _, request := range [][2]string{{http.MethodPut, `{"title": "A Film"}`}, {http.MethodGet, ""}} {
			if _, err := ask(t.Context(), request[0], url, request[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, fault := range []struct {
		name       string
		begin, end func() error
	}{
		{"frozen", c.MariaDB.Pause, c.MariaDB.Resume},
		{"killed", c.MariaDB.Kill, func() error { return c.MariaDB.Start(t.Context()) }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			if err := fault.begin(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), away)
			defer cancel()
			var (
				readers              sync.WaitGroup
				reads, failed, stale atomic.Int64
				why                  atomic.Value
			)
			for r := range 4 {
				readers.Go(func() {
					for n := r; ctx.Err() == nil; n++ {
						text, err := ask(t.Context(), http.MethodGet, fmt.Sprintf("%s/v1/movies/film-%d", gateway, n%films), "")
						reads.Add(1)
						if err != nil {
							failed.Add(1)
							why.Store(err.Error())
						}
						if strings.Contains(text, `"metadataStatus":"stale"`) || strings.Contains(text, `"metadataStatus": "stale"`) {
							stale.Add(1)
						}
					}
				})
			}
			// Of a film that is not read: what a film is whose write has no outcome yet, its cached version does not tell.
			if _, err := ask(ctx, http.MethodPut, gateway+"/v1/movies/written", `{"title": "Another"}`); err == nil {
				t.Error("a film was written: the database was not away")
			}
			readers.Wait()
			if err := fault.end(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d reads, %d failed, %d as last known", reads.Load(), failed.Load(), stale.Load())
			if reads.Load() < 100 || failed.Load()*100 > reads.Load() {
				t.Errorf("%d of %d reads failed, the last with %v", failed.Load(), reads.Load(), why.Load())
			}
			if stale.Load() == 0 {
				t.Error("no film is marked as last known")
			}
			eventually(t, "a write, and a film that is not stale", func(ctx context.Context) error {
				if _, err := ask(ctx, http.MethodPut, gateway+"/v1/movies/written", `{"title": "A Film"}`); err != nil {
					return err
				}
				text, err := ask(ctx, http.MethodGet, gateway+"/v1/movies/film-1", "")
				if err == nil && strings.Contains(text, `"stale"`) {
					err = fmt.Errorf("it is stale: %s", text)
				}
				return err
			})
		})
	}
}
