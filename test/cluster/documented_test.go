//go:build servers

package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

// TestDocumentedProcesses does what docs/operations.md says under "Several processes", on databases and users of deploy/mysql: it brings
// the schemas up to date and starts the services, on free ports. A film and a rating go through them.
func TestDocumentedProcesses(t *testing.T) {
	c := create(t, cluster.Config{Instances: map[string]int{"metadata": 0, "rating": 0, "movie": 0, "gateway": 0}, EmptyDatabases: true})
	dir := t.TempDir()
	for _, service := range []string{"metadata", "rating"} {
		database := "movieexample_" + service
		for name, user := range map[string]string{"-url": database, "-migrate-url": database + "_migrate"} {
			url := servers.MySQLURL(c.MariaDB.Address(), database, user, user+"-secret")
			if err := os.WriteFile(filepath.Join(dir, service+name), []byte(url+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	operator(t, documented(t, "migrate", " movieexample ", " "+c.Binary()+" ", "/run/secrets/", dir+"/"))

	file := filepath.Join(dir, "addresses.json")
	script := documented(t, "services", "movieexample serve ", c.Binary()+" serve ", "/run/secrets/", dir+"/",
		"127.0.0.1:8500", c.Consul.Address(), "kafka-1:9092,kafka-2:9092", strings.Join(c.Kafka.Bootstrap(), ","), "serve gateway", "serve gateway --addresses "+file)
	script = regexp.MustCompile(`127\.0\.0\.1:809\d\b`).ReplaceAllString(script, "127.0.0.1:0")
	script, started := regexp.MustCompile(`(?m)^(.* serve )(\w+)(.*)$`).ReplaceAllString(script, "$1$2 --listen-$2 127.0.0.1:0$3 &"), strings.Count(script, " serve ")
	if started != 4 {
		t.Fatalf("the block starts %d processes, want 4:\n%s", started, script)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script+"wait")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, cluster.Environment(), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the shell and what it started
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s", text)
		}
	})
	var addresses struct{ Gateway string }
	eventually(t, "the gateway", func(context.Context) error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &addresses)
	})
	eventually(t, "a film and a rating to be taken", func(ctx context.Context) error {
		if _, err := ask(ctx, http.MethodPut, addresses.Gateway+"/v1/movies/film", `{"title": "A Film"}`); err != nil {
			return err
		}
		_, err := ask(ctx, http.MethodPut, addresses.Gateway+"/v1/records/movie/film/ratings/alice", `{"value": 8}`)
		return err
	})
	eventually(t, "the rating to be shown", func(ctx context.Context) error {
		d, err := movie(ctx, addresses.Gateway, "film")
		if err == nil && (d.Rating.Votes != 1 || d.Status != "fresh") {
			err = fmt.Errorf("%+v", d)
		}
		return err
	})
}
