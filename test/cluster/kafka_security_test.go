//go:build servers

package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/test/servers"
)

// TestSecuredKafka runs the rating service and the commands that publish, as docs/operations.md says, on an Apache Kafka with TLS,
// SCRAM and permissions: everything arrives once, and who is refused is told which setting to look at.
func TestSecuredKafka(t *testing.T) {
	s := startSecured(t)
	p, rating, admin := s.serve(t, "rating", "rating",
		[]string{"MOVIEEXAMPLE_RATING_KAFKA_PASSWORD_FILE=" + s.file(t, "rating-password", "secret=1\n")},
		"--config", s.file(t, "movieexample.yaml", s.configuration("rating")))
	places := []string{
		"--kafka-brokers", s.Bootstrap()[0], "--kafka-ca-file", s.TLS.CAFile, "--kafka-password-file", s.file(t, "films-password", "secret=2\n"),
	}
	s.file(t, "events.jsonl", events("publish", 500))
	s.file(t, "ratings.jsonl", events("import", 300))
	s.succeeds(t, "generate", "movielens", "--users", "20", "--ratings", "2000", filepath.Join(s.room.Dir(), "ml"))
	commands := map[string][]string{
		"publish":          s.manual.command(t, "publish events.jsonl", places...),
		"import movielens": s.manual.command(t, "import movielens", append(places, "--metadata-addr", s.metadata, "--rating-addr", rating)...),
		"import ratings":   s.manual.command(t, "import ratings", append(places, "--rating-addr", rating)...),
	}
	for name, command := range commands {
		t.Logf("%s: %s", name, s.succeeds(t, command...))
	}
	all := 500 + 2000 + 300
	s.ingested(t, rating, admin, "rating", all)
	s.topicIsAsConfigured(t)

	t.Run("refused", func(t *testing.T) { s.refusals(t, commands) })
	t.Run("late", func(t *testing.T) { s.late(t, all) })

	// A change of nothing else: what was refused has left no trace.
	s.ingested(t, rating, admin, "rating", all)
	if !p.Running() {
		t.Error("rating does not run any more")
	}
}

func (s *secured) topicIsAsConfigured(t *testing.T) {
	t.Helper()
	topics, err := s.admin.ListTopics(t.Context(), "ratings")
	if err = errors.Join(err, topics.Error()); err != nil {
		t.Fatal(err)
	}
	if found := topics["ratings"].Partitions; len(found) != 6 || len(found[0].Replicas) != 1 {
		t.Errorf("the topic has %d partitions of %v", len(found), found[0].Replicas)
	}
	configs, err := s.admin.DescribeTopicConfigs(t.Context(), "ratings")
	if err != nil {
		t.Fatal(err)
	}
	least := ""
	for _, c := range configs[0].Configs {
		if c.Key == "min.insync.replicas" && c.Source == kmsg.ConfigSourceDynamicTopicConfig {
			least = c.MaybeValue()
		}
	}
	if least != "1" {
		t.Errorf("min.insync.replicas of the topic is %q, want 1 from the configuration", least)
	}
}

// refusals changes one thing of what works for each row, and runs all commands.
func (s *secured) refusals(t *testing.T, commands map[string][]string) {
	wrong := s.file(t, "wrong-password", "wrong\n")
	plain := s.Internal()[0]
	for _, c := range []struct {
		name   string
		code   int // of publish; imports end with 4 where it is 3
		says   []string
		change []string // flags and values; a flag with "-" is left out
	}{
		{"wrong password", 4, []string{s.Bootstrap()[0], `refuses the login of user "films" by SCRAM-SHA-512`, "check --kafka-user, --kafka-password-file and --kafka-sasl-mechanism"}, []string{"--kafka-password-file", wrong}},
		{"unknown user", 4, []string{`refuses the login of user "nobody"`, "--kafka-user"}, []string{"--kafka-user", "nobody"}},
		{"other mechanism", 4, []string{"it offers no login by PLAIN", "check --kafka-sasl-mechanism"}, []string{"--kafka-sasl-mechanism", "PLAIN"}},
		{"authority of the system", 4, []string{"signed by unknown authority", "check --kafka-ca-file: without it"}, []string{"--kafka-ca-file", "-"}},
		{"other authority", 4, []string{"its certificate is not trusted", "check --kafka-ca-file, which must have"}, []string{"--kafka-ca-file", s.TLS.ClientCertFile}},
		{"authority that is not there", 2, []string{"--kafka-ca-file", "nowhere.pem", "no such file"}, []string{"--kafka-ca-file", "nowhere.pem"}},
		{"other name", 4, []string{"not elsewhere.example", "--kafka-server-name"}, []string{"--kafka-server-name", "elsewhere.example"}},
		{"TLS without login", 4, []string{"it may require a login: set --kafka-sasl-mechanism, --kafka-user and --kafka-password-file"}, []string{"--kafka-sasl-mechanism", "-", "--kafka-user", "-", "--kafka-password-file", "-"}},
		{"neither", 4, []string{"it speaks TLS on this port", "switch --kafka-tls on"}, []string{"--kafka-tls", "-", "--kafka-ca-file", "-", "--kafka-sasl-mechanism", "-", "--kafka-user", "-", "--kafka-password-file", "-"}},
		{"login without TLS", 4, []string{"it speaks TLS on this port", "switch --kafka-tls on"}, []string{"--kafka-tls", "-", "--kafka-ca-file", "-"}},
		{"TLS to a port without", 4, []string{"not speak TLS on this port", "switch --kafka-tls off"}, []string{"--kafka-brokers", plain}},
		{"login at a port without", 4, []string{"accepts no logins on this port", "--kafka-sasl-mechanism"}, []string{"--kafka-brokers", plain, "--kafka-tls", "-", "--kafka-ca-file", "-"}},
		{"no permission", 4, []string{`it denies user "guest" access to the topic`, "grant it", "--kafka-user"}, []string{"--kafka-user", "guest", "--kafka-password-file", s.file(t, "guest-password", "secret=4\n")}},
		{"no permission to write", 3, []string{`it denies user "reader" access to the topic`, "grant it", "--kafka-user"}, []string{"--kafka-user", "reader", "--kafka-password-file", s.file(t, "reader-password", "secret=5\n")}},
		{"empty password file", 2, []string{"--kafka-password-file", "is empty"}, []string{"--kafka-password-file", s.file(t, "empty", "\n")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, args := range commands {
				e := s.run(t, append(changed(t, args, c.change), "--wait", "2s")...)
				want := c.code
				if want == 3 && name != "publish" {
					want = 4
				}
				first, _, _ := strings.Cut(e.err, "\n")
				t.Logf("%s: exit code %d after %s: %s", name, e.code, e.took.Round(time.Millisecond), first)
				if e.code != want || e.took > 15*time.Second {
					t.Errorf("%s: exit code %d after %s, want %d soon\n%s%s", name, e.code, e.took, want, e.out, e.err)
				}
				for _, part := range c.says {
					if !strings.Contains(e.err, part) {
						t.Errorf("%s lacks %q:\n%s", name, part, e.err)
					}
				}
			}
		})
	}
}

// late tests a second rating service, to which the brokers grant one right after the other: each time it reports the missing right,
// serves the calls that need no Kafka, and continues without a restart once the right is granted.
func (s *secured) late(t *testing.T, all int) {
	p, address, admin := s.serve(t, "second", "rating",
		[]string{"MOVIEEXAMPLE_RATING_KAFKA_PASSWORD_FILE=" + s.file(t, "second-password", "changed\n")},
		"--config", s.file(t, "second.yaml", s.configuration("second")), "--rating-group", "second")
	lists := func(part string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%q in ingestion list", part), func(context.Context) error {
			e := s.run(t, "ingestion", "list", "--rating-addr", address)
			if e.code != 4 || !strings.Contains(e.err, part) {
				return fmt.Errorf("exit code %d: %s%s", e.code, e.out, e.err)
			}
			return nil
		})
	}
	const refused = "check rating.kafka.user, rating.kafka.password and rating.kafka.sasl_mechanism"
	says(t, p, 0, "level=WARN", "waiting for Kafka", `refuses the login of user \"second\"`, refused)
	began, refusals := time.Now(), s.refusedLogins(t)
	eventually(t, "six more logins", func(context.Context) error {
		if n := s.refusedLogins(t) - refusals; n < 6 {
			return fmt.Errorf("there were %d", n)
		}
		return nil
	})
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("six logins were tried in %s", took)
	} else {
		t.Logf("six logins were tried in %s", took)
	}
	lists(refused)
	if _, err := ask(t.Context(), "GET", "http://"+admin+"/readyz", ""); err != nil {
		t.Errorf("readiness without Kafka: %v", err)
	}

	s.setPassword(t, "second", "changed")
	says(t, p, 0, "level=WARN", "waiting for Kafka", `denies user \"second\" access to the topic`, "grant it")
	lists("access to the topic")
	before := logged(t, p)
	s.grant(t, "--allow-principal User:second --operation Read --topic ratings") // which others have created
	says(t, p, before, "level=WARN", "waiting for Kafka", `denies user \"second\" access to the consumer group`, "grant it")
	lists("access to the consumer group")
	s.grant(t, "--allow-principal User:second --operation Read --group second")
	s.ingested(t, address, admin, "second", all)
	if log, err := p.Log(); err != nil || strings.Count(log[before:], "access to the consumer group") != 1 {
		t.Errorf("not said once (%v):\n%s", err, log[before:])
	}

	// A password that is changed counts at the next connection.
	s.setPassword(t, "second", "once more")
	before = logged(t, p)
	if err := s.Brokers[0].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	says(t, p, before, `refuses the login of user \"second\"`, refused)
	s.setPassword(t, "second", "changed")
	s.ingested(t, address, admin, "second", all)
}

// events are n rating events of one user each, in JSON lines.
func events(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"userId":"%s-%d","recordId":"tt%07d","recordType":"movie","value":%d,"ratedAt":"2026-01-31T20:15:00Z"}`+"\n", prefix, i, i%37, i%10+1)
	}
	return b.String()
}

// ingested waits until a rating service has exactly n ratings from n events, says so everywhere, and lags behind nowhere.
func (s *secured) ingested(t *testing.T, address, admin, group string, n int) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, fmt.Sprintf("%d ratings", n), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		got, err := ratingv1.NewRatingServiceClient(conn).GetTotals(ctx, &ratingv1.GetTotalsRequest{RecordType: "movie"})
		if err != nil || got.GetRatings() != int64(n) {
			return fmt.Errorf("there are %d, %v", got.GetRatings(), err)
		}
		return nil
	})
	var list struct {
		BrokersError string
		Partitions   []struct {
			NextOffset, EndOffset, LagRecords int64
			Owner                             string
		}
	}
	if err := json.Unmarshal([]byte(s.succeeds(t, "ingestion", "list", "--rating-addr", address, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	next, owned := int64(0), 0
	for _, p := range list.Partitions {
		next += p.NextOffset
		if p.LagRecords != 0 || p.NextOffset != p.EndOffset {
			t.Errorf("%+v lags behind", p)
		}
		if p.Owner != "" {
			owned++
		}
	}
	if len(list.Partitions) != 6 || owned != 6 || next != int64(n) || list.BrokersError != "" {
		t.Errorf("%d of 6 partitions, %d owned, %d of %d events: %s", len(list.Partitions), owned, next, n, list.BrokersError)
	}
	eventually(t, "metrics without lag", func(ctx context.Context) error {
		text, err := ask(ctx, "GET", "http://"+admin+"/metrics", "")
		if err != nil {
			return err
		}
		series, lag, applied := 0, 0.0, 0.0
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
			number, _ := strconv.ParseFloat(value, 64)
			switch {
			case strings.HasPrefix(name, "movieexample_rating_ingest_lag_records{"):
				series, lag = series+1, lag+number
			case name == `movieexample_rating_ingest_records_total{result="applied"`:
				applied = number
			}
		}
		if series != 6 || lag != 0 || applied != float64(n) {
			return fmt.Errorf("%d series, lag %v, %v applied", series, lag, applied)
		}
		return nil
	})
	// What Kafka's own tools show.
	eventually(t, "committed offsets", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		offsets, err := s.admin.FetchOffsets(ctx, group)
		sum := int64(0)
		offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
		if err != nil || sum != int64(n) {
			return fmt.Errorf("they sum up to %d, %v", sum, err)
		}
		return nil
	})
}

// says waits until a line of a log, behind what was there before, has all parts, and shows it.
func says(t *testing.T, p *servers.Process, before int, parts ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q in the log", parts), func(context.Context) error {
		log, err := p.Log()
		if err != nil {
			return err
		}
		for line := range strings.Lines(log[before:]) {
			if anyLine(line, parts...) {
				t.Log(strings.TrimSpace(line))
				return nil
			}
		}
		return errors.New(log[before:])
	})
}

// logged is how long a log is by now.
func logged(t *testing.T, p *servers.Process) int {
	t.Helper()
	log, err := p.Log()
	if err != nil {
		t.Fatal(err)
	}
	return len(log)
}
