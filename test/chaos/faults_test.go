//go:build servers

package chaos_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"movieexample.com/test/cluster"
)

var (
	chaosFull  = flag.Bool("chaos.full", false, "the full form: about half an hour")
	chaosSeed  = flag.Uint64("chaos.seed", 0, "seed of the load and of the faults; 0 takes a new one")
	chaosOther = flag.String("chaos.other", "", "another version of the program, run by the second process of each service")
	logsDir    = flag.String("chaos.logs", "", "directory for the logs of runs that failed; empty is that for temporary files")
)

// fault is a kind of fault.
type fault struct {
	name  string
	setup setup
	// short and full are how often it happens at least.
	short, full int
	// events per second; 0 is 300.
	events int
	// heavy load: as many requests as go, each with one try.
	heavy bool
	// logInDanger: brokers are broken.
	logInDanger bool
	play        func(s *scene)
}

func (f fault) times() int {
	if *chaosFull {
		return f.full
	}
	return f.short
}

func (f fault) weight() weight {
	w := weight{readers: 3, raters: 4, pause: 15 * time.Millisecond, events: 300}
	if f.events > 0 {
		w.events = f.events
	}
	if f.heavy {
		w.readers, w.raters, w.pause, w.once = 6, 4, 0, true
	}
	return w
}

// faults in the order in which they share clusters.
func faults() []fault {
	brokers := 1
	if *chaosFull {
		brokers = 3
	}
	whole, fragile := setup{brokers: brokers}, setup{brokers: 1, fragile: true}
	return []fault{
		{name: "rating_kill", setup: whole, short: 4, full: 50, events: 700, play: ratingKill},
		{name: "metadata_kill", setup: whole, short: 1, full: 10, play: oneKill("metadata", edit, editDirect)},
		{name: "movie_kill", setup: whole, short: 1, full: 10, play: oneKill("movie", edit)},
		{name: "gateway_kill", setup: whole, short: 1, full: 10, play: oneKill("gateway", rate, edit)},
		{name: "mariadb_kill", setup: whole, short: 1, full: 10, play: mariadbKill},
		{name: "mariadb_pause", setup: whole, short: 1, full: 1, play: mariadbPause},
		{name: "mariadb_restart", setup: whole, short: 1, full: 2, play: mariadbRestart},
		{name: "kafka_kill", setup: whole, short: 1, full: 10, logInDanger: true, play: kafkaKill},
		{name: "kafka_pause", setup: whole, short: 1, full: 3, logInDanger: true, play: kafkaPause},
		{name: "consul_kill", setup: whole, short: 1, full: 3, play: consulKill},
		{name: "zombie", setup: whole, short: 2, full: 10, play: zombie},
		{name: "rebalance_storm", setup: whole, short: 6, full: 50, play: rebalanceStorm},
		{name: "rolling_restart", setup: whole, short: 8, full: 24, heavy: true, play: rollingRestart},
		{name: "future_schema", setup: whole, short: 4, full: 4, play: futureSchema},
		{name: "commit_reset", setup: fragile, short: 6, full: 20, play: commitReset},
		{name: "disk_full", setup: fragile, short: 1, full: 3, events: 1500, play: diskFull},
	}
}

// TestFaults plays each kind of fault; -run TestFaults/NAME plays one.
func TestFaults(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (again with -args -chaos.seed=%d)", seed, seed)
	rs := &rigs{binary: build(t), seed: seed}
	rep := newReport()
	t.Cleanup(func() { rs.drop(t) })
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) { rs.run(t, f, rep) })
	}
	t.Logf("longest time, in seconds, from the fault (or from its end, where it was made to last) until each kind of traffic succeeded for good:\n%s\n%s", rep, rep.missed())
}

// kill ends processes at once with SIGKILL and starts them again.
func (s *scene) kill(victims ...*cluster.Process) (since time.Time) {
	pids := make([]int, len(victims))
	for i, p := range victims {
		pids[i] = p.PID()
		s.must(p.Kill())
	}
	since = time.Now()
	for i, p := range victims {
		if p.Running() || p.PID() != pids[i] {
			s.Fatalf("%s was not killed", p.Name)
		}
		s.must(p.Launch())
		if p.PID() == pids[i] {
			s.Fatalf("%s has the process id of its life before", p.Name)
		}
	}
	return since
}

// ratingKill kills the rating service's processes in the middle of ingestion: one, the other, or both. In the full form the kills
// are spread over 200,000 events.
func ratingKill(s *scene) {
	events := 0
	if *chaosFull {
		events = 200_000
	}
	before := s.rig.ledger.Acknowledged()
	processes := s.rig.c.Of("rating")
	for kills := 0; kills < s.times; {
		s.await("events", func(context.Context) error { return s.acknowledgedSince(before, events*kills/s.times) })
		s.await("both processes to have partitions", func(context.Context) error {
			for _, p := range processes {
				if !s.watch.holds(p.PID()) {
					return errors.New(p.Name + " has none")
				}
			}
			return nil
		})
		s.let(s.rig.between(0, 2*time.Second))
		n := kills % 4
		switch {
		case n == 3 || kills+2 > s.times:
			s.round([]kind{rate, rateDirect}, func() time.Time { return s.kill(processes[kills%2]) })
			kills++
		case n == 2:
			s.round([]kind{rate, rateDirect}, func() time.Time { return s.kill(processes[1]) })
			kills++
		default:
			s.round([]kind{rate, rateDirect, chart}, func() time.Time { return s.kill(processes...) })
			kills += 2
			s.struck++
		}
	}
	s.await("events", func(context.Context) error { return s.acknowledgedSince(before, events) })
}

// oneKill kills one process of a service, whose other one continues.
func oneKill(service string, harmed ...kind) func(s *scene) {
	return func(s *scene) {
		processes := s.rig.c.Of(service)
		for n := range s.times {
			s.let(s.rig.between(200*time.Millisecond, 1500*time.Millisecond))
			s.round(harmed, func() time.Time { return s.kill(processes[n%len(processes)]) })
		}
	}
}

// everything but events: what the outage of a database harms.
func butEvents() []kind { return append(reads(), writes()...) }

func mariadbKill(s *scene) {
	db := s.rig.c.MariaDB
	for range s.times {
		s.let(s.rig.between(500*time.Millisecond, 2*time.Second))
		s.round(butEvents(), func() time.Time {
			pid := db.PID()
			s.must(db.Kill())
			since := time.Now()
			s.let(s.rig.between(0, time.Second))
			s.must(db.Start(s.Context()))
			if db.PID() == pid {
				s.Fatal("MariaDB was not killed")
			}
			return since
		})
	}
}

// mariadbPause freezes the database for longer than any request waits.
func mariadbPause(s *scene) {
	frozen := 6 * time.Second
	if *chaosFull {
		frozen = 30 * time.Second
	}
	db := s.rig.c.MariaDB
	for range s.times {
		s.round(butEvents(), func() time.Time {
			s.must(db.Pause())
			from, _ := s.traffic.total()
			before := s.watch.positions()
			s.let(frozen)
			after := s.watch.positions()
			if n, _ := s.traffic.total(); n == from && *chaosFull {
				s.Error("no request ended while the database was frozen")
			}
			for p, next := range after {
				if next != before[p] {
					s.Errorf("partition %d moved while the database was frozen", p)
				}
			}
			s.must(db.Resume())
			return time.Now()
		})
	}
}

func mariadbRestart(s *scene) {
	db := s.rig.c.MariaDB
	for range s.times {
		s.let(s.rig.between(500*time.Millisecond, time.Second))
		s.round(butEvents(), func() time.Time {
			pid, since := db.PID(), time.Now()
			s.must(db.Restart(s.Context()))
			if db.PID() == pid {
				s.Fatal("MariaDB was not restarted")
			}
			return since
		})
	}
}

// kafkaKill kills brokers: the only one, or one of three in turn. Nothing may fail: reads and synchronous writes need no Kafka, and
// events wait.
func kafkaKill(s *scene) {
	brokers := s.rig.c.Kafka.Brokers
	for n := range s.times {
		b := brokers[n%len(brokers)]
		s.let(s.rig.between(500*time.Millisecond, 2*time.Second))
		s.round(nil, func() time.Time {
			pid := b.PID()
			s.must(b.Kill())
			since := time.Now()
			s.must(b.Launch())
			if b.PID() == pid {
				s.Fatal("the broker was not killed")
			}
			return since
		})
		// The next one is killed when this one has all records again: events must have two brokers.
		s.must(b.AwaitReady(s.Context()))
		s.await("all replicas", s.rig.replicated)
	}
}

// kafkaPause freezes a broker for longer than its own session with the others and that of its clients.
func kafkaPause(s *scene) {
	brokers := s.rig.c.Kafka.Brokers
	for n := range s.times {
		s.let(s.rig.between(500*time.Millisecond, 2*time.Second))
		s.round(nil, func() time.Time {
			b := brokers[n%len(brokers)]
			s.must(b.Pause())
			from := s.rig.ledger.Acknowledged()
			s.let(12 * time.Second)
			if n := s.rig.ledger.Acknowledged(); len(brokers) == 1 && n > from+1000 {
				s.Errorf("%d events were acknowledged by a broker that is frozen", n-from)
			}
			s.must(b.Resume())
			return time.Now()
		})
	}
}

// consulKill ends the registry for a while: who is known stays known.
func consulKill(s *scene) {
	consul := s.rig.c.Consul
	for range s.times {
		s.let(s.rig.between(200*time.Millisecond, time.Second))
		s.round(nil, func() time.Time {
			pid := consul.PID()
			s.must(consul.Kill())
			s.let(5 * time.Second)
			s.must(consul.Start(s.Context()))
			if consul.PID() == pid {
				s.Fatal("Consul was not killed")
			}
			return time.Now()
		})
	}
}
