//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"movieexample.com/internal/kafka"
)

// brokerPID is the process of the embedded broker now, as the log says.
func (p *program) brokerPID(t *testing.T) int {
	t.Helper()
	found := regexp.MustCompile(`msg="the embedded Kafka broker is ready(?: again)?".* pid=(\d+)`).FindAllStringSubmatch(p.stderr.String(), -1)
	if len(found) == 0 {
		return 0
	}
	pid, err := strconv.Atoi(found[len(found)-1][1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestBrokerIsKilled kills the embedded broker, three times, while events flow in: it comes back, nothing that it acknowledged
// is lost, ingestion continues, and the rest of the process does not notice. Then it kills the process: the broker goes with it.
func TestBrokerIsKilled(t *testing.T) {
	data := t.TempDir()
	p, a := startSystemProcess(t, nil, "serve", "--data", data)
	get := func(url string) (int, string) {
		resp, err := http.Get(url)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, a.Gateway+"/v1/movies/tt1", strings.NewReader(`{"title":"A Film","year":1999}`))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode/100 != 2 {
		t.Fatal(resp, err)
	}

	producer, err := kafka.NewProducer(t.Context(), kafka.ProducerConfig{Config: kafka.Config{Brokers: []string{a.Kafka}}, Topic: "ratings"})
	if err != nil {
		t.Fatal(err)
	}
	var published, acknowledged atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		tick := time.NewTicker(time.Millisecond) // hundreds, not all that the machine can do
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			event := fmt.Sprintf(`{"userId":"u%d","recordId":"tt1","recordType":"movie","value":7}`, n)
			done := func(_ int32, _ int64, err error) {
				if err == nil {
					acknowledged.Add(1)
				}
			}
			if producer.Publish(ctx, kafka.Message{Key: []byte(event), Value: []byte(event)}, done) == nil {
				published.Add(1)
			}
			<-tick.C
		}
	}()
	// The gateway and the readiness, all the time.
	var asked atomic.Int64
	watched := make(chan string, 1)
	go func() {
		defer close(watched)
		for ctx.Err() == nil {
			for _, url := range []string{a.Gateway + "/v1/movies/tt1", a.Admin + "/readyz"} {
				if code, body := get(url); code != http.StatusOK && ctx.Err() == nil {
					watched <- fmt.Sprintf("%s: %d %s", url, code, body)
					return
				}
				asked.Add(1)
			}
		}
	}()
	longest := time.Duration(0)
	for range 3 {
		before := acknowledged.Load()
		p.await(t, "acknowledgements", func() bool { return acknowledged.Load() > before+100 })
		was := p.brokerPID(t)
		if err := unix.Kill(was, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		p.await(t, "another broker", func() bool { return p.brokerPID(t) != was })
		cl, err := kafka.NewClient(kafka.Config{Brokers: []string{a.Kafka}}) // at the same address
		if err != nil {
			t.Fatal(err)
		}
		if err := kafka.Ping(t.Context(), cl); err != nil {
			t.Error(err)
		}
		cl.Close()
		longest = max(longest, time.Since(began))
	}
	before := acknowledged.Load()
	p.await(t, "acknowledgements", func() bool { return acknowledged.Load() > before+100 })
	stop()
	<-finished
	if said, ok := <-watched; ok {
		t.Errorf("while the broker was away: %s", said)
	}
	if _, err := producer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := producer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if acknowledged.Load() != published.Load() {
		t.Errorf("%d events published, %d acknowledged", published.Load(), acknowledged.Load())
	}
	votes := func() int64 {
		var film struct {
			RatingSummary struct {
				Votes json.Number `json:"votes"`
			} `json:"ratingSummary"`
		}
		_, body := get(a.Gateway + "/v1/movies/tt1")
		if err := json.Unmarshal([]byte(body), &film); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		n, _ := film.RatingSummary.Votes.Int64()
		return n
	}
	p.await(t, "all events to be ingested", func() bool { return votes() == published.Load() })
	if longest > 2*time.Second {
		t.Errorf("the broker was away for %s, want 2 s at most", longest)
	}
	t.Logf("%d events, none lost; %d answers beside them; the broker was away for %s at most", published.Load(), asked.Load(), longest.Round(time.Millisecond))
	if _, metrics := get(a.Admin + "/metrics"); !strings.Contains(metrics, "\nmovieexample_kafka_broker_restarts_total 3\n") {
		t.Error("the metrics do not have 3 restarts")
	}

	broker := p.brokerPID(t)
	p.signal(t, unix.SIGKILL)
	<-p.exited
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", a.Kafka)
		if err != nil && !processRuns(broker) {
			break // neither the process nor its port is left
		}
		if err == nil {
			_ = c.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("the broker (process %d) outlives its process: %v", broker, err)
		}
		<-time.After(time.Millisecond)
	}
	p, a = startSystemProcess(t, nil, "serve", "--data", data)
	p.await(t, "the same votes after a start", func() bool { return votes() == published.Load() })
	p.signal(t, unix.SIGTERM)
	if o := p.wait(t); o.code != 0 || strings.Contains(o.stderr, "level=ERROR") {
		t.Errorf("exit code %d after SIGTERM", o.code)
	}
}

// processRuns reports whether the process does anything: what has ended may stay in the table until it is reaped.
func processRuns(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return unix.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// TestBrokerCommand: serve and demo start it, and nothing else does.
func TestBrokerCommand(t *testing.T) {
	if o := start(t, nil, "broker").wait(t); o.code != exitUsage || !strings.Contains(o.stderr, "serve and demo start the embedded Kafka broker; it cannot be started by hand") {
		t.Errorf("%+v", o)
	}
	if o := start(t, nil, "--help").wait(t); strings.Contains(o.stdout, "  broker ") {
		t.Error("the help has it")
	}
}
