//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"movieexample.com/test/servers"
)

// services in the order of who is called before who calls; so they start, and in the reverse order they stop.
func services() []string { return []string{"metadata", "rating", "movie", "gateway"} }

// keepsData reports whether a service has a database.
func keepsData(service string) bool { return service == "metadata" || service == "rating" }

// Config says what kind of cluster is wanted. The zero value is two processes of each service, built from this tree, on
// MariaDB, one Kafka broker and Consul.
type Config struct {
	// Dir has everything: data, logs, addresses. Empty: a new directory, removed by Close. One with data from an earlier
	// cluster of as many brokers is used as it is, with new ports.
	Dir string
	// Instances is how many processes of a service there are; a service that is not in it has two.
	Instances map[string]int
	// Brokers is how many Kafka has, 1 (also 0) or 3. With three an event is acknowledged when two have it.
	Brokers int
	// StaticDiscovery puts a file that lists all instances in the place of Consul.
	StaticDiscovery bool
	// EmptyDatabases leaves the databases without tables; Cluster.Migrate makes them.
	EmptyDatabases bool
	// DatabaseProxy puts a proxy between the services and MariaDB: Cluster.DatabaseProxy.
	DatabaseProxy bool
	// DrainDelay is --drain-delay of every process.
	DrainDelay time.Duration
	// Binary is the program; empty is that of this tree, built once in the life of the test program.
	Binary string
	// Binaries are the programs of some processes, by name (rating-1): another version than the rest.
	Binaries map[string]string
	// Args are further arguments of all processes of a service.
	Args map[string][]string
	// MariaDB and Kafka tune the servers. Their Dir and Brokers are those of this Config.
	MariaDB servers.MariaDBConfig
	Kafka   servers.KafkaConfig
}

// Cluster is a running system.
type Cluster struct {
	MariaDB *servers.MariaDB
	Kafka   *servers.Kafka
	// Consul is nil with StaticDiscovery, and DatabaseProxy without Config.DatabaseProxy.
	Consul        *servers.Consul
	DatabaseProxy *servers.Proxy

	config    Config
	room      *servers.Room
	binary    string
	processes []*Process // in the order of services
}

// Start starts a cluster and returns when everything is ready and rating events are ingested; ctx bounds the start and not the cluster's life.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	c, err := New(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// start starts all processes at once: a process that is early waits.
func (c *Cluster) start(ctx context.Context) error {
	if err := c.Launch(); err != nil {
		return err
	}
	if err := c.AwaitReady(ctx); err != nil {
		return err
	}
	if len(c.Of("rating")) == 0 {
		return nil
	}
	return c.AwaitIngestion(ctx)
}

// New starts the servers and makes the databases, and starts no process.
func New(ctx context.Context, config Config) (_ *Cluster, err error) {
	for name := range config.Instances {
		if !slices.Contains(services(), name) {
			return nil, fmt.Errorf("start a cluster: there is no service %q; the services are %s", name, strings.Join(services(), ", "))
		}
	}
	c := &Cluster{config: config, binary: config.Binary}
	if c.room, err = servers.NewRoom("cluster", config.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	starts, startCtx := errgroup.WithContext(ctx)
	starts.Go(func() (err error) {
		c.MariaDB, err = servers.StartMariaDB(startCtx, c.mariaDB())
		return err
	})
	starts.Go(func() (err error) {
		c.Kafka, err = servers.StartKafka(startCtx, c.kafka())
		return err
	})
	if !config.StaticDiscovery {
		starts.Go(func() (err error) {
			c.Consul, err = servers.StartConsul(startCtx, servers.ConsulConfig{Dir: c.below("consul")})
			return err
		})
	}
	if c.binary == "" {
		starts.Go(func() (err error) {
			c.binary, err = Build()
			return err
		})
	}
	if err := starts.Wait(); err != nil {
		return nil, err
	}
	if config.DatabaseProxy {
		if c.DatabaseProxy, err = servers.NewProxy(c.MariaDB.Address()); err != nil {
			return nil, err
		}
	}
	for _, service := range services() {
		if !keepsData(service) {
			continue
		}
		if err := c.createDatabase(ctx, service); err != nil {
			return nil, err
		}
		if config.EmptyDatabases {
			continue
		}
		if err := c.Migrate(ctx, service); err != nil {
			return nil, err
		}
	}
	for _, service := range services() {
		n, given := config.Instances[service]
		if !given {
			n = 2
		}
		for range n {
			if _, err := c.Add(service); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

func (c *Cluster) mariaDB() servers.MariaDBConfig {
	m := c.config.MariaDB
	m.Dir = c.below("mariadb")
	return m
}

func (c *Cluster) kafka() servers.KafkaConfig {
	k := c.config.Kafka
	k.Brokers = max(1, c.config.Brokers)
	k.Dir = c.below("kafka-" + strconv.Itoa(k.Brokers))
	return k
}

// below is a server's directory where the cluster's was given, and otherwise empty: then the server has its own room,
// which the user that it runs as can reach.
func (c *Cluster) below(name string) string {
	if c.config.Dir == "" {
		return ""
	}
	return filepath.Join(c.room.Dir(), name)
}

// Add makes one more process of a service, which is not started: Process.Start does that.
func (c *Cluster) Add(service string) (*Process, error) {
	if !slices.Contains(services(), service) {
		return nil, fmt.Errorf("add a process: there is no service %q; the services are %s", service, strings.Join(services(), ", "))
	}
	p, err := c.newProcess(service, len(c.Of(service))+1)
	if err != nil {
		return nil, err
	}
	after := slices.IndexFunc(c.processes, func(other *Process) bool {
		return slices.Index(services(), other.Service) > slices.Index(services(), service)
	})
	if after < 0 {
		after = len(c.processes)
	}
	c.processes = slices.Insert(c.processes, after, p)
	return p, c.writeRegistry()
}

// Processes are all processes, those of callees before those of callers.
func (c *Cluster) Processes() []*Process { return slices.Clone(c.processes) }

// Of are the processes of a service.
func (c *Cluster) Of(service string) []*Process {
	return slices.DeleteFunc(c.Processes(), func(p *Process) bool { return p.Service != service })
}

// Process is the one with that name, rating-1; nil where there is none.
func (c *Cluster) Process(name string) *Process {
	for _, p := range c.processes {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Launch starts all processes that do not run, and waits for none.
func (c *Cluster) Launch() error {
	for _, p := range c.processes {
		if p.Running() {
			continue
		}
		if err := p.Launch(); err != nil {
			return err
		}
	}
	return nil
}

// AwaitReady waits until all processes are ready, for two minutes at most.
func (c *Cluster) AwaitReady(ctx context.Context) error {
	waits, ctx := errgroup.WithContext(ctx)
	for _, p := range c.processes {
		waits.Go(func() error { return p.AwaitReady(ctx) })
	}
	return waits.Wait()
}

// Targets is where clients find the system. As JSON it is a file that 'movieexample verify --addresses' takes.
type Targets struct {
	Gateways []string `json:"gateways"` // URLs
	Metadata []string `json:"metadata"` // gRPC, host:port
	Rating   []string `json:"rating"`   // gRPC
	Movie    []string `json:"movie"`    // gRPC
	Brokers  []string `json:"brokers"`  // Kafka
	Admin    []string `json:"admin"`    // URLs
}

// Targets returns the addresses of all instances, running or not.
func (c *Cluster) Targets() Targets {
	addresses := func(service string) []string {
		var list []string
		for _, p := range c.Of(service) {
			list = append(list, p.Address)
		}
		return list
	}
	t := Targets{Metadata: addresses("metadata"), Rating: addresses("rating"), Movie: addresses("movie"), Brokers: c.Kafka.Bootstrap()}
	for _, addr := range addresses("gateway") {
		t.Gateways = append(t.Gateways, "http://"+addr)
	}
	for _, p := range c.processes {
		t.Admin = append(t.Admin, "http://"+p.Admin)
	}
	return t
}

// Dir has the processes' directories, and the servers' where it was given.
func (c *Cluster) Dir() string { return c.room.Dir() }

// Binary is the program that processes run which were not given another one.
func (c *Cluster) Binary() string { return c.binary }

// Stop stops everything in good order, callers before callees and servers last, and returns what did not go well. What does
// not stop in time is left to Close.
func (c *Cluster) Stop() error {
	var errs []error
	for _, service := range slices.Backward(services()) {
		var stops errgroup.Group
		for _, p := range c.Of(service) {
			stops.Go(func() error {
				if !p.Running() {
					return nil
				}
				end, err := p.Stop()
				if err == nil && (end.Code != 0 || end.Signal != 0) {
					err = fmt.Errorf("%s: %s; its log is %s", p.Name, end, p.LogFile())
				}
				return err
			})
		}
		errs = append(errs, stops.Wait())
	}
	var stops errgroup.Group
	if c.MariaDB.Running() {
		stops.Go(c.MariaDB.Stop)
	}
	if c.Consul != nil && c.Consul.Running() {
		stops.Go(c.Consul.Stop)
	}
	stops.Go(c.Kafka.Stop)
	return errors.Join(append(errs, stops.Wait())...)
}

// Close ends everything, with SIGKILL where it runs, and removes the directory unless that was given. It may be called twice.
func (c *Cluster) Close() error {
	var errs []error
	for _, p := range c.processes {
		if p.Running() {
			if err := p.Kill(); err != nil && p.Running() {
				errs = append(errs, err)
			}
		}
	}
	if c.DatabaseProxy != nil {
		errs = append(errs, c.DatabaseProxy.Close())
	}
	if c.Consul != nil {
		errs = append(errs, c.Consul.Close())
	}
	if c.Kafka != nil {
		errs = append(errs, c.Kafka.Close())
	}
	if c.MariaDB != nil {
		errs = append(errs, c.MariaDB.Close())
	}
	return errors.Join(append(errs, c.room.Close())...)
}

// discovery is what processes are told.
func (c *Cluster) discovery() string {
	if c.Consul == nil {
		return "static:" + c.registryFile()
	}
	return "consul://" + c.Consul.Address()
}

func (c *Cluster) registryFile() string { return filepath.Join(c.room.Dir(), "services.yaml") }

// writeRegistry writes the file for static discovery.
func (c *Cluster) writeRegistry() error {
	var text strings.Builder
	for _, service := range services() {
		var list []string
		for _, p := range c.Of(service) {
			list = append(list, p.Address)
		}
		fmt.Fprintf(&text, "%s: [%s]\n", service, strings.Join(list, ", "))
	}
	file := c.registryFile()
	if err := os.WriteFile(file+".new", []byte(text.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
