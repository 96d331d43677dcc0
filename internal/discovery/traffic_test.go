package discovery_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/stats"

	"movieexample.com/internal/discovery"
	"movieexample.com/internal/rpc"
)

// patience is how long a test waits for what should happen soon.
const patience = 30 * time.Second

// traffic is idempotent calls, many at a time, all the time.
type traffic struct {
	mu       sync.Mutex
	answers  map[string]int // calls by the instance that answered
	calls    int
	failures []error
	attempts attempts
}

// attempts counts what gRPC tried, retries included.
type attempts struct {
	failed int
	last   time.Time // the last that failed
	clean  int       // successes since then
}

var _ stats.Handler = (*traffic)(nil)

// TagRPC implements stats.Handler.
func (*traffic) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn implements stats.Handler.
func (*traffic) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*traffic) HandleConn(context.Context, stats.ConnStats) {}

// HandleRPC implements stats.Handler.
func (tr *traffic) HandleRPC(ctx context.Context, s stats.RPCStats) {
	end, ok := s.(*stats.End)
	if !ok || ctx.Err() != nil { // the test's own end
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if end.Error != nil {
		tr.attempts.failed++
		tr.attempts.last, tr.attempts.clean = time.Now(), 0
	} else {
		tr.attempts.clean++
	}
}

// startTraffic calls the rating service with so many callers until the test ends, once
// there is an instance. From then on no call may fail.
func startTraffic(t *testing.T, reg *discovery.Registry, callers int) *traffic {
	t.Helper()
	tr := &traffic{answers: make(map[string]int)}
	client := testpb.NewTestServiceClient(dialRating(t, reg, grpc.WithStatsHandler(tr)))
	first, done := context.WithTimeout(t.Context(), patience)
	defer done()
	if _, err := client.UnaryCall(first, &testpb.SimpleRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Fatalf("the first call: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				var p peer.Peer
				_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Peer(&p))
				if ctx.Err() != nil {
					return
				}
				tr.mu.Lock()
				tr.calls++
				if err != nil {
					tr.failures = append(tr.failures, err)
				} else {
					tr.answers[p.Addr.String()]++
				}
				tr.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		t.Logf("%d calls, %d failed; %d attempts failed", tr.calls, len(tr.failures), tr.attempts.failed)
		if len(tr.failures) > 0 {
			t.Errorf("%d of %d calls failed, first: %v", len(tr.failures), tr.calls, tr.failures[0])
		}
	})
	return tr
}

func dialRating(t *testing.T, reg *discovery.Registry, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := rpc.Dial(reg.Target("rating"), rpc.DialConfig{
		Name: "rating", Resolvers: []resolver.Builder{reg.Resolver()}, Options: opts,
		Idempotent: []string{testpb.TestService_UnaryCall_FullMethodName},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc.ClientConn
}

func (tr *traffic) snapshot() map[string]int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return maps.Clone(tr.answers)
}

func (tr *traffic) tries() attempts {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.attempts
}

// since returns who answered how often since a snapshot, and how many answers those are.
func (tr *traffic) since(before map[string]int) (answers map[string]int, total int) {
	answers = tr.snapshot()
	for addr := range answers {
		answers[addr] -= before[addr]
		total += answers[addr]
	}
	return answers, total
}

// eventually polls done until it reports true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// only waits until the answers come from these instances, all of them, and from no
// others, for a thousand calls.
func (tr *traffic) only(t *testing.T, what string, want ...*process) {
	t.Helper()
	before := tr.snapshot()
	eventually(t, what, func() bool {
		got, total := tr.since(before)
		seen := 0
		for _, p := range want {
			seen += got[p.addr]
			if total >= 100 && got[p.addr] == 0 {
				before = tr.snapshot()
				return false
			}
		}
		if seen < total {
			before = tr.snapshot()
			return false
		}
		return total >= 1000
	})
}
