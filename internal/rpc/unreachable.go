package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/fault"
)

// This file makes the errors of calls that no server answered. gRPC's own text says,
// through three layers, where it dialled and what went wrong. It is for the log, or for the
// operator who set the address, and becomes the cause. The message may reach a user of
// another service, who can do nothing about addresses: it names the service and says what
// to do.

// explain turns gRPC's error of a call into that of its caller. It runs outside of the
// retries, which need gRPC's own errors. header and trailer are those of the response.
func explain(ctx context.Context, name, target string, err error, header, trailer metadata.MD) error {
	// After the last retry, gRPC wraps the last error in a description of the retries.
	// The error inside counts.
	var inner interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &inner) {
		return err
	}
	st := inner.GRPCStatus()
	if brokenOff(err, header, trailer) {
		return unreachable(name, target, st.Message())
	}
	if len(trailer) > 0 {
		return st.Err() // a server's own words; without a status of a server not even a request id comes back
	}
	reset := strings.HasPrefix(st.Message(), resetText)
	switch {
	case st.Code() == codes.DeadlineExceeded, reset && st.Code() == codes.Canceled && nearlyOver(ctx):
		return late(name, located(target, st.Message()))
	case st.Code() == codes.Unavailable, reset && ctx.Err() == nil:
		return unreachable(name, target, st.Message())
	}
	return st.Err()
}

// resetText is the prefix of gRPC's error if the other end reset a call.
const resetText = "stream terminated by RST_STREAM"

// nearlyOver reports whether the time of a call is over or about to be. A server has its own timer, which starts when the call
// reached it, and breaks off; with two clocks either end may be the first.
func nearlyOver(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < maxHopMargin
}

// late is the DEADLINE_EXCEEDED of a call whose time was over before an answer came.
func late(name, why string) error {
	return fault.Deadline(&cause{text: why, is: context.DeadlineExceeded}, "the %s service did not answer in time: try again later", name)
}

// brokenOff reports whether an answer had begun to arrive when the connection broke:
// a [Server] sends a header with an answer and a trailer with every error.
func brokenOff(err error, header, trailer metadata.MD) bool {
	return status.Code(err) == codes.Unavailable && len(header) > 0 && len(trailer) == 0
}

// unreachable is the UNAVAILABLE of a call that no server answered: target is
// where it was looked for, why is gRPC's text or ours.
func unreachable(name, target, why string) error {
	return fault.Unavailable(&cause{text: located(target, why)}, "the %s service cannot be reached: try again later", name)
}

// cause is why no server answered.
type cause struct {
	text string
	is   error // what it is a case of, or nil
}

// Error implements error.
func (c *cause) Error() string { return c.text }

// Unwrap returns what the cause is a case of.
func (c *cause) Unwrap() error { return c.is }

// located puts the target before the reason, unless the reason begins with it.
func located(target, why string) string {
	why = reason(why)
	if strings.HasPrefix(why, target+": ") {
		return why
	}
	return target + ": " + why
}

const (
	// lastReason is how gRPC begins when a call's time is over before there was a
	// connection; behind it is the last reason why there was none.
	lastReason = "latest balancer error: "
	stopping   = "the instance there is stopping"
)

// reason says in few words what gRPC's text means. gRPC has no other form of it:
// its balancers pass errors on as text. A text of an unknown kind stays, without
// the names of layers in front of it.
func reason(text string) string {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("no children to pick from"): // round_robin without addresses; it forgets why, even if the resolver reported a reason
		return "no instance is known there: is the service started?"
	case has("http2: ", "HTTP/1.1 header", "unexpected HTTP status code", "unexpected content-type"):
		return "something that is not gRPC answers there"
	case has("status=NOT_SERVING"):
		return "the instance there says NOT_SERVING: it is starting or stopping"
	case has(resetText):
		return "the other end broke the call off" + strings.TrimPrefix(text[strings.Index(text, resetText):], resetText)
	case has("draining", "graceful_stop"):
		return stopping
	case has("preface") && has("use of closed network connection", "timeout", "deadline"): // gRPC closes it after a while
		return "the connection is accepted, but nothing answers there"
	case has("preface"):
		return "the connection is closed at once: is it gRPC that answers there?"
	}
	if _, dialled, ok := strings.Cut(text, "dial tcp "); ok {
		if addr, why, ok := strings.Cut(dialled, ": "); ok {
			return addr + ": " + strings.TrimSuffix(strings.TrimPrefix(why, "connect: "), `"`)
		}
	}
	if _, said, ok := strings.Cut(text, "health check failed. status="); ok {
		return "the instance there says " + said + " when asked for its health"
	}
	if has("error reading from server", "closing transport", "failed to write", "read tcp", "write tcp") {
		return "the connection broke"
	}
	for _, layer := range []string{lastReason, `connection error: desc = "`, "transport: ", "Error while dialing: ", "dial tcp: "} {
		text = strings.TrimPrefix(text, layer)
	}
	return strings.TrimSuffix(text, `"`)
}
