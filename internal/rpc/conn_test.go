package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// The suite that runs over both connections. What one call shows, compared in
// every detail, is in same_test.go; here is what needs time or several calls.

func TestDeadlineExpiredBeforeTheCall(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		w.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			t.Error("the handler was called")
			return &testpb.SimpleResponse{}, nil
		}
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v, want DEADLINE_EXCEEDED", err)
		}
	})
}

func TestCanceledBeforeTheCall(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.Canceled {
			t.Errorf("got %v, want CANCELLED", err)
		}
	})
}

func TestDeadlineReachesTheHandler(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		ended := make(chan error, 1)
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, errors.New("driver: interrupted") // the way a driver says it
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v, want DEADLINE_EXCEEDED", err)
		}
		// Canceled is right too: over a wire, the caller's farewell may come first.
		if err := wait(t, "the end of the handler's context", ended); err == nil {
			t.Error("the handler's context has no error")
		}
	})
}

func TestCallerReturnsFromAHandlerThatDoesNotLook(t *testing.T) {
	for _, end := range []string{"deadline", "cancel"} {
		t.Run(end, func(t *testing.T) {
			overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
				entered, release := make(chan struct{}), make(chan struct{})
				defer close(release)
				w.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
					close(entered)
					<-release
					return &testpb.SimpleResponse{}, nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				want := codes.Canceled
				if end == "deadline" {
					ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
					want = codes.DeadlineExceeded
				}
				defer cancel()
				result := make(chan error, 1)
				go func() {
					_, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{})
					result <- err
				}()
				wait(t, "the handler's start", entered)
				if end == "cancel" {
					cancel()
				}
				if err := wait(t, "the caller's return", result); status.Code(err) != want {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		})
	}
}

func TestHandlersContextEndsWithTheCall(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		ended := make(chan error, 1)
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			go func() {
				<-ctx.Done()
				ended <- ctx.Err()
			}()
			return &testpb.SimpleResponse{}, nil
		}
		if _, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
		if err := wait(t, "the end of the handler's context", ended); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
	})
}

func TestCancelReachesAChildOfTheHandlersContext(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		entered, ended := make(chan struct{}), make(chan struct{})
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			child, cancel := context.WithTimeout(context.WithValue(ctx, secretKey{}, 1), time.Hour)
			defer cancel()
			close(entered)
			<-child.Done()
			close(ended)
			return nil, child.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			<-entered
			cancel()
		}()
		if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.Canceled {
			t.Errorf("got %v, want CANCELLED", err)
		}
		wait(t, "the end of the child", ended)
	})
}

// A context that nobody waited on knows its end too, and so does what hangs on it later.
func TestEndIsKnownToAContextThatNobodyWaitedOn(t *testing.T) {
	for _, end := range []string{"deadline", "cancel"} {
		t.Run(end, func(t *testing.T) {
			entered, returned, seen := make(chan struct{}), make(chan struct{}), make(chan [3]error, 1)
			w := start(t, "in process", rpc.ServerConfig{})
			w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				if ctx.Err() != nil {
					t.Errorf("ended before its time: %v", ctx.Err())
				}
				close(entered)
				<-returned
				before := ctx.Err()
				child, cancel := context.WithTimeout(context.WithValue(ctx, secretKey{}, 1), time.Hour)
				defer cancel()
				<-ctx.Done()
				<-child.Done()
				seen <- [3]error{before, ctx.Err(), child.Err()}
				return nil, ctx.Err()
			}
			ctx, cancel := context.WithCancel(t.Context())
			want := context.Canceled
			if end == "deadline" {
				ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
				want = context.DeadlineExceeded
			}
			defer cancel()
			go func() {
				<-entered
				if end == "cancel" {
					cancel()
				}
			}()
			if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}); err == nil {
				t.Fatal("no error")
			}
			close(returned)
			if got := wait(t, "the handler", seen); got != [3]error{want, want, want} {
				t.Errorf("got %v, want %v each time", got, want)
			}
		})
	}
}

func TestChildrenOfTheHandlersContextCostNoGoroutines(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			before := runtime.NumGoroutine()
			for i := range 200 {
				_, cancel := context.WithCancel(context.WithValue(ctx, secretKey{}, i))
				defer cancel()
			}
			if more := runtime.NumGoroutine() - before; more > 100 {
				t.Errorf("200 children cost %d goroutines", more)
			}
			return &testpb.SimpleResponse{}, nil
		}
		if _, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	const fallback, longest = 5 * time.Second, 20 * time.Second
	for _, row := range []struct {
		name     string
		asked    time.Duration // 0: no deadline
		min, max time.Duration
	}{
		{"none gives the default", 0, fallback - 2*time.Second, fallback},
		{"short stays", 3 * time.Second, time.Second, 3 * time.Second},
		{"long is cut", time.Hour, longest - 2*time.Second, longest},
	} {
		t.Run(row.name, func(t *testing.T) {
			overBoth(t, rpc.ServerConfig{DefaultDeadline: fallback, MaxDeadline: longest}, func(t *testing.T, w *world) {
				var left time.Duration
				w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
					deadline, ok := ctx.Deadline()
					if !ok {
						return nil, errors.New("no deadline")
					}
					left = time.Until(deadline)
					return &testpb.SimpleResponse{}, nil
				}
				ctx, cancel := t.Context(), func() {}
				if row.asked > 0 {
					ctx, cancel = context.WithTimeout(ctx, row.asked)
				}
				defer cancel()
				if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
					t.Fatal(err)
				}
				if left < row.min || left > row.max {
					t.Errorf("the handler had %v, want %v to %v", left, row.min, row.max)
				}
			})
		})
	}
}

func TestEachHopHasLessTimeAndTheSameRequest(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var deadlines []time.Time
		var ids []string
		w.unary = func(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			deadline, _ := ctx.Deadline()
			mu.Lock()
			deadlines, ids = append(deadlines, deadline), append(ids, rpc.RequestID(ctx))
			mu.Unlock()
			if req.GetResponseSize() == 0 {
				return &testpb.SimpleResponse{}, nil
			}
			return w.client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: req.GetResponseSize() - 1})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := w.client.UnaryCall(rpc.WithRequestID(ctx, "r-1"), &testpb.SimpleRequest{ResponseSize: 2}); err != nil {
			t.Fatal(err)
		}
		if len(deadlines) != 3 {
			t.Fatalf("%d hops, want 3", len(deadlines))
		}
		for i := 1; i < len(deadlines); i++ {
			// A tenth of the time left, at most 100 ms; some of which is the network's own rounding.
			if less := deadlines[i-1].Sub(deadlines[i]); less < 50*time.Millisecond || less > time.Second {
				t.Errorf("hop %d has %v less than the hop before, want about 100ms", i, less)
			}
		}
		for i, id := range ids {
			if id != "r-1" {
				t.Errorf("hop %d: request id %q, want r-1", i, id)
			}
		}
	})
}

func TestRequestID(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		var inside string
		w.unary = func(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			inside = rpc.RequestID(ctx)
			if req.GetFillUsername() {
				return nil, fault.NotFound("nobody")
			}
			return &testpb.SimpleResponse{}, nil
		}
		for _, row := range []struct {
			name, sent string
			keep       bool
		}{
			{"none", "", false},
			{"given", "abc-123", true},
			{"with a space", "a b", false},
			{"too long", strings.Repeat("x", 129), false},
			{"as long as allowed", strings.Repeat("x", 128), true},
		} {
			t.Run(row.name, func(t *testing.T) {
				ctx := t.Context()
				if row.sent != "" {
					ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", row.sent)
				}
				var header, trailer metadata.MD
				if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Header(&header)); err != nil {
					t.Fatal(err)
				}
				if inside == "" || (inside == row.sent) != row.keep {
					t.Errorf("sent %q, the handler has %q", row.sent, inside)
				}
				if got := header.Get("x-request-id"); len(got) != 1 || got[0] != inside {
					t.Errorf("header has %q, want %q", got, inside)
				}
				if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{FillUsername: true}, grpc.Trailer(&trailer)); err == nil {
					t.Fatal("no error")
				}
				if got := trailer.Get("x-request-id"); len(got) != 1 || got[0] != inside {
					t.Errorf("trailer of an error has %q, want %q", got, inside)
				}
			})
		}
	})
}

type secretKey struct{}

func TestContextValuesStayWithTheCaller(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			if v := ctx.Value(secretKey{}); v != nil {
				t.Errorf("the caller's value %v reached the callee", v)
			}
			if md, ok := metadata.FromOutgoingContext(ctx); ok {
				t.Errorf("the caller's outgoing metadata %v would go on by itself", md)
			}
			return &testpb.SimpleResponse{}, nil
		}
		ctx := context.WithValue(metadata.AppendToOutgoingContext(t.Context(), "k", "v"), secretKey{}, "secret")
		if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPeerIsKnownAtBothEnds(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		check := func(who string, p *peer.Peer) {
			if p == nil || p.Addr == nil || p.Addr.String() == "" || p.AuthInfo == nil || p.AuthInfo.AuthType() == "" {
				t.Errorf("%s: peer %+v, want an address and a way it is known", who, p)
			}
		}
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			p, _ := peer.FromContext(ctx)
			check("callee", p)
			return &testpb.SimpleResponse{}, nil
		}
		var p peer.Peer
		if _, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.Peer(&p)); err != nil {
			t.Fatal(err)
		}
		check("caller", &p)
	})
}

func TestMessagesAreNotShared(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		t.Run("callee changes the request", func(t *testing.T) {
			w.unary = func(_ context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				copy(req.Payload.Body, "XXX")
				req.Payload, req.ResponseStatus.Code = nil, 9
				return &testpb.SimpleResponse{}, nil
			}
			req := &testpb.SimpleRequest{Payload: payload("abc"), ResponseStatus: &testpb.EchoStatus{Code: 1}}
			if _, err := w.client.UnaryCall(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if string(req.GetPayload().GetBody()) != "abc" || req.GetResponseStatus().GetCode() != 1 {
				t.Errorf("the caller sees the callee's change: %v", req)
			}
		})
		t.Run("callee keeps the request, caller changes it", func(t *testing.T) {
			var kept *testpb.SimpleRequest
			w.unary = func(_ context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				kept = req
				return &testpb.SimpleResponse{}, nil
			}
			req := &testpb.SimpleRequest{Payload: payload("abc")}
			if _, err := w.client.UnaryCall(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			copy(req.Payload.Body, "XXX")
			if string(kept.GetPayload().GetBody()) != "abc" {
				t.Errorf("the callee sees the caller's change: %v", kept)
			}
		})
		t.Run("callee reuses the response", func(t *testing.T) {
			reused := &testpb.SimpleResponse{Payload: payload("001")}
			n := 1
			w.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				copy(reused.Payload.Body, fmt.Sprintf("%03d", n))
				n++
				return reused, nil
			}
			first, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			if err != nil {
				t.Fatal(err)
			}
			second, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			if err != nil {
				t.Fatal(err)
			}
			copy(second.Payload.Body, "XXX")
			if string(first.Payload.Body) != "001" || string(reused.Payload.Body) != "002" {
				t.Errorf("first %q, callee's own %q; want 001 and 002", first.Payload.Body, reused.Payload.Body)
			}
		})
		t.Run("caller changes the request after giving up", func(t *testing.T) {
			entered, changed, result := make(chan struct{}), make(chan struct{}), make(chan string, 1)
			w.unary = func(_ context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				close(entered)
				<-changed
				result <- string(req.GetPayload().GetBody())
				return &testpb.SimpleResponse{}, nil
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-entered
				cancel()
			}()
			req := &testpb.SimpleRequest{Payload: payload("abc")}
			if _, err := w.client.UnaryCall(ctx, req); status.Code(err) != codes.Canceled {
				t.Fatalf("got %v, want CANCELLED", err)
			}
			copy(req.Payload.Body, "XXX")
			close(changed)
			if got := wait(t, "the handler", result); got != "abc" {
				t.Errorf("the callee sees the caller's change: %q", got)
			}
		})
		t.Run("a kept error is not shared", func(t *testing.T) {
			kept := status.New(codes.NotFound, "no such movie").Err()
			w.unary = fails(kept)
			_, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			status.Convert(err).Proto().Message = "changed"
			if _, err = w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); status.Convert(err).Message() != "no such movie" {
				t.Errorf("got %v", err)
			}
			if errors.Is(err, kept) && err == kept { //nolint:errorlint // identity is the question
				t.Error("the caller has the callee's error value")
			}
		})
	})
}

func TestManyCallsAtOnce(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 50 {
					want := fmt.Sprintf("%d/%d", i, j)
					got, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{Payload: payload(want)})
					if err != nil || string(got.GetPayload().GetBody()) != want {
						t.Errorf("got %v, %v; want %s", got, err, want)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestShutdownLetsCallsFinishAndRefusesNewOnes(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		entered, release := make(chan struct{}), make(chan struct{})
		w.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			close(entered)
			<-release
			return &testpb.SimpleResponse{Username: "finished"}, nil
		}
		type result struct {
			resp *testpb.SimpleResponse
			err  error
		}
		finished := make(chan result, 1)
		go func() {
			resp, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			finished <- result{resp, err}
		}()
		wait(t, "the handler's start", entered)

		down := make(chan error, 1)
		go func() { down <- w.server.Shutdown(t.Context()) }()
		for { // until the server drains
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			_, err := w.client.EmptyCall(ctx, &testpb.Empty{}) // not implemented, so harmless
			cancel()
			if code := status.Code(err); code == codes.Unavailable {
				break
			} else if code != codes.Unimplemented {
				t.Fatalf("a call while the server shuts down: %v", err)
			}
		}
		select {
		case err := <-down:
			t.Fatalf("Shutdown returned (%v) while a call was in flight", err)
		default:
		}
		close(release)
		if r := wait(t, "the call in flight", finished); r.err != nil || r.resp.GetUsername() != "finished" {
			t.Errorf("the call in flight: %v, %v", r.resp, r.err)
		}
		if err := wait(t, "Shutdown", down); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		_, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "test") {
			t.Errorf("a call after Shutdown: %v, want UNAVAILABLE that names the service", err)
		}
		if err := w.server.Shutdown(t.Context()); err != nil {
			t.Errorf("second Shutdown: %v", err)
		}
	})
}

func TestShutdownCutsCallsOffWhenItsTimeIsUp(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		entered, canceled := make(chan struct{}), make(chan struct{})
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			close(entered)
			<-ctx.Done()
			close(canceled)
			return nil, ctx.Err()
		}
		result := make(chan error, 1)
		go func() {
			_, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			result <- err
		}()
		wait(t, "the handler's start", entered)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.server.Shutdown(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "test") {
			t.Errorf("Shutdown: %v, want an error that names the server", err)
		}
		if err := wait(t, "the caller", result); status.Code(err) != codes.Unavailable {
			t.Errorf("the caller got %v, want UNAVAILABLE", err)
		}
		wait(t, "the handler's cancellation", canceled)
	})
}
