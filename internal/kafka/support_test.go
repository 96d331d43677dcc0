package kafka_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"movieexample.com/internal/kafka"
)

// brokerDirEnv makes the test binary a broker on that directory, to be killed;
// brokerAddrEnv is where it listens.
const (
	brokerDirEnv  = "KAFKA_TEST_BROKER_DIR"
	brokerAddrEnv = "KAFKA_TEST_BROKER_ADDR"
)

func TestMain(m *testing.M) {
	if kafka.IsBrokerProcess() {
		lowerFileLimit()
		os.Exit(kafka.RunBrokerProcess())
	}
	if dir := os.Getenv(brokerDirEnv); dir != "" {
		b, err := kafka.StartBroker(context.Background(), kafka.BrokerConfig{Addr: os.Getenv(brokerAddrEnv), Dir: dir})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(b.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin) // a clean stop; the parent's death is one too
		if err := b.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// startBroker starts a broker on a free port for the length of the test.
func startBroker(t *testing.T, cfg kafka.BrokerConfig) *kafka.Broker {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	b, err := kafka.StartBroker(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close broker: %v", err)
		}
	})
	return b
}

// brokerProcess is a broker in a separate process.
type brokerProcess struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startBrokerProcess(t *testing.T, addr, dir string) *brokerProcess {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &brokerProcess{cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), brokerDirEnv+"="+dir, brokerAddrEnv+"="+addr)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	p.addr, err = bufio.NewReader(out).ReadString('\n')
	p.addr = strings.TrimSpace(p.addr)
	if _, _, serr := net.SplitHostPort(p.addr); err != nil || serr != nil {
		t.Fatalf("broker process says %q, %v; want its address", p.addr, err)
	}
	return p
}

// kill ends the process as a power cut would, and waits until it is gone.
func (p *brokerProcess) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		_ = p.stdin.Close()
	}
}

// stop ends the process as an operator would.
func (p *brokerProcess) stop(t *testing.T) {
	t.Helper()
	_ = p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("broker process: %v", err)
	}
}

func newClient(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{addr}}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func ensureTopic(t *testing.T, addr string, tc kafka.TopicConfig) kafka.Topic {
	t.Helper()
	topic, err := kafka.EnsureTopic(t.Context(), newClient(t, addr), tc)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

func newProducer(t *testing.T, cfg kafka.ProducerConfig, addr string) *kafka.Producer {
	t.Helper()
	cfg.Brokers = []string{addr}
	if cfg.Topic == "" {
		cfg.Topic = "events"
	}
	p, err := kafka.NewProducer(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

// place is where a record lies.
type place struct {
	partition int32
	offset    int64
}

// readAll reads a topic from its beginning to its present end.
func readAll(t *testing.T, addr, topic string) map[place]*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cl := newClient(t, addr)
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	start, left := map[int32]kgo.Offset{}, int64(0)
	ends.Each(func(o kadm.ListedOffset) {
		start[o.Partition] = kgo.NewOffset().AtStart()
		left += o.Offset
	})
	got := map[place]*kgo.Record{}
	reader := newClient(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}))
	for int64(len(got)) < left {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("%d of %d records read: %v", len(got), left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got[place{r.Partition, r.Offset}] = r })
	}
	return got
}

// results collects what done was called with.
type results struct {
	mu    sync.Mutex
	acked map[place]string // to the value
	errs  []error
	calls int
}

func (r *results) done(value string) func(int32, int64, error) {
	return func(partition int32, offset int64, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls++
		if err != nil {
			r.errs = append(r.errs, err)
			return
		}
		if r.acked == nil {
			r.acked = map[place]string{}
		}
		r.acked[place{partition, offset}] = value
	}
}

func (r *results) failures() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.errs...)
}

func (r *results) count() (acked, calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.acked), r.calls
}

// publish publishes n records "prefix-0", "prefix-1", …, each with itself as key.
func publish(t *testing.T, p *kafka.Producer, res *results, prefix string, n int) {
	t.Helper()
	for i := range n {
		v := fmt.Sprintf("%s-%d", prefix, i)
		if err := p.Publish(t.Context(), kafka.Message{Key: []byte(v), Value: []byte(v)}, res.done(v)); err != nil {
			t.Fatalf("publish %s: %v", v, err)
		}
	}
}

// eventually waits for a condition, and fails the test after ten seconds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited 10 s for: %s", what)
		}
	}
}

// logBuffer is a logger whose lines a test can read.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// proxy stands between clients and a broker, and can hold traffic back, or cut
// connections in the moment a produce request is answered.
type proxy struct {
	ln      net.Listener
	backend atomic.Value // string
	gate    sync.RWMutex // held for writing while traffic is held back
	cutting atomic.Bool
	cuts    atomic.Int64
	conns   sync.WaitGroup
	mu      sync.Mutex
	open    map[net.Conn]bool
}

func startProxy(t *testing.T) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, open: map[net.Conn]bool{}}
	p.conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.conns.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		p.mu.Lock()
		for c := range p.open {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.conns.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.ln.Addr().String() }

func (p *proxy) serve(client net.Conn) {
	broker, err := net.Dial("tcp", p.backend.Load().(string))
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.open[client], p.open[broker] = true, true
	p.mu.Unlock()
	var produced atomic.Bool
	closeBoth := func() { _ = client.Close(); _ = broker.Close() }
	var copies sync.WaitGroup
	copies.Go(func() {
		defer closeBoth()
		p.copy(broker, client, func(b []byte) bool {
			if len(b) > 8 && b[4] == 0 && b[5] == 0 { // a produce request begins
				produced.Store(true)
			}
			return true
		})
	})
	copies.Go(func() {
		defer closeBoth()
		p.copy(client, broker, func([]byte) bool {
			if produced.Load() && p.cutting.Load() {
				p.cuts.Add(1)
				return false
			}
			return true
		})
	})
	copies.Wait()
	p.mu.Lock()
	delete(p.open, client)
	delete(p.open, broker)
	p.mu.Unlock()
}

func (p *proxy) copy(dst, src net.Conn, pass func([]byte) bool) {
	buf := make([]byte, 256<<10)
	for {
		n, err := src.Read(buf)
		p.gate.RLock()
		//lint:ignore SA2001 it waits while traffic is held back
		p.gate.RUnlock()
		if n > 0 {
			if !pass(buf[:n]) {
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
