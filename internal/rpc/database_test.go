package rpc_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// instanceOn starts an instance that works on a database, and counts the calls that its handler sees.
func instanceOn(t *testing.T, database string) (addr string, calls *atomic.Int64) {
	t.Helper()
	srv, err := rpc.NewServer(rpc.ServerConfig{Name: "test", Database: database})
	if err != nil {
		t.Fatal(err)
	}
	calls = &atomic.Int64{}
	testpb.RegisterTestServiceServer(srv, &callee{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		calls.Add(1)
		return &testpb.SimpleResponse{}, nil
	}})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	srv.SetServing(true)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String(), calls
}

// dialAll connects to instances in the way of a registry.
func dialAll(t *testing.T, addrs ...string) (testpb.TestServiceClient, *manual.Resolver) {
	t.Helper()
	r := manual.NewBuilderWithScheme("instances")
	r.InitialState(instancesAt(addrs...))
	cc, err := rpc.Dial("instances:///test", rpc.DialConfig{Name: "test", Resolvers: []resolver.Builder{r}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return testpb.NewTestServiceClient(cc), r
}

func instancesAt(addrs ...string) (s resolver.State) {
	for _, addr := range addrs {
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr}}})
	}
	return s
}

// A caller that knows its database never has a call handled by an instance on another one, and no call fails for that.
func TestCallsGoToOneDatabase(t *testing.T) {
	mine, mineCalls := instanceOn(t, "a")
	client, r := dialAll(t, mine)
	call := func() error {
		_, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	stranger, strangerCalls := instanceOn(t, "b")
	old, oldCalls := instanceOn(t, "") // of a release that does not say
	r.UpdateState(instancesAt(mine, stranger, old))
	// In turn, so that most of these calls are offered to the stranger.
	n := int64(1)
	for ; oldCalls.Load() < 50; n++ {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if strangerCalls.Load() != 0 || mineCalls.Load()+oldCalls.Load() != n {
		t.Errorf("%d calls: %d to the database's instance, %d to a stranger, %d to one that does not say", n, mineCalls.Load(), strangerCalls.Load(), oldCalls.Load())
	}
	r.UpdateState(instancesAt(stranger))
	if err := call(); fault.KindOf(err) != fault.KindUnavailable || !strings.Contains(err.Error(), "different databases") {
		t.Errorf("with strangers alone: %v", err)
	}
	if strangerCalls.Load() != 0 {
		t.Errorf("a stranger handled %d calls", strangerCalls.Load())
	}
	for addr, want := range map[string]string{mine: "a", stranger: "b", old: ""} {
		if got, err := rpc.DatabaseOf(t.Context(), addr); got != want || err != nil {
			t.Errorf("database %q, %v; want %q", got, err, want)
		}
	}
}
