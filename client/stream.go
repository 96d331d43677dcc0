package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/api/events"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

const (
	// DefaultStallTimeout is how long nothing may move before a load gives up.
	DefaultStallTimeout = 60 * time.Second
	// brokerStall bounds the wait for Kafka alone: a broker answers within milliseconds, ingestion may have a backlog.
	brokerStall = 30 * time.Second
	// brokerContact bounds the wait for Kafka's first answer.
	brokerContact = 10 * time.Second
	// topicWait is how long a topic may be missing: the rating service creates it just after the start.
	topicWait = 3 * time.Second
	// flushAfterInterrupt is what a user who has interrupted is made to wait at most.
	flushAfterInterrupt = 5 * time.Second
	pollInterval        = 50 * time.Millisecond
)

// eventStream publishes rating events, and waits until they have had their effect. publish is for one goroutine.
type eventStream struct {
	c        *Client
	stall    time.Duration
	topic    kafka.Topic
	producer *kafka.Producer
	last     record       // of the event published last
	waiting  func(string) // called with what the stream waits for; may be nil

	published    atomic.Int64 // handed over
	acknowledged atomic.Int64
	failed       atomic.Int64 // answered with an error
	mu           sync.Mutex
	lost         int64
	firstLoss    error
}

// record names what is rated.
type record struct{ recordType, id string }

// openStream connects to Kafka. Zero stall means DefaultStallTimeout. Close the stream.
func (c *Client) openStream(ctx context.Context, stall time.Duration) (*eventStream, error) {
	if stall <= 0 {
		stall = DefaultStallTimeout
	}
	cfg, err := c.brokers()
	if err != nil {
		return nil, err
	}
	s := &eventStream{c: c, stall: stall}
	if s.topic, err = c.describeTopic(ctx, cfg, min(stall, brokerContact)); err != nil {
		return nil, c.explain(Kafka, "publish rating events", err)
	}
	s.producer, err = kafka.NewProducer(ctx, kafka.ProducerConfig{Config: cfg, Topic: c.addresses.Topic, Stall: min(stall, brokerStall)})
	if err != nil {
		return nil, c.explain(Kafka, "publish rating events", err)
	}
	return s, nil
}

// describeTopic looks the topic up, and again for a moment if there is none yet.
func (c *Client) describeTopic(ctx context.Context, cfg kafka.Config, contact time.Duration) (kafka.Topic, error) {
	cl, err := kafka.NewClient(cfg)
	if err != nil {
		return kafka.Topic{}, err
	}
	defer cl.Close()
	began, told := time.Now(), false
	for {
		asking, cancel := context.WithTimeout(ctx, contact)
		topic, err := kafka.DescribeTopic(asking, cl, c.addresses.Topic)
		cancel()
		if ctx.Err() != nil {
			return kafka.Topic{}, ctx.Err()
		}
		passed, missing := time.Since(began), fault.KindOf(err) == fault.KindNotFound
		switch {
		case err == nil, passed > contact && passed > c.start.most:
			return topic, err
		case missing && passed <= max(min(contact, topicWait), c.start.most):
		case !missing && passed <= c.start.most:
		default:
			return topic, err
		}
		if !told && passed > unsaid {
			told = true
			c.start.tell(Kafka, c.address(Kafka), reasonOf(err, c.address(Kafka)))
		}
		if err := pause(ctx, pollInterval); err != nil {
			return kafka.Topic{}, err
		}
	}
}

// close gives up what has not been flushed, within the time of an interruption.
func (s *eventStream) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushAfterInterrupt)
	defer cancel()
	// What it could say has been said by flush.
	_ = s.producer.Close(ctx)
}

// publish hands an event over; it must be valid. answered, unless nil, is called with the outcome later and must not
// block. After an error the stream must not be used.
func (s *eventStream) publish(ctx context.Context, e *events.Event, answered func(error)) error {
	if answered == nil {
		answered = s.lose
	}
	m := kafka.Message{
		Key:     e.Key(),
		Value:   e.AppendJSON(nil),
		Headers: []kgo.RecordHeader{{Key: events.ContentTypeHeader, Value: []byte(events.ContentTypeJSON)}},
		// The record's time is now: retention counts from it. When the user rated is in the event.
	}
	s.published.Add(1)
	err := s.producer.Publish(ctx, m, func(_ int32, _ int64, err error) {
		if err == nil {
			s.acknowledged.Add(1)
			return
		}
		s.failed.Add(1)
		answered(err)
	})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.c.explain(Kafka, "publish rating events", err)
	}
	s.last = record{e.RecordType, e.RecordID}
	return nil
}

// lose books an event that Kafka did not acknowledge.
func (s *eventStream) lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
	if s.firstLoss == nil {
		s.firstLoss = err
	}
}

// flush waits for the outstanding answers and returns the offsets of the last events. An event that was not acknowledged
// is an error.
func (s *eventStream) flush(ctx context.Context) (kafka.Offsets, error) {
	offsets, err := s.producer.Flush(ctx)
	if err != nil {
		return offsets, s.c.explain(Kafka, "publish rating events", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 {
		return offsets, fmt.Errorf("publish rating events: %d were not acknowledged, the first because of this: %w; run it again, rows that went in already are not changed",
			s.lost, s.firstLoss)
	}
	return offsets, nil
}

// flushInterrupted flushes for a moment although the user wants to go.
func (s *eventStream) flushInterrupted(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushAfterInterrupt)
	defer cancel()
	_, _ = s.producer.Flush(ctx) // what counts is in acknowledged
}

// positions returns the next offset to ingest of each partition of the topic, and why a partition is halted.
func (s *eventStream) positions(ctx context.Context) (next map[int32]int64, halted map[int32]string, err error) {
	resp, err := s.c.admin.ListIngestPartitions(ctx, &ratingv1.ListIngestPartitionsRequest{})
	if err != nil {
		return nil, nil, s.c.explain(Rating, "ask how far ingestion is", err)
	}
	next, halted = make(map[int32]int64), make(map[int32]string)
	id := hex.EncodeToString(s.topic.ID[:])
	for _, p := range resp.GetPartitions() {
		if p.GetTopicId() != id {
			continue // of a topic that had the same name once, or of another one
		}
		next[p.GetPartition()] = p.GetNextOffset()
		if p.GetHalted() != "" {
			halted[p.GetPartition()] = p.GetHalted()
		}
	}
	return next, halted, nil
}

// await returns when every offset of last has been ingested. missing is called with the number of records not yet ingested.
func (s *eventStream) await(ctx context.Context, last kafka.Offsets, missing func(int64)) error {
	var least int64 = -1
	moved := time.Now()
	heard := &hearing{part: Rating, addr: s.c.addresses.Rating}
	defer s.watch(heard.state)()
	for {
		next, halted, err := s.positions(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			left := int64(0)
			for part, offset := range last {
				if n := next[part]; n <= offset {
					left += offset + 1 - n
					if reason := halted[part]; reason != "" {
						return fault.Unavailable(nil, "partition %d of topic %q is halted at offset %d of %d: %s", part, s.topic.Name, n, offset, reason)
					}
				}
			}
			missing(left)
			if left == 0 {
				return nil
			}
			if least < 0 || left < least {
				least, moved = left, time.Now()
			}
		} else if k := fault.KindOf(err); k != fault.KindUnavailable && k != fault.KindDeadline {
			return err
		}
		heard.answer(err)
		if time.Since(moved) > s.stall {
			return s.stalled(next, last, err)
		}
		if err := pause(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// stalled says how far ingestion has come, or err if that is unknown.
func (s *eventStream) stalled(next map[int32]int64, last kafka.Offsets, err error) error {
	if err != nil {
		return &UnreachableError{
			Part: Rating, Addr: s.c.addresses.Rating, Reason: reasonOf(err, s.c.addresses.Rating), Err: err,
			meanwhile: "all ratings are in Kafka, and will be ingested when the rating service is back",
		}
	}
	var behind []string
	for _, part := range slices.Sorted(maps.Keys(last)) {
		if n, known := next[part]; known && n <= last[part] {
			behind = append(behind, fmt.Sprintf("partition %d is at offset %d of %d", part, n, last[part]))
		} else if !known {
			behind = append(behind, fmt.Sprintf("partition %d has not started", part))
		}
	}
	return fault.Unavailable(nil, "ingestion has not moved for %s: %s; all events are in Kafka and will be ingested when ingestion resumes",
		s.stall, strings.Join(behind, ", "))
}

// Totals are the sums over all ratings of films.
type Totals struct {
	Records    int64   `json:"ratedRecords"`
	Ratings    int64   `json:"ratings"`
	Sum        int64   `json:"sum"`
	GlobalMean float64 `json:"globalMean"`
}

// totals returns the totals and, by the rating service's clock, when they were computed.
func (c *Client) totals(ctx context.Context, recordType string) (Totals, time.Time, error) {
	resp, err := c.ratings.GetTotals(ctx, &ratingv1.GetTotalsRequest{RecordType: recordType})
	if err != nil {
		return Totals{}, time.Time{}, c.explain(Rating, "read the totals of all ratings", err)
	}
	return Totals{
		Records: resp.GetRecords(), Ratings: resp.GetRatings(), Sum: resp.GetSum(), GlobalMean: resp.GetGlobalMean(),
	}, resp.GetAsOfTime().AsTime(), nil
}

// totalsSince returns totals that were computed after this call: with everything that has been ingested by now.
func (s *eventStream) totalsSince(ctx context.Context, recordType string) (Totals, error) {
	mark, err := s.serverTime(ctx)
	if err != nil {
		return Totals{}, err
	}
	for began := time.Now(); ; {
		t, asOf, err := s.c.totals(ctx, recordType)
		if err != nil {
			return Totals{}, err
		}
		if asOf.After(mark) {
			return t, nil
		}
		if time.Since(began) > s.stall {
			return Totals{}, fault.Unavailable(nil, "the totals of the rating service at %s have not been refreshed for %s", s.c.addresses.Rating, s.stall)
		}
		if err := pause(ctx, pollInterval); err != nil {
			return Totals{}, err
		}
	}
}

// serverTime is now by the rating service's clock, which may differ from ours: the time of a summary read now.
func (s *eventStream) serverTime(ctx context.Context) (time.Time, error) {
	resp, err := s.c.ratings.GetRatingSummary(ctx, &ratingv1.GetRatingSummaryRequest{RecordType: s.last.recordType, RecordId: s.last.id})
	switch {
	case err == nil:
		return resp.GetSummary().GetAsOfTime().AsTime(), nil
	case fault.KindOf(err) == fault.KindNotFound: // its ratings have been taken back
		return time.Now(), nil
	}
	return time.Time{}, s.c.explain(Rating, "read the aggregate of the last event", err)
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isInterrupt reports whether err is the user's or the caller's wish to end.
func isInterrupt(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || fault.KindOf(err) == fault.KindCanceled)
}

const (
	// waitingAfter is how long the client waits for an answer before it says so.
	waitingAfter = 3 * time.Second
	// waitingAgain is how often it is said again.
	waitingAgain = 15 * time.Second
)

// watch tells the user what the stream is waiting for, until it is stopped. state returns a number that grows with every
// answer, and what to say if it has not grown for a while; nothing if nothing is waited for.
func (s *eventStream) watch(state func() (answers int64, text string)) (stop func()) {
	if s.waiting == nil {
		return func() {}
	}
	// With a short timeout, say so before it expires.
	after := min(waitingAfter, s.stall/4)
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(max(after/4, time.Millisecond))
		defer tick.Stop()
		var answers int64
		began, next := time.Now(), after
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			n, text := state()
			if n != answers || text == "" {
				answers, began, next = n, time.Now(), after
				continue
			}
			if time.Since(began) >= next {
				s.waiting(text)
				next = time.Since(began) + waitingAgain
			}
		}
	})
	return func() {
		close(quit)
		running.Wait()
	}
}

// watchKafka is watch for the answers to what is published.
func (s *eventStream) watchKafka() (stop func()) {
	return s.watch(func() (int64, string) {
		answers := s.acknowledged.Load() + s.failed.Load()
		if answers == s.published.Load() {
			return answers, ""
		}
		return answers, waitingText(Kafka, s.c.address(Kafka), "no answer")
	})
}

// hearing is the state of a service that is polled.
type hearing struct {
	part, addr string

	mu      sync.Mutex
	answers int64
	reason  string // of the last failure
}

// answer records the result of a call.
func (h *hearing) answer(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.reason = reasonOf(err, h.addr)
		return
	}
	h.answers++
	h.reason = ""
}

func (h *hearing) state() (int64, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	reason := h.reason
	if reason == "" {
		reason = "no answer"
	}
	return h.answers, waitingText(h.part, h.addr, reason)
}
