package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Run serves until ctx ends, then stops in order: readiness and health off, registrations taken back, a pause in which it
// still serves callers that have not noticed, calls drained from the edge inwards, background work ended (ingestion after
// its transaction), everything closed, last opened first. It returns nil after an orderly stop, and what failed if something
// that should serve did not, or something did not end. It must be called once.
func (a *App) Run(ctx context.Context) error {
	failed := make(chan error, len(a.serving)+len(a.jobs)+1)
	jobsCtx, endJobs := context.WithCancel(context.WithoutCancel(ctx))
	defer endJobs()
	serving, working := runJobs(jobsCtx, a.serving, failed), runJobs(jobsCtx, a.jobs, failed)
	starting, endStart := context.WithCancel(ctx)
	started := make(chan struct{})
	go func() {
		defer close(started)
		if err := a.becomeReady(starting); err != nil {
			failed <- err
		}
	}()

	var errs []error
	select {
	case <-ctx.Done():
		a.log.Info("stopping", "cause", context.Cause(ctx))
	case err := <-failed:
		a.log.Error("stopping after a failure", "error", err)
		errs = append(errs, err)
	}
	endStart()
	<-started
	began := time.Now()
	a.readiness.SetDraining()
	ctx = context.WithoutCancel(ctx)
	a.leave(ctx)
	deadline := time.Now().Add(a.timeout)
	errs = append(errs, runStops(ctx, deadline, a.drains))
	a.drains = nil
	endJobs()
	errs = append(errs, working.wait(ctx, deadline)) // a batch being written ends before its database is closed
	errs = append(errs, a.close(ctx), serving.wait(ctx, time.Now()))
	for len(failed) > 0 {
		errs = append(errs, <-failed)
	}
	a.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond))
	return errors.Join(errs...)
}

// leave deregisters the process and waits for the configured delay, so that callers move to other instances. An
// unreachable registry does not fail the stop: callers notice when their connections close, as they do when a process dies.
func (a *App) leave(ctx context.Context) {
	if err := runStops(ctx, time.Now().Add(leaveTimeout), a.leaves); err != nil {
		a.log.Warn("deregistration incomplete", "error", err)
	}
	a.leaves = nil
	if a.delay > 0 {
		a.log.Info("serving until callers have moved to other instances", "for", a.delay)
		// Only with a delay. Without one, each server reports not serving when its drain starts, so that the servers that drain
		// before it can still call it.
		for _, s := range a.servers {
			s.SetServing(false)
		}
		<-time.After(a.delay)
	}
}

// leaveTimeout bounds the deregistrations, so that a registry that is gone does not hold up the stop.
const leaveTimeout = 2 * time.Second

// becomeReady waits until the process can serve. The wait for its own jobs is bounded, since it can answer calls without them;
// the wait for required services is not. It returns early when ctx ends. After an error the process must not serve.
func (a *App) becomeReady(ctx context.Context) error {
	firstCtx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	for _, j := range a.first {
		if err := j.run(firstCtx); err != nil && ctx.Err() == nil {
			a.log.Warn("ready without "+j.name, "error", err)
		}
	}
	a.awaitCallees(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err := a.refuseStrangers(ctx); err != nil {
		return err
	}
	for _, s := range a.servers {
		s.SetServing(true)
	}
	if err := a.register(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("service registration failed", "error", err)
	}
	// Check again: two processes that start at the same time cannot see each other before they are registered.
	if a.registers {
		a.awaitInstances(ctx)
		if err := a.refuseStrangers(ctx); err != nil {
			return err
		}
	}
	close(a.ready)
	a.log.LogAttrs(ctx, slog.LevelInfo, "ready", append(a.addresses.attrs(), slog.Duration("took", time.Since(a.began).Round(time.Millisecond)))...)
	return nil
}

// firstTimeout bounds the wait for the jobs that run before the process is ready. They normally take milliseconds.
const firstTimeout = 5 * time.Second

// grace is the least time that each step of a stop gets, even after the overall deadline: one slow request at the gateway must
// not cut off the steps after it, which end at once without slow requests.
const grace = 250 * time.Millisecond

// bounded returns ctx with the deadline, or with grace from now if that is later.
func bounded(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if least := time.Now().Add(grace); deadline.Before(least) {
		deadline = least
	}
	return context.WithDeadline(ctx, deadline)
}

// jobGroup is jobs that run, each until its own end.
type jobGroup struct {
	running map[string]chan struct{}
}

// runJobs starts the jobs; each error goes to failed, which has room for it.
func runJobs(ctx context.Context, jobs []job, failed chan<- error) jobGroup {
	g := jobGroup{running: make(map[string]chan struct{})}
	for _, j := range jobs {
		ended := make(chan struct{})
		g.running[j.name] = ended
		go func() {
			defer close(ended)
			if err := j.run(ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", j.name, err)
			}
		}()
	}
	return g
}

// wait waits for all jobs, bounded by the deadline, and names those that are not done then.
func (g jobGroup) wait(ctx context.Context, deadline time.Time) error {
	ctx, cancel := bounded(ctx, deadline)
	defer cancel()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(g.running)) {
		select {
		case <-g.running[name]:
			continue
		default:
		}
		select {
		case <-g.running[name]:
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("stop %s: timed out", name))
		}
	}
	return errors.Join(errs...)
}

// close closes everything in the reverse order of its opening. No step waits for another process.
func (a *App) close(ctx context.Context) error {
	deadline := time.Now()
	err := errors.Join(runStops(ctx, deadline, a.drains), runStops(ctx, deadline, a.closes))
	a.drains, a.closes = nil, nil
	return err
}

// runStops stops one after the other, last one first, together bounded by the deadline.
func runStops(ctx context.Context, deadline time.Time, stops []stop) error {
	one := func(s stop) error {
		ctx, cancel := bounded(ctx, deadline)
		defer cancel()
		if err := s.stop(ctx); err != nil {
			return fmt.Errorf("stop %s: %w", s.name, err)
		}
		return nil
	}
	var errs []error
	for _, s := range slices.Backward(stops) {
		errs = append(errs, one(s))
	}
	return errors.Join(errs...)
}
