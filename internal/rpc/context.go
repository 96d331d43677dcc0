package rpc

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// requestIDKey is the metadata key that carries the request id.
const requestIDKey = "x-request-id"

// maxRequestID is the greatest length of a request id that is taken over from a caller, in bytes.
const maxRequestID = 128

type contextKey struct{}

// RequestID returns the id of the request that ctx belongs to, or "" outside of
// any. Put it into log lines and into what a user is shown about an error.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(contextKey{}).(string)
	return id
}

// WithRequestID makes ctx belong to the request id: calls made with it carry the
// id along. It is for an edge other than gRPC (the HTTP gateway); a [Server] does it
// for its handlers. An id that is empty, longer than 128 bytes or not
// printable ASCII is replaced by a new one, because it goes into headers and logs.
func WithRequestID(ctx context.Context, id string) context.Context {
	if !validRequestID(id) {
		id = newRequestID()
	}
	return context.WithValue(ctx, contextKey{}, id)
}

func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// newRequestID returns 128 random bits in hex. They need to be unique, not secret.
func newRequestID() string {
	var raw [16]byte
	var text [32]byte
	for i, half := range [2]uint64{rand.Uint64(), rand.Uint64()} {
		for j := range 8 {
			raw[8*i+j] = byte(half >> (8 * j))
		}
	}
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

// maxHopMargin is the most time that one hop keeps for itself.
const maxHopMargin = 100 * time.Millisecond

// callDeadline returns the deadline of an outgoing call. Without one it is
// fallback from now. A call made while serving another gives up a tenth of the
// time that is left, at most maxHopMargin: if callee and caller ran out of time
// in the same moment, the caller could never answer with what it has, and its
// own caller would learn only that time was up, not whose fault it was.
func callDeadline(ctx context.Context, now time.Time, fallback time.Duration) time.Time {
	deadline, ok := ctx.Deadline()
	switch {
	case !ok:
		return now.Add(fallback)
	case RequestID(ctx) == "":
		return deadline // the first hop: the time is the caller's to choose
	}
	left := deadline.Sub(now)
	if left <= 0 {
		return deadline
	}
	return deadline.Add(-min(left/10, maxHopMargin))
}

// calleeContext is the context of a call in process, as its handler has it. It
// has the caller's deadline and cancellation and none of its values: over a wire
// they would not come along, so in process they must not.
//
// Nothing hangs on the caller's context: the caller's own goroutine waits for the
// answer anyway, and ends this context when it stops waiting. And a handler that
// answers from memory never asks for Done, so the timer and the channel behind it
// (the standard library's, so that contexts derived from this one cost no
// goroutine) are made only when it is called.
type calleeContext struct {
	deadline  time.Time
	values    context.Context
	requestID string // set by adoptRequestID, before the handler runs

	mu   sync.Mutex
	std  context.Context // nil until it is needed
	stop context.CancelFunc
	end  error // why it ended, while std is nil
}

var _ context.Context = (*calleeContext)(nil)

// init fills the values that a server gives a handler. base has the peer.
func (c *calleeContext) init(base context.Context, deadline time.Time, md metadata.MD, sts grpc.ServerTransportStream) {
	c.deadline = deadline
	c.values = grpc.NewContextWithServerTransportStream(metadata.NewIncomingContext(base, md), sts)
}

// adoptRequestID sets the request id: the one that was sent, or a new one.
func (c *calleeContext) adoptRequestID(sent string) string {
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
