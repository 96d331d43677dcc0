package sqldb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// How often [DB.Check] writes.
const (
	// probeInterval is how old the last commit may be that counts as a proof that the database takes writes. A probe costs one
	// commit.
	probeInterval = 10 * time.Second
	// failingInterval is the time between two probes while the last write has failed.
	failingInterval = time.Second
	// forbiddenInterval is how long a probe cannot prove that a missing right is there again: it may be about another table.
	forbiddenInterval = 30 * time.Second
	// probeTimeout bounds a probe.
	probeTimeout = 5 * time.Second
)

// watch remembers what the connections have seen of the database's state. It is safe for concurrent use.
type watch struct {
	mu        sync.Mutex
	damage    error     // the first sign that stored data is damaged; kept until the program ends
	refusal   error     // why the last write failed, where an operator has to deal with it; nil after one that succeeded
	refusedAt time.Time // when it last did
	wroteAt   time.Time // of the last commit
	probedAt  time.Time
	probing   bool
}

// saw looks at an error of a connection.
func (w *watch) saw(err error, writes bool) {
	corrupt := Corrupt(err)
	if !corrupt && !(writes && refusesWrites(err)) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if corrupt && w.damage == nil {
		w.damage = err
	}
	if writes {
		w.refusal, w.refusedAt = err, time.Now()
	}
}

// refusesWrites reports whether err is about the state of the database, which an operator has to mend, and not about what was
// to be written or about the moment.
func refusesWrites(err error) bool {
	return ReadOnly(err) || Full(err) || Corrupt(err) || Forbidden(err) || cannotOpen(err) || ioFailed(err) || mysqlLoginRefused(err)
}

// committed says that a transaction was written. One that was not a probe shows that whatever was refused is allowed again.
func (w *watch) committed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wroteAt = time.Now()
	if !w.probing || !Forbidden(w.refusal) || w.wroteAt.Sub(w.refusedAt) >= forbiddenInterval {
		w.refusal = nil
	}
}

// state returns what is known to be wrong, and whether it is time for a probe.
func (w *watch) state(now time.Time) (err error, probe bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.damage != nil {
		return w.damage, false
	}
	interval, last := probeInterval, w.wroteAt
	if w.refusal != nil {
		interval, last = failingInterval, w.probedAt
	}
	if probe = !w.probing && now.Sub(last) >= interval && now.Sub(w.probedAt) >= failingInterval; probe {
		w.probing, w.probedAt = true, now
	}
	return w.refusal, probe
}

func (w *watch) probed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probing = false
}

// checkWrites reports why the database takes no writes, as far as the last ones tell. It writes itself when there was none for
// a while.
func (db *DB) checkWrites(ctx context.Context) error {
	if db.identity.Load() == nil {
		return nil // never migrated: there is no table to try it with
	}
	known, due := db.watch.state(time.Now())
	if !due {
		return known
	}
	err := db.probeWrite(ctx)
	db.watch.probed()
	if err != nil && !refusesWrites(err) {
		return known // busy, or out of time: that proves nothing
	}
	now, _ := db.watch.state(time.Now())
	return now
}

// ProveWritable writes to the database, for the start: what it cannot write then, it could not write later. [DB.Migrate] comes
// before. Of a full disk, a server that is read-only, and what passes by itself, it says nothing: reading goes on, and [DB.Check] tells.
func (db *DB) ProveWritable(ctx context.Context) error {
	if err := db.probeWrite(ctx); err != nil && refusesWrites(err) && !Full(err) && !mysqlReadOnlyServer(err) {
		return fmt.Errorf("write to database %s: %w", db.name, err)
	}
	return nil
}

// probeWrite needs every right that stores need, and leaves nothing.
func (db *DB) probeWrite(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	id := identityRow + 1 + rand.Int64N(1<<62) // another one in each process, so that none waits for the other
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO "+identityTable+" (id, uuid) VALUES (?, ?)", id, "probe"); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE "+identityTable+" SET uuid = ? WHERE id = ?", "written", id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM "+identityTable+" WHERE id = ?", id)
		return err
	})
}

// TroubleError is an error that an operator has to deal with: what is wrong with which database, and what to do.
type TroubleError struct {
	Name string // the database, as [DB.Name] tells it
	Hint string // what is wrong, and what to do about it
	Err  error  // what the driver said
}

// Error describes the error.
func (e *TroubleError) Error() string {
	return fmt.Sprintf("database %s: %s: %v", e.Name, e.Hint, e.Err)
}

// Unwrap returns what the driver said.
func (e *TroubleError) Unwrap() error { return e.Err }

// noted is what each connection does with an error: remember what it says about the database, and put what to do before it.
func (db *DB) noted(err error, writes bool) error {
	if err == nil {
		return nil
	}
	err = db.explain(err)
	if writes && db.dialect == SQLite && ReadOnly(err) && !errors.As(err, new(*TroubleError)) {
		err = &TroubleError{Name: db.name, Hint: "the file cannot be written: check who may write it, and how its file system is mounted", Err: err}
	}
	if errors.As(err, new(*TroubleError)) {
		db.watch.saw(err, writes)
	}
	return err
}
