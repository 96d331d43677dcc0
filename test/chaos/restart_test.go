//go:build servers

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"movieexample.com/test/cluster"
)

// rollingRestart restarts all processes, one after the other, as docs/operations.md says: SIGTERM, wait for the end, start, wait
// for /readyz. No request may fail, and each has one try.
func rollingRestart(s *scene) {
	requests := 5_000
	if *chaosFull {
		requests = 50_000
	}
	s.traffic.open(time.Now(), nil)
	for s.struck < s.times {
		for _, p := range s.running() {
			s.restart(p)
			s.struck++
			s.await("requests", func(context.Context) error {
				if n, failed := s.traffic.total(); n < requests*s.struck/s.times && failed == 0 {
					return fmt.Errorf("%d requests so far", n)
				}
				return nil
			})
		}
	}
	s.traffic.close(time.Now())
	n, failed := s.traffic.total()
	s.Logf("%d requests while %d processes were restarted; %d requests failed", n, s.struck, failed)
	if n < requests {
		s.Errorf("there were %d requests, want %d", n, requests)
	}
}

// running are the processes that run, callees first.
func (s *scene) running() []*cluster.Process {
	return slices.DeleteFunc(s.rig.c.Processes(), func(p *cluster.Process) bool { return !p.Running() })
}

// restart restarts a process in good order, and wants another one afterwards.
func (s *scene) restart(p *cluster.Process) {
	s.Helper()
	pid := p.PID()
	s.must(p.Restart(s.Context()))
	if p.PID() == pid {
		s.Fatalf("%s was not restarted", p.Name)
	}
}

// futureSchema applies, under load, migrations that a later release might have, and then restarts today's binary on what there
// is: it says that the schema is newer, and everything holds. It cannot be undone, so it is a cluster's last fault but
// those that do not care.
func futureSchema(s *scene) {
	processes := slices.DeleteFunc(s.running(), func(p *cluster.Process) bool { return p.Service != "rating" && p.Service != "metadata" })
	read := map[string]int{}
	for _, p := range processes {
		log, err := p.Log()
		s.must(err)
		read[p.Name] = len(log)
	}
	s.round(nil, func() time.Time {
		for _, statement := range []string{
			"ALTER TABLE movieexample_rating.ratings ADD COLUMN device VARCHAR(40) NOT NULL DEFAULT 'unknown'",
			"CREATE TABLE movieexample_rating.reviews (id VARBINARY(64) NOT NULL, text MEDIUMTEXT NOT NULL, PRIMARY KEY (id)) ENGINE = InnoDB",
			"INSERT INTO movieexample_rating.goose_db_version (version_id, is_applied, tstamp) VALUES (9001, 1, 0)",
			"ALTER TABLE movieexample_metadata.movies ADD COLUMN poster VARCHAR(200) NOT NULL DEFAULT ''",
			"CREATE TABLE movieexample_metadata.posters (id VARBINARY(64) NOT NULL, picture MEDIUMBLOB NOT NULL, PRIMARY KEY (id)) ENGINE = InnoDB",
			"INSERT INTO movieexample_metadata.goose_db_version (version_id, is_applied, tstamp) VALUES (9001, 1, 0)",
		} {
			s.must(s.rig.c.MariaDB.Exec(s.Context(), statement))
		}
		for _, p := range processes {
			s.restart(p)
		}
		return time.Now()
	})
	s.struck = len(processes)
	for _, p := range processes {
		log, err := p.Log()
		if err == nil && !strings.Contains(log[read[p.Name]:], "database schema is newer than this program") {
			err = errors.New("it does not say that the schema is newer")
		}
		if err != nil {
			s.Errorf("%s: %v", p.Name, err)
		}
	}
	for table, column := range map[string]string{"movieexample_rating.ratings": "device", "movieexample_metadata.movies": "poster"} {
		n := 0
		err := s.rig.database().QueryRowContext(s.Context(), "SELECT COUNT(DISTINCT "+column+") FROM "+table).Scan(&n)
		if err != nil || n != 1 {
			s.Errorf("%s has %d different values in the new column (%v), want its default", table, n, err)
		}
	}
	s.let(2 * time.Second) // of load on the new schema, with all processes begun there
}
