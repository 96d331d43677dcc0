package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/tap"
)

// This file bounds the time that a request may take to arrive. gRPC calls interceptors
// only when the message is complete, too late for a deadline on a message that lacks one
// byte; and it has no context that could be canceled before. The tap is called when the
// header of a call has arrived.

// arrival is the context of a call over the network. It ends when an
// awaited message does not arrive in time.
type arrival struct {
	context.Context
	end   context.CancelCauseFunc
	timer *time.Timer
	slow  prometheus.Counter
}

type arrivalKey struct{}

// errSlow is the cause of the end of a call whose message did not arrive in time.
var errSlow = errors.New("the message did not arrive in time")

// tap gives a call the time to send its first message. It runs on the connection's own
// goroutine, so it must not wait.
func (s *Server) tap(ctx context.Context, _ *tap.Info) (context.Context, error) {
	a := &arrival{slow: s.metrics.slow}
	a.Context, a.end = context.WithCancelCause(ctx)
	a.timer = time.AfterFunc(s.cfg.ReceiveTimeout, a.expire)
	return a, nil
}

func (a *arrival) expire() {
	if a.Context.Err() == nil { // otherwise the call has ended without its message
		a.slow.Inc()
		a.end(errSlow)
	}
}

// Value implements context.Context.
func (a *arrival) Value(key any) any {
	if _, ok := key.(arrivalKey); ok {
		return a
	}
	return a.Context.Value(key)
}

// Err implements context.Context. A message that did not arrive in time counts as an
// exceeded deadline.
func (a *arrival) Err() error {
	err := a.Context.Err()
	if err != nil && context.Cause(a.Context) == errSlow { //nolint:errorlint // set by expire
		return context.DeadlineExceeded
	}
	return err
}

// await starts the timer for the next message of a stream.
func (a *arrival) await(d time.Duration) { a.timer.Reset(d) }

// arrived stops the timer for a message.
func (a *arrival) arrived() { a.timer.Stop() }

// arrivalOf returns the arrival of a call over the network, or nil.
func arrivalOf(ctx context.Context) *arrival {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	return a
}
