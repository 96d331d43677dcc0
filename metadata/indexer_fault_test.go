package metadata_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// Whichever operation fails while the index is loaded: New succeeds if it could migrate the schema,
// search reports that it is not ready, and becomes ready without help. The clock does not move, so New has enough time.
func TestLoadingMayFail(t *testing.T) {
	next, n, notReady := storedBefore(t).Copies(t), 0, 0
	for plan := range faultdriver.Sweep(faultdriver.ErrorBefore, faultdriver.LostAfter) {
		n++
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			url := next()
			plan.Readers = true // New only reads there
			db, err := sqldb.Open(t.Context(), url, sqldb.Options{Wrap: plan.Wrap})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			plan.Start()
			now := time.Now()
			svc, err := metadata.New(t.Context(), quick(), metadata.Deps{DB: db, Now: func() time.Time { return now }})
			plan.Stop()
			if err != nil && plan.Fired() && strings.Contains(err.Error(), "migrate database") {
				return // whether the schema is current is asked there too; what fails in that is its own test's
			}
			if err != nil {
				t.Fatalf("%v: %v", plan, err)
			}
			if err := svc.SearchReady(t.Context()); err != nil {
				if !plan.Fired() || !strings.Contains(err.Error(), "the search index is being loaded") {
					t.Errorf("%v: %v", plan, err)
				}
				notReady++
			}
			runUntilReady(t, svc)
		})
	}
	if notReady < 10 {
		t.Errorf("%d of %d runs were not ready: the faults did not hit", notReady, n)
	}
}

// runUntilReady runs the service until search is ready.
func runUntilReady(t *testing.T, svc *metadata.Service) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- svc.Run(ctx) }()
	until(t, "ready", func() error { return svc.SearchReady(t.Context()) })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// New stops loading after 100 ms of its clock, and Run continues the load.
func TestLoadingTakesLong(t *testing.T) {
	db, err := sqldb.Open(t.Context(), storedBefore(t).Copies(t)(), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := &clock{now: time.Now()}
	svc, err := metadata.New(t.Context(), quick(), metadata.Deps{DB: db, Now: func() time.Time {
		c.advance(101 * time.Millisecond)
		return c.Now()
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.SearchReady(t.Context()); err == nil || !strings.Contains(err.Error(), "the search index is being loaded") {
		t.Errorf("after New: %v", err)
	}
	runUntilReady(t, svc)
}

func TestSearchBeforeTheIndexIsLoaded(t *testing.T) {
	c := notLoaded(t, storedBefore(t).Copies(t)())
	for name, call := range map[string]func() error{
		"search": func() error {
			_, err := c.SearchMovies(t.Context(), &metadatav1.SearchMoviesRequest{Query: "other"})
			return err
		},
		"suggest": func() error {
			_, err := c.SuggestMovies(t.Context(), &metadatav1.SuggestMoviesRequest{Query: "other"})
			return err
		},
		"similar": func() error {
			_, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "other"})
			return err
		},
		"stats": func() error {
			_, err := c.GetCatalogueStats(t.Context(), &metadatav1.GetCatalogueStatsRequest{})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the search index is being loaded") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	c.get(t, "other") // the rest works
	c.run(t)
	until(t, "ready", func() error { return c.svc.SearchReady(t.Context()) })
	c.untilFound(t, "other", "other")
}

// notLoaded is a catalogue that could not load its index: its first query failed, apart from those for the schema.
func notLoaded(t *testing.T, url string) *catalogue {
	t.Helper()
	for n := 1; ; n++ {
		plan := &faultdriver.Plan{N: n, Ops: []faultdriver.Op{faultdriver.Query}, Readers: true}
		db, err := sqldb.Open(t.Context(), url, sqldb.Options{Wrap: plan.Wrap})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		plan.Start()
		_, err = metadata.New(t.Context(), metadata.Config{}, metadata.Deps{DB: db})
		plan.Stop()
		if !plan.Fired() {
			t.Fatal("no query failed")
		}
		if err != nil {
			continue
		}
		plan.Start()
		c := serve(t, db, metadata.Config{}, metadata.Deps{})
		plan.Stop()
		return c
	}
}

// Whichever operation fails while the index follows the feed: it skips nothing. The call that
// brings the index up to date fails here, and a retry succeeds.
func TestFollowingMayFail(t *testing.T) {
	next, n, failed := storedBefore(t).Copies(t), 0, 0
	for plan := range faultdriver.Sweep(faultdriver.Modes()...) {
		n++
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			url := next()
			c, elsewhere := openWith(t, url, plan.Wrap, quick(), metadata.Deps{}), openCatalogue(t, url, nil)
			elsewhere.replace(t, film("new", "New"), film("newer", "New: The Sequel"), film("other", "Another"))
			if _, err := elsewhere.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "tt0133093"}); err != nil {
				t.Fatal(err)
			}
			elsewhere.sync(t, "", "", map[string]int32{"newer": 7})

			plan.Start()
			_, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "new"})
			plan.Stop()

			if err != nil {
				failed++
				if code := status.Code(err); !plan.Fired() || code != codes.Unavailable && code != codes.Internal {
					t.Errorf("%v: %v", plan, err)
				}
				if _, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "new"}); err != nil {
					t.Errorf("%v: calling again: %v", plan, err)
				}
			}
			queries := []string{"new", "another", "matrix", "n"}
			c.run(t)
			want := answers(t, openCatalogue(t, url, nil), queries...)
			until(t, plan.String(), func() error {
				if diff := cmp.Diff(want, answers(t, c, queries...)); diff != "" {
					return errors.New(diff)
				}
				return nil
			})
		})
	}
	if failed < 10 {
		t.Errorf("%d of %d calls failed: the faults did not hit", failed, n)
	}
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A database that keeps failing is logged once, counted each time, and does not stop searches.
func TestFailingDatabaseIsLoggedOnce(t *testing.T) {
	var log syncBuffer
	registry := prometheus.NewRegistry()
	c := openWith(t, sqltest.URL(t), nil, quick(), metadata.Deps{Logger: slog.New(slog.NewTextHandler(&log, nil)), Metrics: registry})
	c.put(t, matrix())
	value := func(name string) float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "movieexample_metadata_search_"+name {
				return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		return math.NaN()
	}
	c.run(t)
	until(t, "metric of movies", func() error {
		if n := value("movies"); n != 1 {
			return fmt.Errorf("%v movies in the index", n)
		}
		return nil
	})
	if n := value("refresh_errors_total"); n != 0 {
		t.Errorf("%v errors so far", n)
	}
	c.clock.advance(time.Minute)
	until(t, "metric of age", func() error {
		if age := value("age_seconds"); age != 0 {
			return fmt.Errorf("%v seconds", age)
		}
		return nil
	})
	if err := c.exec(t, "ALTER TABLE sequences RENAME TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	until(t, "errors", func() error {
		if n := value("refresh_errors_total"); n < 4 {
			return fmt.Errorf("%v errors", n)
		}
		return nil
	})
	c.clock.advance(time.Minute)
	if age := value("age_seconds"); age != 60 {
		t.Errorf("age %v, want 60 s", age)
	}
	if got := c.find(t, "matrix"); len(got) != 1 {
		t.Errorf("found %q while the feed cannot be read", got)
	}
	if err := c.exec(t, "ALTER TABLE elsewhere RENAME TO sequences"); err != nil {
		t.Fatal(err)
	}
	until(t, "recovery", func() error {
		if age := value("age_seconds"); age != 0 {
			return fmt.Errorf("age %v", age)
		}
		return nil
	})
	if n := strings.Count(log.String(), "search index cannot read the catalogue"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	until(t, "log of the recovery", func() error {
		if n := strings.Count(log.String(), "search index follows the catalogue again"); n != 1 {
			return fmt.Errorf("logged %d times", n)
		}
		return nil
	})
}
