package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"movieexample.com/gateway"
	"movieexample.com/internal/config"
	"movieexample.com/internal/discovery"
	"movieexample.com/internal/telemetry"
	"movieexample.com/metadata"
	"movieexample.com/movie"
	"movieexample.com/rating"
)

// Config is the whole configuration: one section per service, and what belongs to the process.
type Config struct {
	DataDir         string        `yaml:"data_dir" flag:"data" placeholder:"DIR" usage:"where data is kept; empty means the user's data directory (XDG_DATA_HOME)"`
	InsecureNoAuth  bool          `yaml:"insecure_no_auth" flag:"insecure-no-auth" usage:"allow listeners on other than loopback addresses although anybody who reaches them can write"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" usage:"how long a stop may take before calls in flight are cut off (100ms to 5m)"`

	Database   string        `yaml:"database" placeholder:"URL" secret:"true" usage:"where the one service of this process that keeps data has it: mysql://user:password@host:port/name or sqlite:FILE; embedded means an SQLite file in the data directory, and so does empty in a process that works with no others"`
	Databases  Databases     `yaml:"databases"`
	DrainDelay time.Duration `yaml:"drain_delay" usage:"how long a stop waits, still serving, for load balancers and callers to look elsewhere (0 to 1m)"`

	Discovery string `yaml:"discovery" placeholder:"SPEC" usage:"how processes find each other: memory, static:FILE, dns:///NAME or consul://host:port (docs/operations.md)"`
	Advertise string `yaml:"advertise" placeholder:"host" usage:"host that other processes are told to reach this one's services at, where it is not the one listened on"`

	KafkaAdvertise string `yaml:"kafka_advertise" placeholder:"host:port" usage:"address that clients of the embedded Kafka broker are told to use, where it is not the one listened on"`

	AdminAllowedHosts []string `yaml:"admin_allowed_hosts" usage:"names, without ports, by which the admin listener is reached, such as metadata-1.example; addresses and localhost always work"`

	Listen  Listen              `yaml:"listen"`
	Connect Connect             `yaml:"connect"`
	Log     telemetry.LogConfig `yaml:"log"`

	Metadata metadata.Config `yaml:"metadata"`
	Rating   rating.Config   `yaml:"rating"`
	Movie    movie.Config    `yaml:"movie"`
	Gateway  gateway.Config  `yaml:"gateway"`
}

// Listen has the address of every listener; port 0 picks a free port.
type Listen struct {
	Gateway  string `yaml:"gateway" placeholder:"host:port" usage:"HTTP: REST API and web pages"`
	Metadata string `yaml:"metadata" placeholder:"host:port" usage:"gRPC of the metadata service"`
	Rating   string `yaml:"rating" placeholder:"host:port" usage:"gRPC of the rating service"`
	Movie    string `yaml:"movie" placeholder:"host:port" usage:"gRPC of the movie service"`
	Kafka    string `yaml:"kafka" placeholder:"host:port" usage:"the embedded Kafka broker"`
	Admin    string `yaml:"admin" placeholder:"host:port" usage:"admin HTTP: health, metrics, profiles"`
}

// Connect has the addresses of services that this process calls and does not run.
type Connect struct {
	Metadata string `yaml:"metadata" placeholder:"host:port" usage:"gRPC address of the metadata service, where another process runs it"`
	Rating   string `yaml:"rating" placeholder:"host:port" usage:"gRPC address of the rating service, where another process runs it"`
	Movie    string `yaml:"movie" placeholder:"host:port" usage:"gRPC address of the movie service, where another process runs it"`
}

// DefaultConfig returns the defaults: everything embedded, on loopback.
func DefaultConfig() Config {
	return Config{
		ShutdownTimeout: 20 * time.Second,
		Discovery:       discovery.MemoryScheme,
		Listen: Listen{
			Gateway:  "127.0.0.1:8080",
			Metadata: "127.0.0.1:8081",
			Rating:   "127.0.0.1:8082",
			Movie:    "127.0.0.1:8083",
			Kafka:    "127.0.0.1:9092",
			Admin:    "127.0.0.1:8090",
		},
		Log:      telemetry.DefaultLogConfig(),
		Metadata: metadata.DefaultConfig(),
		Rating:   rating.DefaultConfig(),
		Movie:    movie.DefaultConfig(),
		Gateway:  gateway.DefaultConfig(),
	}
}

// listener is one row of Listen.
type listener struct {
	name, addr string
}

func (l listener) path() string { return "listen." + l.name }
func (l listener) flag() string { return "--listen-" + l.name }

func (l Listen) all() []listener {
	return []listener{
		{"gateway", l.Gateway},
		{"metadata", l.Metadata},
		{"rating", l.Rating},
		{"movie", l.Movie},
		{"kafka", l.Kafka},
		{"admin", l.Admin},
	}
}

func (l Listen) of(name string) listener {
	for _, row := range l.all() {
		if row.name == name {
			return row
		}
	}
	return listener{name: name}
}

func (c Connect) of(name string) string {
	switch name {
	case "metadata":
		return c.Metadata
	case "rating":
		return c.Rating
	case "movie":
		return c.Movie
	}
	return ""
}

// Validate reports everything that is wrong, each as *config.Problem with the setting's path.
func (c Config) Validate() error {
	var errs []error
	problem := func(path, format string, args ...any) {
		errs = append(errs, &config.Problem{Path: path, Reason: fmt.Sprintf(format, args...)})
	}
	if c.ShutdownTimeout < 100*time.Millisecond || c.ShutdownTimeout > 5*time.Minute {
		problem("shutdown_timeout", "must be from 100ms to 5m, got %s", c.ShutdownTimeout)
	}
	if c.DrainDelay < 0 || c.DrainDelay > time.Minute {
		problem("drain_delay", "must be from 0s to 1m, got %s", c.DrainDelay)
	}
	taken := map[string]string{}
	for _, l := range c.Listen.all() {
		host, port, err := net.SplitHostPort(l.addr)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			problem(l.path(), "must be host:port with a port from 0 to 65535, for example %s; got %q", DefaultConfig().Listen.of(l.name).addr, l.addr)
			continue
		}
		if other, again := taken[l.addr]; again && port != "0" {
			problem(l.path(), "%s is the address of listen.%s too: each listener needs its own", l.addr, other)
		}
		taken[l.addr] = l.name
		if !c.InsecureNoAuth && !loopback(host) {
			problem(l.path(), "%q is not a loopback address, and this version has no authentication: anybody who reaches it could read and change everything. "+
				"Listen on 127.0.0.1, or give --insecure-no-auth if that is meant", l.addr)
		}
	}
	hostPort := func(path, addr string) {
		if host, _, err := net.SplitHostPort(addr); addr != "" && (err != nil || host == "") {
			problem(path, "must be host:port; got %q", addr)
		}
	}
	for _, s := range serviceTable() {
		hostPort("connect."+s.name, c.Connect.of(s.name))
	}
	hostPort("kafka_advertise", c.KafkaAdvertise)
	for _, name := range c.AdminAllowedHosts {
		if name == "" || len(name) > 253 || strings.Contains(name, ":") || !hostname(name) {
			problem("admin_allowed_hosts", "must be host names without a port, such as metadata-1.example, got %q", name)
		}
	}
	if host, _, err := net.SplitHostPort(c.Listen.Kafka); err == nil && wildcard(host) && c.KafkaAdvertise == "" {
		problem("listen.kafka", "%q is every address of this machine, and Kafka clients want to be told one: say which with --kafka-advertise host:port", c.Listen.Kafka)
	}
	errs = append(errs, c.checkDiscovery()...)
	errs = append(errs,
		config.Under("log", c.Log.Validate()),
		config.Under("metadata", c.Metadata.Validate()),
		config.Under("rating", c.Rating.Validate()),
		config.Under("movie", c.Movie.Validate()),
		config.Under("gateway", c.Gateway.Validate()))
	return errors.Join(errs...)
}

// ValidateFor is Validate for a process that runs the services named, all where none is named. It also refuses a choice in
// which a service could not reach another one, or could be reached by nobody.
func (c Config) ValidateFor(names []string) error {
	services, err := selectServices(names)
	if err != nil {
		return err
	}
	return errors.Join(c.Validate(), c.checkDatabases(services), c.checkAdvertised(services), c.reachable(services))
}

func (c Config) reachable(services []service) error {
	runs := func(name string) bool {
		return slices.ContainsFunc(services, func(s service) bool { return s.name == name })
	}
	var errs []error
	for _, callee := range serviceTable() {
		if runs(callee.name) || c.Connect.of(callee.name) != "" || c.Discovery != discovery.MemoryScheme {
			continue
		}
		for _, s := range services {
			if slices.Contains(s.calls, callee.name) {
				errs = append(errs, &config.Problem{Path: "connect." + callee.name, Reason: fmt.Sprintf(
					"%s calls %s, which this process does not run: say where it is with --connect-%s host:port or how to find it with --discovery, or run it here too", s.name, callee.name, callee.name)})
				break // one caller is reason enough
			}
		}
	}
	switch why := c.company(); {
	case !runs("rating") || !c.embeddedBroker():
	case why != "" && len(c.Rating.Brokers) == 0:
		errs = append(errs, &config.Problem{Path: "rating.brokers", Reason: fmt.Sprintf("is not set, but %s says that this process works with others, which share one Kafka: "+
			"give its brokers with --rating-brokers host:port, or the word %s, in a process that runs all services, for a broker in this process", why, embedded)})
	case len(services) < len(serviceTable()):
		errs = append(errs, &config.Problem{Path: "rating.brokers", Reason: "rating without all other services cannot use the embedded Kafka broker, " +
			"which is for one process: say where Kafka is with --rating-brokers host:port, or run all services here"})
	}
	return errors.Join(errs...)
}

// loopback reports whether host names only this machine. A name is not looked up: what it means may change.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// wildcard reports whether host means every address of this machine.
func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// DataDirectory is DataDir as an absolute path, or the user's data directory (XDG Base Directory Specification) where DataDir
// is empty. It fails where there is no home directory to put that in.
func (c Config) DataDirectory() (string, error) {
	if c.DataDir != "" {
		dir, err := filepath.Abs(c.DataDir)
		if err != nil {
			return "", fmt.Errorf("find data directory %q: %w", c.DataDir, err)
		}
		return dir, nil
	}
	// The specification wants relative paths ignored.
	if base := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "movieexample"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the user's data directory (give --data DIR instead): %w", err)
	}
	return filepath.Join(home, ".local", "share", "movieexample"), nil
}
