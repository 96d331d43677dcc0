package sqldb

import (
	"sync"
	"time"
)

// How often [DB.Check] writes.
const (
	// probeInterval is how long a commit proves that the database can be written. A probe costs one commit.
	probeInterval = 10 * time.Second
	// failingInterval is the time between two probes while the last write has failed.
	failingInterval = time.Second
	// forbiddenInterval is how long a probe cannot prove that a missing right was granted: the right may be about another table.
	forbiddenInterval = 30 * time.Second
)

// watch records the state of the database as seen by the connections. It is safe for concurrent use.
type watch struct {
	mu        sync.Mutex
	damage    error     // the first sign of damaged data; kept until the program ends
	refusal   error     // why the last write failed, if an operator has to act; nil after a successful one
	forbidden bool      // refusal is about a missing right
	refusedAt time.Time // when the last write failed
	wroteAt   time.Time // when the last commit succeeded
	probedAt  time.Time
	probing   bool
}

// damaged records a sign of damaged data.
func (w *watch) damaged(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.damage == nil {
		w.damage = err
	}
}

// refused records why a write failed.
func (w *watch) refused(err error, forbidden bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal, w.forbidden, w.refusedAt = err, forbidden, time.Now()
}

// committed records a commit and clears an earlier refusal. A probe clears a refusal for missing rights only after
// forbiddenInterval.
func (w *watch) committed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wroteAt = time.Now()
	if !w.probing || !w.forbidden || w.wroteAt.Sub(w.refusedAt) >= forbiddenInterval {
		w.refusal, w.forbidden = nil, false
	}
}

// state returns the known problem, and whether a probe is due.
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
