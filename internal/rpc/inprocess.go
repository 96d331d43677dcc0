package rpc

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// conn is the in-process connection. A unary call is a function call: the
// request is copied, the method's handler runs on another goroutine, the response
// is copied. Everything else (streams, unknown methods, options about encodings or
// credentials, metadata that needs checking) goes over memoryConn, a real gRPC
// connection over a pipe in memory: it is slower, and correct by construction.
type conn struct {
	s         *Server
	memory    memoryConn
	workers   *workers
	userAgent []string
	// callee is the context that a callee's values come from.
	callee  context.Context
	buffers sync.Pool // of *[]byte, for measuring messages
	timers  sync.Pool // of *time.Timer, stopped
}

// maxPooled is the size above which a buffer is left to the garbage collector.
const maxPooled = 64 << 10

func newConn(s *Server) *conn {
	c := &conn{
		s:         s,
		workers:   newWorkers(s.stopped),
		userAgent: []string{userAgent(s.cfg.Version) + " grpc-go/" + grpc.Version},
		callee:    peer.NewContext(context.Background(), &peer.Peer{Addr: addr{}, LocalAddr: addr{}, AuthInfo: auth{}}),
	}
	c.buffers.New = func() any { return new([]byte) }
	c.timers.New = func() any {
		t := time.NewTimer(time.Hour)
		t.Stop()
		return t
	}
	return c
}

// addr is the address of both ends.
type addr struct{}

func (addr) Network() string { return inProcess }

func (addr) String() string { return inProcess }

var _ net.Addr = addr{}

// auth is the peer's authentication type.
type auth struct{}

func (auth) AuthType() string { return inProcess }

// Invoke implements grpc.ClientConnInterface.
func (c *conn) Invoke(ctx context.Context, fullMethod string, args, reply any, opts ...grpc.CallOption) error {
	m := c.s.methods[fullMethod]
	req, isMessage := args.(proto.Message)
	out, isMessageToo := reply.(proto.Message)
	options := callOptions{maxRecv: c.s.cfg.MaxMessageBytes}
	if m == nil || m.unary == nil || !isMessage || !isMessageToo || !req.ProtoReflect().IsValid() || !options.take(opts) {
		return c.memory.invoke(c.s, ctx, fullMethod, args, reply, opts)
	}
	md, ok := c.incoming(ctx)
	if !ok {
		return c.memory.invoke(c.s, ctx, fullMethod, args, reply, opts)
	}

	now := time.Now()
	deadline := callDeadline(ctx, now, c.s.cfg.DefaultDeadline)
	if err := ctx.Err(); err != nil {
		return over(c.s, err)
	}
	if !now.Before(deadline) {
		return over(c.s, context.DeadlineExceeded)
	}
	cl := &call{s: c.s, workers: c.workers, timers: &c.timers, method: m, fullMethod: fullMethod, caller: ctx, patience: deadline.Sub(now), req: req, done: make(chan struct{})}
	cl.ctx.init(c.callee, deadline, md, cl)

	buf := c.buffers.Get().(*[]byte)
	defer c.recycle(buf)
	if err := encode(buf, req); err != nil {
		return err
	}
	if len(*buf) > options.maxSend && options.maxSend > 0 {
		return status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", len(*buf), options.maxSend)
	}
	cl.wire = *buf

	// A generated handler decodes the request on this goroutine, where a client
	// would encode it, and calls the interceptor, which switches to another one.
	resp, err := m.unary(m.impl, &cl.ctx, cl.decode, cl.intercept)
	options.give(cl, err)
	if err != nil {
		return err
	}
	answer, isMessage := resp.(proto.Message)
	if !isMessage {
		return status.Errorf(codes.Internal, "grpc: error while marshaling: proto: failed to marshal, message is %T, want proto.Message", resp)
	}
	if err := encode(buf, answer); err != nil {
		return err
	}
	if len(*buf) > options.maxRecv {
		return tooLarge(len(*buf), options.maxRecv)
	}
	proto.Reset(out)
	return transfer(out, answer, *buf)
}

// NewStream implements grpc.ClientConnInterface.
func (c *conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, fullMethod string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.memory.newStream(c.s, ctx, desc, fullMethod, opts)
}

func (c *conn) close() { c.memory.close() }

func (c *conn) recycle(buf *[]byte) {
	if cap(*buf) <= maxPooled {
		c.buffers.Put(buf)
	}
}

// incoming returns the metadata that the callee sees. It reports false for
// metadata that a client must drop, refuse or encode; that is left to one.
func (c *conn) incoming(ctx context.Context) (metadata.MD, bool) {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		md = make(metadata.MD, 4)
	}
	size := 0
	for k, values := range md {
		if !plainKey(k) {
			return nil, false
		}
		for _, v := range values {
			if size += len(k) + len(v) + 32; size > maxPlainMetadata || !plainValue(v) {
				return nil, false
			}
		}
	}
	if id := RequestID(ctx); id != "" && len(md[requestIDKey]) == 0 {
		md[requestIDKey] = []string{id}
	}
	md[":authority"] = authority
	md["content-type"] = contentType
	md["user-agent"] = c.userAgent
	return md, true
}

// maxPlainMetadata is the size of metadata, in bytes, up to which no limit of a
// server needs a look.
const maxPlainMetadata = 4 << 10

// plainKey reports whether k is a valid metadata key that is not reserved and
// whose values are text.
func plainKey(k string) bool {
	if k == "" || k == "te" || k == "content-type" || k == "user-agent" || strings.HasPrefix(k, "grpc-") || strings.HasSuffix(k, "-bin") {
		return false
	}
	for i := range len(k) {
		c := k[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

func plainValue(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' || v[i] > '~' {
			return false
		}
	}
	return true
}

// callOptions are the options that a function call can honour.
type callOptions struct {
	header, trailer  *metadata.MD
	peer             *peer.Peer
	maxRecv, maxSend int
}

// take reports whether it understood all options.
func (o *callOptions) take(opts []grpc.CallOption) bool {
	for _, opt := range opts {
		switch opt := opt.(type) {
		case grpc.HeaderCallOption:
			o.header = opt.HeaderAddr
		case grpc.TrailerCallOption:
			o.trailer = opt.TrailerAddr
		case grpc.PeerCallOption:
			o.peer = opt.PeerAddr
		case grpc.MaxRecvMsgSizeCallOption:
			o.maxRecv = opt.MaxRecvMsgSize
		case grpc.MaxSendMsgSizeCallOption:
			o.maxSend = opt.MaxSendMsgSize
		case grpc.FailFastCallOption, grpc.StaticMethodCallOption, grpc.EmptyCallOption:
			// Nothing to wait for and nothing to look up in process.
		default:
			return false
		}
	}
	return true
}

// give hands out what the caller asked to know about a finished call.
func (o *callOptions) give(cl *call, err error) {
	if o.peer != nil {
		*o.peer = peer.Peer{Addr: addr{}, LocalAddr: addr{}, AuthInfo: auth{}}
	}
	if o.header != nil || o.trailer != nil {
		header, trailer := cl.sentMetadata(status.Convert(err))
		if o.header != nil {
			*o.header = header
		}
		if o.trailer != nil {
			*o.trailer = trailer
		}
	}
}
