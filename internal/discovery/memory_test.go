package discovery_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/discovery"
	"movieexample.com/internal/rpc"
)

// start serves an instance and returns its address.
func start(t *testing.T) string {
	t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{Name: "rating"})
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	s.SetServing(true)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return lis.Addr().String()
}

func dial(t *testing.T, m *discovery.Registry) *grpc.ClientConn {
	t.Helper()
	cc, err := rpc.Dial("memory:///rating", rpc.DialConfig{
		Name:      "rating",
		Resolvers: []resolver.Builder{m.Resolver()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc.ClientConn
}

func register(t *testing.T, m *discovery.Registry, addr string) (deregister func()) {
	t.Helper()
	leave, err := m.Register(t.Context(), "rating", addr)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := leave(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// call returns the address that answered.
func call(ctx context.Context, cc *grpc.ClientConn, opts ...grpc.CallOption) (string, error) {
	var p peer.Peer
	_, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{}, append(opts, grpc.Peer(&p))...)
	if err != nil {
		return "", err
	}
	return p.Addr.String(), nil
}

// callUntil calls until the answer is as wanted.
func callUntil(t *testing.T, what string, cc *grpc.ClientConn, ok func(addr string, err error) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		addr, err := call(ctx, cc)
		if ok(addr, err) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: not within 10 s; last: %q, %v", what, addr, err)
		}
	}
}

func TestNoInstanceIsUnavailableAndNamesTheService(t *testing.T) {
	m := discovery.NewMemory()
	cc := dial(t, m)
	_, err := call(t.Context(), cc)
	if status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v, want UNAVAILABLE", err)
	}
	for _, want := range []string{"the rating service cannot be reached", "memory:///rating", "no instance"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("message %q does not say %q", err, want)
		}
	}
}

func TestRecoversAsSoonAsAnInstanceAppears(t *testing.T) {
	m := discovery.NewMemory()
	cc := dial(t, m)
	for range 3 {
		if _, err := call(t.Context(), cc); status.Code(err) != codes.Unavailable {
			t.Fatalf("got %v, want UNAVAILABLE", err)
		}
		addr := start(t)
		deregister := register(t, m, addr)
		// WaitForReady: a call that waits is answered without any retry.
		got, err := call(t.Context(), cc, grpc.WaitForReady(true))
		if err != nil || got != addr {
			t.Fatalf("after registration: %q, %v; want %q", got, err, addr)
		}
		deregister()
		deregister() // no effect
		callUntil(t, "gone again", cc, func(_ string, err error) bool {
			return status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), "no instance")
		})
	}
}

func TestSpreadsOverInstancesAndDropsTheDeregistered(t *testing.T) {
	m := discovery.NewMemory()
	a, b := start(t), start(t)
	register(t, m, a)
	register(t, m, a) // twice the same is one instance, until both are gone
	deregisterB := register(t, m, b)
	cc := dial(t, m)

	seen := map[string]bool{}
	callUntil(t, "both answer", cc, func(addr string, err error) bool {
		seen[addr] = err == nil
		return seen[a] && seen[b]
	})
	deregisterB()
	run := 0
	callUntil(t, "only the first answers", cc, func(addr string, err error) bool {
		if err != nil {
			t.Fatalf("a call failed while an instance was there: %v", err)
		}
		if run++; addr != a {
			run = 0
		}
		return run == 10
	})
}

func TestSameAddressTwiceStaysUntilTheLast(t *testing.T) {
	m := discovery.NewMemory()
	addr := start(t)
	first, second := register(t, m, addr), register(t, m, addr)
	cc := dial(t, m)
	first()
	if got, err := call(t.Context(), cc, grpc.WaitForReady(true)); err != nil || got != addr {
		t.Fatalf("after the first of two deregistrations: %q, %v; want %q", got, err, addr)
	}
	second()
	callUntil(t, "gone", cc, func(_ string, err error) bool { return status.Code(err) == codes.Unavailable })
}

func TestRegistriesDoNotSeeEachOther(t *testing.T) {
	m, other := discovery.NewMemory(), discovery.NewMemory()
	register(t, other, start(t))
	if _, err := call(t.Context(), dial(t, m)); status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v, want UNAVAILABLE", err)
	}
}

func TestConcurrentRegistrationsAndClients(t *testing.T) {
	m := discovery.NewMemory()
	addr := start(t)
	register(t, m, addr)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				deregister, err := m.Register(t.Context(), "rating", fmt.Sprintf("127.0.0.1:%d", 1+i*100+j))
				if err != nil {
					t.Error(err)
					return
				}
				if err := deregister(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			cc := dial(t, m)
			if _, err := call(t.Context(), cc, grpc.WaitForReady(true)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestRefusals(t *testing.T) {
	m := discovery.NewMemory()
	for _, row := range []struct{ service, addr, want string }{
		{"", "127.0.0.1:1", "name is empty"},
		{"a/b", "127.0.0.1:1", "neither slashes"},
		{"rating", "", "want host:port"},
		{"rating", "127.0.0.1", "want host:port"},
		{"rating", ":8081", "want host:port"},
		{"rating", "127.0.0.1:0", "want host:port"},
		{"rating", "127.0.0.1:http", "want host:port"},
		{"rating", "127.0.0.1:65536", "want host:port"},
		{"rating", "0.0.0.0:8081", "no client can connect"},
		{"rating", "[::]:8081", "no client can connect"},
	} {
		_, err := m.Register(t.Context(), row.service, row.addr)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("Register(%q, %q) = %v, want an error that says %q", row.service, row.addr, err, row.want)
		}
	}
	for _, target := range []string{"memory:///", "memory://rating", "memory://host/rating"} {
		cc, err := rpc.Dial(target, rpc.DialConfig{Name: "rating", Resolvers: []resolver.Builder{m.Resolver()}})
		if err == nil {
			_, err = call(t.Context(), cc.ClientConn)
			_ = cc.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "memory:") {
			t.Errorf("target %q: got %v, want an error that names it", target, err)
		}
	}
}
