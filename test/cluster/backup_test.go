//go:build servers

package cluster_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

// TestRestoreToAPointInTime does what docs/operations.md says under "Backup of MariaDB": a dump and a copy of the binary log are
// made while films and ratings are written; then a user deletes ratings, unnoticed for a while; then the system is
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
