package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// seen is everything that caller and callee see of one call.
type seen struct {
	Code            codes.Code
	Message         string
	Details         []string
	Reply           string
	Header, Trailer map[string][]string
	Called          bool
	Incoming        map[string][]string
}

// scenario is one call and what must come of it. The expectation is written down
// only as far as the reader needs it: that both connections show the same is
// checked of everything in seen.
type scenario struct {
	name string
	ctx  func(context.Context) context.Context
	req  proto.Message
	// method is UnaryCall when empty.
	method  string
	reply   proto.Message
	opts    []grpc.CallOption
	handler func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	code    codes.Code
	message string // contained in the message
}

func fails(err error) func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { return nil, err }
}

func outgoing(kv ...string) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return metadata.AppendToOutgoingContext(ctx, kv...) }
}

const small = 1 << 10 // MaxMessageBytes of the scenarios' server

func scenarios(t *testing.T) []scenario {
	t.Helper()
	detailed, err := status.New(codes.FailedPrecondition, "rated before it was released").WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(7)}, wrapperspb.String("more"))
	if err != nil {
		t.Fatal(err)
	}
	all := []scenario{
		{name: "answer", req: &testpb.SimpleRequest{Payload: payload("hello")}},
		{name: "empty request", req: &testpb.SimpleRequest{}},
		{name: "typed nil request", req: (*testpb.SimpleRequest)(nil)},
		{name: "reply that is not empty", req: &testpb.SimpleRequest{Payload: payload("x")}, reply: &testpb.SimpleResponse{Username: "old"}},

		{name: "header and trailer", handler: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{}, errors.Join(
				grpc.SetHeader(ctx, metadata.Pairs("A", "1", "a", "2")),
				grpc.SetHeader(ctx, metadata.MD{"b": {"3"}}),
				grpc.SetTrailer(ctx, metadata.Pairs("c", "4", "d-bin", "\x00\xff")))
		}},
		{name: "header and trailer with an error", handler: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			_ = grpc.SetHeader(ctx, metadata.Pairs("a", "1"))
			_ = grpc.SetTrailer(ctx, metadata.Pairs("c", "4"))
			return nil, fault.NotFound("no movie %q", "tt1")
		}, code: codes.NotFound, message: `no movie "tt1"`},
		{name: "header key in upper case", handler: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{}, grpc.SetHeader(ctx, metadata.MD{"B": {"3"}})
		}, code: codes.Internal, message: `invalid header field name "B"`},
		{name: "trailer key in upper case", handler: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{}, grpc.SetTrailer(ctx, metadata.MD{"B": {"3"}})
		}, code: codes.Internal, message: `invalid header field name "B"`},
		{name: "header sent early", handler: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			if err := grpc.SendHeader(ctx, metadata.Pairs("a", "1")); err != nil {
				return nil, err
			}
			if grpc.SetHeader(ctx, metadata.Pairs("b", "2")) == nil || grpc.SendHeader(ctx, metadata.Pairs("b", "2")) == nil {
				return nil, errors.New("a header can be changed after it was sent")
			}
			return &testpb.SimpleResponse{}, nil
		}},
		{name: "header sent early, then an error", handler: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			_ = grpc.SendHeader(ctx, metadata.Pairs("a", "1"))
			return nil, fault.Conflict("etag differs")
		}, code: codes.Aborted},

		{name: "metadata", ctx: outgoing("k", "1", "K", "2", "x.y_z-1", " ~", "empty", "")},
		{name: "request id of the caller", ctx: outgoing("x-request-id", "mine")},
		{name: "binary metadata", ctx: outgoing("k-bin", "\x00\x01\xff")},
		{name: "reserved metadata", ctx: outgoing("grpc-status", "5", "te", "x", "user-agent", "me", "content-type", "text/html", "k", "1")},
		{name: "metadata value that is not printable", ctx: outgoing("k", "a\nb"), code: codes.Internal, message: "non-printable"},
		{name: "metadata key that is not allowed", ctx: outgoing("k k", "v"), code: codes.Internal, message: "key"},
		{name: "much metadata", ctx: outgoing("k", strings.Repeat("v", 8<<10))},
		{name: "too much metadata", ctx: outgoing("k", strings.Repeat("v", 40<<10)), code: codes.Internal, message: "header list size"},

		{name: "plain error", handler: fails(errors.New("dial tcp 10.0.0.1: secret")), code: codes.Internal, message: "internal error"},
		{name: "invalid", handler: fails(fault.Invalid("movie.year", "must be 1870 to 2100, got %d", 3)), code: codes.InvalidArgument, message: "movie.year: must be 1870 to 2100, got 3"},
		{name: "wrapped invalid", handler: fails(fmt.Errorf("save: %w", fault.Invalid("id", "is required"))), code: codes.InvalidArgument, message: "id: is required"},
		{name: "message beyond ASCII", handler: fails(fault.NotFound("no film “Amélie” 100%%\n映画")), code: codes.NotFound, message: "“Amélie” 100%\n映画"},
		{name: "message that is not UTF-8", handler: fails(fault.NotFound("no film \xff")), code: codes.NotFound, message: "no film \uFFFD"},
		{name: "long message", handler: fails(fault.NotFound("%s", strings.Repeat("ü", 5000))), code: codes.NotFound, message: "üü"},
		{name: "status with details", handler: fails(detailed.Err()), code: codes.FailedPrecondition, message: "before it was released"},
		{name: "status of an unusual code", handler: fails(status.Error(codes.OutOfRange, "page 9 of 3")), code: codes.OutOfRange, message: "page 9"},
		{name: "internal status", handler: fails(status.Error(codes.DataLoss, "secret")), code: codes.Internal, message: "internal error"},
		{name: "error of code OK", handler: fails(okError{}), code: codes.Internal, message: "internal error"},
		{name: "panic", handler: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			panic("secret")
		}, code: codes.Internal, message: "internal error"},
		{name: "panic with a fault", handler: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			panic(fault.NotFound("secret"))
		}, code: codes.Internal, message: "internal error"},
		{name: "no response and no error", handler: fails(nil), code: codes.Internal, message: "internal error"},

		{name: "request that is not UTF-8", req: &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Message: "\xff"}}, code: codes.Internal, message: "invalid UTF-8"},
		{name: "response that is not UTF-8", handler: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{Username: "\xff"}, nil
		}, code: codes.Internal, message: "invalid UTF-8"},
		{name: "request of the greatest size", req: sized(t, small), opts: []grpc.CallOption{grpc.MaxCallRecvMsgSize(2 * small)}},
		{name: "request too large", req: sized(t, small+1), code: codes.ResourceExhausted, message: "larger than max (1025 vs. 1024)"},
		{name: "request too large for its caller", req: sized(t, 100), opts: []grpc.CallOption{grpc.MaxCallSendMsgSize(99)}, code: codes.ResourceExhausted, message: "larger than max (100 vs. 99)"},
		{name: "response too large for its caller", handler: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{Username: strings.Repeat("x", 98)}, nil
		}, opts: []grpc.CallOption{grpc.MaxCallRecvMsgSize(99)}, code: codes.ResourceExhausted, message: "larger than max (100 vs. 99)"},

		{name: "unknown service", method: "/no.such.Service/Call", code: codes.Unimplemented, message: "unknown service no.such.Service"},
		{name: "unknown method", method: "/grpc.testing.TestService/NoSuch", code: codes.Unimplemented, message: "unknown method NoSuch"},
		{name: "method not implemented", method: "/grpc.testing.TestService/UnimplementedCall", req: &testpb.Empty{}, reply: &testpb.Empty{}, code: codes.Unimplemented},
		{name: "malformed method", method: "nonsense", code: codes.Unimplemented, message: "malformed"},
		{name: "streaming method called as unary", method: "/grpc.testing.TestService/HalfDuplexCall", code: codes.Unimplemented},

		{name: "request of another type with the same shape", req: wrapperspb.Bytes(nil)},
		{name: "request of another type", req: &testpb.SimpleResponse{OauthScope: "zzz"}, code: codes.Internal, message: "unmarshal"},
		{name: "reply of another type", reply: &structpb.Struct{}, handler: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{Payload: payload("\xff\xff\xff")}, nil
		}, code: codes.Internal, message: "unmarshal"},
		{name: "compressed by an unknown compressor", opts: []grpc.CallOption{grpc.UseCompressor("zip-drive")}, code: codes.Internal, message: "not installed"},
	}
	for k := fault.KindInternal; k <= fault.KindUnimplemented; k++ {
		all = append(all, scenario{
			name:    "fault " + k.String(),
			handler: fails(fmt.Errorf("around: %w", &fault.Error{Kind: k, Msg: "what the user reads", Err: errors.New("secret")})),
			code:    k.Code(),
		})
	}
	return all
}

// okError is an error that says it is none.
type okError struct{}

func (okError) Error() string              { return "ok" }
func (okError) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

// sized returns a request whose encoding has size bytes.
func sized(t *testing.T, size int) *testpb.SimpleRequest {
	t.Helper()
	for n := size; n > 0; n-- {
		if req := (&testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, n)}}); proto.Size(req) == size {
			return req
		}
	}
	t.Fatalf("no request of %d bytes", size)
	return nil
}

func TestBothConnectionsShowTheSame(t *testing.T) {
	worlds := make(map[string]*world)
	for _, wire := range wires {
		worlds[wire] = start(t, wire, rpc.ServerConfig{MaxMessageBytes: small})
	}
	for _, sc := range scenarios(t) {
		t.Run(sc.name, func(t *testing.T) {
			got := make(map[string]seen)
			for _, wire := range wires {
				s := observe(t, worlds[wire], sc)
				got[wire] = s
				if s.Code != sc.code {
					t.Errorf("%s: code %v (%s), want %v", wire, s.Code, s.Message, sc.code)
				}
				if !strings.Contains(s.Message, sc.message) {
					t.Errorf("%s: message %q does not contain %q", wire, s.Message, sc.message)
				}
				if strings.Contains(fmt.Sprint(s), "secret") {
					t.Errorf("%s: what is secret is shown: %+v", wire, s)
				}
			}
			if diff := cmp.Diff(got["network"], got["in process"]); diff != "" {
				t.Errorf("the connections differ (- network, + in process):\n%s", diff)
			}
		})
	}
}

func observe(t *testing.T, w *world, sc scenario) seen {
	t.Helper()
	var s seen
	echo := sc.handler == nil
	w.unary = func(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		s.Called = true
		md, _ := metadata.FromIncomingContext(ctx)
		s.Incoming = visible(md)
		if m, ok := grpc.Method(ctx); !ok || m != testpb.TestService_UnaryCall_FullMethodName {
			t.Errorf("grpc.Method = %q, %t", m, ok)
		}
		if echo {
			return &testpb.SimpleResponse{Payload: req.GetPayload()}, nil
		}
		return sc.handler(ctx, req)
	}
	ctx := t.Context()
	if sc.ctx != nil {
		ctx = sc.ctx(ctx)
	}
	method, req, reply := sc.method, sc.req, sc.reply
	if method == "" {
		method = testpb.TestService_UnaryCall_FullMethodName
	}
	if req == nil {
		req = &testpb.SimpleRequest{}
	}
	if reply == nil {
		reply = &testpb.SimpleResponse{}
	} else {
		reply = proto.Clone(reply)
	}
	var header, trailer metadata.MD
	err := w.conn.Invoke(ctx, method, req, reply, append(sc.opts, grpc.Header(&header), grpc.Trailer(&trailer))...)
	st := status.Convert(err)
	s.Code, s.Message = st.Code(), st.Message()
	for _, d := range st.Details() {
		s.Details = append(s.Details, fmt.Sprintf("%T %v", d, prototext.Format(d.(proto.Message))))
	}
	if err == nil {
		s.Reply = prototext.Format(reply)
	}
	s.Header, s.Trailer = visible(header), visible(trailer)
	return s
}

// visible is metadata without what may differ: the values of fresh request ids
// and of the authority, which is an address.
func visible(md metadata.MD) map[string][]string {
	out := make(map[string][]string)
	for k, v := range md {
		switch k {
		case ":authority":
			v = []string{"an address"}
		case "x-request-id":
			if len(v) == 1 && len(v[0]) == 32 {
				v = []string{"a fresh id"}
			}
		}
		out[k] = v
	}
	return out
}
