package sqltest

import (
	"testing"
	"time"
)

// LockWaits is how often a transaction of the server has waited for a lock so far.
func (s *Server) LockWaits(tb testing.TB) (n int64) {
	tb.Helper()
	var name string
	if err := s.Admin.QueryRowContext(tb.Context(), "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_waits'").Scan(&name, &n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// Deadlock makes ours the victim of one deadlock, and returns what it said. A transaction that follows no lock order
// does what holds says; ours runs until it waits for that; then the stranger does what wants says, which has to wait for
// ours. Both are updates of rows in database, whose name their text has in front of the tables. The test fails if the
// stranger is the victim, or there is no deadlock.
func (s *Server) Deadlock(tb testing.TB, database, holds, wants string, ours func() error) error {
	tb.Helper()
	s.Exec(tb, "CREATE TABLE "+database+".ballast (a INTEGER NOT NULL, PRIMARY KEY (a)) ENGINE = InnoDB")
	stranger, err := s.Admin.BeginTx(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer stranger.Rollback() // an error says that it is over
	do := func(text string) {
		tb.Helper()
		if _, err := stranger.ExecContext(tb.Context(), text); err != nil {
			tb.Fatalf("the stranger was the victim: %v", err)
		}
	}
	// The server gives up the transaction that has changed less.
	do("INSERT INTO " + database + ".ballast WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < 900) SELECT a FROM n")
	do(holds)
	waits, before := s.LockWaits(tb), s.deadlocks(tb)
	done := make(chan error, 1)
	go func() { done <- ours() }()
	s.awaitLockWait(tb, waits, done)
	do(wants)
	if err := stranger.Commit(); err != nil {
		tb.Fatal(err)
	}
	err = <-done
	if s.deadlocks(tb) == before {
		tb.Error("there was no deadlock")
	}
	return err
}

// awaitLockWait returns when one more transaction waits for a lock.
func (s *Server) awaitLockWait(tb testing.TB, before int64, done <-chan error) {
	tb.Helper()
	const patience = 10 * time.Second
	late := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for s.LockWaits(tb) == before {
		select {
		case err := <-done:
			tb.Fatalf("ours was done without waiting for the stranger: %v", err)
		case <-late:
			tb.Fatalf("ours does not wait for the stranger after %s", patience)
		case <-tick.C:
		}
	}
}

// deadlocks is how many the server has solved so far.
func (s *Server) deadlocks(tb testing.TB) (n int64) {
	tb.Helper()
	const query = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
	if err := s.Admin.QueryRowContext(tb.Context(), query).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}
