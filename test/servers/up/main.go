//go:build linux

// Command up starts real servers in the foreground:
//
//	go run ./test/servers/up [mariadb] [kafka|kafka=3] [consul] [--dir D] [--stop-with-parent]
//
// When all answer, it prints one line of JSON with their addresses. SIGTERM or SIGINT stops them. With --dir the data stay
// there, and the next up continues with them, on new ports; without it they are gone. What ends this program in any other way
// ends the servers too.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"movieexample.com/test/servers"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "up:", err)
		os.Exit(1)
	}
}

// addresses is what the line says. A server that was not asked for is not there.
type addresses struct {
	MariaDB *mariadb `json:"mariadb,omitempty"`
	Kafka   *kafka   `json:"kafka,omitempty"`
	Consul  *consul  `json:"consul,omitempty"`
}

type mariadb struct {
	Address string `json:"address"`
	URL     string `json:"url"` // as root, without a database
	PID     int    `json:"pid"`
	Log     string `json:"log"`
}

type kafka struct {
	Bootstrap string   `json:"bootstrap"` // of all brokers, separated by commas
	PIDs      []int    `json:"pids"`
	Logs      []string `json:"logs"`
}

type consul struct {
	Address string `json:"address"` // HTTP
	DNS     string `json:"dns"`
	PID     int    `json:"pid"`
	Log     string `json:"log"`
}

// options are the arguments.
type options struct {
	mariadb, consul bool
	brokers         int
	dir             string
	withParent      bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dir, "dir", "", "directory for the servers' data, which stay there (default: a new one, removed at the end)")
	flags.BoolVar(&o.withParent, "stop-with-parent", false, "stop when the process that started this one ends")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	for _, arg := range flags.Args() {
		switch arg {
		case "mariadb":
			o.mariadb = true
		case "kafka", "kafka=1":
			o.brokers = 1
		case "kafka=3":
			o.brokers = 3
		case "consul":
			o.consul = true
		default:
			return options{}, fmt.Errorf("there is no server %q: give mariadb, kafka, kafka=3 or consul", arg)
		}
	}
	if flags.NArg() == 0 {
		return options{}, errors.New("no server was named: give mariadb, kafka, kafka=3, consul, or several of them")
	}
	return o, nil
}

// server is one process to watch and to stop.
type server struct {
	name   string
	exited <-chan struct{}
}

// run starts what the arguments name, and stops it when ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.withParent {
		var cancel context.CancelFunc
		ctx, cancel = withParent(ctx)
		defer cancel()
	}
	below := func(name string) string {
		if o.dir == "" {
			return ""
		}
		return filepath.Join(o.dir, name)
	}
	var (
		m *servers.MariaDB
		k *servers.Kafka
		c *servers.Consul
	)
	starts, startCtx := errgroup.WithContext(ctx)
	if o.mariadb {
		starts.Go(func() (err error) {
			m, err = servers.StartMariaDB(startCtx, servers.MariaDBConfig{Dir: below("mariadb")})
			return err
		})
	}
	if o.brokers > 0 {
		starts.Go(func() (err error) {
			k, err = servers.StartKafka(startCtx, servers.KafkaConfig{Dir: below(fmt.Sprintf("kafka-%d", o.brokers)), Brokers: o.brokers})
			return err
		})
	}
	if o.consul {
		starts.Go(func() (err error) {
			c, err = servers.StartConsul(startCtx, servers.ConsulConfig{Dir: below("consul")})
			return err
		})
	}
	err = starts.Wait()
	if err == nil {
		err = json.NewEncoder(stdout).Encode(describe(m, k, c))
	}
	if err == nil {
		watch(ctx, stderr, m, k, c)
	}
	return errors.Join(err, stop(m, k, c))
}

func describe(m *servers.MariaDB, k *servers.Kafka, c *servers.Consul) addresses {
	var a addresses
	if m != nil {
		a.MariaDB = &mariadb{Address: m.Address(), URL: m.RootURL(), PID: m.PID(), Log: m.LogFile()}
	}
	if k != nil {
		a.Kafka = &kafka{Bootstrap: strings.Join(k.Bootstrap(), ",")}
		for _, b := range k.Brokers {
			a.Kafka.PIDs = append(a.Kafka.PIDs, b.PID())
			a.Kafka.Logs = append(a.Kafka.Logs, b.LogFile())
		}
	}
	if c != nil {
		a.Consul = &consul{Address: c.Address(), DNS: c.DNS(), PID: c.PID(), Log: c.LogFile()}
	}
	return a
}

// watch waits until ctx ends, and says so when a server ends before.
func watch(ctx context.Context, stderr io.Writer, m *servers.MariaDB, k *servers.Kafka, c *servers.Consul) {
	var all []server
	if m != nil {
		all = append(all, server{"MariaDB", m.Exited()})
	}
	if k != nil {
		for _, b := range k.Brokers {
			all = append(all, server{fmt.Sprintf("Kafka broker %d", b.NodeID), b.Exited()})
		}
	}
	if c != nil {
		all = append(all, server{"Consul", c.Exited()})
	}
	var watches errgroup.Group
	for _, s := range all {
		watches.Go(func() error {
			select {
			case <-s.exited:
				fmt.Fprintf(stderr, "up: %s ended; the others continue\n", s.name)
			case <-ctx.Done():
			}
			return nil
		})
	}
	<-ctx.Done()
	_ = watches.Wait() // they return no errors
}

// stop stops in good order what runs, all at once, and then frees what each had.
func stop(m *servers.MariaDB, k *servers.Kafka, c *servers.Consul) error {
	var stops errgroup.Group
	if m != nil {
		stops.Go(func() error {
			if m.Running() {
				return errors.Join(m.Stop(), m.Close())
			}
			return m.Close()
		})
	}
	if k != nil {
		stops.Go(func() error { return errors.Join(k.Stop(), k.Close()) })
	}
	if c != nil {
		stops.Go(func() error {
			if c.Running() {
				return errors.Join(c.Stop(), c.Close())
			}
			return c.Close()
		})
	}
	return stops.Wait()
}

// withParent returns a context that ends when this program's parent does.
func withParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for os.Getppid() == parent {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		cancel()
	}()
	return ctx, cancel
}
