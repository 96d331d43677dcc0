package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"movieexample.com/internal/rpc"
)

// quiet is a server as in production: debug lines off.
var quiet = rpc.ServerConfig{Logger: slog.New(slog.DiscardHandler)}

// BenchmarkUnary is a warm call with a request and an answer of 300 bytes.
func BenchmarkUnary(b *testing.B) {
	for _, wire := range wires {
		b.Run(wire, func(b *testing.B) {
			call := warm(b, wire)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

func BenchmarkUnaryParallel(b *testing.B) {
	for _, wire := range wires {
		b.Run(wire, func(b *testing.B) {
			call := warm(b, wire)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					call()
				}
			})
		})
	}
}

// BenchmarkBareNetwork is the same call by grpc-go alone, without any of what this
// package adds, to compare with.
func BenchmarkBareNetwork(b *testing.B) {
	server := grpc.NewServer()
	testpb.RegisterTestServiceServer(server, &callee{unary: func(_ context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{Payload: req.GetPayload()}, nil
	}})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	defer func() {
		server.Stop()
		<-served
	}()
	cc, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	client := testpb.NewTestServiceClient(cc)
	req := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 300)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.UnaryCall(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

func warm(t testing.TB, wire string) (call func()) {
	t.Helper()
	w := start(t, wire, quiet)
	ctx := rpc.WithRequestID(context.Background(), "benchmark")
	req := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 300)}}
	call = func() {
		if _, err := w.client.UnaryCall(ctx, req); err != nil {
			t.Error(err)
		}
	}
	call()
	return call
}

// TestAllocationsPerCallInProcess keeps the number from growing unseen. Seven of
// them are the test service's own messages.
func TestAllocationsPerCallInProcess(t *testing.T) {
	if raceEnabled {
		t.Log("not counted: the race detector allocates")
		return
	}
	const limit = 21
	if got := testing.AllocsPerRun(200, warm(t, "in process")); got > limit {
		t.Errorf("%v allocations per call, want at most %d", got, limit)
	}
}
