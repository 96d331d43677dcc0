package faultdriver

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
)

// ErrInjected is in the chain of every error that a [Plan] causes, also of those that
// follow on a connection that was lost.
var ErrInjected = errors.New("injected fault")

// Mode is the way in which the N-th operation fails. In every mode a Commit or a
// Rollback ends the transaction: one that is not executed is rolled back by closing
// the connection, as an engine does for a client that is gone.
type Mode uint8

// The modes.
const (
	// ErrorBefore returns an error instead of executing. The connection lives on,
	// unless the operation was a Commit or a Rollback.
	ErrorBefore Mode = iota
	// ErrorAfter executes, then returns an error. The connection lives on, unless the
	// operation was a Commit or a Rollback.
	ErrorAfter
	// LostBefore finds the connection dead before executing: the error is also
	// driver.ErrBadConn, and so is every later one on that connection.
	LostBefore
	// LostAfter executes, then loses the connection before the answer: the error is
	// also io.ErrUnexpectedEOF, and every later one on that connection is
	// driver.ErrBadConn. An open transaction is rolled back, a committed one stays.
	LostAfter
)

// Modes returns all modes, for [Sweep].
func Modes() []Mode { return []Mode{ErrorBefore, ErrorAfter, LostBefore, LostAfter} }

// String names the mode.
func (m Mode) String() string {
	switch m {
	case ErrorBefore:
		return "error before"
	case ErrorAfter:
		return "error after"
	case LostBefore:
		return "connection lost before"
	case LostAfter:
		return "connection lost after"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Op is a kind of operation.
type Op string

// The operations that are counted.
const (
	Begin    Op = "begin"
	Prepare  Op = "prepare"
	Exec     Op = "exec"
	Query    Op = "query"
	Next     Op = "next"
	Commit   Op = "commit"
	Rollback Op = "rollback"
)

// Plan says which operation fails, and how. It counts nothing until [Plan.Start].
// The fields are set before Start; methods may be called from any goroutine. The
// fault happens at most once per Start.
type Plan struct {
	// N is the number of the operation that fails, the first being 1. With 0 nothing
	// fails: the plan only counts.
	N int
	// Mode is how it fails.
	Mode Mode
	// Ops restricts counting and failing to these kinds. Empty means all.
	Ops []Op
	// Writer and Readers restrict counting and failing to one side of the database.
	// If neither is set, both sides count.
	Writer, Readers bool

	mu      sync.Mutex
	running bool
	started bool
	count   int
	fired   bool
	op      Op
	text    string
}

// Start counts from here, from zero.
func (p *Plan) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.started, p.count, p.fired = true, true, 0, false
	p.op, p.text = "", ""
}

// Stop lets everything pass from here on. [Plan.Count] and [Plan.Fired] keep their answers.
func (p *Plan) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
}

// Count is how many operations were counted since [Plan.Start].
func (p *Plan) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Fired reports whether the fault has happened. A test whose fault did not happen
// has shown nothing.
func (p *Plan) Fired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fired
}

// String says which operation failed, or would.
func (p *Plan) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.fired {
		return fmt.Sprintf("operation %d, %s: did not happen", p.N, p.Mode)
	}
	return fmt.Sprintf("operation %d, %s: %s %s", p.N, p.Mode, p.op, p.text)
}

// Wrap returns a connector whose connections follow the plan. Both sides of one
// database, and several databases, may share a plan.
func (p *Plan) Wrap(c driver.Connector) driver.Connector {
	side, ok := c.(interface{ ReadOnly() bool })
	return &connector{Connector: c, plan: p, readOnly: ok && side.ReadOnly()}
}

// next counts one operation and reports whether it is the one to fail.
func (p *Plan) next(readOnly bool, op Op, text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running || !p.counts(readOnly, op) {
		return false
	}
	p.count++
	if p.fired || p.count != p.N {
		return false
	}
	p.fired, p.op, p.text = true, op, text
	return true
}

func (p *Plan) counts(readOnly bool, op Op) bool {
	if (p.Writer || p.Readers) && (readOnly && !p.Readers || !readOnly && !p.Writer) {
		return false
	}
	for _, o := range p.Ops {
		if o == op {
			return true
		}
	}
	return len(p.Ops) == 0
}

// fault is an injected error. Beside [ErrInjected] it is what a driver would return.
type fault struct {
	mode Mode
	op   Op
}

func (f *fault) Error() string { return fmt.Sprintf("%v: %s of %s", ErrInjected, f.mode, f.op) }

func (f *fault) Is(target error) bool {
	switch target {
	case ErrInjected:
		return true
	case driver.ErrBadConn:
		return f.mode == LostBefore
	case io.ErrUnexpectedEOF:
		return f.mode == LostAfter
	}
	return false
}

// sweepLimit is far above the number of operations of any scenario: without it, a sweep
// whose body always fires its fault would run forever.
const sweepLimit = 100_000

// Sweep yields one plan per mode and operation: for each mode the first operation
// fails, then the second, and so on until a run got to its end without its fault.
// The loop's body must call [Plan.Start]; a body that forgets it panics, since it
// would test nothing.
func Sweep(modes ...Mode) iter.Seq[*Plan] {
	return func(yield func(*Plan) bool) {
		for _, mode := range modes {
			for n := 1; ; n++ {
				if n > sweepLimit {
					panic(fmt.Sprintf("faultdriver: still failing after %d operations", sweepLimit))
				}
				p := &Plan{N: n, Mode: mode}
				if !yield(p) {
					return
				}
				p.mu.Lock()
				started, fired := p.started, p.fired
				p.mu.Unlock()
				if !started {
					panic("faultdriver: the body of a Sweep loop did not call Start")
				}
				if !fired {
					break
				}
			}
		}
	}
}
