package rpc_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/rpc"
)

// breaking is a listener whose connections tell what was written, and can break.
type breaking struct {
	net.Listener
	conns chan *breakingConn
}

type breakingConn struct {
	*net.TCPConn
	written atomic.Int64
}

func (l *breaking) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	b := &breakingConn{TCPConn: c.(*net.TCPConn)}
	l.conns <- b
	return b, nil
}

func (c *breakingConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// A server that dies while it answers has sent a header, and gRPC does not retry then.
// An idempotent call is made again; another gets an error in the words of a lost server.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprintf("idempotent %t", idempotent), func(t *testing.T) {
			tcp, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			lis := &breaking{Listener: tcp, conns: make(chan *breakingConn, 10)}
			var calls atomic.Int64
			s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
				if ss.RecvMsg(&testpb.SimpleRequest{}) != nil {
					return nil
				}
				if calls.Add(1) > 1 {
					return ss.SendMsg(&testpb.SimpleResponse{})
				}
				c := <-lis.conns
				before := c.written.Load()
				if err := ss.SendHeader(metadata.Pairs("x-request-id", "1")); err != nil {
					return err
				}
				for c.written.Load() < before+10 { // what is written arrives before the end does
				}
				return c.CloseWrite()
			}))
			served := make(chan error, 1)
			go func() { served <- s.Serve(lis) }()
			t.Cleanup(func() { s.Stop(); <-served })

			var cfg rpc.DialConfig
			if idempotent {
				cfg.Idempotent = []string{testpb.TestService_UnaryCall_FullMethodName}
			}
			// Without health checks, which would take part in what is written.
			cfg.Options = []grpc.DialOption{grpc.WithDisableHealthCheck()}
			_, err = dialTest(t, tcp.Addr().String(), cfg).UnaryCall(t.Context(), &testpb.SimpleRequest{})
			if idempotent {
				if err != nil || calls.Load() != 2 {
					t.Errorf("%v after %d calls, want success after 2", err, calls.Load())
				}
				return
			}
			if status.Code(err) != codes.Unavailable || calls.Load() != 1 {
				t.Errorf("%v after %d calls, want UNAVAILABLE after 1", err, calls.Load())
			}
			expectUnreachable(t, err, tcp.Addr().String()+": the connection broke")
		})
	}
}
