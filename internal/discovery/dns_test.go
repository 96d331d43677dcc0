package discovery_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/dns/dnsmessage"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"movieexample.com/internal/discovery"
)

// resolved is a registry and what it tells a connection about the rating service, without
// a connection: nobody listens there.
type resolved struct {
	*world
	log *lines

	mu     sync.Mutex
	states []string
}

// UpdateState implements resolver.ClientConn.
func (r *resolved) UpdateState(s resolver.State) error {
	var addrs []string
	for _, e := range s.Endpoints {
		addrs = append(addrs, e.Addresses[0].Addr)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, fmt.Sprint(addrs))
	return nil
}

// ReportError implements resolver.ClientConn.
func (*resolved) ReportError(error) {}

// NewAddress implements resolver.ClientConn.
func (*resolved) NewAddress([]resolver.Address) {}

// ParseServiceConfig implements resolver.ClientConn.
func (*resolved) ParseServiceConfig(string) *serviceconfig.ParseResult { return nil }

func resolve(t *testing.T, spec string, opts discovery.Options) *resolved {
	t.Helper()
	r := &resolved{world: &world{metrics: prometheus.NewRegistry()}, log: &lines{}}
	opts.Logger, opts.Metrics = r.log.logger(), r.metrics
	r.reg = open(t, spec, opts)
	target, err := url.Parse(r.reg.Target("rating"))
	if err != nil {
		t.Fatal(err)
	}
	built, err := r.reg.Resolver().Build(resolver.Target{URL: *target}, r, resolver.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(built.Close)
	return r
}

// expect waits until these are the instances.
func (r *resolved) expect(t *testing.T, addrs ...string) {
	t.Helper()
	eventually(t, fmt.Sprint("the instances are ", addrs), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.states) > 0 && r.states[len(r.states)-1] == fmt.Sprint(addrs)
	})
}

func (r *resolved) stale(t *testing.T, want float64) {
	t.Helper()
	eventually(t, fmt.Sprint("stale is ", want), func() bool { return r.metric(t, "movieexample_discovery_stale") == want })
}

// A name server that says that it cannot answer is not one that says nobody is there.
func TestDNSTellsFailureFromAbsence(t *testing.T) {
	t.Parallel()
	n := startNameserver(t)
	n.set("rating.example.", ipRecord("127.0.0.1"), ipRecord("127.0.0.2"))
	r := resolve(t, "dns://"+n.addr+"/{service}.example.:80?interval=1s", discovery.Options{})
	r.expect(t, "127.0.0.1:80", "127.0.0.2:80")

	for _, code := range []dnsmessage.RCode{dnsmessage.RCodeServerFailure, dnsmessage.RCodeRefused} {
		n.answers(code)
		r.stale(t, 1)
		if got := r.metric(t, "movieexample_discovery_instances"); got != 2 {
			t.Errorf("%v: %v instances, want both to stay", code, got)
		}
		n.answers(dnsmessage.RCodeSuccess)
		r.stale(t, 0)
	}
	if got := r.log.count("the registry does not answer"); got != 2 {
		t.Errorf("%d lines in the log about two outages", got)
	}
	for _, absent := range []func(string){n.unset, func(name string) { n.set(name) }} {
		absent("rating.example.")
		eventually(t, "gone", func() bool { return r.metric(t, "movieexample_discovery_instances") == 0 })
		n.set("rating.example.", ipRecord("127.0.0.1"))
		eventually(t, "back", func() bool { return r.metric(t, "movieexample_discovery_instances") == 1 })
	}
	if got := r.metric(t, "movieexample_discovery_stale"); got != 0 {
		t.Errorf("stale is %v after honest answers", got)
	}
}

// More instances than fit into a datagram.
func TestDNSWithManyInstances(t *testing.T) {
	t.Parallel()
	n := startNameserver(t)
	var records []dnsmessage.ResourceBody
	for i := range 200 {
		records = append(records, ipRecord(fmt.Sprintf("10.1.2.%d", i)))
	}
	n.set("rating.example.", records...)
	r := resolve(t, "dns://"+n.addr+"/{service}.example.:80?interval=1s", discovery.Options{})
	eventually(t, "all are known", func() bool {
		return r.log.count("instances changed") == 1 && r.metric(t, "movieexample_discovery_instances") == 200
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.overTCP == 0 {
		t.Error("nothing was asked over TCP")
	}
}

// Both families in one answer are the same instances twice.
func TestDNSAddressFamilies(t *testing.T) {
	t.Parallel()
	n := startNameserver(t)
	n.set("rating.example.", ipRecord("fd00::1"), ipRecord("127.0.0.1"))
	r := resolve(t, "dns://"+n.addr+"/{service}.example.?interval=1s", discovery.Options{Ports: map[string]int{"rating": 8082}})
	r.expect(t, "127.0.0.1:8082")
	n.set("rating.example.", ipRecord("fd00::2"))
	r.expect(t, "[fd00::2]:8082")
}

// A record of an instance that has no address yet, or any more, does not hide the others.
func TestDNSServiceRecords(t *testing.T) {
	t.Parallel()
	n := startNameserver(t)
	n.set("a.example.", ipRecord("127.0.0.1"))
	n.set("_grpc._tcp.rating.example.", srvRecord("a.example.", 1), srvRecord("a.example.", 2), srvRecord("gone.example.", 3), srvRecord(".", 4), srvRecord("a.example.", 0))
	r := resolve(t, "dns://"+n.addr+"/_grpc._tcp.{service}.example.?interval=1s", discovery.Options{})
	r.expect(t, "127.0.0.1:1", "127.0.0.1:2")
}

func TestDNSWithoutAPort(t *testing.T) {
	t.Parallel()
	reg := open(t, "dns://127.0.0.1:1/{service}.example", discovery.Options{Ports: map[string]int{"movie": 1}})
	_, err := testpb.NewTestServiceClient(dialRating(t, reg)).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	if err == nil || !strings.Contains(err.Error(), "the port of rating is not known: give one in the spec (dns:///{service}.example:8080) or use SRV records") {
		t.Errorf("got %v", err)
	}
}
