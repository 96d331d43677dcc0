package discovery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	consulWait    = 30 * time.Second       // of a blocking query; a changed token is used with the next
	consulPause   = 100 * time.Millisecond // between two queries, however often things change
	consulRetry   = 250 * time.Millisecond // before the first repetition of what failed
	consulRetries = 3 * time.Second        // and before the later ones
	consulSettle  = 10 * time.Second       // several times consulRenew: who was forgotten is back by then
)

// consul is the registry of a Consul agent.
type consul struct {
	spec     consulSpec
	registry *Registry
	version  string
	http     *http.Transport
	agent    *api.Client

	mu      sync.Mutex
	token   string // as last read
	noToken string // why it could not be read; empty when it could
}

func (s consulSpec) build(r *Registry, opts Options) error {
	c := &consul{spec: s, registry: r, version: opts.Version, http: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
	}}
	scheme := "http"
	if s.tls {
		scheme = "https"
		var err error
		if c.http.TLSClientConfig, err = s.tlsConfig(); err != nil {
			return err
		}
	}
	if s.tokenFile != "" {
		token, err := readToken(s.tokenFile)
		if err != nil {
			return err
		}
		c.token = token
	}
	var err error
	// With an HTTP client of ours, nothing about TLS is taken from the environment.
	c.agent, err = api.NewClient(&api.Config{Address: s.addr, Scheme: scheme, HttpClient: &http.Client{Transport: c.http}})
	if err != nil {
		return fmt.Errorf("create Consul client: %w", err)
	}
	r.scheme, r.backend = "consul", c
	return nil
}

func (s consulSpec) tlsConfig() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.serverName}
	if s.caFile != "" {
		pem, err := os.ReadFile(s.caFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s: no certificate found: want PEM", s.caFile)
		}
	}
	if s.certFile != "" {
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
			if err != nil {
				return nil, fmt.Errorf("cert_file %s with key_file %s: %w", s.certFile, s.keyFile, err)
			}
			return &cert, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return cfg, nil
}

func readToken(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("token_file: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("token_file %s is empty: want an ACL token", file)
	}
	return token, nil
}

// aclToken returns the token for the next request. If the file is being written, or is missing, it
// returns the last one.
func (c *consul) aclToken() string {
	if c.spec.tokenFile == "" {
		return ""
	}
	token, err := readToken(c.spec.tokenFile)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.token, c.noToken = token, ""
	} else if c.noToken != err.Error() {
		c.noToken = err.Error()
		c.registry.log.Warn("cannot read the Consul token; keeping the last one", "error", err)
	}
	return c.token
}

// query returns the options of a request that ends with ctx.
func (c *consul) query(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{Token: c.aclToken()}).WithContext(ctx)
}

func (c *consul) watch(l *lookup) error {
	l.settle = consulSettle
	c.registry.task(c.registry.ctx, "lookup of "+l.service, func(ctx context.Context) { c.follow(ctx, l) })
	return nil
}

// follow sends blocking queries until ctx ends: a query with the index of the last answer
// is answered when there is a new one, or when its time is over. The rules for the
// index: https://developer.hashicorp.com/consul/api-docs/features/blocking
func (c *consul) follow(ctx context.Context, l *lookup) {
	var index uint64
	wait, retry := consulWait, consulRetry
	for ctx.Err() == nil {
		instances, next, err := c.ask(ctx, l.service, index, wait)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.unanswered(err)
			index, wait = 0, consulWait
			pause(ctx, retry/2+rand.N(retry))
			retry = min(2*retry, consulRetries)
			continue
		}
		retry = consulRetry
		if next < index || next == 0 { // other data: a new cluster, or a snapshot
			if next < index {
				l.doubt()
			}
			next = 0
		}
		index, wait = next, consulWait
		if again := l.found(instances); again > 0 {
			wait = max(again, time.Second)
		}
		pause(ctx, consulPause)
	}
}

// ask returns the instances of service and the index of the answer.
func (c *consul) ask(ctx context.Context, service string, index uint64, wait time.Duration) ([]string, uint64, error) {
	// Consul adds up to a sixteenth to the time, so that clients do not query all at once.
	ctx, cancel := context.WithTimeout(ctx, wait+wait/16+10*time.Second)
	defer cancel()
	q := c.query(ctx)
	q.WaitIndex, q.WaitTime, q.Datacenter = index, wait, c.spec.datacenter
	entries, meta, err := c.agent.Health().Service(service, "", false, q)
	if err != nil {
		return nil, 0, fmt.Errorf("ask Consul at %s for %s: %w", c.spec.addr, service, err)
	}
	// Consul leaves out instances that the token may not read, and says so in a header.
	// That is not an empty answer.
	if len(entries) == 0 && meta.ResultsFilteredByACLs {
		return nil, 0, fmt.Errorf("ask Consul at %s for %s: its ACLs hide the answer: give the token service:read for %s and node:read", c.spec.addr, service, service)
	}
	return addresses(entries), meta.LastIndex, nil
}

// addresses returns the instances worth trying: all that are not critical to Consul, or
// all if every instance is critical.
func addresses(entries []*api.ServiceEntry) []string {
	var all, well []string
	for _, e := range entries {
		host := e.Service.Address
		if host == "" {
			host = e.Node.Address
		}
		addr := net.JoinHostPort(host, strconv.Itoa(e.Service.Port))
		if _, _, err := splitAddress(addr); err != nil {
			continue // another program's registration, without a port
		}
		all = append(all, addr)
		if !critical(e) {
			well = append(well, addr)
		}
	}
	if len(well) > 0 {
		return well
	}
	return all
}

// critical considers the checks of the instance and maintenance, but not its node: the
// loss of an agent says nothing about the instances on its node.
func critical(e *api.ServiceEntry) bool {
	for _, check := range e.Checks {
		if check.Status == api.HealthCritical && (check.ServiceID != "" || check.CheckID == api.NodeMaint) {
			return true
		}
	}
	return false
}

// notKnown reports whether Consul answered that it does not know the service or instance.
func notKnown(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

func (c *consul) close() { c.http.CloseIdleConnections() }

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
