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

Without --data the demo lives in a temporary directory that is removed when it ends. With --data DIR
it stays there, and is loaded once: what you change or delete afterwards stays as you left it. A
directory with data that is not the demo's is refused.

The log level is warn unless you set it, so that the banner stays in sight.

Ctrl-C stops it. While the demo is being loaded that ends in exit code 130, afterwards in 0; a second
Ctrl-C ends at once, and then a temporary directory stays behind.`

func newDemoCommand() *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything in one process, with films and ratings to look at",
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
	// A person looks at this; what is routine would bury the banner.
	if s.isDefault("log.level") {
		s.cfg.Log.Level = "warn"
	}
	temporary := s.cfg.DataDir == ""
	if temporary {
		if s.cfg.DataDir, err = os.MkdirTemp("", "movieexample-demo-"); err != nil {
			return fmt.Errorf("make a temporary directory for the demo (or give --data DIR): %w", err)
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
			fmt.Fprintln(cmd.ErrOrStderr(), "the data directory has the demo already: nothing is loaded again")
		}
		debug.FreeOSMemory() // what the load needed is not needed again
		return printBanner(cmd.OutOrStdout(), banner{
			addresses: a.Addresses(), topic: s.cfg.Rating.Topic, temporary: temporary, loaded: loaded, started: started,
		})
	})
}

// loadDemo loads the demo the way any client would, over the addresses that the banner names.
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

// demoRecord is the file in the data directory that says that the data is the demo's, and whether it was loaded to the
// end: after that it belongs to the user, who may change and delete what they like.
type demoRecord struct {
	path   string
	Loaded bool  `json:"loaded"`
	Films  int64 `json:"films"`
	Rated  int64 `json:"ratings"`
}

// readDemoRecord reads the record of a data directory, or begins it in an empty one. A directory with data and without a record is refused: synthetic
// ratings must not be mixed into real ones without a word.
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
		return nil, fmt.Errorf("see whether the demo was loaded: %w", err)
	}
	for _, service := range app.ServiceNames() {
		if _, err := os.Stat(filepath.Join(dir, service, service+".db")); err == nil {
			return nil, usagef("%s holds data that is not the demo's, and the demo would mix synthetic ratings into it: choose another --data DIR, or run 'movieexample serve' on this one", dir)
		}
	}
	// Before there is any data: whenever this process ends, the next demo knows the data for its own.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	return r, r.write()
}

// load loads the demo unless that was done before, and records that it was.
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

// banner is what the demo tells when it is ready.
type banner struct {
	addresses app.Addresses
	topic     string
	temporary bool // the data is removed at the end
	loaded    client.DemoSummary
	started   time.Duration // until all listeners were open, before the load
}

// printBanner says once what there is, where it is, and what to do with it.
func printBanner(w io.Writer, n banner) error {
	var b strings.Builder
	b.WriteString("\nMovieExample is running.\n\n")
	writeAddresses(&b, n.addresses, n.topic)
	kept := "kept: the next demo or serve with this --data goes on with it"
	if n.temporary {
		kept = "temporary: removed when the demo ends; --data DIR keeps it"
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

// writeAddresses lists what listens where.
func writeAddresses(b *strings.Builder, a app.Addresses, topic string) {
	row := func(what, where string) {
		if where != "" {
			fmt.Fprintf(b, "  %-22s %s\n", what, where)
		}
	}
	row("Web pages", a.Gateway)
	if a.Gateway != "" {
		row("REST API", a.Gateway+"/docs")
	}
	row("gRPC metadata", a.Metadata)
	row("gRPC rating", a.Rating)
	row("gRPC movie", a.Movie)
	row("Kafka, topic "+topic, a.Kafka)
	row("Health and metrics", a.Admin)
}
