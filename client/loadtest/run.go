package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"movieexample.com/internal/fault"
)

// Bounds of a Plan. A program that can be told to send without end will be, by mistake, some day.
const (
	MaxRate        = 200_000.0
	MaxDuration    = time.Hour
	MaxOutstanding = 100_000
)

// Call is one request.
type Call struct {
	// Kind is what it is counted under, such as "rest-details".
	Kind string
	// Do makes the request and returns when it is answered. It ends when its context does.
	Do func(context.Context) error
}

// Source makes the requests of a run, one after the other. It takes all randomness from the given generator.
type Source func(*rand.Rand) Call

// Plan describes the load. Zero fields mean the defaults, except Rate and Duration.
type Plan struct {
	// Rate is how many requests are due per second: above 0, at most MaxRate.
	Rate float64
	// Duration is for how long requests are counted: above 0, at most MaxDuration, warm-up included.
	Duration time.Duration
	// Warmup comes before Duration with the same rate; what is due in it is not counted.
	Warmup time.Duration
	// Arrivals is how requests are spread; empty means Poisson.
	Arrivals Arrivals
	// Seed decides everything random: when requests are due and what they request.
	Seed uint64
	// Outstanding is how many requests may be in flight, at most MaxOutstanding; 0 means 1024.
	Outstanding int
	// Patience is how long after its due time a request may wait for a place; 0 means one second.
	Patience time.Duration
	// Timeout bounds the wait for an answer after the request was sent; 0 means ten seconds.
	Timeout time.Duration
	// EachSecond is told what happened in each second, warm-up included; may be nil. Its calls come one at a time.
	EachSecond func(Second)

	pause func(time.Duration) // for less than coarse; nil means finePause
}

func (p Plan) withDefaults() Plan {
	if p.Arrivals == "" {
		p.Arrivals = Poisson
	}
	if p.Outstanding == 0 {
		p.Outstanding = 1024
	}
	if p.Patience == 0 {
		p.Patience = time.Second
	}
	if p.Timeout == 0 {
		p.Timeout = 10 * time.Second
	}
	if p.pause == nil {
		p.pause = finePause
	}
	return p
}

// Validate reports every field out of its range, as faults of kind Invalid.
func (p Plan) Validate() error {
	p = p.withDefaults()
	var errs []error
	if !(p.Rate > 0 && p.Rate <= MaxRate) {
		errs = append(errs, fault.Invalid("rate", "must be above 0 and at most %.0f requests per second, got %v", MaxRate, p.Rate))
	}
	if p.Duration <= 0 || p.Warmup < 0 || p.Duration+p.Warmup > MaxDuration {
		errs = append(errs, fault.Invalid("duration", "must be above 0 and at most %s together with the warm-up, got %s and %s", MaxDuration, p.Duration, p.Warmup))
	}
	if p.Arrivals != Poisson && p.Arrivals != Constant {
		errs = append(errs, fault.Invalid("arrivals", "must be %s or %s, got %q", Poisson, Constant, p.Arrivals))
	}
	if p.Outstanding < 1 || p.Outstanding > MaxOutstanding {
		errs = append(errs, fault.Invalid("outstanding", "must be 1 to %d requests, got %d", MaxOutstanding, p.Outstanding))
	}
	if p.Patience < 0 || p.Patience > time.Minute {
		errs = append(errs, fault.Invalid("patience", "must be above 0 and at most 1m, got %s", p.Patience))
	}
	if p.Timeout < 0 || p.Timeout > time.Minute {
		errs = append(errs, fault.Invalid("timeout", "must be above 0 and at most 1m, got %s", p.Timeout))
	}
	return fault.All(errs...)
}

// Run offers the load and returns its report when the last request has been answered or has timed out: at most Patience plus
// Timeout after the end of Duration. The error is of kind Invalid for an invalid plan, or that of ctx; then the report holds
// what was measured so far, and is marked as interrupted.
func Run(ctx context.Context, p Plan, next Source) (Report, error) {
	if err := p.Validate(); err != nil {
		return Report{}, err
	}
	p = p.withDefaults()
	r := &run{plan: p, next: next, places: make(chan struct{}, p.Outstanding), tally: newTally(p)}
	return r.do(ctx)
}

// run is one run.
type run struct {
	plan   Plan
	next   Source
	places chan struct{} // one for each request in flight
	tally  *tally
	began  time.Time
}

func (r *run) do(ctx context.Context) (Report, error) {
	cpu := processorTime()
	stopTicker := r.tick()
	r.began = time.Now()
	r.tally.start(r.began)
	var running sync.WaitGroup
	end := r.plan.Warmup + r.plan.Duration
	what := rand.New(rand.NewPCG(r.plan.Seed, 0xca11)) // not the schedule's, so that the requests are the same at any rate
	when := newSchedule(r.plan.Arrivals, r.plan.Rate, r.plan.Seed)
	var err error
	for due := when.next(); due < end && err == nil; due = when.next() {
		if err = r.waitUntil(ctx, due); err != nil {
			break
		}
		call := r.next(what)
		var sent bool
		if sent, err = r.place(ctx, due); err != nil {
			break
		}
		counted := due >= r.plan.Warmup
		if !sent {
			r.tally.answered(call.Kind, CodeNotSent, r.since(due), counted)
			continue
		}
		r.tally.sending(r.since(due), counted)
		running.Go(func() {
			defer func() { <-r.places }()
			asking, cancel := context.WithTimeout(ctx, r.plan.Timeout)
			defer cancel()
			err := call.Do(asking)
			if err != nil && ctx.Err() != nil {
				r.tally.abandoned()
				return // ended by the user, not by the system
			}
			r.tally.answered(call.Kind, codeOf(err), r.since(due), counted)
		})
	}
	running.Wait()
	stopTicker()
	counted := r.plan.Duration
	if err != nil { // an interrupted run only knows the requests due so far
		counted = min(counted, max(0, time.Since(r.began)-r.plan.Warmup))
	}
	report := r.tally.report(counted)
	report.Environment.GeneratorCPUSeconds = (processorTime() - cpu).Seconds()
	report.Interrupted = err != nil
	if err != nil {
		if errors.Is(err, context.Canceled) {
			err = fmt.Errorf("interrupted: %w", err)
		}
		return report, err
	}
	return report, nil
}

// since is the time since a request was due.
func (r *run) since(due time.Duration) time.Duration { return time.Since(r.began) - due }

// coarse is the wait below which finePause takes over from a timer.
const coarse = 3 * time.Millisecond

// waitUntil returns when a request is due.
func (r *run) waitUntil(ctx context.Context, due time.Duration) error {
	for {
		left := -r.since(due)
		switch {
		case left <= 0:
			return ctx.Err()
		case left <= coarse:
			runtime.Gosched() // let goroutines that were just started run first
			if left = -r.since(due); left > 0 {
				r.plan.pause(left)
			}
			continue
		}
		timer := time.NewTimer(left - coarse/2)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// place takes a place among the requests in flight, and reports whether one was free in time.
func (r *run) place(ctx context.Context, due time.Duration) (bool, error) {
	left := r.plan.Patience - r.since(due)
	if left <= 0 {
		return false, nil
	}
	select {
	case r.places <- struct{}{}:
		return true, nil
	default:
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case r.places <- struct{}{}:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// tick calls EachSecond every second until it is stopped; the last call covers the remainder.
func (r *run) tick() (stop func()) {
	if r.plan.EachSecond == nil {
		return func() {}
	}
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.plan.EachSecond(r.tally.second(len(r.places)))
			case <-quit:
				return
			}
		}
	})
	return func() {
		close(quit)
		running.Wait()
	}
}
