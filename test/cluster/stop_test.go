//go:build servers

package cluster_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/test/cluster"
)

// small is one process of each service.
func small() map[string]int {
	return map[string]int{"metadata": 1, "rating": 1, "movie": 1, "gateway": 1}
}

// TestStopOrder holds a rating process in the middle of a call and of a transaction of ingestion, by a lock on a row of its
// database, and asks it to stop: it says that it is not ready, is out of Consul while it still takes connections, takes no
// more then, still ingests while the call is in flight, and when the row is free answers the call, ends its transaction,
// leaves the consumer group and ends with exit code 0.
func TestStopOrder(t *testing.T) {
	c := start(t, cluster.Config{Instances: small(), DrainDelay: time.Second})
	p := c.Process("rating-1")
	held := holdRating(t, c, p)

	asked := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "readiness to be off", func(ctx context.Context) error {
		if err := p.Ready(ctx); err == nil || !strings.Contains(err.Error(), "draining") {
			return fmt.Errorf("readyz says %v", err)
		}
		return nil
	})
	eventually(t, "the deregistration", func(context.Context) error {
		instances, _, err := c.Consul.Client().Catalog().Service("rating", "", nil)
		if err == nil && len(instances) > 0 {
			err = errors.New("it is in the catalogue")
		}
		return err
	})
	if err := connect(p.Address); err != nil {
		t.Errorf("it takes no connections although those who have not noticed may still come: %v", err)
	}
	eventually(t, "the listener to be closed", func(context.Context) error {
		if err := connect(p.Address); !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("connecting gives %v", err)
		}
		return nil
	})
	if took := time.Since(asked); took < time.Second {
		t.Errorf("the listener was closed %s after SIGTERM, before the drain delay of a second was over", took)
	}
	// The call is in flight, and nothing behind it has ended.
	if !p.Running() {
		t.Fatal("it has ended with a call in flight")
	}
	if n := members(t, c); n != 1 {
		t.Errorf("the consumer group has %d members while calls are drained, want 1: ingestion ends after them", n)
	}
	if n := held.connections(t); n < 2 {
		t.Errorf("it has %d connections to the database, want that of the call and that of ingestion", n)
	}

	held.release(t)
	if err := <-held.answer; err != nil {
		t.Errorf("the call in flight was not answered: %v", err)
	}
	end, err := p.AwaitEnd(asked, 25*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if end.Code != 0 || end.Signal != 0 {
		t.Errorf("it ended with %s", end)
	}
	t.Logf("ended with %s", end)
	// At once, and not when its session is over.
	if n := members(t, c); n != 0 {
		t.Errorf("it ended and left %d members in the consumer group", n)
	}
	if n := held.connections(t); n != 0 {
		t.Errorf("it ended and left %d connections to the database", n)
	}
	log, err := p.Log()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log, "level=ERROR") {
		t.Error("an orderly stop logs errors")
	}
	// What was acknowledged, and what was ingested, is there once.
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitVotes(t, c, "held", 3)
}

// TestSecondSignal: who asks twice does not wait for a call in flight.
func TestSecondSignal(t *testing.T) {
	c := start(t, cluster.Config{Instances: small(), StaticDiscovery: true})
	p := c.Process("rating-1")
	held := holdRating(t, c, p)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the listener to be closed", func(context.Context) error {
		if err := connect(p.Address); !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("connecting gives %v", err)
		}
		return nil
	})
	if !p.Running() {
		t.Fatal("it has ended with a call in flight")
	}
	again := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	end, err := p.AwaitEnd(again, 5*time.Second)
	if err != nil || end.Signal != syscall.SIGTERM {
		t.Errorf("after the second SIGTERM: %s, %v; want its end by that signal", end, err)
	}
	held.release(t)
	if err := <-held.answer; err == nil {
		t.Error("the call in flight was answered by a process that is gone")
	}
}

// TestStopWithoutServers: no missing server, Consul, Kafka or MariaDB, holds up a stop or makes a failure of it, and a start
// that waits can be ended too.
func TestStopWithoutServers(t *testing.T) {
	c := start(t, cluster.Config{Instances: small()})
	if err := errors.Join(c.Consul.Kill(), c.Kafka.Brokers[0].Kill(), c.MariaDB.Kill()); err != nil {
		t.Fatal(err)
	}
	stopAll := func(codes map[string]int) {
		t.Helper()
		for _, p := range c.Processes() {
			end, err := p.Stop()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %s", p.Name, end)
			if want := codes[p.Service]; end.Signal != 0 || end.Code != want {
				t.Errorf("%s ended with %s, want exit code %d", p.Name, end, want)
			}
			if end.Took > 10*time.Second {
				t.Errorf("%s took %s", p.Name, end.Took)
			}
		}
	}
	stopAll(map[string]int{})
	read := make(map[string]int) // how much of each log is of the first life
	for _, p := range c.Processes() {
		if log, err := p.Log(); err == nil {
			read[p.Name] = len(log)
		}
	}
	if err := c.Launch(); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Processes() {
		eventually(t, p.Name+" to wait", func(ctx context.Context) error {
			_, err := p.Metrics(ctx)
			if err == nil && !keepsData(p) {
				// For whom it calls, and these wait for MariaDB; it serves meanwhile, if not much.
				var log string
				if log, err = p.Log(); err == nil && !anyLine(log[read[p.Name]:], "level=WARN", "waiting for the ", " service") {
					err = errors.New(log[read[p.Name]:])
				}
			}
			return err
		})
		if p.Ready(t.Context()) == nil {
			t.Errorf("%s is ready although it can answer nothing", p.Name)
		}
	}
	const interrupted = 130 // before it served
	stopAll(map[string]int{"metadata": interrupted, "rating": interrupted})
}

// keepsData reports whether the process needs MariaDB to become ready.
func keepsData(p *cluster.Process) bool { return p.Service == "metadata" || p.Service == "rating" }

// TestStopsUnderLoad stops one process of each service after the other while reads, ratings and events flow: each ends with exit
// code 0 within 25 seconds, and no request fails.
func TestStopsUnderLoad(t *testing.T) {
	c := start(t, cluster.Config{DrainDelay: time.Second})
	const film = "loaded"
	gateways := c.Targets().Gateways
	if _, err := ask(t.Context(), http.MethodPut, gateways[0]+"/v1/movies/"+film, `{"title": "A Film"}`); err != nil {
		t.Fatal(err)
	}
	var served, events atomic.Int64
	ctx, end := context.WithCancel(t.Context())
	var load sync.WaitGroup
	defer loadtest.Wait()
	defer end()
	// Gateways are asked as a load balancer would: the one that is ready.
	pick := func(n int) string {
		first := c.Of("gateway")[n%2]
		if first.Ready(ctx) == nil {
			return "http://" + first.Address
		}
		return "http://" + c.Of("gateway")[(n+1)%2].Address
	}
	for worker := range 4 {
		loadtest.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				gateway := pick(n + worker)
				var err error
				if n%2 == 0 {
					_, err = movie(ctx, gateway, film)
				} else {
					_, err = ask(ctx, http.MethodPut, fmt.Sprintf("%s/v1/records/movie/%s/ratings/w%d-%d", gateway, film, worker, n%500), `{"value": 7}`)
				}
				if err != nil && ctx.Err() == nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				served.Add(1)
			}
		})
	}
	loadtest.Go(func() {
		client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...), kgo.DefaultProduceTopic("ratings"), kgo.UnknownTopicRetries(-1))
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		for n := 0; ctx.Err() == nil; n++ {
			value := fmt.Sprintf(`{"userId":"e%d","recordId":"r%d","recordType":"movie","value":%d,"providerId":"test"}`, n, n%100, 1+n%10)
			if err := client.ProduceSync(ctx, &kgo.Record{Value: []byte(value)}).FirstErr(); err == nil {
				events.Add(1)
			}
		}
	})
	for _, name := range []string{"rating-1", "metadata-1", "movie-1", "gateway-1"} {
		before, eventsBefore := served.Load(), events.Load()
		eventually(t, "load", func(context.Context) error {
			if served.Load() < before+200 || events.Load() < eventsBefore+200 {
				return fmt.Errorf("%d requests, %d events", served.Load()-before, events.Load()-eventsBefore)
			}
			return nil
		})
		p := c.Process(name)
		stopped, err := p.Stop()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s, after %d requests and %d events", name, stopped, served.Load(), events.Load())
		if stopped.Code != 0 || stopped.Signal != 0 {
			t.Errorf("%s ended with %s", name, stopped)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// heldRating is a lock on the ratings of film "held", which has one rating, and a call that waits for it; ingestion waits too.
type heldRating struct {
	root   *sql.DB
	tx     *sql.Tx
	answer chan error
}

func holdRating(t *testing.T, c *cluster.Cluster, p *cluster.Process) *heldRating {
	t.Helper()
	if _, err := ask(t.Context(), http.MethodPut, c.Targets().Gateways[0]+"/v1/movies/held", `{"title": "Held"}`); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(p.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	put := func(user string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		_, err := ratingv1.NewRatingServiceClient(conn).PutRating(ctx,
			&ratingv1.PutRatingRequest{RecordType: "movie", RecordId: "held", UserId: user, Value: proto.Int32(8)})
		return err
	}
	if err := put("alice"); err != nil {
		t.Fatal(err)
	}
	h := &heldRating{root: c.MariaDB.Root(), answer: make(chan error, 1)}
	if h.tx, err = h.root.BeginTx(context.WithoutCancel(t.Context()), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.tx.Rollback() }) // for a test that failed; released it is over
	if _, err := h.tx.ExecContext(t.Context(), "UPDATE movieexample_rating.aggregates SET votes = votes WHERE record_id = 'held'"); err != nil {
		t.Fatal(err)
	}
	go func() { h.answer <- put("bob") }()
	publish(t, c, `{"userId":"carol","recordId":"held","recordType":"movie","value":4,"providerId":"test"}`)
	// InnoDB keeps this table for a client that asks again within a tenth of a second, so one who asks faster never sees a change.
	eventuallyEvery(t, 250*time.Millisecond, "the call and ingestion to wait for the row", func(ctx context.Context) error {
		var waiting int
		err := h.root.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'").Scan(&waiting)
		if err == nil && waiting < 2 {
			err = fmt.Errorf("%d transactions wait", waiting)
		}
		return err
	})
	return h
}

func (h *heldRating) release(t *testing.T) {
	t.Helper()
	if err := h.tx.Rollback(); err != nil {
		t.Fatal(err)
	}
}

// connections is how many the rating service has to its database.
func (h *heldRating) connections(t *testing.T) (n int) {
	t.Helper()
	err := h.root.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'movieexample_rating'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// members is how many members the consumer group has.
func members(t *testing.T, c *cluster.Cluster) int {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	groups, err := kadm.NewClient(client).DescribeGroups(t.Context(), "rating")
	if err = errors.Join(err, groups.Error()); err != nil {
		t.Fatal(err)
	}
	return len(groups["rating"].Members)
}

// connect opens a connection and closes it.
func connect(address string) error {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}
