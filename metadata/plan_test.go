package metadata_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/metadata"
)

// recorder keeps the text of every statement and the number of its arguments.
type recorder struct {
	mu         sync.Mutex
	statements map[string]int
}

func (r *recorder) wrap(c driver.Connector) driver.Connector {
	side, ok := c.(interface{ ReadOnly() bool })
	return &recordingConnector{Connector: c, recorder: r, readOnly: ok && side.ReadOnly()}
}

func (r *recorder) note(query string, args int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	statements := strings.Split(query, ";\n") // some travel together
	for _, s := range statements {
		if len(statements) > 1 {
			args = strings.Count(s, "?")
		}
		r.statements[s] = args
	}
}

func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = map[string]int{}
}

type recordingConnector struct {
	driver.Connector
	recorder *recorder
	readOnly bool
}

func (c *recordingConnector) ReadOnly() bool { return c.readOnly }

func (c *recordingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := raw.(sqlConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connection %T lacks a method", raw), raw.Close())
	}
	return &recordingConn{sqlConn: full, recorder: c.recorder}, nil
}

type sqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type recordingConn struct {
	sqlConn
	recorder *recorder
}

func (c *recordingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.recorder.note(query, len(args))
	return c.sqlConn.QueryContext(ctx, query, args)
}

func (c *recordingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.recorder.note(query, len(args))
	return c.sqlConn.ExecContext(ctx, query, args)
}

// variations are all kinds of lists: every order with and without genre and years.
func variations() []*metadatav1.ListMoviesRequest {
	var all []*metadatav1.ListMoviesRequest
	for _, order := range []metadatav1.MovieOrder{byTitle, byYear, byYearDesc} {
		for _, genre := range []string{"", "Drama"} {
			for _, years := range [][2]int32{{0, 0}, {1995, 0}, {0, 1995}, {1985, 2003}, {1999, 1999}, {1871, 2099}} {
				f := &metadatav1.MovieFilter{Genre: genre}
				if years[0] != 0 {
					f.MinYear = proto.Int32(years[0])
				}
				if years[1] != 0 {
					f.MaxYear = proto.Int32(years[1])
				}
				all = append(all, &metadatav1.ListMoviesRequest{Filter: f, Order: order, PageSize: 7})
			}
		}
	}
	return all
}

// manyFilms fills the catalogue with n films, a third of them dramas, over all years.
func manyFilms(t testing.TB, c *catalogue, n int) {
	t.Helper()
	var batch []*metadatav1.Movie
	for i := range n {
		m := film(fmt.Sprintf("tt%07d", i), fmt.Sprintf("The %c title %d", 'A'+i%26, i*7919%n))
		m.ExternalIds = &metadatav1.ExternalIds{Imdb: m.GetId(), Movielens: fmt.Sprint(i + 1)}
		m.Director = "A Director"
		m.Genres = []string{"Comedy", "Action"}
		if i%3 == 0 {
			m.Genres[0] = "Drama"
		}
		if i%101 != 0 {
			m.Year = proto.Int32(int32(2020 - i%97))
		}
		if batch = append(batch, m); len(batch) == 200 || i == n-1 {
			c.replace(t, batch...)
			batch = batch[:0]
		}
	}
}

// No statement reads a whole table or index, or sorts: as SQLite's query plans show (for MySQL's, see store_servers_test.go).
func TestQueryPlans(t *testing.T) {
	rec := &recorder{statements: map[string]int{}}
	c := openCatalogue(t, "sqlite:"+filepath.Join(t.TempDir(), "metadata.db"), rec.wrap)
	manyFilms(t, c, 300)
	rec.forget() // the migrations
	for _, req := range variations() {
		if n := len(walk(t, t, c, req, nothing)); n == 0 {
			t.Fatalf("%v: empty list", req)
		}
	}
	lists := len(rec.statements)
	c.put(t, matrix())
	c.put(t, film("tt0133093", "Another title"))
	c.get(t, "tt0133093")
	for _, f := range []*metadatav1.MovieFilter{nil, {Genre: "Drama"}, {MinYear: proto.Int32(1999)}} {
		if _, err := c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: []string{"a", "b"}, Filter: f}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.LookupMovie(t.Context(), &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_MovielensId{MovielensId: "7"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "tt0133093"}); err != nil {
		t.Fatal(err)
	}
	c.sync(t, "", "", map[string]int32{"tt0000001": 2, "tt0000002": 3})
	c.sync(t, "tt0000001", "tt0000100", map[string]int32{"tt0000003": 3})
	// This finds the film in the database and not in the index, and follows both feeds.
	c.put(t, film("new", "New"))
	if _, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "new"}); err != nil {
		t.Fatal(err)
	}
	if n := len(c.find(t, "title")); n != 200 {
		t.Fatalf("found %d films", n)
	}
	serve(t, c.db, metadata.Config{}, metadata.Deps{}).load(t)
	for _, table := range []string{"FROM movie_changes", "FROM movie_votes", "LEFT JOIN", "sequences SET", "INTO movie_votes"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(rec.statements)), func(query string) bool { return strings.Contains(query, table) }) {
			t.Errorf("no statement with %q was recorded", table)
		}
	}
	maps.DeleteFunc(rec.statements, func(query string, _ int) bool {
		return !strings.Contains(query, "movie") && !strings.Contains(query, "sequences")
	}) // migrations
	if lists < 8 || len(rec.statements) < lists+8 {
		t.Fatalf("only %d statements for lists, %d in all: the recorder does not see them", lists, len(rec.statements))
	}
	statements := maps.Clone(rec.statements) // explaining is recorded too
	for _, analyzed := range []bool{false, true} {
		for query, n := range statements {
			checkPlan(t, c, query, n)
		}
		if !analyzed { // statistics must not lead the planner astray
			if err := c.exec(t, "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func checkPlan(t *testing.T, c *catalogue, query string, args int) {
	t.Helper()
	if strings.HasPrefix(query, "BEGIN") || strings.HasPrefix(query, "COMMIT") || strings.HasPrefix(query, "ROLLBACK") {
		return
	}
	rows, err := c.db.Read().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, args)...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused sql.RawBytes
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		// "SCAN 2-ROW VALUES CLAUSE" and "SCAN CONSTANT ROW" read the statement's own arguments.
		scan := strings.HasPrefix(detail, "SCAN") && !strings.HasSuffix(detail, "VALUES CLAUSE") && detail != "SCAN CONSTANT ROW"
		listing := strings.Contains(query, "FROM movie_listings WHERE genre_key = ?")
		if scan || strings.Contains(detail, "TEMP B-TREE") || listing && !strings.Contains(detail, "COVERING INDEX") {
			t.Errorf("%s\nis executed by: %s", query, detail)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// A page deep in a list costs as many operations as the first one, and no list needs more
// than its years require. The numbers are those of SQLite.
func TestPagesCostTheSame(t *testing.T) {
	plan := &faultdriver.Plan{} // counts, and never fails
	c := openCatalogue(t, "sqlite:"+filepath.Join(t.TempDir(), "metadata.db"), plan.Wrap)
	manyFilms(t, c, 600)
	cost := func(req *metadatav1.ListMoviesRequest) (int, string) {
		t.Helper()
		plan.Start()
		resp, err := c.ListMovies(t.Context(), req)
		plan.Stop()
		if err != nil || len(resp.GetMovies()) == 0 {
			t.Fatalf("%v: %v, %v", req, resp, err)
		}
		return plan.Count(), resp.GetNextPageToken()
	}
	for _, req := range variations() {
		first, token := cost(req)
		// Begin, rollback; keys in at most 3 queries or, by title, one per decade or year;
		// the movies in 3 queries of powers of two. Each row, and the end, counts one.
		runs := 3
		if req.GetOrder() == byTitle && (req.GetFilter().MinYear != nil || req.GetFilter().MaxYear != nil) {
			runs = 40
		}
		limit := 2 + runs*(1+8+1) + 3 + 7 + 3
		for page := 0; token != "" && page < 12; page++ {
			req.PageToken = token
			var n int
			if n, token = cost(req); n > limit {
				t.Errorf("%v: page %d takes %d operations, the first %d; limit %d", req, page, n, first, limit)
			}
		}
	}
}
