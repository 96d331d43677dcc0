//go:build servers

package kafka_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
	"movieexample.com/test/servers"
)

// Apache Kafka with TLS, logins and client certificates: who is right is served, and who is wrong is told what is wrong.
func TestSecurityOfApacheKafka(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	k, err := servers.StartKafka(ctx, servers.KafkaConfig{
		Users: []servers.KafkaUser{{Name: "films", Password: "secret=1"}}, RequireClientCert: true,
		Properties: map[string]string{
			"listener.name.client.ssl.client.auth":        "required", // with logins Kafka asks for certificates only where the listener says so
			"sasl.enabled.mechanisms":                     "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
			"listener.name.client.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="secret";`,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}()
	good := kafka.Security{
		TLS: true, CAFile: k.TLS.CAFile, CertFile: k.TLS.ClientCertFile, KeyFile: k.TLS.ClientKeyFile,
		SASLMechanism: "SCRAM-SHA-512", User: "films", Password: "secret=1",
	}
	ping := func(s kafka.Security) error {
		cl, err := kafka.NewClient(kafka.Config{Brokers: k.Bootstrap(), Security: s})
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		return kafka.Ping(ctx, cl)
	}
	for _, mechanism := range []string{"SCRAM-SHA-512", "SCRAM-SHA-256"} {
		s := good
		s.SASLMechanism = mechanism
		if err := ping(s); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
	plain := good
	plain.SASLMechanism, plain.User, plain.Password = "PLAIN", "plain", "secret"
	if err := ping(plain); err != nil {
		t.Errorf("PLAIN: %v", err)
	}
	for _, c := range []struct {
		name, says string
		change     func(*kafka.Security)
	}{
		{"password", `refuses the login of user "films" by SCRAM-SHA-512: check user, password and sasl_mechanism`, func(s *kafka.Security) { s.Password = "wrong" }},
		{"user", `refuses the login of user "nobody"`, func(s *kafka.Security) { s.User = "nobody" }},
		{"mechanism", `refuses the login of user "films" by PLAIN`, func(s *kafka.Security) { s.SASLMechanism = "PLAIN" }},
		{"authority", "check ca_file: without it", func(s *kafka.Security) { s.CAFile = "" }},
		{"server name", "not elsewhere.example): check the address, or name the host that the certificate is for by server_name", func(s *kafka.Security) { s.ServerName = "elsewhere.example" }},
		{"client certificate", "check cert_file and key_file", func(s *kafka.Security) { s.CertFile, s.KeyFile = "", "" }},
		{"nothing", "it speaks TLS on this port", func(s *kafka.Security) { *s = kafka.Security{} }},
	} {
		s := good
		c.change(&s)
		err := ping(s)
		if fault.KindOf(err) != fault.KindUnavailable || !strings.Contains(err.Error(), c.says) {
			t.Errorf("wrong %s: %v\nlacks %q", c.name, err, c.says)
		}
		t.Logf("wrong %s: %v", c.name, err)
	}

	// A producer and the topic's settings, over the same door.
	cl, err := kafka.NewClient(kafka.Config{Brokers: k.Bootstrap(), Security: good})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	log := &logBuffer{}
	tc := kafka.TopicConfig{Name: "ratings", Partitions: 3, Replication: 1, MinInSync: 1, Logger: log.logger()}
	topic, err := kafka.EnsureTopic(ctx, cl, tc)
	if err != nil || topic.Partitions != 3 || topic.Replication != 1 {
		t.Fatalf("topic %+v, %v", topic, err)
	}
	tc.Partitions, tc.Replication, tc.MinInSync = 4, 3, 2
	if again, err := kafka.EnsureTopic(ctx, cl, tc); err != nil || again != topic {
		t.Errorf("topic %+v, %v; want what was there", again, err)
	}
	for _, want := range []string{"another number of partitions", "another number of replicas", "another min.insync.replicas"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	tc.Name = "too-many"
	if _, err := kafka.EnsureTopic(ctx, cl, tc); fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), "4 partitions and 3 replicas") {
		t.Errorf("three replicas on one broker: %v", err)
	}
	p, err := kafka.NewProducer(ctx, kafka.ProducerConfig{Config: kafka.Config{Brokers: k.Bootstrap(), Security: good}, Topic: "ratings"})
	if err != nil {
		t.Fatal(err)
	}
	res := &results{}
	publish(t, p, res, "event", 1000)
	if _, err := p.Flush(ctx); err != nil {
		t.Error(err)
	}
	if acked, _ := res.count(); acked != 1000 {
		t.Errorf("%d of 1,000 acknowledged", acked)
	}
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
}
