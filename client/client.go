package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"movieexample.com/client/addresses"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/telemetry"
)

// The parts of a system that a client can fail to reach, as [UnreachableError] names them.
const (
	Metadata = "metadata"
	Rating   = "rating"
	Kafka    = "kafka"
)

// Addresses holds the addresses of a running system. A call that needs an empty address fails with an error that says so. A
// service with several instances may have several addresses, separated by commas: calls go to those that answer.
type Addresses struct {
	Metadata string   // gRPC, host:port
	Rating   string   // gRPC, host:port
	Brokers  []string // Kafka, host:port each
	Topic    string   // of rating events; empty means "ratings"
	// KafkaSecurity is TLS and login for Brokers.
	KafkaSecurity kafka.Security
	// KafkaSetting is what the user calls a field of KafkaSecurity, by its key, in errors; nil means the key.
	KafkaSetting func(key string) string
}

// DefaultAddresses is where a system runs that was told nothing else.
func DefaultAddresses() Addresses {
	return Addresses{
		Metadata: "127.0.0.1:8081",
		Rating:   "127.0.0.1:8082",
		Brokers:  []string{"127.0.0.1:9092"},
		Topic:    "ratings",
	}
}

// ReadAddresses reads an addresses file; see [addresses.Read]. Addresses that are not in it are empty; the topic has its default.
func ReadAddresses(file string) (Addresses, error) {
	found, err := addresses.Read(file)
	if err != nil {
		return Addresses{}, err
	}
	return Addresses{
		Metadata: strings.Join(found.Metadata, ","), Rating: strings.Join(found.Rating, ","), Brokers: found.Brokers,
		Topic: cmp.Or(found.Topic, DefaultAddresses().Topic),
	}, nil
}

// Client is a connection to a running system. Its methods may be used at the same time.
type Client struct {
	addresses Addresses
	start     startWait
	conns     []*rpc.Connection
	metadata  metadatav1.MetadataServiceClient
	ratings   ratingv1.RatingServiceClient
	admin     ratingv1.RatingAdminServiceClient
}

// Connect prepares the connections without waiting: a system that is down shows in the first call, see [Client.AwaitStart]. The
// error is about a malformed address, of kind Invalid. Close the client after use.
func Connect(a Addresses) (*Client, error) {
	if a.Topic == "" {
		a.Topic = DefaultAddresses().Topic
	}
	if err := a.validate(); err != nil {
		return nil, err
	}
	c := &Client{addresses: a}
	metadata, err := c.dial(Metadata, a.Metadata, "movieexample.metadata.v1.MetadataService")
	if err != nil {
		return nil, err
	}
	rating, err := c.dial(Rating, a.Rating, "movieexample.rating.v1.RatingService", "movieexample.rating.v1.RatingAdminService")
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.metadata = metadatav1.NewMetadataServiceClient(metadata)
	c.ratings = ratingv1.NewRatingServiceClient(rating)
	c.admin = ratingv1.NewRatingAdminServiceClient(rating)
	return c, nil
}

// validate checks the form of what is given.
func (a Addresses) validate() error {
	check := func(part, example, addr string) error {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return fault.Invalid("address of "+part, "must be host:port, for example %s; got %q", example, addr)
		}
		return nil
	}
	standard := DefaultAddresses()
	var errs []error
	for _, addr := range instances(a.Metadata) {
		errs = append(errs, check(Metadata, standard.Metadata, addr))
	}
	for _, addr := range instances(a.Rating) {
		errs = append(errs, check(Rating, standard.Rating, addr))
	}
	for _, b := range a.Brokers {
		errs = append(errs, check(Kafka, standard.Brokers[0], b))
	}
	if err := a.KafkaSecurity.Validate(); err != nil {
		errs = append(errs, fault.Invalid("login to Kafka", "%s", err))
	}
	return fault.All(errs...)
}

// instances are the addresses in a list that is separated by commas.
func instances(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// dial connects to the part of the system that has the services, given by their names in the protos.
func (c *Client) dial(part, addr string, services ...string) (grpc.ClientConnInterface, error) {
	if addr == "" {
		return nowhere(part), nil
	}
	idempotent, err := rpc.IdempotentMethods(services...)
	if err != nil {
		return nil, err
	}
	target, cfg := addr, rpc.DialConfig{Name: part, Version: telemetry.BuildInfo().Version, Idempotent: idempotent}
	if all := instances(addr); len(all) > 1 {
		const scheme = "instances"
		var state resolver.State
		for _, one := range all {
			state.Addresses = append(state.Addresses, resolver.Address{Addr: one})
		}
		known := manual.NewBuilderWithScheme(scheme)
		known.InitialState(state)
		target, cfg.Resolvers = scheme+":///"+part, []resolver.Builder{known}
	}
	conn, err := rpc.Dial(target, cfg)
	if err != nil {
		return nil, err
	}
	c.conns = append(c.conns, conn)
	return &starting{Connection: conn, c: c, part: part}, nil
}

// Close ends the connections.
func (c *Client) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	c.conns = nil
	return errors.Join(errs...)
}

// nowhere is the connection to a service of unknown address.
type nowhere string

func (n nowhere) err() error {
	return status.Errorf(codes.Unavailable, "the address of the %s service is not known", string(n))
}

// Invoke fails.
func (n nowhere) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return n.err() }

// NewStream fails.
func (n nowhere) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, n.err()
}

// brokers is how to reach Kafka.
func (c *Client) brokers() (kafka.Config, error) {
	if len(c.addresses.Brokers) == 0 {
		return kafka.Config{}, &UnreachableError{Part: Kafka, Err: fault.Unavailable(nil, "the address of Kafka is not known")}
	}
	return kafka.Config{Brokers: c.addresses.Brokers, ClientID: "movieexample-client", Security: c.addresses.KafkaSecurity, Setting: c.addresses.KafkaSetting}, nil
}

// interrupted is the end of an operation that its user ended. It matches context.Canceled or context.DeadlineExceeded.
type interrupted struct {
	text  string
	cause error
}

func (e *interrupted) Error() string { return e.text }
func (e *interrupted) Unwrap() error { return e.cause }

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

// startWait is how long a client waits for parts of the system that are starting.
type startWait struct {
	most time.Duration     // 0 does not wait
	say  func(text string) // called with what the client waits for; may be nil
}

// AwaitStart makes the first call to each part of the system wait for it, for most at most: a system that is starting
// does not listen yet, or is not ready. say is called with the part that it waits for and
// the reason. Without AwaitStart, and with 0, calls do not wait. Call it before anything else.
func (c *Client) AwaitStart(most time.Duration, say func(text string)) {
	c.start = startWait{most, say}
}

// unsaid is how long the client waits for a part before it says so.
const unsaid = 100 * time.Millisecond

func (w startWait) tell(part, addr, reason string) {
	if w.say != nil {
		w.say(fmt.Sprintf("%s, for at most %s (--wait)", waitingText(part, addr, reason), w.most))
	}
}

// starting is a connection to a service that may be starting.
type starting struct {
	*rpc.Connection
	c    *Client
	part string
	once sync.Once
}

// Invoke implements grpc.ClientConnInterface.
func (s *starting) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	s.once.Do(func() { s.await(ctx) })
	return s.Connection.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (s *starting) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s.once.Do(func() { s.await(ctx) })
	return s.Connection.NewStream(ctx, desc, method, opts...)
}

// await waits. If the part does not come up, the call reports why.
func (s *starting) await(ctx context.Context) {
	w := s.c.start
	if w.most == 0 {
		return
	}
	began := time.Now()
	try := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return s.AwaitUsable(ctx)
	}
	err := try(min(unsaid, w.most))
	if err == nil || ctx.Err() != nil {
		return
	}
	addr := s.c.address(s.part)
	w.tell(s.part, addr, reasonOf(fault.FromRPC(err), addr))
	_ = try(w.most - time.Since(began))
}

func waitingText(part, addr, reason string) string {
	return "waiting for " + partName(part) + " at " + addr + ": " + reason
}
