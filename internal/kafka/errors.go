package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/fault"
)

// Explain adds to an error of a client of [NewClient] what the user can do about it: which setting to check, or which right the
// brokers must grant. The result is a fault of kind Unavailable. Other errors are returned unchanged.
func Explain(cl *kgo.Client, err error) error {
	if why := hintOf(cl, err); why != "" {
		return unusable(cl, why)
	}
	return err
}

// unreachable returns an error that names the brokers that did not answer, the reason if it is known, and what to do.
func unreachable(cl *kgo.Client, err error) error {
	if why := hintOf(cl, err); why != "" {
		return unusable(cl, why)
	}
	return fault.Unavailable(err, "no Kafka broker answers at %s: check the address, and that the broker runs", seeds(cl))
}

// unusable has no cause: the message says it all, and a broker did answer.
func unusable(cl *kgo.Client, why string) error {
	return fault.Unavailable(nil, "Kafka at %s cannot be used: %s", seeds(cl), why)
}

func hintOf(cl *kgo.Client, err error) string {
	// The library returns our logger, but no hook.
	if l, ok := cl.OptValue(kgo.WithLogger).(*clientLog); ok {
		return l.hint(err)
	}
	return ""
}

// connErrors records why the last connection failed. A request often returns no more than a timeout.
type connErrors struct {
	security Security
	setting  func(key string) string // what the user calls it
	last     atomic.Pointer[connEnd]
	// served is set once a request after the handshake was answered. From then on, a connection that ends without an error code
	// means that the broker is stopping, not that it does not understand us.
	served atomic.Bool
}

// connEnd describes the end of a connection.
type connEnd struct {
	err error
	// connected reports that the connection, including TLS, had been established.
	connected bool
}

var (
	_ kgo.HookBrokerConnect = (*connErrors)(nil)
	_ kgo.HookBrokerRead    = (*connErrors)(nil)
)

// OnBrokerConnect is called by the library.
func (t *connErrors) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	t.note(connEnd{err: err})
}

// OnBrokerRead is called by the library.
func (t *connErrors) OnBrokerRead(_ kgo.BrokerMetadata, key int16, n int, _, _ time.Duration, err error) {
	const saslHandshake, apiVersions, saslAuthenticate = 17, 18, 36 // https://kafka.apache.org/protocol#protocol_api_keys
	if err == nil && n > 0 && key != saslHandshake && key != apiVersions && key != saslAuthenticate {
		t.served.Store(true)
	}
	if err != nil || n > 0 {
		t.note(connEnd{err: err, connected: true})
	}
}

func (t *connErrors) note(happened connEnd) {
	switch {
	case happened.err == nil:
		t.last.Store(nil)
	case !errors.Is(happened.err, context.Canceled) && !errors.Is(happened.err, context.DeadlineExceeded):
		t.last.Store(&happened)
	}
}

// hint returns what to do about err, the error of a request, or about the end of the last connection; "" if that is
// unknown.
func (t *connErrors) hint(err error) string {
	if err != nil {
		if why := t.refusalHint(err); why != "" {
			return why
		}
		if errors.As(err, new(*kerr.Error)) {
			return "" // a broker answered, so the connection is not the reason
		}
	}
	last := t.last.Load()
	if last == nil {
		return ""
	}
	if why := t.refusalHint(last.err); why != "" {
		return why
	}
	return t.hangUp(*last)
}

// refusalHint handles errors in which the broker says why it refuses the client, or the client why it refuses the broker.
func (t *connErrors) refusalHint(err error) string {
	s, text := t.security, err.Error()
	untrusted := (*tls.CertificateVerificationError)(nil)
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Sprintf("it refuses the login of user %q by %s: check %s, %s and %s", s.User, s.SASLMechanism, t.setting("user"), t.setting("password"), t.setting("sasl_mechanism"))
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Sprintf("it offers no login by %s: check %s", s.SASLMechanism, t.setting("sasl_mechanism"))
	case errors.Is(err, kerr.IllegalSaslState):
		return fmt.Sprintf("it accepts no logins on this port: check the address, or leave %s, %s and %s empty", t.setting("sasl_mechanism"), t.setting("user"), t.setting("password"))
	case isForbidden(err):
		return t.forbidden(err)
	case errors.As(err, &untrusted):
		return t.untrusted(untrusted.Err)
	case errors.As(err, new(tls.RecordHeaderError)):
		return "it does not speak TLS on this port: check the address, or switch " + t.setting("tls") + " off"
	case strings.Contains(text, "remote error: tls:"):
		return fmt.Sprintf("it refuses this client's certificate, or the lack of one: check %s and %s", t.setting("cert_file"), t.setting("key_file"))
	case strings.Contains(text, "plaintext connection speaking to a tls endpoint"): // words of the client library
		return "it speaks TLS on this port: check the address, or switch " + t.setting("tls") + " on"
	}
	return ""
}

// untrusted handles errors of the brokers' certificate.
func (t *connErrors) untrusted(err error) string {
	check := t.setting("ca_file") + " and " + t.setting("server_name")
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		check = t.setting("ca_file") + ", which must have the certificate of the authority that signed it"
		if t.security.CAFile == "" {
			check = t.setting("ca_file") + ": without it only the system's authorities are trusted"
		}
	case errors.As(err, new(x509.HostnameError)):
		check = "the address, or name the host that the certificate is for by " + t.setting("server_name")
	case errors.As(err, new(x509.CertificateInvalidError)):
		check = "its dates and uses, and this machine's clock"
	}
	return fmt.Sprintf("its certificate is not trusted (%s): check %s", strings.TrimPrefix(err.Error(), "x509: "), check)
}

// forbidden handles requests that a broker's authorizer denies.
func (t *connErrors) forbidden(err error) string {
	what := "the cluster"
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		what = "the topic"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		what = "the consumer group"
	}
	who := "clients that do not log in"
	if t.security.SASLMechanism != "" {
		who = fmt.Sprintf("user %q", t.security.User)
	}
	return fmt.Sprintf("it denies %s access to %s: grant it (docs/operations.md lists the ACLs), or check %s", who, what, t.setting("user"))
}

// hangUp handles connections that end without an answer, which is how Kafka reacts to bytes that it does not understand.
func (t *connErrors) hangUp(last connEnd) string {
	if t.served.Load() || !errors.Is(last.err, io.EOF) && !errors.Is(last.err, syscall.ECONNRESET) {
		return ""
	}
	login := t.setting("sasl_mechanism") + ", " + t.setting("user") + " and " + t.setting("password")
	switch {
	case t.security.TLS && !last.connected:
		return "it closes the connection: it may not speak TLS on this port: check the address, or switch " + t.setting("tls") + " off"
	case t.security.TLS && t.security.SASLMechanism == "":
		return "it closes the connection after the TLS handshake: it may require a login: set " + login
	case !t.security.TLS && t.security.SASLMechanism == "":
		return "it closes the connection: it may require TLS or a login: set " + t.setting("tls") + ", or " + login
	case !t.security.TLS:
		return "it closes the connection: it may require TLS: set " + t.setting("tls")
	}
	return ""
}

// isRefusedLogin reports whether the login failed, before any request.
func isRefusedLogin(err error) bool {
	return errors.Is(err, kerr.SaslAuthenticationFailed) || errors.Is(err, kerr.UnsupportedSaslMechanism) || errors.Is(err, kerr.IllegalSaslState)
}

// isForbidden reports whether the brokers know the user and deny the request.
func isForbidden(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed)
}

func seeds(cl *kgo.Client) string {
	if s, ok := cl.OptValue(kgo.SeedBrokers).([]string); ok {
		return strings.Join(s, ", ")
	}
	return "the configured address"
}
