package discovery

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// serviceMark stands for the service's name in a dns spec.
const serviceMark = "{service}"

// How often a dns registry looks services up.
const (
	defaultInterval = 3 * time.Second
	minInterval     = time.Second
	maxInterval     = time.Minute
)

// parsed is a spec whose text is valid.
type parsed interface {
	// build gives r its scheme and backend. It may read files.
	build(r *Registry, opts Options) error
}

type (
	memorySpec struct{}
	staticSpec struct{ file string }
	dnsSpec    struct {
		server   string // host:port; empty means the system's
		name     string // with serviceMark
		srv      bool
		port     int // 0 means the service's
		interval time.Duration
	}
	consulSpec struct {
		addr                      string
		tls                       bool
		caFile, certFile, keyFile string
		serverName                string
		tokenFile                 string
		datacenter                string
	}
)

// kinds lists the kinds of spec, for messages.
const kinds = "memory, static:FILE, dns:///NAME or consul://HOST:PORT"

func parse(spec string) (parsed, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	var (
		p   parsed
		err error
	)
	switch {
	case spec == MemoryScheme:
		p = memorySpec{}
	case kind == MemoryScheme:
		err = fmt.Errorf("memory has no parameters: write memory")
	case kind == "static":
		p, err = parseStatic(rest)
	case kind == "dns":
		p, err = parseDNS(rest)
	case kind == "consul":
		p, err = parseConsul(rest)
	default:
		return nil, fmt.Errorf("discovery %q: unknown kind: want %s", shown(spec), kinds)
	}
	if err != nil {
		return nil, fmt.Errorf("discovery %q: %w", shown(spec), err)
	}
	return p, nil
}

// shown returns spec for messages, without a password that it should not contain.
func shown(spec string) string {
	before, rest, _ := strings.Cut(spec, "//")
	authority, _, _ := strings.Cut(rest, "/")
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		return before + "//***" + rest[i:]
	}
	return spec
}

func parseStatic(rest string) (parsed, error) {
	if rest == "" {
		return nil, fmt.Errorf("the file is missing: want static:FILE")
	}
	return staticSpec{file: filepath.Clean(rest)}, nil
}

func parseDNS(rest string) (parsed, error) {
	authority, name, params, err := cut(rest)
	if err != nil {
		return nil, err
	}
	s := dnsSpec{server: authority, interval: defaultInterval}
	if name != "" && s.server != "" {
		if _, _, err := net.SplitHostPort(s.server); err != nil {
			s.server = net.JoinHostPort(strings.Trim(s.server, "[]"), "53")
		}
		if _, _, err := splitAddress(s.server); err != nil {
			return nil, fmt.Errorf("name server: %w", err)
		}
	}
	if name == "" {
		return nil, fmt.Errorf("the name is missing: want dns:///NAME, with three slashes, or dns://SERVER/NAME")
	}
	if !strings.Contains(name, serviceMark) {
		return nil, fmt.Errorf("name %q: want %s where the service's name goes, like dns:///%s.example:8080", name, serviceMark, serviceMark)
	}
	host, _, found := strings.Cut(name, ":")
	if found {
		if _, s.port, err = splitAddress(name); err != nil {
			return nil, fmt.Errorf("name %q: want a port from 1 to 65535 after the colon", name)
		}
	}
	s.name, s.srv = host, strings.HasPrefix(host, "_")
	if s.srv && s.port != 0 {
		return nil, fmt.Errorf("name %q: a name that begins with _ is one of SRV records, which say the port: write it without", name)
	}
	if err := checkName(strings.ReplaceAll(host, serviceMark, "service")); err != nil {
		return nil, fmt.Errorf("name %q: %w", name, err)
	}
	if text, ok := params.take("interval"); ok {
		s.interval, err = time.ParseDuration(text)
		if err != nil || s.interval < minInterval || s.interval > maxInterval {
			return nil, fmt.Errorf("interval=%s: want a duration from 1s to 1m, like 3s", text)
		}
	}
	return s, params.rest("interval")
}

// checkName says what is wrong with a name of DNS, RFC 1035 section 2.3.1 with the
// underscores of RFC 2782.
func checkName(name string) error {
	if len(name) > 253 {
		return fmt.Errorf("it is longer than 253 bytes")
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		bad := func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
		}
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, bad) {
			return fmt.Errorf("%q is no part of a name: want 1 to 63 letters, digits, - and _ between dots", label)
		}
	}
	return nil
}

func parseConsul(rest string) (parsed, error) {
	authority, path, params, err := cut(rest)
	if err != nil {
		return nil, err
	}
	if path != "" {
		return nil, fmt.Errorf("path %q: want nothing after the address: consul://HOST:PORT", path)
	}
	if strings.Contains(authority, "@") {
		return nil, fmt.Errorf("the address has a password in it: give an ACL token by token_file")
	}
	s := consulSpec{addr: authority}
	if _, _, err := splitAddress(s.addr); err != nil {
		return nil, fmt.Errorf("address %q: want HOST:PORT of a Consul agent's HTTP interface, like 127.0.0.1:8500", authority)
	}
	if text, ok := params.take("tls"); ok {
		if text != "true" && text != "false" {
			return nil, fmt.Errorf("tls=%s: want true or false", text)
		}
		s.tls = text == "true"
	}
	texts := []struct {
		name  string
		value *string
		tls   bool // means something only with TLS
	}{
		{"ca_file", &s.caFile, true},
		{"cert_file", &s.certFile, true},
		{"key_file", &s.keyFile, true},
		{"server_name", &s.serverName, true},
		{"token_file", &s.tokenFile, false},
		{"datacenter", &s.datacenter, false},
	}
	for _, t := range texts {
		text, ok := params.take(t.name)
		switch {
		case !ok:
			continue
		case text == "":
			return nil, fmt.Errorf("%s is empty: give a value or leave it out", t.name)
		case t.tls && !s.tls:
			return nil, fmt.Errorf("%s requires tls=true: add that", t.name)
		}
		*t.value = text
	}
	if (s.certFile == "") != (s.keyFile == "") {
		return nil, fmt.Errorf("cert_file and key_file must be given together: give both or none")
	}
	return s, params.rest("tls", "ca_file", "cert_file", "key_file", "server_name", "token_file", "datacenter")
}

// params are the parameters of a spec that are not used yet.
type params url.Values

// cut takes "//authority/path?params" apart.
func cut(rest string) (authority, path string, p params, err error) {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return "", "", nil, fmt.Errorf("want // after the colon: one of %s", kinds)
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ = strings.Cut(rest, "/")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "", nil, fmt.Errorf("parameters %q: want name=value, more of them after &: %w", query, err)
	}
	for name, list := range values {
		if len(list) > 1 {
			return "", "", nil, fmt.Errorf("parameter %s is given %d times: give it once", name, len(list))
		}
	}
	return authority, path, params(values), nil
}

// take returns a parameter and removes it.
func (p params) take(name string) (string, bool) {
	list, ok := p[name]
	if !ok {
		return "", false
	}
	delete(p, name)
	return list[0], true
}

// rest returns an error if parameters are left.
func (p params) rest(allowed ...string) error {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("parameter %s is unknown: want %s", names[0], strings.Join(allowed, ", "))
}

func (memorySpec) build(r *Registry, _ Options) error {
	r.scheme, r.backend = MemoryScheme, newMemory()
	return nil
}
