package gateway

import (
	"errors"
	"fmt"
	"time"

	"movieexample.com/internal/config"
)

// MaxBody is the greatest request body, in bytes. It is part of the API's contract and not a setting.
const MaxBody = 64 << 10

// Config tunes the gateway. New takes a zero field for its default, so the zero value works.
type Config struct {
	// RequestTimeout bounds the calls a request makes: above 0, at most a minute.
	RequestTimeout time.Duration `yaml:"request_timeout" usage:"longest time a request may take (at most 1m)"`
	// ReadTimeout bounds reading a request, header and body: above 0, at most a minute.
	ReadTimeout time.Duration `yaml:"read_timeout" usage:"longest time for a client to send its request (at most 1m)"`
	// IdleTimeout is how long a connection without requests is kept: above 0, at most an hour.
	IdleTimeout time.Duration `yaml:"idle_timeout" usage:"how long an idle connection is kept (at most 1h)"`
	// CORSOrigins are the origins whose pages may use the API from a browser, such as https://app.example, or "*" alone for all;
	// none by default. Every origin is scheme, host, and the port where it is not the scheme's own.
	CORSOrigins []string `yaml:"cors_origins" usage:"origins of other sites whose pages may use the API, such as https://app.example; * for all"`
	// PublicURL is the address that the world reaches the gateway by, such as https://films.example: an absolute http or https
	// address without a path. Canonical links and the sitemap begin with it; where it is empty, with the request's Host.
	PublicURL string `yaml:"public_url" usage:"address the world reaches the gateway by, such as https://films.example; empty takes it from each request"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{RequestTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
}

// withDefaults fills the zero fields, before they are validated.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.RequestTimeout == 0 {
		c.RequestTimeout = d.RequestTimeout
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = d.ReadTimeout
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = d.IdleTimeout
	}
	return c
}

// Validate reports every value out of its range as a *config.Problem that names the setting, joined. Zero is out of every
// range: whoever wrote it did not ask for the default.
func (c Config) Validate() error {
	var errs []error
	check := func(path string, v, most time.Duration) {
		if v <= 0 || v > most {
			errs = append(errs, &config.Problem{Path: path, Reason: fmt.Sprintf("must be above 0 and at most %v, got %v", most, v)})
		}
	}
	check("request_timeout", c.RequestTimeout, time.Minute)
	check("read_timeout", c.ReadTimeout, time.Minute)
	check("idle_timeout", c.IdleTimeout, time.Hour)
	for path, reason := range map[string]string{"cors_origins": wrongOrigins(c.CORSOrigins), "public_url": wrongPublicURL(c.PublicURL)} {
		if reason != "" {
			errs = append(errs, &config.Problem{Path: path, Reason: reason})
		}
	}
	return errors.Join(errs...)
}
