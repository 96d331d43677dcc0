package rpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// calleeContext is the context of a call in process, as its handler has it. It
// has the caller's deadline and cancellation and none of its values: over a wire
// they would not come along, so in process they must not.
//
// Nothing hangs on the caller's context: the caller's own goroutine waits for the
// answer anyway, and ends this context when it stops waiting. And a handler that
// answers from memory never asks for Done, so the timer and the channel behind it
// (the standard library's, so that contexts derived from this one cost no
// goroutine) are made only when somebody does.
type calleeContext struct {
	deadline  time.Time
	values    context.Context
	requestID string // set by identify, before the handler runs

	mu   sync.Mutex
	std  context.Context // nil until somebody asks
	stop context.CancelFunc
	end  error // why it ended, while std is nil
}

var _ context.Context = (*calleeContext)(nil)

// init fills the values that a server gives a handler. base has the peer.
func (c *calleeContext) init(base context.Context, deadline time.Time, md metadata.MD, sts grpc.ServerTransportStream) {
	c.deadline = deadline
	c.values = grpc.NewContextWithServerTransportStream(metadata.NewIncomingContext(base, md), sts)
}

// identify settles the request id: the one that was sent, or a new one.
func (c *calleeContext) identify(sent string) string {
	if !validRequestID(sent) {
		sent = newRequestID()
	}
	c.requestID = sent
	return sent
}

// Deadline implements context.Context. There always is one.
func (c *calleeContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *calleeContext) Done() <-chan struct{} { return c.standard().Done() }

// Err implements context.Context.
func (c *calleeContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.std != nil {
		return c.std.Err()
	}
	if c.end == nil && !time.Now().Before(c.deadline) {
		c.end = context.DeadlineExceeded
	}
	return c.end
}

// Value implements context.Context.
func (c *calleeContext) Value(key any) any {
	switch key.(type) {
	case contextKey:
		return c.requestID
	case *int:
		// Package context asks a parent in this way for the standard context it is
		// or stands on, to hang a child there. Should it ever ask otherwise, a child
		// costs a goroutine and is still right.
		return c.standard().Value(key)
	}
	return c.values.Value(key)
}

// standard returns the standard library's context in the same state.
func (c *calleeContext) standard() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.std == nil {
		if c.end == context.Canceled { //nolint:errorlint // set by cancel
			c.std, c.stop = context.WithCancel(context.Background())
			c.stop()
		} else {
			c.std, c.stop = context.WithDeadline(context.Background(), c.deadline)
		}
	}
	return c.std
}

// cancel ends the context, unless it has ended. When the deadline has passed, that
// is the reason, and the timer, if there is one, is about to say so.
func (c *calleeContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	expired := !time.Now().Before(c.deadline)
	switch {
	case c.std != nil && !expired:
		c.stop()
	case c.std == nil && c.end == nil && expired:
		c.end = context.DeadlineExceeded
	case c.std == nil && c.end == nil:
		c.end = context.Canceled
	}
}
