package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"movieexample.com/internal/fault"
)

// Every call passes through this file, over the network or in process. It has one
// function per kind of call, not a chain of interceptors: each step needs results
// of another (the id for the log, the code for the counter), and a chain would
// pass them through contexts, with one allocation per link.

// interceptUnary is the interceptor that calls unary for calls over the network.
func (s *Server) interceptUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if a := arrivalOf(ctx); a != nil {
		a.arrived()
	}
	m := s.lookup(info.FullMethod)
	if in, ok := req.(proto.Message); ok && m.maxRequest < s.cfg.MaxMessageBytes {
		if size := proto.Size(in); size > m.maxRequest {
			return nil, tooLarge(size, m.maxRequest)
		}
	}
	if s.database != nil {
		_ = grpc.SetTrailer(ctx, s.database) // fails only if the caller is gone
		if err := s.otherDatabase(ctx); err != nil {
			return nil, err
		}
	}
	return s.unary(ctx, req, m, handler)
}

// lookup never returns nil: a service description with a wrong name must not cause a panic.
func (s *Server) lookup(fullMethod string) *method {
	if m := s.methods[fullMethod]; m != nil {
		return m
	}
	return s.unknown
}

// unary runs the handler of a unary call. Its error is always a status error that
// the caller may see.
func (s *Server) unary(ctx context.Context, req any, m *method, handler grpc.UnaryHandler) (any, error) {
	start := time.Now()
	ctx, id := identify(ctx)
	deadline, ok := ctx.Deadline()
	if limit := start.Add(s.cfg.MaxDeadline); !ok || deadline.After(limit) {
		if !ok {
			limit = start.Add(s.cfg.DefaultDeadline)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, limit)
		defer cancel()
	}

	resp, err := guardUnary(ctx, req, handler)
	if err == nil {
		returnID(ctx, id)
		s.report(ctx, m, id, codes.OK, time.Since(start), nil)
		return resp, nil
	}
	st, err := settle(ctx, err)
	_ = grpc.SetTrailer(ctx, metadata.MD{requestIDKey: {id}}) // fails only if the caller is gone
	s.report(ctx, m, id, st.Code(), time.Since(start), err)
	return nil, st.Err()
}

// interceptStream is the same for streams, except that they have no deadline
// unless their caller sets one: a stream may be long-lived.
func (s *Server) interceptStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := s.otherDatabase(ss.Context()); err != nil {
		return err
	}
	start := time.Now()
	m := s.lookup(info.FullMethod)
	ctx, id := identify(ss.Context())
	_ = ss.SetHeader(metadata.MD{requestIDKey: {id}}) // streams are not retried, so a header does no harm

	err := guardStream(srv, &stream{ServerStream: ss, ctx: ctx, arrival: arrivalOf(ctx), idle: s.cfg.StreamIdleTimeout}, handler)
	if err == nil {
		s.report(ctx, m, id, codes.OK, time.Since(start), nil)
		return nil
	}
	st, err := settle(ctx, err)
	s.report(ctx, m, id, st.Code(), time.Since(start), err)
	return st.Err()
}

// stream is a server stream whose context has the request id, and whose wait for
// messages is bounded.
type stream struct {
	grpc.ServerStream
	ctx     context.Context
	arrival *arrival
	idle    time.Duration // the most between two messages from the caller
	begun   bool          // whether the first, for which the tap began to wait, has come
}

func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *stream) RecvMsg(m any) error {
	if s.begun {
		s.arrival.await(s.idle)
	}
	s.begun = true
	defer s.arrival.arrived()
	return s.ServerStream.RecvMsg(m)
}

// identify makes ctx belong to the request that its caller named, or to a new one.
func identify(ctx context.Context) (context.Context, string) {
	var sent string
	if values := metadata.ValueFromIncomingContext(ctx, requestIDKey); len(values) > 0 {
		sent = values[0]
	}
	if c, ok := ctx.(*calleeContext); ok {
		return c, c.adoptRequestID(sent)
	}
	ctx = WithRequestID(ctx, sent)
	return ctx, RequestID(ctx)
}

// returnID tells the caller the request id along with an answer.
func returnID(ctx context.Context, id string) {
	sts := grpc.ServerTransportStreamFromContext(ctx)
	if cl, ok := sts.(*call); ok {
		cl.returnRequestID()
		return
	}
	md := metadata.MD{requestIDKey: {id}}
	if grpc.SetHeader(ctx, md) != nil { // the handler has sent the header itself
		_ = grpc.SetTrailer(ctx, md)
	}
}

// panicError is a handler's panic. Its kind is internal, whatever the panic value is.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func guardUnary(ctx context.Context, req any, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, &panicError{value: v, stack: debug.Stack()}
		}
	}()
	resp, err = handler(ctx, req)
	if err == nil && absent(resp) {
		// grpc-go would send an empty message for a typed nil. That is never intended.
		err = fmt.Errorf("handler returned neither a response nor an error")
	}
	return resp, err
}

func absent(resp any) bool {
	if resp == nil {
		return true
	}
	m, ok := resp.(proto.Message)
	return ok && !m.ProtoReflect().IsValid()
}

func guardStream(srv any, ss grpc.ServerStream, handler grpc.StreamHandler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return handler(srv, ss)
}

// settle returns the status of a failed call. An error of no known kind in a call
// whose deadline has passed or whose caller has left is most likely a consequence
// of that (drivers report an interrupted query with their own errors), not a bug.
func settle(ctx context.Context, err error) (*status.Status, error) {
	if _, ok := err.(*panicError); !ok && fault.KindOf(err) == fault.KindInternal { //nolint:errorlint // made by guard, never wrapped
		switch ctx.Err() {
		case nil:
		case context.DeadlineExceeded:
			err = &fault.Error{Kind: fault.KindDeadline, Err: err}
		default:
			err = &fault.Error{Kind: fault.KindCanceled, Err: err}
		}
	}
	st := fault.Status(err)
	if st.Code() == codes.OK { // a handler made an error of code OK
		st = fault.Status(fault.Internal(err, "error with code OK"))
	}
	return st, err
}

// report counts and logs one finished call. err is the handler's error, including
// the text for the log.
func (s *Server) report(ctx context.Context, m *method, id string, code codes.Code, took time.Duration, err error) {
	if m.quiet {
		return
	}
	m.metrics.observe(code, took)

	level, text := slog.LevelDebug, "call"
	switch code {
	case codes.OK, codes.NotFound: // reading something that does not exist is normal
	case codes.Internal, codes.Unknown, codes.DataLoss:
		level = slog.LevelError
	case codes.Unavailable, codes.DeadlineExceeded:
		level = slog.LevelWarn
	default:
		level = slog.LevelInfo
	}
	slow := took > s.cfg.SlowCall
	if slow && level < slog.LevelWarn {
		level, text = slog.LevelWarn, "slow call"
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	skipped := 0
	if level > slog.LevelDebug { // debug shows every call
		var ok bool
		if skipped, ok = m.metrics.line(code, slow, time.Now()); !ok {
			return
		}
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs,
		slog.String("service", m.service),
		slog.String("method", m.name),
		slog.String("code", code.String()),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("request_id", id),
	)
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		attrs = append(attrs, slog.String("peer", p.Addr.String()))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	if skipped > 0 {
		attrs = append(attrs, slog.Int("suppressed", skipped)) // lines of this method and code
	}
	if p, ok := err.(*panicError); ok { //nolint:errorlint // made by guard, never wrapped
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	s.log.LogAttrs(ctx, level, text, attrs...)
}
