package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// Addresses holds the addresses of a running process, in the format of `serve --addresses FILE`. The address of a service
// that the process does not run is empty.
type Addresses struct {
	Gateway  string `json:"gateway,omitempty"`  // URL
	Metadata string `json:"metadata,omitempty"` // gRPC, host:port
	Rating   string `json:"rating,omitempty"`   // gRPC, host:port
	Movie    string `json:"movie,omitempty"`    // gRPC, host:port
	Kafka    string `json:"kafka,omitempty"`    // embedded broker, host:port
	Admin    string `json:"admin,omitempty"`    // URL
	Data     string `json:"data,omitempty"`     // directory
	PID      int    `json:"pid"`
}

// attrs returns the addresses of the process as log attributes.
func (a Addresses) attrs() []slog.Attr {
	var attrs []slog.Attr
	for _, row := range []struct{ name, where string }{
		{"gateway", a.Gateway},
		{"metadata", a.Metadata},
		{"rating", a.Rating},
		{"movie", a.Movie},
		{"kafka", a.Kafka},
		{"admin", a.Admin},
		{"data", a.Data},
	} {
		if row.where != "" {
			attrs = append(attrs, slog.String(row.name, row.where))
		}
	}
	return append(attrs, slog.Int("pid", a.PID))
}

// WriteFile writes the addresses as JSON, so that a waiting reader never sees half of it.
func (a Addresses) WriteFile(path string) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("encode addresses: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write addresses to %s: %w", path, err)
	}
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write addresses to %s: %w", path, err), os.Remove(tmp.Name()))
	}
	return nil
}
