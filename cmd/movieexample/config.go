package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show or check the configuration",
		Long: `Show or check the configuration of a process: what flags, environment, file and defaults come to.
Nothing is started.`,
		Example: `  movieexample config print
  movieexample config validate --config movieexample.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigPrintCommand(), newConfigValidateCommand())
	return cmd
}

func newConfigPrintCommand() *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:   "print [SERVICE…]",
		Short: "Print the effective configuration, and where each value came from",
		Long: `Print the effective configuration as YAML that serve would read, with a comment on each line that
says where the value came from: default, file and line, environment variable or flag. Secrets are
masked. Name the services as with serve.`,
		Example: `  movieexample config print
  movieexample config print --config movieexample.yaml --rating-chart-min-votes 50`,
		ValidArgsFunction: completeServices,
		Args:              func(_ *cobra.Command, args []string) error { return checkServices(args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.load(args...); err != nil {
				return err
			}
			// The directory that would be used says more than that none was given.
			if dir, err := s.cfg.DataDirectory(); err == nil {
				s.cfg.DataDir = dir
			}
			return s.set.YAML(cmd.OutOrStdout())
		},
	}
	mustAddFlags(cmd, s)
	return cmd
}

func newConfigValidateCommand() *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:   "validate [SERVICE…]",
		Short: "Check the configuration",
		Long: `Check the configuration for a process that runs the services named, all where none is named.
If it is wrong, every problem is listed with the place where the value was set, and the exit code
is 2.`,
		Example: `  movieexample config validate --config movieexample.yaml
  movieexample config validate movie --connect-metadata 127.0.0.1:8081 --connect-rating 127.0.0.1:8082`,
		ValidArgsFunction: completeServices,
		Args:              func(_ *cobra.Command, args []string) error { return checkServices(args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.load(args...); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
			return err
		},
	}
	mustAddFlags(cmd, s)
	return cmd
}
