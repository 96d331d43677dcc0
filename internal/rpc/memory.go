package rpc

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// pipeBytes is the capacity of the pipe in memory, each way.
const pipeBytes = 256 << 10

// memoryConn is a gRPC connection to a server through a pipe in memory. It is
// made when it is first needed; most processes never need it.
type memoryConn struct {
	mu     sync.Mutex
	closed bool
	cc     *grpc.ClientConn
	served chan struct{}
}

func (p *memoryConn) invoke(s *Server, ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
	cc, err := p.dial(s)
	if err != nil {
		return err
	}
	return cc.Invoke(ctx, method, args, reply, opts...)
}

func (p *memoryConn) newStream(s *Server, ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
	cc, err := p.dial(s)
	if err != nil {
		return nil, err
	}
	return cc.NewStream(ctx, desc, method, opts...)
}

// dial returns the connection, or the error of a server that has stopped.
func (p *memoryConn) dial(s *Server) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.mu.RLock()
	draining := s.draining
	s.mu.RUnlock()
	if draining || p.closed {
		return nil, goneAway(s)
	}
	if p.cc != nil {
		return p.cc, nil
	}
	lis := bufconn.Listen(pipeBytes)
	client := clientSide{name: s.cfg.Name, target: inProcess, timeout: s.cfg.DefaultDeadline}
	cc, err := grpc.NewClient("passthrough:///"+inProcess, append(client.options(s.cfg.Version, s.cfg.MaxMessageBytes),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		grpc.WithIdleTimeout(0),
		// No service config: health is for choosing among instances, and in process there is one.
	)...)
	if err != nil {
		return nil, err
	}
	p.cc = cc
	p.served = make(chan struct{})
	go func() {
		defer close(p.served)
		_ = s.grpc.Serve(lis) // its only error is that the server has stopped
	}()
	return cc, nil
}

// close ends the connection; the server has been stopped before.
func (p *memoryConn) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.cc == nil {
		return
	}
	_ = p.cc.Close() // fails only when closed twice
	<-p.served
}
