package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
with web pages and a REST API, an embedded Kafka broker for rating events, and SQLite databases.

Results go to standard output, messages and progress to standard error. Output has no colours, with or without NO_COLOR.

Exit codes:
  0    done
  1    it failed, or an audit found differences
  2    wrong usage: an unknown flag, a bad argument, a bad configuration
  3    done, but some rows or events were refused
  4    the system or the Kafka broker cannot be reached
  130  interrupted before it was done

serve and demo end with 0 when they are stopped, by Ctrl-C or SIGTERM, after they were ready.`

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
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s; see '%s --help'", flagMistake(err), cmd.CommandPath())
	})
	root.AddCommand(
		newDemoCommand(),
		newServeCommand(),
		newBrokerCommand(),
		newConfigCommand(),
		newMigrateCommand(),
		newHealthcheckCommand(),
		newCopyCommand(),
		newImportCommand(),
		newExportCommand(),
		newPublishCommand(),
		newGenerateCommand(),
		newAuditCommand(),
		newVerifyCommand(),
		newBenchCommand(),
		newDeadLettersCommand(),
		newIngestionCommand(),
		newCompletionCommand(),
	)
	root.SetHelpCommand(newHelpCommand())
	root.InitDefaultHelpCmd() // adds it, so that it is like all others from here
	speakUsage(root)
	return root
}

// newHelpCommand replaces cobra's, which answers a wrong name with the wrong exit code.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		Long:  "Print the help of a command, as COMMAND --help does.",
		Example: `  movieexample help serve
  movieexample help dead-letters list`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if of, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range of.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, c.Name()+"\t"+c.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q; see 'movieexample --help'", strings.Join(args, " "))
			}
			of.InitDefaultHelpFlag()
			of.InitDefaultVersionFlag()
			return of.Help()
		},
	}
}

// flagMistake is what is wrong with a flag: its name, what is allowed, and what was given. Flags of our own say what is allowed;
// for the others pflag says what went wrong in strconv.
func flagMistake(err error) string {
	bad := (*pflag.InvalidValueError)(nil)
	if !errors.As(err, &bad) {
		return err.Error()
	}
	name, cause := "--"+bad.GetFlag().Name, bad.Unwrap().Error()
	given := fmt.Sprintf("got %q", bad.GetValue())
	of := bad.GetFlag().Value.Type()
	switch number := errors.As(err, new(*strconv.NumError)); {
	case of == "bool" && number:
		cause = "must be true or false"
	case number:
		cause = "must be a whole number"
	case of == "duration" && strings.HasPrefix(cause, "time: "):
		cause = "must be a time with its unit, as 500ms, 30s or 5m"
	}
	if !strings.HasPrefix(cause, "must ") {
		name += ":"
	}
	if !strings.Contains(cause, given) {
		cause += ", " + given
	}
	return name + " " + cause
}

// noArgs is cobra.NoArgs in better words: cobra calls an argument where none belongs an unknown command.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q; see '%s --help'", cmd.Name(), args[0], cmd.CommandPath())
	}
	return nil
}

// speakUsage makes every complaint about arguments a usage error that says where to read on.
func speakUsage(cmd *cobra.Command) {
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		err := check(cmd, args)
		name := strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name())) // as typed behind the program's
		switch {
		case err == nil || errors.As(err, new(*codedError)):
			return err
		case strings.HasPrefix(err.Error(), "unknown command") && cmd.HasSubCommands():
			return usagef("there is no command %q; see '%s --help'", strings.TrimSpace(name+" "+args[0]), cmd.CommandPath())
		}
		return usagef("%w; see '%s --help'", err, cmd.CommandPath())
	}
	for _, sub := range cmd.Commands() {
		speakUsage(sub)
	}
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

// isCobraUsage recognises the errors that cobra makes of missing flags; they have no type of their own and do not go
// through the functions for flags and arguments.
func isCobraUsage(err error) bool {
	for _, begin := range []string{"required flag", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), begin) {
			return true
		}
	}
	return false
}
