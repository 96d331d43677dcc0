package rating_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// held keeps others from changing ratings of the movie "held" until release is called.
func held(t *testing.T, db *sqldb.DB) (release func()) {
	t.Helper()
	has, free, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			if lock := tx.Dialect().ForUpdate(); lock != "" { // else there is one writer, and this is it
				if _, err := tx.ExecContext(ctx, tx.Dialect().UpsertAdd("aggregates", []string{"record_type", "record_id"}, []string{"votes"}, nil, 1),
					"movie", "held", 0); err != nil {
					return err
				}
			}
			close(has)
			<-free
			return nil
		})
	}()
	release = sync.OnceFunc(func() {
		close(free)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-has:
	case err := <-done:
		t.Fatal(err)
	}
	t.Cleanup(release)
	return release
}

// transactions is how many were made for synchronous writes, and how many writes were in them.
func (f *front) transactions(t *testing.T) (n uint64, writes float64) {
	t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, fam := range families {
		if fam.GetName() == "movieexample_group_commit_batch_writes" {
			for _, m := range fam.GetMetric() {
				n += m.GetHistogram().GetSampleCount()
				writes += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return n, writes
}

// together makes calls at the same time, none of which can continue before all wait for their turn, and returns their errors.
func (f *front) together(t *testing.T, calls int, call func(i int) error) []error {
	t.Helper()
	release := held(t, f.db)
	errs := make([]error, calls)
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			errs[i] = call(i)
		})
	}
	eventually(t, "all to have started or to wait", func() bool {
		started := f.started(t) // first: what moves on meanwhile is counted once at most
		return float64(started)+f.gauge(t, "movieexample_group_commit_waiting_writes") == float64(calls)
	})
	release()
	wg.Wait()
	return errs
}

// Puts and deletes that come at the same time share transactions, and each is as exact as if it had been alone: a version of its
// own after those before it, also for the same user and film.
func TestPutsShareTransactions(t *testing.T) {
	t.Parallel()
	const calls, users = 60, 7
	f, _ := serve(t)
	answers := make([]*ratingv1.Rating, calls)
	for _, err := range f.together(t, calls, func(i int) error {
		user := fmt.Sprint("u", i%users)
		if i%10 == 9 {
			_, err := f.DeleteRating(t.Context(), &ratingv1.DeleteRatingRequest{RecordType: "movie", RecordId: "held", UserId: user})
			return err
		}
		resp, err := f.PutRating(t.Context(), &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: "held", UserId: user, Value: proto.Int32(int32(1 + i%10))})
		answers[i] = resp.GetRating()
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if n, writes := f.transactions(t); n > 4 || writes != calls {
		t.Errorf("%d transactions for %v of %d writes, want 2, or up to 4 on a server", n, writes, calls)
	}
	versions := map[string][]int64{}
	last := map[string]*ratingv1.Rating{}
	for _, a := range answers {
		if a == nil {
			continue
		}
		at := a.GetRatedAt().AsTime().UnixMicro()
		if slices.Contains(versions[a.GetUserId()], at) || at < t0.UnixMicro() || at >= t0.UnixMicro()+calls {
			t.Errorf("user %s: version %d beside %v", a.GetUserId(), at, versions[a.GetUserId()])
		}
		versions[a.GetUserId()] = append(versions[a.GetUserId()], at)
		if l := last[a.GetUserId()]; l == nil || at > l.GetRatedAt().AsTime().UnixMicro() {
			last[a.GetUserId()] = a
		}
	}
	for user, l := range last {
		// The last of a user's puts is stored, unless a delete followed it.
		if got := f.value(t, "held", user); got != l.GetValue() && got != 0 {
			t.Errorf("user %s has %d stored, acknowledged %d last", user, got, l.GetValue())
		}
	}
	f.checkAudit(t)
}

// A put that the database refuses does not fail the others in its transaction.
func TestAPutThatIsRefusedFailsAlone(t *testing.T) {
	t.Parallel()
	const calls = 33
	url := sqltest.URL(t)
	f := start(t, url, rating.Config{}, newClock().Now)
	if f.db.Dialect() == sqldb.MySQL {
		name := url[strings.LastIndexByte(url, '/')+1:]
		sqltest.MySQL(t).Exec(t, "CREATE TRIGGER "+name+".refuse BEFORE INSERT ON "+name+".ratings FOR EACH ROW BEGIN IF NEW.user_id = 'u13' THEN "+
			"SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 4025, MESSAGE_TEXT = 'not that one'; END IF; END")
	} else {
		execSQL(t, f.db, "CREATE TRIGGER refuse BEFORE INSERT ON ratings WHEN NEW.user_id = 'u13' BEGIN SELECT RAISE(ABORT, 'not that one'); END")
	}
	for i, err := range f.together(t, calls, func(i int) error {
		_, err := f.PutRating(t.Context(), &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: "held", UserId: fmt.Sprint("u", i), Value: proto.Int32(7)})
		return err
	}) {
		if i == 13 && status.Code(err) != codes.Internal || i != 13 && err != nil {
			t.Errorf("put %d: %v", i, err)
		}
	}
	if v := f.votes(t, "held"); v != calls-1 {
		t.Errorf("%d votes, want %d", v, calls-1)
	}
	f.checkAudit(t)
}

// A caller whose time is over is answered at once, while the write before is still running; its own write has not started, and never
// does.
func TestAPutThatWaitsIsDroppedWithItsCaller(t *testing.T) {
	t.Parallel()
	f := start(t, sqltest.URL(t), rating.Config{}, newClock().Now)
	release := held(t, f.db)
	var wg sync.WaitGroup
	put := func(ctx context.Context, user string) error {
		_, err := f.PutRating(ctx, &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: "held", UserId: user, Value: proto.Int32(7)})
		return err
	}
	under := min(2, f.db.WriteConns())
	for i := range under {
		wg.Go(func() {
			if err := put(t.Context(), fmt.Sprint("first", i)); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "it to start", func() bool { return f.started(t) == uint64(i+1) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- put(ctx, "left") }()
	eventually(t, "one to wait", func() bool { return f.gauge(t, "movieexample_group_commit_waiting_writes") == 1 })
	cancel()
	if err := <-left; status.Code(err) != codes.Canceled { // nothing has been released yet
		t.Errorf("the one that left: %v", err)
	}
	eventually(t, "none to wait", func() bool { return f.gauge(t, "movieexample_group_commit_waiting_writes") == 0 })
	release()
	wg.Wait()
	f.put(t, "held", "last", 5)
	if v := f.votes(t, "held"); v != int32(under)+1 || f.value(t, "held", "left") != 0 {
		t.Errorf("%d votes, and %d of the one that left", v, f.value(t, "held", "left"))
	}
	f.checkAudit(t)
}

// started is how many synchronous writes have started.
func (f *front) started(t *testing.T) (n uint64) {
	t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, fam := range families {
		if fam.GetName() == "movieexample_group_commit_wait_seconds" {
			for _, m := range fam.GetMetric() {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}
