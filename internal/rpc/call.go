package rpc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"movieexample.com/internal/fault"
)

// call is one unary call in process. It is the callee's transport stream too.
type call struct {
	s          *Server
	workers    *workers
	timers     *sync.Pool // of *time.Timer, stopped
	method     *method
	fullMethod string
	caller     context.Context
	patience   time.Duration // how long the caller waits
	ctx        calleeContext

	req  proto.Message // the caller's; only until decode returns
	wire []byte        // req's encoding; only until decode returns

	done chan struct{}
	resp any   // after done
	err  error // after done

	mu              sync.Mutex
	idReturned      bool
	header, trailer metadata.MD
	headerSent      bool
	finished        bool
	left            bool // the caller has left; it gets nothing that the callee sends after that
}

var _ grpc.ServerTransportStream = (*call)(nil)

// decode copies the request for the handler.
func (cl *call) decode(v any) error {
	in, ok := v.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "grpc: error unmarshalling request: message is %T, want proto.Message", v)
	}
	var err error
	if limit := cl.method.maxRequest; len(cl.wire) > limit {
		err = tooLarge(len(cl.wire), limit)
	} else {
		err = transfer(in, cl.req, cl.wire)
	}
	cl.finished = err != nil // grpc-go answers such an error without the handler
	return err
}

// intercept is called by the method's generated handler with the decoded
// request. The callee runs on its own goroutine because a caller returns at its
// deadline, even if the callee ignores its context.
func (cl *call) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	s := cl.s
	if !s.begin() {
		return nil, goneAway(s)
	}
	cl.workers.start(job{call: cl, ctx: ctx, req: req, handler: handler})
	timer := cl.timers.Get().(*time.Timer)
	timer.Reset(cl.patience)
	defer func() {
		timer.Stop()
		cl.timers.Put(timer)
	}()
	var err error
	select {
	case <-cl.done:
		return cl.resp, cl.err
	case <-timer.C:
		err = over(s, context.DeadlineExceeded)
	case <-cl.caller.Done():
		err = over(s, cl.caller.Err())
	case <-s.stopped:
		err = goneAway(s)
	}
	cl.leave()
	cl.ctx.cancel()
	return nil, err
}

// leave records that the caller has left without the answer. Even if the callee is about to finish or has finished, the caller
// learns nothing of that, as after it resets a stream.
func (cl *call) leave() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.left = true
}

// goneAway is the error of a call to a server that has been shut down.
func goneAway(s *Server) error {
	return unreachable(s.cfg.Name, inProcess, stopping)
}

// over is the error of a call whose context ended.
func over(s *Server, why error) error {
	if errors.Is(why, context.DeadlineExceeded) {
		return late(s.cfg.Name, inProcess+": "+why.Error())
	}
	return status.FromContextError(why).Err()
}

// run is the callee's side.
func (cl *call) run(ctx context.Context, req any, handler grpc.UnaryHandler) {
	returned := false
	defer func() {
		if !returned { // a handler that ends its goroutine (runtime.Goexit)
			cl.err = fault.Status(fault.Internal(nil, "handler did not return")).Err()
		}
		close(cl.done)
		cl.ctx.cancel()
		cl.s.inFlight.Done()
	}()
	resp, err := cl.s.unary(ctx, req, cl.method, handler)
	if bad := cl.finish(); bad != nil {
		err = bad
	}
	returned = true
	if err != nil {
		// The caller gets a copy of the status: a handler may keep the one it returned.
		cl.resp, cl.err = nil, status.FromProto(status.Convert(err).Proto()).Err()
		return
	}
	cl.resp, cl.err = resp, nil
}

// finish closes the metadata. A key in upper case is a bug of the handler, which
// HTTP/2 rejects: the metadata after it does not reach the caller over a network,
// so it does not in process either.
func (cl *call) finish() error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if k, bad := upperCase(cl.header); bad {
		cl.header, cl.headerSent = nil, false
		return status.Errorf(codes.Internal, "invalid header field name %q", k)
	}
	if k, bad := upperCase(cl.trailer); bad {
		cl.header, cl.headerSent = metadata.Join(cl.header, metadata.MD{requestIDKey: {cl.ctx.requestID}}), true
		return status.Errorf(codes.Internal, "invalid header field name %q", k)
	}
	cl.finished = true
	return nil
}

func upperCase(md metadata.MD) (string, bool) {
	for k := range md {
		if strings.ToLower(k) != k {
			return k, true
		}
	}
	return "", false
}

// errLate is the error for a handler that sets metadata too late.
var errLate = errors.New("rpc: metadata set after it was sent")

// Method implements grpc.ServerTransportStream.
func (cl *call) Method() string { return cl.fullMethod }

// SetHeader implements grpc.ServerTransportStream.
func (cl *call) SetHeader(md metadata.MD) error { return cl.addHeader(md, false) }

// SendHeader implements grpc.ServerTransportStream.
func (cl *call) SendHeader(md metadata.MD) error { return cl.addHeader(md, true) }

func (cl *call) addHeader(md metadata.MD, send bool) error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.headerSent || cl.finished || cl.left {
		return errLate
	}
	cl.header = metadata.Join(cl.header, md)
	cl.headerSent = send
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

// returnRequestID makes sentMetadata include the request id. Metadata that the caller
// does not request is never built.
func (cl *call) returnRequestID() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.idReturned = true
}

// sentMetadata returns what has reached the caller, in the shape that HTTP/2
// gives it: a header that was sent early, or header and trailer after the end.
// An error without a header travels as a trailer alone. A caller that left has what
// was sent before it did.
func (cl *call) sentMetadata(st *status.Status) (header, trailer metadata.MD) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if !cl.finished || cl.left {
		if cl.headerSent {
			header = metadata.Join(cl.header, metadata.MD{"content-type": contentType})
		}
		return header, nil
	}
	trailer = metadata.Join(cl.trailer)
	if st.Code() == codes.OK || cl.headerSent || len(cl.header) > 0 {
		header = metadata.Join(cl.header, metadata.MD{"content-type": contentType})
	} else {
		trailer["content-type"] = contentType
	}
	if cl.idReturned {
		to := header
		if cl.headerSent {
			to = trailer
		}
		to[requestIDKey] = []string{cl.ctx.requestID}
	}
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		if wire, err := proto.Marshal(p); err == nil {
			trailer["grpc-status-details-bin"] = []string{string(wire)}
		}
	}
	return header, trailer
}

// maxIdleWorkers is how many goroutines wait for the next in-process call.
const maxIdleWorkers = 16

// workers run the handlers of in-process calls. A new goroutine starts with a
// small stack, and a handler that reads a database makes it grow, by copying, in
// every call; a reused goroutine keeps its stack. There is no limit and no queue: if
// no worker is idle, a new one starts.
type workers struct {
	jobs chan job
	idle atomic.Int64
	// stopped ends the idle ones.
	stopped <-chan struct{}
}

// job is what a worker needs to run a call.
type job struct {
	call    *call
	ctx     context.Context
	req     any
	handler grpc.UnaryHandler
}

func newWorkers(stopped <-chan struct{}) *workers {
	return &workers{jobs: make(chan job), stopped: stopped}
}

func (w *workers) start(j job) {
	select {
	case w.jobs <- j:
	default:
		go w.work(j)
	}
}

func (w *workers) work(j job) {
	for {
		j.call.run(j.ctx, j.req, j.handler)
		j = job{} // an idle worker keeps no call alive
		if w.idle.Add(1) > maxIdleWorkers {
			w.idle.Add(-1)
			return
		}
		select {
		case j = <-w.jobs:
			w.idle.Add(-1)
		case <-w.stopped:
			return
		}
	}
}
