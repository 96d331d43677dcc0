package rpc

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"movieexample.com/internal/fault"
)

// call is one unary call in process. It is the callee's transport stream too.
type call struct {
	conn       *conn
	method     *method
	fullMethod string
	cancel     context.CancelFunc

	req     proto.Message // the caller's; only until decode returns
	wire    []byte        // req's encoding; only until decode returns
	maxRecv int

	started bool // the handler's goroutine exists, and releases the context
	done    chan struct{}
	resp    any   // after done
	err     error // after done

	mu              sync.Mutex
	requestID       string
	header, trailer metadata.MD
	headerSent      bool
	finished        bool
}

// The idea of the request id's return: a header that nobody asks for is never built.
var (
	_ grpc.ServerTransportStream = (*call)(nil)
	_ idReturner                 = (*call)(nil)
)

// decode gives the handler a request of its own.
func (cl *call) decode(v any) error {
	in, ok := v.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "grpc: error unmarshalling request: message is %T, want proto.Message", v)
	}
	if len(cl.wire) > cl.maxRecv {
		return tooLarge(len(cl.wire), cl.maxRecv)
	}
	return transfer(in, cl.req, cl.wire)
}

// intercept is called by the method's generated handler with the decoded
// request. The callee gets a goroutine of its own because a caller returns at its
// deadline, whether the callee looks at its context or not.
func (cl *call) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	s := cl.conn.s
	if !s.begin() {
		return nil, goneAway(s)
	}
	cl.started = true
	go cl.run(ctx, req, handler)
	select {
	case <-cl.done:
	case <-ctx.Done():
		select {
		case <-cl.done: // the answer is there; its end is what ended ctx
		default:
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	case <-s.stopped:
		cl.cancel()
		return nil, goneAway(s)
	}
	return cl.resp, cl.err
}

func goneAway(s *Server) error {
	return fault.Status(fault.Unavailable(nil, "%s is shutting down", s.cfg.Name)).Err()
}

// run is the callee's side.
func (cl *call) run(ctx context.Context, req any, handler grpc.UnaryHandler) {
	// A handler that ends its goroutine (runtime.Goexit) leaves this in place.
	cl.err = status.Error(codes.Internal, "internal error")
	defer func() {
		close(cl.done) // before cancel: see intercept
		cl.cancel()
		cl.conn.s.inFlight.Done()
	}()
	resp, err := cl.conn.s.unary(ctx, req, cl.method, handler)
	cl.mu.Lock()
	cl.finished = true
	cl.mu.Unlock()
	if err != nil {
		// The caller gets a status of its own: a handler may keep the one it returned.
		cl.resp, cl.err = nil, status.FromProto(status.Convert(err).Proto()).Err()
		return
	}
	cl.resp, cl.err = resp, nil
}

// release ends the callee's context of a call whose handler never started.
func (cl *call) release() {
	if !cl.started {
		cl.cancel()
	}
}

// errLate is what a handler gets that sets metadata when it is too late.
var errLate = errors.New("rpc: metadata set after it was sent")

// Method implements grpc.ServerTransportStream.
func (cl *call) Method() string { return cl.fullMethod }

// SetHeader implements grpc.ServerTransportStream.
func (cl *call) SetHeader(md metadata.MD) error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.headerSent || cl.finished {
		return errLate
	}
	cl.header = metadata.Join(cl.header, md)
	return nil
}

// SendHeader implements grpc.ServerTransportStream.
func (cl *call) SendHeader(md metadata.MD) error {
	if err := cl.SetHeader(md); err != nil {
		return err
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.headerSent = true
	return nil
}

// SetTrailer implements grpc.ServerTransportStream.
func (cl *call) SetTrailer(md metadata.MD) error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.finished {
		return errLate
	}
	cl.trailer = metadata.Join(cl.trailer, md)
	return nil
}

func (cl *call) returnRequestID(id string) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.requestID = id
}

// sentMetadata returns what has reached the caller: all of it after the answer,
// before that a header that was sent early.
func (cl *call) sentMetadata() (header, trailer metadata.MD) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	answered := cl.finished && cl.requestID != ""
	if cl.headerSent || answered || cl.finished && len(cl.header) > 0 {
		header = metadata.Join(cl.header, metadata.MD{"content-type": contentType})
	}
	if cl.finished {
		trailer = metadata.Join(cl.trailer)
	}
	if answered {
		to := header
		if cl.headerSent {
			to = trailer
		}
		to[requestIDKey] = []string{cl.requestID}
	}
	return header, trailer
}
