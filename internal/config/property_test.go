package config_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"movieexample.com/internal/config"
)

func sameValues(t testing.TB, want, got *system) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(system{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// reload prints a set and loads the text into an empty struct.
func reload(t testing.TB, path string, set *config.Set) *system {
	t.Helper()
	text := printed(t, set)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := &system{}
	again, err := config.New(got)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Load(config.LoadOptions{File: path}); err != nil {
		t.Fatalf("what was printed is refused: %v\n%s", err, text)
	}
	return got
}

func TestPrintedConfigurationLoadsToTheSameValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "printed.yaml")
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", " ", "~", "null", "no", "1", "0x1", "1e3", "a: b", "a:", "- a", "#", "a #b", "'", `"`, "\n", "\r\n", "\u0085\u2028\ufeff", "\x7f", "{", "*a", "&a", "<<", "=", "2001-01-01", "!!str",
		}))
		element := text.Filter(func(s string) bool { return s != "" })
		want := &system{
			Log: logging{Level: text.Draw(r, "level"), Quiet: rapid.Bool().Draw(r, "quiet")},
			Rating: rating{
				Addr: text.Draw(r, "addr"), ChartMinVotes: rapid.Int().Draw(r, "votes"), Port: rapid.Uint16().Draw(r, "port"),
				Shift: rapid.Int8().Draw(r, "shift"), Offset: rapid.Uint64().Draw(r, "offset"), Weight: rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(r, "weight"),
				Timeout: time.Duration(rapid.Int64().Draw(r, "timeout")), MaxBody: config.Bytes(rapid.Int64Min(0).Draw(r, "body")),
				Seeds: rapid.SliceOf(element).Draw(r, "seeds"), Kafka: kafka{Topic: text.Draw(r, "topic")},
			},
			Data: text.Draw(r, "data"),
		}
		set, err := config.New(want)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, reload(t, path, set), cmp.AllowUnexported(system{})); diff != "" {
			r.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// FuzzLoadYAML holds three promises for every file: no panic, no unknown key accepted, and what was accepted survives
// printing. The second is checked against the library's own decoder, which shares only the parser with the code under test.
func FuzzLoadYAML(f *testing.F) {
	for _, seed := range []string{
		"", validFile, "\ufeffdata: x\n", "rating: &r\n  <<: *r\n", "rating: &r {kafka: *r}", "a: &a [*a]\n", "<<: {data: x}", "? {a: b}\n: c\n",
		"rating: {<<: [{port: 1}, {shift: 2}], seeds: [a, 'b,c']}", "data: |\n  two\n  lines\n", "---\n---\n", "log: {level: !!binary aGk=}", "? &k data\n: *k\n",
	} {
		f.Add([]byte(seed))
	}
	file := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got := &system{}
		set, err := config.New(got)
		if err != nil {
			t.Fatal(err)
		}
		if set.Load(config.LoadOptions{File: file}) != nil {
			return
		}
		known := map[string]bool{"log": true, "rating": true, "rating.kafka": true, "secrets": true}
		for _, s := range set.Settings() {
			known[s.Path] = true
		}
		var keys map[string]any
		if yaml.Unmarshal(data, &keys) == nil {
			for _, path := range paths("", keys) {
				if !known[path] {
					t.Errorf("unknown key %q was accepted", path)
				}
			}
		}
		got.Secrets.Password = "" // masked in print, and the mask is refused
		again := reload(t, filepath.Join(t.TempDir(), "printed.yaml"), set)
		if got.Rating.Seeds == nil {
			got.Rating.Seeds = []string{}
		}
		sameValues(t, got, again)
	})
}

// paths lists every key of a decoded document.
func paths(prefix string, keys map[string]any) []string {
	var list []string
	for key, value := range keys {
		path := strings.TrimPrefix(prefix+"."+key, ".")
		list = append(list, path)
		if sub, ok := value.(map[string]any); ok {
			list = append(list, paths(path, sub)...)
		}
	}
	return list
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]config.Bytes{
		"0": 0, "512": 512, "512B": 512, "1KiB": 1 << 10, "64 KiB": 64 << 10, "10MiB": 10 << 20, "1GiB": 1 << 30, "8388607TiB": 8388607 << 40, "9223372036854775807": math.MaxInt64,
	} {
		var got config.Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is read as %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "B", "KiB", "-1", "1.5MiB", "1KB", "1kib", "8388608TiB", "9223372036854775808", "1 B iB"} {
		got := config.Bytes(7)
		if err := got.UnmarshalText([]byte(text)); err == nil || got != 7 {
			t.Errorf("%q is read as %d, want an error", text, got)
		}
	}
	for size, want := range map[config.Bytes]string{0: "0", 1000: "1000", 1024: "1KiB", 1536: "1536", 3 << 20: "3MiB", 1 << 50: "1024TiB"} {
		if size.String() != want {
			t.Errorf("%d is written %q, want %q", int64(size), size, want)
		}
	}
}
