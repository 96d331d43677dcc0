package telemetry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"movieexample.com/internal/config"
)

// LogConfig configures the log. The zero value is DefaultLogConfig.
type LogConfig struct {
	Format string `yaml:"format" usage:"form of log lines: text or json" placeholder:"text|json"`
	Level  string `yaml:"level" usage:"least important log lines to write: debug, info, warn or error" placeholder:"level"`
}

// DefaultLogConfig returns the default: text, from level info up.
func DefaultLogConfig() LogConfig { return LogConfig{Format: "text", Level: "info"} }

// Validate names each field that is not understood, as *config.Problem, and what is allowed. Empty fields mean the default.
func (c LogConfig) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.Format != "text" && c.Format != "json" {
		errs = append(errs, &config.Problem{Path: "format", Reason: fmt.Sprintf("%q given, want text or json", c.Format)})
	}
	if _, ok := c.level(); !ok {
		errs = append(errs, &config.Problem{Path: "level", Reason: fmt.Sprintf("%q given, want debug, info, warn or error", c.Level)})
	}
	return errors.Join(errs...)
}

func (c LogConfig) withDefaults() LogConfig {
	d := DefaultLogConfig()
	if c.Format == "" {
		c.Format = d.Format
	}
	if c.Level == "" {
		c.Level = d.Level
	}
	return c
}

// level knows four words on purpose: slog would also accept "info+2", which readers of a log do not expect.
func (c LogConfig) level() (slog.Level, bool) {
	switch c.Level {
	case "debug":
		return slog.LevelDebug, true
	case "info":
		return slog.LevelInfo, true
	case "warn":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	}
	return 0, false
}

// NewLogger writes one line per record to w, as key=value text or as JSON, never coloured, so that NO_COLOR, pipes and
// files need no special case. The error is that of Validate.
func NewLogger(w io.Writer, c LogConfig) (*slog.Logger, error) {
	c = c.withDefaults()
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("set up logging: %w", err)
	}
	level, _ := c.level()
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: readableDuration}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}

// readableDuration makes durations look the same in both formats: as JSON numbers they would be nanoseconds without a unit.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
