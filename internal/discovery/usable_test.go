package discovery_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/resolver"

	"movieexample.com/internal/rpc"
)

func TestUsableInstances(t *testing.T) { forEachKind(t, kinds(), usableInstances) }

// usableInstances: what the registry lists is one number, what calls can be sent to another. With every instance dead the
// second is 0, whatever the registry says, and the connection says so and why.
func usableInstances(t *testing.T, w *world) {
	conn, err := rpc.Dial(w.reg.Target("rating"), rpc.DialConfig{
		Name: "rating", Metrics: w.metrics, Resolvers: []resolver.Builder{w.reg.Resolver()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	conn.Connect()
	usable := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("usable instances are %d", n), func() bool {
			return w.metric(t, "movieexample_grpc_client_usable_instances") == float64(n) && (n > 0) == (conn.Usable(t.Context()) == nil)
		})
	}
	usable(0)
	a, b := w.start(t), w.start(t)
	usable(2)
	if err := conn.AwaitUsable(t.Context()); err != nil {
		t.Errorf("AwaitUsable with two instances: %v", err)
	}
	a.kill(t)
	usable(1)
	b.kill(t)
	usable(0)
	if n := w.metric(t, "movieexample_discovery_instances"); n != 2 {
		t.Logf("the registry lists %v", n) // Consul's own checks may have found out by now
	}
	if err := conn.Usable(t.Context()); err == nil || !strings.Contains(err.Error(), "rating") {
		t.Errorf("with every instance dead: %v, want an error that names the service", err)
	}
	w.relist(t, nil)
	w.start(t)
	usable(1)
}
