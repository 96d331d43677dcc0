package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/config"
	"movieexample.com/internal/fault"
)

// Time-outs of every client. They bound single steps; a caller's context bounds the whole.
const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 15 * time.Second // one request with its retries, not for produce and fetch
	pingTimeout    = 5 * time.Second
)

// Config says which Kafka cluster to talk to and as whom.
type Config struct {
	// Brokers are host:port addresses of one or more brokers of the cluster; the
	// others are learned from them. Required.
	Brokers []string
	// ClientID names this client in the brokers' logs and metrics. Default "movieexample".
	ClientID string
	// Security is TLS and login; the zero value is neither.
	Security Security
	// Setting is what the user calls a field of Security, by its key ("ca_file"), in errors that name it: a flag,
	// or a path in a configuration file. Default: the key.
	Setting func(key string) string
	// Logger receives the messages of the client library: warnings and errors, each at
	// most once in 30 seconds, and all others on debug level. Default: nothing is
	// logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.ClientID == "" {
		c.ClientID = "movieexample"
	}
	if c.Setting == nil {
		c.Setting = func(key string) string { return key }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports, as a fault of kind Invalid on "brokers", an address that cannot be one, and what [Security.Validate] reports.
func (c Config) Validate() error {
	if len(c.Brokers) == 0 {
		return fault.Invalid("brokers", "is required: the host:port of at least one Kafka broker")
	}
	for i, b := range c.Brokers {
		if err := checkAddr(fmt.Sprintf("brokers[%d]", i), b); err != nil {
			return err
		}
	}
	return c.Security.Validate()
}

// checkAddr accepts host:port with a host, and any port that a client could dial.
func checkAddr(field, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return fault.Invalid(field, "must be host:port, for example 127.0.0.1:9092; got %q", addr)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return fault.Invalid(field, "must end in a port from 1 to 65535; got %q", addr)
	}
	return nil
}

// NewClient creates a client. It connects on first use; [Ping] reports whether that
// works. opts come last and win. Besides those of Validate there are
// errors of certificate files that cannot be read, as *config.Problem.
//
// Records are partitioned by the hash that Java clients use (murmur2 of the key),
// so that all kinds of producers agree on the partition of a key.
func NewClient(cfg Config, opts ...kgo.Opt) (*kgo.Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	secure, err := cfg.Security.options()
	if p := (*config.Problem)(nil); errors.As(err, &p) {
		return nil, &config.Problem{Path: cfg.Setting(p.Path), Reason: p.Reason}
	}
	if err != nil {
		return nil, err
	}
	if cfg.Security.SASLMechanism == mechanismPlain && !cfg.Security.TLS {
		cfg.Logger.Warn("the Kafka password is sent unencrypted: use PLAIN without TLS only in trusted networks", "brokers", cfg.Brokers)
	}
	errs := &connErrors{security: cfg.Security, setting: cfg.Setting}
	base := []kgo.Opt{
		kgo.WithHooks(errs),
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID(cfg.ClientID),
		kgo.WithLogger(newClientLog(cfg.Logger, time.Now, errs.hint)),
		kgo.DialTimeout(dialTimeout),
		kgo.RetryTimeout(requestTimeout),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		// A broker that stops may close a connection before its first answer. By default the library takes that for
		// a missing SASL setting and gives the records up, their outcome unknown; our own bounds end a real one.
		kgo.AlwaysRetryEOF(),
		// A record batch is 1 MiB at most on the wire, and 1 MiB before compression from every producer that keeps its
		// defaults. The library would take 1 GiB of memory for one: 32 KB of zstd are enough for that. With twice what our own
		// broker accepts, what another broker has let through and we do not take is no mistake of a producer.
		kgo.MaxDecompressBatchBytes(maxDecompress),
		// What our own broker takes in one request; the default is 100 MiB.
		kgo.BrokerMaxWriteBytes(maxProduce),
		// The default of 5 s is how long a client would take to notice that a
		// topic has been created.
		kgo.MetadataMinAge(250 * time.Millisecond),
		// Metrics pushed to the brokers (KIP-714) are of no use to us, and the
		// last push delays Close by up to a second.
		kgo.DisableClientMetrics(),
	}
	cl, err := kgo.NewClient(slices.Concat(base, secure, opts)...)
	if err != nil {
		return nil, fmt.Errorf("create Kafka client: %w", err)
	}
	return cl, nil
}

// Ping checks whether a broker answers, for 5 seconds at most. The error is a
// fault of kind Unavailable that names the addresses tried.
func Ping(ctx context.Context, cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		return unreachable(cl, err)
	}
	return nil
}
