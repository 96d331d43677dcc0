package discovery_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/discovery"
)

// kind is a registry of one kind, real as far as a test can have it.
type kind struct {
	spec string
	// listen returns where the next instance listens; nil means anywhere.
	listen func() string
	// list makes these, and no others, the instances that the registry knows, where
	// instances do not register themselves.
	list func(t *testing.T, reg *discovery.Registry, addrs []string)
	// down takes the registry away, up brings it back with these instances and no
	// others. nil where it cannot go away.
	down func(t *testing.T)
	up   func(t *testing.T, addrs []string)
}

// kinds are the registries that need nothing but this process.
func kinds() map[string]func(t *testing.T) kind {
	return map[string]func(t *testing.T) kind{
		"memory":   memoryKind, // is never down: it is this process
		"static":   staticKind,
		"dns, A":   aKind,
		"dns, SRV": srvKind,
	}
}

func memoryKind(*testing.T) kind {
	registered := map[string]func(context.Context) error{}
	return kind{spec: "memory", list: func(t *testing.T, reg *discovery.Registry, addrs []string) {
		for _, addr := range addrs {
			if registered[addr] == nil {
				deregister, err := reg.Register(t.Context(), "rating", addr)
				if err != nil {
					t.Fatal(err)
				}
				registered[addr] = deregister
			}
		}
		for addr, deregister := range registered {
			if !slices.Contains(addrs, addr) {
				if err := deregister(t.Context()); err != nil {
					t.Fatal(err)
				}
				delete(registered, addr)
			}
		}
	}}
}

func staticKind(t *testing.T) kind {
	file := filepath.Join(t.TempDir(), "services.yaml")
	write := func(t *testing.T, addrs []string) {
		replace(t, file, fmt.Sprintf("rating: [%s]\n", strings.Join(addrs, ", ")))
	}
	write(t, nil)
	return kind{
		spec: "static:" + file,
		list: func(t *testing.T, _ *discovery.Registry, addrs []string) { write(t, addrs) },
		down: func(t *testing.T) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
		up: write,
	}
}

// replace gives a file another content, in one step.
func replace(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// world is a registry, the instances of a service and a client's view of them.
type world struct {
	kind
	reg     *discovery.Registry
	metrics *prometheus.Registry
	listed  []string
}

func newWorld(t *testing.T, k kind) *world {
	t.Helper()
	w := &world{kind: k, metrics: prometheus.NewRegistry()}
	w.reg = open(t, k.spec, discovery.Options{Metrics: w.metrics})
	return w
}

// open opens a registry for the time of the test.
func open(t *testing.T, spec string, opts discovery.Options) *discovery.Registry {
	t.Helper()
	reg, err := discovery.Open(t.Context(), spec, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return reg
}

// launch starts an instance that no one has heard of, unless it says so itself.
func (w *world) launch(t *testing.T) *process {
	t.Helper()
	addr := "127.0.0.1:0"
	if w.listen != nil {
		addr = w.listen()
	}
	if w.list != nil {
		return startProcess(t, "memory", addr)
	}
	return startProcess(t, w.spec, addr)
}

// start starts an instance and has it known.
func (w *world) start(t *testing.T) *process {
	t.Helper()
	p := w.launch(t)
	w.relist(t, append(w.listed, p.addr))
	return p
}

// retire ends an instance as a deployment does.
func (w *world) retire(t *testing.T, p *process) {
	t.Helper()
	w.relist(t, slices.DeleteFunc(w.listed, func(addr string) bool { return addr == p.addr }))
	p.stop(t)
}

func (w *world) relist(t *testing.T, addrs []string) {
	t.Helper()
	w.listed = addrs
	if w.list != nil {
		w.list(t, w.reg, addrs)
	}
}

// metric returns the value of a gauge of the rating service.
func (w *world) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == "rating" {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s of the rating service", name)
	return 0
}

func forEachKind(t *testing.T, kinds map[string]func(*testing.T) kind, test func(*testing.T, *world)) {
	for name, build := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, build(t)))
		})
	}
}

func TestNoInstanceAndRecovery(t *testing.T) { forEachKind(t, kinds(), noInstanceAndRecovery) }

// Without instances calls fail at once and say which service it is; with the first
// they succeed; without it they fail again.
func noInstanceAndRecovery(t *testing.T, w *world) {
	cc := dialRating(t, w.reg)
	client := testpb.NewTestServiceClient(cc)
	for range 2 {
		eventually(t, "no instance answers", func() bool {
			_, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			if err == nil {
				return false // what was deregistered is still on its way out
			}
			if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the rating service cannot be reached") {
				t.Fatalf("got %v, want UNAVAILABLE that names the service", err)
			}
			return strings.Contains(err.Error(), w.reg.Target("rating")+": no instance")
		})
		p := w.start(t)
		// A call that waits is answered as soon as there is someone, without a dial.
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.WaitForReady(true))
		cancel()
		if err != nil {
			t.Fatalf("with an instance: %v", err)
		}
		if got := w.metric(t, "movieexample_discovery_instances"); got != 1 {
			t.Errorf("movieexample_discovery_instances is %v, want 1", got)
		}
		w.retire(t, p)
	}
}

func TestInstanceDies(t *testing.T) { forEachKind(t, kinds(), instanceDies) }

// A SIGKILL fails no read, and the dead instance is out of rotation within 5 s although
// the registry still lists it.
func instanceDies(t *testing.T, w *world) {
	a, b, c := w.start(t), w.start(t), w.start(t)
	tr := startTraffic(t, w.reg, 200)
	tr.only(t, "all three answer", a, b, c)
	before := tr.tries()
	killed := time.Now()
	b.kill(t)
	// Calls were in flight there; and while it is in rotation, one attempt of three
	// fails.
	eventually(t, "out of rotation", func() bool {
		now := tr.tries()
		return now.failed > before.failed && now.clean > 1000
	})
	after := tr.tries()
	if d := after.last.Sub(killed); d > 5*time.Second {
		t.Errorf("attempts failed until %v after the kill, want no more than 5 s", d)
	} else {
		t.Logf("%d attempts failed, the last %v after the kill", after.failed-before.failed, d)
	}
	tr.only(t, "the other two answer", a, c)
}

func TestNewInstanceGetsItsShare(t *testing.T) { forEachKind(t, kinds(), newInstanceGetsItsShare) }

// A new instance gets a quarter of its fair share within 10 s.
func newInstanceGetsItsShare(t *testing.T, w *world) {
	a, b := w.start(t), w.start(t)
	tr := startTraffic(t, w.reg, 12)
	tr.only(t, "both answer", a, b)
	c := w.start(t)
	began := time.Now()
	before := tr.snapshot()
	eventually(t, "a quarter of a third of the calls", func() bool {
		got, total := tr.since(before)
		if total < 240 {
			return false
		}
		if got[c.addr] >= total/3/4 {
			return true
		}
		before = tr.snapshot()
		return false
	})
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v, want no more than 10 s", d)
	} else {
		t.Logf("a quarter of the fair share after %v", d)
	}
	tr.only(t, "all three answer", a, b, c)
	w.retire(t, c)
	tr.only(t, "both answer again", a, b)
}

func TestRegistryIsDown(t *testing.T) {
	all := kinds()
	delete(all, "memory")
	forEachKind(t, all, registryIsDown)
}

// While the registry is down, the last known instances are used, and one of them may die.
// When it is back, its new data replaces them. No call fails meanwhile.
func registryIsDown(t *testing.T, w *world) {
	a, b, c := w.start(t), w.start(t), w.start(t)
	tr := startTraffic(t, w.reg, 12)
	tr.only(t, "all three answer", a, b, c)

	w.down(t)
	eventually(t, "the client has noticed", func() bool { return w.metric(t, "movieexample_discovery_stale") == 1 })
	tr.only(t, "all three answer without a registry", a, b, c)
	b.kill(t)
	tr.only(t, "the other two answer without a registry", a, c)
	// A connection that is new or leaves idle mode finds the known instances.
	if _, err := testpb.NewTestServiceClient(dialRating(t, w.reg)).UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
		t.Errorf("a new connection while the registry is down: %v", err)
	}

	d := w.launch(t)
	w.up(t, []string{a.addr, d.addr})
	want := []*process{a, d} // c lives and is not asked any more
	if w.list == nil {
		want = append(want, c) // it has said so itself
	}
	tr.only(t, "the new data counts", want...)
	eventually(t, "nothing else is known", func() bool { return w.metric(t, "movieexample_discovery_instances") == float64(len(want)) })
	if got := w.metric(t, "movieexample_discovery_stale"); got != 0 {
		t.Errorf("movieexample_discovery_stale is %v, want 0", got)
	}
}

func TestRegistryIsDownAtTheStart(t *testing.T) {
	all := kinds()
	delete(all, "memory")
	delete(all, "static") // a file that is not there is an error at the start
	forEachKind(t, all, registryIsDownAtTheStart)
}

// Who starts before the registry works as soon as it is there.
func registryIsDownAtTheStart(t *testing.T, w *world) {
	w.down(t)
	client := testpb.NewTestServiceClient(dialRating(t, w.reg))
	if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the rating service cannot be reached") {
		t.Fatalf("got %v, want UNAVAILABLE that names the service", err)
	}
	p := w.launch(t)
	w.up(t, []string{p.addr})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Fatalf("with the registry: %v", err)
	}
}
