package kafka

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// repeatAfter is how long a message that was logged is not logged again.
const repeatAfter = 30 * time.Second

// clientLog gives a client's log lines to slog. The library calls routine events
// such as "flushing" information; to us they are debug. And it tries a broker that
// is gone several times a second, saying so each time: the first line says it all,
// so the same message is then counted, and the count is in the next line.
type clientLog struct {
	logger *slog.Logger
	now    func() time.Time
	// trouble is kept here for [unreachable].
	trouble *lastTrouble

	mu sync.Mutex
	// said is by message. Messages are constants of the library, what varies is in
	// the attributes, so this does not grow.
	said map[string]*saying
}

// saying is a message that was logged.
type saying struct {
	last    time.Time
	skipped int // since then
}

var _ kgo.Logger = (*clientLog)(nil)

func newClientLog(logger *slog.Logger, now func() time.Time, trouble *lastTrouble) *clientLog {
	return &clientLog{logger: logger, now: now, trouble: trouble, said: make(map[string]*saying)}
}

// Level is asked by the library, to spare itself what nobody reads.
func (l *clientLog) Level() kgo.LogLevel {
	if l.logger.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelWarn
}

// Log is called by the library.
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
		skipped, ok := l.due(msg)
		if !ok {
			return
		}
		if skipped > 0 {
			keyvals = append(keyvals[:len(keyvals):len(keyvals)], "repeated", skipped)
		}
	}
	l.logger.Log(context.Background(), lv, "kafka: "+msg, keyvals...)
}

// due reports whether msg may be logged now, and how often it was not since it last was.
func (l *clientLog) due(msg string) (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	s := l.said[msg]
	if s == nil {
		l.said[msg] = &saying{last: now}
		return 0, true
	}
	if now.Sub(s.last) < repeatAfter {
		s.skipped++
		return 0, false
	}
	skipped, s.last, s.skipped = s.skipped, now, 0
	return skipped, true
}
