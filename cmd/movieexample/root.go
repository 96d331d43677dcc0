package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/telemetry"
)

// Exit codes; the root command's help documents them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnreachable = 4
	exitInterrupted = 130
)

const rootHelp = `MovieExample is a self-hosted movie catalogue and rating platform.

One process runs everything with nothing else installed: a metadata, a rating and a movie service over gRPC, a gateway
with a REST API, an embedded Kafka broker for rating events, and SQLite databases.

Results go to standard output, messages and progress to standard error. Output has no colours, with or without NO_COLOR.

Exit codes:
  0    done
  1    it failed, or an audit found differences
  2    wrong usage: an unknown flag, a bad argument, a bad configuration
  3    done, but some rows or events were refused
  4    the system or the Kafka broker cannot be reached
  130  interrupted`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "movieexample",
		Short: "A self-hosted movie catalogue and rating platform",
		Long:  rootHelp,
		Example: `  movieexample demo
  movieexample serve --data /var/lib/movieexample
  movieexample import movielens ml-latest-small`,
		Version:       telemetry.BuildInfo().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q; see 'movieexample --help'", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v; see '%s --help'", err, cmd.CommandPath())
	})
	root.AddCommand(
		newDemoCommand(),
		newServeCommand(),
		newConfigCommand(),
		newImportCommand(),
		newPublishCommand(),
		newGenerateCommand(),
		newAuditCommand(),
		newDeadLettersCommand(),
	)
	return root
}

// codedError is an error with the exit code it asks for. A silent one has said what it had to say already.
type codedError struct {
	code   int
	err    error
	silent bool
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// usagef is an error about how the command was called.
func usagef(format string, args ...any) error {
	return &codedError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// exitCode tells the user what went wrong and returns the process's exit code.
func exitCode(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	coded := (*codedError)(nil)
	switch {
	case errors.As(err, &coded):
		code = coded.code
	case errors.Is(err, context.Canceled):
		code = exitInterrupted
	case fault.KindOf(err) == fault.KindUnavailable:
		code = exitUnreachable
	case isCobraUsage(err):
		code = exitUsage
	}
	if coded == nil || !coded.silent {
		fmt.Fprintf(cmd.ErrOrStderr(), "movieexample: %v\n", err)
	}
	return code
}

// isCobraUsage recognises the errors that cobra makes of wrong arguments; they have no type of their own.
func isCobraUsage(err error) bool {
	for _, begin := range []string{"unknown command", "accepts ", "requires ", "required flag", "invalid argument", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), begin) {
			return true
		}
	}
	return false
}
