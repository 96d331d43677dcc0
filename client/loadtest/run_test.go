package loadtest_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"movieexample.com/client/loadtest"
	"movieexample.com/internal/fault"
)

// sleep waits like a server does that knows when it is not wanted any more.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// always is a source of one kind of call.
func always(kind string, do func(context.Context) error) loadtest.Source {
	return func(*rand.Rand) loadtest.Call { return loadtest.Call{Kind: kind, Do: do} }
}

// TestCountsAndPercentiles runs on a fake clock, so that every number is exact.
func TestCountsAndPercentiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 90 of 100 requests take 10 ms, 9 take 50 ms, one takes 200 ms.
		n := 0
		next := func(*rand.Rand) loadtest.Call {
			n++
			took := 10 * time.Millisecond
			switch {
			case n%100 == 0:
				took = 200 * time.Millisecond
			case n%10 == 0:
				took = 50 * time.Millisecond
			}
			return loadtest.Call{Kind: "known", Do: func(ctx context.Context) error { return sleep(ctx, took) }}
		}
		plan := loadtest.Plan{Rate: 100, Duration: 10 * time.Second, Warmup: 2 * time.Second, Arrivals: loadtest.Constant}.OnTimers()
		got, err := loadtest.Run(t.Context(), plan, next)
		if err != nil {
			t.Fatal(err)
		}
		all := got.All
		if all.Due != 1000 || all.Answered != 1000 || all.Failed != 0 || all.NotSent != 0 || all.Rate != 100 || got.Seconds != 10 {
			t.Errorf("counted %+v over %v s, want 1000 answers at 100/s over 10 s", all, got.Seconds)
		}
		for _, tc := range []struct {
			name      string
			got, want float64
		}{
			{"mean", all.Latency.Mean, 0.9*10 + 0.09*50 + 0.01*200},
			{"p50", all.Latency.P50, 10},
			{"p90", all.Latency.P90, 10},
			{"p99", all.Latency.P99, 50},
			{"p99.9", all.Latency.P999, 200},
			{"max", all.Latency.Max, 200},
			{"sent late", got.SentLate.Max, 0.001}, // the least that is kept
		} {
			if math.Abs(tc.got-tc.want) > tc.want/1000+1e-9 {
				t.Errorf("%s is %v ms, want %v", tc.name, tc.got, tc.want)
			}
		}
		if len(got.Kinds) != 1 || got.Kinds[0].Kind != "known" || got.Kinds[0].Latency != all.Latency {
			t.Errorf("kinds: %+v, want the one", got.Kinds)
		}
		if e := got.Environment; e.Cores < 1 || e.GoVersion == "" || e.Version == "" {
			t.Errorf("the environment is not told: %+v", e)
		}
	})
}

// TestErrorsAreCountedByCode: errors answered at once must not make the latencies look better.
func TestErrorsAreCountedByCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		next := func(*rand.Rand) loadtest.Call {
			n++
			i := n
			return loadtest.Call{Kind: "some", Do: func(ctx context.Context) error {
				switch i % 5 {
				case 0:
					return loadtest.StatusError(http.StatusServiceUnavailable)
				case 1:
					return status.Error(codes.Unavailable, "away")
				case 2:
					return sleep(ctx, time.Hour) // no answer
				}
				return sleep(ctx, 20*time.Millisecond)
			}}
		}
		plan := loadtest.Plan{Rate: 50, Duration: 10*time.Second + time.Millisecond, Arrivals: loadtest.Constant, Timeout: 3 * time.Second}.OnTimers()
		got, err := loadtest.Run(t.Context(), plan, next)
		if err != nil {
			t.Fatal(err)
		}
		if got.All.Due != 500 || got.All.Answered != 200 || got.All.Failed != 300 || got.All.FailedShare() != 0.6 {
			t.Errorf("%+v, want 200 of 500 answered", got.All)
		}
		for _, code := range []string{"HTTP 503", "gRPC Unavailable", loadtest.CodeTimeout} {
			if got.All.Errors[code] != 100 {
				t.Errorf("errors are %v, want 100 of %q", got.All.Errors, code)
			}
		}
		// 200 took 20 ms, 100 timed out after 3 s; the quick errors are in no latency.
		if l := got.All.Latency; math.Abs(l.P50-20) > 0.1 || math.Abs(l.P99-3000) > 5 {
			t.Errorf("p50 and p99 are %v and %v ms, want 20 and 3000", l.P50, l.P99)
		}
	})
}

// TestWhatCannotBeSentIsCounted offers twice of what a server with two places does.
func TestWhatCannotBeSentIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var underWay, most atomic.Int64
		slow := func(ctx context.Context) error {
			n := underWay.Add(1)
			defer underWay.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			return sleep(ctx, 100*time.Millisecond)
		}
		plan := loadtest.Plan{
			Rate: 40, Duration: 20*time.Second + time.Millisecond, Arrivals: loadtest.Constant, Outstanding: 2, Patience: 500 * time.Millisecond,
		}.OnTimers()
		began := time.Now()
		got, err := loadtest.Run(t.Context(), plan, always("slow", slow))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("it took %s: longer than duration, patience and one answer", took)
		}
		if most.Load() != 2 {
			t.Errorf("%d requests were in flight at once, want the bound 2", most.Load())
		}
		// 20 answers a second, and some more: those that still came in after the end.
		if got.All.Due != 800 || got.All.Answered < 395 || got.All.Answered > 420 || got.All.NotSent != 800-got.All.Answered ||
			got.All.Errors[loadtest.CodeNotSent] != got.All.NotSent {
			t.Errorf("%+v, want 800 due, half of them not sent", got.All)
		}
		// No one was served in less than the queue was long, and no one waited longer than patience and an answer.
		if l := got.All.Latency; l.P50 < 500 || l.Max > 601 {
			t.Errorf("latencies %+v, want a median of at least the patience of 500 ms, and at most 600", l)
		}
		if got.SentLate.P50 < 400 {
			t.Errorf("the median request was sent %v ms late, want nearly the patience", got.SentLate.P50)
		}
	})
}

func TestSecondsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []loadtest.Second
		plan := loadtest.Plan{
			Rate: 10, Duration: 3*time.Second + 50*time.Millisecond, Warmup: 1500 * time.Millisecond, Arrivals: loadtest.Constant,
			EachSecond: func(s loadtest.Second) { told = append(told, s) },
		}.OnTimers()
		if _, err := loadtest.Run(t.Context(), plan, always("quick", func(ctx context.Context) error { return sleep(ctx, 30*time.Millisecond) })); err != nil {
			t.Fatal(err)
		}
		if len(told) != 4 {
			t.Fatalf("%d seconds were told of 4.5: %+v", len(told), told)
		}
		sent := int64(0)
		for i, s := range told {
			sent += s.Sent
			if s.N != i+1 || s.Warmup != (i < 1) || s.Failed+s.NotSent != 0 || s.Answered < 9 || s.Answered > 10 {
				t.Errorf("second %d: %+v, want 9 or 10 answers, and warm-up in the first", i+1, s)
			}
		}
		if sent < 39 || sent > 40 {
			t.Errorf("%d requests were sent in four seconds at 10/s", sent)
		}
	})
}

// TestInterrupted: an interrupted run reports what it measured so far; requests in flight are neither answered nor failed.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(5*time.Second, cancel)
		defer stop.Stop()
		slow := func(ctx context.Context) error { return sleep(ctx, time.Second) }
		got, err := loadtest.Run(ctx, loadtest.Plan{Rate: 10, Duration: time.Minute, Warmup: time.Second, Arrivals: loadtest.Constant}.OnTimers(), always("slow", slow))
		if !errors.Is(err, context.Canceled) || !got.Interrupted {
			t.Errorf("error %v, interrupted %t; want a cancelled run to say so", err, got.Interrupted)
		}
		if got.All.Failed != 0 || got.Abandoned < 9 || got.Abandoned > 10 || math.Abs(got.Seconds-4) > 0.01 || got.All.Answered < 30 || got.All.Answered > 31 {
			t.Errorf("%+v with %d abandoned in %v s, want 30 answers in 4 s and 10 abandoned", got.All, got.Abandoned, got.Seconds)
		}
	})
}

// TestArrivals checks rate and spread of the schedule, and that it is the seed's.
func TestArrivals(t *testing.T) {
	const n, rate = 100_000, 1000.0
	for _, tc := range []struct {
		arrivals loadtest.Arrivals
		spread   float64 // of the pauses, divided by their mean
	}{{loadtest.Constant, 0}, {loadtest.Poisson, 1}} {
		plan := loadtest.Plan{Rate: rate, Arrivals: tc.arrivals, Seed: 7}
		due := plan.Due(n)
		if !slices.Equal(due, plan.Due(n)) {
			t.Errorf("%s: the same seed gives another schedule", tc.arrivals)
		}
		if !slices.IsSorted(due) {
			t.Errorf("%s: a request is due before the one before it", tc.arrivals)
		}
		if got := n / due[n-1].Seconds(); math.Abs(got-rate) > rate/100 {
			t.Errorf("%s: %.1f requests/s, want %v", tc.arrivals, got, rate)
		}
		square, last := 0.0, time.Duration(0)
		for _, at := range due {
			d := (at-last).Seconds()*rate - 1
			square += d * d
			last = at
		}
		if got := math.Sqrt(square / n); math.Abs(got-tc.spread) > 0.02 {
			t.Errorf("%s: the pauses have a standard deviation of %.3f means, want %v", tc.arrivals, got, tc.spread)
		}
	}
	if slices.Equal(loadtest.Plan{Rate: 1, Seed: 1}.Due(9), loadtest.Plan{Rate: 1, Seed: 2}.Due(9)) {
		t.Error("another seed gives the same schedule")
	}
}

// stalling is a server that stalls once, for so long, at one of its requests; a caller that comes in the meantime waits.
type stalling struct {
	at    int64
	n     atomic.Int64
	still sync.RWMutex
	stood atomic.Int64
}

const standstill = 500 * time.Millisecond

func (s *stalling) ServeHTTP(http.ResponseWriter, *http.Request) {
	if s.n.Add(1) == s.at {
		s.still.Lock()
		<-time.After(standstill)
		s.stood.Add(1)
		s.still.Unlock()
		return
	}
	s.still.RLock()
	defer s.still.RUnlock()
}

// TestOpenLoopShowsAStandstill asks a real server that stalls once for half a second. All who would have come in the meantime
// wait; a closed loop sends no one then, and has one slow request among hundreds.
func TestOpenLoopShowsAStandstill(t *testing.T) {
	ask := func(url string) func(context.Context) error {
		return func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
	}
	open := &stalling{at: 100}
	server := httptest.NewServer(open)
	defer server.Close()
	got, err := loadtest.Run(t.Context(), loadtest.Plan{Rate: 200, Duration: 2 * time.Second, Arrivals: loadtest.Constant}, always("get", ask(server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	if open.stood.Load() != 1 {
		t.Fatalf("the server stalled %d times, want once", open.stood.Load())
	}
	// A quarter of the requests was due while the server stalled; one of a hundred waited for nearly all of it.
	if l := got.All.Latency; l.P99 < 450 || l.P90 < 250 {
		t.Errorf("open loop: p90 %v ms and p99 %v ms, want at least 250 and 450 with a standstill of 500 ms", l.P90, l.P99)
	}

	closed := &stalling{at: 100}
	server = httptest.NewServer(closed)
	defer server.Close()
	took := make([]time.Duration, 400) // as many
	for i := range took {
		began := time.Now()
		if err := ask(server.URL)(t.Context()); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	if closed.stood.Load() != 1 || took[len(took)-1] < standstill {
		t.Fatalf("the closed loop did not meet the standstill")
	}
	if p99 := took[len(took)*99/100-1]; p99 > standstill/2 {
		t.Errorf("closed loop: p99 %s; it is here to show that the standstill does not show", p99)
	}
}

func TestPlanValidate(t *testing.T) {
	valid := loadtest.Plan{Rate: 100, Duration: time.Second}
	if err := valid.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*loadtest.Plan){
		"rate":        func(p *loadtest.Plan) { p.Rate = 0 },
		"rate high":   func(p *loadtest.Plan) { p.Rate = loadtest.MaxRate + 1 },
		"rate NaN":    func(p *loadtest.Plan) { p.Rate = math.NaN() },
		"duration":    func(p *loadtest.Plan) { p.Duration = 0 },
		"long":        func(p *loadtest.Plan) { p.Duration, p.Warmup = loadtest.MaxDuration, 1 },
		"warm-up":     func(p *loadtest.Plan) { p.Warmup = -1 },
		"arrivals":    func(p *loadtest.Plan) { p.Arrivals = "bursts" },
		"outstanding": func(p *loadtest.Plan) { p.Outstanding = loadtest.MaxOutstanding + 1 },
		"patience":    func(p *loadtest.Plan) { p.Patience = -1 },
		"timeout":     func(p *loadtest.Plan) { p.Timeout = time.Hour },
	} {
		p := valid
		change(&p)
		_, err := loadtest.Run(t.Context(), p, nil)
		if fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v, want an error of kind Invalid", name, err)
		}
	}
}
