//go:build servers

package rating

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
)

// Several processes on one server ingest the same partitions at the same time (all but one at a time are zombies), while
// others put, delete, replay and drop, all of it about a few films and users. In the end the rows are the fold of the log
// and of everything acknowledged, and no aggregate is off by one.
func TestProcessesOnOneServer(t *testing.T) {
	const (
		processes  = 3
		partitions = 2
		records    = 3000 // of each partition
		puts       = 150  // of each process
		films      = 12
		users      = 15
	)
	server := sqltest.MySQL(t)
	url := server.Database(t)
	waitsBefore := server.LockWaits(t)
	random := rand.New(rand.NewPCG(5, 55))
	logs := make([][]logRecord, partitions)
	var mu sync.Mutex
	var all []Rating
	for p := range logs {
		var changes []Rating
		for i := range records {
			changes = append(changes, change(random.IntN(films), random.IntN(users), random.IntN(11), i-10*records))
		}
		logs[p], all = logOf(0, changes...), append(all, changes...)
	}
	stores := make([]*store, processes)
	fenced := 0.0
	var work sync.WaitGroup
	for i := range stores {
		s := storeOn(t, openDB(t, url, sqldb.Options{}))
		s.now = time.Now
		stores[i] = s
		in := newTestIngester(t, s, nil)
		var mine sync.WaitGroup
		for number, log := range logs {
			p := testPartition
			p.Number = int32(number)
			mine.Go(func() {
				next, err := in.startPartition(t.Context(), p, 0)
				for err == nil && next < int64(len(log)) {
					batch := log[next:min(next+100+rand.Int64N(200), int64(len(log)))] // the same ends would look like one's own commit
					var moved *fencedError
					if next, err = in.records(t.Context(), p, batch); errors.As(err, &moved) {
						err = nil
					}
				}
				if err != nil {
					t.Errorf("process %d, partition %d: %v", i, number, err)
				}
			})
		}
		work.Go(func() {
			mine.Wait()
			mu.Lock()
			defer mu.Unlock()
			fenced += testutil.ToFloat64(in.metrics.fenced)
		})
		work.Go(func() {
			w := s.putter()
			for n := range puts {
				key := change((n+i)%films, n%users, 1, 0).Key
				r, err := w.put(t.Context(), key, n%11)
				if err != nil {
					t.Errorf("put: %v", err)
				}
				mu.Lock()
				all = append(all, r)
				mu.Unlock()
			}
		})
	}
	work.Wait()
	modelOf(all...).check(t, stores[0])
	waits := server.LockWaits(t) - waitsBefore
	if fenced == 0 || waits < 10 {
		t.Errorf("%v zombies were fenced, %d locks were waited for: they did not meet", fenced, waits)
	}
	t.Logf("%v zombies were fenced, %d locks were waited for", fenced, waits)
}

// What several operators do about the same dead letters at the same time is done once.
func TestDeadLettersOfSeveralOperators(t *testing.T) {
	const letters, operators = 60, 4
	url := sqltest.MySQL(t).Database(t)
	s := storeOn(t, openDB(t, url, sqldb.Options{}))
	if _, err := s.begin(t.Context(), testPartition, 0); err != nil {
		t.Fatal(err)
	}
	var dead []deadLetter
	var ids []string
	var changes []Rating
	for i := range letters {
		d := letterAt(int64(i), "time-out-of-range", "was ahead")
		dead, ids, changes = append(dead, d), append(ids, d.id()), append(changes, change(i%7, i, 1+i%10, i))
	}
	if _, err := s.ingest(t.Context(), batch{partition: testPartition, end: letters, dead: dead}); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	replayed, dropped := []Rating{}, int64(0)
	for range operators {
		o := storeOn(t, openDB(t, url, sqldb.Options{}))
		work.Go(func() {
			for _, i := range rand.Perm(letters / 2) {
				refused, err := o.replay(t.Context(), ids[i], func(deadLetter) (Rating, bool, error) { return changes[i], false, nil })
				if err != nil || refused != nil && !errors.Is(refused, errNoDeadLetter) {
					t.Errorf("replay: %v, %v", refused, err)
				}
				if err == nil && refused == nil {
					mu.Lock()
					replayed = append(replayed, changes[i])
					mu.Unlock()
				}
			}
		})
		work.Go(func() {
			some := append([]string(nil), ids[letters/2:]...)
			rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
			n, err := o.drop(t.Context(), some)
			if err != nil {
				t.Errorf("drop: %v", err)
			}
			mu.Lock()
			dropped += n
			mu.Unlock()
		})
	}
	work.Wait()
	if len(replayed) != letters/2 || dropped != letters/2 || len(s.letters(t)) != 0 {
		t.Errorf("%d replayed, %d dropped, %d left", len(replayed), dropped, len(s.letters(t)))
	}
	modelOf(replayed...).check(t, s)
}

// A transaction that locks in another order deadlocks with ours, and the server picks ours as the victim: it is retried, and nothing
// becomes a dead letter or is counted twice.
func TestADeadlockIsRepeated(t *testing.T) {
	server := sqltest.MySQL(t)
	url := server.Database(t)
	db := databaseOf(url)
	s := storeOn(t, openDB(t, url, sqldb.Options{}))
	log := &logBuffer{}
	in := newTestIngester(t, s, log.logger())
	mustStart(t, in, 0)
	mustIngest(t, in, logOf(0, change(1, 1, 5, 0), change(2, 2, 6, 0)), 2)
	err := server.Deadlock(t, db,
		"UPDATE "+db+".aggregates SET votes = votes WHERE record_type = 'movie' AND record_id = 'm2'",
		"UPDATE "+db+".aggregates SET votes = votes WHERE record_type = 'movie' AND record_id = 'm1'",
		func() error {
			_, err := in.records(context.WithoutCancel(t.Context()), testPartition, logOf(2, change(1, 3, 7, 1), change(2, 4, 8, 1)))
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	modelOf(change(1, 1, 5, 0), change(2, 2, 6, 0), change(1, 3, 7, 1), change(2, 4, 8, 1)).check(t, s)
	if n := testutil.ToFloat64(in.metrics.retries); n == 0 || !strings.Contains(log.String(), "eadlock") || len(s.letters(t)) != 0 {
		t.Errorf("%v attempts were repeated, %d dead letters; log:\n%s", n, len(s.letters(t)), log)
	}
}

// A put whose commit was not confirmed is found if it was stored, and retried otherwise, even if the server still runs the transaction.
func TestACommitWithoutAnAnswer(t *testing.T) {
	for _, mode := range faultdriver.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			plan := &faultdriver.Plan{N: 1, Mode: mode, Ops: []faultdriver.Op{faultdriver.Commit}, Writer: true}
			s := storeOn(t, openDB(t, sqltest.MySQL(t).Database(t), sqldb.Options{Wrap: plan.Wrap}))
			in := newTestIngester(t, s, nil)
			mustStart(t, in, 0)
			plan.Start()
			mustIngest(t, in, logOf(0, change(1, 1, 5, 0)), 1)
			plan.Stop()
			if !plan.Fired() {
				t.Error("the commit did not fail")
			}
			modelOf(change(1, 1, 5, 0)).check(t, s)
		})
	}
}

// The hot statements use the index that is meant for them, and sort nothing, on a table of some size.
func TestQueryPlansOnMySQL(t *testing.T) {
	server := sqltest.MySQL(t)
	url := server.Database(t)
	plan := &faultdriver.Plan{Mode: faultdriver.ErrorBefore, Ops: []faultdriver.Op{faultdriver.Exec, faultdriver.Query}}
	s := storeOn(t, openDB(t, url, sqldb.Options{Wrap: plan.Wrap}))
	var changes []Rating
	for i := range 20_000 {
		changes = append(changes, change(i%700, i%900, 1+i%10, i))
	}
	if _, err := s.begin(t.Context(), testPartition, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ingest(t.Context(), batch{partition: testPartition, end: 1, changes: changes}); err != nil {
		t.Fatal(err)
	}
	db := databaseOf(url)
	server.Exec(t, fmt.Sprintf("ANALYZE TABLE %[1]s.ratings, %[1]s.aggregates, %[1]s.dead_letters, %[1]s.ingest_offsets", db))
	all := texts(t, s, plan)
	seen := 0
	for text := range all {
		if !strings.HasPrefix(text, "SELECT") || strings.Contains(text, "ingest_") {
			continue // a row per partition
		}
		seen++
		key, extra, access := explain(t, server, db, text)
		why := fmt.Sprintf("%.200s\n\tuses index %q by %s: %s", text, key, access, extra)
		for allowed := range sortsAllowed {
			if strings.Contains(text, allowed) {
				access, extra = "range", ""
			}
		}
		for allowed := range scansAllowed {
			if strings.Contains(text, allowed) {
				access = "range"
			}
		}
		if key == "" && !strings.Contains(extra, "no matching row") && !strings.Contains(extra, "Impossible") || access == "ALL" || strings.Contains(extra, "filesort") || strings.Contains(extra, "temporary") {
			t.Error(why)
		}
	}
	if seen < 25 {
		t.Errorf("only %d queries were seen", seen)
	}
}

// explain asks the server how it would run a query, with arguments that are in the tables.
func explain(t testing.TB, server *sqltest.Server, db, text string) (key, extra, access string) {
	t.Helper()
	conn, err := server.Admin.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "USE "+db); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.QueryContext(t.Context(), "EXPLAIN "+withArguments(text))
	if err != nil {
		t.Fatalf("%s: %v", withArguments(text), err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, dest := make([]*string, len(columns)), make([]any, len(columns))
		for i := range dest {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		for i, name := range columns {
			if values[i] == nil {
				continue
			}
			switch strings.ToLower(name) {
			case "key":
				key = *values[i]
			case "extra":
				extra += *values[i]
			case "type":
				access = *values[i]
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return key, extra, access
}

// withArguments puts a value for each question mark, by the column before it.
func withArguments(text string) string {
	parts := strings.Split(text, "?")
	var b strings.Builder
	for i, part := range parts {
		b.WriteString(part)
		if i == len(parts)-1 {
			break
		}
		words := strings.Fields(strings.NewReplacer("(", " ", ")", " ", "<", " ", ">", " ", "=", " ", ",", " ").Replace(part))
		last := ""
		if len(words) > 0 {
			last = words[len(words)-1]
		}
		switch {
		case last == "LIMIT":
			b.WriteString("50")
		case last == "rated_at" || last == "created_at":
			fmt.Fprint(&b, int64(ToMicros(t0))+5_000_000_000)
		case strings.HasSuffix(last, "record_type"):
			b.WriteString("'movie'")
		case last == "user_id":
			b.WriteString("'u17'")
		case last == "id":
			b.WriteString("'" + testPartition.TopicID + "'")
		default:
			fmt.Fprintf(&b, "'m%d'", i%700)
		}
	}
	return b.String()
}
