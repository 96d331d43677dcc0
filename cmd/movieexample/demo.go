package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
it stays there, and is loaded once.

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
	a, err := s.start(cmd.Context(), cmd, nil)
	if err != nil {
		return err
	}
	return s.run(cmd.Context(), a, func(ctx context.Context) error {
		started := time.Since(began)
		loaded, err := loadDemo(ctx, cmd.ErrOrStderr(), a.Addresses(), s.cfg.Rating.Topic, s.cfg.Rating.Brokers)
		if err != nil {
			return err
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
	loaded, err := c.LoadDemo(ctx, client.DemoOptions{Progress: view.update})
	view.done()
	if err == nil && loaded.AlreadyLoaded {
		view.println("the data directory has all of it already: nothing is loaded again")
	}
	return loaded, err
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
Try:
  curl -s '%[1]s/v1/charts/top?page_size=3'
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
	row("REST API", a.Gateway)
	row("gRPC metadata", a.Metadata)
	row("gRPC rating", a.Rating)
	row("gRPC movie", a.Movie)
	row("Kafka, topic "+topic, a.Kafka)
	row("Health and metrics", a.Admin)
}
