package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

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

func TestRequestID(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		var inside string
		w.unary = func(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			inside = rpc.RequestID(ctx)
			if req.GetFillUsername() {
				return nil, fault.NotFound("no such user")
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
				t.Errorf("the caller's outgoing metadata %v would be forwarded", md)
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
