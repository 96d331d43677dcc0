package guard_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func panics(t *testing.T, reg *prometheus.Registry, job string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "movieexample_background_panics_total" && m.GetLabel()[0].GetValue() == job {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no movieexample_background_panics_total of %s", job)
	return 0
}

// TestAJobThatPanicsIsStartedAgain: the process continues, the log has the stack, the metric counts, readiness names the job
// until it runs well, and its own end is still its own.
func TestAJobThatPanicsIsStartedAgain(t *testing.T) {
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	g, err := guard.New(guard.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Metrics: reg, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk is full")
	starts := 0
	var degraded error
	err = g.Run(t.Context(), "ingestion", func(context.Context) error {
		switch starts++; starts {
		case 1:
			var nothing []int
			nothing[starts] = 1
		case 2: // in a part of it, in another goroutine
			degraded = g.Check(t.Context())
			failed := make(chan error)
			go func() { failed <- g.Do("ingestion", func() error { panic("second") }) }()
			return <-failed
		case 3:
			panic(broken)
		}
		return broken
	})
	if !errors.Is(err, broken) || errors.As(err, new(*guard.PanicError)) || starts != 4 {
		t.Errorf("Run returned %v after %d starts, want the job's own error after 4", err, starts)
	}
	if n := panics(t, reg, "ingestion"); n != 3 {
		t.Errorf("%v panics are counted, want 3", n)
	}
	for _, want := range []string{"index out of range", "second", "disk is full", "guard_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, &log)
		}
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 3 {
		t.Errorf("%d lines for 3 panics", n)
	}
	if degraded == nil || !strings.Contains(degraded.Error(), "ingestion panicked") {
		t.Errorf("readiness said %v after a panic", degraded)
	}
	if err := g.Check(t.Context()); err != nil {
		t.Errorf("readiness says %v although the job has returned", err)
	}
}

// TestAPauseEndsWithTheContext: a job that is about to be started again does not hold up a stop.
func TestAPauseEndsWithTheContext(t *testing.T) {
	g, err := guard.New(guard.Config{Pause: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	entered := make(chan struct{})
	go func() { ended <- g.Run(ctx, "job", func(context.Context) error { close(entered); panic("x") }) }()
	<-entered
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Run returned %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run does not end with its context")
	}
}

// TestTwoGuardsShareARegistry: each service may have its own.
func TestTwoGuardsShareARegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, job := range []string{"a", "b"} {
		g, err := guard.New(guard.Config{Metrics: reg})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Do(job, func() error { panic("x") }); err == nil {
			t.Error("no error")
		}
		if n := panics(t, reg, job); n != 1 {
			t.Errorf("%v panics of %s", n, job)
		}
	}
}

// TestCatch: who waits for work that panicked gets an internal error that says nothing of it to a user.
func TestCatch(t *testing.T) {
	v, err := guard.Catch("make a board", func() (int, error) { panic("secret") })
	if v != 0 || fault.KindOf(err) != fault.KindInternal || !strings.Contains(err.Error(), "make a board") || !strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, %v", v, err)
	}
	if text := fault.Status(err).Message(); strings.Contains(text, "secret") {
		t.Errorf("a user sees %q", text)
	}
	if v, err := guard.Catch("x", func() (int, error) { return 1, nil }); v != 1 || err != nil {
		t.Errorf("got %v, %v", v, err)
	}
}
