package kafka

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"syscall"
	"time"

	"movieexample.com/internal/fault"
)

// childEnv is set in the environment of a broker process; see [StartBrokerProcess].
const childEnv = "MOVIEEXAMPLE_BROKER_PROCESS"

// Exit codes of a broker process besides 0.
const (
	exitFailed = 1 // to start, or to stop in order; the line before says why
	exitMemory = 3
	exitStuck  = 4
)

// beat is how often a broker process reports that it is alive.
const beat = time.Second

const stopLimit = 10 * time.Second // for an orderly stop; then the process exits

// childConfig is the first line that a broker process reads.
type childConfig struct {
	Addr, Advertise, Dir string
	RetentionInterval    time.Duration
	Limits               Limits
	Inherited            bool // the listener is file descriptor 3
	MemoryBytes          int64
	Level                slog.Level
}

// childLine is a line on a broker process's standard output that is not a log line.
type childLine struct {
	Broker       string     `json:"broker"` // "ready", "failed" or "alive"
	Addr, Listen string     `json:",omitempty"`
	Kind         fault.Kind `json:",omitempty"`
	Text         string     `json:",omitempty"`
}

// IsBrokerProcess reports whether this process was started by [StartBrokerProcess] and must only call [RunBrokerProcess].
func IsBrokerProcess() bool { return os.Getenv(childEnv) != "" }

// RunBrokerProcess runs the broker that the parent process requested with [StartBrokerProcess], until standard input ends,
// which also happens when the parent dies. It returns the exit code.
func RunBrokerProcess() int {
	// Signals to a whole process group or service are for the parent, which stops this process when it no longer needs it.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	out := &lockedWriter{w: os.Stdout}
	say := func(l childLine) {
		b, err := json.Marshal(l)
		if err == nil {
			_, _ = out.Write(append(b, '\n')) // fails only without a reader
		}
	}
	in := bufio.NewReader(os.Stdin)
	var cfg childConfig
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &cfg)
	}
	if err != nil {
		say(childLine{Broker: "failed", Text: fmt.Sprintf("the configuration of the broker process cannot be read: %v", err)})
		return exitFailed
	}
	logger := slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: cfg.Level}))
	go func() {
		for range time.Tick(beat) { // also while it reads a large log
			say(childLine{Broker: "alive"})
		}
	}()
	orphaned := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(orphaned)
	}()
	b, err := startChild(cfg, logger)
	if err != nil {
		say(childLine{Broker: "failed", Kind: fault.KindOf(err), Text: err.Error()})
		return exitFailed
	}
	go watchMemory(boundMemory(cfg.MemoryBytes), logger)
	go watchAnswers(b, orphaned, logger)
	say(childLine{Broker: "ready", Addr: b.Addr(), Listen: b.ListenAddr()})
	<-orphaned
	time.AfterFunc(stopLimit, func() {
		say(childLine{Broker: "failed", Text: fmt.Sprintf("the broker did not stop within %s", stopLimit)})
		os.Exit(exitFailed)
	})
	if err := b.Close(); err != nil {
		say(childLine{Broker: "failed", Text: err.Error()})
		return exitFailed
	}
	return 0
}

func startChild(cfg childConfig, logger *slog.Logger) (*Broker, error) {
	bc := BrokerConfig{Addr: cfg.Addr, Advertise: cfg.Advertise, Dir: cfg.Dir, RetentionInterval: cfg.RetentionInterval, Limits: cfg.Limits, Logger: logger}
	if cfg.Inherited {
		l, err := inheritedListener()
		if err != nil {
			return nil, err
		}
		bc.Listener = l
	}
	return StartBroker(context.Background(), bc)
}

// boundMemory makes the garbage collector work harder near the limit, and makes the kernel refuse memory far beyond it. The limit
// does not include the records that the broker has loaded: otherwise a broker with many records would exit again and again.
func boundMemory(limit int64) (most int64) {
	runtime.GC()
	most = memoryInUse() + limit
	debug.SetMemoryLimit(most - limit/4)
	limitData(2*limit + 512<<20) // besides what there is now, with room for the stacks of threads
	return most
}

func memoryInUse() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64() - s[2].Value.Uint64())
}

// watchMemory ends the process when it exceeds its memory limit.
func watchMemory(most int64, logger *slog.Logger) {
	for range time.Tick(100 * time.Millisecond) {
		if memoryInUse() <= most {
			continue
		}
		runtime.GC() // garbage is not counted as a crime
		if used := memoryInUse(); used > most {
			logger.Error("the embedded Kafka broker exceeds its memory limit and exits", "bytes", used, "limit", most)
			os.Exit(exitMemory)
		}
	}
}

// watchAnswers ends the process when the library no longer answers: it has one goroutine for all requests. Waiting for a slow
// disk is something else, and a restart would not make it faster.
func watchAnswers(b *Broker, stopping <-chan struct{}, logger *slog.Logger) {
	for range time.Tick(time.Second) {
		before := b.guard.answered.Load()
		ctx, cancel := context.WithTimeout(context.Background(), stuckAfter)
		_ = b.alive(ctx) // how it fails does not matter: only that the time is over
		late := ctx.Err() != nil
		cancel()
		select {
		case <-stopping: // in order, which has its own limit
			return
		default:
		}
		if !late || b.guard.answered.Load() > before {
			continue
		}
		stack := libraryStack()
		if strings.Contains(stack, "syscall.") {
			b.guard.log("the embedded Kafka broker waits for its disk", "for", stuckAfter.String())
			continue
		}
		fmt.Fprintf(os.Stderr, "fatal error: the broker did not answer for %s\n\n%s\n", stuckAfter, stack)
		logger.Error("the embedded Kafka broker does not answer and exits", "for", stuckAfter.String())
		os.Exit(exitStuck)
	}
}

// libraryStack returns the stack of the library's only goroutine.
func libraryStack() string {
	stacks := make([]byte, 4<<20)
	for s := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(s, "kfake.(*Cluster).run(") {
			return s
		}
	}
	return "its goroutine is gone"
}

// lockedWriter writes whole lines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
