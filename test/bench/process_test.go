package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/system"
)

// BenchmarkBinary states the size of the binary and the resident memory of an idle demo.
func BenchmarkBinary(b *testing.B) {
	bin := system.Build(b)
	for b.Loop() {
		info, err := os.Stat(bin)
		if err != nil {
			b.Fatal(err)
		}
		size := float64(info.Size()) / 1e6
		row{name: "size of the binary", ours: fmt.Sprintf("%.1f MB", size), ratio: math.NaN(), target: "≤ 60 MB", holds: size <= 60}.print(b)

		p, err := system.TryStart(b, bin, "demo", "--data", b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		awaitBanner(b, p)
		loaded := residentMB(b, p.PID())
		idle := settledMB(b, p.PID())
		p.Kill()
		row{
			name: "resident memory of the demo, idle (right after the load)", ours: fmt.Sprintf("%.0f MB (%.0f MB)", idle, loaded),
			ratio: math.NaN(), target: "≤ 150 MB", holds: idle <= 150,
		}.print(b)
		b.ReportMetric(size, "binary-MB")
		b.ReportMetric(idle, "idle-MB")
		b.ReportMetric(loaded, "loaded-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkImport states how long the import of ml-latest-small takes into a running, empty system, until the last
// aggregate is right. It needs the data set (MOVIELENS_DIR), as the generator's would be another set.
func BenchmarkImport(b *testing.B) {
	dir := os.Getenv("MOVIELENS_DIR")
	if dir == "" {
		b.Log("not measured: set MOVIELENS_DIR to the directory of ml-latest-small")
		return
	}
	bin := system.Build(b)
	for b.Loop() {
		var seconds []float64
		for range 3 {
			p := system.Start(b, bin, filepath.Join(b.TempDir(), "data"))
			began := time.Now()
			got := system.Run(b.Context(), b, bin, "import", "movielens", dir, "--addresses", p.File, "-o", "json")
			seconds = append(seconds, time.Since(began).Seconds())
			p.Kill()
			checkImport(b, got)
		}
		took := median(seconds)
		row{
			name: "import of ml-latest-small until the last aggregate is right", ours: fmt.Sprintf("%.1f s", took),
			ratio: math.NaN(), target: "≤ 15 s", holds: took <= 15,
		}.print(b)
		b.ReportMetric(took, "import-s")
		b.ReportMetric(0, "ns/op")
	}
}

// checkImport compares the import's own summary with what the data set is known to hold.
func checkImport(b *testing.B, got system.Result) {
	b.Helper()
	if got.Code != 0 {
		b.Fatalf("import ended with %d:\n%s", got.Code, got.Stderr)
	}
	var summary struct {
		After struct {
			Ratings int64 `json:"ratings"`
			Sum     int64 `json:"sum"`
		} `json:"totalsAfter"`
	}
	if err := json.Unmarshal([]byte(got.Stdout), &summary); err != nil {
		b.Fatalf("read the import's summary: %v\n%s", err, got.Stdout)
	}
	if summary.After.Ratings != 100_836 || summary.After.Sum != 706_166 {
		b.Fatalf("after the import there are %d ratings with the sum %d, want 100836 and 706166", summary.After.Ratings, summary.After.Sum)
	}
}

// awaitBanner returns when the demo has said that it is loaded.
func awaitBanner(b *testing.B, p *system.Process) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(p.Log(), "Ctrl-C stops it."); <-tick.C {
		select {
		case <-p.Exited():
			b.Fatalf("the demo ended:\n%s", p.Log())
		default:
		}
		if time.Now().After(deadline) {
			b.Fatalf("the demo is not loaded:\n%s", p.Log())
		}
	}
}

// settledMB waits until resident memory has not changed by more than a percent for five seconds, and returns it. The
// runtime gives memory back in the background, over a minute or so; the wait is at most 30 seconds.
func settledMB(b *testing.B, pid int) float64 {
	b.Helper()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	since, at := time.Now(), residentMB(b, pid)
	for deadline := time.Now().Add(30 * time.Second); time.Since(since) < 5*time.Second && time.Now().Before(deadline); <-tick.C {
		if now := residentMB(b, pid); math.Abs(now-at) > at/100 {
			since, at = time.Now(), now
		}
	}
	return residentMB(b, pid)
}

// residentMB is VmRSS of a process, see proc_pid_status(5).
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		value, ok := strings.CutPrefix(lines.Text(), "VmRSS:")
		if !ok {
			continue
		}
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			b.Fatal(err)
		}
		return kb * 1024 / 1e6
	}
	b.Fatalf("process %d has no VmRSS", pid)
	return 0
}
