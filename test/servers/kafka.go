//go:build linux

package servers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// KafkaVersion is the version of kafka/pom.xml.
const KafkaVersion = "4.3.0"

// KafkaConfig says what kind of Kafka is wanted. The zero value is one broker without encryption or passwords.
type KafkaConfig struct {
	// Dir holds all that the brokers need. Empty: a new directory, removed by Close. A directory that has data from an
	// earlier start with as many brokers is used as it is, with new ports.
	Dir string
	// Brokers is how many, each a controller as well: 1 (also 0) or 3. Of three, two have to be in sync for a record that
	// is acknowledged by all, and topics have three replicas unless they say otherwise.
	Brokers int
	// Users may connect, with SCRAM-SHA-256 or SCRAM-SHA-512. Without any, all users may.
	Users []KafkaUser
	// TLS encrypts what clients say; the certificate is for 127.0.0.1 and localhost, by the authority in Kafka.TLS.
	TLS bool
	// RequireClientCert refuses clients without a certificate of that authority; it implies TLS.
	RequireClientCert bool
	// Properties are added to server.properties, or replace what is there: "log.retention.ms".
	Properties map[string]string
	// HeapMiB is the memory of each broker's heap; 0 is 512 for one and 384 for three.
	HeapMiB int
}

// KafkaUser is a name and a password.
type KafkaUser struct{ Name, Password string }

// Kafka is a running cluster. Brokers listen for clients at one port each, with what the configuration asks for, and at
// another without encryption and passwords, for each other and for the tools.
type Kafka struct {
	// Brokers by number: broker i has node id i+1.
	Brokers []*KafkaBroker
	// TLS are the certificates, where the brokers have some.
	TLS *Authority

	config KafkaConfig
	room   *room
	java   string
}

// KafkaBroker is one broker. Its data and its ports are the same in each life.
type KafkaBroker struct {
	Process
	// NodeID is 1 for the first.
	NodeID int

	kafka                        *Kafka
	client, internal, controller int // ports
}

// StartKafka starts a cluster and returns when each broker answers and knows all others; ctx bounds the start and not the
// cluster's life.
func StartKafka(ctx context.Context, c KafkaConfig) (_ *Kafka, err error) {
	switch c.Brokers {
	case 0:
		c.Brokers = 1
	case 1, 3:
	default:
		return nil, fmt.Errorf("start Kafka: %d brokers; a cluster has 1 or 3", c.Brokers)
	}
	if c.HeapMiB == 0 {
		c.HeapMiB = 512
		if c.Brokers > 1 {
			c.HeapMiB = 384
		}
	}
	c.TLS = c.TLS || c.RequireClientCert
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, errors.New("java is not installed: run test/servers/install kafka")
	}
	if _, err := os.Stat(kafkaLibs()); err != nil {
		return nil, fmt.Errorf("Kafka is not installed (%w): run test/servers/install kafka", err)
	}
	r, err := newRoom("kafka", c.Dir)
	if err != nil {
		return nil, err
	}
	k := &Kafka{config: c, room: r, java: java}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.Close())
		}
	}()
	if err := k.prepare(ctx); err != nil {
		return nil, err
	}
	// The controllers need each other, so all are started before any is waited for.
	for _, b := range k.Brokers {
		if err := b.launch(); err != nil {
			return nil, err
		}
	}
	for _, b := range k.Brokers {
		if err := b.awaitReady(ctx); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// cacheDir is where test/servers/install puts what comes from no system package.
func cacheDir() string {
	if dir := os.Getenv("MOVIEEXAMPLE_SERVERS_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "movieexample-servers")
}

func kafkaLibs() string { return filepath.Join(cacheDir(), "kafka-"+KafkaVersion, "libs") }

// prepare writes the configurations and formats the data directories.
func (k *Kafka) prepare(ctx context.Context) error {
	if k.config.TLS {
		var err error
		if k.TLS, err = newAuthority(k.room.dir); err != nil {
			return err
		}
	}
	ports, err := k.room.ports(3 * k.config.Brokers)
	if err != nil {
		return err
	}
	for i := range k.config.Brokers {
		k.Brokers = append(k.Brokers, &KafkaBroker{
			NodeID: i + 1, kafka: k, client: ports[3*i], internal: ports[3*i+1], controller: ports[3*i+2],
		})
	}
	if err := os.WriteFile(filepath.Join(k.room.dir, "log4j2.properties"), []byte(kafkaLog), 0o644); err != nil {
		return err
	}
	id, err := kept(filepath.Join(k.room.dir, "cluster-id"), newClusterID)
	if err != nil {
		return err
	}
	formats, ctx := errgroup.WithContext(ctx)
	for _, b := range k.Brokers {
		dir := b.dir()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		file := filepath.Join(dir, "server.properties")
		if err := os.WriteFile(file, []byte(b.properties()), 0o644); err != nil {
			return err
		}
		b.program = program{
			name: fmt.Sprintf("Kafka broker %d on %s", b.NodeID, b.Address()),
			path: k.java,
			args: append(k.jvm(k.config.HeapMiB), "kafka.Kafka", file),
			dir:  dir,
			log:  filepath.Join(dir, "kafka.log"),
			ready: func(ctx context.Context) error {
				return k.ready(ctx, b)
			},
		}
		formats.Go(func() error {
			args := append(k.jvm(128), "kafka.tools.StorageTool", "format", "--cluster-id", id, "--config", file, "--ignore-formatted")
			for _, u := range k.config.Users {
				for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
					args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, u.Name, u.Password))
				}
			}
			if _, err := runTool(ctx, nil, dir, k.java, args...); err != nil {
				return fmt.Errorf("format the storage of Kafka broker %d: %w", b.NodeID, err)
			}
			return nil
		})
	}
	return formats.Wait()
}

// newClusterID makes one: Kafka writes a UUID in base64, and takes none that begins with a dash.
func newClusterID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand
	raw[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// jvm is how a class of Kafka is run, up to the class.
func (k *Kafka) jvm(heapMiB int) []string {
	return []string{
		"-Xmx" + strconv.Itoa(heapMiB) + "m",
		"-XX:+ExitOnOutOfMemoryError", // half a broker is worse than none
		"-Dlog4j2.configurationFile=" + filepath.Join(k.room.dir, "log4j2.properties"),
		"-cp", filepath.Join(kafkaLibs(), "*"), // the star is Java's to expand
	}
}

// kafkaLog sends what Kafka has to say to where Process keeps it.
const kafkaLog = `rootLogger.level=info
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
# Each prints its whole configuration, several times.
logger.config.name=org.apache.kafka.common.config
logger.config.level=warn
`

func (b *KafkaBroker) dir() string {
	return filepath.Join(b.kafka.room.dir, "broker-"+strconv.Itoa(b.NodeID))
}

// properties is the broker's server.properties.
func (b *KafkaBroker) properties() string {
	c := b.kafka.config
	protocol := map[bool]map[bool]string{
		false: {false: "PLAINTEXT", true: "SSL"},
		true:  {false: "SASL_PLAINTEXT", true: "SASL_SSL"},
	}[len(c.Users) > 0][c.TLS]
	var voters []string
	for _, other := range b.kafka.Brokers {
		voters = append(voters, fmt.Sprintf("%d@%s", other.NodeID, address(other.controller)))
	}
	replicas, inSync := "1", "1"
	if c.Brokers == 3 {
		replicas, inSync = "3", "2"
	}
	p := map[string]string{
		"process.roles":                            "broker,controller",
		"node.id":                                  strconv.Itoa(b.NodeID),
		"controller.quorum.voters":                 strings.Join(voters, ","),
		"controller.listener.names":                "CONTROLLER",
		"listeners":                                fmt.Sprintf("CLIENT://%s,INTERNAL://%s,CONTROLLER://%s", address(b.client), address(b.internal), address(b.controller)),
		"advertised.listeners":                     fmt.Sprintf("CLIENT://%s,INTERNAL://%s", address(b.client), address(b.internal)),
		"listener.security.protocol.map":           "CLIENT:" + protocol + ",INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":               "INTERNAL",
		"sasl.enabled.mechanisms":                  "SCRAM-SHA-256,SCRAM-SHA-512",
		"log.dirs":                                 filepath.Join(b.dir(), "data"),
		"auto.create.topics.enable":                "false",
		"default.replication.factor":               replicas,
		"min.insync.replicas":                      inSync,
		"offsets.topic.replication.factor":         replicas,
		"offsets.topic.num.partitions":             "8", // fifty are made at the first group, which takes seconds
		"transaction.state.log.replication.factor": replicas,
		"transaction.state.log.min.isr":            inSync,
		"transaction.state.log.num.partitions":     "8",
		"group.initial.rebalance.delay.ms":         "0",
		// Tests freeze and kill members; a session shorter than the usual 6 s is theirs to ask for.
		"group.min.session.timeout.ms": "1000",
		// A broker that is gone is noticed after 9 s by default.
		"broker.session.timeout.ms":      "4000",
		"broker.heartbeat.interval.ms":   "1000",
		"controlled.shutdown.enable":     "true",
		"group.coordinator.threads":      "1",
		"log.cleaner.dedupe.buffer.size": strconv.Itoa(16 << 20),
	}
	for _, mechanism := range []string{"256", "512"} {
		p["listener.name.client.scram-sha-"+mechanism+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	}
	if c.TLS {
		p["ssl.keystore.type"] = "PEM"
		p["ssl.keystore.location"] = b.kafka.TLS.serverPEM
		p["ssl.truststore.type"] = "PEM"
		p["ssl.truststore.location"] = b.kafka.TLS.CAFile
		p["ssl.client.auth"] = "none"
		if c.RequireClientCert {
			p["ssl.client.auth"] = "required"
		}
	}
	for key, value := range c.Properties {
		p[key] = value
	}
	var lines []string
	for key, value := range p {
		lines = append(lines, key+"="+value+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// ready returns nil when the broker answers and counts itself among all brokers that run.
func (k *Kafka) ready(ctx context.Context, b *KafkaBroker) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Internal()), kgo.RequestRetries(0))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	metadata, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	for _, other := range k.Brokers {
		if other.Running() && !slices.Contains(metadata.Brokers.NodeIDs(), int32(other.NodeID)) {
			return fmt.Errorf("broker %d does not know broker %d yet", b.NodeID, other.NodeID)
		}
	}
	return nil
}

// Address is where clients connect to this broker.
func (b *KafkaBroker) Address() string { return address(b.client) }

// Internal is where the other brokers and the tools connect: no encryption, no password.
func (b *KafkaBroker) Internal() string { return address(b.internal) }

// Bootstrap are the brokers' addresses for clients.
func (k *Kafka) Bootstrap() []string {
	var out []string
	for _, b := range k.Brokers {
		out = append(out, b.Address())
	}
	return out
}

// Internal are the addresses that need neither encryption nor a password.
func (k *Kafka) Internal() []string {
	var out []string
	for _, b := range k.Brokers {
		out = append(out, b.Internal())
	}
	return out
}

// Tool runs one of Kafka's own tools on the cluster and returns what it printed:
// Tool(ctx, "org.apache.kafka.tools.TopicCommand", "--list"). The option --bootstrap-server is added. Each start of a Java
// program takes a second.
func (k *Kafka) Tool(ctx context.Context, class string, args ...string) (string, error) {
	all := append(k.jvm(256), class, "--bootstrap-server", strings.Join(k.Internal(), ","))
	out, err := runTool(ctx, nil, k.room.dir, k.java, append(all, args...)...)
	if err != nil {
		return out, fmt.Errorf("%s: %w", class, err)
	}
	return out, nil
}

// Stop stops all brokers in good order, those that run. The last ones find no quorum to say goodbye to, so all stop at
// once.
func (k *Kafka) Stop() error {
	var stops errgroup.Group
	for _, b := range k.Brokers {
		if b.Running() {
			stops.Go(b.Stop)
		}
	}
	return stops.Wait()
}

// Close ends all brokers, with SIGKILL where they run, and removes their directory unless that was given. It may be
// called twice.
func (k *Kafka) Close() error {
	var errs []error
	for _, b := range k.Brokers {
		errs = append(errs, b.end())
	}
	return errors.Join(append(errs, k.room.close())...)
}
