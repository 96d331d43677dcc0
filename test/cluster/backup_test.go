//go:build servers

package cluster_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

// TestRestoreToAPointInTime does what docs/operations.md says under "Backup of MariaDB": a dump and a copy of the binary log are
// made while films and ratings are written; then somebody deletes ratings, which nobody notices for a while; then the system is
// restored on a new server to the instant before. Everything acknowledged until then is there, and events after it come again
// from Kafka.
func TestRestoreToAPointInTime(t *testing.T) {
	c := create(t, cluster.Config{Instances: small(), StaticDiscovery: true, MariaDB: servers.MariaDBConfig{Args: serverSettings(t)}})
	backups := newBackups(t, c)
	if err := c.Launch(); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitIngestion(t.Context()); err != nil {
		t.Fatal(err)
	}
	backups.copyLog(t)

	w := startWriters(t, c)
	w.await(t, 100)
	before := w.acknowledged()
	operator(t, backups.block(t, "dump"))
	during := w.acknowledged() - before
	t.Logf("%d writes were acknowledged during the dump", during)
	if during == 0 {
		t.Error("no write was acknowledged during the dump")
	}
	// What is written before and after lies in several files of the log.
	w.await(t, 100)
	if err := c.MariaDB.Exec(t.Context(), "FLUSH BINARY LOGS"); err != nil {
		t.Fatal(err)
	}
	w.await(t, 100)

	w.phase(t, beforeMistake)
	began := time.Now()
	w.phase(t, duringMistake)
	if err := c.MariaDB.Exec(t.Context(), "DELETE FROM movieexample_rating.ratings WHERE user_id LIKE '%7'"); err != nil {
		t.Fatal(err)
	}
	w.phase(t, afterMistake)
	w.await(t, 100)
	if err := c.MariaDB.Exec(t.Context(), "FLUSH BINARY LOGS"); err != nil {
		t.Fatal(err)
	}
	w.await(t, 50)
	w.stop(t)
	backups.awaitCopied(t, c.MariaDB)
	for _, p := range c.Processes() {
		if end, err := p.Stop(); err != nil || end.Code != 0 {
			t.Fatalf("stop %s: %v, %v", p.Name, end, err)
		}
	}

	// Each line: file, position, date and time, statement.
	found := operator(t, backups.block(t, "find", "2026-01-31 09:00:00", began.Add(-time.Second).Format(time.DateTime)))
	t.Logf("found:\n%s", found)
	at := regexp.MustCompile(`(?m)^(binlog\.\d+) (\d+) \S+ \S+ #Q> DELETE FROM movieexample_rating\.ratings`).FindAllStringSubmatch(found, -1)
	if len(at) != 1 {
		t.Fatal("the mistake is not found once")
	}

	fresh := backups.newServer(t)
	operator(t, backups.block(t, "restore", "binlog.000002", at[0][1], "4711", at[0][2]))
	restored := readStored(t, fresh.Root())
	w.judgeRestored(t, restored)

	for _, p := range c.Processes() {
		if p.Service != "metadata" && p.Service != "rating" {
			continue
		}
		file := filepath.Join(c.Dir(), p.Name, "database-url")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		moved := strings.ReplaceAll(string(text), c.MariaDB.Address(), fresh.Address())
		if moved == string(text) {
			t.Fatalf("%s does not name the old server", file)
		}
		if err := os.WriteFile(file, []byte(moved), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.MariaDB.Stop(); err != nil { // nothing may need it any more
		t.Fatal(err)
	}
	if err := c.Launch(); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.awaitIngested(t, fresh.Root())
	w.judgeAfterwards(t, readStored(t, fresh.Root()))

	rating := c.Of("rating")[0].Address
	out, err := exec.CommandContext(t.Context(), c.Binary(), "audit", "--rating-addr", rating).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0 differences") {
		t.Errorf("audit: %v\n%s", err, out)
	}
	// And the system works.
	gateway := c.Targets().Gateways[0]
	if _, err := ask(t.Context(), http.MethodPut, gateway+"/v1/records/movie/tt0000001/ratings/afterwards", `{"value": 3}`); err != nil {
		t.Error(err)
	}
}

// serverSettings are those of deploy/mysql/server.cnf, as arguments.
func serverSettings(t *testing.T) (args []string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/mysql/server.cnf")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && !strings.HasPrefix(key, "#") {
			args = append(args, "--"+key+"="+value)
		}
	}
	if len(args) < 5 {
		t.Fatalf("deploy/mysql/server.cnf has only %q", args)
	}
	return args
}

// backups are the operator's directories: /etc/movieexample and /var/backups/movieexample.
type backups struct{ etc, dir string }

func newBackups(t *testing.T, c *cluster.Cluster) *backups {
	t.Helper()
	b := &backups{etc: t.TempDir(), dir: t.TempDir()}
	if err := c.MariaDB.Exec(t.Context(), deployed(t, "backup", "backup-secret")); err != nil {
		t.Fatal(err)
	}
	b.options(t, "backup.cnf", c.MariaDB, "movieexample_backup", "backup-secret")
	return b
}

// deployed is a file of deploy/mysql, with passwords in place.
func deployed(t *testing.T, name, password string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/mysql/" + name + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("REPLACE-THIS-PASSWORD-TOO", password+"-too", "REPLACE-THIS-PASSWORD", password).Replace(string(text))
}

// options writes an option file of MariaDB's programs.
func (b *backups) options(t *testing.T, name string, m *servers.MariaDB, user, password string) {
	t.Helper()
	host, port, err := net.SplitHostPort(m.Address())
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[client]\nhost = %s\nport = %s\nuser = %s\npassword = %s\n", host, port, user, password)
	if err := os.WriteFile(filepath.Join(b.etc, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// block is a documented block, in these directories.
func (b *backups) block(t *testing.T, name string, change ...string) string {
	t.Helper()
	script := documented(t, name, change...)
	return strings.NewReplacer("/etc/movieexample/", b.etc+"/", "/var/backups/movieexample", b.dir).Replace(script)
}

// copyLog starts the copying of the binary log, which the test's end stops.
func (b *backups) copyLog(t *testing.T) {
	t.Helper()
	p := servers.NewProcess(servers.Program{
		Name: "the copy of the binary log", Path: "/bin/bash", Args: []string{"-euo", "pipefail", "-c", b.block(t, "log")},
		Env: cluster.Environment(), Log: filepath.Join(b.etc, "log"),
	})
	if err := p.Launch(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log, err := p.Log(); t.Failed() && err == nil {
			t.Logf("log of the copy of the binary log:\n%s", log)
		}
		if p.Running() {
			if err := p.Kill(); err != nil {
				t.Error(err)
			}
		}
	})
}

// awaitCopied waits until the copy is as long as the log.
func (b *backups) awaitCopied(t *testing.T, m *servers.MariaDB) {
	t.Helper()
	eventually(t, "the copy of the binary log", func(ctx context.Context) error {
		var file, ignored1, ignored2 string
		var position int64
		if err := m.Root().QueryRowContext(ctx, "SHOW MASTER STATUS").Scan(&file, &position, &ignored1, &ignored2); err != nil {
			return err
		}
		info, err := os.Stat(filepath.Join(b.dir, file))
		if err != nil {
			return err
		}
		if info.Size() != position {
			return fmt.Errorf("%s has %d bytes, and its copy %d", file, position, info.Size())
		}
		return nil
	})
}

// newServer starts the server that the backup is restored on, with the users of the service.
func (b *backups) newServer(t *testing.T) *servers.MariaDB {
	t.Helper()
	m, err := servers.StartMariaDB(t.Context(), servers.MariaDBConfig{Args: serverSettings(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, service := range []string{"metadata", "rating"} {
		if err := m.Exec(t.Context(), deployed(t, service, "movieexample_"+service+"-secret")); err != nil {
			t.Fatal(err)
		}
	}
	b.options(t, "restore.cnf", m, "root", "")
	return m
}

// When a write was made.
const (
	beforeMistake int32 = iota // acknowledged before the mistake was begun
	duringMistake              // neither
	afterMistake               // begun when the mistake had been made
)

// written is one rating by a user of its own, or the last title of a film.
type written struct {
	phase int32
	value int
}

// writers write through a gateway and through Kafka until they are stopped, and keep what was acknowledged.
type writers struct {
	cancel  context.CancelFunc
	all     sync.WaitGroup
	now     atomic.Int32
	count   atomic.Int64
	mu      sync.Mutex
	puts    map[string]written // by user
	events  map[string]written // by user
	films   map[string]written // by id; value is in the title
	poison  int
	problem error
}

func startWriters(t *testing.T, c *cluster.Cluster) *writers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &writers{cancel: cancel, puts: make(map[string]written), events: make(map[string]written), films: make(map[string]written)}
	t.Cleanup(func() { cancel(); w.all.Wait() })
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...), kgo.DefaultProduceTopic(cluster.Topic), kgo.RecordDeliveryTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	gateway := c.Targets().Gateways[0]
	record := func(n int) string { return fmt.Sprintf("tt%07d", n%23) }
	w.run(func(n int) error {
		user, value := fmt.Sprintf("put-%d", n), n%10+1
		return w.write(w.puts, user, value, func() error {
			_, err := ask(ctx, http.MethodPut, gateway+"/v1/records/movie/"+record(n)+"/ratings/"+user, fmt.Sprintf(`{"value": %d}`, value))
			return err
		})
	}, ctx)
	w.run(func(n int) error {
		id := record(n)
		return w.write(w.films, id, n, func() error {
			_, err := ask(ctx, http.MethodPut, gateway+"/v1/movies/"+id, fmt.Sprintf(`{"title": "Film %d"}`, n))
			return err
		})
	}, ctx)
	pace := time.NewTicker(2 * time.Millisecond) // Kafka takes more than is read on a busy machine
	t.Cleanup(pace.Stop)
	w.run(func(n int) error {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		user, value := fmt.Sprintf("event-%d", n), n%10+1
		if n%500 == 0 {
			if err := client.ProduceSync(ctx, &kgo.Record{Value: fmt.Appendf(nil, "no event %d", n)}).FirstErr(); err != nil {
				return err
			}
			w.mu.Lock()
			w.poison++
			w.mu.Unlock()
		}
		return w.write(w.events, user, value, func() error {
			event := fmt.Appendf(nil, `{"userId":%q,"recordId":%q,"recordType":"movie","value":%d,"ratedAt":"2026-01-31T20:15:00Z"}`, user, record(n), value)
			return client.ProduceSync(ctx, &kgo.Record{Value: event}).FirstErr()
		})
	}, ctx)
	return w
}

// run calls one until the writers are stopped; its first error ends them.
func (w *writers) run(one func(n int) error, ctx context.Context) {
	w.all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if err := one(n); err != nil && ctx.Err() == nil {
				w.mu.Lock()
				w.problem = err
				w.mu.Unlock()
				w.cancel()
			}
		}
	})
}

// write does a write and keeps it when it was acknowledged. A write that was under way when the phase changed belongs to neither.
func (w *writers) write(kept map[string]written, key string, value int, do func() error) error {
	begun := w.now.Load()
	if err := do(); err != nil {
		return err
	}
	if w.now.Load() != begun {
		begun = duringMistake
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	kept[key] = written{begun, value}
	w.count.Add(1)
	return nil
}

func (w *writers) acknowledged() int64 { return w.count.Load() }

// phase is what writes belong to from now on.
func (w *writers) phase(t *testing.T, p int32) {
	t.Helper()
	w.now.Store(p)
}

// await waits until so many more writes of each kind are acknowledged.
func (w *writers) await(t *testing.T, more int) {
	t.Helper()
	sizes := func() (puts, events int, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.puts), len(w.events), w.problem
	}
	puts, events, _ := sizes()
	eventually(t, fmt.Sprintf("%d more writes", more), func(context.Context) error {
		p, e, err := sizes()
		if err != nil {
			t.Fatalf("a write failed: %v", err)
		}
		if p < puts+more || e < events+more {
			return fmt.Errorf("there are %d of the API and %d events", p-puts, e-events)
		}
		return nil
	})
}

// stop ends the writers. A write that it cuts off may have been made, and is not acknowledged.
func (w *writers) stop(t *testing.T) {
	t.Helper()
	w.cancel()
	w.all.Wait()
	if w.problem != nil {
		t.Fatalf("a write failed: %v", w.problem)
	}
}

// stored is what the databases have.
type stored struct {
	ratings     map[string]int    // by user
	films       map[string]string // titles
	deadLetters int
}

func readStored(t *testing.T, db *sql.DB) stored {
	t.Helper()
	s := stored{ratings: make(map[string]int), films: make(map[string]string)}
	rows, err := db.QueryContext(t.Context(), "SELECT user_id, value FROM movieexample_rating.ratings")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var user string
		var value int
		if err := rows.Scan(&user, &value); err != nil {
			t.Fatal(err)
		}
		s.ratings[user] = value
	}
	films, err := db.QueryContext(t.Context(), "SELECT id, title FROM movieexample_metadata.movies")
	if err != nil {
		t.Fatal(err)
	}
	defer films.Close()
	for films.Next() {
		var id, title string
		if err := films.Scan(&id, &title); err != nil {
			t.Fatal(err)
		}
		s.films[id] = title
	}
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM movieexample_rating.dead_letters").Scan(&s.deadLetters); err != nil {
		t.Fatal(err)
	}
	return s
}

// judgeRestored wants the instant before the mistake.
func (w *writers) judgeRestored(t *testing.T, s stored) {
	t.Helper()
	there, lost := 0, 0
	for user, put := range w.puts {
		value, ok := s.ratings[user]
		switch {
		case put.phase == beforeMistake && value != put.value:
			t.Errorf("%s is %d, %v, want %d", user, value, ok, put.value)
		case put.phase == beforeMistake:
			there++
		case put.phase == afterMistake && ok:
			t.Errorf("%s is there, which was written after the mistake", user)
		case put.phase == afterMistake:
			lost++
		}
	}
	again := 0
	for user := range w.events {
		if _, ok := s.ratings[user]; !ok {
			again++
		}
	}
	t.Logf("restored: %d ratings of the API until the mistake; %d after it are not there; %d of %d events will have to come from Kafka", there, lost, again, len(w.events))
	if there < 300 || lost < 100 || again < 100 {
		t.Error("that is too little to prove something")
	}
}

// awaitIngested waits until all events have been read.
func (w *writers) awaitIngested(t *testing.T, db *sql.DB) {
	t.Helper()
	eventually(t, "all events", func(ctx context.Context) error {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM movieexample_rating.ratings WHERE user_id LIKE 'event-%'").Scan(&n); err != nil {
			return err
		}
		if n < len(w.events) {
			return fmt.Errorf("there are %d of %d", n, len(w.events))
		}
		var dead int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM movieexample_rating.dead_letters").Scan(&dead); err != nil {
			return err
		}
		if dead < w.poison {
			return fmt.Errorf("there are %d of %d dead letters", dead, w.poison)
		}
		return nil
	})
}

// judgeAfterwards wants all events, once each, besides what was restored.
func (w *writers) judgeAfterwards(t *testing.T, s stored) {
	t.Helper()
	for user, event := range w.events {
		if value, ok := s.ratings[user]; value != event.value {
			t.Errorf("%s is %d, %v, want %d", user, value, ok, event.value)
		}
	}
	for user, put := range w.puts {
		if put.phase == beforeMistake && s.ratings[user] != put.value {
			t.Errorf("%s is %d, want %d", user, s.ratings[user], put.value)
		}
	}
	if unsure := s.deadLetters - w.poison; unsure < 0 || unsure > 1 { // one may have been cut off
		t.Errorf("there are %d dead letters, want %d", s.deadLetters, w.poison)
	}
	if len(s.films) != 23 {
		t.Errorf("there are %d films, want 23", len(s.films))
	}
	for id, title := range s.films {
		if film := w.films[id]; film.phase == beforeMistake && title != fmt.Sprintf("Film %d", film.value) {
			t.Errorf("film %s is %q, and its last title was Film %d", id, title, film.value)
		}
	}
}
