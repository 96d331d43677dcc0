//go:build servers

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/test/cluster"
)

// TestStartsInAnyOrder starts the processes before their servers, and these in several orders: each process waits, says for
// what, and works when everything is there; none ends, and none is started twice.
func TestStartsInAnyOrder(t *testing.T) {
	c := create(t, cluster.Config{})
	stopServers := func() {
		t.Helper()
		if err := errors.Join(c.MariaDB.Stop(), c.Kafka.Stop(), c.Consul.Stop()); err != nil {
			t.Fatal(err)
		}
	}
	stopServers()
	server := map[string]func(context.Context) error{
		"MariaDB": c.MariaDB.Start,
		"Kafka":   c.Kafka.Brokers[0].Start,
		"Consul":  c.Consul.Start,
	}
	for round, order := range [][]string{
		{"Consul", "Kafka", "MariaDB"},
		{"MariaDB", "Consul", "Kafka"},
		{"Kafka", "MariaDB", "Consul"},
	} {
		t.Run(strings.Join(order, ", "), func(t *testing.T) {
			processes := c.Processes()
			if round%2 == 0 { // callers first, too
				slices.Reverse(processes)
			}
			lives := make(map[string]int)
			read := make(map[string]int) // how much of each log is of earlier lives
			for _, p := range processes {
				if before, err := p.Log(); err == nil {
					read[p.Name] = len(before)
				}
				if err := p.Launch(); err != nil {
					t.Fatal(err)
				}
				lives[p.Name] = p.PID()
			}
			says := func(service string, parts ...string) {
				t.Helper()
				for _, p := range c.Of(service) {
					eventually(t, fmt.Sprintf("%q in the log of %s", parts, p.Name), func(context.Context) error {
						log, err := p.Log()
						if err == nil && !anyLine(log[read[p.Name]:], parts...) {
							err = errors.New(log[read[p.Name]:])
						}
						return err
					})
				}
			}
			waits := map[string]func(){
				"MariaDB": func() {
					says("metadata", "level=WARN", "waiting for the database of metadata", c.MariaDB.Address())
					says("rating", "level=WARN", "waiting for the database of rating", c.MariaDB.Address())
				},
				"Kafka": func() {
					if slices.Index(order, "Kafka") > slices.Index(order, "MariaDB") { // else it is there when rating comes to it
						says("rating", "level=WARN", "waiting for Kafka", c.Kafka.Bootstrap()[0])
					}
				},
				"Consul": func() { says("movie", "level=WARN", "Consul", c.Consul.Address()) },
			}
			for _, name := range order {
				waits[name]()
				if err := server[name](t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.AwaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			says("metadata", "level=INFO", "msg=ready")

			id := "order" + strconv.Itoa(round)
			gateway := c.Targets().Gateways[0]
			eventually(t, "a film to be taken", func(ctx context.Context) error {
				_, err := ask(ctx, http.MethodPut, gateway+"/v1/movies/"+id, `{"title": "A Film"}`)
				return err
			})
			eventually(t, "a rating to be taken", func(ctx context.Context) error {
				_, err := ask(ctx, http.MethodPut, gateway+"/v1/records/movie/"+id+"/ratings/alice", `{"value": 8}`)
				return err
			})
			publish(t, c, fmt.Sprintf(`{"userId":"bob","recordId":%q,"recordType":"movie","value":4,"providerId":"test"}`, id))
			awaitVotes(t, c, id, 2)

			for _, p := range c.Processes() {
				if !p.Running() || p.PID() != lives[p.Name] {
					t.Errorf("%s has not lived through the start", p.Name)
				}
			}
			if err := c.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWaitsForSchema: processes whose users may not change tables, started before anybody has migrated the databases, wait and
// say what is to be done.
func TestWaitsForSchema(t *testing.T) {
	c := create(t, cluster.Config{StaticDiscovery: true, EmptyDatabases: true})
	if err := c.Launch(); err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"metadata", "rating"} {
		for _, p := range c.Of(service) {
			eventually(t, p.Name+" to say what it waits for", func(context.Context) error {
				log, err := p.Log()
				if err == nil && !anyLine(log, "level=WARN", "waiting for the database of "+service, "movieexample migrate up "+service) {
					err = errors.New(log)
				}
				return err
			})
		}
		if err := c.Migrate(t.Context(), service); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// anyLine reports whether a line of the log has all parts.
func anyLine(log string, parts ...string) bool {
	for line := range strings.Lines(log) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			return true
		}
	}
	return false
}

// publish sends an event, to a topic that the services may be about to make.
func publish(t *testing.T, c *cluster.Cluster, events ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...), kgo.DefaultProduceTopic("ratings"),
		kgo.UnknownTopicRetries(-1), kgo.RecordDeliveryTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for _, e := range events {
		records = append(records, &kgo.Record{Value: []byte(e)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestStaticDiscovery: a cluster without Consul, found through a file; a process that is added is found too.
func TestStaticDiscovery(t *testing.T) {
	c := start(t, cluster.Config{StaticDiscovery: true, Instances: map[string]int{"metadata": 1, "rating": 1, "movie": 1, "gateway": 1}})
	if c.Consul != nil {
		t.Error("there is a Consul")
	}
	gateway := c.Targets().Gateways[0]
	if _, err := ask(t.Context(), http.MethodPut, gateway+"/v1/movies/tt1", `{"title": "A Film"}`); err != nil {
		t.Fatal(err)
	}
	added, err := c.Add("movie")
	if err != nil {
		t.Fatal(err)
	}
	if err := added.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.Targets().Movie; len(got) != 2 || got[1] != added.Address {
		t.Errorf("the targets are %v, want the added one, %s, at the end", got, added.Address)
	}
	// It is found when calls reach it.
	eventually(t, "calls at "+added.Name, func(ctx context.Context) error {
		if _, err := movie(ctx, gateway, "tt1"); err != nil {
			return err
		}
		m, err := added.Metrics(ctx)
		if err == nil && m.Sum("movieexample_grpc_server_handled_total") == 0 {
			err = fmt.Errorf("there were none: %v", m)
		}
		return err
	})
	if rss, err := added.RSS(); err != nil || rss < 1<<20 {
		t.Errorf("memory: %d, %v", rss, err)
	}
	if m, err := c.Process("rating-1").Metrics(t.Context()); err != nil || len(m) < 20 {
		t.Errorf("metrics: %v, %v", m, err)
	}
}

// TestNothingStays: the program that has a cluster is killed, and with it all that it started ends.
func TestNothingStays(t *testing.T) {
	if os.Getenv("CLUSTER_TO_BE_KILLED") != "" {
		c := start(t, cluster.Config{StaticDiscovery: true})
		pids := []int{c.MariaDB.PID(), c.Kafka.Brokers[0].PID()}
		for _, p := range c.Processes() {
			pids = append(pids, p.PID())
		}
		fmt.Println("pids", strings.Trim(fmt.Sprint(pids), "[]"))
		<-t.Context().Done() // never: this program is killed
		return
	}
	binary, err := cluster.Build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestNothingStays$", "-test.v")
	cmd.Env = append(os.Environ(), "CLUSTER_TO_BE_KILLED=yes", cluster.BinaryVariable+"="+binary)
	out := &lines{found: make(chan string, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []string
	select {
	case line := <-out.found:
		pids = strings.Fields(line)[1:]
	case <-time.After(time.Minute):
		t.Errorf("no cluster within a minute:\n%s", out.text.String())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if t.Failed() {
		return
	}
	if len(pids) != 10 {
		t.Errorf("the cluster has the processes %v, want MariaDB, Kafka and eight", pids)
	}
	eventually(t, "the end of "+strings.Join(pids, ", "), func(context.Context) error {
		for _, pid := range pids {
			if _, err := os.Stat("/proc/" + pid); err == nil {
				return fmt.Errorf("%s is there", pid)
			}
		}
		return nil
	})
}

// lines hands over the line that begins with "pids ".
type lines struct {
	text  strings.Builder
	found chan string
	done  bool
}

func (l *lines) Write(p []byte) (int, error) {
	l.text.Write(p)
	if !l.done {
		for line := range strings.Lines(l.text.String()) {
			if strings.HasPrefix(line, "pids ") && strings.HasSuffix(line, "\n") {
				l.found <- line
				l.done = true
			}
		}
	}
	return len(p), nil
}
