package rpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/rpc"
)

const unaryCall = "/grpc.testing.TestService/UnaryCall"

// rawClient speaks HTTP/2 frame by frame, as no gRPC client does.
type rawClient struct {
	t      *testing.T
	conn   net.Conn
	frames *http2.Framer
	next   uint32
	ended  chan error // how reading ended
	resets chan uint32
}

// dialRaw connects and exchanges the settings.
func dialRaw(t *testing.T, addr string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &rawClient{t: t, conn: conn, frames: http2.NewFramer(conn, conn), next: 1, ended: make(chan error, 1), resets: make(chan uint32, 1<<16)}
	c.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.frames.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			f, err := c.frames.ReadFrame()
			if err != nil {
				c.ended <- err
				return
			}
			if h := f.Header(); h.Type == http2.FrameRSTStream || h.Type == http2.FrameHeaders && h.Flags.Has(http2.FlagHeadersEndStream) {
				c.resets <- h.StreamID
			}
		}
	}()
	return c
}

// open begins a call.
func (c *rawClient) open(method string) (stream uint32, err error) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: "test"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	} {
		if err := enc.WriteField(f); err != nil {
			return 0, err
		}
	}
	stream = c.next
	c.next += 2
	return stream, c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
}

// send sends the beginning of a message that is said to have size bytes, in frames of frame bytes.
func (c *rawClient) send(stream uint32, size, bytes, frame int) error {
	head := make([]byte, 5, 5+frame)
	binary.BigEndian.PutUint32(head[1:], uint32(size))
	if err := c.frames.WriteData(stream, false, head); err != nil {
		return err
	}
	block := make([]byte, frame)
	for bytes > 0 {
		n := min(bytes, frame)
		if err := c.frames.WriteData(stream, false, block[:n]); err != nil {
			return err
		}
		bytes -= n
	}
	return nil
}

// startListening starts a server on the network and returns its address too.
func startListening(t *testing.T, cfg rpc.ServerConfig) (*world, string) {
	t.Helper()
	w := start(t, "in process", cfg)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(lis) }()
	t.Cleanup(func() {
		if err := w.server.Shutdown(context.Background()); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return w, lis.Addr().String()
}

// TestUnfinishedRequestsAreBounded: connections with many calls, each one byte short of the largest message, hold what the
// limit says and not what all of them ask for. Others are served in the meantime. Frames of one byte cost the server far more
// than that, and count for it.
func TestUnfinishedRequestsAreBounded(t *testing.T) {
	const limit = 8 << 20
	for _, row := range []struct {
		name                  string
		size, frame, attempts int
	}{
		{"messages one byte short", 4 << 20, 16 << 10, 120},
		{"messages in frames of one byte", 256 << 10, 1, 40},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, addr := startListening(t, rpc.ServerConfig{MaxInflowBytes: limit, ReceiveTimeout: time.Minute})
			good, err := rpc.Dial(addr, rpc.DialConfig{Name: "test"})
			if err != nil {
				t.Fatal(err)
			}
			defer good.Close()
			client := testpb.NewTestServiceClient(good)
			if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
				t.Fatal(err)
			}
			before, most, sent := heap(), uint64(0), 0
			c := dialRaw(t, addr)
			// Its window would hold a well-behaved client back; this one does not look at it, up to what gRPC lets in.
			for range row.attempts {
				stream, err := c.open(unaryCall)
				if err == nil {
					err = c.send(stream, row.size, min(row.size-1, 60<<10), row.frame)
					sent += 60 << 10
				}
				if err != nil { // it was cut off: once more
					_ = c.conn.Close()
					wait(t, "the end of reading", c.ended)
					c = dialRaw(t, addr)
				}
				most = max(most, heap())
				if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{Payload: payload("x")}); err != nil {
					t.Fatalf("another connection is not served: %v", err)
				}
			}
			for deadline := time.Now().Add(patience); counter(t, w.metrics, "movieexample_grpc_server_aborted_total", "memory") == 0; {
				if time.Now().After(deadline) {
					t.Fatalf("nothing was cut off after %d calls", row.attempts)
				}
				stream, err := c.open(unaryCall)
				if err == nil {
					err = c.send(stream, row.size, min(row.size-1, 60<<10), row.frame)
				}
				if err != nil {
					break
				}
				sent += 60 << 10
				most = max(most, heap())
			}
			grown := int64(most) - int64(before)
			t.Logf("sent %d KiB; the heap grew by %d KiB at most; limit %d KiB", sent>>10, grown>>10, limit>>10)
			if grown > 4*limit {
				t.Errorf("the heap grew by %d bytes, limit %d", grown, limit)
			}
			if n := counter(t, w.metrics, "movieexample_grpc_server_aborted_total", "memory"); n == 0 {
				t.Error("nothing was cut off: the limit was not tried")
			}
		})
	}
}

// heap is the memory in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// counter reads a counter by the value of its one label.
func counter(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestSlowRequestsEnd: the server ends a call whose message does not arrive completely, and a stream whose handler waits for more
// messages; it does not end a stream that has received its only message.
func TestSlowRequestsEnd(t *testing.T) {
	w, addr := startListening(t, rpc.ServerConfig{ReceiveTimeout: 50 * time.Millisecond, StreamIdleTimeout: 50 * time.Millisecond})
	c := dialRaw(t, addr)
	missing, err := c.open(unaryCall)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.send(missing, 100, 99, 99); err != nil {
		t.Fatal(err)
	}
	nothing, err := c.open("/grpc.health.v1.Health/Watch")
	if err != nil {
		t.Fatal(err)
	}
	ended := map[uint32]bool{}
	for len(ended) < 2 {
		ended[wait(t, "the end of calls without their messages", c.resets)] = true
	}
	if !ended[missing] || !ended[nothing] {
		t.Errorf("%v ended, want %d and %d", ended, missing, nothing)
	}
	if n := counter(t, w.metrics, "movieexample_grpc_server_aborted_total", "slow"); n != 2 {
		t.Errorf("%v calls are counted as slow, want 2", n)
	}

	cc, err := rpc.Dial(addr, rpc.DialConfig{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	watch, err := healthpb.NewHealthClient(cc).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	w.duplex = func(s grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
		for {
			if _, err := s.Recv(); err != nil {
				return err
			}
			if err := s.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
				return err
			}
		}
	}
	idle, err := testpb.NewTestServiceClient(cc).FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := idle.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := idle.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := idle.Recv(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a stream whose caller says nothing ends with %v, want DEADLINE_EXCEEDED", err)
	}
	w.server.SetServing(false) // the watch has been without a message from its caller for longer than that
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("the watch says %v, %v", got, err)
	}
}

// TestRequestSizeByMethod: most methods take less than the largest message.
func TestRequestSizeByMethod(t *testing.T) {
	const small, large = 1 << 10, 64 << 10
	for _, row := range []struct {
		name  string
		large []string
		size  int
		want  codes.Code
	}{
		{"a small one", nil, small - 100, codes.OK},
		{"above what most take", nil, small + 100, codes.ResourceExhausted},
		{"above what most take, where another takes more", []string{"/other.Service/Method"}, small + 100, codes.ResourceExhausted},
		{"what the method takes", []string{unaryCall}, large - 100, codes.OK},
		{"above the largest message", []string{unaryCall}, large + 100, codes.ResourceExhausted},
	} {
		t.Run(row.name, func(t *testing.T) {
			overBoth(t, rpc.ServerConfig{MaxRequestBytes: small, MaxMessageBytes: large, LargeRequests: row.large}, func(t *testing.T, w *world) {
				w.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
					return &testpb.SimpleResponse{}, nil
				}
				_, err := w.client.UnaryCall(t.Context(), &testpb.SimpleRequest{Payload: payload(strings.Repeat("x", row.size))})
				if status.Code(err) != row.want {
					t.Errorf("%d bytes: got %v, want %v", row.size, err, row.want)
				}
				if err != nil && !strings.Contains(err.Error(), "larger than max") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// TestManyCanceledCallsFewLines: what a caller can make happen thousands of times a second does not fill the disk. The metrics
// count every call.
func TestManyCanceledCallsFewLines(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		const calls = 2000
		entered := make(chan struct{}, calls)
		w.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			entered <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		began := time.Now()
		for range calls {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-entered; cancel() }()
			if _, err := w.client.UnaryCall(ctx, &testpb.SimpleRequest{}); !errors.Is(err, context.Canceled) && status.Code(err) != codes.Canceled {
				t.Fatal(err)
			}
		}
		for deadline := time.Now().Add(patience); handled(t, w.metrics, "Canceled") < calls; {
			if time.Now().After(deadline) {
				t.Fatalf("%v calls are counted, want %d", handled(t, w.metrics, "Canceled"), calls)
			}
			runtime.Gosched()
		}
		lines, suppressed := 0, 0
		for _, line := range w.log.lines(t) {
			if line["code"] == "Canceled" {
				lines++
				n, _ := line["suppressed"].(float64)
				suppressed += int(n)
			}
		}
		most := 10 * (2 + int(time.Since(began)/time.Second))
		t.Logf("%d lines, %d named as suppressed", lines, suppressed)
		if lines == 0 || lines > most || lines+suppressed > calls {
			t.Errorf("%d lines and %d suppressed for %d calls, want from 1 to %d lines", lines, suppressed, calls, most)
		}
	})
}

// handled is the number of calls that ended with a code.
func handled(t *testing.T, reg *prometheus.Registry, code string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "movieexample_grpc_server_handled_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "code" && l.GetValue() == code {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}
