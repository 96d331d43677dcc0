package main

import (
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"movieexample.com/client"
	"movieexample.com/internal/kafka"
)

// listed is what `ingestion list -o json` prints.
func (r *running) listed(t *testing.T) []client.IngestPartition {
	t.Helper()
	var list struct{ Partitions []client.IngestPartition }
	o := r.run(t, "ingestion", "list", "-o", "json")
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil {
		t.Fatalf("%v: %+v", err, o)
	}
	trouble := false
	for _, p := range list.Partitions {
		trouble = trouble || p.Halted != "" || p.Owned != nil && !*p.Owned
	}
	if trouble != (o.code == exitRefused) || !trouble && o.code != exitOK {
		t.Fatalf("exit code %d for %+v", o.code, list.Partitions)
	}
	return list.Partitions
}

// await waits for the partitions to be as they should.
func (r *running) await(t *testing.T, what string, cond func([]client.IngestPartition) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		list := r.listed(t)
		if cond(list) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for %s: %+v", what, list)
		}
	}
}

// The topic is recreated under a running system. The list says so, a dry run shows what would be lost, and the command resumes ingestion.
func TestIngestionCommands(t *testing.T) {
	r := startSystem(t)
	event := write(t, filepath.Join(t.TempDir(), "e.json"), `[{"userId":"u","recordId":"r","recordType":"movie","value":7}]`)
	publish := func() { r.run(t, "publish", event).want(t, exitOK, "1 event read: 1 accepted, 0 refused\n") }
	publish()
	r.await(t, "the event", func(list []client.IngestPartition) bool {
		ingested, owned := int64(0), true
		for _, p := range list {
			ingested += p.NextOffset
			owned = owned && p.Owner != "" && p.LagRecords != nil && *p.LagRecords == 0
		}
		return ingested == 1 && owned && len(list) == 4
	})
	if o := r.run(t, "ingestion", "list"); o.code != exitOK || !strings.HasPrefix(o.stdout, "PARTITION ") || strings.Count(o.stdout, "runs\n") != 4 {
		t.Errorf("list: %+v", o)
	}
	r.run(t, "ingestion", "resume", "--all", "--from", "end").want(t, exitOK, "", `no partition of topic "ratings" is halted`)
	r.run(t, "ingestion", "resume", "--all", "--from", "end", "--topic", "rating").want(t, exitFailed, "",
		`no partition of topic "rating" is known, so none can be resumed; known topics are ratings`)
	if o := r.run(t, "ingestion", "resume", "--partition", "1", "--from", "end"); o.code != exitFailed || !strings.Contains(o.stderr, "is not halted") {
		t.Errorf("resume of a partition that runs: %+v", o)
	}
	if o := r.run(t, "ingestion", "resume", "--partition", "9", "--from", "end"); o.code != exitUsage || !strings.Contains(o.stderr, "no partition 9") {
		t.Errorf("resume of a partition that is not there: %+v", o)
	}

	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{r.addresses.Kafka}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).DeleteTopic(t.Context(), "ratings"); err != nil {
		t.Fatal(err)
	}
	if _, err := kafka.EnsureTopic(t.Context(), cl, kafka.TopicConfig{Name: "ratings", Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	halted := func(n int) func(list []client.IngestPartition) bool {
		return func(list []client.IngestPartition) bool {
			got := 0
			for _, p := range list {
				if p.Halted != "" && p.EndOffset != nil {
					got++
				}
			}
			return got == n
		}
	}
	r.await(t, "four halted partitions", halted(4))
	publish()
	if o := r.run(t, "ingestion", "list"); o.code != exitRefused || !strings.Contains(o.stderr, "are halted: resume with 'movieexample ingestion resume'") || strings.Count(o.stdout, "HALTED\n") < 4 || !strings.Contains(o.stdout, "is halted: topic \"ratings\" was deleted and recreated") {
		t.Errorf("list: %+v", o)
	}
	if o := r.run(t, "ingestion", "resume", "--partition", "0,1,2,3", "--from", "earliest", "--dry-run"); o.code != exitOK ||
		strings.Count(o.stdout, "] would resume at offset 0") != 4 ||
		strings.Count(o.stdout, ": 0 skipped, 0 lost, 0 read again\n  lost: the records of the deleted topic (id ") != 4 {
		t.Errorf("dry run: %+v", o)
	}
	r.await(t, "nothing to have changed", halted(4))
	if o := r.run(t, "ingestion", "resume", "--all", "--from", "earliest", "-o", "json"); o.code != exitOK || strings.Count(o.stdout, `"newOffset": 0`) != 4 {
		t.Errorf("resume: %+v", o)
	}
	r.await(t, "the new topic's event", func(list []client.IngestPartition) bool {
		ingested := int64(0)
		for _, p := range list {
			ingested += p.NextOffset
		}
		return halted(0)(list) && ingested == 1 && len(list) == 4
	})
}

// An unreachable Kafka is a failure, and the message names the reason.
func TestIngestionListWithoutKafka(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, a := startSystemProcess(t, nil, "serve", "--data", t.TempDir(), "--rating-brokers", dead, "--databases-metadata", "embedded", "--databases-rating", "embedded")
	for _, output := range []string{"text", "json"} {
		o := movieexample(t.Context(), "", "ingestion", "list", "--rating-addr", a.Rating, "-o", output)
		if o.code != exitUnreachable || !strings.Contains(o.stderr, "no Kafka broker answers at "+dead) {
			t.Errorf("list as %s: %+v", output, o)
		}
	}
}

// Messages about wrong flags name the flag.
func TestIngestionMistakes(t *testing.T) {
	empty := write(t, filepath.Join(t.TempDir(), "empty"), "\n")
	password := write(t, filepath.Join(t.TempDir(), "password"), "secret\n")
	for line, says := range map[string]string{
		"ingestion resume":                                      "--from is required: earliest, an offset, or end",
		"ingestion resume --from now --all":                     `--from must be earliest, an offset (0 or more), or end; got "now"`,
		"ingestion resume --from -1 --all":                      "--from must be earliest",
		"ingestion resume --from end":                           "name the partition with --partition",
		"ingestion resume --from end --all --partition 1":       "give --partition or --all, not both",
		"ingestion resume --from end --all --force":             "--force needs --partition",
		"ingestion resume --from end --partition -1":            "--partition must be 0 or more, got -1",
		"ingestion list x":                                      `list takes no arguments, got "x"`,
		"publish - --kafka-ca-file x":                           "--kafka-ca-file is for TLS, which is off",
		"publish - --kafka-user u":                              "--kafka-sasl-mechanism is required with a user or password",
		"publish - --kafka-sasl-mechanism MD5":                  `--kafka-sasl-mechanism must be SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or empty, got "MD5"`,
		"publish - --kafka-sasl-mechanism PLAIN --kafka-user u": "--kafka-password-file is required with sasl_mechanism",
		"publish - --kafka-password-file " + empty:              "--kafka-password-file: file \"" + empty + "\" holds no secret",
		"publish - --kafka-password-file /nowhere":              "--kafka-password-file: read the secret: there is no file \"/nowhere\"",
		"publish - --kafka-tls --kafka-ca-file " + password:     "--kafka-ca-file: " + password + " has no certificate",
	} {
		if o := movieexample(t.Context(), "", strings.Fields(line)...); o.code != exitUsage || !strings.Contains(o.stderr, says) {
			t.Errorf("%s: %+v\nwant %q", line, o, says)
		}
	}
}
