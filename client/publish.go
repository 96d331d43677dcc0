package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"movieexample.com/api/events"
	"movieexample.com/internal/kafka"
)

// PublishOptions tune PublishFile. The zero value works.
type PublishOptions struct {
	// StallTimeout is how long Kafka may leave everything unanswered before publishing is given up; 0 means 30 s, and it is never more.
	StallTimeout time.Duration
	// Refused is called for every refused event, with its position in the file, one call at a time.
	Refused func(*events.RefusedError)
}

// PublishSummary counts the outcomes of the events of a file.
type PublishSummary struct {
	// Read is the number of events in the file, as far as it was read.
	Read int64 `json:"read"`
	// Accepted is the number of events that Kafka has acknowledged.
	Accepted int64 `json:"accepted"`
	// Refused is the number of events that are not valid, or that Kafka refused.
	Refused int64 `json:"refused"`
	// Unknown is the number of events of which it is unknown whether Kafka has them.
	Unknown int64 `json:"outcomeUnknown"`
	// NotSent is the number of events that were read and did not leave this process.
	NotSent int64 `json:"notSent"`
	// Interrupted: it was ended before the end of the file.
	Interrupted bool `json:"interrupted"`
}

// PublishFile sends the events of a file, a JSON array or JSON lines, to the topic. It streams; r may be a pipe that never ends,
// and reading from it does not hold up the end of ctx.
//
// Invalid events are counted and reported, and are not an error. The summary is right as far as things went, also with an
// error: *UnreachableError if the broker is gone, context.Canceled if ctx ended, otherwise r's error, or that r is not such a file.
func (c *Client) PublishFile(ctx context.Context, r io.Reader, opt PublishOptions) (PublishSummary, error) {
	stream, err := c.openStream(ctx, opt.StallTimeout)
	if err != nil {
		return PublishSummary{}, err
	}
	defer stream.close(ctx)
	p := &publisher{stream: stream, opt: opt}
	err = p.run(ctx, r)
	if err != nil {
		stream.flushInterrupted(ctx)
	} else {
		_, err = stream.flush(ctx)
	}
	if err != nil {
		// Whatever is left is answered when the producer is closed.
		stream.close(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.summary.Accepted = stream.acknowledged.Load()
	p.summary.NotSent = max(0, p.summary.Read-p.summary.Accepted-p.summary.Refused-p.summary.Unknown)
	if isInterrupt(ctx, err) {
		p.summary.Interrupted = true
		err = &interrupted{
			text:  fmt.Sprintf("interrupted: %d events are in Kafka; publishing the file again is harmless if its events have ratedAt", p.summary.Accepted),
			cause: ctx.Err(),
		}
	}
	return p.summary, err
}

// publisher is one run of PublishFile.
type publisher struct {
	stream *eventStream
	opt    PublishOptions

	mu      sync.Mutex // Kafka's answers come from another goroutine
	summary PublishSummary
}

// read is one item of a file, or why it is none.
type read struct {
	item events.Item
	err  error
}

func (p *publisher) run(ctx context.Context, r io.Reader) error {
	// A pipe may stay silent forever, and a read cannot be interrupted: then its goroutine is left behind.
	items := make(chan read, 64)
	go func() {
		defer close(items)
		for item, err := range events.ReadFile(r) {
			select {
			case items <- read{item, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case next, more := <-items:
			if !more {
				return nil
			}
			if err := p.one(ctx, next); err != nil {
				return err
			}
		}
	}
}

func (p *publisher) one(ctx context.Context, next read) error {
	if bad := (*events.RefusedError)(nil); errors.As(next.err, &bad) {
		p.count(func(s *PublishSummary) { s.Read++ })
		p.refuse(bad)
		return nil
	}
	if next.err != nil {
		return fmt.Errorf("read events: %w", next.err)
	}
	p.count(func(s *PublishSummary) { s.Read++ })
	e, position := next.item.Event, next.item.Position
	if err := e.CheckTime(time.Now()); err != nil {
		p.refuse(&events.RefusedError{Position: position, Raw: e.AppendJSON(nil), Err: err})
		return nil
	}
	return p.stream.publish(ctx, &e, func(err error) {
		switch {
		case errors.Is(err, kafka.ErrRefused):
			p.refuse(&events.RefusedError{Position: position, Raw: e.AppendJSON(nil), Err: err})
		case errors.Is(err, kafka.ErrOutcomeUnknown):
			p.count(func(s *PublishSummary) { s.Unknown++ })
			p.stream.lose(err)
		default:
			p.stream.lose(err)
		}
	})
}

func (p *publisher) count(change func(*PublishSummary)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.summary)
}

func (p *publisher) refuse(bad *events.RefusedError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.summary.Refused++
	if p.opt.Refused != nil {
		p.opt.Refused(bad)
	}
}
