//go:build servers

package servers_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/servers"
	"movieexample.com/test/system"
)

// TestFullDisk runs the system on a small tmpfs, fills it, and frees it again: a writer gets an error that a person
// understands, what was acknowledged stays, and afterwards everything resumes automatically.
func TestFullDisk(t *testing.T) {
	disk, err := servers.NewSmallDisk(48 << 20)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, disk)
	bin := system.Build(t)
	p := system.Start(t, bin, filepath.Join(disk.Dir(), "data"))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	put := func(user int) (int, string) {
		t.Helper()
		url := fmt.Sprintf("%s/v1/records/movie/full/ratings/user-%d", p.Gateway, user)
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader(`{"value": 7}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	acked := 0
	if code, body := put(acked); code != http.StatusOK {
		t.Fatalf("before the disk is full: %d %s", code, body)
	}
	acked++

	if err := disk.Fill(); err != nil {
		t.Fatal(err)
	}
	refused := ""
	for range 20_000 {
		code, body := put(acked)
		if code != http.StatusOK {
			refused = fmt.Sprintf("%d %s", code, body)
			break
		}
		acked++
	}
	t.Logf("%d writes were acknowledged, then: %s", acked, refused)
	if !strings.HasPrefix(refused, "503 ") || !strings.Contains(refused, "disk") || !strings.Contains(refused, "full") {
		t.Errorf("a full disk answers %q; want 503 with a text about a full disk", refused)
	}
	// The line is written before the answer, but it comes to us through a pipe.
	for patience := time.After(10 * time.Second); !strings.Contains(p.Log(), "free space on"); {
		select {
		case <-patience:
			t.Fatalf("the log does not tell the operator what to do:\n%s", p.Log())
		case <-time.After(time.Millisecond):
		}
	}

	if err := disk.Free(); err != nil {
		t.Fatal(err)
	}
	if code, body := put(acked); code != http.StatusOK {
		t.Errorf("after space was freed: %d %s", code, body)
	} else {
		acked++
	}
	// An event goes through as well.
	events := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(events, []byte(`{"userId":"e","recordId":"full","recordType":"movie","value":7}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := system.Run(ctx, t, bin, "publish", events, "--addresses", p.File); r.Code != 0 {
		t.Errorf("publish after space was freed: %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	want := fmt.Sprintf("\"ratings\": %d,", acked+1)
	for {
		r := system.Run(ctx, t, bin, "audit", "--addresses", p.File, "-o", "json")
		if r.Code != 0 {
			t.Fatalf("audit: %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
		if strings.Contains(r.Stdout, want) {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("want %s ratings after everything, the audit says %s", want, r.Stdout)
		case <-tick.C:
		}
	}
	if _, err := p.Terminate(10 * time.Second); err != nil {
		t.Error(err)
	}
	// The database is whole: the next start says so by serving the same.
	p = system.Start(t, bin, filepath.Join(disk.Dir(), "data"))
	if r := system.Run(ctx, t, bin, "audit", "--addresses", p.File, "-o", "json"); r.Code != 0 || !strings.Contains(r.Stdout, want) {
		t.Errorf("after a restart: %d %s%s", r.Code, r.Stdout, r.Stderr)
	}
}
