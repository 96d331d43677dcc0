package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"movieexample.com/app"
)

// heldRequest is a rating on its way: the gateway has its header, and waits for the rest of its body.
type heldRequest struct {
	conn net.Conn
}

const heldBody = `{"value": 9}`

func hold(t *testing.T, p *process) *heldRequest {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.Gateway, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// The server asks for the body when the handler reads it: then the request is in flight.
	_, err = fmt.Fprintf(conn, "PUT /v1/records/movie/tt1/ratings/alice HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(heldBody))
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, int64(len("HTTP/1.1 100 Continue\r\n\r\n")))).ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		t.Fatalf("the gateway does not ask for the body: %q, %v", line, err)
	}
	return &heldRequest{conn: conn}
}

// finish sends the rest and returns the answer.
func (h *heldRequest) finish(t *testing.T) answer {
	t.Helper()
	if _, err := io.WriteString(h.conn, heldBody); err != nil {
		t.Fatal(err)
	}
	// What is left of the interim answer comes first.
	r := bufio.NewReader(h.conn)
	for {
		peek, err := r.Peek(4)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		if string(peek) == "HTTP" {
			break
		}
		if _, err := r.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, string(body)}
}

// awaitDraining asks until the process says that it stops.
func awaitDraining(t *testing.T, p *process) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		got := ask(t, http.MethodGet, p.Admin+"/readyz", "")
		if got.status == http.StatusServiceUnavailable && strings.HasPrefix(got.body, "draining") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("readyz answers %+v during the stop", got)
		}
	}
}

// awaitRefused waits until no one listens on the address any more.
func awaitRefused(t *testing.T, addr string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatalf("%s is still open", addr)
		}
	}
}

// TestStopDrains: a request in flight when the stop begins is answered, with the services behind the gateway still there
// for it; readiness is off in the meantime and no one new gets in; what it wrote is there after the next start.
func TestStopDrains(t *testing.T) {
	dir := t.TempDir()
	p := run(t, testConfig(dir))
	mustAsk(t, http.MethodPut, p.Gateway+"/v1/movies/tt1", `{"title": "A Film"}`)
	held := hold(t, p)
	p.cancel()
	awaitDraining(t, p)
	awaitRefused(t, strings.TrimPrefix(p.Gateway, "http://"))
	// The gateway no longer accepts connections and waits for this request, so no service behind it has begun to stop.
	for _, addr := range []string{p.Metadata, p.Rating, p.Movie} {
		if got := health(t, addr, time.Minute); got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("the service on %s is %s while the gateway drains", addr, got)
		}
	}
	select {
	case <-p.ended:
		t.Fatal("the process has ended with a request in flight")
	default:
	}
	if got := held.finish(t); got.status != http.StatusOK || !strings.Contains(got.body, `"value":9`) {
		t.Fatalf("the request in flight got %+v", got)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = run(t, testConfig(dir))
	awaitFilm(t, p.Gateway, "tt1", "fresh", 1)
}

// TestStopIsBounded: a request that does not end is cut off, and the stop says so.
func TestStopIsBounded(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.ShutdownTimeout = 200 * time.Millisecond
	p := run(t, cfg)
	hold(t, p)
	began := time.Now()
	p.cancel()
	<-p.ended
	if p.err == nil || !strings.Contains(p.err.Error(), "stop gateway") || strings.Count(p.err.Error(), "stop ") != 1 {
		t.Errorf("the stop cut one request at the gateway off and returned %v", p.err)
	}
	if took := time.Since(began); took < cfg.ShutdownTimeout || took > 5*time.Second {
		t.Errorf("took %s with a timeout of %s", took, cfg.ShutdownTimeout)
	}
	p.err = nil // expected; the clean-up wants an orderly stop
}

// TestHealth: no server says that it serves before the process is ready.
func TestHealth(t *testing.T) {
	a, err := app.New(t.Context(), testConfig(t.TempDir()), app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	addrs := []string{a.Addresses().Metadata, a.Addresses().Rating, a.Addresses().Movie}
	for _, addr := range addrs {
		if got := health(t, addr, 200*time.Millisecond); got == healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%s serves before Run", addr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	<-a.Ready()
	for _, addr := range addrs {
		if got := health(t, addr, time.Minute); got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%s is %s when the process is ready", addr, got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// health asks a server how it is; one that does not answer in time is UNKNOWN.
func health(t *testing.T, addr string, within time.Duration) healthpb.HealthCheckResponse_ServingStatus {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return healthpb.HealthCheckResponse_UNKNOWN
	}
	return resp.GetStatus()
}
