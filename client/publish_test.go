package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/api/events"
	"movieexample.com/client"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

const mixedEvents = `{"userId":"u1","recordId":"tt0111161","recordType":"movie","value":9,"ratedAt":"2020-01-01T00:00:00Z"}
{"userId":"u1","recordId":"tt0111161","recordType":"movie","value":11}

not json
{"userId":"u2","recordId":"tt0111161","recordType":"movie","value":7,"ratedAt":"2020-01-01T00:00:00Z"}
{"userId":"u3","recordId":"tt0111161","recordType":"movie","value":1,"ratedAt":"2999-01-01T00:00:00Z"}
{"userId":"u2","recordId":"tt0111161","recordType":"movie","eventType":"delete","ratedAt":"2020-01-02T00:00:00Z"}
`

func TestPublishFile(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	var refused []string
	got, err := c.PublishFile(t.Context(), strings.NewReader(mixedEvents), client.PublishOptions{
		Refused: func(bad *events.RefusedError) {
			refused = append(refused, fmt.Sprintf("%s: %s", bad.Position, events.Class(bad)))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (client.PublishSummary{Read: 6, Accepted: 3, Refused: 3}); got != want {
		t.Errorf("summary %+v, want %+v", got, want)
	}
	if diff := cmp.Diff([]string{"line 2: value-out-of-range", "line 4: not-json", "line 6: time-out-of-range"}, refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	records := readTopic(t, s.broker.Addr(), 3)
	for _, r := range records {
		if string(r.Key) != "movie:tt0111161" || len(r.Headers) != 1 || r.Headers[0].Key != "content-type" || string(r.Headers[0].Value) != "application/json" {
			t.Errorf("record with key %q and headers %v", r.Key, r.Headers)
		}
		// Retention goes by the record's time.
		if age := time.Since(r.Timestamp); age < -time.Minute || age > time.Hour {
			t.Errorf("record of %s; want now", r.Timestamp)
		}
	}
	await(t, func() bool {
		_, err := s.ratings.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: "tt0111161", UserId: "u1"})
		return err == nil
	})
	await(t, func() bool { return s.summary(t, "tt0111161").GetVotes() == 1 })
}

// readTopic reads the first n records of the topic.
func readTopic(t testing.TB, broker string, n int) (records []*kgo.Record) {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{broker}}, kgo.ConsumeTopics("ratings"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for len(records) < n {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

// await waits for a condition of the system.
func await(t testing.TB, met func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !met(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("what the test waits for did not happen within 20 s")
		}
	}
}

func TestPublishFileThatBreaksOff(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	got, err := c.PublishFile(t.Context(), strings.NewReader(`[{"userId":"u1","recordId":"r","recordType":"movie","value":9},{"userId":`), client.PublishOptions{})
	if err == nil || !strings.Contains(err.Error(), "the closing bracket is missing") {
		t.Errorf("error %v", err)
	}
	if want := (client.PublishSummary{Read: 1, Accepted: 1}); got != want {
		t.Errorf("summary %+v, want %+v", got, want)
	}
}

func TestPublishNoBroker(t *testing.T) {
	s := startSystem(t)
	if err := s.broker.Close(); err != nil {
		t.Fatal(err)
	}
	c := connect(t, s.addresses)
	began := time.Now()
	_, err := c.PublishFile(t.Context(), strings.NewReader(mixedEvents), client.PublishOptions{StallTimeout: 500 * time.Millisecond})
	wantKafkaGone(t, err, s.addresses.Brokers[0])
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("gave up after %s", took)
	}
}

// TestPublishBrokerDies: the broker goes away in the middle of a file that has no end.
func TestPublishBrokerDies(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	r, w := io.Pipe()
	line := strings.SplitAfter(mixedEvents, "\n")[0]
	died := make(chan struct{})
	go func() {
		defer close(died)
		for i := 0; ; i++ {
			if i == 1000 {
				if err := s.broker.Close(); err != nil {
					t.Errorf("close broker: %v", err)
				}
			}
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	}()
	// Longer than a busy disk keeps a broker that lives from answering.
	got, err := c.PublishFile(t.Context(), r, client.PublishOptions{StallTimeout: 3 * time.Second})
	_ = r.Close()
	<-died
	wantKafkaGone(t, err, s.addresses.Brokers[0])
	if got.Read < 1000 || got.Read != got.Accepted+got.Refused+got.Unknown+got.NotSent {
		t.Errorf("summary does not add up: %+v", got)
	}
}

func wantKafkaGone(t testing.TB, err error, addr string) {
	t.Helper()
	gone := (*client.UnreachableError)(nil)
	if !errors.As(err, &gone) || gone.Part != client.Kafka || gone.Addr != addr || fault.KindOf(err) != fault.KindUnavailable {
		t.Fatalf("error %v; want one about Kafka at %s", err, addr)
	}
	if want := "cannot reach Kafka at " + addr + " ("; !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), addr) != 1 || len(err.Error()) > 120 {
		t.Errorf("error %q, want %s…", err, want)
	}
}

// TestPublishSilentPipe: a pipe on which nothing comes does not hold up the end.
func TestPublishSilentPipe(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(w, mixedEvents)
		cancel()
	}()
	got, err := c.PublishFile(ctx, r, client.PublishOptions{})
	_ = r.Close()
	if !errors.Is(err, context.Canceled) || !got.Interrupted || !strings.HasPrefix(err.Error(), fmt.Sprintf("interrupted: %d events are in Kafka", got.Accepted)) {
		t.Errorf("summary %+v, error %v", got, err)
	}
}

func TestPublishNoTopic(t *testing.T) {
	broker := startBroker(t)
	c := connect(t, client.Addresses{Brokers: []string{broker.Addr()}, Topic: "nope"})
	_, err := c.PublishFile(t.Context(), strings.NewReader(mixedEvents), client.PublishOptions{StallTimeout: 10 * time.Second})
	if fault.KindOf(err) != fault.KindNotFound || !strings.Contains(err.Error(), `topic "nope" does not exist`) {
		t.Errorf("error %v", err)
	}
}

func TestConnect(t *testing.T) {
	for name, a := range map[string]client.Addresses{
		"metadata": {Metadata: "127.0.0.1"},
		"rating":   {Rating: "127.0.0.1:8082,:8082"},
		"kafka":    {Brokers: []string{"127.0.0.1:9092", "x"}},
	} {
		_, err := client.Connect(a)
		if fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), "address of "+name+": must be host:port, for example 127.0.0.1:") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestUnknownAddress(t *testing.T) {
	c := connect(t, client.Addresses{})
	_, err := c.Audit(t.Context(), nil)
	if gone := (*client.UnreachableError)(nil); !errors.As(err, &gone) || gone.Part != client.Rating || gone.Addr != "" || !strings.Contains(err.Error(), "the address of the rating service is not known") {
		t.Errorf("audit: error %v", err)
	}
	_, err = c.PublishFile(t.Context(), strings.NewReader(""), client.PublishOptions{})
	if gone := (*client.UnreachableError)(nil); !errors.As(err, &gone) || gone.Part != client.Kafka || gone.Addr != "" || err.Error() != "the address of Kafka is not known" {
		t.Errorf("publish: error %v", err)
	}
}

// TestNobodyListens: what is not there is named once, with where it was looked for and why it could not be reached.
func TestNobodyListens(t *testing.T) {
	c := connect(t, client.Addresses{Rating: "127.0.0.1:1"})
	_, err := c.Audit(t.Context(), nil)
	gone := (*client.UnreachableError)(nil)
	if !errors.As(err, &gone) || fault.KindOf(err) != fault.KindUnavailable || err.Error() != "cannot reach the rating service at 127.0.0.1:1 (connection refused)" {
		t.Errorf("error %v", err)
	}
}

// TestSeveralInstances: an instance that answers is called, and if none does, the error names all.
func TestSeveralInstances(t *testing.T) {
	s := startSystem(t)
	some := connect(t, client.Addresses{Rating: "127.0.0.1:1," + s.addresses.Rating + ",127.0.0.1:2"})
	for range 4 {
		if _, err := some.Audit(t.Context(), nil); err != nil {
			t.Errorf("audit with one of three instances there: %v", err)
		}
	}
	none := connect(t, client.Addresses{Rating: "127.0.0.1:1,127.0.0.1:2"})
	if _, err := none.Audit(t.Context(), nil); err == nil || err.Error() != "cannot reach the rating service at 127.0.0.1:1,127.0.0.1:2 (connection refused)" {
		t.Errorf("audit with none there: %v", err)
	}
}

// TestServiceSaysItIsUnavailable: who answers has been reached, and says what is wrong.
func TestServiceSaysItIsUnavailable(t *testing.T) {
	addr, _ := serve(t, "rating", (&vanishing{gone: func() {}}).register)
	c := connect(t, client.Addresses{Rating: addr})
	_, err := c.Audit(t.Context(), nil)
	if errors.As(err, new(*client.UnreachableError)) || fault.KindOf(err) != fault.KindUnavailable || err.Error() != "audit the aggregates: full" {
		t.Errorf("error %v", err)
	}
}

func TestReadAddresses(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"all.json":  `{"gateway":"http://127.0.0.1:1","metadata":"127.0.0.1:2","rating":"127.0.0.1:3","movie":"127.0.0.1:4","kafka":"127.0.0.1:5","data":"/d","pid":6}`,
		"some.json": `{"metadata":"127.0.0.1:2"}`,
		"many.json": `{"metadata":"127.0.0.1:2,127.0.0.1:3","kafka":"127.0.0.1:5,127.0.0.1:6"}`,
		// What make cluster writes: targets.json, and cluster.json with the same and more.
		"lists.json":   `{"gateways":["http://127.0.0.1:1"],"metadata":["127.0.0.1:2","127.0.0.1:3"],"rating":["127.0.0.1:4"],"brokers":["127.0.0.1:5","127.0.0.1:6"],"topic":"stars"}`,
		"cluster.json": `{"pid":7,"targets":{"gateways":[],"metadata":["127.0.0.1:2"],"rating":["127.0.0.1:3","127.0.0.1:4"],"movie":[],"brokers":["127.0.0.1:5"],"admin":[]},"mariadb":"127.0.0.1:8","processes":[]}`,
		"bad.json":     `metadata: 127.0.0.1`,
		"number.json":  `{"rating":8082}`,
		"other.json":   `{"name":"package","version":"1"}`,
	})
	for file, want := range map[string]client.Addresses{
		"all.json":     {Metadata: "127.0.0.1:2", Rating: "127.0.0.1:3", Brokers: []string{"127.0.0.1:5"}, Topic: "ratings"},
		"some.json":    {Metadata: "127.0.0.1:2", Topic: "ratings"},
		"many.json":    {Metadata: "127.0.0.1:2,127.0.0.1:3", Brokers: []string{"127.0.0.1:5", "127.0.0.1:6"}, Topic: "ratings"},
		"lists.json":   {Metadata: "127.0.0.1:2,127.0.0.1:3", Rating: "127.0.0.1:4", Brokers: []string{"127.0.0.1:5", "127.0.0.1:6"}, Topic: "stars"},
		"cluster.json": {Metadata: "127.0.0.1:2", Rating: "127.0.0.1:3,127.0.0.1:4", Brokers: []string{"127.0.0.1:5"}, Topic: "ratings"},
	} {
		got, err := client.ReadAddresses(filepath.Join(dir, file))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", file, err, diff)
		}
	}
	for file, want := range map[string]string{
		"bad.json":    "bad.json is not a file of addresses as 'movieexample serve --addresses FILE' or 'make cluster' writes it",
		"number.json": "an address must be a text, or a list of texts",
		"other.json":  "other.json names no part of a system",
	} {
		if _, err := client.ReadAddresses(filepath.Join(dir, file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want … %s", file, err, want)
		}
	}
	if _, err := client.ReadAddresses(filepath.Join(dir, "none.json")); err == nil || !strings.Contains(err.Error(), "none.json: no such file") {
		t.Errorf("no file: error %v", err)
	}
}
