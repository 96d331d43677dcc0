package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"movieexample.com/app"
	"movieexample.com/internal/config"
	"movieexample.com/internal/telemetry"
)

// settings is the configuration of a command: one struct, and the origin of each value.
type settings struct {
	cfg       app.Config
	set       *config.Set
	file      string
	addresses string
	fileNamed func() bool // by a flag
}

// addFlags adds a flag for every setting, and --config.
func (s *settings) addFlags(cmd *cobra.Command) error {
	s.cfg = app.DefaultConfig()
	set, err := config.New(&s.cfg)
	if err != nil {
		return err
	}
	s.set = set
	set.AddFlags(cmd.Flags())
	s.fileNamed = func() bool { return cmd.Flags().Changed("config") }
	cmd.Flags().StringVar(&s.file, "config", "", "YAML file with settings (environment: MOVIEEXAMPLE_CONFIG)")
	return errors.Join(
		cmd.MarkFlagFilename("config", "yaml", "yml"),
		cmd.MarkFlagDirname("data"),
		cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp)),
		cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)),
	)
}

// load reads the configuration of a process that runs the services, or all services if none is named.
func (s *settings) load(services ...string) error {
	return s.read(func(cfg app.Config) error { return cfg.ValidateFor(services) })
}

// read reads the configuration: flags win over the environment, the environment over the file, the file over defaults.
func (s *settings) read(validate func(app.Config) error) error {
	file, origin, named := s.file, "--config", s.fileNamed()
	if !named {
		origin = "MOVIEEXAMPLE_CONFIG"
		file, named = os.LookupEnv(origin)
	}
	var err error
	if named && file == "" {
		err = errors.New(origin + ": must not be empty: name the configuration file, or leave it out")
	} else {
		err = s.set.Load(config.LoadOptions{
			File: file, Environ: os.Environ(), IgnoreEnv: []string{"MOVIEEXAMPLE_CONFIG"},
			Validate: func() error { return validate(s.cfg) },
		})
	}
	if err != nil {
		return &codedError{code: exitUsage, err: fmt.Errorf("the configuration is wrong:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))}
	}
	return nil
}

// isDefault reports whether the setting has its default value.
func (s *settings) isDefault(path string) bool {
	for _, st := range s.set.Settings() {
		if st.Path == path {
			return st.Source == config.SourceDefault
		}
	}
	return false
}

// start builds the app. It logs to the command's standard error.
func (s *settings) start(ctx context.Context, cmd *cobra.Command, services []string) (*app.App, error) {
	if s.addresses != "" {
		if info, err := os.Stat(filepath.Dir(s.addresses)); err != nil || !info.IsDir() {
			return nil, usagef("--addresses: there is no directory %s to write the file in", filepath.Dir(s.addresses))
		}
	}
	logger, err := telemetry.NewLogger(cmd.ErrOrStderr(), s.cfg.Log)
	if err != nil {
		return nil, err
	}
	a, err := app.New(ctx, s.cfg, app.Options{Services: services, Logger: logger, Reread: s.set.Reread})
	if err != nil {
		return nil, err
	}
	// A program that waits for the file must not find that of an earlier run. The file is removed only now, because until the
	// data directory was locked, the file could have belonged to another process.
	if s.addresses != "" {
		_ = os.Remove(s.addresses) // if it cannot be removed, it cannot be written, and that is reported
	}
	return a, nil
}

// run serves until the context ends. When the system is ready, run calls ready and writes the addresses. An error of ready
// stops the system.
func (s *settings) run(ctx context.Context, a *app.App, ready func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		select {
		case <-a.Ready():
		case <-ctx.Done():
			return
		}
		err := ready(ctx)
		if err == nil && s.addresses != "" {
			err = a.Addresses().WriteFile(s.addresses)
		}
		if err != nil {
			failed <- err
			cancel(err) // the log gives the cause of the stop
		}
	}()
	err := a.Run(ctx)
	cancel(nil)
	return errors.Join(<-failed, err)
}

const serveHelp = `Run the named services, or all of them, until interrupted.

Services: %s.

Data is stored in the user's data directory ($XDG_DATA_HOME/movieexample, or
~/.local/share/movieexample); --data names another one. Every setting is a flag, an environment
variable (MOVIEEXAMPLE_…) and a key of the YAML file. Flags win over the environment, the environment
over the file. 'movieexample config print' shows every value and its origin.

A process that runs only some services must know how to find the services that they call
(--discovery, or --connect-… for a single address). A process that runs only rating must know the
Kafka brokers (--rating-brokers). All processes of a service share a database on a server
(--database). The process waits for a database, Kafka or a registry that is not up yet.

SIGTERM and Ctrl-C stop the process in order, without loss and with exit code 0. It turns unready,
deregisters, finishes the calls in flight and the current batch of events, and closes everything.
A second signal ends it at once.`

func newServeCommand() *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:   "serve [SERVICE…]",
		Short: "Run the services",
		Long:  fmt.Sprintf(serveHelp, strings.Join(app.ServiceNames(), ", ")),
		Example: `  movieexample serve
  movieexample serve --data ./data --listen-gateway 127.0.0.1:0 --addresses addresses.json
  movieexample serve metadata --data ./metadata
  movieexample serve rating --database mysql://rating:…@db.example/rating --rating-brokers kafka.example:9092 --discovery consul://127.0.0.1:8500
  movieexample serve movie --connect-metadata 127.0.0.1:8081 --connect-rating 127.0.0.1:8082
  movieexample serve --config movieexample.yaml`,
		ValidArgsFunction: completeServices,
		Args:              checkServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.load(args...); err != nil {
				return err
			}
			a, err := s.start(cmd.Context(), cmd, args)
			if err != nil {
				return err
			}
			return s.run(cmd.Context(), a, func(context.Context) error {
				var b strings.Builder
				b.WriteString("MovieExample is ready.\n")
				writeAddresses(&b, a.Addresses(), s.cfg.Rating.Topic)
				if data := a.Addresses().Data; data != "" {
					fmt.Fprintf(&b, "  %-22s %s\n", "Data", data)
				}
				_, err := io.WriteString(cmd.OutOrStdout(), b.String())
				return err
			})
		},
	}
	mustAddFlags(cmd, s)
	addAddressesFlag(cmd, s)
	return cmd
}

// writeAddresses lists every listener.
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

func addAddressesFlag(cmd *cobra.Command, s *settings) {
	cmd.Flags().StringVar(&s.addresses, "addresses", "", "write the addresses to this JSON file when the system is ready")
}

// completeServices completes to the services that are not named yet.
func completeServices(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	left := slices.DeleteFunc(app.ServiceNames(), func(s string) bool { return slices.Contains(args, s) })
	return left, cobra.ShellCompDirectiveNoFileComp
}

// checkServices checks arguments that name services.
func checkServices(_ *cobra.Command, args []string) error {
	seen := map[string]bool{}
	for _, a := range args {
		if !slices.Contains(app.ServiceNames(), a) {
			return usagef("there is no service %q; the services are %s", a, strings.Join(app.ServiceNames(), ", "))
		}
		if seen[a] {
			return usagef("service %q is named twice", a)
		}
		seen[a] = true
	}
	return nil
}

// mustAddFlags adds a flag for every setting. A command that reads only some of them names their flags; the others are accepted,
// so that it takes the arguments of serve, but its help does not show them. A mistake in the declaration of the settings panics.
func mustAddFlags(cmd *cobra.Command, s *settings, reads ...string) {
	if err := s.addFlags(cmd); err != nil {
		panic(err)
	}
	if len(reads) == 0 {
		return
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = !slices.Contains(reads, f.Name) })
	for _, name := range reads {
		if cmd.Flags().Lookup(name) == nil {
			panic("there is no flag --" + name)
		}
	}
}
