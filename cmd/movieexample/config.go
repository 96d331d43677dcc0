package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show or check the configuration",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	printed := &settings{}
	printCmd := &cobra.Command{
		Use:   "print",
		Short: "Print the effective configuration, and where each value came from",
		Long: `Print the effective configuration as YAML that serve would read, with a comment on each line that says where the value came
from: default, file and line, environment variable or flag. Secrets are masked.`,
		Example: `  movieexample config print
  movieexample config print --config movieexample.yaml --rating-chart-min-votes 50`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := printed.load(); err != nil {
				return err
			}
			return printed.set.YAML(cmd.OutOrStdout())
		},
	}
	mustAddFlags(printCmd, printed)
	validated := &settings{}
	validateCmd := &cobra.Command{
		Use:     "validate",
		Short:   "Check the configuration; exit code 2 and every problem if it is wrong",
		Example: `  movieexample config validate --config movieexample.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validated.load(); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
			return err
		},
	}
	mustAddFlags(validateCmd, validated)
	cmd.AddCommand(printCmd, validateCmd)
	return cmd
}
