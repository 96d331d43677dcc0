package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	_ "modernc.org/sqlite" // to tamper with a database behind the service's back

	"movieexample.com/app"
	"movieexample.com/client"
	"movieexample.com/internal/kafka"
)

// outcome is what running the program shows.
type outcome struct {
	code           int
	stdout, stderr string
}

// movieexample runs the program with the arguments, and with text on its standard input.
func movieexample(ctx context.Context, stdin string, args ...string) outcome {
	root := newRootCommand()
	var stdout, stderr bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(args)
	code := exitCode(root, root.ExecuteContext(ctx))
	return outcome{code, stdout.String(), stderr.String()}
}

// running is a system in this process.
type running struct {
	addresses app.Addresses
	file      string // the addresses, for --addresses
}

func startSystem(t *testing.T) *running {
	t.Helper()
	cfg := app.DefaultConfig()
	cfg.DataDir = t.TempDir()
	free := "127.0.0.1:0"
	cfg.Listen = app.Listen{Gateway: free, Metadata: free, Rating: free, Movie: free, Kafka: free, Admin: free}
	cfg.Rating.ChartMaxAge = 10 * time.Millisecond // the import waits for totals
	a, err := app.New(t.Context(), cfg, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Errorf("run the system: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serving.Wait()
	})
	<-a.Ready()
	r := &running{addresses: a.Addresses(), file: filepath.Join(t.TempDir(), "addresses.json")}
	if err := r.addresses.WriteFile(r.file); err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs a command against the system.
func (r *running) run(t *testing.T, args ...string) outcome {
	t.Helper()
	return movieexample(t.Context(), "", append(args, "--addresses", r.file)...)
}

func (o outcome) want(t *testing.T, code int, stdout string, stderr ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d", o.code, code)
	}
	if diff := cmp.Diff(stdout, o.stdout); diff != "" {
		t.Errorf("standard output (-want +got):\n%s", diff)
	}
	for _, part := range stderr {
		if !strings.Contains(o.stderr, part) {
			t.Errorf("standard error lacks %q:\n%s", part, o.stderr)
		}
	}
	if len(stderr) == 0 && o.stderr != "" {
		t.Errorf("standard error: %s", o.stderr)
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dataSet is a small one in which so many ratings cannot go in.
func dataSet(t *testing.T, bad int) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "movies.csv"), "movieId,title,genres\n1,\"Matrix, The (1999)\",Action\n2,Emma (1996),Comedy\n")
	write(t, filepath.Join(dir, "links.csv"), "movieId,imdbId,tmdbId\n1,0133093,603\n")
	write(t, filepath.Join(dir, "ratings.csv"), "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,3.5,964982703\n"+strings.Repeat("2,99,1.0,1\n", bad))
	return dir
}

func TestImportMovieLensCommand(t *testing.T) {
	r := startSystem(t)
	text := func(o outcome) string {
		var kept []string
		for line := range strings.Lines(o.stdout) {
			if strings.HasPrefix(line, "took ") {
				line = "took …\n"
			}
			kept = append(kept, line)
		}
		return strings.Join(kept, "")
	}
	dir := dataSet(t, 0)
	first := r.run(t, "import", "movielens", dir)
	first.stdout = text(first)
	first.want(t, exitOK, `films     2 read: 2 created, 0 updated, 0 unchanged
ratings   2 read, 2 published
rejected  0 rows
before    0 ratings of 0 films, sum 0, mean 0.0000000
after     2 ratings of 2 films, sum 15, mean 7.5000000
took …
`)
	second := r.run(t, "import", "movielens", dir)
	second.stdout = text(second)
	second.want(t, exitOK, `films     2 read: 0 created, 0 updated, 2 unchanged
ratings   2 read, 2 published
rejected  0 rows
before    2 ratings of 2 films, sum 15, mean 7.5000000
after     2 ratings of 2 films, sum 15, mean 7.5000000
took …
Nothing changed: every film was there as it is in the files, and rated films, number of ratings and their sum are the same before and after.
`)

	rejects := filepath.Join(t.TempDir(), "rejects.txt")
	third := r.run(t, "import", "movielens", dataSet(t, shownRejects+23), "-o", "json", "--rejects", rejects)
	var summary client.ImportSummary
	if err := json.Unmarshal([]byte(third.stdout), &summary); err != nil {
		t.Fatalf("%v:\n%s", err, third.stdout)
	}
	if third.code != exitRefused || summary.Rejected != shownRejects+23 || summary.Ratings.Published != 2 || !summary.NothingChanged {
		t.Errorf("exit code %d, summary %+v", third.code, summary)
	}
	if n := strings.Count(third.stderr, "rejected: ratings.csv line "); n != shownRejects {
		t.Errorf("%d rejected rows are listed, want %d", n, shownRejects)
	}
	if want := "rejected: … and 23 more; all of them are in " + rejects + "\n"; !strings.HasSuffix(third.stderr, want) {
		t.Errorf("standard error does not end in %q:\n%s", want, third.stderr)
	}
	all, err := os.ReadFile(rejects)
	if err != nil || strings.Count(string(all), "\n") != shownRejects+23 {
		t.Errorf("file of rejects has %d lines, error %v", strings.Count(string(all), "\n"), err)
	}
	if want := "ratings.csv line 4: movieId \"99\": is not among the films of movies.csv that could be read\n"; !strings.HasPrefix(string(all), want) {
		t.Errorf("file of rejects begins with %.200q, want %q", all, want)
	}
	if o := r.run(t, "import", "movielens", dir, "--no-wait"); o.code != exitOK || !strings.HasSuffix(o.stdout, "The aggregates may not include the last ratings yet.\n") {
		t.Errorf("--no-wait: %+v", o)
	}
	write(t, filepath.Join(dir, "ratings.csv"), "userId,movieId,rating,timestamp\n")
	if o := r.run(t, "import", "movielens", dir, "--no-wait"); o.code != exitOK || strings.Contains(o.stdout, "aggregates") {
		t.Errorf("no rating was published: %+v", o)
	}
}

func TestInterruptedCommand(t *testing.T) {
	r := startSystem(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := movieexample(ctx, "", "import", "movielens", dataSet(t, 0), "--addresses", r.file)
	o.want(t, exitInterrupted, "", "movieexample: interrupted: 0 films and 0 ratings went in; run it again to complete it")
}

func TestPublishCommand(t *testing.T) {
	r := startSystem(t)
	const good = `{"userId":"u","recordId":"r","recordType":"movie","value":9}`
	movieexample(t.Context(), good+"\n"+`{"value":11}`, "publish", "-", "--addresses", r.file).
		want(t, exitRefused, "2 events read: 1 accepted, 1 refused\n", "refused: line 2: ")
	movieexample(t.Context(), "["+good+",\n{\"value\":11}]", "publish", "-", "--addresses", r.file).
		want(t, exitRefused, "2 events read: 1 accepted, 1 refused\n", "refused: item 2 (line 2): ")
	noEvent := movieexample(t.Context(), "rubbish\n", "publish", "-", "--addresses", r.file)
	noEvent.want(t, exitRefused, "1 event read: 0 accepted, 1 refused\n", "refused: line 1: event: must be a JSON object, got \"rubbish\"\n")
	var refused struct {
		Refused  int
		Refusals []refusal
	}
	o := movieexample(t.Context(), strings.Repeat("rubbish\n", shownRejects+3), "publish", "-", "--addresses", r.file, "-o", "json")
	if err := json.Unmarshal([]byte(o.stdout), &refused); err != nil || o.code != exitRefused {
		t.Fatalf("%v: %+v", err, o)
	}
	if refused.Refused != shownRejects+3 || len(refused.Refusals) != shownRejects || refused.Refusals[1] != (refusal{"line 2", `event: must be a JSON object, got "rubbish"`}) {
		t.Errorf("refused %d, listed %d, %+v", refused.Refused, len(refused.Refusals), refused.Refusals[:min(2, len(refused.Refusals))])
	}
	file := write(t, filepath.Join(t.TempDir(), "events.json"), "["+good+"]")
	r.run(t, "publish", file, "-o", "json").want(t, exitOK, `{
  "read": 1,
  "accepted": 1,
  "refused": 0,
  "outcomeUnknown": 0,
  "notSent": 0,
  "interrupted": false,
  "refusals": []
}
`)
	r.run(t, "publish", write(t, file, "["+good+",")).
		want(t, exitFailed, "1 event read: 1 accepted, 0 refused\n", "the closing bracket is missing")
}

func TestAuditCommand(t *testing.T) {
	r := startSystem(t)
	if o := r.run(t, "import", "movielens", dataSet(t, 0)); o.code != exitOK {
		t.Fatalf("%+v", o)
	}
	r.run(t, "audit").want(t, exitOK, "2 aggregates checked against 2 ratings: 0 differences\n")
	r.tamper(t, "UPDATE aggregates SET votes = 5 WHERE record_id = ?", "ml-2")
	r.run(t, "audit").want(t, exitFailed, `movie ml-2: votes is 5, but its ratings give 1
2 aggregates checked against 2 ratings: 1 difference
`)
	r.run(t, "audit", "-o", "json").want(t, exitFailed, `{
  "aggregates": 2,
  "ratings": 2,
  "differences": 1,
  "found": [
    {
      "recordType": "movie",
      "recordId": "ml-2",
      "field": "votes",
      "stored": 5,
      "recomputed": 1
    }
  ]
}
`)
}

// tamper changes the rating database behind the service's back.
func (r *running) tamper(t *testing.T, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.addresses.Data, "rating", "rating.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	result, err := db.ExecContext(t.Context(), statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, error %v", statement, n, err)
	}
}

func TestDeadLettersCommands(t *testing.T) {
	r := startSystem(t)
	// Publishing waits for the topic, which the system makes just after its start.
	movieexample(t.Context(), "[]", "publish", "-", "--addresses", r.file).want(t, exitOK, "0 events read: 0 accepted, 0 refused\n")
	p, err := kafka.NewProducer(t.Context(), kafka.ProducerConfig{Config: kafka.Config{Brokers: []string{r.addresses.Kafka}}, Topic: "ratings"})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{`{"userId":"u","recordId":"r","recordType":"movie","value":11}`, "\x1b[31m\xff", ""} {
		if err := p.Publish(t.Context(), kafka.Message{Key: []byte("k"), Value: []byte(value)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	type list struct {
		DeadLetters []deadLetterJSON
		Total       int64
	}
	listed := func() (l list) {
		t.Helper()
		o := r.run(t, "dead-letters", "list", "-o", "json")
		if err := json.Unmarshal([]byte(o.stdout), &l); err != nil || o.code != exitOK {
			t.Fatalf("%v: %+v", err, o)
		}
		return l
	}
	var l list
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); len(l.DeadLetters) < 3; <-tick.C {
		if l = listed(); time.Now().After(deadline) {
			t.Fatalf("only %d dead letters after 20 s", len(l.DeadLetters))
		}
	}
	if l.Total != 3 || len(l.DeadLetters) != 3 || l.DeadLetters[0].Class != "value-out-of-range" || l.DeadLetters[1].PayloadBase64 == "" || l.DeadLetters[0].Key != "k" {
		t.Fatalf("list: %+v", l)
	}
	o := r.run(t, "dead-letters", "list")
	for _, part := range []string{
		l.DeadLetters[0].ID + "\n    ratings[", "  value-out-of-range\n    value: must be a whole number from 1 to 10, got 11\n    {\"userId\":\"u\"",
		`    "\x1b[31m\xff"` + "\n", "    (empty)\n",
	} {
		if !strings.Contains(o.stdout, part) {
			t.Errorf("list lacks %q:\n%s", part, o.stdout)
		}
	}
	if strings.Contains(o.stdout, "\x1b") {
		t.Error("a dead letter's escape sequence reaches the terminal")
	}
	if o.stderr != "3 dead letters\n" {
		t.Errorf("standard error %q", o.stderr)
	}
	if o := r.run(t, "dead-letters", "list", "--limit", "1"); o.stderr != "1 of 3 dead letters; --limit 0 lists all\n" {
		t.Errorf("limited list: %+v", o)
	}

	id := l.DeadLetters[0].ID
	r.run(t, "dead-letters", "replay", id).want(t, exitRefused, "0 replayed, 1 refused\n", "refused: "+id+": value: must be")
	r.tamper(t, "UPDATE dead_letters SET payload = CAST(? AS BLOB) WHERE id = ?", `{"userId":"u","recordId":"r","recordType":"movie","value":8}`, id)
	r.run(t, "dead-letters", "replay", id).want(t, exitOK, "1 replayed, 0 refused\n")
	if o := r.run(t, "dead-letters", "replay", "--all", "-o", "json"); o.code != exitRefused || !strings.Contains(o.stdout, `"replayed": 0`) {
		t.Errorf("replay of all: %+v", o)
	}
	r.run(t, "dead-letters", "drop", l.DeadLetters[1].ID, id).want(t, exitRefused, "1 dead letter dropped\n", "unknown ids: 1 (")
	r.run(t, "dead-letters", "drop", "--all", "--yes").want(t, exitOK, "1 dead letter dropped\n")
	if l := listed(); l.Total != 0 || l.DeadLetters == nil {
		t.Errorf("in the end: %+v", l)
	}
}

func TestGenerateMovieLensCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ml")
	args := []string{"generate", "movielens", "--users", "30", "--ratings", "1000", "--seed", "7", dir}
	movieexample(t.Context(), "", args...).want(t, exitOK, dir+": 1,000 ratings by 30 users of 100 films, seed 7\n")
	before, err := os.ReadFile(filepath.Join(dir, "ratings.csv"))
	if err != nil {
		t.Fatal(err)
	}
	movieexample(t.Context(), "", args...).want(t, exitUsage, "", "movies.csv, links.csv and ratings.csv are there already: name another directory, or replace them with --force\n")
	movieexample(t.Context(), "", append(args, "--force", "-o", "json")...).want(t, exitOK, fmt.Sprintf(`{
  "directory": %q,
  "movies": 100,
  "ratings": 1000,
  "seed": 7,
  "users": 30
}
`, dir))
	after, err := os.ReadFile(filepath.Join(dir, "ratings.csv"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the same flags gave other ratings; error %v", err)
	}
}

// TestMistakes: what is wrong with a call, and what to do about it, in the message; and the exit code.
func TestMistakes(t *testing.T) {
	dir := dataSet(t, 0)
	events := write(t, filepath.Join(dir, "events.json"), "[]")
	wrong := dataSet(t, 0)
	write(t, filepath.Join(wrong, "ratings.csv"), "a,b\n")
	noKafka := write(t, filepath.Join(dir, "addresses.json"), `{"rating":"127.0.0.1:1"}`)
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"import movielens", exitUsage, "give one DIR, the directory with movies.csv, links.csv and ratings.csv; got 0 arguments"},
		{"import movielens a b", exitUsage, "got 2 arguments"},
		{"import movielens " + dir + "/nowhere", exitUsage, "no such file or directory"},
		{"import movielens " + t.TempDir(), exitUsage, "has no movies.csv, no links.csv, no ratings.csv"},
		{"import movielens " + dir + " --stall-timeout 1ms", exitUsage, "--stall-timeout must be at least 100ms, got 1ms"},
		{"import movielens " + dir + " -o xml", exitUsage, `movieexample: --output must be text or json, got "xml"; see`},
		{"import movielens " + dir + " --stall-timeout 3", exitUsage, `movieexample: --stall-timeout must be a duration with a unit, such as 500ms, 30s or 5m, got "3"; see`},
		{"import movielens " + dir + " --no-wait=x", exitUsage, `movieexample: --no-wait must be true or false, got "x"; see`},
		{"import movielens " + wrong, exitUsage, wrong + `/ratings.csv: the columns are "a,b"; they must be userId,movieId,rating,timestamp`},
		{"import movielens " + dir + " --rejects " + dir, exitUsage, "--rejects: open " + dir + ": is a directory"},
		{"import movielens " + dir + " --rating-addr 127.0.0.1:1 --wait 0", exitUnreachable, "movieexample: cannot reach the rating service at 127.0.0.1:1 (connection refused): is it running? Set its address with --rating-addr or --addresses\n"},
		{"import movielens " + dir + " --rating-addr nowhere", exitUsage, `address of rating: must be host:port, for example 127.0.0.1:8082; got "nowhere"`},
		{"import movielens " + dir + " --addresses " + dir + "/none --wait 0", exitUsage, "--addresses: read addresses"},
		{"import imdb", exitUsage, "give one DIR, the directory with title.basics.tsv.gz and its like; got 0 arguments"},
		{"import imdb " + dir, exitUsage, "has no title.basics.tsv and no title.basics.tsv.gz"},
		{"import imdb ../../imdb/testdata --metadata-addr 127.0.0.1:1 --wait 0", exitUnreachable, "cannot reach the metadata service at 127.0.0.1:1 (connection refused): is it running? Set its address with --metadata-addr or --addresses\n"},
		{"import movies", exitUsage, `give one FILE, a file of movies, or "-" for standard input; got 0 arguments`},
		{"import movies " + dir + "/none.csv", exitUsage, "none.csv: no such file or directory"},
		{"import movies " + dir, exitUsage, dir + " is a directory; name a file"},
		{"import movies " + events + " --mode merge", exitUsage, `--mode must be replace or fill, got "merge"`},
		{"import ratings " + events + " --format xml", exitUsage, `--format must be csv or jsonl, got "xml"`},
		{"import ratings " + events + " --stall-timeout 1ms", exitUsage, "--stall-timeout must be at least 100ms"},
		{"import ratings " + events + " --rating-addr 127.0.0.1:1 --wait 0", exitUnreachable, "cannot reach the rating service at 127.0.0.1:1"},
		{"export movies a b", exitUsage, `give at most one FILE, or "-" for standard output; got 2 arguments`},
		{"export movies " + dir, exitUsage, dir + " is a directory; name a file"},
		{"export movies " + dir + "/none/x.csv", exitUsage, "/none/x.csv cannot be written: "},
		{"export movies --metadata-addr 127.0.0.1:1 --wait 0", exitUnreachable, "cannot reach the metadata service at 127.0.0.1:1"},
		{"export x", exitUsage, `there is no command "export x"; see 'movieexample export --help'`},
		{"generate imdb x", exitUsage, `required flag(s) "titles" not set`},
		{"generate imdb --titles 5 --kept 6 x", exitUsage, "films is 6; it must be at most 5, the number of titles"},
		{"publish", exitUsage, `give one FILE, a file with events, or "-" for standard input`},
		{"publish " + dir + "/none", exitUsage, "none: no such file"},
		{"publish " + events + " --kafka-brokers 127.0.0.1:1 --wait 0", exitUnreachable, "movieexample: cannot reach Kafka at 127.0.0.1:1 ("},
		{"publish " + events + " --kafka-brokers 127.0.0.1:1 --wait 0", exitUnreachable, "): is it running? Set its address with --kafka-brokers or --addresses\n"},
		{"publish " + events + " --addresses " + noKafka, exitUnreachable, "the address of Kafka is not known: the process that wrote " + noKafka + " does not run it; set --kafka-brokers\n"},
		{"publish " + events + " --topic=", exitUsage, "--topic must not be empty"},
		{"audit --addresses " + noKafka + " --wait 0", exitUnreachable, "cannot reach the rating service at 127.0.0.1:1 (connection refused): is it running?"},
		{"audit --wait -1s", exitUsage, "--wait must be from 0s to 10m0s, got -1s"},
		{"audit --wait 1h", exitUsage, "--wait must be from 0s to 10m0s, got 1h0m0s"},
		{"audit x", exitUsage, `audit takes no arguments, got "x"; see 'movieexample audit --help'`},
		{"dead-letters list x", exitUsage, `list takes no arguments, got "x"; see 'movieexample dead-letters list --help'`},
		{"import x", exitUsage, `there is no command "import x"; see 'movieexample import --help'`},
		{"generate x", exitUsage, `there is no command "generate x"; see 'movieexample generate --help'`},
		{"dead-letters x", exitUsage, `there is no command "dead-letters x"; see 'movieexample dead-letters --help'`},
		{"dead-letters list --limit -1", exitUsage, "--limit must be 0, for all, or more; got -1"},
		{"dead-letters replay", exitUsage, "give the ids of dead letters"},
		{"dead-letters drop", exitUsage, "or --all"},
		{"dead-letters drop --all", exitUsage, "add --yes to confirm"},
		{"dead-letters drop --all --yes x", exitUsage, "give ids or --all, not both"},
		{"generate movielens --users 1 x", exitUsage, `required flag(s) "ratings" not set`},
		{"generate movielens --users 3 --ratings 40 x", exitUsage, "3 users need at least 60"},
		{"generate movielens --users abc --ratings 4 x", exitUsage, `movieexample: --users must be a whole number of at least 1, got "abc"; see 'movieexample generate movielens --help'`},
		{"generate movielens --users 0 --ratings 4 x", exitUsage, `--users must be a whole number of at least 1, got "0"`},
		{"generate movielens --seed -1 --users 1 --ratings 20 x", exitUsage, `--seed must be a whole number, got "-1"`},
		{"dead-letters list --limit x", exitUsage, `--limit must be a whole number, got "x"`},
		{"serve --rating-chart-min-votes x", exitUsage, `--rating-chart-min-votes: want a whole number, got "x"`},
	} {
		o := movieexample(t.Context(), "", strings.Fields(tc.args)...)
		if o.code != tc.code || !strings.Contains(o.stderr, tc.want) || o.stdout != "" {
			t.Errorf("movieexample %s: exit code %d, want %d; standard output %q, standard error\n%swant … %s", tc.args, o.code, tc.code, o.stdout, o.stderr, tc.want)
		}
	}
}

// TestClientCommandsExplainThemselves: each has a long help and examples that begin with the program's name.
func TestClientCommandsExplainThemselves(t *testing.T) {
	n := 0
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			check(sub)
		}
		if c.HasSubCommands() {
			return
		}
		n++
		if c.Long == "" || c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: short %q, long %q, example %q", c.CommandPath(), c.Short, c.Long, c.Example)
		}
	}
	for _, c := range newRootCommand().Commands() {
		if slices.Contains([]string{"import", "export", "publish", "generate", "audit", "dead-letters"}, c.Name()) {
			check(c)
		}
	}
	if n != 13 {
		t.Errorf("%d commands were checked, want 13", n)
	}
}
