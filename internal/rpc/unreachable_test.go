package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/discovery"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// cannotBeReached is what a user may read of a call that no server answered.
const cannotBeReached = "the test service cannot be reached: try again later"

// expectUnreachable checks the error of a call that no server answered: what travels, and what is for the log.
func expectUnreachable(t *testing.T, err error, cause string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.KindUnavailable || status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v, want a fault of kind unavailable that is a status error too", err)
	}
	if got := status.Convert(err).Message(); got != cannotBeReached || f.Message() != cannotBeReached {
		t.Errorf("message %q, status %q, want %q", f.Message(), got, cannotBeReached)
	}
	if want := cannotBeReached + ": " + cause; err.Error() != want {
		t.Errorf("text for the log\n got %s\nwant %s", err, want)
	}
}

// answering is the address of a server that does that with every connection.
func answering(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = lis.Close(); <-ended })
	return lis.Addr().String()
}

func nobody(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}

func TestUnreachable(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	resting := startInstance(t, func(int64) error { return nil })
	resting.server.SetServing(false)
	for _, row := range []struct{ name, addr, why string }{
		{"no listener", nobody(t), "connection refused"},
		{"a web server", web.Listener.Addr().String(), "something that is not gRPC answers there"},
		{"a mail server", answering(t, func(c net.Conn) {
			_, _ = fmt.Fprint(c, "220 mail.example ESMTP ready\r\n")
			_, _ = c.Read(make([]byte, 1<<10)) // unread data would turn the end into a reset
		}), "something that is not gRPC answers there"},
		{"does not serve", resting.addr, "the instance there says NOT_SERVING: it is starting or stopping"},
	} {
		for _, retries := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, retries %t", row.name, retries), func(t *testing.T) {
				var cfg rpc.DialConfig
				if retries {
					cfg.Idempotent = []string{testpb.TestService_UnaryCall_FullMethodName}
				}
				_, err := dialTest(t, row.addr, cfg).UnaryCall(t.Context(), &testpb.SimpleRequest{})
				expectUnreachable(t, err, row.addr+": "+row.why)
			})
		}
	}
}

func TestUnreachableByName(t *testing.T) {
	m := discovery.NewMemory()
	cfg := rpc.DialConfig{Resolvers: []resolver.Builder{m.Resolver()}, Idempotent: []string{testpb.TestService_UnaryCall_FullMethodName}}
	_, err := dialTest(t, "memory:///test", cfg).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	expectUnreachable(t, err, "memory:///test: no instance is known there: is the service started?")

	addr := nobody(t)
	if _, err := m.Register(t.Context(), "test", addr); err != nil {
		t.Fatal(err)
	}
	_, err = dialTest(t, "memory:///test", cfg).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	expectUnreachable(t, err, "memory:///test: "+addr+": connection refused")
}

func TestStreamToNobody(t *testing.T) {
	addr := nobody(t)
	_, err := dialTest(t, addr, rpc.DialConfig{}).FullDuplexCall(t.Context())
	expectUnreachable(t, err, addr+": connection refused")
}

// What closes connections at once is seen at different moments, so not always in the same words.
func TestUnreachableWhereConnectionsAreClosed(t *testing.T) {
	addr := answering(t, func(net.Conn) {})
	client := dialTest(t, addr, rpc.DialConfig{Idempotent: []string{testpb.TestService_UnaryCall_FullMethodName}})
	for range 20 {
		_, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		got := strings.TrimPrefix(fmt.Sprint(err), cannotBeReached+": "+addr+": ")
		if got != "the connection is closed at once: is it gRPC that answers there?" && got != "the connection broke" {
			t.Fatalf("got %v", err)
		}
	}
}

// A deadline that passes before there is a connection is reported without an address.
func TestNoConnectionInTime(t *testing.T) {
	addr := nobody(t)
	client := dialTest(t, addr, rpc.DialConfig{})
	if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err == nil { // from here on the reason is known
		t.Fatal("the call succeeded, want an error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.WaitForReady(true))
	if want := "the test service did not answer in time: try again later"; status.Convert(err).Message() != want || err.Error() != want+": "+addr+": connection refused" {
		t.Errorf("got %v, status %v; want %q", err, status.Convert(err).Message(), want)
	}
	if status.Code(err) != codes.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want DEADLINE_EXCEEDED", err)
	}
}

// A service that hands on the error of a call hides addresses from its own callers, and logs them.
func TestACallersCallerSeesNoAddress(t *testing.T) {
	addr := nobody(t)
	behind := dialTest(t, addr, rpc.DialConfig{})
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		w.unary = func(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return behind.UnaryCall(ctx, req)
		}
		_, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		if st := status.Convert(err); st.Code() != codes.Unavailable || st.Message() != cannotBeReached {
			t.Errorf("got %v, want UNAVAILABLE: %s", err, cannotBeReached)
		}
		lines := w.log.lines(t)
		if len(lines) != 1 || lines[0]["error"] != cannotBeReached+": "+addr+": connection refused" {
			t.Errorf("log %v, want one line with the reason", lines)
		}
	})
}

func TestUnreachableAfterShutdownInProcess(t *testing.T) {
	w := start(t, "in process", rpc.ServerConfig{})
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	const why = "in-process: the instance there is stopping"
	_, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	expectUnreachable(t, err, why)
	_, err = w.client.FullDuplexCall(t.Context())
	expectUnreachable(t, err, why)
}

func TestAServersOwnUnavailableKeepsItsWords(t *testing.T) {
	i := startInstance(t, func(int64) error { return fault.Unavailable(nil, "the catalogue is being migrated") })
	for _, idempotent := range [][]string{nil, {testpb.TestService_UnaryCall_FullMethodName}} {
		_, err := dialTest(t, i.addr, rpc.DialConfig{Idempotent: idempotent}).UnaryCall(t.Context(), &testpb.SimpleRequest{})
		if got := status.Convert(err).Message(); got != "the catalogue is being migrated" {
			t.Errorf("idempotent %v: got %q", idempotent, got)
		}
	}
}

// A call whose time is over says so in our words, whether the client noticed first or the server that broke it off.
func TestTimeIsOverInOurWords(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		said := map[string]int{}
		for i := range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%7)*time.Millisecond)
			_, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{})
			cancel()
			if status.Code(err) != codes.DeadlineExceeded {
				t.Fatalf("got %v, want DEADLINE_EXCEEDED", err)
			}
			said[status.Convert(err).Message()]++
		}
		for text := range said {
			if text != "the test service did not answer in time: try again later" && text != "the deadline passed before the answer was ready" {
				t.Errorf("said %d times: %s", said[text], text)
			}
		}
	})
}

// A server that breaks a call off, before or after it has sent a header, is one that cannot be reached, and what HTTP/2 calls
// it is for the log; when the time of the call is as good as over, that is why.
func TestACallThatIsBrokenOff(t *testing.T) {
	for _, row := range []struct {
		name string
		left time.Duration
		code codes.Code
		text string
	}{
		{"with time left", time.Minute, codes.Unavailable, "the test service cannot be reached: try again later"},
		{"when time is nearly over", 90 * time.Millisecond, codes.DeadlineExceeded, "the test service did not answer in time: try again later"},
	} {
		t.Run(row.name, func(t *testing.T) {
			addr := resetting(t)
			cc, err := rpc.Dial(addr, rpc.DialConfig{Name: "test"})
			if err != nil {
				t.Fatal(err)
			}
			defer cc.Close()
			if err := cc.AwaitUsable(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), row.left)
			defer cancel()
			_, err = testpb.NewTestServiceClient(cc).UnaryCall(ctx, &testpb.SimpleRequest{})
			if status.Code(err) != row.code || status.Convert(err).Message() != row.text {
				t.Errorf("got %v: %v, want %v: %s", status.Code(err), status.Convert(err).Message(), row.code, row.text)
			}
		})
	}
}

// resetting starts a server that resets every call but health checks, which it does not know, with CANCEL.
func resetting(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = lis.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				f := http2.NewFramer(conn, conn)
				f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
				if err := f.WriteSettings(); err != nil {
					return
				}
				for {
					frame, err := f.ReadFrame()
					if err != nil {
						return
					}
					switch frame := frame.(type) {
					case *http2.SettingsFrame:
						if !frame.IsAck() {
							_ = f.WriteSettingsAck()
						}
					case *http2.MetaHeadersFrame:
						var block bytes.Buffer
						enc := hpack.NewEncoder(&block)
						for _, h := range []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/grpc"}, {Name: "grpc-status", Value: "12"}} {
							_ = enc.WriteField(h)
						}
						if strings.Contains(frame.PseudoValue("path"), "health") {
							_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
							continue
						}
						_ = f.WriteRSTStream(frame.StreamID, http2.ErrCodeCancel)
					}
				}
			})
		}
	})
	return lis.Addr().String()
}
