package app

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
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
	Advertise string `yaml:"advertise" placeholder:"host" usage:"host at which other processes reach the services of this one, if it is not the one listened on"`

	KafkaAdvertise string `yaml:"kafka_advertise" placeholder:"host:port" usage:"address that clients of the embedded Kafka broker use, if it is not the one listened on"`

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

// DataDirectory returns DataDir as an absolute path, or the user's data directory (XDG Base Directory Specification) if DataDir
// is empty. It fails without a home directory.
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

// Databases says where the services keep their data, each a URL that sqldb.Open takes, or "embedded", which is an SQLite file in
// the data directory. Empty means that too, but only in a process that works with no others: see unsharedDatabase.
type Databases struct {
	Metadata string `yaml:"metadata" placeholder:"URL" secret:"true" usage:"database of the metadata service, as --database describes it"`
	Rating   string `yaml:"rating" placeholder:"URL" secret:"true" usage:"database of the rating service, as --database describes it"`
}

func (d Databases) of(service string) string {
	switch service {
	case "metadata":
		return d.Metadata
	case "rating":
		return d.Rating
	}
	return ""
}

// databaseOf is the URL under which a service of this process keeps its data; dir is the data directory.
func (c Config) databaseOf(service, dir string) string {
	if url := c.givenDatabase(service); url != "" && url != embedded {
		return url
	}
	return "sqlite:" + filepath.Join(dir, service, service+".db")
}

// givenDatabase returns the configured database of a service; "" if none is configured.
func (c Config) givenDatabase(service string) string {
	return cmp.Or(c.Databases.of(service), c.Database)
}

// embeddedBroker reports whether rating events come by the broker of this process.
func (c Config) embeddedBroker() bool {
	return len(c.Rating.Brokers) == 0 || slices.Equal(c.Rating.Brokers, []string{embedded})
}

// ExternalBrokers are the Kafka brokers of rating events; none where they come by the broker of this process.
func (c Config) ExternalBrokers() []string {
	if c.embeddedBroker() {
		return nil
	}
	return c.Rating.Brokers
}

// company returns the setting that says that this process works with others, which requires that they share their databases and
// their Kafka; "" if none does.
func (c Config) company() string {
	switch {
	case c.Discovery != discovery.MemoryScheme && discovery.Validate(c.Discovery) == nil:
		return "discovery"
	case !c.embeddedBroker():
		return "rating.brokers"
	}
	return ""
}

// unsharedDatabase reports a service that would use an SQLite file by default in a process that works with others: it would take
// its part of their work and hide it in a file.
func (c Config) unsharedDatabase(s service) error {
	why := c.company()
	if why == "" || c.givenDatabase(s.name) != "" {
		return nil
	}
	path := "databases." + s.name
	return &config.Problem{Path: path, Reason: fmt.Sprintf("is not set, and neither is database, but %s says that this process works with others, which share one database: "+
		"give its URL by --databases-%s, or in a file that %sDATABASES_%s_FILE names, or the word %s for an SQLite file that this process alone uses",
		why, s.name, config.EnvPrefix, strings.ToUpper(s.name), embedded)}
}

// inDataDirectory reports whether a service has its database in the data directory.
func (c Config) inDataDirectory(s service) bool {
	given := c.givenDatabase(s.name)
	return s.keepsData() && (given == "" || given == embedded)
}

// usesDataDirectory reports whether a service has something in the data directory: its database, or the log of the embedded
// broker.
func (c Config) usesDataDirectory(s service) bool {
	return c.inDataDirectory(s) || s.name == "rating" && c.embeddedBroker()
}

// ownDirectory returns the directory that the process must lock because the service's data is there; "" if the data is on a
// server, which several processes share.
func (c Config) ownDirectory(service, dir string) string {
	path, file := strings.CutPrefix(c.databaseOf(service, dir), "sqlite:")
	if !file {
		return ""
	}
	return filepath.Dir(path)
}

// embedded is what a database and the brokers of rating are called that this program brings along: an SQLite file in the data
// directory, and the broker of this process.
const embedded = "embedded"
