package discovery_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"movieexample.com/internal/discovery"
	"movieexample.com/internal/rpc"
)

// instanceEnv makes the test binary an instance of a service, as a process that can
// be killed. Its value is the spec of the registry that it registers with.
const instanceEnv = "DISCOVERY_TEST_INSTANCE"

func TestMain(m *testing.M) {
	if addr, spec, ok := strings.Cut(os.Getenv(instanceEnv), " "); ok {
		if err := serveInstance(addr, spec); err != nil {
			fmt.Fprintln(os.Stderr, "instance:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// worker is a service whose calls take a moment, so that some are always in flight.
type worker struct {
	testpb.UnimplementedTestServiceServer
}

func (worker) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
	}
	return &testpb.SimpleResponse{}, nil
}

// serveInstance is an instance as app makes one: it serves, registers, says where it
// is, and when its input ends, deregisters and drains.
func serveInstance(addr, spec string) error {
	ctx := context.Background()
	reg, err := discovery.Open(ctx, spec, discovery.Options{Version: "v1.2.3"})
	if err != nil {
		return err
	}
	s, err := rpc.NewServer(rpc.ServerConfig{Name: "rating"})
	if err != nil {
		return err
	}
	testpb.RegisterTestServiceServer(s, worker{})
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	s.SetServing(true)
	deregister, err := reg.Register(ctx, "rating", lis.Addr().String())
	if err != nil {
		return err
	}
	fmt.Println(lis.Addr())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := deregister(ctx); err != nil {
		return err
	}
	if err := s.Shutdown(ctx); err != nil {
		return err
	}
	if err := <-served; err != nil {
		return err
	}
	return reg.Close()
}

// process is a running instance.
type process struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   *strings.Builder
	ended chan struct{} // closed when it is gone
	err   error         // how it ended; read after ended
}

func startProcess(t *testing.T, spec, addr string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(exe), log: &strings.Builder{}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), instanceEnv+"="+addr+" "+spec)
	p.cmd.Stderr = p.log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	if err != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
		t.Fatalf("the instance did not start: %v\n%s", err, p.log)
	}
	p.addr = strings.TrimSpace(line)
	return p
}

// kill is a SIGKILL, and checks that it was one.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if st, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !st.Signaled() || st.Signal() != syscall.SIGKILL {
		t.Fatalf("the instance ended with %v, want a SIGKILL\n%s", p.err, p.log)
	}
}

// stop asks the process to exit, and waits for it.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.stdin.Close()
	<-p.ended
	if p.err != nil {
		t.Fatalf("the instance ended with %v\n%s", p.err, p.log)
	}
}

func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}
