package metadata_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// shared is a catalogue whose writers wait until release is called, after one that has started.
type shared struct {
	*catalogue
	reg     *prometheus.Registry
	release func()
	wg      sync.WaitGroup
	waiting int
}

func newShared(t *testing.T, prepare func(url string, c *catalogue)) *shared {
	t.Helper()
	s := &shared{reg: prometheus.NewRegistry()}
	url := sqltest.URL(t)
	s.catalogue = openWith(t, url, nil, metadata.Config{}, metadata.Deps{Metrics: s.reg})
	s.run(t)
	if prepare != nil {
		prepare(url, s.catalogue)
	}
	has, free, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			if lock := tx.Dialect().ForUpdate(); lock != "" { // else there is one writer, and this is it
				var n int64
				if err := tx.QueryRowContext(ctx, "SELECT last_number FROM sequences WHERE name = ?"+lock, "movies").Scan(&n); err != nil {
					return err
				}
			}
			close(has)
			<-free
			return nil
		})
	}()
	select {
	case <-has:
	case err := <-done:
		t.Fatal(err)
	}
	s.release = sync.OnceFunc(func() {
		close(free)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.release)
	s.wg.Go(func() { s.put(t, film("first", "First")) })
	until(t, "the first to start", func() error {
		if n := s.metric(t, "movieexample_group_commit_wait_seconds").GetHistogram().GetSampleCount(); n != 1 {
			return fmt.Errorf("%d have", n)
		}
		return nil
	})
	return s
}

func (s *shared) metric(t *testing.T, name string) *dto.Metric {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0]
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

// next makes a write that waits for those before it, and checks its answer when it comes.
func (s *shared) next(t *testing.T, what string, want codes.Code, write func() error) {
	t.Helper()
	s.wg.Go(func() {
		if err := write(); status.Code(err) != want {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	})
	s.waiting++
	until(t, what, func() error {
		if n := s.metric(t, "movieexample_group_commit_waiting_writes").GetGauge().GetValue(); n != float64(s.waiting) {
			return fmt.Errorf("%v wait, want %d", n, s.waiting)
		}
		return nil
	})
}

func (s *shared) putting(t *testing.T, created bool, m *metadatav1.Movie, etag string) func() error {
	return func() error {
		resp, err := s.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: m, ExpectedEtag: etag})
		if err == nil && resp.GetCreated() != created {
			t.Errorf("put %s: created %v, want %v", m.GetId(), resp.GetCreated(), created)
		}
		return err
	}
}

// transactions is how many were made, the first among them.
func (s *shared) transactions(t *testing.T) uint64 {
	return s.metric(t, "movieexample_group_commit_batch_writes").GetHistogram().GetSampleCount()
}

func withTMDb(m *metadatav1.Movie, id string) *metadatav1.Movie {
	m.ExternalIds = &metadatav1.ExternalIds{Tmdb: id}
	return m
}

// Writes that share a transaction behave as if they came one after the other: conditions and external ids are checked against
// the result of those before, and a refusal of one does not affect the others.
func TestWritesShareATransactionInTheirOrder(t *testing.T) {
	s := newShared(t, nil)
	const created, updated, unchanged = true, false, false
	remove := func(id string) func() error {
		return func() error {
			_, err := s.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: id})
			return err
		}
	}
	s.next(t, "create x", codes.OK, s.putting(t, created, film("x", "One"), "none"))
	s.next(t, "create x, which is there", codes.Aborted, s.putting(t, created, film("x", "Two"), "none"))
	s.next(t, "replace x, which is there", codes.OK, s.putting(t, updated, film("x", "Three"), "*"))
	s.next(t, "replace q, which is not", codes.Aborted, s.putting(t, updated, film("q", "Three"), "*"))
	s.next(t, "x as it is", codes.OK, s.putting(t, unchanged, film("x", "Three"), ""))
	s.next(t, "y claims 7", codes.OK, s.putting(t, created, withTMDb(film("y", "Y"), "7"), ""))
	s.next(t, "z claims 7", codes.AlreadyExists, s.putting(t, created, withTMDb(film("z", "Z"), "7"), ""))
	s.next(t, "remove y", codes.OK, remove("y"))
	s.next(t, "remove y, which is gone", codes.NotFound, remove("y"))
	s.next(t, "z claims 7, which is free", codes.OK, s.putting(t, created, withTMDb(film("z", "Z"), "7"), ""))
	s.next(t, "remove the first", codes.OK, remove("first"))
	s.next(t, "the first again", codes.OK, s.putting(t, created, film("first", "Again"), "none"))
	s.next(t, "a batch", codes.OK, func() error {
		resp, err := s.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{
			Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE, Movies: []*metadatav1.Movie{film("x", "Four"), withTMDb(film("v", "V"), "7"), film("w", "W")},
		})
		if n := len(resp.GetResults()); err == nil && n != 3 {
			t.Errorf("%d results", n)
		}
		return err
	})
	s.release()
	s.wg.Wait()
	if n := s.transactions(t); n != 2 {
		t.Errorf("%d transactions, want 2", n)
	}
	titles := map[string]string{}
	for _, m := range snapshot(t, s.catalogue) {
		titles[m.GetId()] = m.GetTitle() + "/" + m.GetExternalIds().GetTmdb()
	}
	want := map[string]string{"x": "Four/", "z": "Z/7", "first": "Again/", "w": "W/"}
	if fmt.Sprint(titles) != fmt.Sprint(want) {
		t.Errorf("stored %v, want %v", titles, want)
	}
	checkTables(t, s.db)
}

// A movie that the database refuses fails alone.
func TestAMovieThatIsRefusedFailsAlone(t *testing.T) {
	s := newShared(t, func(url string, c *catalogue) {
		if c.db.Dialect() == sqldb.MySQL {
			name := url[strings.LastIndexByte(url, '/')+1:]
			sqltest.MySQL(t).Exec(t, "CREATE TRIGGER "+name+".refuse BEFORE INSERT ON "+name+".movies FOR EACH ROW BEGIN IF NEW.title = 'Bad' THEN "+
				"SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 4025, MESSAGE_TEXT = 'not that one'; END IF; END")
			return
		}
		err := c.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "CREATE TRIGGER refuse BEFORE INSERT ON movies WHEN NEW.title = 'Bad' BEGIN SELECT RAISE(ABORT, 'not that one'); END")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	for i := range 9 {
		title, want := "Good", codes.OK
		if i == 5 {
			title, want = "Bad", codes.Internal
		}
		s.next(t, fmt.Sprint(i), want, s.putting(t, true, film(fmt.Sprint("m", i), title), ""))
	}
	s.release()
	s.wg.Wait()
	if n := len(snapshot(t, s.catalogue)); n != 9 {
		t.Errorf("%d movies, want the first and 8", n)
	}
	if n := s.metric(t, "movieexample_group_commit_splits_total").GetCounter().GetValue(); n == 0 {
		t.Error("no transaction was halved: the writes did not share one")
	}
	checkTables(t, s.db)
}
