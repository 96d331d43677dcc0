package rating_test

import (
	"errors"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"movieexample.com/internal/guard"
	"movieexample.com/internal/sqldb/sqltest"
)

// A panic in a callback of the client library, in one of its goroutines, ends ingestion and not the process. Restarted, ingestion
// continues at the stored offset.
func TestPanicInACallback(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	s.makeTopic(t)
	s.publish(t, event("1", "u", 7, time.Now()))
	f := startIdle(t, sqltest.URL(t), s.cfg(), nil)
	var panicked atomic.Bool
	f.log.hook = func(line string) {
		if strings.Contains(line, "starting ingestion of a new partition") && strings.Contains(string(debug.Stack()), ".startOffsets") && panicked.CompareAndSwap(false, true) {
			panic("no such partition")
		}
	}
	err := f.svc.Run(t.Context())
	if !panicked.Load() || !errors.As(err, new(*guard.PanicError)) {
		t.Fatalf("Run: %v (panicked: %v), want the panic", err, panicked.Load())
	}
	f.run(t)
	eventually(t, "the event", func() bool { return f.value(t, "1", "u") == 7 })
	if n := f.gauge(t, "movieexample_background_panics_total"); n != 1 {
		t.Errorf("%v panics counted, want 1", n)
	}
	if log := f.log.String(); strings.Count(log, "panic in background work") != 1 || !strings.Contains(log, "no such partition") {
		t.Errorf("the log does not tell of one panic:\n%s", log)
	}
	f.checkAudit(t)
}
