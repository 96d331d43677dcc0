package movie

import (
	"errors"
	"fmt"
	"time"

	"movieexample.com/internal/config"
)

// Config tunes the movie service. New takes a zero field for its default, so the zero value works.
type Config struct {
	// MetadataTTL is how long a film is used without asking whether it changed: above 0, at most a minute. After it, a film is
	// used as long as the metadata service says that nothing did. Writes through this service are seen at once whatever it
	// is; writes made to the metadata service directly are seen after it, or after a second if it is shorter. Pages of lists and
	// searches are used for a second without asking whatever it is.
	MetadataTTL time.Duration `yaml:"metadata_ttl" usage:"how long a film's metadata is used without asking whether it changed (at most 1m)"`
	// MetadataStaleFor is how long after it was read a film is kept for when the metadata service cannot be reached: above
	// 0, at most a week. Of the films only the last CacheSize are kept.
	MetadataStaleFor time.Duration `yaml:"metadata_stale_for" usage:"how long the last known metadata of a film is shown while the metadata service is down (at most 168h)"`
	// RatingTTL is how long a rating summary, or a page of a chart, is used after it was requested: above 0, at most one
	// second, because an acknowledged rating must show within two. The summaries of films that are read often are refreshed
	// after half of that.
	RatingTTL time.Duration `yaml:"rating_ttl" usage:"how long a film's rating summary is cached (at most 1s)"`
	// RatingStaleFor is how long the last known summary is kept for when the rating service cannot be
	// reached: above 0, at most a week.
	RatingStaleFor time.Duration `yaml:"rating_stale_for" usage:"how long the last known rating summary is shown while the rating service is down (at most 168h)"`
	// CacheSize bounds the cache of films.
	CacheSize int `yaml:"cache_size" usage:"films cached"`
	// StaleSize bounds the cache of rating summaries, in films.
	StaleSize int `yaml:"stale_size" usage:"rating summaries cached"`
	// MetadataTimeout bounds a call to the metadata service; a caller's earlier deadline wins.
	MetadataTimeout time.Duration `yaml:"metadata_timeout" usage:"longest wait for the metadata service (at most 1m)"`
	// RatingTimeout bounds a call for rating summaries: at most one second, so that a rating service which hangs
	// costs a viewer no more than that.
	RatingTimeout time.Duration `yaml:"rating_timeout" usage:"longest wait for rating summaries (at most 1s)"`
	// ChartTimeout bounds a call for a chart, which reads far more than a summary does.
	ChartTimeout time.Duration `yaml:"chart_timeout" usage:"longest wait for one chart window (at most 1m)"`
	// RatingRetryAfter is the pause before the rating service is called again after it could not be reached.
	RatingRetryAfter time.Duration `yaml:"rating_retry_after" usage:"pause before the rating service is asked again after it could not be reached (at most 1m)"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MetadataTTL:      500 * time.Millisecond,
		MetadataStaleFor: time.Hour,
		RatingTTL:        time.Second,
		RatingStaleFor:   time.Hour,
		CacheSize:        10_000,
		StaleSize:        50_000,
		MetadataTimeout:  2 * time.Second,
		RatingTimeout:    500 * time.Millisecond,
		ChartTimeout:     2 * time.Second,
		RatingRetryAfter: time.Second,
	}
}

// withDefaults fills the zero fields, before they are validated.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	for _, f := range []struct{ v, d *time.Duration }{
		{&c.MetadataTTL, &d.MetadataTTL},
		{&c.MetadataStaleFor, &d.MetadataStaleFor},
		{&c.RatingTTL, &d.RatingTTL},
		{&c.RatingStaleFor, &d.RatingStaleFor},
		{&c.MetadataTimeout, &d.MetadataTimeout},
		{&c.RatingTimeout, &d.RatingTimeout},
		{&c.ChartTimeout, &d.ChartTimeout},
		{&c.RatingRetryAfter, &d.RatingRetryAfter},
	} {
		if *f.v == 0 {
			*f.v = *f.d
		}
	}
	if c.CacheSize == 0 {
		c.CacheSize = d.CacheSize
	}
	if c.StaleSize == 0 {
		c.StaleSize = d.StaleSize
	}
	return c
}

// Validate reports every value out of its range as a *config.Problem that names the setting, joined. Zero is out of every
// range: an explicit zero does not mean the default.
func (c Config) Validate() error {
	var errs []error
	duration := func(path string, v, most time.Duration) {
		if v <= 0 || v > most {
			errs = append(errs, &config.Problem{Path: path, Reason: fmt.Sprintf("must be above 0 and at most %v, got %v", most, v)})
		}
	}
	size := func(path string, v int) {
		const most = 10_000_000
		if v < 1 || v > most {
			errs = append(errs, &config.Problem{Path: path, Reason: fmt.Sprintf("must be 1 to %d films, got %d", most, v)})
		}
	}
	duration("metadata_ttl", c.MetadataTTL, time.Minute)
	duration("metadata_stale_for", c.MetadataStaleFor, 7*24*time.Hour)
	duration("rating_ttl", c.RatingTTL, time.Second)
	duration("rating_stale_for", c.RatingStaleFor, 7*24*time.Hour)
	size("cache_size", c.CacheSize)
	size("stale_size", c.StaleSize)
	duration("metadata_timeout", c.MetadataTimeout, time.Minute)
	duration("rating_timeout", c.RatingTimeout, time.Second)
	duration("chart_timeout", c.ChartTimeout, time.Minute)
	duration("rating_retry_after", c.RatingRetryAfter, time.Minute)
	return errors.Join(errs...)
}
