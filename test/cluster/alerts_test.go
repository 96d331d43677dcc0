//go:build servers

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

// rules are those of deploy/prometheus, without waiting times and with shorter spans: what takes minutes to be sure of is the same in
// seconds. Each change has to find something.
func rules(t *testing.T) (text string, names []string) {
	t.Helper()
	file, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = string(file)
	for _, change := range [][2]string{
		{`(?m)^ +for: .*\n`, ""},
		{`\[5m\]`, "[10s]"},
		{`movieexample_rating_ingest_lag_seconds\) > 60`, "movieexample_rating_ingest_lag_seconds) > 5"},
		{`timestamp_seconds\) > 1800`, "timestamp_seconds) > 15"},
	} {
		changed := regexp.MustCompile(change[0]).ReplaceAllString(text, change[1])
		if changed == text {
			t.Fatalf("deploy/prometheus/alerts.yaml has no %q", change[0])
		}
		text = changed
	}
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return text, names
}

// fault is what an operator is to hear of.
type fault struct {
	name   string
	cause  func() error
	heal   func() error
	alerts []string
}

// TestAlerts causes every alert of docs/operations.md, on a real Prometheus with the rules of deploy/prometheus: none fires before,
// those of a fault do while it lasts, and none does when it is over. Each metric of a rule, and each that the text names, exists while
// all is well: one that comes with the first failure is not there when somebody writes an alert.
func TestAlerts(t *testing.T) {
	text, names := rules(t)
	c := start(t, cluster.Config{Instances: small(), Args: map[string][]string{"rating": {"--rating-dead-letter-bytes", "1MiB"}}})
	var admin []string
	for _, p := range c.Processes() {
		admin = append(admin, p.Admin)
	}
	job := newGuardedJob(t)
	admin = append(admin, job.address)
	prometheus, err := servers.StartPrometheus(t.Context(), servers.PrometheusConfig{Job: "movieexample", Targets: admin, Rules: text})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log, err := prometheus.Log(); t.Failed() && err == nil {
			t.Logf("Prometheus:\n%s", log)
		}
		if err := prometheus.Close(); err != nil {
			t.Error(err)
		}
	})
	visitors(t, c)

	firing := func(ctx context.Context) ([]string, error) {
		alerts, err := prometheus.Firing(ctx)
		found := make(map[string]bool)
		for _, a := range alerts {
			found[a.Labels["alertname"]] = true
		}
		return slices.Sorted(maps.Keys(found)), err
	}
	quiet := func(when string) {
		t.Helper()
		eventuallyWithin(t, time.Minute, "no alert "+when, func(ctx context.Context) error {
			if now, err := firing(ctx); err != nil || len(now) > 0 {
				return fmt.Errorf("%q fire, %v", now, err)
			}
			return nil
		})
	}
	for _, metric := range append(metricsOf(text), documentedMetrics(t)...) {
		eventually(t, metric+" in Prometheus", func(ctx context.Context) error {
			if n, err := prometheus.Series(ctx, `{__name__=~"`+metric+`(_count)?"}`); err != nil || n == 0 {
				return fmt.Errorf("%d series, %v", n, err)
			}
			return nil
		})
	}
	quiet("before any fault")

	rating := c.Process("rating-1")
	command := func(args ...string) error {
		args = append(args, "--rating-addr", rating.Address)
		if out, err := exec.CommandContext(t.Context(), c.Binary(), args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %w\n%s", args, err, out)
		}
		return nil
	}
	var release func() error // of what writes wait for
	crowd := &halfClients{}
	t.Cleanup(crowd.end)
	caused := make(map[string]bool)
	var leave func() // of the group
	for _, f := range []fault{
		{
			"a process is killed", c.Process("metadata-1").Kill, func() error { return c.Process("metadata-1").Start(t.Context()) },
			[]string{"ProcessDown", "CalleeAway", "VotesBehind"}, // films are answered as last known
		},
		{
			"the rating service is killed", rating.Kill, func() error { return rating.Start(t.Context()) },
			[]string{"ProcessDown", "CalleeAway", "RatingsAway"},
		},
		{
			"the database stops", c.MariaDB.Stop, func() error { return c.MariaDB.Start(t.Context()) },
			[]string{"ServerErrors", "SearchBehind", "IngestionBehind", "IngestionRetries"},
		},
		{
			"films are written faster than the database takes them", func() error { release, err = pileUp(t, c); return err }, func() error { return release() },
			[]string{"WritesRefused"},
		},
		{
			"background work panics", func() error { job.panics <- struct{}{}; return nil }, func() error { return nil },
			[]string{"BackgroundPanic"},
		},
		{
			"Consul stops", c.Consul.Stop, func() error { return c.Consul.Start(t.Context()) },
			[]string{"RegistryAway", "NotRegistered"},
		},
		{
			"clients open connections and send half of their requests", func() error { return crowd.begin(rating.Address) }, func() error { crowd.end(); return nil },
			[]string{"ConnectionsFull", "RequestsCut"},
		},
		{
			"an event is refused", func() error { publish(t, c, "no event"); return nil }, func() error { return command("dead-letters", "drop", "--all", "--yes") },
			[]string{"DeadLetters"},
		},
		{
			"more events are refused than are kept", func() error {
				for range 12 {
					publish(t, c, strings.Repeat("no event", 20<<10))
				}
				return nil
			}, func() error { return command("dead-letters", "drop", "--all", "--yes") },
			[]string{"DeadLetters", "DeadLettersDropped"},
		},
		{
			"a producer writes seconds", func() error { return publishSeconds(t, c) }, func() error { return nil },
			[]string{"ImplausibleTimes"},
		},
		{
			"Kafka stops", c.Kafka.Stop, func() error { return c.Kafka.Brokers[0].Start(t.Context()) },
			[]string{"KafkaDown", "IngestionBehind"},
		},
		{
			"another program is in the group", func() error { leave, err = occupyGroup(t, c, rating); return err }, func() error { leave(); return nil },
			[]string{"IngestionUnowned", "IngestionBehind"},
		},
		{
			"events are deleted before they are ingested", func() error { return deleteEvents(t, c, rating) },
			func() error {
				return command("ingestion", "resume", "--topic", cluster.Topic, "--all", "--from", "earliest")
			},
			[]string{"IngestionHalted"},
		},
	} {
		t.Log(f.name)
		if err := f.cause(); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		for _, alert := range f.alerts {
			if !slices.Contains(names, alert) {
				t.Fatalf("there is no alert %s", alert)
			}
			caused[alert] = true
			eventuallyWithin(t, time.Minute, alert+" when "+f.name, func(ctx context.Context) error {
				if now, err := firing(ctx); err != nil || !slices.Contains(now, alert) {
					return fmt.Errorf("%q fire, %v", now, err)
				}
				return nil
			})
		}
		if err := f.heal(); err != nil {
			t.Fatalf("when it is over that %s: %v", f.name, err)
		}
		quiet("when it is over that " + f.name)
	}
	for _, name := range names {
		if !caused[name] {
			t.Errorf("no fault here causes the alert %s", name)
		}
	}
}

// metricsOf are the names of metrics in the expressions of rules.
func metricsOf(rules string) []string {
	found := map[string]bool{}
	for _, expression := range regexp.MustCompile(`(?m)^ +expr: (.*)$`).FindAllStringSubmatch(rules, -1) {
		for _, m := range regexp.MustCompile(`\b(up|[a-z]+_[a-z_]+)[{)\[]`).FindAllStringSubmatch(expression[1], -1) {
			found[m[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// documentedMetrics are the names that docs/operations.md has in its text about watching; a star is any end.
func documentedMetrics(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`((?:movieexample|go|process)_[a-z_]*[a-z*])`").FindAllStringSubmatch(string(text), -1) {
		if m[1] != "movieexample_kafka_broker_restarts_total" { // of the embedded broker, which a cluster does not have
			names = append(names, strings.ReplaceAll(m[1], "*", ".*"))
		}
	}
	if len(names) < 20 {
		t.Fatalf("docs/operations.md names only the metrics %q", names)
	}
	return names
}

// visitors read films and set ratings, and publish an event each time, until the test ends. That requests fail is what some alerts are about.
func visitors(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...), kgo.DefaultProduceTopic(cluster.Topic))
	if err != nil {
		t.Fatal(err)
	}
	gateway := c.Targets().Gateways[0]
	if _, err := ask(ctx, http.MethodPut, gateway+"/v1/movies/seen", `{"title": "Seen"}`); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	every := func(d time.Duration, what func(n int)) {
		all.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-tick.C:
					what(n)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	every(100*time.Millisecond, func(int) { _, _ = ask(ctx, http.MethodGet, gateway+"/v1/movies/seen", "") })
	every(200*time.Millisecond, func(n int) {
		_, _ = ask(ctx, http.MethodPut, fmt.Sprintf("%s/v1/records/movie/seen/ratings/user-%d", gateway, n), `{"value": 7}`)
	})
	every(200*time.Millisecond, func(n int) {
		client.Produce(ctx, kgo.StringRecord(fmt.Sprintf(`{"userId":"event-%d","recordId":"seen","recordType":"movie","value":4}`, n)), nil)
	})
	t.Cleanup(func() {
		cancel()
		all.Wait()
		client.Close()
	})
}

// publishSeconds publishes an event whose record has a timestamp in seconds.
func publishSeconds(t *testing.T, c *cluster.Cluster) error {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...), kgo.DefaultProduceTopic(cluster.Topic))
	if err != nil {
		return err
	}
	defer client.Close()
	r := kgo.StringRecord(`{"userId":"seconds","recordId":"seen","recordType":"movie","value":4,"providerId":"alerts"}`)
	r.Timestamp = time.UnixMilli(time.Now().Unix())
	return client.ProduceSync(t.Context(), r).FirstErr()
}

// occupyGroup puts a program into the group of the rating service that shares partitions out in another way, and reads another topic,
// so that no rating process is let in.
func occupyGroup(t *testing.T, c *cluster.Cluster, rating *cluster.Process) (leave func(), err error) {
	t.Helper()
	if end, err := rating.Stop(); err != nil || end.Code != 0 {
		return nil, fmt.Errorf("stop: %s, %w", end, err)
	}
	const topic = "other"
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...), kgo.ConsumerGroup(cluster.Group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()))
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
		client.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var polls sync.WaitGroup
	polls.Go(func() {
		for ctx.Err() == nil {
			client.PollFetches(ctx)
		}
	})
	leave = sync.OnceFunc(func() {
		cancel()
		polls.Wait()
		client.Close()
	})
	t.Cleanup(leave)
	eventually(t, "the other program to be in the group", func(ctx context.Context) error {
		groups, err := admin.DescribeGroups(ctx, cluster.Group)
		if g := groups[cluster.Group]; err != nil || g.State != "Stable" || len(g.Members) != 1 {
			return fmt.Errorf("%+v, %w", g, err)
		}
		return nil
	})
	return leave, rating.Start(t.Context())
}

// deleteEvents lets the brokers delete events while the rating service is down, as a retention that is too short does.
func deleteEvents(t *testing.T, c *cluster.Cluster, rating *cluster.Process) error {
	if end, err := rating.Stop(); err != nil || end.Code != 0 {
		return fmt.Errorf("stop: %s, %w", end, err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	before, err := admin.ListEndOffsets(t.Context(), cluster.Topic)
	if err = errors.Join(err, before.Error()); err != nil {
		return err
	}
	// All partitions have to go on: a stopped process has committed no more than was there.
	eventually(t, "events of which the rating service knows nothing", func(ctx context.Context) error {
		now, err := admin.ListEndOffsets(ctx, cluster.Topic)
		if err != nil {
			return err
		}
		var waiting []string
		before.Each(func(o kadm.ListedOffset) {
			if n, ok := now.Lookup(o.Topic, o.Partition); !ok || n.Offset < o.Offset+2 {
				waiting = append(waiting, fmt.Sprint(o.Partition))
			}
		})
		if len(waiting) == len(before[cluster.Topic]) {
			return fmt.Errorf("partitions %s have no new ones", strings.Join(waiting, ", "))
		}
		return nil
	})
	now, err := admin.ListEndOffsets(t.Context(), cluster.Topic)
	if err = errors.Join(err, now.Error()); err != nil {
		return err
	}
	deleted, err := admin.DeleteRecords(t.Context(), now.Offsets())
	if err = errors.Join(err, deleted.Error()); err != nil {
		return err
	}
	return rating.Start(t.Context())
}
