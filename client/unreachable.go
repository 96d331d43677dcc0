package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

// UnreachableError says which part of the system did not answer. Its kind is that of Err.
type UnreachableError struct {
	Part   string // Metadata, Rating or Kafka
	Addr   string // where the client looked; empty if no address was given
	Reason string // why it could not be reached, in a few words; may be empty
	Err    error  // the cause

	meanwhile string // what is true nevertheless; may be empty
}

// Error names part, address and reason, once each, and not what to do: that depends on how the user gave the address.
func (e *UnreachableError) Error() string {
	if e.Addr == "" {
		return "the address of " + partName(e.Part) + " is not known"
	}
	text := "cannot reach " + partName(e.Part) + " at " + e.Addr
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	if e.meanwhile != "" {
		text = e.meanwhile + ": " + text
	}
	return text
}

// Unwrap returns Err.
func (e *UnreachableError) Unwrap() error { return e.Err }

// partName is what a sentence calls a part.
func partName(part string) string {
	if part == Kafka {
		return "Kafka"
	}
	return "the " + part + " service"
}

// address is where a part is looked for.
func (c *Client) address(part string) string {
	switch part {
	case Metadata:
		return c.addresses.Metadata
	case Rating:
		return c.addresses.Rating
	}
	return strings.Join(c.addresses.Brokers, ",")
}

// explain turns what a call returned into an error for the user: who is not there, or what was being done.
func (c *Client) explain(part, doing string, err error) error {
	if err == nil {
		return nil
	}
	if part != Kafka {
		err = fault.FromRPC(err)
	}
	addr := c.address(part)
	if fault.KindOf(err) == fault.KindUnavailable && (addr == "" || noAnswer(err)) {
		return &UnreachableError{Part: part, Addr: addr, Reason: reasonOf(err, addr), Err: err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// noAnswer reports whether a call with the error UNAVAILABLE got no answer. A service that says so itself has
// been reached, and its words are the ones to show: they come without a cause, which does not travel.
func noAnswer(err error) bool {
	if errors.As(err, new(*kafka.StallError)) {
		return true
	}
	e := (*fault.Error)(nil)
	return !errors.As(err, &e) || e.Err != nil
}

// reasonOf is why addr could not be reached, in the few words of the innermost error.
func reasonOf(err error, addr string) string {
	stall := (*kafka.StallError)(nil)
	switch {
	case errors.As(err, &stall) && stall.Cause == nil:
		return fmt.Sprintf("no answer for %s", stall.Stall)
	case errors.As(err, &stall):
		err = stall.Cause
	}
	if errors.Is(err, context.DeadlineExceeded) || fault.KindOf(err) == fault.KindDeadline {
		return "no answer in time"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	text := err.Error()
	if e := (*fault.Error)(nil); errors.As(err, &e) {
		text = e.Message()
	}
	for _, one := range instances(addr) {
		if at := strings.LastIndex(text, one+": "); at >= 0 {
			text = text[at+len(one)+2:]
		}
	}
	return strings.TrimPrefix(strings.Trim(text, `"`), "connect: ")
}
