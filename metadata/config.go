package metadata

import (
	"fmt"
	"time"

	"movieexample.com/internal/config"
)

// Config tunes the service. For [New] a zero field means its default, see [DefaultConfig].
type Config struct {
	// SearchRefresh is how often the search index looks for changes by other processes:
	// 50 ms to 2 s. Writes of this process are found at once.
	SearchRefresh time.Duration `yaml:"search_refresh" usage:"how often the search index looks for changes by other processes (50ms to 2s)"`
}

// DefaultConfig returns the default settings.
func DefaultConfig() Config { return Config{SearchRefresh: 500 * time.Millisecond} }

// withDefaults fills the zero fields, before they are validated.
func (c Config) withDefaults() Config {
	if c.SearchRefresh == 0 {
		c.SearchRefresh = DefaultConfig().SearchRefresh
	}
	return c
}

// Validate reports every value out of its range as a *config.Problem that names the setting. Zero is
// out of range: an explicit zero does not mean the default.
func (c Config) Validate() error {
	if c.SearchRefresh < 50*time.Millisecond || c.SearchRefresh > 2*time.Second {
		return &config.Problem{Path: "search_refresh", Reason: fmt.Sprintf("must be from 50ms to 2s, got %s", c.SearchRefresh)}
	}
	return nil
}
