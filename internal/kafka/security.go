package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"movieexample.com/internal/config"
)

// Security is how a client proves the brokers' identity and its own. The zero value is a plain connection without either.
type Security struct {
	// TLS encrypts the connection and checks the brokers' certificates.
	TLS bool `yaml:"tls" usage:"encrypt connections to Kafka with TLS"`
	// CAFile has the certificates, in PEM, that the brokers' must be signed by; empty means those that the system trusts.
	CAFile string `yaml:"ca_file" placeholder:"FILE" usage:"certificates (PEM) that those of the Kafka brokers are signed by; empty means the system's"`
	// CertFile and KeyFile are the client's own certificate and key, in PEM, for brokers that ask for one. They are read at
	// every connection, so that a renewed certificate needs no restart.
	CertFile string `yaml:"cert_file" placeholder:"FILE" usage:"certificate (PEM) to show to Kafka brokers that ask for one"`
	KeyFile  string `yaml:"key_file" placeholder:"FILE" usage:"key (PEM) of the certificate"`
	// ServerName is the name that the brokers' certificates must have; empty means each one's host, as it is dialed.
	ServerName string `yaml:"server_name" placeholder:"HOST" usage:"name in the certificates of the Kafka brokers; empty means the host of each"`
	// SASLMechanism is how to log in with User and Password: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty means no login.
	SASLMechanism string `yaml:"sasl_mechanism" placeholder:"MECHANISM" usage:"how to log in to Kafka: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN; empty means not at all"`
	User          string `yaml:"user" usage:"user to log in to Kafka"`
	Password      string `yaml:"password" secret:"true" usage:"password to log in to Kafka"`
	// Reread, if set, returns the current password. It is called at every login, so that a password can be replaced without
	// a restart; while it fails, the last password is used. It must be safe for concurrent use.
	Reread func() (string, error) `yaml:"-"`
}

// passwords provides the password for logins.
type passwords struct {
	reread func() (string, error)
	last   atomic.Pointer[string]
}

func (p *passwords) current() string {
	if p.reread != nil {
		if text, err := p.reread(); err == nil {
			p.last.Store(&text)
		}
	}
	return *p.last.Load()
}

// The mechanisms, by the names that Kafka has for them.
const (
	mechanismPlain    = "PLAIN"
	mechanismScram256 = "SCRAM-SHA-256"
	mechanismScram512 = "SCRAM-SHA-512"
)

// Validate reports, joined, every invalid setting as a *config.Problem that names it. It opens no file; a file
// that cannot be used is an error of [NewClient].
func (s Security) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, &config.Problem{Path: path, Reason: fmt.Sprintf(format, args...)})
	}
	if !s.TLS {
		for _, f := range []struct{ path, value string }{
			{"ca_file", s.CAFile}, {"cert_file", s.CertFile}, {"key_file", s.KeyFile}, {"server_name", s.ServerName},
		} {
			if f.value != "" {
				bad(f.path, "is for TLS, which is off: set tls too, or leave this empty")
			}
		}
	}
	switch {
	case s.CertFile != "" && s.KeyFile == "":
		bad("key_file", "is required with cert_file")
	case s.CertFile == "" && s.KeyFile != "":
		bad("cert_file", "is required with key_file")
	}
	if s.SASLMechanism == "" {
		if s.User != "" || s.Password != "" {
			bad("sasl_mechanism", "is required with a user or password: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN, as the brokers offer it")
		}
		return errors.Join(errs...)
	}
	if !slices.Contains([]string{mechanismPlain, mechanismScram256, mechanismScram512}, s.SASLMechanism) {
		bad("sasl_mechanism", "must be SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or empty, got %q", s.SASLMechanism)
	}
	if s.User == "" {
		bad("user", "is required with sasl_mechanism")
	}
	if s.Password == "" {
		bad("password", "is required with sasl_mechanism")
	}
	return errors.Join(errs...)
}

// options are the client's settings.
func (s Security) options() ([]kgo.Opt, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	var opts []kgo.Opt
	if s.TLS {
		cfg, err := s.tlsConfig()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(cfg))
	}
	from := &passwords{reread: s.Reread}
	from.last.Store(&s.Password)
	salted := func(context.Context) (scram.Auth, error) { return scram.Auth{User: s.User, Pass: from.current()}, nil }
	switch s.SASLMechanism {
	case mechanismPlain:
		opts = append(opts, kgo.SASL(plain.Plain(func(context.Context) (plain.Auth, error) {
			return plain.Auth{User: s.User, Pass: from.current()}, nil
		})))
	case mechanismScram256:
		opts = append(opts, kgo.SASL(scram.Sha256(salted)))
	case mechanismScram512:
		opts = append(opts, kgo.SASL(scram.Sha512(salted)))
	}
	return opts, nil
}

func (s Security) tlsConfig() (*tls.Config, error) {
	// Kafka itself offers TLS 1.2 and 1.3 by default.
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}
	if s.CAFile != "" {
		text, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, &config.Problem{Path: "ca_file", Reason: err.Error()}
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, &config.Problem{Path: "ca_file", Reason: fmt.Sprintf("%s has no certificate in PEM form (-----BEGIN CERTIFICATE-----)", s.CAFile)}
		}
	}
	if s.CertFile == "" {
		return cfg, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, &config.Problem{Path: "cert_file", Reason: fmt.Sprintf("the pair of %s and %s cannot be used: %v", s.CertFile, s.KeyFile, err)}
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return cfg, nil
}
