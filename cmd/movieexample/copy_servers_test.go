//go:build servers

package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"

	"movieexample.com/internal/kafka"
	"movieexample.com/internal/sqldb/sqltest"
)

// A laptop's rating data goes to MySQL, through copies that are killed, and back, while the log of events stays where it is:
// what comes back is what went, and each event is ingested once, on whichever side it finds the service.
func TestCopyToMySQLAndBack(t *testing.T) {
	broker, err := kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	server := sqltest.MySQL(t)
	database := server.Database(t)
	mysql := server.User(t, database) // with no more rights than a service has
	name := database[strings.LastIndexByte(database, '/')+1:]
	urlFile := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(urlFile, []byte(mysql+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := func(n string) string { return filepath.Join(dir, n, "rating.db") }
	serve := func(args ...string) (*program, string, string) {
		p, a := startSystemProcess(t, nil, append([]string{"serve", "rating", "--rating-brokers", broker.Addr()}, args...)...)
		return p, a.Rating, a.Admin
	}

	// On SQLite. The last events come when nobody is there to take them.
	const first, meanwhile, later, last = 60_000, 1_000, 500, 300
	if err := os.MkdirAll(filepath.Dir(path("first")), 0o755); err != nil {
		t.Fatal(err)
	}
	p, rating, _ := serve("--database", "sqlite:"+path("first"))
	poison := publishPoison(t, broker.Addr())
	publishRatings(t, broker.Addr(), 0, first)
	awaitRatings(t, p, rating, first)
	stop(t, p)
	publishRatings(t, broker.Addr(), first, meanwhile)

	// Killed three times, each time further.
	position := func() (rows int64) {
		err := server.Admin.QueryRowContext(t.Context(), "SELECT copied_rows FROM "+name+".copy_progress WHERE table_name = 'ratings'").Scan(&rows)
		if err != nil && !errors.Is(err, sql.ErrNoRows) && !strings.Contains(err.Error(), "doesn't exist") {
			t.Fatal(err)
		}
		return rows
	}
	var at []int64
	for range 3 {
		before := position()
		p := start(t, nil, "copy", "--from", "sqlite:"+path("first"), "--to-file", urlFile)
		p.await(t, "some rows", func() bool { return position() > max(before, 0) })
		p.signal(t, unix.SIGKILL)
		p.wait(t)
		at = append(at, position())
	}
	if !slices.IsSorted(at) || at[2] >= first || at[0] <= 0 {
		t.Fatalf("killed after %v rows of %d: that is not in the middle", at, first)
	}
	t.Logf("killed after %v rows of %d", at, first)

	// Half of it is not served.
	o := start(t, nil, "serve", "rating", "--rating-brokers", broker.Addr(), "--database", mysql, "--listen-rating", "127.0.0.1:0", "--listen-admin", "127.0.0.1:0").wait(t)
	if o.code != exitFailed || !strings.Contains(o.stderr, "unfinished copy of "+path("first")) || !strings.Contains(o.stderr, "movieexample copy") {
		t.Errorf("serving half a copy: %+v", o)
	}

	began := time.Now()
	went := copied(t, "--from", "sqlite:"+path("first"), "--to-file", urlFile)
	if !went.Resumed || went.rows("ratings") != first || went.rows("dead_letters") != poison || went.Positions < 1 {
		t.Errorf("the copy that went on: %+v", went)
	}
	t.Logf("the rest took %s", time.Since(began).Round(time.Millisecond))
	came := copied(t, "--from-file", urlFile, "--to", "sqlite:"+path("second"))
	for i, table := range went.Tables {
		if came.Tables[i] != table {
			t.Errorf("there %+v, back %+v", table, came.Tables[i])
		}
	}
	if a, b := contents(t, path("first")), contents(t, path("second")); a != b || len(a) < first {
		t.Errorf("%d bytes went, others came back (%d bytes)", len(a), len(b))
	}

	// On MySQL, with the same log.
	p, rating, admin := serve("--database", mysql)
	awaitRatings(t, p, rating, first+meanwhile)
	publishRatings(t, broker.Addr(), first+meanwhile, later)
	awaitRatings(t, p, rating, first+meanwhile+later)
	if n := applied(t, admin); n != meanwhile+later {
		t.Errorf("%d events were applied on MySQL, want %d: those before are in the copy", n, meanwhile+later)
	}
	stop(t, p)

	// And on SQLite again.
	copied(t, "--from-file", urlFile, "--to", "sqlite:"+path("third"))
	publishRatings(t, broker.Addr(), first+meanwhile+later, last)
	p, rating, admin = serve("--database", "sqlite:"+path("third"))
	awaitRatings(t, p, rating, first+meanwhile+later+last)
	if n := applied(t, admin); n != last {
		t.Errorf("%d events were applied after the way back, want %d", n, last)
	}
	stop(t, p)
}

// applied is how many events a process has ingested.
func applied(t *testing.T, admin string) (n int) {
	t.Helper()
	text := get(t, admin+"/metrics")
	for _, m := range regexp.MustCompile(`(?m)^movieexample_rating_ingest_records_total\{.*result="applied".*\} (\S+)$`).FindAllStringSubmatch(text, -1) {
		var one float64
		if _, err := fmt.Sscan(m[1], &one); err != nil {
			t.Fatal(err)
		}
		n += int(one)
	}
	return n
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// publishPoison publishes what ends among the dead letters, with all that their columns can hold: no key and an empty one, no
// value and an empty one, bytes that are no text.
func publishPoison(t *testing.T, broker string) (n int64) {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{broker}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var records []*kgo.Record
	for _, key := range [][]byte{nil, {}, {0, 0xff}} {
		for _, value := range [][]byte{nil, {}, {0, 0xff, 0xfe}, []byte("rubbish")} {
			records = append(records, &kgo.Record{Topic: "ratings", Key: key, Value: value})
		}
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return int64(len(records))
}

// contents is every value of every table of an SQLite file, with its class, byte for byte.
func contents(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ask := func(query string, args ...any) (lines []string) {
		rows, err := db.QueryContext(t.Context(), query, args...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		defer rows.Close()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	var all []string
	tables := ask("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'goose%' ORDER BY name")
	for _, table := range tables {
		all = append(all, "table "+table)
		var values []string
		for _, c := range ask("SELECT name FROM pragma_table_info(?) ORDER BY name", table) {
			values = append(values, fmt.Sprintf("typeof(%[1]s) || ' ' || hex(%[1]s)", c))
		}
		lines := ask("SELECT " + strings.Join(values, " || ', ' || ") + " FROM " + table)
		slices.Sort(lines)
		all = append(all, lines...)
	}
	return strings.Join(all, "\n")
}
