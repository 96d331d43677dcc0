//go:build servers

package cluster_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // for a stranger's login

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

// TestChangeDatabasePassword does what docs/operations.md says under "Changing passwords" while ratings and films are written. The
// services make a new connection every half second. No request fails, and at the end the old password opens nothing.
func TestChangeDatabasePassword(t *testing.T) {
	c := create(t, cluster.Config{Instances: small(), StaticDiscovery: true})
	host, port, _ := strings.Cut(c.MariaDB.Address(), ":")
	etc := t.TempDir()
	admin := fmt.Sprintf("[client]\nhost = %s\nport = %s\nuser = root\n", host, port)
	if err := os.WriteFile(filepath.Join(etc, "admin.cnf"), []byte(admin), 0o600); err != nil {
		t.Fatal(err)
	}
	const oldPassword, newPassword = "movieexample_rating-secret", "another secret"
	file := filepath.Join(c.Dir(), "rating-1", "database-url")
	url := servers.MySQLURL(c.MariaDB.Address(), "movieexample_rating", "movieexample_rating", oldPassword) + "?conn_lifetime=500ms"
	if err := os.WriteFile(file, []byte(url), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Launch(); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitIngestion(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := startWriters(t, c)
	w.await(t, 20)

	// newConnections waits until no connection of the service is older than now.
	newConnections := func() {
		t.Helper()
		var newest int64
		row := c.MariaDB.Root().QueryRowContext(t.Context(), "SELECT MAX(id) FROM information_schema.processlist")
		if err := row.Scan(&newest); err != nil {
			t.Fatal(err)
		}
		eventually(t, "new connections", func(ctx context.Context) error {
			var older, all int
			row := c.MariaDB.Root().QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(id <= ?), 0) FROM information_schema.processlist WHERE user = 'movieexample_rating'", newest)
			if err := row.Scan(&all, &older); err != nil {
				return err
			}
			if all == 0 || older > 0 {
				return fmt.Errorf("%d of %d are older", older, all)
			}
			return nil
		})
	}
	logsIn := func(password string) error {
		db, err := sql.Open("mysql", "movieexample_rating:"+password+"@tcp("+c.MariaDB.Address()+")/movieexample_rating")
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(t.Context())
	}
	block := func(name string) string {
		script := documented(t, name, "NEW-PASSWORD", newPassword)
		return strings.NewReplacer("/etc/movieexample/", etc+"/", "OLD-PASSWORD", oldPassword, "db.example:3306", c.MariaDB.Address(), "/run/secrets/rating-url", file,
			":"+newPassword+"@", ":another%20secret@").Replace(script)
	}

	operator(t, block("both"))
	if err := errors.Join(logsIn(oldPassword), logsIn(newPassword)); err != nil {
		t.Fatalf("one of two passwords is refused: %v", err)
	}
	newConnections()
	w.await(t, 20)
	operator(t, strings.ReplaceAll(block("url"), "/movieexample_rating'", "/movieexample_rating?conn_lifetime=500ms'"))
	newConnections()
	operator(t, block("new"))
	newConnections()
	w.await(t, 50)
	newConnections()
	if logsIn(oldPassword) == nil {
		t.Error("the old password still opens the database")
	}
	w.stop(t) // which fails the test when one write has failed
	w.awaitIngested(t, c.MariaDB.Root())
	// A process that starts now has the new one.
	if err := c.Process("rating-1").Restart(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestChangeKafkaPassword does the same for the user of the brokers: events that come afterwards are ingested, by the process that
// runs.
func TestChangeKafkaPassword(t *testing.T) {
	s := startSecured(t)
	file := s.file(t, "kafka-rating", "secret=1\n")
	p, address, admin := s.serve(t, "rating", "rating", []string{"MOVIEEXAMPLE_RATING_KAFKA_PASSWORD_FILE=" + file},
		"--config", s.file(t, "movieexample.yaml", s.configuration("rating")))
	films := s.file(t, "kafka-films", "secret=2\n")
	publish := func(name string) {
		t.Helper()
		args := s.manual.command(t, "publish events.jsonl", "--kafka-brokers", s.Bootstrap()[0], "--kafka-ca-file", s.TLS.CAFile, "--kafka-password-file", films)
		args[1] = s.file(t, name+".jsonl", events(name, 100))
		s.succeeds(t, args...)
	}
	publish("before")
	s.ingested(t, address, admin, "rating", 100)

	script := documented(t, "scram", "NEW-PASSWORD", "changed=1")
	commands, tool, found := strings.Cut(strings.ReplaceAll(script, "/run/secrets/kafka-rating", file), "kafka-configs.sh --bootstrap-server kafka-1:9093 --command-config admin.properties ")
	if !found {
		t.Fatalf("the block has no kafka-configs.sh:\n%s", script)
	}
	operator(t, commands)
	if _, err := s.Tool(t.Context(), "kafka.admin.ConfigCommand", strings.Fields(strings.ReplaceAll(tool, "'", ""))...); err != nil {
		t.Fatal(err)
	}
	// The brokers end all connections, so that each is made again with a password.
	pid := p.PID()
	if err := s.Brokers[0].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish("after")
	s.ingested(t, address, admin, "rating", 200)
	if p.PID() != pid || !p.Running() {
		t.Error("the process was started again")
	}
	t.Logf("%d logins were refused", s.refusedLogins(t))
}
