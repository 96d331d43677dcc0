package telemetry_test

import (
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"movieexample.com/internal/config"
	"movieexample.com/internal/telemetry"
)

// clock replaces the time of a log line, the only part that differs from run to run.
var clock = regexp.MustCompile(`\d{4}-\d{2}-\d{2}T[0-9:.]+(Z|[+-]\d{2}:\d{2})`)

func TestLoggerFormats(t *testing.T) {
	for format, want := range map[string]string{
		"":     "time=NOW level=INFO msg=\"rating stored\" record=movie:1 took=1.5s user.id=7\n",
		"text": "time=NOW level=INFO msg=\"rating stored\" record=movie:1 took=1.5s user.id=7\n",
		"json": `{"time":"NOW","level":"INFO","msg":"rating stored","record":"movie:1","took":"1.5s","user":{"id":7}}` + "\n",
	} {
		var out strings.Builder
		logger, err := telemetry.NewLogger(&out, telemetry.LogConfig{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("rating stored", "record", "movie:1", "took", 1500*time.Millisecond, slog.Group("user", "id", 7))
		if got := clock.ReplaceAllString(out.String(), "NOW"); got != want {
			t.Errorf("format %q writes\n%swant\n%s", format, got, want)
		}
	}
}

func TestLoggerLevels(t *testing.T) {
	for level, want := range map[string]string{
		"debug": "debug info warn error", "": "info warn error", "info": "info warn error", "warn": "warn error", "error": "error",
	} {
		var out strings.Builder
		logger, err := telemetry.NewLogger(&out, telemetry.LogConfig{Level: level})
		if err != nil {
			t.Fatal(err)
		}
		logger.Debug("debug")
		logger.Info("info")
		logger.Warn("warn")
		logger.Error("error")
		var written []string
		for _, m := range regexp.MustCompile(`msg=(\w+)`).FindAllStringSubmatch(out.String(), -1) {
			written = append(written, m[1])
		}
		if got := strings.Join(written, " "); got != want {
			t.Errorf("level %q writes %q, want %q", level, got, want)
		}
	}
}

func TestLogConfigNamesWhatIsWrong(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*telemetry.LogConfig)
		want   string
	}{
		"nothing": {func(*telemetry.LogConfig) {}, ""},
		"empty":   {func(c *telemetry.LogConfig) { *c = telemetry.LogConfig{} }, ""},
		"format":  {func(c *telemetry.LogConfig) { c.Format = "xml" }, `format: "xml" given, want text or json`},
		"level":   {func(c *telemetry.LogConfig) { c.Level = "INFO" }, `level: "INFO" given, want debug, info, warn or error`},
		"both": {
			func(c *telemetry.LogConfig) { c.Format, c.Level = "xml", "info+2" },
			"format: \"xml\" given, want text or json\nlevel: \"info+2\" given, want debug, info, warn or error",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := telemetry.DefaultLogConfig()
			row.change(&c)
			err := c.Validate()
			if (err == nil) != (row.want == "") || (err != nil && err.Error() != row.want) {
				t.Errorf("got  %v\nwant %s", err, row.want)
			}
			var out strings.Builder
			logger, loggerErr := telemetry.NewLogger(&out, c)
			if (loggerErr == nil) != (err == nil) || (logger == nil) != (err != nil) {
				t.Errorf("NewLogger returns %v, %v", logger, loggerErr)
			}
			var p *config.Problem
			if loggerErr != nil && !errors.As(loggerErr, &p) {
				t.Errorf("%v holds no *config.Problem", loggerErr)
			}
		})
	}
}
