package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

const completionHelp = `Print a script with which a shell completes commands, flags and services.

For this session:
  bash:        source <(movieexample completion bash)     (needs the package bash-completion)
  zsh:         source <(movieexample completion zsh)      (needs: autoload -U compinit; compinit)
  fish:        movieexample completion fish | source
  powershell:  movieexample completion powershell | Out-String | Invoke-Expression

For every session, write the script to the directory that the shell reads, as in the examples, or
add the line above to the shell's startup file.`

// newCompletionCommand replaces cobra's command: it has one page of help for four shells, and an unknown shell is an error.
func newCompletionCommand() *cobra.Command {
	shells := map[string]func(*cobra.Command, io.Writer) error{
		"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":        func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
		"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) },
	}
	names := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion " + strings.Join(names, "|"),
		Short: "Print a completion script for a shell",
		Long:  completionHelp,
		Example: `  movieexample completion bash > ~/.local/share/bash-completion/completions/movieexample
  movieexample completion fish > ~/.config/fish/completions/movieexample.fish`,
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(names, args[0]) {
				return fmt.Errorf("name one shell: %s", strings.Join(names, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return shells[args[0]](cmd.Root(), cmd.OutOrStdout())
		},
	}
}
