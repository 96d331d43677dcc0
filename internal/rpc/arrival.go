package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/tap"
)

// This file bounds the time that a request may take to arrive. gRPC gives a call to its
// interceptors when the message is whole, so a deadline set there begins too late for a
// message of which one byte is missing; and it hands out no context that could be ended
// before. The tap is asked when a call's header has come.

// arrival is the context of a call over the network. It ends when a message that is
// awaited does not come in time.
type arrival struct {
	context.Context
	end   context.CancelCauseFunc
	timer *time.Timer
	slow  prometheus.Counter
}

type arrivalKey struct{}

// errSlow is why a call ended whose message did not come in time.
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

// Err implements context.Context. A message that did not come in time is a deadline that
// passed.
func (a *arrival) Err() error {
	err := a.Context.Err()
	if err != nil && context.Cause(a.Context) == errSlow { //nolint:errorlint // set by expire
		return context.DeadlineExceeded
	}
	return err
}

// await begins to wait for a further message of a stream.
func (a *arrival) await(d time.Duration) { a.timer.Reset(d) }

// arrived ends the waiting for a message.
func (a *arrival) arrived() { a.timer.Stop() }

// arrivalOf returns the arrival of a call over the network, or nil.
func arrivalOf(ctx context.Context) *arrival {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	return a
}
