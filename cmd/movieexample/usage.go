package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"movieexample.com/internal/config"
	"movieexample.com/internal/fault"
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

// codedError is an error with its exit code. A silent one has been printed already.
type codedError struct {
	code   int
	err    error
	silent bool
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// usagef returns an error about how the command was called.
func usagef(format string, args ...any) error {
	return &codedError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// exitCode prints the error and returns the process's exit code.
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

// isCobraUsage recognises cobra's errors about missing flags, which have no type and bypass the functions for flags and
// arguments.
func isCobraUsage(err error) bool {
	for _, begin := range []string{"required flag", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), begin) {
			return true
		}
	}
	return false
}

// noArgs is cobra.NoArgs with a clearer message: cobra calls an unexpected argument an unknown command.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q; see '%s --help'", cmd.Name(), args[0], cmd.CommandPath())
	}
	return nil
}

// oneArgument wants exactly one argument and says what it is.
func oneArgument(name, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return usagef("give one %s, %s; got %d arguments; see '%s --help'", name, what, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// usageOfInput turns an error about an argument, or about a file that a flag names, into a usage error.
func usageOfInput(err error) error {
	if fault.KindOf(err) == fault.KindInvalid || errors.As(err, new(*config.Problem)) {
		return usagef("%w", err)
	}
	return err
}

// isInterrupted reports whether the user interrupted the command.
func isInterrupted(err error) bool { return errors.Is(err, context.Canceled) }

// showHelp is what a command does that has only subcommands.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// newGroupCommand returns a command that has only subcommands.
func newGroupCommand(use, short, long, example string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.NoArgs, RunE: showHelp}
	cmd.AddCommand(subcommands...)
	return cmd
}
