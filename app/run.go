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

// Run serves until ctx ends, then stops in order: readiness off, calls drained from the street door inwards, background
// work ended, everything closed, last opened first. It returns nil after an orderly stop, and what failed if something
// that should serve did not, or something did not end. It must be called once.
func (a *App) Run(ctx context.Context) error {
	failed := make(chan error, len(a.serving)+len(a.jobs))
	jobsCtx, endJobs := context.WithCancel(context.WithoutCancel(ctx))
	defer endJobs()
	serving, working := runJobs(jobsCtx, a.serving, failed), runJobs(jobsCtx, a.jobs, failed)
	a.becomeReady(ctx)

	var errs []error
	select {
	case <-ctx.Done():
		a.log.Info("stopping", "cause", context.Cause(ctx))
	case err := <-failed:
		a.log.Error("stopping because something failed", "error", err)
		errs = append(errs, err)
	}
	began := time.Now()
	a.readiness.SetDraining()
	drainCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.timeout)
	defer cancel()
	errs = append(errs, runStops(drainCtx, a.drains))
	a.drains = nil
	endJobs()
	errs = append(errs, working.wait(drainCtx)) // a batch being written ends before its database is closed
	errs = append(errs, a.close(context.WithoutCancel(ctx)))
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	errs = append(errs, serving.wait(endCtx))
	for len(failed) > 0 {
		errs = append(errs, <-failed)
	}
	a.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond))
	return errors.Join(errs...)
}

// becomeReady waits for what has to be there first, but not for ever: a process that can answer calls is of use without
// it. It does nothing more once ctx has ended.
func (a *App) becomeReady(ctx context.Context) {
	firstCtx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	for _, j := range a.first {
		if err := j.run(firstCtx); err != nil && ctx.Err() == nil {
			a.log.Warn("ready without "+j.name, "error", err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, s := range a.servers {
		s.SetServing(true)
	}
	close(a.ready)
	a.log.LogAttrs(ctx, slog.LevelInfo, "ready", append(a.addresses.attrs(), slog.Duration("took", time.Since(a.began).Round(time.Millisecond)))...)
}

// firstTimeout bounds the wait for what has to be there before the process is ready; it takes milliseconds.
const firstTimeout = 5 * time.Second

// closeTimeout bounds what a stop does after the draining: nothing there waits for anybody outside.
const closeTimeout = time.Second

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

// wait waits for all jobs, at most until ctx ends, and names those that are not done then.
func (g jobGroup) wait(ctx context.Context) error {
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
			errs = append(errs, fmt.Errorf("stop %s: it did not end in time", name))
		}
	}
	return errors.Join(errs...)
}

// close ends everything in the reverse order of its opening.
func (a *App) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := errors.Join(runStops(ctx, a.drains), runStops(ctx, a.closes))
	a.drains, a.closes = nil, nil
	return err
}

func runStops(ctx context.Context, stops []stop) error {
	var errs []error
	for _, s := range slices.Backward(stops) {
		if err := s.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}
