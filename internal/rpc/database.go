package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/fault"
)

// This file sees to it that callers talk to the instances of one database (ADR 019). A server says in the trailer of each unary
// answer which database it works on. A connection holds on to the first that it hears of and says so in each call; a server on
// another one refuses the call before any handler sees it, and the caller tries the next instance.

// databaseKey is the metadata key of a database's identity: in a request the one that the caller wants, in a trailer the server's.
const databaseKey = "movieexample-database"

const (
	// holdDatabase is how long a connection holds on to a database that no instance answers for any more.
	holdDatabase = 10 * time.Second
	// databaseTries is how many instances a call is offered to.
	databaseTries = 4
)

// otherDatabase is the refusal of a caller that wants another database than the server's, or nil.
func (s *Server) otherDatabase(ctx context.Context) error {
	if s.cfg.Database == "" {
		return nil
	}
	if wanted := metadata.ValueFromIncomingContext(ctx, databaseKey); len(wanted) > 0 && wanted[0] != s.cfg.Database {
		return status.Errorf(codes.FailedPrecondition, "this instance of %s works on database %s, and the caller wants %s", s.cfg.Name, s.cfg.Database, wanted[0])
	}
	return nil
}

// held is the database that a connection holds on to. It is safe for concurrent use.
type held struct {
	log *slog.Logger
	now func() time.Time

	mu       sync.Mutex
	database string
	heardAt  time.Time // of it
}

// announce puts the database into the metadata of a call.
func (h *held) announce(ctx context.Context) (_ context.Context, wanted string) {
	h.mu.Lock()
	wanted = h.database
	h.mu.Unlock()
	if wanted == "" {
		return ctx, ""
	}
	return metadata.AppendToOutgoingContext(ctx, databaseKey, wanted), wanted
}

// hear takes note of the database that answered; "" for a server without one. It reports whether that is another one than the
// connection holds on to. When no instance of that one has answered for a while it goes over to the other.
func (h *held) hear(service, database string) (other bool) {
	if database == "" {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	switch {
	case h.database == "":
	case h.database == database:
	case now.Sub(h.heardAt) < holdDatabase:
		return true
	default:
		h.log.Warn("all reachable instances of a service work on another database now; switching to it", "service", service, "database", database, "was", h.database)
		h.database, h.heardAt = database, now
		return true // this call wanted the former one
	}
	h.database, h.heardAt = database, now
	return false
}

// run makes a call until an instance of the connection's database has answered it. call makes one attempt and returns the trailer.
func (h *held) run(ctx context.Context, name, target string, call func(context.Context) (metadata.MD, error)) error {
	for try := 1; ; try++ {
		sent, wanted := h.announce(ctx)
		trailer, err := call(sent)
		answered := ""
		if from := trailer[databaseKey]; len(from) > 0 {
			answered = from[0]
		}
		if !h.hear(name, answered) {
			return err
		}
		// Refused before a handler saw it; or, before this connection knew its database, answered by two at once.
		refused := wanted != "" && status.Code(err) == codes.FailedPrecondition
		if !refused || try == databaseTries || ctx.Err() != nil {
			return fault.Unavailable(fmt.Errorf("an instance at %s works on database %s, others on %s", target, answered, wanted),
				"instances of the %s service work on different databases: the operator must stop those on the wrong one", name)
		}
	}
}

// DatabaseOf asks the server at addr which database it works on; "" for one that works on none, or does not say.
func DatabaseOf(ctx context.Context, addr string) (string, error) {
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return "", fmt.Errorf("dial %s: %w", addr, err)
	}
	defer cc.Close()
	var trailer metadata.MD
	// Every server has the health service. The status that it reports does not matter.
	_, err = healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Trailer(&trailer), grpc.WaitForReady(false))
	if from := trailer[databaseKey]; len(from) > 0 {
		return from[0], nil
	}
	if err != nil {
		return "", fmt.Errorf("ask %s for its database: %w", addr, err)
	}
	return "", nil
}
