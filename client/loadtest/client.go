package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"movieexample.com/client"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

// Targets names the endpoints of a system and the requests to send to them. Several addresses of an endpoint are several
// instances: they get requests in turn.
type Targets struct {
	Gateways []string // URLs, http://host:port
	Movie    []string // gRPC, host:port; as the two below
	Metadata []string
	Rating   []string
	Brokers  []string // Kafka, host:port
	Topic    string   // of rating events; empty means "ratings"

	// Mix is the mix of requests; empty means DefaultMix.
	Mix Mix
	// Connections is the number of connections to each endpoint, at least one to each of its addresses; 0 means 8. HTTP/1.1 carries
	// one request at a time on each, and the wait for a free connection counts as latency; gRPC and Kafka carry many. The Kafka
	// client always has one connection to each broker.
	Connections int
	// Films is the most films that are read from the system and requested; 0 means 10,000.
	Films int
	// Zipf is the exponent of the choice among them: the film of rank k by votes is requested 1/k^Zipf as often as the first.
	// With 0 all are equally likely; the command's default is 1.
	Zipf float64
	// Remote allows targets on other machines.
	Remote bool
}

// Bounds of Targets.
const (
	MaxConnections = 10_000
	MaxFilms       = 1_000_000
)

const (
	// contact bounds the wait for the first answer of an endpoint.
	contact = 10 * time.Second
	// keepUnanswered is how long Kafka may be silent: longer than any Plan.Timeout, so that it does not end a run.
	keepUnanswered = 2 * time.Minute
)

func (t Targets) withDefaults() Targets {
	if t.Topic == "" {
		t.Topic = client.DefaultAddresses().Topic
	}
	if len(t.Mix) == 0 {
		t.Mix = DefaultMix()
	}
	if t.Connections == 0 {
		t.Connections = 8
	}
	if t.Films == 0 {
		t.Films = 10_000
	}
	return t
}

// of returns the addresses of an endpoint.
func (t Targets) of(d endpoint) []string {
	switch d {
	case endpointGateway:
		return t.Gateways
	case endpointMovie:
		return t.Movie
	case endpointMetadata:
		return t.Metadata
	case endpointRating:
		return t.Rating
	}
	return t.Brokers
}

// used are the endpoints that the mix needs, and the one that films are read from.
func (t Targets) used() []endpoint {
	var endpoints []endpoint
	for _, d := range []endpoint{endpointGateway, endpointMovie, endpointMetadata, endpointRating, endpointKafka} {
		if t.Mix.needs(d) || d == t.filmEndpoint() {
			endpoints = append(endpoints, d)
		}
	}
	return endpoints
}

// filmEndpoint is the endpoint that films are read from: one that is used anyway, where there is one.
func (t Targets) filmEndpoint() endpoint {
	if t.Mix.needs(endpointGateway) || !t.Mix.needs(endpointMovie) && len(t.Movie) == 0 {
		return endpointGateway
	}
	return endpointMovie
}

// Validate reports every field out of its range, as faults of kind Invalid, and as one of kind Precondition a target on another
// machine that no one allowed.
func (t Targets) Validate() error {
	t = t.withDefaults()
	var errs []error
	if err := t.Mix.validate(); err != nil {
		errs = append(errs, fault.Invalid("mix", "%s", err))
	}
	if t.Connections < 1 || t.Connections > MaxConnections {
		errs = append(errs, fault.Invalid("connections", "must be 1 to %d, got %d", MaxConnections, t.Connections))
	}
	if t.Films < 1 || t.Films > MaxFilms {
		errs = append(errs, fault.Invalid("films", "must be 1 to %d, got %d", MaxFilms, t.Films))
	}
	if !(t.Zipf >= 0 && t.Zipf <= 5) {
		errs = append(errs, fault.Invalid("zipf", "must be 0 to 5, got %v", t.Zipf))
	}
	if err := fault.All(errs...); err != nil {
		return err
	}
	for _, d := range t.used() {
		addrs := t.of(d)
		if len(addrs) == 0 {
			errs = append(errs, &client.UnreachableError{Part: string(d), Err: fault.Unavailable(nil, "the address of %s is not known", d)})
		}
		for _, a := range addrs {
			errs = append(errs, t.allowed(d, a))
		}
	}
	return errors.Join(errs...)
}

// allowed checks the form of an address, and that it may be put under load.
func (t Targets) allowed(d endpoint, addr string) error {
	hostPort := addr
	if d == endpointGateway {
		u, err := url.Parse(addr)
		if err != nil || u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return fault.Invalid("address of gateway", "must be a URL such as http://127.0.0.1:8080, got %q", addr)
		}
		hostPort = u.Host
		if u.Port() == "" {
			hostPort = net.JoinHostPort(u.Hostname(), "80")
		}
	}
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil || host == "" || port == "" {
		return fault.Invalid("address of "+string(d), "must be host:port, for example 127.0.0.1:8083; got %q", addr)
	}
	if !t.Remote && !loopback(host) {
		return &RemoteError{Addr: addr}
	}
	return nil
}

// loopback reports whether host is this machine. Names are not looked up: what they mean may change.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// RemoteError says that a target is on another machine, and no one allowed that.
type RemoteError struct{ Addr string }

// Error names the target.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("%s is not on this machine, and a load can harm who does not expect it", e.Addr)
}

// Client is a system, connected to and with its films known, as a source of requests. It may be used by one Run after the other.
type Client struct {
	targets  Targets
	films    []film
	rank     func(*rand.Rand) int
	conns    map[endpoint]*pool
	web      *http.Client
	gateway  atomic.Uint64 // which one is next
	producer *kafka.Producer
}

// Connect connects to the endpoints that the mix needs and reads the films. An error is of kind Invalid, a *RemoteError, a
// *client.UnreachableError, or of kind Precondition where the system has no films. Close the client after use.
func Connect(ctx context.Context, t Targets) (_ *Client, err error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	t = t.withDefaults()
	d := &Client{targets: t, conns: make(map[endpoint]*pool)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	d.web = &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: contact}).DialContext,
			// To each of several gateways its share.
			MaxConnsPerHost:     max(1, t.Connections/max(1, len(t.Gateways))),
			MaxIdleConnsPerHost: t.Connections,
			DisableCompression:  true, // the generator's processor time is the system's, mostly
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, of := range []endpoint{endpointMovie, endpointMetadata, endpointRating} {
		if !t.Mix.needs(of) && of != t.filmEndpoint() {
			continue
		}
		if d.conns[of], err = newPool(t.of(of), t.Connections); err != nil {
			return nil, fmt.Errorf("connect to %s: %w", of, err)
		}
	}
	if t.Mix.needs(endpointKafka) {
		if err := d.openKafka(ctx); err != nil {
			return nil, unreachable(endpointKafka, t.Brokers, err)
		}
	}
	if err := d.learn(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// learn reads the films.
func (d *Client) learn(ctx context.Context) error {
	from := d.targets.filmEndpoint()
	var r reader = restReader{base: d.base(), client: d.web}
	if from == endpointMovie {
		r = grpcReader{moviev1.NewMovieServiceClient(d.conns[endpointMovie].next())}
	}
	// A catalogue of a million films takes a while to read, but no answer does.
	asking, cancel := context.WithTimeout(ctx, max(contact, time.Duration(d.targets.Films)*time.Millisecond))
	defer cancel()
	films, err := readFilms(asking, r, d.targets.Films)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return unreachable(from, d.targets.of(from), fault.FromRPC(err))
	}
	d.films, d.rank = films, zipf(len(films), d.targets.Zipf)
	return nil
}

// openKafka connects the producer, and looks whether the brokers send it to other machines.
func (d *Client) openKafka(ctx context.Context) error {
	cfg := kafka.Config{Brokers: d.targets.Brokers, ClientID: "movieexample-bench"}
	asking, cancel := context.WithTimeout(ctx, contact)
	defer cancel()
	if !d.targets.Remote {
		c, err := kafka.NewClient(cfg)
		if err != nil {
			return err
		}
		defer c.Close()
		cluster, err := kadm.NewClient(c).BrokerMetadata(asking)
		if err != nil {
			return fault.Unavailable(err, "no answer")
		}
		for _, b := range cluster.Brokers {
			if !loopback(b.Host) {
				return &RemoteError{Addr: net.JoinHostPort(b.Host, fmt.Sprint(b.Port))}
			}
		}
	}
	var err error
	d.producer, err = kafka.NewProducer(asking, kafka.ProducerConfig{
		Config: cfg, Topic: d.targets.Topic, Stall: keepUnanswered, MaxOutstanding: MaxOutstanding,
	})
	return err
}

// unreachable says which endpoint did not answer; other errors it leaves as they are.
func unreachable(d endpoint, addrs []string, err error) error {
	if fault.KindOf(err) != fault.KindUnavailable && fault.KindOf(err) != fault.KindDeadline {
		return err
	}
	inner := err
	for next := errors.Unwrap(inner); next != nil; next = errors.Unwrap(inner) {
		inner = next
	}
	reason := inner.Error()
	if e := (*fault.Error)(nil); errors.As(inner, &e) {
		reason = e.Message()
	}
	return &client.UnreachableError{Part: string(d), Addr: strings.Join(addrs, ","), Reason: reason, Err: fault.Unavailable(err, "no answer")}
}

// Films is how many films the requests are about.
func (d *Client) Films() int { return len(d.films) }

// Source makes requests in the proportions of the mix.
func (d *Client) Source() Source {
	of, choose := d.targets.Mix.operations(), d.targets.Mix.choice()
	return func(r *rand.Rand) Call {
		o := of[choose(r)]
		return Call{Kind: o.kind, Do: o.prepare(d, r)}
	}
}

func (d *Client) film(r *rand.Rand) film { return d.films[d.rank(r)] }

// base is the URL of the gateway that is next.
func (d *Client) base() string {
	all := d.targets.Gateways
	if len(all) == 0 {
		return ""
	}
	return strings.TrimSuffix(all[d.gateway.Add(1)%uint64(len(all))], "/")
}

// get asks a gateway and reads the whole answer.
func (d *Client) get(path, accept string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base()+path, http.NoBody)
		if err != nil {
			return err
		}
		request.Header["Accept"] = []string{accept}
		answer, err := d.web.Do(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close() // it was read
		if err == nil && answer.StatusCode != http.StatusOK {
			err = StatusError(answer.StatusCode)
		}
		return err
	}
}

// Close ends the connections. Events that were not answered are given up.
func (d *Client) Close() error {
	var errs []error
	for _, p := range d.conns {
		if p != nil {
			errs = append(errs, p.close())
		}
	}
	if d.producer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), contact)
		defer cancel()
		errs = append(errs, d.producer.Close(ctx))
	}
	if d.web != nil {
		d.web.CloseIdleConnections()
	}
	return errors.Join(errs...)
}

// pool is the connections to a gRPC endpoint.
type pool struct {
	conns []*grpc.ClientConn
	n     atomic.Uint64
}

func newPool(addrs []string, connections int) (*pool, error) {
	p := &pool{}
	for i := range max(connections, len(addrs)) {
		// No retries: what fails is to be seen.
		conn, err := grpc.NewClient("passthrough:///"+addrs[i%len(addrs)], grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithUserAgent("movieexample-bench"))
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.conns = append(p.conns, conn)
	}
	return p, nil
}

func (p *pool) next() *grpc.ClientConn { return p.conns[p.n.Add(1)%uint64(len(p.conns))] }

func (p *pool) close() error {
	var errs []error
	for _, c := range p.conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
