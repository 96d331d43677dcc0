package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newConfigCommand() *cobra.Command {
	return newGroupCommand("config", "Show or check the configuration",
		"Show or check the configuration of a process: the values that flags, environment, file and defaults give.\nNothing is started.",
		`  movieexample config print
  movieexample config validate --config movieexample.yaml`,
		newConfigPrintCommand(), newConfigValidateCommand())
}

func newConfigPrintCommand() *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:   "print [SERVICE…]",
		Short: "Print the effective configuration and the origin of each value",
		Long: `Print the effective configuration as YAML that serve can read. A comment on each line names the origin
of the value: default, file and line, environment variable, or flag. Secrets are masked. Name the
services as for serve.`,
		Example: `  movieexample config print
  movieexample config print --config movieexample.yaml --rating-chart-min-votes 50`,
		ValidArgsFunction: completeServices,
		Args:              checkServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.load(args...); err != nil {
				return err
			}
			// The directory that would be used says more than an empty value.
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
		Long: `Check the configuration of a process that runs the named services, or all of them. If it is wrong, the
command lists every problem with the place where the value was set, and exits with 2.`,
		Example: `  movieexample config validate --config movieexample.yaml
  movieexample config validate movie --connect-metadata 127.0.0.1:8081 --connect-rating 127.0.0.1:8082`,
		ValidArgsFunction: completeServices,
		Args:              checkServices,
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
