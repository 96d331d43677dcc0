package rpc_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/rpc"
)

// Deadlines and cancellation, part of the conformance suite.

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

// A context that no one waited on knows its end too, and so does what hangs on it later.
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
