//go:build linux

package servers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/consul/api"
)

// ConsulVersion is the version in consul/go.mod.
const ConsulVersion = "1.22.2"

// ConsulConfig says what kind of Consul is wanted. The zero value is an open server without encryption.
type ConsulConfig struct {
	// Dir holds all that the server needs. Empty: a new directory, removed by Close. A directory that has data from an
	// earlier start is used as it is, with new ports.
	Dir string
	// ACL refuses what comes without a token; Consul.Token may do everything, and NewToken makes others.
	ACL bool
	// TLS serves HTTPS in place of HTTP; the certificate is for 127.0.0.1 and localhost, by the authority in Consul.TLS.
	TLS bool
	// RequireClientCert refuses clients without a certificate of that authority; it implies TLS.
	RequireClientCert bool
}

// Consul is one running server, its own leader. Its data and its ports are the same in each life.
type Consul struct {
	Process
	// Token is the management token; empty without ACL.
	Token string
	// TLS are the certificates, where the server has some.
	TLS *Authority

	room      *room
	http, dns int // ports
	client    *api.Client
}

// StartConsul starts a server and returns when it answers, has elected itself and takes writes; ctx bounds the start and
// not the server's life.
func StartConsul(ctx context.Context, c ConsulConfig) (_ *Consul, err error) {
	path := filepath.Join(cacheDir(), "consul-"+ConsulVersion, "consul")
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("Consul is not installed (%w): run test/servers/install consul", err)
	}
	r, err := newRoom("consul", c.Dir)
	if err != nil {
		return nil, err
	}
	s := &Consul{room: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	c.TLS = c.TLS || c.RequireClientCert
	if c.TLS {
		if s.TLS, err = newAuthority(r.dir); err != nil {
			return nil, err
		}
	}
	if c.ACL {
		if s.Token, err = kept(filepath.Join(r.dir, "token"), newUUID); err != nil {
			return nil, err
		}
	}
	ports, err := r.ports(4)
	if err != nil {
		return nil, err
	}
	s.http, s.dns = ports[0], ports[1]
	file := filepath.Join(r.dir, "consul.json")
	text, err := json.MarshalIndent(s.settings(c, ports[2], ports[3]), "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	s.program = program{
		name:  "Consul on " + s.Address(),
		path:  path,
		args:  []string{"agent", "-config-file", file},
		dir:   r.dir,
		log:   filepath.Join(r.dir, "consul.log"),
		ready: s.ready,
	}
	if s.client, err = s.newClient(); err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// settings is Consul's configuration file.
func (s *Consul) settings(c ConsulConfig, server, serf int) map[string]any {
	ports := map[string]any{
		"http": s.http, "https": -1, "dns": s.dns, "server": server, "serf_lan": serf,
		"serf_wan": -1, "grpc": -1, "grpc_tls": -1,
	}
	settings := map[string]any{
		"server": true, "bootstrap_expect": 1, "node_name": "consul", "datacenter": "dc1",
		"data_dir":  filepath.Join(s.room.dir, "data"),
		"bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "ports": ports,
		// One server elects itself at once instead of waiting for the network of a data centre.
		"performance":          map[string]any{"raft_multiplier": 1},
		"disable_update_check": true,
		"connect":              map[string]any{"enabled": false},
	}
	if c.ACL {
		settings["acl"] = map[string]any{
			"enabled": true, "default_policy": "deny", "enable_token_persistence": true,
			"tokens": map[string]any{"initial_management": s.Token, "agent": s.Token},
		}
	}
	if c.TLS {
		ports["http"], ports["https"] = -1, s.http
		settings["tls"] = map[string]any{"https": map[string]any{
			"ca_file": s.TLS.CAFile, "cert_file": s.TLS.serverCert, "key_file": s.TLS.serverKey,
			"verify_incoming": c.RequireClientCert,
		}}
	}
	return settings
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newClient is Consul's own client with every right.
func (s *Consul) newClient() (*api.Client, error) {
	c := &api.Config{Address: s.Address(), Scheme: "http", Token: s.Token}
	if s.TLS != nil {
		c.Scheme = "https"
		c.TLSConfig = api.TLSConfig{CAFile: s.TLS.CAFile, CertFile: s.TLS.ClientCertFile, KeyFile: s.TLS.ClientKeyFile}
	}
	client, err := api.NewClient(c)
	if err != nil {
		return nil, fmt.Errorf("open Consul: %w", err)
	}
	return client, nil
}

// ready returns nil when a write comes through: a leader is elected, it knows the token, and the server has put itself into
// its catalogue.
func (s *Consul) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	if _, err := s.client.KV().Put(&api.KVPair{Key: "movieexample/ready"}, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return err
	}
	nodes, _, err := s.client.Catalog().Nodes((&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		return errors.New("the catalogue is empty")
	}
	return nil
}

// Address is host:port of HTTP, or of HTTPS where the server has TLS.
func (s *Consul) Address() string { return address(s.http) }

// DNS is host:port of the DNS interface, UDP and TCP.
func (s *Consul) DNS() string { return address(s.dns) }

// Client is Consul's own client, with every right.
func (s *Consul) Client() *api.Client { return s.client }

// NewToken makes a token with the rights that the rules give, in Consul's policy language:
// `service_prefix "" { policy = "write" }`.
func (s *Consul) NewToken(ctx context.Context, rules string) (string, error) {
	options := (&api.WriteOptions{}).WithContext(ctx)
	policy, _, err := s.client.ACL().PolicyCreate(&api.ACLPolicy{Name: "test-" + newUUID(), Rules: rules}, options)
	if err != nil {
		return "", fmt.Errorf("make a policy: %w", err)
	}
	token, _, err := s.client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{ID: policy.ID}}}, options)
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return token.SecretID, nil
}

// Close ends the server, with SIGKILL where it runs, and removes its directory unless that was given. It may be called
// twice.
func (s *Consul) Close() error { return errors.Join(s.end(), s.room.close()) }
