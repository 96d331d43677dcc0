package rpc_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// hangUps is how often a caller leaves in TestCallersThatHangUp: most leave before or after the moment in which the
// handler has finished and its answer has not been taken, so it takes many to meet it.
const hangUps = 30_000

// TestCallersThatHangUp: the caller leaves in the very moment in which the handler returns. It gets the answer whole,
// with its metadata, or CANCELLED and nothing of the end; a header is there either way if it was sent.
func TestCallersThatHangUp(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		var callers sync.Map // name → its cancel
		w.unary = func(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			name := string(req.GetPayload().GetBody())
			early := len(name) > 0 && name[0] == 'h'
			if early {
				if err := grpc.SendHeader(ctx, metadata.Pairs("early", name)); err != nil {
					return nil, err
				}
			}
			if cancel, ok := callers.Load(name); ok {
				go cancel.(context.CancelFunc)()
			}
			_ = grpc.SetTrailer(ctx, metadata.Pairs("late", name)) // fails where the caller has gone
			if req.GetFillUsername() {
				return nil, fault.NotFound("no such user")
			}
			return &testpb.SimpleResponse{Payload: req.GetPayload()}, nil
		}
		n := hangUps
		if testing.Short() || w.conn != w.server.Conn() {
			n /= 10 // over a wire it is gRPC's to be right, and a call costs twenty times as much
		}
		var left, answered atomic.Int64
		var all sync.WaitGroup
		for worker := range 4 {
			all.Go(func() {
				for i := range n / 4 {
					name := string([]byte{"hn"[i%2], byte('0' + worker)})
					ctx, cancel := context.WithCancel(t.Context())
					if i%3 == 0 { // over a wire, who cancels gets no answer
						callers.Delete(name)
					} else {
						callers.Store(name, cancel)
					}
					var header, trailer metadata.MD
					_, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{Payload: payload(name), FillUsername: i%4 > 1},
						grpc.Header(&header), grpc.Trailer(&trailer))
					cancel()
					switch code := status.Code(err); code {
					case codes.Canceled:
						left.Add(1)
						if got := trailer.Get("late"); len(got) > 0 {
							t.Errorf("the caller left and has the trailer %v", trailer)
							return
						}
					case codes.OK, codes.NotFound:
						answered.Add(1)
						if got := trailer.Get("late"); len(got) != 1 || got[0] != name {
							t.Errorf("the answer (%v) has the trailer %v, want late: %s", code, trailer, name)
							return
						}
						if id := len(header.Get("x-request-id")) + len(trailer.Get("x-request-id")); id != 1 {
							t.Errorf("the answer (%v) has %d request ids, header %v, trailer %v", code, id, header, trailer)
							return
						}
					default:
						t.Errorf("got %v, want an answer or CANCELLED", err)
						return
					}
				}
			})
		}
		all.Wait()
		t.Logf("%d left, %d were answered", left.Load(), answered.Load())
		if left.Load() == 0 || answered.Load() == 0 {
			t.Error("all callers were answered, or none: nothing was tried")
		}
	})
}
