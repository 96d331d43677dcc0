//go:build servers

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"movieexample.com/test/cluster"
)

// callers ask at the same time, each after its last answer.
const callers = 16

// TestLogOfAnOutage: the database goes away, then it refuses the login, then Kafka goes away, while many requests come. The log of
// each process says each time what it is, and when it is over; the same line comes at once and then every 30 seconds.
func TestLogOfAnOutage(t *testing.T) {
	c := start(t, cluster.Config{Instances: small(), StaticDiscovery: true})
	visitors(t, c)
	failed := crowd(t, c)
	eventually(t, "ingestion", func(ctx context.Context) error {
		m, err := c.Process("rating-1").Metrics(ctx)
		if n := m.Sum("movieexample_rating_ingest_records_total"); err == nil && n < 20 {
			err = fmt.Errorf("%v events are ingested", n)
		}
		return err
	})
	read := make(map[string]int) // how much of each log is of earlier outages
	part := func(p *cluster.Process) (string, error) {
		log, err := p.Log()
		return log[min(read[p.Name], len(log)):], err
	}
	says := func(process string, parts ...string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%q in the log of %s", parts, process), func(context.Context) error {
			log, err := part(c.Process(process))
			if err == nil && !anyLine(log, parts...) {
				err = errors.New(log)
			}
			return err
		})
	}
	outage := func(name string, begin, end func() error, requests int64, during, after func()) {
		t.Helper()
		for _, p := range c.Processes() {
			log, err := p.Log()
			if err != nil {
				t.Fatal(err)
			}
			read[p.Name] = len(log)
		}
		began, before := time.Now(), failed.Load()
		if err := begin(); err != nil {
			t.Fatal(err)
		}
		during()
		eventuallyWithin(t, 2*time.Minute, fmt.Sprintf("%d failures when %s", requests, name), func(context.Context) error {
			if n := failed.Load() - before; n < requests {
				return fmt.Errorf("there are %d", n)
			}
			return nil
		})
		if err := end(); err != nil {
			t.Fatal(err)
		}
		after()
		// Which kinds of lines there are depends on what is tried, and how often each comes on the time.
		kinds, each := 16, 2+int(time.Since(began)/(30*time.Second))
		for _, p := range c.Processes() {
			log, err := part(p)
			if err != nil {
				t.Fatal(err)
			}
			lines := troubles(log)
			total := 0
			for kind, n := range lines {
				total += n
				if strings.Contains(kind, "slow call") && strings.Contains(kind, "code=OK") && n <= callers {
					continue // each says that a caller who waited was served in the end
				}
				if n > each && !strings.Contains(kind, "waiting for the database") || n > 4*each { // texts that take turns
					t.Errorf("when %s: %s has %d lines in %s like this: %s", name, p.Name, n, time.Since(began).Round(time.Second), kind)
				}
			}
			if total > kinds*each {
				t.Errorf("when %s: %s has %d lines: %v", name, p.Name, total, lines)
			}
		}
	}
	once := func(process, text string) {
		t.Helper()
		says(process, text)
		if log, err := part(c.Process(process)); err != nil || strings.Count(log, text) != 1 {
			t.Errorf("%s says %d times %q, %v", process, strings.Count(log, text), text, err)
		}
	}
	recovered := func() {
		t.Helper()
		once("metadata-1", "search index follows the catalogue again")
		once("rating-1", "the database is available again; ingestion resumed")
		says("movie-1", "level=INFO", "metadata service is back")
	}
	address := c.MariaDB.Address()

	outage("the database is down", c.MariaDB.Stop, func() error { return c.MariaDB.Start(t.Context()) }, 200, func() {
		says("metadata-1", "level=ERROR", "search index cannot read the catalogue; it answers as of the last success and retries", address)
		says("metadata-1", "level=WARN", "the catalogue's database is busy or was lost: nothing was written; retry", address, "connection refused")
		says("rating-1", "level=WARN", "ingestion is waiting for the database; retrying", address, "connection refused")
		says("movie-1", "level=WARN", "metadata service cannot be reached, movies are answered as they were last known")
		says("gateway-1", "level=WARN", "status=503", "the catalogue's database is busy or was lost")
	}, recovered)

	logins := func(password func(user string) string) error {
		var statements strings.Builder
		for _, user := range []string{"movieexample_metadata", "movieexample_rating"} {
			fmt.Fprintf(&statements, "ALTER USER '%s'@'%%' IDENTIFIED BY '%s';", user, password(user))
		}
		return c.MariaDB.Exec(t.Context(), statements.String())
	}
	outage("the login is refused", func() error {
		if err := logins(func(string) string { return "another" }); err != nil {
			return err
		}
		return c.MariaDB.Restart(t.Context()) // no connection stays
	}, func() error {
		return logins(func(user string) string { return user + "-secret" })
	}, 1000, func() {
		const remedy = "the server refuses the user or the password: check both; a password file is read again with every new connection"
		says("metadata-1", "level=WARN", "method=GetMovie", remedy, address)
		says("rating-1", "level=WARN", "ingestion is waiting for the database; retrying", remedy, address)
		says("gateway-1", "level=WARN", "status=503", remedy)
		says("gateway-1", "level=WARN", "suppressed=")
	}, recovered)

	outage("Kafka is down", c.Kafka.Stop, func() error { return c.Kafka.Brokers[0].Start(t.Context()) }, 0, func() {
		says("rating-1", "level=WARN", "reading rating events", c.Kafka.Bootstrap()[0], "connection refused")
	}, func() { once("rating-1", "reading rating events again") })
}

// troubles counts the warnings and errors of a log, by what they say and about which kind of request.
func troubles(log string) map[string]int {
	of := regexp.MustCompile(`(level=(?:WARN|ERROR)|msg=(?:"[^"]*"|\S+)| (?:method|route|code|status)=\S+)`)
	count := make(map[string]int)
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			count[strings.Join(of.FindAllString(line, -1), " ")]++
		}
	}
	return count
}

// crowd asks for films that are not known, and writes films and ratings, until the test ends. It counts what fails.
func crowd(t *testing.T, c *cluster.Cluster) *atomic.Int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	gateway, failed := c.Targets().Gateways[0], new(atomic.Int64)
	for w := range callers {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				method, path, body := http.MethodGet, fmt.Sprintf("/v1/movies/unknown-%d-%d", w, n), ""
				switch (w + n) % 4 {
				case 0:
					method, path, body = http.MethodPut, fmt.Sprintf("/v1/movies/new-%d-%d", w, n), `{"title": "A Film"}`
				case 1:
					method, path, body = http.MethodPut, fmt.Sprintf("/v1/records/movie/seen/ratings/user-%d-%d", w, n), `{"value": 7}`
				}
				if _, err := ask(ctx, method, gateway+path, body); err != nil && !strings.Contains(err.Error(), "404 Not Found") {
					failed.Add(1)
				}
			}
		})
	}
	return failed
}
