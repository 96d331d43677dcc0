package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"movieexample.com/internal/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// callee is gRPC's own test service with handlers that a test sets.
type callee struct {
	testpb.UnimplementedTestServiceServer
	unary  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	output func(*testpb.StreamingOutputCallRequest, grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error
	duplex func(grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error
}

func (c *callee) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return c.unary(ctx, req)
}

func (c *callee) StreamingOutputCall(req *testpb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return c.output(req, s)
}

func (c *callee) FullDuplexCall(s grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	return c.duplex(s)
}

// world is a server and one connection to it.
type world struct {
	*callee
	server  *rpc.Server
	conn    grpc.ClientConnInterface
	client  testpb.TestServiceClient
	metrics *prometheus.Registry
	log     *logBuffer
}

// wires are the two connections that must not differ.
var wires = []string{"in process", "network"}

// overBoth runs a test of the conformance suite over each connection.
func overBoth(t *testing.T, cfg rpc.ServerConfig, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, wire := range wires {
		t.Run(wire, func(t *testing.T) { test(t, start(t, wire, cfg)) })
	}
}

// start starts a server that echoes, and ends it with the test.
func start(t testing.TB, wire string, cfg rpc.ServerConfig) *world {
	t.Helper()
	w := &world{
		callee: &callee{unary: func(_ context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{Payload: req.GetPayload()}, nil
		}},
		metrics: prometheus.NewRegistry(),
		log:     &logBuffer{},
	}
	cfg.Name, cfg.Version, cfg.Metrics = "test", "v1.2.3", w.metrics
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	if w.server, err = rpc.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	testpb.RegisterTestServiceServer(w.server, w.callee)
	if wire == "network" {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- w.server.Serve(lis) }()
		t.Cleanup(func() {
			if err := <-served; err != nil {
				t.Errorf("serve: %v", err)
			}
		})
		cc, err := rpc.Dial(lis.Addr().String(), rpc.DialConfig{Name: "test", Version: "v1.2.3", Timeout: cfg.DefaultDeadline})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cc.Close() })
		w.conn = cc
	} else {
		w.conn = w.server.Conn()
	}
	w.server.SetServing(true)
	w.client = testpb.NewTestServiceClient(w.conn)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.server.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	return w
}

// wait fails the test unless c delivers in time.
func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
		panic("unreachable")
	}
}

// logBuffer collects JSON log lines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) lines(t *testing.T) []map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []map[string]any
	for dec := json.NewDecoder(bytes.NewReader(b.buf.Bytes())); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func payload(s string) *testpb.Payload { return &testpb.Payload{Body: []byte(s)} }
