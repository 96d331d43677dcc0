package sqldb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	mysqlExample = `"mysql://user:password@host:3306/database"`
	mysqlPort    = "3306"

	maxConns = 10_000
)

// mysqlServer is a parsed mysql: URL.
type mysqlServer struct {
	user, password string
	host, port     string
	database       string

	tls      *tls.Config // nil: not encrypted
	fallback bool        // tls=preferred: without encryption where the server has none
}

func (s *mysqlServer) addr() string { return net.JoinHostPort(s.host, s.port) }

// name is the URL without secrets and tuning parameters.
func (s *mysqlServer) name() string { return s.user + "@" + s.addr() + "/" + s.database }

// parseMySQL reads what follows "mysql:". Errors name the part that is wrong and what it
// has to look like. They never repeat the password, nor anything that might be a piece of
// one: net/url would, which is why the outer parts are taken apart here.
func parseMySQL(rest string, opt *Options) (*mysqlServer, error) {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return nil, errors.New("a mysql: URL begins with two slashes, like " + mysqlExample)
	}
	place, query, _ := strings.Cut(rest, "?")
	at := strings.LastIndex(place, "@")
	if at < 0 {
		if strings.Contains(query, "@") {
			return nil, errors.New(`the user or password has a "?": write it as %3F`)
		}
		return nil, errors.New("no user: the URL has to be like " + mysqlExample)
	}
	s := &mysqlServer{}
	if err := s.setUser(place[:at]); err != nil {
		return nil, err
	}
	hostPort, database, _ := strings.Cut(place[at+1:], "/")
	if err := s.setHost(hostPort); err != nil {
		return nil, err
	}
	var err error
	s.database, err = url.PathUnescape(database)
	switch {
	case err != nil:
		return nil, fmt.Errorf("database name: %w", err)
	case s.database == "":
		return nil, fmt.Errorf("no database: name one after the host, as in %s", mysqlExample)
	case strings.ContainsAny(s.database, "/\\.`'\"#") || strings.TrimSpace(s.database) != s.database || len(s.database) > 64:
		return nil, fmt.Errorf("database name %q: at most 64 bytes, without slashes, dots, quotes, #, or spaces around it", s.database)
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("parameters after the question mark: %w", err)
	}
	if err := s.setParams(params, opt); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *mysqlServer) setUser(info string) (err error) {
	user, password, _ := strings.Cut(info, ":")
	if s.user, err = url.PathUnescape(user); err != nil {
		return errors.New(`the user has a "%" that is not followed by two hexadecimal digits: write it as %25`)
	}
	if s.password, err = url.PathUnescape(password); err != nil {
		return errors.New(`the password has a "%" that is not followed by two hexadecimal digits: write it as %25`)
	}
	if s.user == "" {
		return errors.New("the user is empty: the URL has to be like " + mysqlExample)
	}
	return nil
}

func (s *mysqlServer) setHost(hostPort string) error {
	s.host, s.port = hostPort, mysqlPort
	if host, port, err := net.SplitHostPort(hostPort); err == nil {
		s.host, s.port = host, port
	} else if strings.HasPrefix(hostPort, "[") && strings.HasSuffix(hostPort, "]") {
		s.host = hostPort[1 : len(hostPort)-1]
	} else if strings.Contains(hostPort, ":") {
		return fmt.Errorf("host %q: write an IPv6 address in brackets, as in [::1]:3306", hostPort)
	}
	if s.host == "" {
		return errors.New("no host: the URL has to be like " + mysqlExample)
	}
	if n, err := strconv.ParseUint(s.port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q: a number from 1 to 65535 is needed", s.port)
	}
	return nil
}

// setParams takes the parameters: tuning goes to opt, where the URL, which is the
// operator's, wins over what the program has set.
func (s *mysqlServer) setParams(params url.Values, opt *Options) error {
	conns := map[string]*int{"write_conns": &opt.WriteConns, "read_conns": &opt.ReadConns}
	times := map[string]*time.Duration{
		"lock_timeout": &opt.BusyTimeout, "conn_lifetime": &opt.ConnLifetime, "conn_idle_time": &opt.ConnIdleTime,
		"dial_timeout": &opt.DialTimeout, "read_timeout": &opt.ReadTimeout, "write_timeout": &opt.WriteTimeout,
	}
	for name, values := range params {
		value := values[0]
		if len(values) > 1 {
			return fmt.Errorf("parameter %s is given %d times", name, len(values))
		}
		if n, ok := conns[name]; ok {
			v, err := strconv.Atoi(value)
			if err != nil || v < 1 || v > maxConns {
				return fmt.Errorf("parameter %s=%q: a number of connections from 1 to %d is needed", name, value, maxConns)
			}
			*n = v
		} else if d, ok := times[name]; ok {
			v, err := time.ParseDuration(value)
			if err != nil || v < time.Millisecond {
				return fmt.Errorf("parameter %s=%q: a time of at least 1ms is needed, such as 500ms, 30s or 10m", name, value)
			}
			*d = v
		} else if name != "tls" && name != "tls_ca" {
			known := []string{"tls", "tls_ca"}
			for k := range conns {
				known = append(known, k)
			}
			for k := range times {
				known = append(known, k)
			}
			slices.Sort(known)
			return fmt.Errorf("parameter %q is unknown; there are %s", name, strings.Join(known, ", "))
		}
	}
	return s.setTLS(params)
}

func (s *mysqlServer) setTLS(params url.Values) error {
	mode, ca := params.Get("tls"), params.Get("tls_ca")
	if mode == "" && ca != "" {
		mode = "true"
	}
	switch mode {
	case "", "false":
		if ca != "" {
			return errors.New("parameter tls_ca is given with tls=false: use tls=true, or leave out tls_ca")
		}
		return nil
	case "true":
		s.tls = &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
	case "skip-verify", "preferred":
		if ca != "" {
			return fmt.Errorf("parameter tls_ca is given with tls=%s, which checks no certificate: use tls=true", mode)
		}
		s.tls = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // the operator asks for it
		s.fallback = mode == "preferred"
	default:
		return fmt.Errorf("parameter tls=%q: use true, skip-verify, preferred or false", mode)
	}
	if ca == "" {
		return nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return fmt.Errorf("parameter tls_ca: %w", err)
	}
	s.tls.RootCAs = x509.NewCertPool()
	if !s.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("parameter tls_ca: %s has no certificate in PEM form", ca)
	}
	return nil
}

// login is the user and the password that connections are made with. They are read again where the server refuses them: they may
// have been replaced. It is safe for concurrent use.
type login struct {
	reread func() (string, error)

	mu     sync.Mutex
	server *mysqlServer
}

func (l *login) current() *mysqlServer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.server
}

// renew returns a login that differs from the refused one, or nil if there is none.
func (l *login) renew(refused *mysqlServer) (*mysqlServer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != refused {
		return l.server, nil // another connection has read it
	}
	if l.reread == nil {
		return nil, nil
	}
	url, err := l.reread()
	if err != nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(url, "mysql:")
	if !ok {
		return nil, errors.New("the file does not hold the URL of a MySQL database any more")
	}
	next, err := parseMySQL(rest, &Options{})
	if err != nil {
		return nil, err
	}
	if next.addr() != refused.addr() || next.database != refused.database {
		return nil, errors.New("the file now names another database: restart to use that")
	}
	if next.user == refused.user && next.password == refused.password {
		return nil, nil
	}
	l.server = next
	return next, nil
}
