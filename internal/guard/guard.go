// Package guard keeps a panic in one goroutine from ending the process.
//
// Go ends a process when any goroutine panics. Goroutines that serve requests are guarded where requests arrive (internal/rpc,
// the gateway); this package is for all others. There are two kinds:
//
//   - A job runs as long as the process does: ingestion, the search index, a registry's watch. [Guard.Run] restarts it
//     after a panic, with a pause that grows each time. The process continues and stays ready, because the job's last data
//     is still served; readiness shows the job as degraded, and movieexample_background_panics_total counts the panics.
//   - Work has a waiting caller: [Catch] turns the panic into an error of kind Internal.
//
// A panic may leave a lock held or a change half made. A restarted job must therefore begin from stored data, and must not hold
// a lock while it calls code that may panic.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/telemetry"
)

// PanicError is a panic that was caught. Its kind is internal, whatever the panic value is; its text has the stack.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Catch does work and turns a panic into an error of kind Internal that wraps a *[PanicError]. what describes the work.
func Catch[V any](what string, work func() (V, error)) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal(&PanicError{Value: p, Stack: debug.Stack()}, "%s", what)
		}
	}()
	return work()
}

// Config configures a [Guard]. The zero value works.
type Config struct {
	// Logger gets an error with the stack for each panic; nil discards them.
	Logger *slog.Logger
	// Metrics gets movieexample_background_panics_total. Several guards may share one; nil discards it.
	Metrics prometheus.Registerer
	// Pause is the time before a job's first restart; it doubles with each further one, up to sixty times. 0 means 1 s.
	Pause time.Duration
}

// Guard guards the jobs of a process. It is safe for concurrent use. A nil *Guard guards without log and metrics.
type Guard struct {
	log    *slog.Logger
	panics *prometheus.CounterVec
	pause  time.Duration

	mu   sync.Mutex
	jobs map[string]string // that have panicked and not run for long since → what happened
}

// New returns a guard.
func New(cfg Config) (*Guard, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Pause == 0 {
		cfg.Pause = defaultPause
	}
	panics, err := telemetry.Register(cfg.Metrics, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "movieexample_background_panics_total",
		Help: "Panics in background work, by job. The job was restarted; each panic is a defect.",
	}, []string{"job"}))
	if err != nil {
		return nil, err
	}
	return &Guard{log: cfg.Logger, pause: cfg.Pause, jobs: make(map[string]string), panics: panics}, nil
}

const (
	defaultPause = time.Second
	longestPause = 60 // times the first
)

// Run runs a job until it returns or ctx ends. A job that panics, or returns an error that a panic made, is restarted
// after a pause. Run returns the job's result, or nil if ctx ended during a pause.
func (g *Guard) Run(ctx context.Context, job string, run func(context.Context) error) error {
	if g == nil {
		g = &Guard{pause: defaultPause}
	}
	if g.panics != nil {
		g.panics.WithLabelValues(job) // there from the start, as an alert on its growth needs it
	}
	for pause := g.pause; ; pause = min(2*pause, longestPause*g.pause) {
		began := time.Now()
		err := g.Do(job, func() error { return run(ctx) })
		var panicked *PanicError
		if !errors.As(err, &panicked) {
			g.settled(job)
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > 10*longestPause*g.pause { // it ran well for long
			pause = g.pause
		}
		g.unsettled(job, fmt.Sprintf("%s panicked (%v) and is started again after %s", job, panicked.Value, pause))
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		// It counts as degraded until it has run for as long as it was stopped, or twice: a job that panics again at once
		// must not look healthy in between.
		settle := time.AfterFunc(2*pause, func() { g.settled(job) })
		defer settle.Stop()
	}
}

// Do does a part of a job in the caller's goroutine, and returns its error. A panic is logged and counted here, and returned
// as an error that [Guard.Run] knows.
func (g *Guard) Do(job string, work func() error) error {
	_, err := Catch(job, func() (struct{}, error) { return struct{}{}, work() })
	var panicked *PanicError
	if err == nil || !errors.As(err, &panicked) || g == nil || g.panics == nil {
		return err
	}
	if told(err) {
		return err
	}
	g.panics.WithLabelValues(job).Inc()
	g.log.Error("panic in background work", "job", job, "panic", fmt.Sprint(panicked.Value), "stack", string(panicked.Stack))
	return &toldError{err}
}

// toldError is an error that is in the log already.
type toldError struct{ error }

// Unwrap returns the error.
func (e *toldError) Unwrap() error { return e.error }

func told(err error) bool { return errors.As(err, new(*toldError)) }

func (g *Guard) unsettled(job, what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.jobs != nil {
		g.jobs[job] = what
	}
}

func (g *Guard) settled(job string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.jobs, job)
}

// Check is a readiness check: it names the jobs that have panicked and not run well since.
func (g *Guard) Check(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []string
	for _, what := range g.jobs {
		all = append(all, what)
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return errors.New(strings.Join(all, "; "))
}
