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
	return newGroupCommand("migrate", "Show or update the schemas of the databases",
		`Show or update the schemas of the databases.

Each service updates the schema of its database when it starts. A lock lets any number of
processes start at once. Use this command if the database user of the services may not change tables,
or to choose the time of the update. Migrations only add, so the previous release runs on the new
schema: migrate first, then restart the services one by one.`,
		`  movieexample migrate status rating --database mysql://rating:…@db.example:3306/rating
  MOVIEEXAMPLE_DATABASE_FILE=/run/secrets/rating-url movieexample migrate up rating`,
		newMigrationsCommand("up", "Bring the schemas up to date", app.Migrate),
		newMigrationsCommand("status", "Show which migrations the databases have", app.ReadMigrations))
}

func newMigrationsCommand(use, short string, run func(context.Context, app.Config, app.Options) ([]app.Migrations, error)) *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:               use + " [SERVICE…]",
		Short:             short,
		Long:              short + ".\n\nWithout arguments, all services that keep data are meant.\n\nExit codes: 0 the schemas are up to date, 1 they are not.",
		Example:           fmt.Sprintf("  movieexample migrate %[1]s\n  movieexample migrate %[1]s rating --database mysql://rating:…@db.example:3306/rating", use),
		ValidArgsFunction: completeServices,
		Args:              checkServices,
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
	mustAddFlags(cmd, s, "config", "data", "database", "databases-metadata", "databases-rating", "log-format", "log-level")
	return cmd
}

// printMigrations prints the migrations as a table. Its error names the services whose schema is not up to date.
func printMigrations(w io.Writer, all []app.Migrations) error {
	var behind []string
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range all {
		fmt.Fprintf(table, "%s\t%s\n", m.Service, m.Database)
		if len(m.List) == 0 {
			fmt.Fprintf(table, "  no database yet\tthe service creates it when it starts, and so does 'migrate up'\n")
		}
		for _, one := range m.List {
			name, state := one.File, one.AppliedAt.Format(time.RFC3339)
			if name == "" {
				name = fmt.Sprintf("%05d (from a newer release)", one.Version)
			}
			if one.AppliedAt.IsZero() {
				state = "pending"
			}
			if one.Interrupted {
				state = "pending: an earlier run was interrupted; 'migrate up' repeats it"
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
