package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Check is the outcome of one readiness check; Err is nil when it passed.
type Check struct {
	Name string // what was looked at: "rating-db"
	Err  error
	// Optional marks a check without which the process still serves: it is shown, and does not make the process unready.
	Optional bool
}

// Readiness answers whether this process should get traffic. The zero value is ready and has no checks. It is safe
// for concurrent use.
type Readiness struct {
	mu       sync.Mutex
	checks   []*namedCheck
	draining bool
}

type namedCheck struct {
	name     string
	optional bool
	check    func(context.Context) error
	running  sync.Mutex // held while the check runs
}

// Add registers a check. It must honour its context; one that does not is reported as failing, and is not started again
// before it returns. Checks are shown in the order in which they were added.
func (r *Readiness) Add(name string, check func(context.Context) error) {
	r.add(&namedCheck{name: name, check: check})
}

// AddOptional registers a check whose failure is shown and does not make the process unready.
func (r *Readiness) AddOptional(name string, check func(context.Context) error) {
	r.add(&namedCheck{name: name, check: check, optional: true})
}

func (r *Readiness) add(c *namedCheck) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, c)
}

// SetDraining makes the process permanently not ready. A process calls it before it stops listening, so that load balancers
// move to other instances while it still answers.
func (r *Readiness) SetDraining() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
}

// Ready runs all checks side by side and returns their outcomes. It returns no later than ctx ends. Once draining it runs
// no check: they might fail while things are being closed, and no operator should look for a cause then.
func (r *Readiness) Ready(ctx context.Context) []Check {
	r.mu.Lock()
	checks, draining := r.checks[:len(r.checks):len(r.checks)], r.draining
	r.mu.Unlock()
	if draining {
		return []Check{{Name: "draining", Err: errors.New("this process is stopping and accepts no new work")}}
	}

	outcomes := make([]chan error, len(checks))
	for i, c := range checks {
		outcomes[i] = make(chan error, 1) // buffered: a late answer must not hold its goroutine
		go func() { outcomes[i] <- c.run(ctx) }()
	}
	results := make([]Check, len(checks))
	for i, c := range checks {
		results[i].Name, results[i].Optional = c.name, c.optional
		select {
		case results[i].Err = <-outcomes[i]:
		case <-ctx.Done():
			select {
			case results[i].Err = <-outcomes[i]:
			default:
				results[i].Err = fmt.Errorf("no answer in time: %w", context.Cause(ctx))
			}
		}
	}
	return results
}

func (c *namedCheck) run(ctx context.Context) (err error) {
	if !c.running.TryLock() {
		return errors.New("a previous run of this check has not returned yet")
	}
	defer c.running.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the check panicked: %v", p)
		}
	}()
	return c.check(ctx)
}
