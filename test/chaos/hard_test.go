//go:build servers

package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

func (s *scene) acknowledgedSince(before, events int) error {
	if n := s.rig.ledger.Acknowledged() - before; n < events {
		return fmt.Errorf("%d of %d events are acknowledged", n, events)
	}
	return nil
}

// metric adds up a metric over the processes of a service that run.
func (s *scene) metric(service, name string) (sum float64) {
	s.Helper()
	for _, p := range s.rig.c.Of(service) {
		if p.Running() {
			m, err := p.Metrics(s.Context())
			if err != nil {
				s.Fatal(err)
			}
			sum += m.Sum(name)
		}
	}
	return sum
}

// session is that of the rating service in its consumer group.
const session = 10 * time.Second

// zombie freezes a process of the rating service until others have its partitions and have gone on, and thaws it: what it had read
// and not yet written has been ingested by others, and its transactions have to find that out.
func zombie(s *scene) {
	processes := s.rig.c.Of("rating")
	fenced := s.metric("rating", "movieexample_rating_ingest_fenced_batches_total")
	// A process that happens to be between two transactions when it is frozen has nothing to be fenced for: a few more are
	// frozen then, until one was in the middle of something.
	for n := 0; n < s.times || n < s.times+8 && s.metric("rating", "movieexample_rating_ingest_fenced_batches_total") <= fenced; n++ {
		s.let(s.rig.between(500*time.Millisecond, 2*time.Second))
		victim := processes[n%len(processes)]
		s.await(victim.Name+" to have a partition", func(context.Context) error {
			if !s.watch.holds(victim.PID()) {
				return errors.New("it has none")
			}
			return nil
		})
		// Half of the calls go to a process that does not answer, until it is found out.
		s.round([]kind{rate, rateDirect, chart}, func() time.Time {
			frozen := time.Now()
			s.must(victim.Pause())
			alive := func(pid int) bool { return pid != victim.PID() && s.rig.live(pid) }
			s.await("others to own what the frozen process had", func(context.Context) error { return s.watch.owned(frozen, alive) })
			owned, at, before := time.Since(frozen), time.Now(), s.watch.positions()
			s.await("ingestion by others", func(context.Context) error { return s.watch.moved(at, before) })
			s.report.add(s.fault+": taken over", map[string]time.Duration{"partitions owned": owned, "ingestion": time.Since(frozen)})
			if rest := session + time.Second - time.Since(frozen); rest > 0 {
				s.let(rest)
			}
			s.must(victim.Resume())
			return time.Now()
		})
	}
	if got := s.metric("rating", "movieexample_rating_ingest_fenced_batches_total"); got <= fenced {
		s.Errorf("movieexample_rating_ingest_fenced_batches_total is %v as before: no zombie tried to write", got)
	} else {
		s.Logf("%v batches were fenced", got-fenced)
	}
}

// rebalanceStorm lets a member join or leave the group every two seconds. They leave in good order, so nothing at all may fail.
func rebalanceStorm(s *scene) {
	var extra []*cluster.Process
	for range 2 {
		p, err := s.rig.c.Add("rating")
		s.must(err)
		extra = append(extra, p)
	}
	changes := s.watch.groupChanges()
	for n := range s.times {
		if n == 0 {
			s.traffic.open(time.Now(), nil)
		}
		next := time.Now().Add(2 * time.Second)
		// Join, join, leave, leave: each lives for four seconds.
		p := extra[n%2]
		if p.Running() {
			end, err := p.Stop()
			s.must(err)
			if end.Code != 0 || end.Signal != 0 {
				s.Errorf("%s ended with %s", p.Name, end)
			}
		} else {
			s.must(p.Start(s.Context()))
		}
		s.let(time.Until(next))
		s.struck++
	}
	s.traffic.close(time.Now())
	s.struck-- // the round below counts one
	s.round(nil, func() time.Time {
		for _, p := range extra {
			if p.Running() {
				_, err := p.Stop()
				s.must(err)
			}
		}
		return time.Now()
	})
	got := s.watch.groupChanges() - changes
	s.Logf("%d joins and leaves changed the group's members %d times", s.times, got)
	if got < s.times*3/4 { // one may come and go between two questions
		s.Errorf("the members of the group changed only %d times", got)
	}
}

// resets breaks connections in COMMIT, in turn before the server has it and after, and not too many at once.
type resets struct {
	mu            sync.Mutex
	next          time.Time // the earliest
	before, after int
}

const resetEvery = 300 * time.Millisecond

func (r *resets) verdict(d servers.Direction, b []byte) servers.Verdict {
	// A packet of its own: three bytes of length, one of sequence, the command for a query, its text.
	if d != servers.ToServer || !bytes.HasSuffix(b, []byte("\x00\x00\x00\x03COMMIT")) {
		return servers.Forward
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Before(r.next) {
		return servers.Forward
	}
	r.next = now.Add(resetEvery)
	if r.before <= r.after {
		r.before++
		return servers.ResetBefore
	}
	r.after++
	return servers.ResetAfter
}

// commitReset breaks connections to the database in COMMIT, until there were enough and ingestion was met as well. The services
// find out what became of it, so nothing fails.
func commitReset(s *scene) {
	proxy := s.rig.c.DatabaseProxy
	broken, before := proxy.Resets(), s.metric("rating", "movieexample_rating_ingest_retries_total")
	retries := 0.0
	r := &resets{}
	s.round(nil, func() time.Time {
		proxy.Watch(r.verdict)
		s.await("resets in COMMIT", func(context.Context) error {
			if n := proxy.Resets() - broken; n < s.times {
				return fmt.Errorf("%d of %d connections were reset", n, s.times)
			}
			if retries = s.metric("rating", "movieexample_rating_ingest_retries_total") - before; retries == 0 {
				return errors.New("ingestion has repeated no transaction")
			}
			return nil
		})
		proxy.Watch(nil)
		return time.Now()
	})
	s.struck = proxy.Resets() - broken
	s.Logf("%d connections were reset before COMMIT reached the server, %d after; ingestion repeated %v transactions",
		r.before, r.after, retries)
}

// diskFull fills the disk of the database until writes are refused, and frees it. Reads go on, unless the server gives up; then it
// is started again.
func diskFull(s *scene) {
	db := s.rig.c.MariaDB
	for range s.times {
		s.round(writes(), func() time.Time {
			noted := s.logged("rating", fullText)
			s.must(s.rig.disk.Fill())
			s.await("the full disk to be noticed", func(context.Context) error {
				if db.Running() && s.logged("rating", fullText) == noted {
					return errors.Join(errors.New("nobody says that the disk is full"), s.rig.disk.Fill()) // what has become free since
				}
				return nil
			})
			s.let(3 * time.Second)
			s.must(s.rig.disk.Free())
			freed := time.Now()
			if !db.Running() {
				s.Log("MariaDB ended itself")
				s.traffic.excuse(reads())
				s.must(db.Start(s.Context()))
			}
			return freed
		})
	}
	lines := s.logged("rating", fullText)
	s.Logf("the rating service said %d times that the disk is full", lines)
}

// fullText is what MariaDB says of a table that cannot grow, and InnoDB of its disk.
const fullText = "is full"

// logged counts the lines of a service's processes that have a text.
func (s *scene) logged(service, text string) (n int) {
	s.Helper()
	for _, p := range s.rig.c.Of(service) {
		log, err := p.Log()
		s.must(err)
		n += strings.Count(log, text)
	}
	return n
}
