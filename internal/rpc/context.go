package rpc

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"time"
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
// id along. It is for an edge that is not gRPC (the HTTP gateway); behind a
// [Server] it has been done. An id that is empty, longer than 128 bytes or not
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
