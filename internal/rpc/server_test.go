package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

func TestOneLogLinePerCall(t *testing.T) {
	for _, row := range []struct {
		name    string
		handler func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
		want    map[string]any // a subset of the line
		text    string         // contained in the error
	}{
		{
			"answer", func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				return &testpb.SimpleResponse{}, nil
			},
			map[string]any{"level": "DEBUG", "msg": "call", "code": "OK"},
			"",
		},
		{
			"the caller's mistake", fails(fault.Invalid("id", "is required")),
			map[string]any{"level": "INFO", "code": "InvalidArgument"},
			"id: is required",
		},
		{
			"nothing there", fails(fault.NotFound("no movie")),
			map[string]any{"level": "DEBUG", "msg": "call", "code": "NotFound"},
			"no movie",
		},
		{
			"unavailable", fails(fault.Unavailable(errors.New("dial 10.0.0.1"), "the database is busy")),
			map[string]any{"level": "WARN", "code": "Unavailable"},
			"the database is busy: dial 10.0.0.1",
		},
		{
			"internal", fails(fmt.Errorf("read movie: %w", errors.New("disk I/O error"))),
			map[string]any{"level": "ERROR", "code": "Internal"},
			"read movie: disk I/O error",
		},
		{
			"panic", func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { panic("oh no") },
			map[string]any{"level": "ERROR", "code": "Internal"},
			"panic: oh no",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			overBoth(t, rpc.ServerConfig{SlowCall: time.Hour}, func(t *testing.T, w *world) {
				w.unary = row.handler
				_, _ = w.client.UnaryCall(rpc.WithRequestID(t.Context(), "r-1"), &testpb.SimpleRequest{})
				// A handler's line is written before its answer is sent.
				lines := w.log.lines(t)
				if len(lines) != 1 {
					t.Fatalf("%d lines, want 1: %v", len(lines), lines)
				}
				line := lines[0]
				row.want["service"], row.want["method"], row.want["request_id"] = "grpc.testing.TestService", "UnaryCall", "r-1"
				for k, v := range row.want {
					if line[k] != v {
						t.Errorf("%s = %v, want %v", k, line[k], v)
					}
				}
				for _, k := range []string{"duration_ms", "peer"} {
					if line[k] == nil {
						t.Errorf("the line has no %s: %v", k, line)
					}
				}
				if text, _ := line["error"].(string); text != row.text {
					t.Errorf("error = %q, want %q", text, row.text)
				}
				stack, _ := line["stack"].(string)
				if got, want := strings.Contains(stack, "server_test.go"), row.name == "panic"; got != want {
					t.Errorf("a stack that leads to the handler: %t, want %t\n%s", got, want, stack)
				}
			})
		})
	}
}

func TestSlowCallsAreLogged(t *testing.T) {
	overBoth(t, rpc.ServerConfig{SlowCall: time.Nanosecond}, func(t *testing.T, w *world) {
		if _, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
		if lines := w.log.lines(t); len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["msg"] != "slow call" {
			t.Errorf("got %v, want one slow call", lines)
		}
	})
}

func TestMetrics(t *testing.T) {
	overBoth(t, rpc.ServerConfig{Logger: slog.New(slog.DiscardHandler)}, func(t *testing.T, w *world) {
		n := 0
		w.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			if n++; n > 3 {
				return nil, fault.NotFound("nothing")
			}
			return &testpb.SimpleResponse{}, nil
		}
		for range 5 {
			_, _ = w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		}
		const want = `
# HELP movieexample_grpc_server_handled_total Calls that this process answered, by the status code of the answer.
# TYPE movieexample_grpc_server_handled_total counter
movieexample_grpc_server_handled_total{code="NotFound",method="UnaryCall",service="grpc.testing.TestService"} 2
movieexample_grpc_server_handled_total{code="OK",method="UnaryCall",service="grpc.testing.TestService"} 3
`
		if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(want), "movieexample_grpc_server_handled_total"); err != nil {
			t.Error(err)
		}
		families, err := w.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var count uint64
		for _, f := range families {
			if f.GetName() == "movieexample_grpc_server_handling_seconds" {
				for _, m := range f.GetMetric() {
					count += m.GetHistogram().GetSampleCount()
				}
			}
		}
		if count != 5 {
			t.Errorf("movieexample_grpc_server_handling_seconds has %d samples, want 5", count)
		}
	})
}

func TestTwoServersShareARegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	for range 2 {
		s, err := rpc.NewServer(rpc.ServerConfig{Name: "test", Metrics: reg})
		if err != nil {
			t.Fatal(err)
		}
		testpb.RegisterTestServiceServer(s, testpb.UnimplementedTestServiceServer{})
		_, _ = testpb.NewTestServiceClient(s.Conn()).EmptyCall(t.Context(), &testpb.Empty{})
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const want = `
# HELP movieexample_grpc_server_handled_total Calls that this process answered, by the status code of the answer.
# TYPE movieexample_grpc_server_handled_total counter
movieexample_grpc_server_handled_total{code="Unimplemented",method="EmptyCall",service="grpc.testing.TestService"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "movieexample_grpc_server_handled_total"); err != nil {
		t.Error(err)
	}
}

func TestServerConfigIsChecked(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*rpc.ServerConfig)
		want   string
	}{
		{"no name", func(c *rpc.ServerConfig) { c.Name = "" }, "Name is empty"},
		{"negative deadline", func(c *rpc.ServerConfig) { c.DefaultDeadline = -1 }, "negative"},
		{"default above maximum", func(c *rpc.ServerConfig) { c.DefaultDeadline, c.MaxDeadline = 2, 1 }, "above MaxDeadline"},
		{"metrics taken", func(c *rpc.ServerConfig) {
			reg := prometheus.NewRegistry()
			reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "movieexample_grpc_server_handled_total", Help: "taken"}))
			c.Metrics = reg
		}, "register gRPC metrics"},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := rpc.ServerConfig{Name: "test"}
			row.change(&cfg)
			if _, err := rpc.NewServer(cfg); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want an error that says %q", err, row.want)
			}
		})
	}
}

func TestServeAfterShutdownReturns(t *testing.T) {
	s, err := rpc.NewServer(rpc.ServerConfig{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(lis); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
