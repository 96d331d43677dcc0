//go:build servers

package test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

// TestComposeDatabases runs what the database's container runs at its first start, on a real server, with the secrets of
// secrets.sh: then the migrations and the services get in with theirs.
func TestComposeDatabases(t *testing.T) {
	bin, err := cluster.Build()
	if err != nil {
		t.Fatal(err)
	}
	db, err := servers.StartMariaDB(t.Context(), servers.MariaDBConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	host, port, err := net.SplitHostPort(db.Address())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	secrets := filepath.Join(dir, "secrets")
	if out, err := exec.CommandContext(t.Context(), "../deploy/secrets.sh", secrets).CombinedOutput(); err != nil {
		t.Fatalf("make secrets: %v\n%s", err, out)
	}
	mysql, err := filepath.Abs("../deploy/mysql")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../deploy/compose/databases.sh")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "databases.sh")
	if err := os.WriteFile(script, []byte(strings.NewReplacer("/run/secrets", secrets, "/movieexample/mysql", mysql).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	// As the image's entrypoint: with its function, and an end at the first error.
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
		`docker_process_sql() { mariadb --no-defaults --protocol=tcp -h "$HOST" -P "$PORT" -u root; }; . "$SCRIPT"`)
	shell.Env = append(os.Environ(), "HOST="+host, "PORT="+port, "SCRIPT="+script)
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("make the databases: %v\n%s", err, out)
	}
	for _, service := range []string{"metadata", "rating"} {
		for _, step := range []struct{ secret, command string }{
			{service + "_migrate_url", "up"},
			{service + "_url", "status"}, // with the rights of the service
		} {
			url, err := os.ReadFile(filepath.Join(secrets, step.secret))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, step.secret)
			if err := os.WriteFile(file, []byte(strings.Replace(string(url), "@mysql:3306/", "@"+db.Address()+"/", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), bin, "migrate", step.command, service)
			cmd.Env = append(cluster.Environment(), "MOVIEEXAMPLE_DATABASE_FILE="+file)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("migrate %s %s: %v\n%s", step.command, service, err, out)
			}
		}
	}
}
