package rpc

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // the client side of health checks; without it healthCheckConfig is ignored
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// DialConfig configures [Dial]. The zero value of every field but Name works.
type DialConfig struct {
	// Name is the service's, for messages, e.g. "rating".
	Name string
	// Version is the program's version, for the user agent.
	Version string
	// Logger gets a line if the reachable instances work on another database than before; nil discards it.
	Logger *slog.Logger
	// Timeout is the time for a unary call whose caller set no deadline. 0 means 10 s.
	Timeout time.Duration
	// Idempotent lists the methods that may be sent again when the server was
	// unavailable, as full names: "/movieexample.rating.v1.RatingService/ReadRating".
	Idempotent []string
	// MaxMessageBytes is the size of the largest accepted response. 0 means 4 MiB.
	MaxMessageBytes int
	// Metrics gets movieexample_grpc_client_usable_instances. Several connections may share one; nil
	// means that it is not exported.
	Metrics prometheus.Registerer
	// Resolvers look up the targets whose scheme they have, for this connection
	// only; see package discovery.
	Resolvers []resolver.Builder
	// Options come last, and so override everything above.
	Options []grpc.DialOption
}

// Dial returns a connection to the instances of a service. Keep it for the life
// of the process and share it: it holds one connection to each instance and
// spreads calls over those that report themselves healthy (grpc.health.v1). It does
// not wait and does not fail if there is no instance; calls fail until there is one
// with a *[fault.Error] of kind Unavailable. Its message names the service; its cause,
// which does not leave the process, names the target and the reason. The caller must
// log the cause.
//
// The transport is not encrypted yet.
func Dial(target string, cfg DialConfig) (*Connection, error) {
	if cfg.Name == "" {
		return nil, fmt.Errorf("dial %q: Name is empty: say which service it is", target)
	}
	if target == "" {
		return nil, fmt.Errorf("dial %s: the target is empty: give an address such as 127.0.0.1:8081", cfg.Name)
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultDeadline)
	cfg.MaxMessageBytes = cmp.Or(cfg.MaxMessageBytes, defaultMessageBytes)
	sc, err := serviceConfig(cfg.Idempotent)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", cfg.Name, err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	client := clientSide{held: &held{log: cfg.Logger, now: time.Now}, name: cfg.Name, target: target, timeout: cfg.Timeout, idempotent: make(map[string]bool)}
	for _, method := range cfg.Idempotent {
		client.idempotent["/"+strings.TrimPrefix(method, "/")] = true
	}
	use, err := newUsable(cfg.Metrics, cfg.Name, target)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", cfg.Name, err)
	}
	opts := append(client.options(cfg.Version, cfg.MaxMessageBytes),
		grpc.WithTransportCredentials(observe(use)),
		// Idle connections stay, so that usable instances are known at any time.
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultServiceConfig(sc),
		// A name server's own service config could switch retries on for any method.
		grpc.WithDisableServiceConfig(),
		grpc.WithResolvers(cfg.Resolvers...),
		// Services are in one network: HTTPS_PROXY is for the outside world, and must not see their traffic.
		grpc.WithNoProxy(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:                pingInterval,
			Timeout:             pingTimeout,
			PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			// grpc-go waits up to two minutes before it tries a lost server again.
			// Ours are near and few; a restart should be noticed in seconds.
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
	)
	cc, err := grpc.NewClient(target, append(opts, cfg.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("dial %s at %q: %w", cfg.Name, target, err)
	}
	return &Connection{cc, use}, nil
}

// IdempotentMethods returns the methods of the services, given by their full names, that their protos say may be sent twice
// (idempotency_level), for [DialConfig].
func IdempotentMethods(services ...string) ([]string, error) {
	var names []string
	for _, service := range services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
		if err != nil {
			return nil, fmt.Errorf("find the methods of %s: %w", service, err)
		}
		s, ok := d.(protoreflect.ServiceDescriptor)
		if !ok {
			return nil, fmt.Errorf("find the methods of %s: it is no service", service)
		}
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			options, _ := m.Options().(*descriptorpb.MethodOptions)
			if options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
				names = append(names, fmt.Sprintf("/%s/%s", service, m.Name()))
			}
		}
	}
	return names, nil
}

// serviceConfig returns the gRPC service config, in JSON. Format and meaning:
// https://github.com/grpc/grpc-proto/blob/master/grpc/service_config/service_config.proto
func serviceConfig(idempotent []string) (string, error) {
	type object = map[string]any
	names := make([]object, 0, len(idempotent))
	for _, full := range idempotent {
		service, method, ok := strings.Cut(strings.TrimPrefix(full, "/"), "/")
		if !ok || service == "" || method == "" || strings.Contains(method, "/") {
			return "", fmt.Errorf("idempotent method %q: want its full name, like /package.Service/Method", full)
		}
		names = append(names, object{"service": service, "method": method})
	}
	sc := object{
		"loadBalancingConfig": []object{{usableBalancer: object{}}},
		"healthCheckConfig":   object{"serviceName": ""},
		// The retry budget: 500 failures without a success stop retries until
		// successes, ten for each further retry, have refilled half of it. It is the
		// largest that gRPC allows, because an instance that dies fails all of its
		// calls in flight at once, and each of them should be retried.
		"retryThrottling": object{"maxTokens": 1000, "tokenRatio": 0.1},
	}
	if len(names) > 0 {
		sc["methodConfig"] = []object{{
			"name": names,
			"retryPolicy": object{
				"maxAttempts":          3,
				"initialBackoff":       "0.05s",
				"maxBackoff":           "1s",
				"backoffMultiplier":    3,
				"retryableStatusCodes": []string{"UNAVAILABLE"},
			},
		}}
	}
	text, err := json.Marshal(sc)
	if err != nil {
		return "", fmt.Errorf("encode the service config: %w", err)
	}
	return string(text), nil
}

// clientSide intercepts outgoing calls.
type clientSide struct {
	name, target string
	timeout      time.Duration
	idempotent   map[string]bool // full names of methods
	held         *held           // nil in memory, where there is one server
}

// options are the dial options of every connection, to another process or in memory.
func (c clientSide) options(version string, maxRecv int) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUserAgent(userAgent(version)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxRecv)),
		grpc.WithUnaryInterceptor(c.unary),
		grpc.WithStreamInterceptor(c.stream),
	}
}

func (c clientSide) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithDeadline(ctx, callDeadline(ctx, time.Now(), c.timeout))
	defer cancel()
	if c.held == nil {
		_, err := c.once(ctx, method, req, reply, cc, invoke, opts...)
		return err
	}
	return c.held.run(ctx, c.name, c.target, func(ctx context.Context) (metadata.MD, error) {
		return c.once(ctx, method, req, reply, cc, invoke, opts...)
	})
}

// once makes a call, and returns the trailer that came back.
func (c clientSide) once(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) (metadata.MD, error) {
	var header, trailer metadata.MD
	opts = append(opts[:len(opts):len(opts)], grpc.Header(&header), grpc.Trailer(&trailer))
	ctx = outgoing(ctx)
	err := invoke(ctx, method, req, reply, cc, opts...)
	if c.idempotent[method] && brokenOff(err, header, trailer) {
		// gRPC does not retry what an answer has begun to. Once is enough: it takes
		// another instance's death in the same moment of another answer to need more.
		header, trailer = nil, nil
		err = invoke(ctx, method, req, reply, cc, opts...)
	}
	if err != nil {
		return trailer, explain(ctx, c.name, c.target, err, header, trailer)
	}
	return trailer, nil
}

func (c clientSide) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if c.held != nil {
		ctx, _ = c.held.announce(ctx)
	}
	cs, err := open(outgoing(ctx), desc, cc, method, opts...)
	if err != nil {
		return nil, explain(ctx, c.name, c.target, err, nil, nil)
	}
	return cs, nil
}

// outgoing puts the request id into the metadata that is sent.
func outgoing(ctx context.Context) context.Context {
	id := RequestID(ctx)
	if id == "" {
		return ctx
	}
	if md, ok := metadata.FromOutgoingContext(ctx); ok && len(md[requestIDKey]) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, requestIDKey, id)
}
