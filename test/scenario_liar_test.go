package test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// frame is a message that the proxy passes on as it is.
type frame struct{ data []byte }

// rawCodec leaves messages encoded.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return v.(*frame).data, nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	v.(*frame).data = append([]byte(nil), data...)
	return nil
}
func (rawCodec) Name() string { return "proto" }

// grpcLie changes what a service answers to one message: forward asks the service.
type grpcLie func(method string, request []byte, forward func([]byte) ([]byte, error)) ([]byte, error)

// honest is the lie of those who do not.
func honest(_ string, request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
	return forward(request)
}

// grpcLiar stands before a service. keepIDs says whether it passes request ids on.
type grpcLiar struct {
	upstream *grpc.ClientConn
	lie      grpcLie
	keepIDs  bool
}

// liar starts one and returns its address.
func (l *grpcLiar) start(t *testing.T, target string) string {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	l.upstream = conn
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(l.serve))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := errors.Join(<-ended, conn.Close()); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// serve answers a call, message by message; every method of the system answers one with one, reflection included.
func (l *grpcLiar) serve(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	ctx := stream.Context()
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, metadata.MD{"x-request-id": md.Get("x-request-id")})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		request := new(frame)
		if err := stream.RecvMsg(request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		answer, err := l.lie(method, request.data, func(data []byte) ([]byte, error) {
			up, err := l.upstream.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
			if err != nil {
				return nil, err
			}
			if err := errors.Join(up.SendMsg(&frame{data}), up.CloseSend()); err != nil {
				return nil, err
			}
			answer := new(frame)
			err = up.RecvMsg(answer)
			if err == nil {
				if err := up.RecvMsg(new(frame)); !errors.Is(err, io.EOF) { // which makes the trailer come
					return nil, errors.Join(err, errors.New("more than one answer"))
				}
			}
			if l.keepIDs {
				stream.SetTrailer(metadata.MD{"x-request-id": up.Trailer().Get("x-request-id")})
			}
			return answer.data, err
		})
		if err != nil {
			return err
		}
		if err := stream.SendMsg(&frame{answer}); err != nil {
			return err
		}
	}
}

// altered makes a lie about the answers of one method.
func altered[A proto.Message](method string, change func(A)) grpcLie {
	return func(called string, request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
		data, err := forward(request)
		if err != nil || !strings.HasSuffix(called, method) {
			return data, err
		}
		var zero A
		answer := zero.ProtoReflect().New().Interface().(A)
		if err := proto.Unmarshal(data, answer); err != nil {
			return nil, err
		}
		change(answer)
		return proto.Marshal(answer)
	}
}

// undone makes the lie that a method was done.
func undone(method string, answer proto.Message) grpcLie {
	return func(called string, request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
		if strings.HasSuffix(called, method) {
			return proto.Marshal(answer)
		}
		return forward(request)
	}
}

// unrefused makes the lie that there is an answer where a method is refused with a code.
func unrefused(method string, code codes.Code, answer proto.Message) grpcLie {
	return func(called string, request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
		data, err := forward(request)
		if strings.HasSuffix(called, method) && status.Code(err) == code {
			return proto.Marshal(answer)
		}
		return data, err
	}
}

// httpLiar starts a gateway that lies: about requests before they are passed on, about answers before they are given.
func httpLiar(t *testing.T, target string, request func(*http.Request), answer func(*http.Response) error) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.MaxIdleConnsPerHost = 16
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
			if request != nil {
				request(r.Out)
			}
		},
		ModifyResponse: answer,
		Transport:      transport,
	})
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL
}

// rewritten makes a lie about the text of answers.
func rewritten(change func(r *http.Response, body string) string) func(*http.Response) error {
	return func(r *http.Response) error {
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return err
		}
		text := change(r, string(body))
		r.Body = io.NopCloser(strings.NewReader(text))
		if r.Request.Method != http.MethodHead {
			r.ContentLength = int64(len(text))
			r.Header.Del("Content-Length")
		}
		return nil
	}
}
