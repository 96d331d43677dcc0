package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/client"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
)

func TestAudit(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	const records = 1200 // more than one page
	var file strings.Builder
	for i := range records {
		fmt.Fprintf(&file, `{"userId":"u","recordId":"r%04d","recordType":"movie","value":%d}`+"\n", i, i%10+1)
	}
	if _, err := c.PublishFile(t.Context(), strings.NewReader(file.String()), client.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	audit := func() (client.AuditSummary, []client.Difference) {
		t.Helper()
		var found []client.Difference
		summary, err := c.Audit(t.Context(), func(d client.Difference) { found = append(found, d) })
		if err != nil {
			t.Fatal(err)
		}
		return summary, found
	}
	await(t, func() bool {
		summary, found := audit()
		return summary.Ratings == records && len(found) == 0
	})
	if summary, _ := audit(); summary != (client.AuditSummary{Aggregates: records, Ratings: records}) {
		t.Errorf("clean audit: %+v", summary)
	}

	s.tamper(t, "UPDATE ratings SET value = 10 WHERE record_id = 'r0001'")
	s.tamper(t, "DELETE FROM ratings WHERE record_id = 'r1190'")
	summary, found := audit()
	want := []client.Difference{
		{RecordType: "movie", RecordID: "r0001", Field: "sum", Stored: 2, Recomputed: 10},
		{RecordType: "movie", RecordID: "r0001", Field: "histogram[2]", Stored: 1, Recomputed: 0},
		{RecordType: "movie", RecordID: "r0001", Field: "histogram[10]", Stored: 0, Recomputed: 1},
		{RecordType: "movie", RecordID: "r1190", Field: "votes", Stored: 1, Recomputed: 0},
		{RecordType: "movie", RecordID: "r1190", Field: "sum", Stored: 1, Recomputed: 0},
		{RecordType: "movie", RecordID: "r1190", Field: "histogram[1]", Stored: 1, Recomputed: 0},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	if summary != (client.AuditSummary{Aggregates: records, Ratings: records - 1, Differences: 6}) {
		t.Errorf("audit with differences: %+v", summary)
	}
}

// bury makes n dead letters, by another producer than ours: events that Kafka takes and the rating service does not.
func (s *system) bury(t testing.TB, n int) {
	t.Helper()
	var messages []string
	for i := range n {
		messages = append(messages, fmt.Sprintf(`{"userId":"u%03d","recordId":"r","recordType":"movie","value":11}`, i))
	}
	produce(t, s, messages)
	await(t, func() bool {
		resp, err := s.admin.ListDeadLetters(t.Context(), &ratingv1.ListDeadLettersRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetTotal() == int64(n)
	})
}

// produce publishes whatever it is given.
func produce(t testing.TB, s *system, messages []string) {
	t.Helper()
	p, err := kafka.NewProducer(t.Context(), kafka.ProducerConfig{Config: kafka.Config{Brokers: s.addresses.Brokers}, Topic: "ratings"})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := p.Publish(t.Context(), kafka.Message{Value: []byte(m)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// letters lists dead letters.
func letters(t testing.TB, c *client.Client, limit int) (list []client.DeadLetter, total int64) {
	t.Helper()
	total, err := c.DeadLetters(t.Context(), limit, func(d client.DeadLetter) error {
		list = append(list, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, total
}

func TestDeadLetters(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	if list, total := letters(t, c, 0); len(list) != 0 || total != 0 {
		t.Errorf("at first there are %d of %d", len(list), total)
	}
	const n = 450 // more than two pages
	s.bury(t, n)
	list, total := letters(t, c, 0)
	if len(list) != n || total != n {
		t.Fatalf("listed %d of %d, want %d", len(list), total, n)
	}
	first := list[0]
	if first.Class != "value-out-of-range" || first.Topic != "ratings" || first.Reason == "" || first.ID == "" || first.Created.IsZero() ||
		first.RecordTime.IsZero() || !strings.Contains(string(first.Payload), `"value":11`) {
		t.Errorf("first: %+v", first)
	}
	for _, limit := range []int{1, 200, 201, n, n + 1} {
		if list, total := letters(t, c, limit); len(list) != min(limit, n) || total != n {
			t.Errorf("limit %d: listed %d of %d", limit, len(list), total)
		}
	}
	stop := errors.New("stop")
	if _, err := c.DeadLetters(t.Context(), 0, func(client.DeadLetter) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the caller became %v", err)
	}

	// One is good now, the others are not.
	good := list[n-1].ID
	s.tamper(t, "UPDATE dead_letters SET payload = CAST(? AS BLOB) WHERE id = ?", `{"userId":"good","recordId":"r","recordType":"movie","value":8}`, good)
	replayed, err := c.ReplayDeadLetters(t.Context(), []string{first.ID, first.ID, "nonsense"})
	if err != nil || replayed.Replayed != 0 || len(replayed.Refused) != 2 || replayed.Refused[0].ID != first.ID || replayed.Refused[0].Reason == "" {
		t.Errorf("replay of bad ones: %+v, error %v", replayed, err)
	}
	replayed, err = c.ReplayAllDeadLetters(t.Context())
	if err != nil || replayed.Replayed != 1 || len(replayed.Refused) != n-1 {
		t.Errorf("replay of all: %d applied and %d refused, error %v", replayed.Replayed, len(replayed.Refused), err)
	}
	if got := s.summary(t, "r"); got.GetVotes() != 1 || got.GetMean() != 8 {
		t.Errorf("after the replay the aggregate is %v", got)
	}
	if list, _ := letters(t, c, 0); slices.ContainsFunc(list, func(d client.DeadLetter) bool { return d.ID == good }) {
		t.Error("what was replayed is still listed")
	}

	if dropped, err := c.DropDeadLetters(t.Context(), []string{first.ID, "nonsense", first.ID}); err != nil || dropped != 1 {
		t.Errorf("dropped %d, error %v; want 1", dropped, err)
	}
	if dropped, err := c.DropAllDeadLetters(t.Context()); err != nil || dropped != n-2 {
		t.Errorf("dropped %d, error %v; want %d", dropped, err, n-2)
	}
	if list, total := letters(t, c, 0); len(list) != 0 || total != 0 {
		t.Errorf("in the end there are %d of %d", len(list), total)
	}
}
