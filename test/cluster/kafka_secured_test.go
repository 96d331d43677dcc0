//go:build servers

package cluster_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/test/cluster"
	"movieexample.com/test/servers"
)

// secured is a Kafka with TLS, logins and permissions, and what runs on it. Who may do what is what docs/operations.md says.
type secured struct {
	*servers.Kafka
	binary string
	room   *servers.Room
	admin  *kadm.Client // at the brokers' own door

	metadata string // address
	manual   manual
}

// manual is what docs/operations.md says about TLS, logins and permissions: the test runs that, with its own paths and ports.
type manual struct {
	configuration string
	commands      map[string][]string // what follows "movieexample", by its first words: "import ratings"
	permissions   []string            // the options of kafka-acls.sh, from --allow-principal on
}

func readManual(t *testing.T) (m manual) {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "**Kafka with TLS, logins and permissions.**")
	section, _, ended := strings.Cut(section, "\n**")
	blocks := strings.Split(section, "```")
	if !found || !ended || len(blocks) != 7 {
		t.Fatalf("docs/operations.md has no section with three blocks about Kafka with TLS, logins and permissions: %v, %v, %d", found, ended, len(blocks))
	}
	m.configuration, m.commands = strings.TrimPrefix(blocks[1], "yaml\n"), make(map[string][]string)
	for line := range strings.Lines(blocks[3] + blocks[5]) {
		if _, options, ok := strings.Cut(line, "kafka-acls.sh --bootstrap-server kafka-1:9093 --command-config admin.properties --add "); ok {
			m.permissions = append(m.permissions, options)
		}
		if _, args, ok := strings.Cut(line, "movieexample "); ok {
			words := strings.Fields(args)
			m.commands[strings.Join(words[:2], " ")] = words
		}
	}
	if len(m.permissions) != 3 || len(m.commands) != 5 {
		t.Fatalf("the section has other commands than expected: %+v", m)
	}
	return m
}

// command is one of the manual, with other values of flags.
func (m manual) command(t *testing.T, name string, change ...string) []string {
	t.Helper()
	if len(m.commands[name]) == 0 {
		t.Fatalf("docs/operations.md has no command %q", name)
	}
	return changed(t, m.commands[name], change)
}

// startSecured starts the servers and the metadata service; the test's end stops them.
func startSecured(t *testing.T) *secured {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := &secured{manual: readManual(t)}
	var err error
	if s.binary, err = cluster.Build(); err != nil {
		t.Fatal(err)
	}
	if s.room, err = servers.NewRoom("secured", ""); err != nil {
		t.Fatal(err)
	}
	s.Kafka, err = servers.StartKafka(ctx, servers.KafkaConfig{
		TLS: true,
		Users: []servers.KafkaUser{
			{Name: "rating", Password: "secret=1"},
			{Name: "films", Password: "secret=2"},
			{Name: "second", Password: "secret=3"},
			{Name: "guest", Password: "secret=4"},
			{Name: "reader", Password: "secret=5"},
		},
		Properties: map[string]string{
			"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":           "User:ANONYMOUS", // who comes by the brokers' own door
			// So that a topic is only made where the configuration's number of replicas arrives.
			"default.replication.factor": "3",
		},
	})
	if err != nil {
		t.Fatal(errors.Join(err, s.room.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), s.room.Close()); err != nil {
			t.Error(err)
		}
	})
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Internal()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	s.admin = kadm.NewClient(cl)
	for _, options := range append(s.manual.permissions, "--allow-principal User:reader --operation Describe --topic ratings") {
		s.grant(t, options)
	}
	_, s.metadata, _ = s.serve(t, "metadata", "metadata", nil)
	return s
}

func (s *secured) grant(t *testing.T, options string) {
	t.Helper()
	if _, err := s.Tool(t.Context(), "org.apache.kafka.tools.AclCommand", append([]string{"--add"}, strings.Fields(options)...)...); err != nil {
		t.Fatal(err)
	}
}

// setPassword is kafka-configs.sh --alter --add-config 'SCRAM-SHA-512=[password=…]'.
func (s *secured) setPassword(t *testing.T, user, password string) {
	t.Helper()
	done, err := s.admin.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: user, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: password}})
	if err = errors.Join(err, done.Error()); err != nil {
		t.Fatal(err)
	}
}

// file writes a file that only its owner reads.
func (s *secured) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.room.Dir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// configuration is that of the manual, for one broker.
func (s *secured) configuration(user string) string {
	return strings.NewReplacer(
		"kafka-1:9093, kafka-2:9093", s.Bootstrap()[0], "/etc/movieexample/kafka-ca.pem", s.TLS.CAFile, "user: rating", "user: "+user,
		"replication: 3", "replication: 1", "min_insync_replicas: 2", "min_insync_replicas: 1",
	).Replace(s.manual.configuration)
}

// serve starts a process of one service with its own SQLite database, and waits until it is ready.
func (s *secured) serve(t *testing.T, name, service string, env []string, args ...string) (p *servers.Process, address, admin string) {
	t.Helper()
	var err1, err2 error
	address, err1 = s.room.Address()
	admin, err2 = s.room.Address()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	p = servers.NewProcess(servers.Program{
		Name: name, Path: s.binary, Env: append(cluster.Environment(), env...), Dir: s.room.Dir(), Log: filepath.Join(s.room.Dir(), name+".log"),
		Args: append([]string{"serve", service, "--data", filepath.Join(s.room.Dir(), name), "--database", "embedded", "--listen-" + service, address, "--listen-admin", admin}, args...),
		Ready: func(ctx context.Context) error {
			_, err := ask(ctx, "GET", "http://"+admin+"/readyz", "")
			return err
		},
	})
	t.Cleanup(func() {
		if log, err := p.Log(); t.Failed() && err == nil {
			t.Logf("log of %s:\n%s", name, log)
		}
		if end, err := p.Terminate(25 * time.Second); err != nil || end.Code != 0 {
			t.Errorf("stop %s: %s, %v", name, end, err)
		}
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, address, admin
}

// ended is how a command ended.
type ended struct {
	out, err string
	code     int
	took     time.Duration
}

// run runs a command as a user types it, for 30 seconds at most.
func (s *secured) run(t *testing.T, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = &out, &errs, cluster.Environment(), s.room.Dir()
	began := time.Now()
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return ended{out.String(), strings.TrimSpace(errs.String()), cmd.ProcessState.ExitCode(), time.Since(began)}
}

// succeeds is run for a command that has to.
func (s *secured) succeeds(t *testing.T, args ...string) string {
	t.Helper()
	e := s.run(t, args...)
	if e.code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", strings.Join(args, " "), e.code, e.out, e.err)
	}
	return e.out
}

// changed gives flags of a command other values, or leaves them out.
func changed(t *testing.T, args, change []string) []string {
	t.Helper()
	args = slices.Clone(args)
	for i := 0; i < len(change); i += 2 {
		flag, value := change[i], change[i+1]
		at := slices.Index(args, flag)
		switch {
		case at < 0 && value == "-":
			t.Fatalf("%s is not in %q", flag, args)
		case at < 0:
			args = append(args, flag, value)
		case value != "-":
			args[at+1] = value
		case flag == "--kafka-tls":
			args = slices.Delete(args, at, at+1)
		default:
			args = slices.Delete(args, at, at+2)
		}
	}
	return args
}

// refusedLogins counts what the broker logged.
func (s *secured) refusedLogins(t *testing.T) int {
	t.Helper()
	log, err := s.Brokers[0].Log()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(log, "Failed authentication with")
}
