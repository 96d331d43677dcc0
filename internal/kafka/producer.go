package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/fault"
)

// The outcomes of a record that was not acknowledged; test with errors.Is.
var (
	// ErrRefused: the record is not in the log and will not be, for the reason given.
	ErrRefused = errors.New("record refused")
	// ErrNotSent: the record never left this process; publishing it again makes no duplicate.
	ErrNotSent = errors.New("record not sent")
	// ErrOutcomeUnknown: the record was sent, or may have been, and no answer
	// came. It may be in the log. Publishing it again may make a duplicate.
	ErrOutcomeUnknown = errors.New("outcome unknown: the record may or may not be in the log")
)

// ErrClosed is returned by Publish on a producer that was closed.
var ErrClosed = errors.New("the Kafka producer is closed")

// ProducerConfig describes a producer of one topic.
type ProducerConfig struct {
	Config
	// Topic must exist. Required.
	Topic string
	// Stall is how long the producer waits without any answer from the brokers
	// while records are outstanding, before it gives up. Default 30 s.
	Stall time.Duration
	// MaxOutstanding is how many records may wait for their answer before
	// Publish blocks. Default 16384.
	MaxOutstanding int
	// MaxRecordBytes is the size of the largest record that is accepted, key, value and
	// headers together, and of the largest batch. Default 1,000,000, which is below the
	// default of brokers.
	MaxRecordBytes int32
}

// Message is one record to publish. The producer keeps Key, Value and Headers
// until the record is answered; do not change them before.
type Message struct {
	// Key decides the partition; records of one key stay in order. Nil: any partition.
	Key   []byte
	Value []byte
	// Headers of the record, for example content-type.
	Headers []kgo.RecordHeader
	// Time is the record's timestamp, to the millisecond, which decides its retention.
	// Zero: now.
	Time time.Time
}

// Offsets maps a partition to the offset of the last acknowledged record in it.
type Offsets map[int32]int64

// Producer publishes to one topic: idempotent (its own retries make no
// duplicates), acknowledged by all in-sync replicas, ordered per key. It is safe for
// concurrent use.
//
// It differs from a plain client in that it gives up: an idempotent Kafka client keeps
// records that it has sent for as long as the broker is gone, because it
// cannot know whether they arrived. When nothing has been answered for
// Stall, this producer answers all outstanding records with
// [ErrOutcomeUnknown] or [ErrNotSent] and fails permanently with a [*StallError].
type Producer struct {
	cl       *kgo.Client
	cfg      ProducerConfig
	slots    chan struct{}
	stalled  chan struct{} // closed when failure is set
	quit     chan struct{} // ends the watchdog
	watching sync.WaitGroup
	sent     atomic.Bool // a produce request, or part of one, has been written
	dialErr  atomic.Pointer[error]

	mu          sync.Mutex
	outstanding int
	counts      Counts
	offsets     Offsets
	blind       map[int32]bool // partitions whose last acknowledgement had no offset
	progress    time.Time      // last answer, or when the first record began to wait
	idle        chan struct{}  // closed when outstanding becomes 0; nil without a waiter
	failure     error
	closed      bool
}

// Counts are the answers so far.
type Counts struct {
	Acknowledged, Refused, NotSent, Unknown int64
}

// StallError says that the brokers stopped answering. It is a fault of kind Unavailable.
type StallError struct {
	Brokers string        // the addresses tried
	Topic   string        // the topic published to
	Stall   time.Duration // how long nothing was answered
	Pending int           // records without an answer
	Sent    bool          // false: none of them left this process
	Cause   error         // the last connection error, or nil
}

// Error names the brokers, what happened to the records, and what to do.
func (e *StallError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no answer from Kafka at %s for %s while publishing to topic %q", e.Brokers, e.Stall, e.Topic)
	if e.Cause != nil {
		fmt.Fprintf(&b, " (%v)", e.Cause)
	}
	if e.Sent {
		fmt.Fprintf(&b, "; the outcome of %d records is unknown", e.Pending)
	} else {
		fmt.Fprintf(&b, "; %d records were not sent", e.Pending)
	}
	b.WriteString(": check that the broker runs, then publish again what was not acknowledged")
	return b.String()
}

// Unwrap returns the error as a fault, so that the mapping of errors knows its kind.
func (e *StallError) Unwrap() error { return &fault.Error{Kind: fault.KindUnavailable, Msg: e.Error()} }

// NewProducer connects and makes sure that the topic exists. It tries for Stall
// at most, or until ctx ends; the error is a fault of kind Unavailable that names the brokers,
// NotFound for the topic, or Invalid for the configuration.
func NewProducer(ctx context.Context, cfg ProducerConfig) (*Producer, error) {
	if cfg.Topic == "" {
		return nil, fault.Invalid("topic", "is required")
	}
	orDefault(&cfg.Stall, 30*time.Second)
	orDefault(&cfg.MaxOutstanding, 16384)
	orDefault(&cfg.MaxRecordBytes, 1_000_000)
	p := &Producer{
		cfg:     cfg,
		slots:   make(chan struct{}, cfg.MaxOutstanding),
		stalled: make(chan struct{}),
		quit:    make(chan struct{}),
		offsets: Offsets{},
		blind:   map[int32]bool{},
	}
	cl, err := NewClient(cfg.Config,
		kgo.DefaultProduceTopicAlways(),
		kgo.DefaultProduceTopic(cfg.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchMaxBytes(cfg.MaxRecordBytes),
		kgo.MaxBufferedRecords(cfg.MaxOutstanding+1), // our slots are the limit: their wait can be given up
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
		kgo.WithHooks((*producerHooks)(p)),
	)
	if err != nil {
		return nil, err
	}
	p.cl = cl
	if err := p.connect(ctx); err != nil {
		cl.Close()
		return nil, err
	}
	p.watching.Go(p.watch)
	return p, nil
}

// connect looks the topic up, and retries while no broker answers.
func (p *Producer) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Stall)
	defer cancel()
	tick := time.NewTicker(min(250*time.Millisecond, p.cfg.Stall/4))
	defer tick.Stop()
	for {
		_, err := DescribeTopic(ctx, p.cl, p.cfg.Topic)
		if err == nil || fault.KindOf(err) == fault.KindNotFound {
			return err
		}
		select {
		case <-ctx.Done():
			// The last attempt usually ended with ctx; why it could not connect says more.
			if d := p.dialErr.Load(); d != nil {
				err = *d
			}
			return unreachable(p.cl, err)
		case <-tick.C:
		}
	}
}

// Publish publishes a record. It blocks while MaxOutstanding records are
// unanswered, until ctx ends or the producer stalls. If it returns an error, the record was
// not accepted and done is not called. Otherwise done, unless nil, is called
// exactly once, with the record's place in the log or with an error that is [ErrRefused],
// [ErrNotSent] or [ErrOutcomeUnknown]. Calls to done come one at a time, from another
// goroutine; done must not block and must not call the producer's Publish, Flush or Close.
//
// An accepted record is not withdrawn when ctx ends.
func (p *Producer) Publish(ctx context.Context, m Message, done func(partition int32, offset int64, err error)) error {
	if err := p.takeSlot(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	if p.failure != nil || p.closed {
		err := p.failure
		if err == nil {
			err = ErrClosed
		}
		p.mu.Unlock()
		<-p.slots
		return err
	}
	if p.outstanding == 0 {
		p.progress = time.Now()
	}
	p.outstanding++
	p.mu.Unlock()

	r := &kgo.Record{Key: m.Key, Value: m.Value, Headers: m.Headers, Timestamp: m.Time}
	p.cl.Produce(context.Background(), r, func(r *kgo.Record, err error) {
		if err = p.classify(r, err); err != nil {
			r.Offset = -1
		}
		if done != nil {
			done(r.Partition, r.Offset, err)
		}
		p.settled(r, err)
	})
	return nil
}

func (p *Producer) takeSlot(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-p.stalled:
		return p.failed()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Producer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

// classify returns the outcome of a record for an error of the client.
func (p *Producer) classify(r *kgo.Record, err error) error {
	var ke *kerr.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("%w: it is too large: key and value have %d bytes, the limit of this producer is %d bytes and the topic may have a lower one",
			ErrRefused, len(r.Key)+len(r.Value), p.cfg.MaxRecordBytes)
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return fmt.Errorf("%w: topic %q no longer exists: %w", ErrRefused, p.cfg.Topic, err)
	case errors.Is(err, kerr.UnknownServerError):
		return fmt.Errorf("%w: the broker could not store it, its log says why; a full disk is the usual reason: %w", ErrOutcomeUnknown, err)
	case errors.Is(err, kerr.RequestTimedOut),
		errors.Is(err, kerr.NotEnoughReplicasAfterAppend), errors.Is(err, kerr.OutOfOrderSequenceNumber):
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	case isForbidden(err):
		// Of the cluster, where it was the producer's id that was denied: Kafka gives one to every user who may write to any topic.
		return fmt.Errorf("%w: %w", ErrRefused, Explain(p.cl, kerr.TopicAuthorizationFailed))
	case errors.As(err, &ke) && !ke.Retriable:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case !p.sent.Load():
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}

// settled records the outcome of one record.
func (p *Producer) settled(r *kgo.Record, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.counts.Acknowledged++
		// A broker that had the record already may not say where it is.
		p.blind[r.Partition] = r.Offset < 0
		if last, ok := p.offsets[r.Partition]; !ok || r.Offset > last {
			p.offsets[r.Partition] = r.Offset
		}
	case errors.Is(err, ErrRefused):
		p.counts.Refused++
	case errors.Is(err, ErrNotSent):
		p.counts.NotSent++
	default:
		p.counts.Unknown++
	}
	p.progress = time.Now()
	p.outstanding--
	if p.outstanding == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
	<-p.slots
}

// Flush waits until every accepted record is answered, and returns the
// offsets of the last acknowledged ones. It gives up when ctx ends or when the
// producer stalls (*StallError). Refused records are not an error of Flush; see Counts.
func (p *Producer) Flush(ctx context.Context) (Offsets, error) {
	if err := p.settle(ctx); err != nil {
		return p.Offsets(), err
	}
	if err := p.resolve(ctx); err != nil {
		return p.Offsets(), err
	}
	return p.Offsets(), p.failed()
}

// settle waits for the last answer.
func (p *Producer) settle(ctx context.Context) error {
	p.mu.Lock()
	if p.failure != nil || p.outstanding == 0 {
		defer p.mu.Unlock()
		return p.failure
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-p.stalled:
		return p.failed()
	case <-ctx.Done():
		return fmt.Errorf("wait for Kafka's acknowledgements: %w", ctx.Err())
	}
}

// resolve looks up the end of partitions whose last record was acknowledged
// without an offset, so that Offsets never names less than what is in the log.
func (p *Producer) resolve(ctx context.Context) error {
	p.mu.Lock()
	blind := false
	for _, b := range p.blind {
		blind = blind || b
	}
	p.mu.Unlock()
	if !blind {
		return nil
	}
	ends, err := kadm.NewClient(p.cl).ListEndOffsets(ctx, p.cfg.Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("look up the end of topic %q: %w", p.cfg.Topic, unreachable(p.cl, err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for part, b := range p.blind {
		if e, ok := ends.Lookup(p.cfg.Topic, part); ok && b {
			p.offsets[part] = max(p.offsets[part], e.Offset-1)
			p.blind[part] = false
		}
	}
	return nil
}

// Offsets returns the offset of the last acknowledged record per partition so far.
func (p *Producer) Offsets() Offsets {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.offsets)
}

// Counts returns the counts of answers so far.
func (p *Producer) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// Close flushes, bounded by ctx and Stall, and stops the producer. Records without an
// answer by then are answered with [ErrOutcomeUnknown] or [ErrNotSent], and Close
// returns Flush's error.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if again {
		return nil
	}
	err := p.settle(ctx)
	if err != nil {
		p.cl.UnsafeAbortBufferedRecords()
	}
	close(p.quit)
	p.watching.Wait()
	p.cl.Close() // answers what is left
	return err
}

// watch makes the producer fail when the brokers stop answering.
func (p *Producer) watch() {
	tick := time.NewTicker(max(p.cfg.Stall/10, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		if p.outstanding == 0 || time.Since(p.progress) < p.cfg.Stall {
			p.mu.Unlock()
			continue
		}
		e := &StallError{
			Brokers: strings.Join(p.cfg.Brokers, ", "), Topic: p.cfg.Topic,
			Stall: p.cfg.Stall, Pending: p.outstanding, Sent: p.sent.Load(),
		}
		if d := p.dialErr.Load(); d != nil {
			e.Cause = *d
		}
		p.failure = e
		close(p.stalled)
		p.mu.Unlock()
		// Unsafe is the word for: does not wait for answers that may never come.
		// The client is not used for producing after this.
		p.cl.UnsafeAbortBufferedRecords()
		return
	}
}

// producerHooks are the client's observations that the producer needs; they
// have a separate type to keep them out of Producer's methods.
type producerHooks Producer

var (
	_ kgo.HookBrokerConnect = (*producerHooks)(nil)
	_ kgo.HookBrokerWrite   = (*producerHooks)(nil)
)

// OnBrokerConnect remembers why the last connection failed.
func (h *producerHooks) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		h.dialErr.Store(nil)
		return
	}
	var ne net.Error
	switch {
	case errors.Is(err, context.Canceled):
	case errors.As(err, &ne) && ne.Timeout():
		// Perhaps our own deadline cut an attempt short; a refusal seen before says more.
		h.dialErr.CompareAndSwap(nil, &err)
	default:
		h.dialErr.Store(&err)
	}
}

// OnBrokerWrite notices that records have left this process.
func (h *producerHooks) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, n int, _, _ time.Duration, _ error) {
	const produce = 0
	if key == produce && n > 0 {
		h.sent.Store(true)
	}
}
