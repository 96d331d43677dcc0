package rpc_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/discovery"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// instance serves a test service that counts its calls.
type instance struct {
	server *rpc.Server
	addr   string
	calls  atomic.Int64
}

func startInstance(t *testing.T, answer func(call int64) error) *instance {
	t.Helper()
	i := &instance{}
	var err error
	if i.server, err = rpc.NewServer(rpc.ServerConfig{Name: "test"}); err != nil {
		t.Fatal(err)
	}
	testpb.RegisterTestServiceServer(i.server, &callee{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{}, answer(i.calls.Add(1))
	}})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i.addr = lis.Addr().String()
	served := make(chan error, 1)
	go func() { served <- i.server.Serve(lis) }()
	i.server.SetServing(true)
	t.Cleanup(func() {
		if err := i.server.Shutdown(context.Background()); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return i
}

func dialTest(t *testing.T, target string, cfg rpc.DialConfig) testpb.TestServiceClient {
	t.Helper()
	cfg.Name = "test"
	cc, err := rpc.Dial(target, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return testpb.NewTestServiceClient(cc)
}

func TestRetries(t *testing.T) {
	unavailable := fault.Unavailable(nil, "busy")
	for _, row := range []struct {
		name       string
		idempotent bool
		err        error
		failures   int64
		code       codes.Code
		calls      int64
	}{
		{"an idempotent call survives two failures", true, unavailable, 2, codes.OK, 3},
		{"and gives up after three", true, unavailable, 9, codes.Unavailable, 3},
		{"another method is sent once", false, unavailable, 9, codes.Unavailable, 1},
		{"another code is not retried", true, fault.Exhausted("too many"), 9, codes.ResourceExhausted, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			i := startInstance(t, func(call int64) error {
				if call <= row.failures {
					return row.err
				}
				return nil
			})
			var cfg rpc.DialConfig
			if row.idempotent {
				cfg.Idempotent = []string{testpb.TestService_UnaryCall_FullMethodName}
			}
			_, err := dialTest(t, i.addr, cfg).UnaryCall(t.Context(), &testpb.SimpleRequest{})
			if status.Code(err) != row.code || i.calls.Load() != row.calls {
				t.Errorf("%v after %d calls, want %v after %d", err, i.calls.Load(), row.code, row.calls)
			}
		})
	}
}

func TestRetriesHaveABudget(t *testing.T) {
	i := startInstance(t, func(int64) error { return fault.Unavailable(nil, "busy") })
	client := dialTest(t, i.addr, rpc.DialConfig{Idempotent: []string{testpb.TestService_UnaryCall_FullMethodName}})
	const calls, budget = 600, 500
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); status.Code(err) != codes.Unavailable {
				t.Errorf("got %v, want UNAVAILABLE", err)
			}
		})
	}
	wg.Wait()
	// Without a budget each call is three. With it, the first five hundred failures use
	// it up, and from then on a call is one.
	if got := i.calls.Load(); got <= calls+budget/2 || got > calls+budget {
		t.Errorf("%d calls became %d, want more than %d and at most %d", calls, got, calls+budget/2, calls+budget)
	}
}

func TestOnlyHealthyInstancesAreCalled(t *testing.T) {
	ok := func(int64) error { return nil }
	a, b := startInstance(t, ok), startInstance(t, ok)
	m := discovery.NewMemory()
	for _, i := range []*instance{a, b} {
		if _, err := m.Register(t.Context(), "test", i.addr); err != nil {
			t.Fatal(err)
		}
	}
	client := dialTest(t, "memory:///test", rpc.DialConfig{Resolvers: []resolver.Builder{m.Resolver()}})
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !done(); {
			if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
				t.Fatalf("%s: a call failed: %v", what, err)
			}
			if time.Now().After(end) {
				t.Fatalf("%s: not within %v", what, patience)
			}
		}
	}
	until("both are called", func() bool { return a.calls.Load() > 0 && b.calls.Load() > 0 })
	b.server.SetServing(false)
	quiet, last := 0, b.calls.Load()
	until("b rests", func() bool {
		if now := b.calls.Load(); now != last {
			quiet, last = 0, now
		}
		quiet++
		return quiet > 20
	})
	b.server.SetServing(true)
	until("b is called again", func() bool { return b.calls.Load() > last })

	a.server.SetServing(false)
	b.server.SetServing(false)
	for end := time.Now().Add(patience); ; {
		_, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		if status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), "NOT_SERVING") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("without an instance: %v, want UNAVAILABLE that says so", err)
		}
	}
}

func TestWaitsForAServerThatStartsLater(t *testing.T) {
	m := discovery.NewMemory()
	client := dialTest(t, "memory:///test", rpc.DialConfig{Resolvers: []resolver.Builder{m.Resolver()}})
	result := make(chan error, 1)
	go func() {
		_, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.WaitForReady(true))
		result <- err
	}()
	i := startInstance(t, func(int64) error { return nil })
	if _, err := m.Register(t.Context(), "test", i.addr); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the call", result); err != nil {
		t.Error(err)
	}
}

func TestDialConfigIsChecked(t *testing.T) {
	for _, row := range []struct {
		name, target string
		change       func(*rpc.DialConfig)
		want         string
	}{
		{"no name", "127.0.0.1:1", func(c *rpc.DialConfig) { c.Name = "" }, "Name is empty"},
		{"no target", "", func(*rpc.DialConfig) {}, "target is empty"},
		{"method without service", "127.0.0.1:1", func(c *rpc.DialConfig) { c.Idempotent = []string{"Read"} }, `idempotent method "Read"`},
		{"method without name", "127.0.0.1:1", func(c *rpc.DialConfig) { c.Idempotent = []string{"/a.B/"} }, `idempotent method "/a.B/"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := rpc.DialConfig{Name: "test"}
			row.change(&cfg)
			if _, err := rpc.Dial(row.target, cfg); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want an error that says %q", err, row.want)
			}
		})
	}
}
