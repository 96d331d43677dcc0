package kafka_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"movieexample.com/internal/kafka"
)

// Each row is one mistake in settings that are right otherwise, and names its field.
func TestSecuritySettings(t *testing.T) {
	t.Parallel()
	good := kafka.Security{TLS: true, ServerName: "kafka", SASLMechanism: "SCRAM-SHA-512", User: "u", Password: "p"}
	for _, s := range []kafka.Security{{}, good, {TLS: true}, {SASLMechanism: "PLAIN", User: "u", Password: "p"}} {
		if err := s.Validate(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for want, change := range map[string]func(*kafka.Security){
		"sasl_mechanism: must be SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or empty, got \"GSSAPI\"": func(s *kafka.Security) { s.SASLMechanism = "GSSAPI" },
		"sasl_mechanism: is required with a user or password":                                  func(s *kafka.Security) { s.SASLMechanism = "" },
		"user: is required with sasl_mechanism":                                                func(s *kafka.Security) { s.User = "" },
		"password: is required with sasl_mechanism":                                            func(s *kafka.Security) { s.Password = "" },
		"server_name: is for TLS, which is off":                                                func(s *kafka.Security) { s.TLS = false },
		"ca_file: is for TLS, which is off":                                                    func(s *kafka.Security) { s.TLS, s.CAFile = false, "ca.pem" },
		"key_file: is required with cert_file":                                                 func(s *kafka.Security) { s.CertFile = "c.pem" },
		"cert_file: is required with key_file":                                                 func(s *kafka.Security) { s.KeyFile = "k.pem" },
	} {
		s := good
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
		if cl, err := kafka.NewClient(kafka.Config{Brokers: []string{"127.0.0.1:1"}, Security: s}); err == nil {
			cl.Close()
			t.Errorf("%q: a client was created, want an error", want)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]kafka.Security{
		"ca_file: " + empty + " has no certificate":                     {TLS: true, CAFile: empty},
		"ca_file: open /nowhere: no such file":                          {TLS: true, CAFile: "/nowhere"},
		"cert_file: the pair of " + empty + " and " + empty + " cannot": {TLS: true, CertFile: empty, KeyFile: empty},
	} {
		if _, err := kafka.NewClient(kafka.Config{Brokers: []string{"127.0.0.1:1"}, Security: s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}

// A client that speaks TLS to a broker without it is told so.
func TestTLSToAPlainBroker(t *testing.T) {
	t.Parallel()
	b := startBroker(t, kafka.BrokerConfig{})
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{b.Addr()}, Security: kafka.Security{TLS: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := kafka.Ping(t.Context(), cl); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("ping: %v", err)
	}
}
