package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/guard"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/telemetry"
)

// bareApp is an App without services, for what only a fault of a service would show.
func bareApp(timeout time.Duration) *App {
	return &App{log: slog.New(slog.DiscardHandler), timeout: timeout, readiness: &telemetry.Readiness{}, ready: make(chan struct{})}
}

// TestRunOrder: drains first, last one first; then jobs end; then everything is closed, last one first.
func TestRunOrder(t *testing.T) {
	a := bareApp(time.Minute)
	var order []string
	note := func(name string) stop {
		return stop{name, func(context.Context) error {
			order = append(order, name)
			return nil
		}}
	}
	a.closes = []stop{note("close lock"), note("close database"), note("close broker")}
	a.drains = []stop{note("drain metadata"), note("drain rating"), note("drain gateway")}
	a.jobs = []job{{"ingestion", func(ctx context.Context) error {
		<-ctx.Done()
		order = append(order, "end ingestion")
		return nil
	}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"drain gateway", "drain rating", "drain metadata", "end ingestion", "close broker", "close database", "close lock",
	}
	if !slices.Equal(order, want) {
		t.Errorf("stopped in the order %v, want %v", order, want)
	}
}

// TestRunStopsWhenSomethingFails: an error in a job that should never end stops the process in order.
func TestRunStopsWhenSomethingFails(t *testing.T) {
	a := bareApp(time.Minute)
	broken := errors.New("disk is full")
	closed := false
	a.jobs = []job{
		{"rating ingestion", func(context.Context) error { return broken }},
		{"other", func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("last batch is lost")
		}},
	}
	a.closes = []stop{{"database", func(context.Context) error { closed = true; return errors.New("checkpoint") }}}
	err := a.Run(t.Context())
	if !errors.Is(err, broken) || !closed {
		t.Errorf("returned %v, closed %v", err, closed)
	}
	if got, want := fmt.Sprint(err), "rating ingestion: disk is full\nstop database: checkpoint\nother: last batch is lost"; got != want {
		t.Errorf("returned\n%s\nwant\n%s", got, want)
	}
}

// TestRunDoesNotHang: a job that does not end is named, and what is left is closed anyway.
func TestRunDoesNotHang(t *testing.T) {
	a := bareApp(20 * time.Millisecond)
	release := make(chan struct{})
	defer close(release)
	closed := false
	a.jobs = []job{{"rating ingestion", func(context.Context) error { <-release; return nil }}}
	a.closes = []stop{{"database", func(context.Context) error { closed = true; return nil }}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := a.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "rating ingestion: timed out") || !closed {
		t.Errorf("returned %v, closed %v", err, closed)
	}
}

// TestIdempotentMethods: every method that reads is repeated when its server was unavailable, and of those that write only one.
func TestIdempotentMethods(t *testing.T) {
	for callee, file := range map[string]protoreflect.FileDescriptor{
		"metadata": metadatav1.File_movieexample_metadata_v1_metadata_proto,
		"rating":   ratingv1.File_movieexample_rating_v1_rating_proto,
		"movie":    moviev1.File_movieexample_movie_v1_movie_proto,
	} {
		repeated, err := rpc.IdempotentMethods(serviceName(callee))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				writes := slices.ContainsFunc([]string{"Put", "Delete", "BatchPut", "Create", "Update", "Sync"}, func(verb string) bool {
					return strings.HasPrefix(string(m.Name()), verb)
				})
				if !writes || m.Name() == "BatchPutMovies" {
					want[fmt.Sprintf("/%s/%s", service.FullName(), m.Name())] = true
				}
			}
		}
		for _, m := range repeated {
			if !want[m] {
				t.Errorf("%s is repeated, but is no read of %s", m, callee)
			}
			delete(want, m)
		}
		for m := range want {
			t.Errorf("%s reads, but is not repeated when it could not be sent", m)
		}
	}
	if _, err := rpc.IdempotentMethods("movieexample.movie.v1.NoService"); err == nil {
		t.Error("a service without a descriptor has idempotent methods")
	}
}

// TestAPanicDoesNotEndTheProcess: background work of a service that panics is started again, and readiness says so; a server's
// panic ends the process in order.
func TestAPanicDoesNotEndTheProcess(t *testing.T) {
	g, err := guard.New(guard.Config{Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{App: bareApp(time.Minute)}
	b.guard = g
	starts, again := 0, make(chan struct{})
	b.background("rating ingestion", func(ctx context.Context) error {
		if starts++; starts < 3 {
			panic("no such partition")
		}
		close(again)
		<-ctx.Done()
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	<-again
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}

	b = &builder{App: bareApp(time.Minute)}
	b.guard = g
	closed := false
	b.onClose("database", func(context.Context) error { closed = true; return nil })
	b.serve("gateway", func() error { panic("nil handler") })
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "gateway: ") || !closed {
		t.Errorf("Run after a server's panic: %v, closed %v", err, closed)
	}
}
