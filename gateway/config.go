package gateway

import (
	"errors"
	"fmt"
	"time"

	"movieexample.com/gateway/internal/edge"
	"movieexample.com/gateway/internal/transcode"
	"movieexample.com/internal/config"
)

// MaxBody is the size of the largest request body, in bytes. It is part of the API's contract and not a setting.
const MaxBody = transcode.MaxBody

// Config tunes the gateway. New replaces zero fields other than AnswerCacheBytes by their defaults, so the zero value works.
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
	// PublicURL is the public address of the gateway, such as https://films.example: an absolute http or https address without a path.
	// Canonical links and the sitemap begin with it; if it is empty, with the request's Host.
	PublicURL string `yaml:"public_url" usage:"public address of the gateway, such as https://films.example; empty takes it from each request"`
	// AllowedHosts are names without a port, beside that in PublicURL, by which a gateway on loopback is reached. It takes no writes
	// for other names, because a web page could reach it by its own; see doc.go.
	AllowedHosts []string `yaml:"allowed_hosts" usage:"other names of this machine, such as films.lan; on loopback writes for unknown names are refused"`
	// AnswerCacheBytes bounds the response cache: 0, also where it is not set, turns it off; else 1 MiB to 64 GiB.
	AnswerCacheBytes int `yaml:"answer_cache_bytes" usage:"size of the response cache in bytes (0 turns it off)"`
	// AnswerTTL is how long a cached response is served: above 0, at most a second, because an acknowledged rating must show within
	// two. A write through this gateway is visible at once in any case.
	AnswerTTL time.Duration `yaml:"answer_ttl" usage:"how long a cached response is served (at most 1s)"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		RequestTimeout:   5 * time.Second,
		ReadTimeout:      10 * time.Second,
		IdleTimeout:      2 * time.Minute,
		AnswerCacheBytes: 64 << 20,
		AnswerTTL:        500 * time.Millisecond,
	}
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
	if c.AnswerTTL == 0 {
		c.AnswerTTL = d.AnswerTTL
	}
	return c
}

// Validate reports every value out of its range as a *config.Problem that names the setting, joined. Zero is out of every
// range but that of AnswerCacheBytes: a zero that was written is not the default.
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
	check("answer_ttl", c.AnswerTTL, time.Second)
	if n := c.AnswerCacheBytes; n != 0 && (n < 1<<20 || n > 64<<30) {
		errs = append(errs, &config.Problem{Path: "answer_cache_bytes", Reason: fmt.Sprintf("must be 0, which turns the cache off, or %d (1 MiB) to %d (64 GiB) bytes, got %d", 1<<20, 64<<30, n)})
	}
	for path, reason := range map[string]string{"cors_origins": edge.WrongOrigins(c.CORSOrigins), "public_url": edge.WrongPublicURL(c.PublicURL), "allowed_hosts": edge.WrongHosts(c.AllowedHosts)} {
		if reason != "" {
			errs = append(errs, &config.Problem{Path: path, Reason: reason})
		}
	}
	return errors.Join(errs...)
}
