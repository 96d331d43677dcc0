//go:build servers

package servers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/system"
)

// TestForeignProducer publishes with kcat, a client that shares no code with ours: keyed, keyless, each compression, and
// a record that is no event.
func TestForeignProducer(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Fatalf("kcat is needed here: %v", err)
	}
	p := system.Start(t, system.Build(t), t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	produce := func(input string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, kcat, append([]string{"-P", "-b", p.Kafka, "-t", "ratings"}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("kcat %v: %v\n%s", args, err, out)
		}
	}
	event := func(user string, value int) string {
		return fmt.Sprintf(`{"userId":%q,"recordId":"kcat","recordType":"movie","value":%d,"providerId":"kcat","eventType":"put"}`, user, value) + "\n"
	}
	want := map[int]int{}
	add := func(user string, value int, args ...string) {
		t.Helper()
		produce(event(user, value), args...)
		want[value]++
	}
	add("keyless", 3)
	for i, codec := range []string{"gzip", "snappy", "lz4", "zstd"} {
		add(codec, 5+i, "-z", codec)
	}
	produce("movie:kcat|"+event("keyed", 10), "-K|")
	want[10]++
	produce("no event\n")

	type summary struct {
		Votes     int     `json:"votes"`
		Mean      float64 `json:"mean"`
		Histogram []int   `json:"histogram"`
	}
	var got summary
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for got.Votes < 6 {
		select {
		case <-ctx.Done():
			t.Fatalf("after a minute the summary is %+v", got)
		case <-tick.C:
		}
		got = summary{}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Gateway+"/v1/records/movie/kcat/ratingSummary", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(resp.Body).Decode(&got)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	for value := 1; value <= 10; value++ {
		if got.Histogram[value-1] != want[value] {
			t.Errorf("%d ratings of %d, want %d", got.Histogram[value-1], value, want[value])
		}
	}
	// The record that is no event is in a partition of kcat's choice, and may be ingested last.
	for {
		r := system.Run(ctx, t, p.Binary(), "dead-letters", "list", "--addresses", p.File, "-o", "json")
		if r.Code != 0 {
			t.Fatalf("dead letters: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
		if n := strings.Count(r.Stdout, "not-json"); n > 1 {
			t.Fatalf("%d dead letters, want 1:\n%s", n, r.Stdout)
		} else if n == 1 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("the record that is no event is no dead letter")
		case <-tick.C:
		}
	}
}
