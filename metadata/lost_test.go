package metadata_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// loss is a case of a database that showed transactions and then lost them: a server shows a commit to others
// before it is on disk, and may be killed in between.
type loss struct {
	name        string
	feed        string // whose numbers are given out again
	before      func(t *testing.T, c *catalogue)
	lost, after func(t *testing.T, c *catalogue)
	wrong       int // how many films were wrong in the index, as the log says; 0: it was loaded again
}

// losses are the cases. The catalogue has the films "matrix", "other" and 40 called "number N" before each.
func losses() []loss {
	remove := func(t *testing.T, c *catalogue, id string) {
		t.Helper()
		if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	return []loss{
		{
			name: "a new film, and another gets its number", feed: "movies",
			lost:  func(t *testing.T, c *catalogue) { c.put(t, film("ghost", "Ghost")) },
			after: func(t *testing.T, c *catalogue) { c.put(t, film("new", "New")) }, wrong: 2,
		},
		{
			name: "an update, and another film gets its number", feed: "movies",
			lost:  func(t *testing.T, c *catalogue) { c.put(t, film("other", "Ghost")) },
			after: func(t *testing.T, c *catalogue) { c.put(t, film("new", "New")) }, wrong: 2,
		},
		{
			name: "an update, and another of the same film gets its number", feed: "movies",
			lost:  func(t *testing.T, c *catalogue) { c.put(t, film("other", "Ghost")) },
			after: func(t *testing.T, c *catalogue) { c.put(t, film("other", "New")) }, wrong: 1,
		},
		{
			name: "a deletion", feed: "movies",
			lost:  func(t *testing.T, c *catalogue) { remove(t, c, "other") },
			after: func(t *testing.T, c *catalogue) { c.put(t, film("new", "New")) }, wrong: 2,
		},
		{
			name: "a series, of which fewer numbers are given out again", feed: "movies",
			lost: func(t *testing.T, c *catalogue) {
				for i := range 5 {
					c.replace(t, film(fmt.Sprint("ghost ", i), "Ghost"), film(fmt.Sprint("n", i), "Ghost"))
				}
			},
			after: func(t *testing.T, c *catalogue) {
				for i := range 3 {
					c.replace(t, film(fmt.Sprint("new ", i), "New"), film(fmt.Sprint("n", i+1), "New"))
				}
			}, wrong: 13,
		},
		{
			name: "a series, and more numbers are given out afterwards", feed: "movies",
			lost: func(t *testing.T, c *catalogue) {
				for i := range 5 {
					c.put(t, film(fmt.Sprint("ghost ", i), "Ghost"))
				}
			},
			after: func(t *testing.T, c *catalogue) {
				for i := range 150 { // more than the tail that is remembered
					c.put(t, film(fmt.Sprint("new ", i), "New"))
				}
			}, wrong: 10,
		},
		{
			name: "a film, after a long series that was kept", feed: "movies",
			before: func(t *testing.T, c *catalogue) {
				for i := range 300 {
					c.put(t, film(fmt.Sprint("kept ", i%7), fmt.Sprint("Kept ", i)))
				}
			},
			lost:  func(t *testing.T, c *catalogue) { c.put(t, film("ghost", "Ghost")) },
			after: func(t *testing.T, c *catalogue) { c.put(t, film("new", "New")) }, wrong: 2,
		},
		{
			name: "votes, and another film gets their number", feed: "votes",
			lost:  func(t *testing.T, c *catalogue) { c.sync(t, "n1", "n2", map[string]int32{"n2": 1000}) },
			after: func(t *testing.T, c *catalogue) { c.sync(t, "n2", "n3", map[string]int32{"n3": 500}) }, wrong: 2,
		},
		{
			name: "votes that were there before", feed: "votes",
			before: func(t *testing.T, c *catalogue) { c.sync(t, "n1", "n3", map[string]int32{"n2": 5, "n3": 2}) },
			lost: func(t *testing.T, c *catalogue) {
				c.sync(t, "n2", "n3", map[string]int32{"n3": 50})
				c.sync(t, "n1", "n2", nil)
			},
			after: func(t *testing.T, c *catalogue) {
				c.sync(t, "n3", "n4", map[string]int32{"n4": 500})
				c.sync(t, "n4", "n5", map[string]int32{"n5": 700})
			}, wrong: 4,
		},
		{
			name: "more than is remembered: a backup was put back", feed: "movies",
			lost: func(t *testing.T, c *catalogue) {
				for i := range 150 {
					c.put(t, film(fmt.Sprint("ghost ", i), "Ghost"))
				}
			},
			after: func(t *testing.T, c *catalogue) { c.put(t, film("new", "New")) },
		},
	}
}

// during runs the service while do runs.
func (c *catalogue) during(t *testing.T, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.svc.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	do()
}

// numberOf is the last number of a feed.
func numberOf(t testing.TB, db *sqldb.DB, feed string) (n int64) {
	t.Helper()
	const query = "SELECT last_number FROM sequences WHERE name = ?"
	if err := db.Read().QueryRowContext(t.Context(), query, feed).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// tables are all tables that the service writes.
func tables() []string {
	return []string{"movies", "movie_listings", "external_ids", "movie_changes", "movie_votes", "sequences"}
}

// keep marks the stored rows as being on disk, and undo loses later writes.
func keep(t *testing.T, c *catalogue) {
	t.Helper()
	for _, table := range tables() {
		for _, text := range []string{"DROP TABLE IF EXISTS " + table + "_durable", "CREATE TABLE " + table + "_durable AS SELECT * FROM " + table} {
			if err := c.exec(t, text); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func undo(t *testing.T, c *catalogue) {
	t.Helper()
	err := c.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, table := range tables() {
			for _, text := range []string{"DELETE FROM " + table, "INSERT INTO " + table + " SELECT * FROM " + table + "_durable"} {
				if _, err := tx.ExecContext(ctx, text); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// agree waits until the processes answer the queries as wanted.
func agree(t *testing.T, what, want string, queries []string, processes ...*catalogue) {
	t.Helper()
	for i, c := range processes {
		until(t, fmt.Sprintf("%s, process %d", what, i), func() error {
			if diff := cmp.Diff(want, answers(t, c, queries...)); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
	}
}

// play plays one case with two processes, the writer and another one. crash ends the sessions of both.
func (l loss) play(t *testing.T, writer, follower *catalogue, log *syncBuffer, crash func(), fresh func() *catalogue) {
	queries := []string{"number", "ghost", "new", "other", "matrix", "n"}
	writer.put(t, matrix())
	writer.put(t, film("other", "Other"))
	for i := range 40 {
		writer.put(t, film(fmt.Sprint("n", i), fmt.Sprint("Number ", i)))
	}
	if l.before != nil {
		l.before(t, writer)
	}
	keep(t, writer)
	durable := numberOf(t, writer.db, l.feed)
	both := func(do func()) {
		t.Helper()
		writer.during(t, func() { follower.during(t, do) })
	}
	var ghosts string
	both(func() {
		l.lost(t, writer)
		ghosts = answers(t, fresh(), queries...)
		agree(t, "what will be lost", ghosts, queries, writer, follower)
		writer.settle(t)
		follower.settle(t)
	})
	seen := numberOf(t, writer.db, l.feed)

	// While no process looks, the server loses what was not on disk, and every session.
	undo(t, writer)
	crash()
	if back := numberOf(t, writer.db, l.feed); back != durable || seen <= durable {
		t.Fatalf("the last number was %d, then %d, now %d: nothing was lost", durable, seen, back)
	}
	l.after(t, writer)
	if numberOf(t, writer.db, l.feed) <= durable {
		t.Fatal("no number was given out again")
	}
	want := answers(t, fresh(), queries...)
	if want == ghosts {
		t.Fatal("what was lost does not show")
	}
	both(func() { agree(t, "after the loss", want, queries, writer, follower) })

	text := fmt.Sprintf("the index is corrected\" feed=%s films=%d\n", l.feed, l.wrong)
	if l.wrong == 0 {
		text = "reloading the index"
	}
	if !strings.Contains(log.String(), text) || strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("log lacks %s, or has more:\n%s", text, log.String())
	}
}

// endSessions ends the sessions that the service reads in, one by one, until a new one was opened.
func endSessions(t *testing.T, c *catalogue, plan *faultdriver.Plan) {
	t.Helper()
	opened := func() (n uint64) {
		err := c.db.Session(t.Context(), func(_ context.Context, _ sqldb.Queryer, opened uint64) error {
			n = opened
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for before := opened(); opened() == before; {
		plan.Start()
		numberOf(t, c.db, "movies")
		plan.Stop()
		if !plan.Fired() {
			t.Fatal("no session was lost")
		}
	}
}

// The engine of the default run loses nothing. This test changes its tables directly and ends the sessions by
// a fault, to test the service's reaction without a server; lost_servers_test.go does it with a server's
// own sessions.
func TestLostWritesAreNotFound(t *testing.T) {
	for _, l := range losses() {
		t.Run(l.name, func(t *testing.T) {
			url := sqltest.URL(t)
			var log syncBuffer
			plans := []*faultdriver.Plan{{N: 1, Mode: faultdriver.LostBefore, Readers: true}, {N: 1, Mode: faultdriver.LostBefore, Readers: true}}
			writer := openWith(t, url, plans[0].Wrap, quick(), metadata.Deps{})
			follower := openWith(t, url, plans[1].Wrap, quick(), metadata.Deps{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			crash := func() {
				for i, c := range []*catalogue{writer, follower} {
					endSessions(t, c, plans[i])
				}
			}
			l.play(t, writer, follower, &log, crash, func() *catalogue { return openCatalogue(t, url, nil) })
		})
	}
}

// Whichever operation fails while the tail is reread: in the end lost writes are gone, and no change was skipped.
func TestLookingAgainMayFail(t *testing.T) {
	next, n, failed := storedBefore(t).Copies(t), 0, 0
	for plan := range faultdriver.Sweep(faultdriver.Modes()...) {
		n++
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			url := next()
			crash := &faultdriver.Plan{N: 1, Mode: faultdriver.LostBefore, Readers: true}
			c := openWith(t, url, func(d driver.Connector) driver.Connector { return crash.Wrap(plan.Wrap(d)) }, quick(), metadata.Deps{})
			elsewhere := openCatalogue(t, url, nil)
			look := func(id string) error {
				_, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: id})
				return err
			}
			keep(t, elsewhere)
			elsewhere.replace(t, film("ghost", "Ghost"), film("other", "Ghost"))
			elsewhere.sync(t, "", "", map[string]int32{"ghost": 7, "tt0133093": 9})
			if err := look("ghost"); err != nil {
				t.Fatal(err)
			}
			seen := numberOf(t, elsewhere.db, "movies")
			undo(t, elsewhere)
			elsewhere.replace(t, film("new", "New"), film("newer", "New: The Sequel"))
			elsewhere.sync(t, "", "", map[string]int32{"newer": 7})
			if again := numberOf(t, elsewhere.db, "movies"); again != seen {
				t.Fatalf("the last number was %d, and is %d", seen, again)
			}
			endSessions(t, c, crash)

			plan.Start()
			err := look("new")
			plan.Stop()

			if err != nil {
				failed++
				if code := status.Code(err); !plan.Fired() || code != codes.Unavailable && code != codes.Internal {
					t.Errorf("%v: %v", plan, err)
				}
				if err := look("new"); err != nil {
					t.Errorf("%v: calling again: %v", plan, err)
				}
			}
			queries := []string{"new", "ghost", "other", "matrix", "n"}
			c.run(t)
			agree(t, plan.String(), answers(t, openCatalogue(t, url, nil), queries...), queries, c)
		})
	}
	if failed < 10 {
		t.Errorf("%d of %d calls failed: the faults did not hit", failed, n)
	}
}
