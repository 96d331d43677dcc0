package rpc

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/metadata"
)

// ServerConfig configures a [Server]. The zero value of every field but Name works.
type ServerConfig struct {
	// Name is the service's name in messages and logs, e.g. "rating".
	Name string
	// Version is the program's version, for the user agent of in-process calls.
	Version string
	// Database is the identity of the database that the services work on; empty means none. See [DatabaseOf].
	Database string
	// Logger gets one line per call; nil discards them.
	Logger *slog.Logger
	// Metrics gets the metrics of the calls. Several servers may share one; nil
	// means that they are not exported.
	Metrics prometheus.Registerer

	// MaxMessageBytes is the size of the largest accepted message: a request here, or a
	// response to in-process callers. 0 means 4 MiB.
	MaxMessageBytes int
	// MaxRequestBytes is the size of the largest request to a method that is not in
	// LargeRequests. 0 means MaxMessageBytes.
	MaxRequestBytes int
	// LargeRequests lists the methods whose requests may have MaxMessageBytes, as full
	// names: "/movieexample.metadata.v1.MetadataService/BatchPutMovies".
	LargeRequests []string
	// MaxInflowBytes bounds the memory for requests of calls that have not ended, of all
	// network connections together. Above it, the connection that holds most is closed. 0 means 64 MiB.
	MaxInflowBytes int
	// DefaultDeadline is the time for a unary call whose caller set none. 0 means 10 s.
	DefaultDeadline time.Duration
	// MaxDeadline is the longest deadline that a caller may set. 0 means 60 s.
	MaxDeadline time.Duration
	// SlowCall is the duration above which a call is logged as slow. 0 means 1 s.
	SlowCall time.Duration

	// MaxStreams is the number of simultaneous calls on one connection. 0 means 250.
	MaxStreams uint32
	// MaxHeaderBytes is the size of a call's metadata. 0 means 32 KiB.
	MaxHeaderBytes uint32
	// MaxConnectionAge is the time after which a client is asked to reconnect,
	// which is what makes it look its server up again and notice new instances.
	// 0 means 5 minutes. Calls in flight finish: they get MaxDeadline.
	MaxConnectionAge time.Duration
	// HandshakeTimeout is the time for a new connection to become one. 0 means 10 s.
	HandshakeTimeout time.Duration
	// ReceiveTimeout is the time for a call's first message to arrive, once its header
	// has. 0 means 10 s.
	ReceiveTimeout time.Duration
	// StreamIdleTimeout is the time for each further message that a stream's handler
	// waits for. 0 means 1 minute.
	StreamIdleTimeout time.Duration
}

// Defaults of ServerConfig and DialConfig.
const (
	defaultMessageBytes     = 4 << 20
	defaultDeadline         = 10 * time.Second
	defaultMaxDeadline      = 60 * time.Second
	defaultSlowCall         = time.Second
	defaultInflowBytes      = 64 << 20
	defaultMaxStreams       = 250
	defaultHeaderBytes      = 32 << 10
	defaultConnectionAge    = 5 * time.Minute
	defaultHandshakeTimeout = 10 * time.Second
	defaultReceiveTimeout   = 10 * time.Second
	defaultStreamIdle       = time.Minute

	// A client pings a silent connection every pingInterval; a server takes twice
	// as many before it calls that abuse. Both ends must agree, so both are here.
	pingInterval = 30 * time.Second
	pingTimeout  = 10 * time.Second
)

func (c *ServerConfig) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, defaultMessageBytes)
	c.MaxRequestBytes = cmp.Or(c.MaxRequestBytes, c.MaxMessageBytes)
	c.MaxInflowBytes = cmp.Or(c.MaxInflowBytes, defaultInflowBytes)
	c.MaxDeadline = cmp.Or(c.MaxDeadline, defaultMaxDeadline)
	c.DefaultDeadline = cmp.Or(c.DefaultDeadline, min(defaultDeadline, c.MaxDeadline))
	c.SlowCall = cmp.Or(c.SlowCall, defaultSlowCall)
	c.MaxStreams = cmp.Or(c.MaxStreams, defaultMaxStreams)
	c.MaxHeaderBytes = cmp.Or(c.MaxHeaderBytes, defaultHeaderBytes)
	c.MaxConnectionAge = cmp.Or(c.MaxConnectionAge, defaultConnectionAge)
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, defaultHandshakeTimeout)
	c.ReceiveTimeout = cmp.Or(c.ReceiveTimeout, defaultReceiveTimeout)
	c.StreamIdleTimeout = cmp.Or(c.StreamIdleTimeout, defaultStreamIdle)
}

// Server serves gRPC services on the network and in process. Use [NewServer].
type Server struct {
	cfg     ServerConfig
	log     *slog.Logger
	metrics *metrics
	grpc    *grpc.Server
	health  *health.Server
	conn    *conn
	inflow  *inflow
	serving atomic.Bool
	usable  atomic.Pointer[prometheus.Gauge] // nil until the first in-process caller

	database metadata.MD // for the trailers of calls from the network; nil for none

	// methods by full name, e.g. "/pkg.Service/Method". It is written while
	// services are registered and only read once calls arrive.
	methods  map[string]*method
	services []string
	unknown  *method

	mu       sync.RWMutex // guards draining against begin
	draining bool
	inFlight sync.WaitGroup // in-process calls; grpc.Server counts the others
	stopped  chan struct{}  // closed when the time for draining is over
	shutdown sync.Once
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

// begin counts the start of an in-process call, unless the server drains.
func (s *Server) begin() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.draining {
		return false
	}
	s.inFlight.Add(1)
	return true
}

// method is one registered method.
type method struct {
	service, name string
	metrics       *methodMetrics
	impl          any
	unary         grpc.MethodHandler // nil for a streaming method
	maxRequest    int                // bytes
	// quiet methods are the health checks: machines call them every few seconds, and
	// they would drown out the other calls in logs and metrics.
	quiet bool
}
