package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/app"
	"movieexample.com/internal/telemetry"
)

func newMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Show or update the schemas of the databases",
		Long: `Show or update the schemas of the databases.

Each service updates the schema of its own database when it starts, behind a lock, so that any number
of processes may start at once; this command is for those who give the services a user without the
right to change tables, or want to do it at a time of their own. Migrations only add: the release
before runs on the new schema, so the order is migrate first, then restart the services one by one.`,
		Example: `  movieexample migrate status rating --database mysql://rating:…@db.example:3306/rating
  MOVIEEXAMPLE_DATABASE_FILE=/run/secrets/rating-url movieexample migrate up rating`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newMigrationsCommand("up", "Bring the schemas up to date", app.Migrate),
		newMigrationsCommand("status", "Show which migrations the databases have", app.ReadMigrations))
	return cmd
}

func newMigrationsCommand(use, short string, run func(context.Context, app.Config, app.Options) ([]app.Migrations, error)) *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:               use + " [SERVICE…]",
		Short:             short,
		Long:              short + ".\n\nWithout arguments it is about all services that keep data. Settings are those of serve; most do not matter here.\n\nExit codes: 0 the schemas are up to date, 1 they are not.",
		Example:           fmt.Sprintf("  movieexample migrate %[1]s\n  movieexample migrate %[1]s rating --database mysql://rating:…@db.example:3306/rating", use),
		ValidArgsFunction: completeServices,
		Args:              func(_ *cobra.Command, args []string) error { return checkServices(args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.read(func(cfg app.Config) error { return cfg.ValidateData(args) }); err != nil {
				return err
			}
			logger, err := telemetry.NewLogger(cmd.ErrOrStderr(), s.cfg.Log)
			if err != nil {
				return err
			}
			all, err := run(cmd.Context(), s.cfg, app.Options{Services: args, Logger: logger})
			if err != nil {
				return err
			}
			return printMigrations(cmd.OutOrStdout(), all)
		},
	}
	mustAddFlags(cmd, s)
	return cmd
}

// printMigrations prints the migrations as a table; its error says which service's schema is not up to date.
func printMigrations(w io.Writer, all []app.Migrations) error {
	var behind []string
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range all {
		fmt.Fprintf(table, "%s\t%s\n", m.Service, m.Database)
		if len(m.List) == 0 {
			fmt.Fprintf(table, "  no database yet\tthe service makes it when it starts, and so does 'migrate up'\n")
		}
		for _, one := range m.List {
			name, state := one.File, one.AppliedAt.Format(time.RFC3339)
			if name == "" {
				name = fmt.Sprintf("%05d (of a newer release)", one.Version)
			}
			if one.AppliedAt.IsZero() {
				state = "pending"
			}
			if one.Interrupted {
				state = "pending: an earlier run did not get to its end; 'migrate up' repeats it"
			}
			fmt.Fprintf(table, "  %s\t%s\n", name, state)
		}
		if len(m.List) == 0 || m.Pending() > 0 {
			behind = append(behind, m.Service)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(behind) > 0 {
		return &codedError{code: exitFailed, silent: true, err: fmt.Errorf("not up to date: %s", strings.Join(behind, ", "))}
	}
	return nil
}
