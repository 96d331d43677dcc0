package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// This test is inside the package for the clock: no user of a client has another one.

func TestClientLogDoesNotRepeatItself(t *testing.T) {
	var buf bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	now := time.Unix(0, 0)
	log := newClientLog(logger, func() time.Time { return now }, nil)
	refused := errors.New("connection refused")
	expect := func(when, want string) {
		t.Helper()
		if got := buf.String(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", when, got, want)
		}
		buf.Reset()
	}

	for i := range 10 {
		log.Log(kgo.LogLevelWarn, "no connection", "addr", fmt.Sprint(i), "err", refused)
	}
	expect("one after the other", "level=WARN msg=\"kafka: no connection\" addr=0 err=\"connection refused\"\n")
	log.Log(kgo.LogLevelError, "join failed")
	expect("another message", "level=ERROR msg=\"kafka: join failed\"\n")
	now = now.Add(29 * time.Second)
	log.Log(kgo.LogLevelWarn, "no connection")
	expect("too early", "")
	now = now.Add(time.Second)
	log.Log(kgo.LogLevelWarn, "no connection", "err", refused)
	expect("half a minute after the first", "level=WARN msg=\"kafka: no connection\" err=\"connection refused\" repeated=10\n")
	now = now.Add(30 * time.Second)
	log.Log(kgo.LogLevelWarn, "no connection")
	expect("and again", "level=WARN msg=\"kafka: no connection\"\n")
	for range 2 {
		log.Log(kgo.LogLevelInfo, "flushing")
		log.Log(kgo.LogLevelWarn, "no connection", "err", fmt.Errorf("dial: %w", context.Canceled))
	}
	const twice = "level=DEBUG msg=\"kafka: flushing\"\nlevel=DEBUG msg=\"kafka: no connection\" err=\"dial: context canceled\"\n"
	expect("for debugging everything", twice+twice)
}
