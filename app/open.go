package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/connlimit"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/lockfile"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/telemetry"
	"movieexample.com/rating"
)

// lock makes this process the only owner of a data directory.
func (b *builder) lock(dir string) error {
	release, err := lockfile.Lock(dir)
	if errors.As(err, new(*fs.PathError)) {
		return fmt.Errorf("%w: choose a directory that this user may write with --data DIR", err)
	}
	if err != nil {
		return err
	}
	if err := b.tighten(dir); err != nil {
		return errors.Join(err, release())
	}
	b.onClose("lock of "+dir, func(context.Context) error { return release() })
	return nil
}

// tighten takes the rights of others from a directory inside the data directory, which an earlier release gave them. Directories that
// the user chose otherwise, and those of another user, stay as they are.
func (b *builder) tighten(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || filepath.Dir(dir) != b.dataDir || info.Mode()&0o077 == 0 {
		return nil
	}
	if !ours(info) {
		return nil
	}
	b.log.Info("removed other users' access to the data directory", "directory", dir)
	return os.Chmod(dir, info.Mode().Perm()&0o700)
}

// listen opens a listener; the address chosen is in Addresses.
func (b *builder) listen(ctx context.Context, name string) (net.Listener, error) {
	ln, err := b.cfg.Listen.of(name).listen(ctx)
	if err != nil {
		return nil, err
	}
	b.onClose(name+" listener", func(context.Context) error {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil // its server has closed it
	})
	addr := ln.Addr().String()
	switch name {
	case "gateway":
		b.addresses.Gateway = "http://" + addr
	case "admin":
		b.addresses.Admin = "http://" + addr
	case "metadata":
		b.addresses.Metadata = addr
	case "rating":
		b.addresses.Rating = addr
	case "movie":
		b.addresses.Movie = addr
	}
	limits := connlimit.Listener{Name: name, Max: maxConnections, MaxPerAddress: maxConnections / 2}
	if name == "admin" {
		limits = connlimit.Listener{Name: name, Max: maxOperators, MaxPerAddress: maxOperators, Reserved: true}
	}
	return b.limiter.Listen(ln, limits), nil
}

// listen opens the listener; an error names the flag that changes the address.
func (l listener) listen(ctx context.Context) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address %s for %s is taken by another program: stop that one, or choose another address with %s host:port (port 0 picks a free one)",
			l.addr, l.name, l.flag())
	}
	if err != nil {
		return nil, fmt.Errorf("listen for %s (another address: %s host:port): %w", l.name, l.flag(), err)
	}
	return ln, nil
}

// broker starts the embedded Kafka broker and returns its address.
func (b *builder) broker(ctx context.Context) (string, error) {
	l := b.cfg.Listen.of("kafka")
	dir := filepath.Join(b.dataDir, "broker")
	if err := b.tighten(dir); err != nil {
		return "", err
	}
	broker, err := kafka.StartBrokerProcess(ctx, kafka.BrokerProcessConfig{
		Broker: kafka.BrokerConfig{
			Addr: l.addr, Advertise: b.cfg.KafkaAdvertise, Dir: dir, Logger: b.log.With("component", "broker"),
		},
		Open:    l.listen, // an error then says by which flag the address changes
		Metrics: b.metrics,
	})
	if err != nil {
		return "", err
	}
	b.onClose("Kafka broker", func(context.Context) error { return broker.Close() })
	b.addresses.Kafka = broker.Addr()
	b.beforeReady("topic of rating events", func(ctx context.Context) error {
		return b.awaitTopic(ctx, broker.ListenAddr())
	})
	return broker.Addr(), nil
}

// awaitTopic waits until ingestion has created the topic of rating events: a client that publishes as soon as the process is
// ready must not fail for want of a topic. It is only for the embedded broker, which is always up; an external one may be
// down for hours, and the process serves without it.
func (b *builder) awaitTopic(ctx context.Context, broker string) error {
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{broker}})
	if err != nil {
		return err
	}
	defer cl.Close()
	const interval = 5 * time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if _, err = kafka.DescribeTopic(ctx, cl, cmp.Or(b.cfg.Rating.Topic, rating.DefaultConfig().Topic)); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// serveGRPC puts a service on its port and on the connection for this process.
func (b *builder) serveGRPC(ctx context.Context, name string, svc registrar) error {
	srv, err := rpc.NewServer(rpc.ServerConfig{
		Name: name, Version: b.version, Database: b.identities[name], Logger: b.log.With("component", name), Metrics: b.metrics,
		MaxRequestBytes: maxRequest, LargeRequests: largeRequests(name),
	})
	if err != nil {
		return err
	}
	b.onDrain(name, srv.Shutdown)
	svc.Register(srv)
	ln, err := b.listen(ctx, name)
	if err != nil {
		return err
	}
	b.local[name] = srv
	b.servers = append(b.servers, srv)
	b.advertise(name, ln.Addr().String())
	b.serve(name, func() error { return srv.Serve(ln) })
	return nil
}

func (b *builder) admin(ctx context.Context, registry *prometheus.Registry) error {
	ln, err := b.listen(ctx, "admin")
	if err != nil {
		return err
	}
	admin := telemetry.NewAdmin(telemetry.AdminDeps{
		Logger: b.log.With("component", "admin"), Gatherer: registry, Ready: b.ready.Ready,
		Listen: b.cfg.Listen.Admin, AllowedHosts: b.cfg.AdminAllowedHosts,
	})
	// The admin listener serves at once, before the others, so that an operator can see what the start waits for.
	served := make(chan error, 1)
	go func() { served <- admin.Serve(ln) }()
	b.ready.Add("start", b.started)
	b.serve("admin", func() error { return <-served })
	// Closed, not drained: an operator can watch the whole stop.
	b.onClose("admin", admin.Shutdown)
	return nil
}

// maxConnections is the number of connections that a listener takes at a time, half of them from one address: a gateway may
// have a single proxy in front of it, a service has one connection from each process that calls it.
const maxConnections = 1024

// maxOperators is the same for the admin listener. They are beside what all others have.
const maxOperators = 32

// maxRequest is the size of the greatest request in bytes, but for largeRequests: a film with every text as long as it may be,
// in characters of four bytes, has some 300,000.
const maxRequest = 512 << 10
