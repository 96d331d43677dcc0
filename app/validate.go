package app

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"movieexample.com/internal/config"
	"movieexample.com/internal/discovery"
	"movieexample.com/internal/sqldb"
)

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
		problem("listen.kafka", "%q stands for all addresses of this machine, but Kafka clients need a single one: set --kafka-advertise host:port", c.Listen.Kafka)
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

// ValidateFor is Validate for a process that runs the named services, or all if none is named. It also refuses a choice in
// which a service could not reach another one, or could not be reached.
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

// checkDatabases reports what is wrong with the databases of a process that runs the services.
func (c Config) checkDatabases(services []service) error {
	var errs []error
	var keepers []string
	for _, s := range services {
		if s.keepsData() {
			keepers = append(keepers, s.name)
		}
	}
	if c.Database != "" && len(keepers) != 1 && (c.Database != embedded || len(keepers) == 0) {
		reason := "is for a process that runs one service which keeps data; this one runs none"
		if len(keepers) > 1 {
			reason = fmt.Sprintf("is for a process that runs one service which keeps data; this one runs %s: give each its own with %s",
				strings.Join(keepers, " and "), "--databases-"+strings.Join(keepers, " and --databases-"))
		}
		errs = append(errs, &config.Problem{Path: "database", Reason: reason})
	}
	check := func(path, url string) {
		if url == "" || url == embedded {
			return
		}
		if err := sqldb.CheckURL(url); err != nil {
			errs = append(errs, &config.Problem{Path: path, Reason: err.Error()})
		}
	}
	check("database", c.Database)
	taken := make(map[string]string)
	for _, s := range serviceTable() {
		url := c.Databases.of(s.name)
		check("databases."+s.name, url)
		if other, again := taken[url]; again && url != "" && url != embedded {
			errs = append(errs, &config.Problem{Path: "databases." + s.name, Reason: "is the database of " + other + " too: each service needs its own"})
		}
		taken[url] = s.name
		if url != "" && c.Database != "" && slices.Contains(keepers, s.name) {
			errs = append(errs, &config.Problem{Path: "database", Reason: "is given beside databases." + s.name + ": give one of them"})
		}
	}
	for _, s := range services {
		if s.keepsData() {
			errs = append(errs, c.unsharedDatabase(s))
		}
	}
	return errors.Join(errs...)
}

// checkDiscovery reports what is wrong with the settings of discovery.
func (c Config) checkDiscovery() []error {
	var errs []error
	if err := discovery.Validate(c.Discovery); err != nil {
		errs = append(errs, &config.Problem{Path: "discovery", Reason: err.Error()})
	}
	if c.Advertise != "" && (wildcard(c.Advertise) || len(c.Advertise) > 253 || !hostname(c.Advertise)) {
		errs = append(errs, &config.Problem{Path: "advertise", Reason: fmt.Sprintf("must be a host name or an IP address that others can connect to, without a port; got %q", c.Advertise)})
	}
	return errs
}

// checkAdvertised reports a listener that a registry could not name to others.
func (c Config) checkAdvertised(services []service) error {
	scheme := c.Discovery
	if len(scheme) < len(consulScheme) || scheme[:len(consulScheme)] != consulScheme || c.Advertise != "" {
		return nil // only there does a process register itself
	}
	for _, s := range services {
		l := c.Listen.of(s.name)
		if host, _, err := net.SplitHostPort(l.addr); err == nil && s.name != "gateway" && wildcard(host) {
			return &config.Problem{Path: "advertise", Reason: fmt.Sprintf("must say at which host name or address other processes reach this one, since %s is %q, every address of this machine",
				l.path(), l.addr)}
		}
	}
	return nil
}

// hostname reports whether text could be a host: letters, digits, dots, dashes, and colons for IPv6.
func hostname(text string) bool {
	if net.ParseIP(text) != nil {
		return true
	}
	for _, c := range text {
		ok := c == '.' || c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !ok {
			return false
		}
	}
	return true
}
