//go:build servers

package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

// laptop is one process as docs/operations.md starts it, with its own directories in the place of the system's.
type laptop struct {
	root string // for /var/lib/movieexample, /run, /var/backups
	env  []string
	*servers.Process
}

// newLaptop puts the program on the PATH, as an operator has it, and starts nothing yet.
func newLaptop(t *testing.T) *laptop {
	t.Helper()
	binary, err := cluster.Build()
	if err != nil {
		t.Fatal(err)
	}
	l := &laptop{root: t.TempDir()}
	for _, dir := range []string{"bin", "run", "backups"} {
		if err := os.Mkdir(filepath.Join(l.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary, filepath.Join(l.root, "bin", "movieexample")); err != nil {
		t.Fatal(err)
	}
	l.env = append(cluster.Environment(), "PATH="+filepath.Join(l.root, "bin")+":"+os.Getenv("PATH"))
	listening := l.env
	for _, listener := range []string{"GATEWAY", "METADATA", "RATING", "MOVIE", "KAFKA", "ADMIN"} {
		listening = append(listening, "MOVIEEXAMPLE_LISTEN_"+listener+"=127.0.0.1:0")
	}
	l.Process = servers.NewProcess(servers.Program{
		Name: "movieexample", Path: "/bin/bash", Args: []string{"-euc", "exec " + strings.TrimSpace(l.block(t, "start"))}, Env: listening, Log: filepath.Join(l.root, "log"),
		Ready: func(ctx context.Context) error {
			var a struct{ PID int }
			if err := l.addresses(&a); err != nil || a.PID != l.PID() {
				return fmt.Errorf("the addresses are of pid %d, %v", a.PID, err)
			}
			return nil
		},
	})
	t.Cleanup(func() {
		if log, err := l.Log(); t.Failed() && err == nil {
			t.Logf("log:\n%s", log)
		}
		if l.PID() != 0 && l.Running() {
			if err := l.Kill(); err != nil {
				t.Error(err)
			}
		}
	})
	return l
}

// block is a documented block, in the laptop's directories.
func (l *laptop) block(t *testing.T, name string, change ...string) string {
	t.Helper()
	return strings.NewReplacer("/var/lib/movieexample", filepath.Join(l.root, "data"), "/var/backups/movieexample", filepath.Join(l.root, "backups"),
		"/run/movieexample.json", filepath.Join(l.root, "run", "movieexample.json")).Replace(documented(t, name, change...))
}

// does runs a documented block and returns what it prints.
func (l *laptop) does(t *testing.T, name string, change ...string) string {
	t.Helper()
	return operatorIn(t, l.root, l.env, l.block(t, name, change...))
}

func (l *laptop) addresses(v any) error {
	text, err := os.ReadFile(filepath.Join(l.root, "run", "movieexample.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// start starts the process and reads its addresses.
func (l *laptop) start(t *testing.T, at any) {
	t.Helper()
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.addresses(at); err != nil {
		t.Fatal(err)
	}
}

func (l *laptop) stop(t *testing.T) {
	t.Helper()
	if end, err := l.Terminate(25 * time.Second); err != nil || end != (servers.End{Took: end.Took}) {
		t.Fatalf("stop: %s, %v", end, err)
	}
}

// TestOneProcess does what docs/operations.md says about one process, in the order of the text: start, backup while films are rated,
// restore of it, halted partitions, dead letters, and a move to MariaDB and back. What is said to be there afterwards is.
func TestOneProcess(t *testing.T) {
	l := newLaptop(t)
	var at struct{ Gateway, Rating, Kafka string }
	l.start(t, &at)
	rate := func(user string) {
		t.Helper()
		if _, err := ask(t.Context(), http.MethodPut, at.Gateway+"/v1/records/movie/heat/ratings/"+user, `{"value": 9}`); err != nil {
			t.Fatal(err)
		}
	}
	votes := func(want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d votes", want), func(ctx context.Context) error {
			d, err := movie(ctx, at.Gateway, "heat")
			if err != nil || d.Rating.Votes != want {
				return fmt.Errorf("%d, %v", d.Rating.Votes, err)
			}
			return nil
		})
	}
	send := func(values ...string) {
		t.Helper()
		client, err := kgo.NewClient(kgo.SeedBrokers(at.Kafka), kgo.DefaultProduceTopic(cluster.Topic), kgo.RecordDeliveryTimeout(patience))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for _, v := range values {
			if err := client.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := ask(t.Context(), http.MethodPut, at.Gateway+"/v1/movies/heat", `{"title": "Heat"}`); err != nil {
		t.Fatal(err)
	}
	event := func(user string) string {
		return fmt.Sprintf(`{"userId":%q,"recordId":"heat","recordType":"movie","value":4}`, user)
	}
	for n := range 20 {
		rate(fmt.Sprintf("before-%d", n))
	}
	send(event("event-1"), event("event-2"), "no event")
	votes(22)

	// The whole directory, put back after others have been written.
	l.stop(t)
	l.does(t, "copy all")
	l.start(t, &at)
	rate("lost")
	send(event("lost-too"))
	votes(24)
	l.stop(t)
	if err := os.RemoveAll(filepath.Join(l.root, "data")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(l.root, "backups", "all"), filepath.Join(l.root, "data")); err != nil {
		t.Fatal(err)
	}
	l.start(t, &at)
	send(event("event-0")) // which is ingested, so no partition is halted
	votes(23)

	// Backup while it is written to.
	ctx, cancel := context.WithCancel(t.Context())
	meanwhile := make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			_, err := ask(ctx, http.MethodPut, fmt.Sprintf("%s/v1/records/movie/heat/ratings/during-%d", at.Gateway, n), `{"value": 9}`)
			if ctx.Err() != nil {
				meanwhile <- nil
				return
			} else if err != nil {
				meanwhile <- err
				return
			}
		}
	}()
	l.does(t, "sqlite backup")
	cancel()
	if err := <-meanwhile; err != nil {
		t.Error(err)
	}
	send(event("event-3")) // after the backup: to be published again
	l.stop(t)

	l.does(t, "sqlite restore")
	l.start(t, &at)
	eventually(t, "ingestion to halt", func(ctx context.Context) error {
		out := operatorIn(t, l.root, l.env, "movieexample ingestion list --rating-addr "+at.Rating+" || true")
		if !strings.Contains(out, "HALTED") {
			return fmt.Errorf("it says\n%s", out)
		}
		return nil
	})
	if got := l.does(t, "sqlite resume"); !strings.Contains(got, "0 differences") {
		t.Errorf("the audit says\n%s", got)
	}
	d, err := movie(t.Context(), at.Gateway, "heat")
	if err != nil || d.Rating.Votes < 23 || d.Title != "Heat" {
		t.Fatalf("restored is %+v, %v, want at least the 23 ratings of before the backup", d, err)
	}
	send(event("event-3"))
	votes(d.Rating.Votes + 1)

	// The dead letter was in the backup.
	list := l.does(t, "dead letters", "rating-1:8082", at.Rating, "--all      #", "--all || [ $? = 3 ] #")
	if !strings.Contains(list, "no event") && !strings.Contains(list, "not-json") {
		t.Errorf("the dead letters are\n%s", list)
	}
	if left := operatorIn(t, l.root, l.env, "movieexample dead-letters list --rating-addr "+at.Rating); strings.Contains(left, "not-json") {
		t.Errorf("after dropping all there are\n%s", left)
	}
	l.stop(t)

	// To MariaDB, and back.
	m, err := servers.StartMariaDB(t.Context(), servers.MariaDBConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, service := range []string{"metadata", "rating"} {
		if err := m.Exec(t.Context(), deployed(t, service, "secret")); err != nil {
			t.Fatal(err)
		}
	}
	there := l.does(t, "copy", "db.example:3306", m.Address(), "PASSWORD", "secret-too")
	t.Logf("to MariaDB:\n%s", there)
	var copied int
	if err := m.Root().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM movieexample_rating.ratings").Scan(&copied); err != nil || copied != d.Rating.Votes+1 {
		t.Errorf("%d ratings on MariaDB, %v, want %d", copied, err, d.Rating.Votes+1)
	}
	for _, service := range []string{"metadata", "rating"} {
		if err := os.RemoveAll(filepath.Join(l.root, "data", service)); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(l.root, "data", service), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("and back:\n%s", l.does(t, "copy back"))
	l.start(t, &at)
	votes(d.Rating.Votes + 1)
	if err := l.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if end, err := l.AwaitEnd(time.Now(), 25*time.Second); err != nil || end.Code != 0 {
		t.Errorf("end: %s, %v", end, err)
	}
}
