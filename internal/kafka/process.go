package kafka

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/lockfile"
)

// BrokerProcessConfig describes an embedded broker in a separate process.
type BrokerProcessConfig struct {
	// Broker describes the broker. Its Listener is not used; see Open.
	Broker BrokerConfig
	// Open opens the port. Default: [Listen] on Broker.Addr.
	Open func(context.Context) (net.Listener, error)
	// Command starts a process that calls [RunBrokerProcess] when [IsBrokerProcess] says so. Default: this program.
	Command []string
	// MemoryBytes is how much memory the process may use in addition to the records that it loads at its start.
	// Default 1 GiB.
	MemoryBytes int64
	// Silence is how long the process may be silent before it is killed; it reports every second. Whole seconds, at least 2;
	// default 15 s. A process that was stopped (SIGSTOP), or gets no processor, cannot exit on its own.
	Silence time.Duration
	// Metrics gets the metrics of the supervision; nil discards them.
	Metrics prometheus.Registerer
}

// BrokerProcess is a [Broker] in a separate process, which is restarted whenever it exits: no request to the broker can end the
// process that supervises it.
type BrokerProcess struct {
	cfg      BrokerProcessConfig
	log      *slog.Logger
	listener net.Listener // handed to each process; nil where that cannot be done
	restarts prometheus.Counter

	addr, listenAddr string

	mu       sync.Mutex
	child    *child
	stopping chan struct{}
	once     sync.Once
	ended    chan struct{} // closed when nothing is supervised any more
	err      error         // of the last process
}

// StartBrokerProcess starts the broker; it serves when this returns. Errors are those of [StartBroker].
func StartBrokerProcess(ctx context.Context, cfg BrokerProcessConfig) (*BrokerProcess, error) {
	if IsBrokerProcess() {
		return nil, errors.New("a broker process cannot start another one: its program must call kafka.RunBrokerProcess first")
	}
	bc := &cfg.Broker
	if bc.Addr == "" {
		bc.Addr = "127.0.0.1:9092"
	}
	if bc.Logger == nil {
		bc.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&cfg.MemoryBytes, 1<<30)
	orDefault(&cfg.Silence, stuckAfter)
	if cfg.Open == nil {
		cfg.Open = func(ctx context.Context) (net.Listener, error) { return Listen(ctx, bc.Addr, bc.Advertise) }
	}
	if len(cfg.Command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("start the embedded Kafka broker: find the executable: %w", err)
		}
		cfg.Command = []string{self, "broker"}
	}
	if err := checkListen(bc.Addr, bc.Advertise); err != nil {
		return nil, err
	}
	if err := awaitOrphan(ctx, bc.Dir, bc.Logger); err != nil {
		return nil, err
	}
	l, err := cfg.Open(ctx)
	if err != nil {
		return nil, err
	}
	p := &BrokerProcess{
		cfg: cfg, log: bc.Logger, listener: l, stopping: make(chan struct{}), ended: make(chan struct{}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_kafka_broker_restarts_total", Help: "How often the embedded Kafka broker's process ended and was started again.",
		}),
	}
	p.cfg.Broker.Addr = l.Addr().String() // the port stays
	if !canInherit {
		p.listener = nil
		if err := l.Close(); err != nil {
			return nil, fmt.Errorf("listen for Kafka clients on %s: %w", p.cfg.Broker.Addr, err)
		}
	}
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(p.restarts); err != nil {
			return nil, errors.Join(err, p.closeListener())
		}
	}
	c, ready, err := p.start(ctx.Done())
	if err != nil {
		return nil, errors.Join(err, p.closeListener())
	}
	p.child, p.addr, p.listenAddr = c, ready.Addr, ready.Listen
	p.log.Info("the embedded Kafka broker is ready", "pid", c.cmd.Process.Pid, "addr", p.addr)
	go p.supervise(c)
	return p, nil
}

// awaitOrphan waits for the broker of a supervisor that was killed. Such a broker stops once it notices, and holds the directory
// until then.
func awaitOrphan(ctx context.Context, dir string, logger *slog.Logger) error {
	if dir == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit+time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for first := true; ; first = false {
		release, err := lockfile.Lock(dir)
		if err == nil {
			return release()
		}
		if fault.KindOf(err) != fault.KindPrecondition {
			return err
		}
		if first {
			logger.Info("waiting for the embedded Kafka broker of a previous process to stop", "dir", dir)
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// Addr is the advertised host:port, to which clients connect.
func (p *BrokerProcess) Addr() string { return p.addr }

// ListenAddr is the host:port that the broker listens on; the same as Addr unless another address is advertised.
func (p *BrokerProcess) ListenAddr() string { return p.listenAddr }

// PID is the id of the broker process; it changes with a restart, and is 0 while there is none.
func (p *BrokerProcess) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return 0
	}
	return p.child.cmd.Process.Pid
}

// Close stops the broker in order, and kills its process if that takes more than 10 seconds. Calling it again returns the
// result of the first call.
func (p *BrokerProcess) Close() error {
	p.once.Do(func() { close(p.stopping) })
	<-p.ended
	return p.err
}

func (p *BrokerProcess) closeListener() error {
	if p.listener == nil {
		return nil
	}
	return p.listener.Close()
}

// supervise restarts the broker whenever it exits: at once if it had served, and with growing pauses if it could not be
// started.
func (p *BrokerProcess) supervise(c *child) {
	const first, last = 250 * time.Millisecond, 10 * time.Second
	defer close(p.ended)
	defer func() { p.err = errors.Join(p.err, p.closeListener()) }()
	pause := time.Duration(0)
	for {
		var reason error
		if c != nil {
			select {
			case <-c.exited:
			case <-p.stopping:
				p.err = c.shutDown()
				return
			}
			reason, pause = c.reason(), 0
		}
		p.mu.Lock()
		p.child = nil
		p.mu.Unlock()
		if c != nil {
			p.restarts.Inc()
			p.log.Error("the embedded Kafka broker exited; restarting it", "reason", reason, "stderr", c.errorOutput())
		}
		select {
		case <-p.stopping:
			return
		case <-time.After(pause):
		}
		next, _, err := p.start(p.stopping)
		c = next
		if err != nil {
			select {
			case <-p.stopping:
				return
			default:
			}
			pause = min(max(2*pause, first), last)
			p.log.Error("cannot start the embedded Kafka broker; retrying", "error", err, "in", pause.String())
			continue
		}
		p.mu.Lock()
		p.child = c
		p.mu.Unlock()
		p.log.Info("the embedded Kafka broker is ready again", "pid", c.cmd.Process.Pid)
	}
}

// child is one process.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	said   chan childLine
	exited chan struct{}
	errors headWriter
	failed string // what it said last, if that was "failed"
	silent atomic.Int64
	hung   atomic.Bool
}

// watch kills the process when it has been silent for too long. It counts seconds instead of reading the clock, because this process
// may have been stopped itself.
func (c *child) watch(silence time.Duration) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-c.exited:
			return
		case <-tick.C:
			if time.Duration(c.silent.Add(1))*beat > max(silence, 2*beat) {
				c.hung.Store(true)
				_ = c.cmd.Process.Kill()
				return
			}
		}
	}
}

// start starts a process and waits until it serves, or cancel.
func (p *BrokerProcess) start(cancel <-chan struct{}) (*child, childLine, error) {
	bc := p.cfg.Broker
	cfg := childConfig{
		Addr: bc.Addr, Advertise: bc.Advertise, Dir: bc.Dir, RetentionInterval: bc.RetentionInterval, Limits: bc.Limits,
		MemoryBytes: p.cfg.MemoryBytes, Inherited: p.listener != nil, Level: slog.LevelInfo,
	}
	if p.log.Enabled(context.Background(), slog.LevelDebug) {
		cfg.Level = slog.LevelDebug
	}
	line, err := json.Marshal(cfg)
	if err != nil {
		return nil, childLine{}, err
	}
	c := &child{cmd: exec.Command(p.cfg.Command[0], p.cfg.Command[1:]...), said: make(chan childLine, 1), exited: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	c.cmd.Stderr = &c.errors
	separate(c.cmd)
	if p.listener != nil {
		f, err := listenerFile(p.listener)
		if err != nil {
			return nil, childLine{}, fmt.Errorf("pass the port for Kafka clients to the broker: %w", err)
		}
		defer f.Close()
		c.cmd.ExtraFiles = []*os.File{f}
	}
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, childLine{}, err
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, childLine{}, err
	}
	started := make(chan error)
	go func() {
		// Linux ends the process when this thread is gone, which it must not be before the process is.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.exited)
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.listen(stdout, p.log) // until its end: Wait closes the pipe
			_ = c.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, childLine{}, fmt.Errorf("start the embedded Kafka broker's process: %w", err)
	}
	go c.watch(p.cfg.Silence)
	_, _ = stdin.Write(append(line, '\n')) // fails when the process has ended, which says more
	select {
	case said := <-c.said:
		if said.Broker == "ready" {
			return c, said, nil
		}
		return nil, childLine{}, c.give(said.failure())
	case <-c.exited:
		select {
		case said := <-c.said: // it had time for a last word
			if said.Broker == "failed" {
				return nil, childLine{}, said.failure()
			}
		default:
		}
		return nil, childLine{}, fmt.Errorf("the embedded Kafka broker's process exited before it was ready: %w", c.reason())
	case <-cancel:
		return nil, childLine{}, c.give(context.Canceled)
	}
}

// failure is the error of StartBroker in the child process.
func (l childLine) failure() error {
	if l.Kind == fault.KindInternal {
		return errors.New(l.Text)
	}
	return &fault.Error{Kind: l.Kind, Msg: l.Text}
}

// give kills the process, waits for its end, and returns err.
func (c *child) give(err error) error {
	_ = c.cmd.Process.Kill()
	<-c.exited
	return err
}

// listen reads the output of the process until its end.
func (c *child) listen(stdout io.Reader, logger *slog.Logger) {
	in := bufio.NewReader(stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			c.take(line, logger)
		}
		if err != nil {
			return
		}
	}
}

// take handles one line.
func (c *child) take(line []byte, logger *slog.Logger) {
	c.silent.Store(0)
	var said childLine
	if json.Unmarshal(line, &said) == nil && said.Broker != "" {
		if said.Broker == "alive" {
			return
		}
		if said.Broker == "failed" {
			c.failed = said.Text
		}
		select {
		case c.said <- said:
		default: // no one waits for it any more
		}
		return
	}
	var fields map[string]any
	var level slog.Level
	if json.Unmarshal(line, &fields) != nil {
		logger.Error("the embedded Kafka broker wrote a line that is not a log line", "line", string(line))
		return
	}
	if text, _ := fields["level"].(string); level.UnmarshalText([]byte(text)) != nil {
		level = slog.LevelError
	}
	msg, _ := fields["msg"].(string)
	for _, k := range []string{"time", "level", "msg"} {
		delete(fields, k)
	}
	var attrs []slog.Attr
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		attrs = append(attrs, slog.Any(k, fields[k]))
	}
	logger.LogAttrs(context.Background(), level, msg, attrs...)
}

// shutDown ends the process in order, or by force.
func (c *child) shutDown() error {
	_ = c.stdin.Close()
	late := time.NewTimer(stopLimit + 2*time.Second)
	defer late.Stop()
	select {
	case <-c.exited:
	case <-late.C:
		return c.give(fmt.Errorf("the embedded Kafka broker's process did not stop within %s and was killed: nothing acknowledged is lost", stopLimit))
	}
	switch {
	case c.cmd.ProcessState.Success():
		return nil
	case c.failed != "":
		return errors.New(c.failed)
	}
	return fmt.Errorf("stop the embedded Kafka broker's process: %w; it wrote: %s", c.reason(), c.errorOutput())
}

// reason says how the process ended. It has ended.
func (c *child) reason() error {
	why := c.cmd.ProcessState.String()
	switch c.cmd.ProcessState.ExitCode() {
	case exitMemory:
		why = "it exceeded its memory limit"
	case exitStuck:
		why = "it did not answer"
	}
	if c.hung.Load() {
		why = "it was hanging and was killed"
	}
	for line := range strings.Lines(c.errors.String()) {
		for _, head := range []string{"panic: ", "fatal error: ", "runtime: "} {
			if strings.HasPrefix(line, head) {
				return fmt.Errorf("%s: %s", why, strings.TrimSpace(line))
			}
		}
	}
	return errors.New(why)
}

func (c *child) errorOutput() string { return c.errors.String() }

// headWriter keeps the beginning of the output: it has the panic, before the stacks of all goroutines.
type headWriter struct {
	mu  sync.Mutex
	buf []byte
}

const headBytes = 2 << 10

func (h *headWriter) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = append(h.buf, b[:min(len(b), headBytes-len(h.buf))]...)
	return len(b), nil
}

func (h *headWriter) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.buf)
}
