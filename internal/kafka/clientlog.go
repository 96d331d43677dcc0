package kafka

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/telemetry"
)

// clientLog gives a client's log lines to slog. The library calls routine events
// such as "flushing" information; here they are debug. It also retries an unreachable
// broker several times a second, and logs each attempt: repeated messages are counted
// instead, and the count is in the next line.
type clientLog struct {
	logger *slog.Logger
	// hint says what to do about an error of the client. It is kept here because the library returns our logger, but no hook.
	hint      func(error) string
	now       func() time.Time
	throttles telemetry.Throttles // by message
}

var _ kgo.Logger = (*clientLog)(nil)

func newClientLog(logger *slog.Logger, now func() time.Time, hint func(error) string) *clientLog {
	return &clientLog{logger: logger, hint: hint, now: now}
}

// Level tells the library which lines to skip.
func (l *clientLog) Level() kgo.LogLevel {
	if l.logger.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelWarn
}

// Log implements kgo.Logger.
func (l *clientLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	lv := slog.LevelDebug
	switch level {
	case kgo.LogLevelError:
		lv = slog.LevelError
	case kgo.LogLevelWarn:
		lv = slog.LevelWarn
	}
	// Closing a client cancels its requests, which the library reports as failed.
	for _, v := range keyvals {
		if err, ok := v.(error); ok && (errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed)) {
			lv = slog.LevelDebug
		}
	}
	if lv > slog.LevelDebug {
		skipped, ok := l.throttles.TakeRepeated(msg, l.now())
		if !ok {
			return
		}
		if skipped > 0 {
			keyvals = append(keyvals[:len(keyvals):len(keyvals)], "repeated", skipped)
		}
	}
	l.logger.Log(context.Background(), lv, "kafka: "+msg, keyvals...)
}
