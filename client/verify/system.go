package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"movieexample.com/client/addresses"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

// Part is a part of a running system that has an address.
type Part string

// The parts, in the order in which they are reported.
const (
	Metadata Part = "metadata"
	Rating   Part = "rating"
	Movie    Part = "movie"
	Kafka    Part = "kafka"
	Gateway  Part = "gateway"
	Admin    Part = "admin"
)

func parts() []Part { return []Part{Metadata, Rating, Movie, Kafka, Gateway, Admin} }

// Targets has the addresses of a running system: any number of instances per part, none for a part that is not checked.
type Targets struct {
	Gateways []string // URLs
	Metadata []string // gRPC, host:port each
	Rating   []string
	Movie    []string
	Brokers  []string // Kafka, host:port each: one cluster
	Topic    string   // of rating events; empty means "ratings"
	Admin    []string // URLs of admin listeners
}

// DefaultTargets is where a system in one process runs that was told nothing else.
func DefaultTargets() Targets {
	return Targets{
		Gateways: []string{"http://127.0.0.1:8080"},
		Metadata: []string{"127.0.0.1:8081"},
		Rating:   []string{"127.0.0.1:8082"},
		Movie:    []string{"127.0.0.1:8083"},
		Brokers:  []string{"127.0.0.1:9092"},
		Topic:    "ratings",
		Admin:    []string{"http://127.0.0.1:8090"},
	}
}

// ReadTargets reads an addresses file; see [addresses.Read].
func ReadTargets(file string) (Targets, error) {
	a, err := addresses.Read(file)
	if err != nil {
		return Targets{}, err
	}
	return Targets{
		Gateways: a.Gateways, Metadata: a.Metadata, Rating: a.Rating, Movie: a.Movie, Brokers: a.Brokers, Topic: a.Topic, Admin: a.Admin,
	}, nil
}

// of returns the addresses of a part. Brokers of one cluster are one instance.
func (t Targets) of(p Part) []string {
	switch p {
	case Metadata:
		return t.Metadata
	case Rating:
		return t.Rating
	case Movie:
		return t.Movie
	case Gateway:
		return t.Gateways
	case Admin:
		return t.Admin
	}
	if len(t.Brokers) == 0 {
		return nil
	}
	return []string{strings.Join(t.Brokers, ",")}
}

// validate checks the form of every address.
func (t Targets) validate() error {
	var errs []error
	for _, p := range parts() {
		for _, a := range t.of(p) {
			errs = append(errs, checkAddress(p, a))
		}
	}
	return fault.All(errs...)
}

func checkAddress(p Part, addr string) error {
	switch p {
	case Gateway, Admin:
		if u, err := url.Parse(addr); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return fault.Invalid("address of "+string(p), "must be a URL without a path, for example http://127.0.0.1:8080; got %q", addr)
		}
	case Kafka:
		for _, b := range addresses.Split(addr) {
			if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
				return fault.Invalid("address of "+string(p), "must be host:port, for example 127.0.0.1:9092; got %q", b)
			}
		}
	default:
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return fault.Invalid("address of "+string(p), "must be host:port, for example 127.0.0.1:8082; got %q", addr)
		}
	}
	return nil
}

// door is one instance of a part.
type door struct {
	part Part
	addr string
	conn *grpc.ClientConn // of a gRPC service
	base string           // of what speaks HTTP: the URL without a slash at its end
	gone error            // why it could not be reached; nil where it answers
}

// System is a running system with connections to all that was named of it. Its methods may be used at the same time.
type System struct {
	doors map[Part][]*door
	topic string
	http  *http.Client

	// Two ways to publish: as clients do, by the hash of the key, and to a partition that the scenario chooses.
	keyed, placed *kgo.Client
	partitions    int32
}

// reachTimeout is how long an instance has to answer at all.
const reachTimeout = 5 * time.Second

// Open connects to a system and finds out which instances are reachable. A single unreachable instance is not an error: its scenarios
// are reported as unreachable. The error is of kind Invalid for malformed addresses, or of kind Unavailable and names all instances
// if none of them answers. Close the system after use.
func Open(ctx context.Context, targets Targets) (*System, error) {
	if err := targets.validate(); err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DisableCompression: true, // scenarios ask for codings themselves
		MaxIdleConns:       64, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second,
	}
	s := &System{doors: map[Part][]*door{}, topic: targets.Topic, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}}
	if s.topic == "" {
		s.topic = DefaultTargets().Topic
	}
	var all []*door
	for _, p := range parts() {
		for _, addr := range targets.of(p) {
			d := &door{part: p, addr: addr, base: strings.TrimRight(addr, "/")}
			if p == Metadata || p == Rating || p == Movie {
				conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
				if err != nil {
					return nil, errors.Join(fmt.Errorf("connect to %s at %s: %w", p, addr, err), s.Close())
				}
				d.conn = conn
			}
			s.doors[p] = append(s.doors[p], d)
			all = append(all, d)
		}
	}
	var asked sync.WaitGroup
	for _, d := range all {
		asked.Go(func() { d.gone = s.reach(ctx, d) })
	}
	asked.Wait()
	if len(all) == 0 {
		return nil, errors.Join(fault.Invalid("addresses", "none is given: give that of at least one part of the system"), s.Close())
	}
	if i := slices.IndexFunc(all, func(d *door) bool { return d.gone == nil }); i < 0 {
		var lines []string
		for _, d := range all {
			lines = append(lines, fmt.Sprintf("%s at %s (%v)", d.part, d.addr, d.gone))
		}
		return nil, errors.Join(fault.Unavailable(nil, "nothing of the system answers: %s", strings.Join(lines, ", ")), s.Close())
	}
	return s, nil
}

// reach finds out whether an instance answers.
func (s *System) reach(ctx context.Context, d *door) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	switch {
	case d.conn != nil:
		// Whatever it answers, it answers.
		_, err := healthpb.NewHealthClient(d.conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if err = fault.FromRPC(err); fault.KindOf(err) == fault.KindUnavailable || fault.KindOf(err) == fault.KindDeadline {
			return shortReason(err)
		}
		return nil
	case d.part == Kafka:
		return s.reachKafka(ctx, d)
	}
	path := "/robots.txt"
	if d.part == Admin {
		path = "/livez"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return shortReason(err)
	}
	return resp.Body.Close()
}

func (s *System) reachKafka(ctx context.Context, d *door) (err error) {
	cfg := kafka.Config{Brokers: addresses.Split(d.addr), ClientID: "movieexample-verify"}
	if s.keyed, err = s.producer(cfg); err != nil {
		return err
	}
	if s.placed, err = s.producer(cfg, kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		return err
	}
	topic, err := kafka.DescribeTopic(ctx, s.keyed, s.topic)
	if err != nil {
		return shortReason(err)
	}
	s.partitions = topic.Partitions
	return nil
}

// producer makes a client that publishes. It is not idempotent, because what an idempotent one has sent it cannot give up when its
// time is over; the library's own bound is no use, because it counts from a record's timestamp, and scenarios have old ones.
func (s *System) producer(cfg kafka.Config, opts ...kgo.Opt) (*kgo.Client, error) {
	return kafka.NewClient(cfg, append(opts, kgo.DefaultProduceTopic(s.topic), kgo.DisableIdempotentWrite())...)
}

// shortReason is an error's innermost cause, in its last words.
func shortReason(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// Close ends the connections.
func (s *System) Close() error {
	var errs []error
	for _, doors := range s.doors {
		for _, d := range doors {
			if d.conn != nil {
				errs = append(errs, d.conn.Close())
			}
		}
	}
	for _, cl := range []*kgo.Client{s.keyed, s.placed} {
		if cl != nil {
			cl.Close()
		}
	}
	s.http.CloseIdleConnections()
	return errors.Join(errs...)
}

// reachable returns the instances of a part that answer.
func (s *System) reachable(p Part) []*door {
	var out []*door
	for _, d := range s.doors[p] {
		if d.gone == nil {
			out = append(out, d)
		}
	}
	return out
}
