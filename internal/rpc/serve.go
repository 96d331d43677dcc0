package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
)

// NewServer returns a server with reflection (v1 and v1alpha) and health checks
// registered. Register the services, then Serve, then announce it with
// SetServing(true): until then its health is NOT_SERVING, and the connections of
// [Dial] do not use it. End it with Shutdown, even if it never served.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Name == "" {
		return nil, errors.New("rpc server: Name is empty: say whose server it is")
	}
	if cfg.DefaultDeadline < 0 || cfg.MaxDeadline < 0 || cfg.MaxMessageBytes < 0 || cfg.MaxRequestBytes < 0 || cfg.MaxInflowBytes < 0 ||
		cfg.MaxConnectionAge < 0 || cfg.ReceiveTimeout < 0 || cfg.StreamIdleTimeout < 0 {
		return nil, fmt.Errorf("rpc server %q: limits and deadlines must not be negative", cfg.Name)
	}
	cfg.setDefaults()
	if cfg.DefaultDeadline > cfg.MaxDeadline {
		return nil, fmt.Errorf("rpc server %q: DefaultDeadline %v is above MaxDeadline %v", cfg.Name, cfg.DefaultDeadline, cfg.MaxDeadline)
	}
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("rpc server %q: %w", cfg.Name, err)
	}
	s := &Server{
		cfg:     cfg,
		log:     cfg.Logger,
		metrics: m,
		health:  health.NewServer(),
		methods: make(map[string]*method),
		stopped: make(chan struct{}),
	}
	if cfg.Database != "" {
		s.database = metadata.MD{databaseKey: {cfg.Database}}
	}
	s.unknown = &method{service: "unknown", name: "unknown", metrics: m.of("unknown", "unknown"), maxRequest: cfg.MaxRequestBytes}
	s.inflow = &inflow{limit: int64(cfg.MaxInflowBytes), log: cfg.Logger, cut: m.large, opened: make(map[*inflowConn]struct{})}
	largest := cfg.MaxRequestBytes
	if len(cfg.LargeRequests) > 0 {
		largest = cfg.MaxMessageBytes
	}
	s.conn = newConn(s)
	s.grpc = grpc.NewServer(
		grpc.Creds(insecure.NewCredentials()), // the default, but this way a peer has AuthInfo that says so
		grpc.UnaryInterceptor(s.interceptUnary),
		grpc.StreamInterceptor(s.interceptStream),
		grpc.MaxConcurrentStreams(cfg.MaxStreams),
		grpc.NumStreamWorkers(maxIdleWorkers), // for the reason given at workers; measured: a twelfth of a call
		grpc.MaxHeaderListSize(cfg.MaxHeaderBytes),
		grpc.MaxRecvMsgSize(largest),
		grpc.InTapHandle(s.tap),
		grpc.ConnectionTimeout(cfg.HandshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      cfg.MaxConnectionAge,
			MaxConnectionAgeGrace: cfg.MaxDeadline,
			Time:                  2 * pingInterval,
			Timeout:               pingTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             pingInterval / 2,
			PermitWithoutStream: true,
		}),
	)
	reflection.Register(reflected{s})
	s.RegisterService(&healthpb.Health_ServiceDesc, s.health)
	s.SetServing(false)
	return s, nil
}

// RegisterService puts a service on the network and on the in-process
// connection. Call it before Serve and before the first call; like grpc.Server's
// it ends the process if impl does not implement the service.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.grpc.RegisterService(desc, impl)
	s.services = append(s.services, desc.ServiceName)
	quiet := desc.ServiceName == healthpb.Health_ServiceDesc.ServiceName
	add := func(name string, unary grpc.MethodHandler) {
		full, limit := "/"+desc.ServiceName+"/"+name, s.cfg.MaxRequestBytes
		if slices.Contains(s.cfg.LargeRequests, full) {
			limit = s.cfg.MaxMessageBytes
		}
		s.methods[full] = &method{
			maxRequest: limit,
			service:    desc.ServiceName,
			name:       name,
			metrics:    s.metrics.of(desc.ServiceName, name),
			impl:       impl,
			unary:      unary,
			quiet:      quiet,
		}
	}
	for i := range desc.Methods {
		add(desc.Methods[i].MethodName, desc.Methods[i].Handler)
	}
	for i := range desc.Streams {
		add(desc.Streams[i].StreamName, nil)
	}
	s.health.SetServingStatus(desc.ServiceName, healthpb.HealthCheckResponse_NOT_SERVING)
}

// reflected registers the reflection services like all others; reflection asks
// the network server for its services.
type reflected struct{ *Server }

func (r reflected) GetServiceInfo() map[string]grpc.ServiceInfo { return r.grpc.GetServiceInfo() }

// SetServing sets the health (grpc.health.v1) of the whole server, "", and of
// each of its services. After Shutdown has begun it has no effect: a server that
// drains does not come back.
func (s *Server) SetServing(serving bool) {
	st := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		st = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", st)
	for _, name := range s.services {
		s.health.SetServingStatus(name, st)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.serving.Store(serving && !s.draining)
	s.showUsable()
}

// showUsable keeps the metric of a server that is called in process.
func (s *Server) showUsable() {
	if g := s.usable.Load(); g != nil {
		value := 0.0
		if s.serving.Load() {
			value = 1
		}
		(*g).Set(value)
	}
}

// Conn returns the connection to this server for callers in the same process. It
// works from now to Shutdown, with or without Serve, and need not be closed.
// Afterwards calls fail with UNAVAILABLE. Once Conn was called, the metrics show the
// server as an instance that this process uses.
func (s *Server) Conn() grpc.ClientConnInterface {
	if s.usable.Load() == nil {
		if g, err := usableGauge(s.cfg.Metrics, s.cfg.Name); err == nil { // it fails only if another metric has that name
			s.usable.CompareAndSwap(nil, &g)
			s.showUsable()
		}
	}
	return s.conn
}

// Serve accepts connections on lis and closes it at the end. It returns nil
// after Shutdown. It may be called for several listeners.
func (s *Server) Serve(lis net.Listener) error {
	if err := s.grpc.Serve(s.inflow.listen(lis)); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve %s on %s: %w", s.cfg.Name, lis.Addr(), err)
	}
	return nil
}

// Shutdown ends the server: its health becomes NOT_SERVING, then new calls are
// refused, then the calls in flight finish. When ctx ends first, they are
// canceled, their callers get UNAVAILABLE, and Shutdown returns an error. A
// second call returns nil at once.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	s.shutdown.Do(func() { err = s.drain(ctx) })
	return err
}

func (s *Server) drain(ctx context.Context) error {
	s.health.Shutdown()
	s.mu.Lock()
	s.draining = true
	s.serving.Store(false)
	s.showUsable()
	s.mu.Unlock()

	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.grpc.GracefulStop()
		s.inFlight.Wait()
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = fmt.Errorf("shut %s down: calls in flight were cut off: %w", s.cfg.Name, ctx.Err())
	}
	close(s.stopped)
	s.grpc.Stop()
	s.conn.close()
	return err
}
