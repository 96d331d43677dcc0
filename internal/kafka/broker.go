package kafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/lockfile"
)

// segmentBytes is the size of one log file. Retention deletes whole files only, so this
// is also the granularity of RetentionBytes on disk.
const segmentBytes = 64 << 20

// BrokerConfig describes an embedded broker.
type BrokerConfig struct {
	// Addr is the only host:port to listen on. Port 0 picks a free one, see [Broker.Addr]. Default "127.0.0.1:9092".
	Addr string
	// Advertise is the host:port that clients use, if it is not
	// the one listened on: behind a proxy, or when Addr is a wildcard such as
	// 0.0.0.0, which means nothing to a client. Port 0 means the port of Addr.
	Advertise string
	// Dir is the data directory; it is created if missing. Empty: all data is
	// kept in memory and lost with the broker.
	Dir string
	// RetentionInterval is how often records beyond their topic's retention are
	// dropped. Default one minute.
	RetentionInterval time.Duration
	// Limits bounds the memory, connections and topics of clients.
	Limits Limits
	// Listener is an open listener to use instead of Addr. It is closed with the broker.
	Listener net.Listener
	// Logger receives the broker's warnings. Default: nothing is logged.
	Logger *slog.Logger
}

// Broker is one Kafka broker inside this process, a cluster of one. It is for one
// machine: no replication, no TLS, no authentication. Topics are not created on
// first use; see [EnsureTopic].
type Broker struct {
	cluster *kfake.Cluster
	guard   *guard
	addr    string
	// listenAddr differs from addr behind a proxy.
	listenAddr string
	log        *brokerLog
	release    func() error // of the directory's lock
	stop       chan struct{}
	stopped    sync.WaitGroup
	once       sync.Once
	err        error // of Close
}

// StartBroker starts a broker; it serves when this returns. It resumes the data
// directory of an earlier broker, even of one that was killed: same cluster id, topics,
// records and offsets.
//
// Errors say which address is taken, or which process owns the directory
// or which file in it cannot be read (faults of kind Precondition), or which
// address cannot be one (Invalid).
func StartBroker(ctx context.Context, cfg BrokerConfig) (*Broker, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:9092"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&cfg.RetentionInterval, time.Minute)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	guard, err := listen(ctx, cfg)
	if err != nil {
		return nil, err
	}
	b := &Broker{
		guard:      guard,
		addr:       guard.advertised.String(),
		listenAddr: guard.listener.Addr().String(),
		log:        &brokerLog{logger: cfg.Logger},
		release:    func() error { return nil },
		stop:       make(chan struct{}),
	}
	if cfg.Dir != "" {
		// The library takes no lock itself, and two brokers on one directory write over each other's log.
		if b.release, err = lockfile.Lock(cfg.Dir); err != nil {
			_ = guard.Close()
			return nil, err
		}
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return guard, nil }),
		kfake.WithLogger(b.log),
		kfake.ClusterID(newClusterID()), // only of a new directory; an old one has its own
		kfake.DefaultNumPartitions(1),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes": fmt.Sprint(segmentBytes),
			// No limits by default; TopicConfig sets those of a topic.
			"log.retention.ms":               "-1",
			"log.retention.bytes":            "-1",
			"group.max.size":                 "500",
			"transaction.max.timeout.ms":     fmt.Sprint(maxTransaction.Milliseconds()),
			"transactional.id.expiration.ms": fmt.Sprint(forgetTransaction.Milliseconds()),
		}),
	}
	if cfg.Dir != "" {
		opts = append(opts, kfake.DataDir(cfg.Dir), kfake.SyncWrites())
	}
	if b.cluster, err = kfake.NewCluster(opts...); err != nil {
		_ = guard.Close()
		err = fmt.Errorf("start the embedded Kafka broker on %s: %w", cfg.Dir, explain(err))
		return nil, errors.Join(err, b.release())
	}
	if cfg.Dir != "" {
		if err := b.endLost(ctx); err != nil {
			b.cluster.Close()
			guard.inside.close()
			err = fmt.Errorf("start the embedded Kafka broker on %s: %w", cfg.Dir, err)
			return nil, errors.Join(err, b.release())
		}
	}
	guard.start()
	b.stopped.Go(func() { b.retain(cfg.RetentionInterval) })
	return b, nil
}

// listen opens the port and decides which address is advertised.
func listen(ctx context.Context, cfg BrokerConfig) (*guard, error) {
	l := cfg.Listener
	if l == nil {
		var err error
		if l, err = Listen(ctx, cfg.Addr, cfg.Advertise); err != nil {
			return nil, err
		}
	}
	advertised := l.Addr()
	if cfg.Advertise != "" {
		host, port, _ := net.SplitHostPort(cfg.Advertise) // see Listen
		if port == "0" {
			_, port, _ = net.SplitHostPort(l.Addr().String())
		}
		advertised = textAddr(net.JoinHostPort(host, port))
	}
	return newGuard(l, advertised, cfg.Limits.withDefaults(), cfg.Logger), nil
}

// checkListen looks at both addresses of a broker; see [BrokerConfig].
func checkListen(addr, advertise string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fault.Invalid("kafka address", "must be host:port, for example 127.0.0.1:9092; got %q", addr)
	}
	ip := net.ParseIP(host)
	if (host == "" || ip != nil && ip.IsUnspecified()) && advertise == "" {
		return fault.Invalid("kafka address", "%q listens on every address of this machine; also set the one that clients use (advertise)", addr)
	}
	if host, _, err := net.SplitHostPort(advertise); advertise != "" && (err != nil || host == "") {
		return fault.Invalid("advertise", "must be host:port as clients see it; got %q", advertise)
	}
	return nil
}

// Listen opens the port of a broker, after a look at both addresses; see [BrokerConfig].
func Listen(ctx context.Context, addr, advertise string) (net.Listener, error) {
	if err := checkListen(addr, advertise); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fault.Precondition("address %s for Kafka clients is taken by another program: stop that one, or choose another address", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for Kafka clients on %s: %w", addr, err)
	}
	return l, nil
}

// Addr is the advertised host:port, to which clients connect.
func (b *Broker) Addr() string { return b.addr }

// ListenAddr is the host:port that is listened on; the same as Addr unless
// another address is advertised.
func (b *Broker) ListenAddr() string { return b.listenAddr }

// alive asks the library something; the error is errNoAnswer if it does not answer before ctx ends.
func (b *Broker) alive(ctx context.Context) error {
	k := kmsg.NewPtrMetadataRequest()
	k.Version = 9
	k.Topics = []kmsg.MetadataRequestTopic{} // none
	_, err := b.guard.pulse.ask(ctx, k)
	return err
}

// Close stops the broker and writes out what it knows about producers, groups
// and logs, so that the next start is fast and producers continue without
// duplicates. Records do not need it. Close may be called again and
// then returns the first call's result.
func (b *Broker) Close() error {
	b.once.Do(func() {
		close(b.stop)
		b.stopped.Wait()
		b.log.watch()
		b.cluster.Close()
		b.guard.inside.close()
		b.guard.pulse.close()
		b.guard.wait()
		b.err = errors.Join(b.log.failures(), b.release())
		if b.err != nil {
			b.err = fmt.Errorf("close the embedded Kafka broker: %w", b.err)
		}
	})
	return b.err
}

// retain drops records that are beyond their topic's retention. The library has
// a timer for that, but does not start it again for topics that it loads from a directory.
func (b *Broker) retain(interval time.Duration) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-t.C:
			b.cluster.ApplyRetention()
		}
	}
}

// newClusterID makes an id in Kafka's form: 16 random bytes in unpadded base64url.
func newClusterID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// explain adds to an error from the data directory what the operator can do about it.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk is full: free space, then restart: %w", err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("this user cannot write to the data directory: %w", err)
	}
	const away = "or move the directory away and start with an empty one: the events in it that were not ingested yet are then lost"
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax), errors.As(err, &mismatch):
		// The library says "loading persisted state: parsing meta.json: invalid character …".
		_, said, _ := strings.Cut(err.Error(), "parsing ")
		file, why, _ := strings.Cut(said, ": ")
		return fault.Precondition("the file %s in it is damaged (%s): restore it from a backup, %s", file, why, away)
	case strings.Contains(err.Error(), "newer than supported"):
		return fault.Precondition("a newer version of this program wrote it (%s): start that one, %s",
			strings.TrimPrefix(err.Error(), "loading persisted state: "), away)
	}
	return err
}

// textAddr is a net.Addr that was given as text.
type textAddr string

func (a textAddr) Network() string { return "tcp" }

func (a textAddr) String() string { return string(a) }

// brokerLog gives the broker's messages to slog. The library reports a failed
// final save only here, so while Close runs they are errors of Close as well.
type brokerLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	closing bool
	failed  []error
}

func (l *brokerLog) watch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
}

func (l *brokerLog) failures() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.failed...)
}

// Logf is called by the library.
func (l *brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	lv := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		lv = slog.LevelError
	case kfake.LogLevelWarn:
		lv = slog.LevelWarn
	}
	// A record that could not be written is only a warning to the library, and an
	// UNKNOWN_SERVER_ERROR to its producer. An operator has to act.
	for _, a := range args {
		if err, ok := a.(error); ok && errors.Is(err, syscall.ENOSPC) {
			lv = slog.LevelError
			format += " (the disk of the data directory is full: free some space)"
			break
		}
	}
	if lv == slog.LevelDebug && !l.logger.Enabled(context.Background(), lv) {
		return
	}
	if lv == slog.LevelError {
		l.mu.Lock()
		if l.closing {
			l.failed = append(l.failed, fmt.Errorf(strings.ReplaceAll(format, "%v", "%w"), args...))
		}
		l.mu.Unlock()
	}
	l.logger.Log(context.Background(), lv, "kafka broker: "+fmt.Sprintf(format, args...))
}

// endLost aborts the transactions that a kill interrupted. The library treats them as aborted without a record of that in the log:
// consumers would then take later commits of the same producer for aborted, too, and the next start would take the old transactions
// for committed.
func (b *Broker) endLost(ctx context.Context) error {
	ask := func(k kmsg.Request) (kmsg.Response, error) {
		ctx, cancel := context.WithTimeout(ctx, stuckAfter)
		defer cancel()
		return b.guard.inside.ask(ctx, k)
	}
	resp, err := ask(kmsg.NewPtrListTransactionsRequest())
	if err != nil {
		return fmt.Errorf("find interrupted transactions: %w", err)
	}
	producers := resp.(*kmsg.ListTransactionsResponse).TransactionStates
	if len(producers) == 0 {
		return nil // and the log need not be read
	}
	going := make(map[int64]bool)
	for _, p := range producers {
		going[p.ProducerID] = p.TransactionState == "Ongoing"
	}
	topics, err := b.guard.count()
	if err != nil {
		return fmt.Errorf("find interrupted transactions: %w", err)
	}
	for topic, partitions := range topics {
		for number := range int32(partitions) {
			open, err := openTransactions(ask, topic, number)
			if err != nil {
				return fmt.Errorf("find interrupted transactions in %s/%d: %w", topic, number, err)
			}
			for producer, epoch := range open {
				if going[producer] {
					continue
				}
				if err := abort(ask, topic, number, producer, epoch); err != nil {
					return fmt.Errorf("abort an interrupted transaction in %s/%d: %w", topic, number, err)
				}
			}
		}
	}
	return nil
}

// openTransactions reads a partition and returns the epochs of the producers whose transaction has no end there.
func openTransactions(ask func(kmsg.Request) (kmsg.Response, error), topic string, number int32) (map[int64]int16, error) {
	open := make(map[int64]int16)
	bounds := kmsg.NewPtrListOffsetsRequest()
	bounds.Version = 4
	bounds.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Partition: number, CurrentLeaderEpoch: -1, Timestamp: -2}}}}
	resp, err := ask(bounds)
	if err != nil {
		return nil, err
	}
	next := resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset
	for {
		k := kmsg.NewPtrFetchRequest()
		k.Version, k.MaxBytes, k.SessionEpoch = 11, fetchBytes, -1
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = number, next, fetchBytes
		k.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		resp, err := ask(k)
		if err != nil {
			return nil, err
		}
		got := resp.(*kmsg.FetchResponse)
		if len(got.Topics) == 0 || len(got.Topics[0].Partitions) == 0 {
			return open, kerr.ErrorForCode(got.ErrorCode)
		}
		part := got.Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(part.ErrorCode); err != nil {
			return nil, err
		}
		before := next
		for raw := part.RecordBatches; len(raw) >= batchHead; {
			length := int64(binary.BigEndian.Uint32(raw[8:])) + 12
			if length < batchHead || length > int64(len(raw)) {
				break
			}
			producer, attributes := int64(binary.BigEndian.Uint64(raw[43:])), binary.BigEndian.Uint16(raw[21:])
			switch {
			case attributes&0x20 != 0:
				delete(open, producer)
			case attributes&0x10 != 0:
				open[producer] = int16(binary.BigEndian.Uint16(raw[51:]))
			}
			next = int64(binary.BigEndian.Uint64(raw)) + int64(binary.BigEndian.Uint32(raw[23:])) + 1
			raw = raw[length:]
		}
		if next == before {
			return open, nil
		}
	}
}

// abort writes the end of a transaction.
func abort(ask func(kmsg.Request) (kmsg.Response, error), topic string, number int32, producer int64, epoch int16) error {
	k := kmsg.NewPtrWriteTxnMarkersRequest()
	k.Version = 1
	k.Markers = []kmsg.WriteTxnMarkersRequestMarker{{
		ProducerID: producer, ProducerEpoch: epoch,
		Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: topic, Partitions: []int32{number}}},
	}}
	resp, err := ask(k)
	if err != nil {
		return err
	}
	for _, m := range resp.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
