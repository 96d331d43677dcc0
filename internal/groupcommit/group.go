package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/sqldb"
)

// Config tunes a [Group]. Every field is required but Weight and Metrics.
type Config[W any] struct {
	// Batches is how many transactions run at the same time, 1 or more: 1 where the engine has one writer.
	Batches int
	// MaxBatch bounds the weight of one batch, 1 or more. A write that weighs more is committed alone.
	MaxBatch int
	// MaxWaiting bounds the weight of the writes that wait, 1 or more. It does not refuse a write that would wait alone.
	MaxWaiting int
	// Weight returns the weight of a write, 1 or more; nil: each weighs 1.
	Weight func(W) int
	// Metrics counts for the operator; nil: nothing is counted.
	Metrics *Metrics
}

// Commit commits a batch of at least one write in one transaction, in order. Result i is that of write i, which is durable
// if both errors are nil. The error that Commit returns is that of the transaction: nothing was written, or, after a
// [*sqldb.CommitError], the outcome is unknown. Only with such an error may there be fewer results than writes; their values
// are returned to the callers with it.
//
// After an error caused by the content of a batch, Commit is called again with each half of it.
type Commit[W, R any] func(ctx context.Context, batch []*Write[W]) ([]Result[R], error)

// Result is the outcome of one write: a value, or why it was refused.
type Result[R any] struct {
	Value R
	Err   error
}

// Write is a write in a batch.
type Write[W any] struct {
	Value  W
	ctx    context.Context
	weight int
	since  time.Time
}

// Left returns the error of the caller's context: nil while the caller waits. Commit should check it once the transaction holds
// the locks that the write needs, and skip the write with that error, so that an abandoned write never follows a later one.
func (w *Write[W]) Left() error { return w.ctx.Err() }

// Group gathers writes of type W, whose results have type R. Use [New]. It is safe for concurrent use, and has nothing to
// close: a goroutine exists only while there are writes.
type Group[W, R any] struct {
	cfg    Config[W]
	commit Commit[W, R]

	mu      sync.Mutex
	queue   []*member[W, R] // the waiting writes, in order of arrival
	waiting int             // the weight of queue
	running int             // batches being committed
}

// stage is how far a write has come.
type stage uint8

const (
	queued stage = iota
	started
	answered
	left // the caller has gone
)

// member is a write and its result. The group's mutex guards everything except write and done until done is closed.
type member[W, R any] struct {
	write  Write[W]
	done   chan struct{}
	stage  stage
	batch  *batch
	result Result[R]
	panic  *panicked
}

// batch is canceled when each caller in it was answered or has left.
type batch struct {
	present int
	cancel  context.CancelFunc
}

type panicked struct {
	value any
	stack []byte
}

// New returns a group whose batches are committed by commit. It panics if cfg is out of range, which is a programming error.
func New[W, R any](cfg Config[W], commit Commit[W, R]) *Group[W, R] {
	if cfg.Batches < 1 || cfg.MaxBatch < 1 || cfg.MaxWaiting < 1 {
		panic(fmt.Sprintf("groupcommit: Batches, MaxBatch and MaxWaiting must be 1 or more, got %d, %d, %d", cfg.Batches, cfg.MaxBatch, cfg.MaxWaiting))
	}
	if cfg.Weight == nil {
		cfg.Weight = func(W) int { return 1 }
	}
	return &Group[W, R]{cfg: cfg, commit: commit}
}

// Do makes a write durable and returns its result. The error is that of the write, of its transaction, or of ctx; in the
// last case the outcome is unknown. KindUnavailable means that too many writes wait and that this one was not started. If
// committing it panics, Do panics with the same value.
func (g *Group[W, R]) Do(ctx context.Context, value W) (R, error) {
	var none R
	if err := ctx.Err(); err != nil {
		return none, err
	}
	m := &member[W, R]{
		write: Write[W]{Value: value, ctx: ctx, weight: g.cfg.Weight(value), since: time.Now()},
		done:  make(chan struct{}),
	}
	if err := g.enqueue(m); err != nil {
		return none, err
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		if g.leave(m) {
			return none, ctx.Err()
		}
	}
	if m.panic != nil {
		// Otherwise the stack of the committing goroutine would be lost.
		panic(fmt.Sprintf("%v\n\n%s", m.panic.value, m.panic.stack))
	}
	return m.result.Value, m.result.Err
}

// enqueue appends a write to the queue, and starts a worker if fewer than Batches run.
func (g *Group[W, R]) enqueue(m *member[W, R]) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) > 0 && g.waiting+m.write.weight > g.cfg.MaxWaiting {
		g.cfg.Metrics.refuse()
		return fault.Unavailable(nil, "too many writes are waiting for the database (%d): nothing was written; retry later", g.waiting)
	}
	g.queue = append(g.queue, m)
	g.waiting += m.write.weight
	g.cfg.Metrics.queued(1)
	if g.running < g.cfg.Batches {
		g.running++
		go g.run()
	}
	return nil
}

// leave withdraws the write of a caller that gives up, as far as possible. It reports whether the write had no result yet.
func (g *Group[W, R]) leave(m *member[W, R]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch m.stage {
	case queued:
		if i := slices.Index(g.queue, m); i >= 0 {
			g.queue = slices.Delete(g.queue, i, i+1)
			g.waiting -= m.write.weight
			g.cfg.Metrics.queued(-1)
		}
	case started:
		m.batch.gone()
	case answered:
		return false
	case left:
	}
	m.stage = left
	return true
}

// gone counts a caller that was answered or has left. The last one cancels the batch.
func (b *batch) gone() {
	if b.present--; b.present == 0 {
		b.cancel()
	}
}

// run commits batches until no write waits.
func (g *Group[W, R]) run() {
	for {
		g.admit()
		ctx, members := g.take()
		if members == nil {
			return
		}
		g.process(ctx, members)
	}
}

// admit yields the processor for as long as that brings more writes: of callers that are ready to run, above all those that were
// just answered and write again. Without any it takes no time.
func (g *Group[W, R]) admit() {
	for before := -1; ; {
		g.mu.Lock()
		n := len(g.queue)
		g.mu.Unlock()
		if n == before || n >= g.cfg.MaxBatch {
			return
		}
		before = n
		runtime.Gosched()
	}
}

// take returns the next batch and its context, or nil if no write waits; then the worker ends.
func (g *Group[W, R]) take() (context.Context, []*member[W, R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var members []*member[W, R]
	weight, n := 0, 0
	for ; n < len(g.queue); n++ {
		m := g.queue[n]
		if m.write.Left() != nil { // its caller is about to withdraw it
			m.stage = left
			g.waiting -= m.write.weight
			continue
		}
		if len(members) > 0 && weight+m.write.weight > g.cfg.MaxBatch {
			break
		}
		weight += m.write.weight
		members = append(members, m)
	}
	g.queue = slices.Delete(g.queue, 0, n)
	g.cfg.Metrics.queued(-n)
	g.waiting -= weight
	if len(members) == 0 {
		g.running--
		return nil, nil
	}
	// The values are those of the first caller. No single caller can cancel it.
	ctx, cancel := context.WithCancel(context.WithoutCancel(members[0].write.ctx))
	b := &batch{present: len(members), cancel: cancel}
	now := time.Now()
	for _, m := range members {
		m.stage, m.batch = started, b
		g.cfg.Metrics.waited(now.Sub(m.write.since))
	}
	return ctx, members
}

// process commits members and answers them.
func (g *Group[W, R]) process(ctx context.Context, members []*member[W, R]) {
	results, broke, err := g.try(ctx, members)
	if len(members) > 1 && (broke != nil || aboutContent(err)) && ctx.Err() == nil {
		g.cfg.Metrics.halved()
		half := len(members) / 2
		g.process(ctx, members[:half])
		g.process(ctx, members[half:])
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, m := range members {
		if i < len(results) {
			m.result = results[i]
		}
		if err != nil {
			m.result.Err = err
		}
		m.panic = broke
		if m.stage != left {
			m.stage = answered
			m.batch.gone()
		}
		close(m.done)
	}
}

// try commits members once.
func (g *Group[W, R]) try(ctx context.Context, members []*member[W, R]) (results []Result[R], broke *panicked, err error) {
	writes := make([]*Write[W], len(members))
	for i, m := range members {
		writes[i] = &m.write
	}
	began := time.Now()
	defer func() {
		if v := recover(); v != nil {
			broke = &panicked{value: v, stack: debug.Stack()}
		}
		g.cfg.Metrics.committed(len(writes), time.Since(began), err == nil && broke == nil)
	}()
	results, err = g.commit(ctx, writes)
	if err == nil && len(results) != len(writes) {
		err = fmt.Errorf("groupcommit: %d results for %d writes", len(results), len(writes))
	}
	return results, nil, err
}

// aboutContent reports whether the content of a batch may have made its transaction fail. Other errors come from the database or
// from the end of the commit, and both halves would fail in the same way.
func aboutContent(err error) bool {
	unknown := (*sqldb.CommitError)(nil)
	switch {
	case err == nil, errors.As(err, &unknown), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	}
	return !sqldb.Transient(err) && !sqldb.Full(err) && !sqldb.ReadOnly(err) && !sqldb.Corrupt(err) && !sqldb.Forbidden(err)
}
