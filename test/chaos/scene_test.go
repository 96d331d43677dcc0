//go:build servers

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/oracle"
)

// patience bounds what a run waits for; it is a bound for what hangs, not a measurement.
const patience = 2 * time.Minute

// scene is one run: a fault under load.
type scene struct {
	*testing.T
	*load
	rig    *rig
	watch  *watch
	report *report
	fault  string
	// times is how often the fault has to happen.
	times int
	// logInDanger: the log itself is read from its beginning at the end.
	logInDanger bool
	struck      int
}

// run plays a fault under load and judges what is there afterwards.
func (rs *rigs) run(t *testing.T, f fault, rep *report) {
	r := rs.get(t, f.setup)
	r.serial++
	s := &scene{T: t, rig: r, report: rep, fault: f.name, times: f.times(), logInDanger: f.logInDanger}
	t.Cleanup(func() {
		if t.Failed() {
			rs.drop(t) // what it left behind concerns no other test
		}
	})
	var err error
	if s.watch, err = r.startWatch(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.watch.stop)
	// Not the test's context: what is in flight when the test ends is finished.
	if s.load, err = r.startLoad(context.Background(), fmt.Sprintf("%s%d", strings.ReplaceAll(f.name, "_", "-"), r.serial), f.weight()); err != nil {
		t.Fatal(err)
	}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = s.stop() // of a run that failed already
		}
	})
	began := time.Now()
	s.await("traffic of every kind, and ingestion", func(context.Context) error {
		if err := s.watch.owned(began, r.live); err != nil {
			return err
		}
		return s.working(began, began)
	})
	f.play(s)
	took := time.Since(began)
	stopped = true
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.judge()
	t.Logf("%d times in %s: %s", s.struck, took.Round(time.Second), s.traffic.tally())
	if s.struck < s.times {
		t.Errorf("the fault happened %d times, want %d", s.struck, s.times)
	}
}

// judge compares what is stored with what was said.
func (s *scene) judge() {
	s.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(s.T.Context(), patience)
	defer cancel()
	o, err := s.rig.outcome(ctx, s.logInDanger)
	if err != nil {
		s.Fatal(err)
	}
	if found := s.rig.ledger.Check(o); len(found) > 0 {
		s.Errorf("%d violations:\n%s", len(found), found)
	}
	checked, differ, err := s.rig.audit(ctx)
	if err != nil {
		s.Error(err)
	}
	if len(differ) > 0 || checked < recordCount/2 {
		s.Errorf("the audit looked at %d records and found:\n%s", checked, oracle.Violations(differ))
	}
	if found := s.traffic.check(); len(found) > 0 {
		s.Errorf("%d failures of traffic:\n%s", len(found), found)
	}
	ratings, unknown, films, unknownFilms := s.rig.ledger.Counts()
	s.Logf("judged in %s, since the cluster's start: %d records in the log, %d of them poison, %d rows; ratings of %d keys acknowledged synchronously, %d lost an answer; %d films, %d lost an answer",
		time.Since(began).Round(time.Millisecond), len(o.Log), len(o.Dead), len(o.Rows), ratings, unknown, films, unknownFilms)
}

// await asks until there is no error.
func (s *scene) await(what string, holds func(context.Context) error) {
	s.Helper()
	s.awaitFor(patience, what, holds)
}

func (s *scene) awaitFor(limit time.Duration, what string, holds func(context.Context) error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.Fatalf("waited %s for %s: %v", limit, what, err)
		}
	}
}

// let lets some time go by under load: not a wait for anything, but the time that a fault lasts or the moment it comes at.
func (s *scene) let(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.T.Context().Done():
	}
}

// must ends the run where something that the test itself does went wrong.
func (s *scene) must(errs ...error) {
	s.Helper()
	if err := errors.Join(errs...); err != nil {
		s.Fatal(err)
	}
}

// working returns what does not work again after a fault that was healed then.
func (s *scene) working(since, healed time.Time) error {
	for _, k := range kinds() {
		if k == publish && s.events == nil {
			continue
		}
		if _, again := s.traffic.works(k, since, healed); !again {
			return fmt.Errorf("%s does not work again; the last error was: %v", k, s.traffic.lastError(k))
		}
	}
	return nil
}

// round does the fault once: strike breaks something and heals it, and returns when it was broken or, where that lasted as long
// as the test wanted, when it was healed: recovery is measured from there. Only traffic of the kinds allowed may fail from
// before strike until everything works again.
func (s *scene) round(allow []kind, strike func() (since time.Time)) {
	s.Helper()
	s.traffic.open(time.Now(), allow)
	since := strike()
	healed := time.Now()
	took := map[string]time.Duration{}
	var before map[int32]int64 // what was committed when the fault came may be seen behind it
	mark := func(what string, err error) error {
		if _, done := took[what]; err == nil && !done {
			took[what] = time.Since(since)
		}
		return err
	}
	s.await("everything to work again after "+s.fault, func(ctx context.Context) error {
		if before == nil {
			before = s.watch.positionsAfter(since)
		}
		return errors.Join(
			mark("partitions owned", s.watch.owned(since, s.rig.live)),
			mark("ingestion", s.watch.moved(since, before)),
			mark("all ready", s.rig.ready(ctx)),
			s.working(since, healed))
	})
	for _, k := range kinds() {
		if at, again := s.traffic.works(k, since, healed); again {
			took[string(k)] = at.Sub(since)
		}
	}
	s.traffic.close(time.Now())
	s.report.add(s.fault, took)
	s.struck++
	requests, events := s.traffic.perSecond()
	s.Logf("round %d: broken for %s; after %s, by what works again: %s; requests and events acknowledged per second: %v, %v",
		s.struck, healed.Sub(since).Round(time.Millisecond), since.Format("15:04:05"), inOrder(took), requests, events)
}
