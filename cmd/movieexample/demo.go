package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/app"
	"movieexample.com/client"
)

const demoHelp = `Run everything in one process and load the demo: 320 real films, and 100,000 synthetic ratings that
arrive as events through the embedded Kafka broker.

Without --data the demo uses a temporary directory, which is removed when it stops. With --data DIR
the data is kept, and loaded only once: what you change or delete later stays changed. A directory
with data that is not the demo's is refused.

The log level is warn unless you set it, so that the banner stays visible.

Ctrl-C stops it, with exit code 130 while the demo is loading and 0 afterwards. A second Ctrl-C ends
it at once and leaves the temporary directory behind.`

func newDemoCommand() *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything in one process, with sample films and ratings",
		Long:  demoHelp,
		Example: `  movieexample demo
  movieexample demo --data ./demo
  movieexample demo --listen-gateway 127.0.0.1:8081 --listen-metadata 127.0.0.1:0`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, s) },
	}
	mustAddFlags(cmd, s)
	addAddressesFlag(cmd, s)
	return cmd
}

func runDemo(cmd *cobra.Command, s *settings) (err error) {
	began := time.Now()
	if err := s.load(); err != nil {
		return err
	}
	// Routine messages would push the banner out of sight.
	if s.isDefault("log.level") {
		s.cfg.Log.Level = "warn"
	}
	temporary := s.cfg.DataDir == ""
	if temporary {
		if s.cfg.DataDir, err = os.MkdirTemp("", "movieexample-demo-"); err != nil {
			return fmt.Errorf("create a temporary directory for the demo (or give --data DIR): %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(s.cfg.DataDir)) }()
	}
	record, err := readDemoRecord(s.cfg.DataDir)
	if err != nil {
		return err
	}
	a, err := s.start(cmd.Context(), cmd, nil)
	if err != nil {
		return err
	}
	return s.run(cmd.Context(), a, func(ctx context.Context) error {
		started := time.Since(began)
		loaded, err := record.load(func() (client.DemoSummary, error) {
			return loadDemo(ctx, cmd.ErrOrStderr(), a.Addresses(), s.cfg.Rating.Topic, s.cfg.ExternalBrokers())
		})
		if err != nil {
			return err
		}
		if loaded.AlreadyLoaded {
			fmt.Fprintln(cmd.ErrOrStderr(), "the data directory already has the demo: it is not loaded again")
		}
		debug.FreeOSMemory() // the load needed more than the demo does
		return printBanner(cmd.OutOrStdout(), banner{
			addresses: a.Addresses(), topic: s.cfg.Rating.Topic, temporary: temporary, loaded: loaded, started: started,
		})
	})
}

// loadDemo loads the demo as any client would, over the addresses in the banner.
func loadDemo(ctx context.Context, w io.Writer, a app.Addresses, topic string, brokers []string) (_ client.DemoSummary, err error) {
	if len(brokers) == 0 {
		brokers = []string{a.Kafka}
	}
	c, err := client.Connect(client.Addresses{Metadata: a.Metadata, Rating: a.Rating, Brokers: brokers, Topic: topic})
	if err != nil {
		return client.DemoSummary{}, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	view := newProgressView(w)
	defer view.done()
	view.println("the demo: 320 films, and 100,000 synthetic ratings that go through Kafka")
	return c.LoadDemo(ctx, client.DemoOptions{Progress: view.update})
}

// demoRecord is the file in the data directory which says that the data is the demo's, and whether it was loaded
// completely. Once loaded, it is not loaded again, because the user may have changed or deleted some of it.
type demoRecord struct {
	path   string
	Loaded bool  `json:"loaded"`
	Films  int64 `json:"films"`
	Rated  int64 `json:"ratings"`
}

// readDemoRecord reads the record of a data directory, or creates one in an empty directory. It refuses a directory that has
// data and no record, because synthetic ratings must not be mixed into real ones.
func readDemoRecord(dir string) (*demoRecord, error) {
	r := &demoRecord{path: filepath.Join(dir, "demo.json")}
	text, err := os.ReadFile(r.path)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("read %s, which says what the demo has loaded (remove it to load the demo again): %w", r.path, err)
		}
		return r, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("check whether the demo was loaded: %w", err)
	}
	for _, service := range app.ServiceNames() {
		if _, err := os.Stat(filepath.Join(dir, service, service+".db")); err == nil {
			return nil, usagef("%s holds data that is not the demo's, and the demo would mix synthetic ratings into it: choose another --data DIR, or run 'movieexample serve' on this one", dir)
		}
	}
	// Written before any data, so that the next demo recognises the data whenever this process ends.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	return r, r.write()
}

// load loads the demo unless it was loaded before, and records that.
func (r *demoRecord) load(load func() (client.DemoSummary, error)) (client.DemoSummary, error) {
	if r.Loaded {
		s := client.DemoSummary{Ratings: r.Rated, AlreadyLoaded: true}
		s.Films.Read = r.Films
		return s, nil
	}
	s, err := load()
	if err != nil {
		return s, err
	}
	r.Loaded, r.Films, r.Rated = true, s.Films.Read, s.Ratings
	return s, r.write()
}

func (r *demoRecord) write() error {
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(r.path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("record what the demo has loaded: %w", err)
	}
	return nil
}

// banner is what the demo prints when it is ready.
type banner struct {
	addresses app.Addresses
	topic     string
	temporary bool // the data is removed at the end
	loaded    client.DemoSummary
	started   time.Duration // until all listeners were open, before the load
}

// printBanner prints addresses, contents and commands to try.
func printBanner(w io.Writer, n banner) error {
	var b strings.Builder
	b.WriteString("\nMovieExample is running.\n\n")
	writeAddresses(&b, n.addresses, n.topic)
	kept := "kept: a demo or serve with this --data uses it again"
	if n.temporary {
		kept = "temporary: removed when the demo stops; --data DIR keeps it"
	}
	fmt.Fprintf(&b, "  %-22s %s (%s)\n", "Data", n.addresses.Data, kept)
	loaded := fmt.Sprintf("loaded in %.1f s", n.loaded.Seconds.Total)
	if n.loaded.AlreadyLoaded {
		loaded = "loaded before"
	}
	fmt.Fprintf(&b, `
  %s films and %s ratings, %s; started in %.2f s.
  The films are real. The ratings are synthetic: a generator made them up.
`, grouped(n.loaded.Films.Read), grouped(n.loaded.Ratings), loaded, n.started.Seconds())
	fmt.Fprintf(&b, `
Open %[1]s in a browser and search for a film, however you spell it. Or try:
  curl -s '%[1]s/v1/movies:search?q=gofather'
  curl -s -X PUT %[1]s/v1/records/movie/tt0111161/ratings/alice -H 'Content-Type: application/json' -d '{"value": 9}'
  curl -s %[1]s/v1/movies/tt0111161

Ctrl-C stops it.
`, n.addresses.Gateway)
	_, err := io.WriteString(w, b.String())
	return err
}
