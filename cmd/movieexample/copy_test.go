package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// copyOutput is what copy prints as JSON.
type copyOutput struct {
	Service            string
	Resumed, Done      bool
	Audited, Positions int64
	Tables             []copiedTable
	From, To           string
	Seconds            float64
}

func (o copyOutput) rows(table string) int64 {
	for _, t := range o.Tables {
		if t.Table == table && t.Same && t.SourceRows == t.TargetRows && t.SourceChecksum == t.TargetChecksum {
			return t.TargetRows
		}
	}
	return -1
}

// copied runs the command to its end and returns what it proved.
func copied(t *testing.T, args ...string) (out copyOutput) {
	t.Helper()
	o := movieexample(t.Context(), "", append([]string{"copy", "-o", "json"}, args...)...)
	if o.code != exitOK {
		t.Fatalf("copy %q: %+v", args, o)
	}
	if err := json.Unmarshal([]byte(o.stdout), &out); err != nil {
		t.Fatalf("%v in %s", err, o.stdout)
	}
	if !out.Done || len(out.Tables) < 4 {
		t.Errorf("copy %q printed %s", args, o.stdout)
	}
	return out
}

// ratings is the input for publish: one event for each user from first on.
func ratings(first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `{"userId":"user-%d","recordId":"film-%d","recordType":"movie","value":%d,"ratedAt":"2024-05-01T12:00:00Z"}`+"\n", i, i%500, 1+i%10)
	}
	return b.String()
}

func publishRatings(t *testing.T, brokers string, first, n int) {
	t.Helper()
	if o := movieexample(t.Context(), ratings(first, n), "publish", "-", "--kafka-brokers", brokers); o.code != exitOK {
		t.Fatalf("publish: %+v", o)
	}
}

// awaitRatings waits until there are so many ratings, and checks that there are no more and that the aggregates agree.
func awaitRatings(t *testing.T, p *program, rating string, want int) {
	t.Helper()
	p.await(t, strconv.Itoa(want)+" ratings", func() bool {
		o := movieexample(t.Context(), "", "audit", "--rating-addr", rating, "-o", "json")
		var got struct{ Ratings, Differences int }
		if err := json.Unmarshal([]byte(o.stdout), &got); err != nil {
			t.Fatalf("%v in %+v", err, o)
		}
		if got.Ratings > want || got.Differences != 0 {
			t.Fatalf("audit: %+v, want %d ratings without differences", got, want)
		}
		return got.Ratings == want
	})
}

// stop ends a process in order.
func stop(t *testing.T, p *program) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if o := p.wait(t); o.code != exitOK {
		t.Fatalf("the stop: %+v", o)
	}
}

// A system's databases are copied, and the system continues with the copies where it stopped.
func TestCopy(t *testing.T) {
	data, moved := t.TempDir(), t.TempDir()
	p, addresses := startSystemProcess(t, nil, "serve", "--data", data)
	films := `{"id":"film-1","title":"Ein Film","year":1999,"genres":["Drama"]}` + "\n" + `{"id":"film-2","title":"日本 😀"}` + "\n"
	file := filepath.Join(t.TempDir(), "films.jsonl")
	if err := os.WriteFile(file, []byte(films), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := movieexample(t.Context(), "", "import", "movies", file, "--metadata-addr", addresses.Metadata); o.code != exitOK {
		t.Fatalf("import: %+v", o)
	}
	publishRatings(t, addresses.Kafka, 0, 40)
	awaitRatings(t, p, addresses.Rating, 40)

	url := func(dir, service string) string { return "sqlite:" + filepath.Join(dir, service, service+".db") }
	o := movieexample(t.Context(), "", "copy", "--from", url(data, "rating"), "--to", url(moved, "rating"))
	if o.code != exitFailed || !strings.Contains(o.stderr, "must not be in use while it is copied") || !strings.Contains(o.stderr, strconv.Itoa(p.cmd.Process.Pid)) {
		t.Errorf("copying from a database in use: %+v", o)
	}
	stop(t, p)

	if got := copied(t, "--from", url(data, "metadata"), "--to", url(moved, "metadata")); got.Service != "metadata" || got.Audited != 2 || got.rows("movies") != 2 || got.Positions != 0 {
		t.Errorf("the catalogue's copy: %+v", got)
	}
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	for name, text := range map[string]string{from: url(data, "rating") + "\n", to: url(moved, "rating")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o = movieexample(t.Context(), "", "copy", "--from-file", from, "--to-file", to)
	for _, want := range []string{"rating: " + data, "ratings", "40", "same", "0 differences", "positions in Kafka's log", "ingestion resume"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("copy printed %+v, want … %s …", o, want)
		}
	}
	if o := movieexample(t.Context(), "", "copy", "--from-file", from, "--to-file", to); o.code != exitFailed || !strings.Contains(o.stderr, "nothing left to do") {
		t.Errorf("once more: %+v", o)
	}

	// The same broker's log, in the old directory.
	p, addresses = startSystemProcess(t, nil, "serve", "--data", data, "--databases-rating", url(moved, "rating"), "--databases-metadata", url(moved, "metadata"))
	publishRatings(t, addresses.Kafka, 40, 5)
	awaitRatings(t, p, addresses.Rating, 45)
	out := filepath.Join(t.TempDir(), "out.jsonl")
	if o := movieexample(t.Context(), "", "export", "movies", out, "--metadata-addr", addresses.Metadata); o.code != exitOK {
		t.Fatalf("export: %+v", o)
	}
	if text, err := os.ReadFile(out); err != nil || !strings.Contains(string(text), "日本 😀") {
		t.Errorf("exported %s, %v", text, err)
	}
	stop(t, p)
}

func TestCopyRefuses(t *testing.T) {
	dir := t.TempDir()
	db := func(name string) string { return "sqlite:" + filepath.Join(dir, name+".db") }
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("mysql://rating:geheim%@db.example/rating\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"rating", "metadata"} {
		if o := movieexample(t.Context(), "", "migrate", "up", service, "--database", db(service)); o.code != exitOK {
			t.Fatalf("%+v", o)
		}
	}
	empty := filepath.Join(dir, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "name the database with --from or --from-file"},
		{[]string{"--from", db("rating")}, exitUsage, "name the database with --to or --to-file"},
		{[]string{"--from", db("rating"), "--from-file", secret, "--to", db("x")}, exitUsage, "not both"},
		{[]string{"--from", "rating.db", "--to", db("x")}, exitUsage, `--from: must be "mysql://`},
		{[]string{"--from", db("rating"), "--to-file", secret}, exitUsage, "--to-file: the password has a \"%\""},
		{[]string{"--from", db("rating"), "--to-file", secret + "x"}, exitUsage, "--to-file: read the secret: there is no file"},
		{[]string{"--from", db("missing"), "--to", db("x")}, exitFailed, "there is no file " + filepath.Join(dir, "missing.db")},
		{[]string{"--from", db("empty"), "--to", db("x")}, exitFailed, "has no table of metadata or rating"},
		{[]string{"--from", db("rating"), "--to", db("rating")}, exitFailed, "both source and target"},
		{[]string{"--from", db("rating"), "--to", db("metadata")}, exitFailed, "metadata.db: its table external_ids is not part of the schema"},
		{[]string{"--from", db("rating"), "--to", "mysql://rating:geheim@127.0.0.1:1/rating"}, exitUnreachable, "rating@127.0.0.1:1/rating"},
	} {
		o := movieexample(t.Context(), "", append([]string{"copy"}, tc.args...)...)
		if o.code != tc.code || !strings.Contains(o.stderr, tc.want) || o.stdout != "" || strings.Contains(o.stderr, "geheim") {
			t.Errorf("copy %q: %+v; want exit code %d and %s", tc.args, o, tc.code, tc.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "missing.db")); err == nil {
		t.Error("looking for a source has made one")
	}
}
