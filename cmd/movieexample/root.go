package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"movieexample.com/internal/config"
	"movieexample.com/internal/telemetry"
)

const rootHelp = `MovieExample is a self-hosted movie catalogue and rating platform.

One process runs everything with nothing else installed: a metadata, a rating and a movie service over gRPC, a gateway
with web pages and a REST API, an embedded Kafka broker for rating events, and SQLite databases.

Results go to standard output, messages and progress to standard error. Output is never coloured.

Exit codes:
  0    done
  1    failed, or an audit found differences
  2    wrong usage: an unknown flag, a bad argument, a bad configuration
  3    done, but some rows or events were refused
  4    the system or the Kafka broker cannot be reached
  130  interrupted

serve and demo exit with 0 when Ctrl-C or SIGTERM stops them after they were ready.`

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
		RunE:          showHelp,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s; see '%s --help'", flagMistake(cmd, err), cmd.CommandPath())
	})
	root.AddCommand(
		newDemoCommand(),
		newServeCommand(),
		newBrokerCommand(),
		newConfigCommand(),
		newMigrateCommand(),
		newHealthcheckCommand(),
		newCopyCommand(),
		newGroupCommand("import", "Import films and ratings into a running system", "", "",
			newImportMovieLensCommand(), newImportIMDbCommand(), newImportMoviesCommand(), newImportRatingsCommand()),
		newExportCommand(),
		newPublishCommand(),
		newGenerateCommand(),
		newAuditCommand(),
		newVerifyCommand(),
		newBenchCommand(),
		newDeadLettersCommand(),
		newIngestionCommand(),
		newCompletionCommand(),
		newVersionCommand(),
	)
	root.SetHelpCommand(newHelpCommand())
	root.InitDefaultHelpCmd() // adds it, so that speakUsage meets it too
	speakUsage(root)
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print version, revision, Go release and platform of this binary, as --version does.",
		Example: "  movieexample version",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", cmd.Root().Name(), cmd.Root().Version)
			return err
		},
	}
}

// newHelpCommand replaces cobra's help command, which exits with the wrong code for an unknown command.
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
				return noCommand(of, strings.Join(args, " "), rest)
			}
			of.InitDefaultHelpFlag()
			of.InitDefaultVersionFlag()
			return of.Help()
		},
	}
}

// noCommand is the error for a command that parent does not have: typed is the whole line, rest what parent was given.
func noCommand(parent *cobra.Command, typed string, rest []string) error {
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := ""
	if len(rest) > 0 {
		hint = didYouMean(config.Nearest(rest[0], names))
	}
	return usagef("there is no command %q%s; see '%s --help'", typed, hint, parent.CommandPath())
}

// didYouMean is the suggestion in an error about an unknown name; empty without one.
func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", name)
}

// renamedFlags are old names of flags with the names they have now.
func renamedFlags() map[string]string {
	return map[string]string{"gateway": "gateway-addr", "admin": "admin-addr"}
}

// unknownFlag is the message for a flag that cmd does not have.
func unknownFlag(cmd *cobra.Command, name string) string {
	if now := renamedFlags()[name]; now != "" && cmd.Flags().Lookup(now) != nil {
		return fmt.Sprintf("unknown flag: --%s; its name is --%s now", name, now)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return "unknown flag: --" + name + didYouMean(config.Nearest("--"+name, names))
}

// flagMistake says what is wrong with a flag: its name, what is allowed, and what was given. Flags of our own say what is
// allowed; for others, pflag passes on the error of strconv.
func flagMistake(cmd *cobra.Command, err error) string {
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		return unknownFlag(cmd, unknown.GetSpecifiedName())
	}
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
		cause = "must be a duration with a unit, such as 500ms, 30s or 5m"
	}
	if !strings.HasPrefix(cause, "must ") {
		name += ":"
	}
	if !strings.Contains(cause, given) {
		cause += ", " + given
	}
	return name + " " + cause
}

// speakUsage turns every error about arguments into a usage error that names the help to read.
func speakUsage(cmd *cobra.Command) {
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		err := check(cmd, args)
		name := strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name())) // as typed after the program's name
		switch {
		case err == nil || errors.As(err, new(*codedError)):
			return err
		case strings.HasPrefix(err.Error(), "unknown command") && cmd.HasSubCommands():
			return noCommand(cmd, strings.TrimSpace(name+" "+args[0]), args)
		}
		return usagef("%w; see '%s --help'", err, cmd.CommandPath())
	}
	for _, sub := range cmd.Commands() {
		speakUsage(sub)
	}
}
