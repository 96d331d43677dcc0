package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"movieexample.com/gateway"
	"movieexample.com/internal/sqldb"
	"movieexample.com/metadata"
	"movieexample.com/movie"
	"movieexample.com/rating"
)

// serviceTable is the system: which service there is, what it calls, how it is built. The import law (imports_test.go)
// and the order of start and stop derive from it.
func serviceTable() []service {
	return []service{
		{name: "metadata", schema: metadata.Schema, audit: metadata.Audit, build: buildMetadata},
		{name: "rating", schema: rating.Schema, audit: auditRating, build: buildRating},
		{name: "movie", calls: []string{"metadata", "rating"}, awaits: []string{"metadata"}, build: buildMovie},
		{name: "gateway", calls: []string{"movie", "rating"}, requires: []string{"movie"}, build: buildGateway},
	}
}

// ServiceNames lists the services in the order of the table.
func ServiceNames() []string {
	var names []string
	for _, s := range serviceTable() {
		names = append(names, s.name)
	}
	return names
}

// selectServices returns the rows of the named services, or all rows if names is empty.
func selectServices(names []string) ([]service, error) {
	table := serviceTable()
	if len(names) == 0 {
		return table, nil
	}
	for _, n := range names {
		if !slices.ContainsFunc(table, func(s service) bool { return s.name == n }) {
			return nil, fmt.Errorf("there is no service %q; the services are %s", n, strings.Join(ServiceNames(), ", "))
		}
	}
	return slices.DeleteFunc(table, func(s service) bool { return !slices.Contains(names, s.name) }), nil
}

func buildMetadata(ctx context.Context, b *builder) error {
	db, err := b.database(ctx, "metadata", metadata.Schema())
	if err != nil {
		return err
	}
	svc, err := metadata.New(ctx, b.cfg.Metadata, metadata.Deps{
		Logger: b.log.With("component", "metadata"), Metrics: b.metrics, DB: db,
		Changed: func(id string) {
			if m := b.movie.Load(); m != nil {
				m.MovieChanged(id)
			}
		},
	})
	if err != nil {
		return err
	}
	b.background("metadata search index", svc.Run)
	b.ready.Add("metadata-search", svc.SearchReady)
	return b.serveGRPC(ctx, "metadata", svc)
}

func buildRating(ctx context.Context, b *builder) error {
	db, err := b.database(ctx, "rating", rating.Schema())
	if err != nil {
		return err
	}
	cfg := b.cfg.Rating
	cfg.Kafka.Reread = b.reread("rating.kafka.password")
	if b.cfg.embeddedBroker() {
		addr, err := b.broker(ctx)
		if err != nil {
			return err
		}
		cfg.Brokers = []string{addr}
	}
	svc, err := rating.New(ctx, cfg, rating.Deps{
		Logger: b.log.With("component", "rating"), Metrics: b.metrics, DB: db,
		Changed: func(r rating.Record) {
			if m := b.movie.Load(); m != nil && r.Type == movie.RecordType {
				m.RatingChanged(r.ID)
			}
		},
	})
	if err != nil {
		return err
	}
	b.onClose("rating service", func(context.Context) error { return svc.Close() })
	b.background("rating ingestion", svc.Run)
	b.ready.Add("rating-group", svc.GroupReady)
	return b.serveGRPC(ctx, "rating", svc)
}

func buildMovie(ctx context.Context, b *builder) error {
	svc, err := movie.New(ctx, b.cfg.Movie, movie.Deps{
		Logger:   b.log.With("component", "movie"),
		Metrics:  b.metrics,
		Metadata: b.conns["metadata"],
		Rating:   b.conns["rating"],
	})
	if err != nil {
		return err
	}
	b.movie.Store(svc)
	b.onClose("movie service", func(context.Context) error { return svc.Close() })
	b.background("movie votes sync", svc.Run)
	return b.serveGRPC(ctx, "movie", svc)
}

func buildGateway(ctx context.Context, b *builder) error {
	ln, err := b.listen(ctx, "gateway")
	if err != nil {
		return err
	}
	svc, err := gateway.New(ctx, b.cfg.Gateway, gateway.Deps{
		Logger:    b.log.With("component", "gateway"),
		Metrics:   b.metrics,
		Movie:     b.conns["movie"],
		Rating:    b.conns["rating"],
		Endpoints: b.endpoints(),
	})
	if err != nil {
		return err
	}
	b.serve("gateway", func() error { return svc.Serve(ln) })
	b.onLeave("gateway", func(context.Context) error { svc.Leave(); return nil })
	b.onDrain("gateway", svc.Shutdown)
	return nil
}

// endpoints are the addresses, of what was built so far, that the gateway's front page names.
func (b *builder) endpoints() []gateway.Endpoint {
	var list []gateway.Endpoint
	for _, e := range []gateway.Endpoint{
		{Name: "metadata (gRPC)", Addr: b.addresses.Metadata},
		{Name: "rating (gRPC)", Addr: b.addresses.Rating},
		{Name: "movie (gRPC)", Addr: b.addresses.Movie},
		{Name: "rating events (Kafka, topic " + b.cfg.Rating.Topic + ")", Addr: b.addresses.Kafka},
	} {
		if e.Addr != "" {
			list = append(list, e)
		}
	}
	return list
}

func auditRating(ctx context.Context, db *sqldb.DB, differ func(string)) (int64, error) {
	return rating.Audit(ctx, db, func(r rating.Record, field string, stored, recomputed int64) {
		differ(fmt.Sprintf("%s %s: %s is %d, but its ratings give %d", r.Type, r.ID, field, stored, recomputed))
	})
}
